/* SPDX-License-Identifier: Apache-2.0 */
/* The strict YAML reader: what it takes, what it refuses and how it says so. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/yaml.h"
#include "support/cmocka_env.h"

static int parse_bytes(const char *text, size_t len, struct flo_err *err)
{
    struct flo_yaml yaml;
    int rc = flo_yaml_parse("f.yaml", text, len, &yaml, err);
    flo_yaml_free(&yaml);
    return rc;
}

static void assert_refused(const char *text, const char *message)
{
    struct flo_err err = {0};
    assert_int_equal(parse_bytes(text, strlen(text), &err), FLO_ECONFIG);
    assert_string_equal(err.message, message);
}

static void assert_accepted(const char *text)
{
    struct flo_err err = {0};
    int rc = parse_bytes(text, strlen(text), &err);
    if (rc)
        print_error("%s\n", err.message);
    assert_int_equal(rc, 0);
}

/* A tree keeps values, quoting and positions. */
static void test_parse_keeps_positions(void **state)
{
    (void)state;
    const char *text = "a: 1\nb:\n  c: \"x\"\n  d: [p, q]\n";
    struct flo_yaml yaml;
    assert_int_equal(flo_yaml_parse("f.yaml", text, strlen(text), &yaml, NULL), 0);
    const struct flo_yaml_node *b = flo_yaml_get(yaml.root, "b");
    const struct flo_yaml_node *c = flo_yaml_get(b, "c");
    assert_string_equal(c->text, "x");
    assert_true(c->quoted);
    assert_int_equal(c->line, 3);
    assert_int_equal(c->column, 6);
    assert_int_equal(c->key_column, 3);
    const struct flo_yaml_node *d = flo_yaml_get(b, "d");
    assert_int_equal(d->kind, FLO_YAML_LIST);
    assert_int_equal(d->count, 2);
    assert_string_equal(d->first->next->text, "q");
    assert_null(flo_yaml_get(b, "e"));
    assert_false(flo_yaml_get(yaml.root, "a")->quoted);
    flo_yaml_free(&yaml);
}

/* Encodings and characters: BOM and CRLF pass, the rest is named with its place. */
static void test_parse_characters(void **state)
{
    (void)state;
    assert_accepted("\xef\xbb\xbf"
                    "a: 1\r\nb: 2\r\n");
    assert_accepted("a: \"gr\xc3\xbc\xc3\x9f\"\n");
    assert_refused("a: 1\n\tb: 2\n", "f.yaml:2:1: a tab; indent and separate with spaces");
    assert_refused("a: 1\n\nb: \xff\n", "f.yaml:3:1: a byte that is not UTF-8");
    assert_refused("\xff\xfe"
                   "a",
                   "f.yaml:1:1: the file is UTF-16; UTF-8 is expected");
    assert_refused("a: \x01\n", "f.yaml:1:4: a control character; UTF-8 text is expected");
    assert_refused("a: 1\rb: 2", "f.yaml:1:5: a carriage return without a line feed");
    struct flo_err err = {0};
    assert_int_equal(parse_bytes("a: \0b\n", 7, &err), FLO_ECONFIG);
    assert_string_equal(err.message, "f.yaml:1:4: a control character; UTF-8 text is expected");
    assert_refused("a: \"x\\0y\"\n", "f.yaml:1:4: text with a NUL character");
}

/* One document that is a map. */
static void test_parse_documents(void **state)
{
    (void)state;
    const char *empty = "f.yaml:1:1: the file holds no settings; a map of them is expected";
    assert_refused("", empty);
    assert_refused("# only\n# comments\n", empty);
    assert_refused("---\n...\n", empty);
    assert_refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document; one is allowed");
    assert_refused("- a\n", "f.yaml:1:1: a map of settings (key: value) is expected");
    assert_refused("text\n", "f.yaml:1:1: a map of settings (key: value) is expected");
}

/* Aliases, anchors, tags and duplicate keys. */
static void test_parse_refuses_what_hides_meaning(void **state)
{
    (void)state;
    assert_refused("a: &x 1\n", "f.yaml:1:4: an anchor (&name); anchors are not allowed");
    assert_refused("a: [1]\nb: *x\n", "f.yaml:2:4: an alias (*name); aliases are not allowed");
    assert_refused("a: !!python/object:os.system x\n",
                   "f.yaml:1:4: a tag (!name); tags are not allowed");
    assert_refused("a: !mine [1]\n", "f.yaml:1:4: a tag (!name); tags are not allowed");
    assert_refused("a: 1\nb: 2\na: 3\n",
                   "f.yaml:3:1: a: the key stands twice; it was given at line 1 already");
    assert_refused("[a]: 1\n", "f.yaml:1:1: a key is expected: one word of text");
    assert_refused("a: [1\n", "f.yaml:2:1: not YAML: did not find expected ',' or ']'");
}

