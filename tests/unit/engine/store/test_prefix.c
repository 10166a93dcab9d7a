/* SPDX-License-Identifier: Apache-2.0 */
/* test_prefix.c - runs by how their id or an attribute begins: found without looking at others,
 * whatever the case, in the order of lists. */
#include "support.h"
#include "wire/api.h"

#define IDS_SIZE 512

/* A closed run with an attribute City; the higher the key, the later it ended. */
static void put(struct fixture *f, uint64_t key, const char *id, const char *city)
{
    struct sample s;
    char run_id[32], json[32];
    snprintf(run_id, sizeof run_id, "run-%d", (int)key);
    snprintf(json, sizeof json, "\"%s\"", city);
    const struct flo_core_attribute attribute = {
        .name = "City",
        .type = FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD,
        .json = (const uint8_t *)json,
        .len = strlen(json)};
    FloApi__Payload payload = FLO_API__PAYLOAD__INIT;
    FloApi__SearchAttributes__IndexedFieldsEntry entry =
        FLO_API__SEARCH_ATTRIBUTES__INDEXED_FIELDS_ENTRY__INIT;
    FloApi__SearchAttributes__IndexedFieldsEntry *list = &entry;
    FloApi__SearchAttributes all = FLO_API__SEARCH_ATTRIBUTES__INIT;
    uint8_t blob[128];
    payload.data = (ProtobufCBinaryData){strlen(json), (uint8_t *)json};
    entry.key = "City";
    entry.value = &payload;
    all.indexed_fields = &list;
    all.n_indexed_fields = 1;
    sample(&s, key, id, run_id);
    s.run.search_attributes = blob;
    s.run.search_attributes_len = flo_api__search_attributes__pack(&all, blob);
    s.run.is_new = s.run.attributes_changed = s.run.has_attributes = true;
    s.run.status = 2;
    s.run.close_ns = 5000 + (int64_t)key;
    s.run.attributes = &attribute;
    s.run.attribute_count = 1;
    commit_ok(f, &s.batch);
}

static struct flo_store_filter begins(const char *attribute, const char *prefix,
                                      struct flo_store_value values[3])
{
    const size_t first = attribute ? 0 : 1;
    values[0] = (struct flo_store_value){.kind = FLO_STORE_TEXT, .text = attribute};
    values[1] = values[2] = (struct flo_store_value){.kind = FLO_STORE_TEXT, .text = prefix};
    return (struct flo_store_filter){
        .sql = attribute ? "substr(flo_attribute(search_attributes, ?, 2), 1, length(?)) = ?"
                           " COLLATE NOCASE"
                         : "substr(workflow_id, 1, length(?)) = ? COLLATE NOCASE",
        .values = values + first,
        .value_count = 3 - first,
        .path = FLO_STORE_BY_PREFIX,
        .prefix_of = attribute,
        .prefix = prefix,
    };
}

struct page {
    char ids[IDS_SIZE];
    struct flo_store_cursor end;
};

static bool note_row(void *ctx, const struct flo_store_visible *run)
{
    struct page *page = ctx;
    const size_t used = strlen(page->ids);
    snprintf(page->ids + used, IDS_SIZE - used, "%d ", (int)run->row.key);
    page->end = run->cursor;
    return true;
}

static void add_count(void *ctx, int status, int64_t count)
{
    (void)status;
    *(int64_t *)ctx += count;
}

/* The keys of those that begin so; the count agrees. */
static const char *keys(struct fixture *f, const char *attribute, const char *prefix)
{
    static struct page page;
    struct flo_store_value values[3];
    const struct flo_store_filter filter = begins(attribute, prefix, values);
    struct flo_err err = {0};
    int64_t count = 0, rows = 0;
    page.ids[0] = '\0';
    if (flo_store_list(f->store, "ns", &filter, NULL, 100, note_row, &page, &err) ||
        flo_store_count(f->store, "ns", &filter, false, add_count, &count, &err))
        fail_msg("%s", err.message);
    for (const char *at = page.ids; *at; at++)
        rows += *at == ' ';
    assert_int_equal(rows, count);
    return page.ids;
}