static void assert_fast_refusal(const char *unit, size_t count)
{
    size_t unit_len = strlen(unit);
    char *text = flo_malloc(unit_len * count + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * unit_len, unit, unit_len);
    clock_t before = clock(); /* processor time: others may be busy */
    struct flo_err err = {0};
    assert_int_equal(parse_bytes(text, unit_len * count, &err), FLO_ECONFIG);
    assert_true(clock() - before < CLOCKS_PER_SEC / 5);
    assert_non_null(strstr(err.message, "f.yaml:"));
    flo_free(text);
}

/* Files made to be slow end at once. */
static void test_parse_hostile_nesting_is_fast(void **state)
{
    (void)state;
    assert_fast_refusal("[", 100000);
    assert_fast_refusal("{", 100000);
    assert_fast_refusal("- ", 100000);
    assert_fast_refusal("[]", 100000);
    assert_fast_refusal("\"[\"", 80000);
    assert_fast_refusal("'[' ", 60000);
    assert_fast_refusal("? ", 100000);
    assert_fast_refusal("a: ", 80000);
    assert_fast_refusal("x", 300000); /* too large */
}

/* Depth 16 is enough for anybody; 17 is refused, also without brackets. */
static void test_parse_depth_limit(void **state)
{
    (void)state;
    assert_accepted("a: [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]\n"); /* the map and 15 lists */
    assert_refused("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n",
                   "f.yaml:1:19: nested too deep; at most 16 levels are allowed");
}

struct folder {
    char path[64];
    char file[96];
};

static void make_folder(struct folder *folder)
{
    snprintf(folder->path, sizeof folder->path, "/tmp/flo-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof folder->file, "%s/f.yaml", folder->path);
}

static int load(const char *path, struct flo_yaml *yaml)
{
    return flo_yaml_load(path, yaml, NULL);
}

/* Absent, folder, FIFO, device, and the file's mode. */
static void test_load_takes_regular_files_only(void **state)
{
    (void)state;
    struct folder folder;
    make_folder(&folder);
    struct flo_yaml yaml;
    assert_int_equal(load(folder.file, &yaml), FLO_ENOENT);
    flo_yaml_free(&yaml);
    assert_int_equal(load(folder.path, &yaml), FLO_ECONFIG);
    flo_yaml_free(&yaml);
    assert_int_equal(load("/dev/zero", &yaml), FLO_ECONFIG);
    flo_yaml_free(&yaml);
    assert_int_equal(mkfifo(folder.file, 0600), 0);
    assert_int_equal(load(folder.file, &yaml), FLO_ECONFIG);
    flo_yaml_free(&yaml);
    unlink(folder.file);

    int fd = open(folder.file, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "a: 1\n", 5), 5);
    close(fd);
    assert_int_equal(load(folder.file, &yaml), 0);
    assert_false(yaml.world_writable || yaml.others_may_read);
    flo_yaml_free(&yaml);
    assert_int_equal(chmod(folder.file, 0666), 0);
    assert_int_equal(load(folder.file, &yaml), 0);
    assert_true(yaml.world_writable && yaml.others_may_read);
    flo_yaml_free(&yaml);
    unlink(folder.file);
    rmdir(folder.path);
}

/* Each allocation fails once: an error, no crash, no leak. */
static void test_parse_survives_lack_of_memory(void **state)
{
    (void)state;
    const char *text = "a: 1\nb: {c: [x, y], d: \"z\"}\n";
    for (int64_t n = 0; n < 50; n++) {
        flo_alloc_fail_after(n, 0);
        int rc = parse_bytes(text, strlen(text), NULL);
        flo_alloc_fail_after(-1, 0);
        if (rc == 0)
            return;
        assert_int_equal(rc, FLO_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_keeps_positions),
        cmocka_unit_test(test_parse_characters),
        cmocka_unit_test(test_parse_documents),
        cmocka_unit_test(test_parse_refuses_what_hides_meaning),
        cmocka_unit_test(test_parse_hostile_nesting_is_fast),
        cmocka_unit_test(test_parse_depth_limit),
        cmocka_unit_test(test_load_takes_regular_files_only),
        cmocka_unit_test(test_parse_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