/* All spellings of it, and nothing between them. */
static void test_prefix_of_workflow_id(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {
        "Order-1", "order-2", "ORDER-3", "oRDEr-10", "other",        "Other",
        "P",       "a",       "order",   "order.",   "\xc3\xa4pfel", "\xc3\x84pfel"};
    f->options.path = NULL;
    open_store(f);
    for (uint64_t i = 0; i < sizeof ids / sizeof *ids; i++)
        put(f, i + 1, ids[i], "x");
    assert_string_equal(keys(f, NULL, "order-"), "4 3 2 1 ");
    assert_string_equal(keys(f, NULL, "ORDER-1"), "4 1 ");
    assert_string_equal(keys(f, NULL, "o"), "10 9 6 5 4 3 2 1 ");
    assert_string_equal(keys(f, NULL, "order-2x"), "");
    assert_string_equal(keys(f, NULL, "zebra"), "");
    assert_string_equal(keys(f, NULL, "A"), "8 ");
    assert_string_equal(keys(f, NULL, "\xc3\xa4P"), "11 ");
}

/* A namespace sees its own only. */
static void test_prefix_of_other_namespace(void **state)
{
    struct fixture *f = *state;
    struct flo_store_value values[3];
    const struct flo_store_filter filter = begins(NULL, "order", values);
    struct page page = {.ids = ""};
    struct flo_err err = {0};
    open_store(f);
    put(f, 1, "order-1", "Bern");
    assert_int_equal(flo_store_list(f->store, "other", &filter, NULL, 100, note_row, &page, &err),
                     0);
    assert_string_equal(page.ids, "");
}

/* Many runs with few values: the lists of the values are merged, and pages go on where the last
 * one ended. */
static void test_prefix_of_attribute_is_merged(void **state)
{
    static const char *const cities[] = {"Bern", "Berlin", "BERGEN", "Rome"};
    struct fixture *f = *state;
    struct flo_store_value values[3];
    const struct flo_store_filter filter = begins("City", "ber", values);
    struct flo_err err = {0};
    struct flo_store_cursor after;
    struct page page = {.ids = ""};
    f->options.path = NULL;
    open_store(f);
    for (uint64_t key = 1; key <= 3000; key++) {
        char id[16];
        snprintf(id, sizeof id, "w%d", (int)key);
        put(f, key, id, cities[key % 4]);
    }
    assert_int_equal(flo_store_list(f->store, "ns", &filter, NULL, 4, note_row, &page, &err), 0);
    assert_string_equal(page.ids, "3000 2998 2997 2996 ");
    after = page.end;
    page.ids[0] = '\0';
    assert_int_equal(flo_store_list(f->store, "ns", &filter, &after, 3, note_row, &page, &err), 0);
    assert_string_equal(page.ids, "2994 2993 2992 ");
    int64_t count = 0;
    assert_int_equal(flo_store_count(f->store, "ns", &filter, false, add_count, &count, &err), 0);
    assert_int_equal(count, 2250);
    count = 0;
    assert_int_equal(flo_store_count(f->store, "ns", &filter, true, add_count, &count, &err), 0);
    assert_int_equal(count, 2250);
}

/* More values than are merged, and few runs. */
static void test_prefix_of_many_values(void **state)
{
    struct fixture *f = *state;
    char expected[IDS_SIZE] = "";
    f->options.path = NULL;
    open_store(f);
    for (uint64_t key = 1; key <= 40; key++) {
        char city[16];
        snprintf(city, sizeof city, "City%02d", (int)(key * 7 % 40));
        put(f, key, city, city);
    }
    put(f, 41, "Rome", "Rome");
    for (int key = 40; key > 0; key--)
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%d ", key);
    assert_string_equal(keys(f, "City", "City"), expected);
    assert_string_equal(keys(f, "City", "City07"), "1 ");
    assert_string_equal(keys(f, "City", "Vienna"), "");
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_prefix_of_workflow_id),
        STORE_TEST(test_prefix_of_other_namespace),
        STORE_TEST(test_prefix_of_attribute_is_merged),
        STORE_TEST(test_prefix_of_many_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
