/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values.c - steps for what must come out of a replay as it was: each value takes a turn through an
 * activity and is compared with what the code, replayed meanwhile or not, has then. And what others
 * read about the execution.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "kitchen.h"

int kitchen_run_patch(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const char *id = kitchen_text(step, "id", "");
    (void)k;
    if (kitchen_is(step, "deprecate"))
        flo_patch_deprecate(wf, id);
    else
        *out = json_boolean(flo_patched(wf, id));
    return 0;
}

/* Another one each time: a replay that called it would show. */
static json_t *count(void *ctx)
{
    static atomic_long calls;
    (void)ctx;
    return json_integer(atomic_fetch_add(&calls, 1));
}

int kitchen_run_side_effect(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    json_t *value = NULL;
    int rc = flo_side_effect(wf, count, NULL, &value);
    (void)k;
    (void)step;
    (void)out;
    return rc ? rc : kitchen_same(wf, "a side effect", value);
}

static json_t *value_of(void *ctx)
{
    return json_incref(json_object_get(ctx, "value"));
}

int kitchen_run_mutable_side_effect(struct kitchen *k, struct flo_workflow *wf, json_t *step,
                                    json_t **out)
{
    (void)k;
    return flo_mutable_side_effect(wf, kitchen_text(step, "id", ""), value_of, step, NULL, out);
}

/* An odd number takes another way. */
int kitchen_run_random(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    uint64_t number = flo_workflow_random(wf);
    int rc = number & 1 ? flo_sleep(wf, 1) : 0;
    (void)k;
    (void)step;
    (void)out;
    return rc ? rc : kitchen_same(wf, "a random number", json_integer((json_int_t)(number >> 2)));
}

int kitchen_run_now(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    (void)k;
    (void)step;
    (void)out;
    return kitchen_same(wf, "the time", json_integer(flo_workflow_now_ms(wf)));
}

int kitchen_run_order(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    (void)step;
    (void)out;
    return kitchen_same(wf, "the order of the coroutines", json_sprintf("%" PRIx64, k->order));
}

int kitchen_run_info(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const struct flo_workflow_info *info = flo_workflow_info(wf);
    (void)k;
    (void)step;
    *out = json_pack("{s:s, s:b}", "type", info->type, "sane",
                     info->attempt >= 1 && info->history_length >= 3 &&
                         info->start_ms <= flo_workflow_now_ms(wf));
    return kitchen_same(wf, "the length of the history", json_integer(info->history_length));
}

/* ---- what others read ---- */

#define ATTRIBUTES_MAX 8

/* One attribute, its kind by the value: a text is a keyword, null takes it away. */
static struct flo_search_attribute attribute(const char *name, const json_t *value)
{
    struct flo_search_attribute a = {.name = name};
    if (json_is_string(value))
        a.text = json_string_value(value);
    else if (json_is_integer(value)) {
        a.kind = FLO_ATTRIBUTE_INT;
        a.integer = json_integer_value(value);
    } else if (json_is_boolean(value)) {
        a.kind = FLO_ATTRIBUTE_BOOL;
        a.truth = json_is_true(value);
    } else if (json_is_real(value)) {
        a.kind = FLO_ATTRIBUTE_DOUBLE;
        a.number = json_real_value(value);
    } else {
        a.unset = true;
    }
    return a;
}

static json_t *read_attribute(struct flo_workflow *wf, const char *name)
{
    struct flo_search_attribute a;
    if (!flo_search_attribute_get(wf, name, &a))
        return json_null();
    switch (a.kind) {
    case FLO_ATTRIBUTE_KEYWORD:
        return json_string(a.text);
    case FLO_ATTRIBUTE_INT:
        return json_integer(a.integer);
    case FLO_ATTRIBUTE_BOOL:
        return json_boolean(a.truth);
    case FLO_ATTRIBUTE_DOUBLE:
        return json_real(a.number);
    default:
        return json_string("of another kind");
    }
}

/* Set some, and read them back. */
int kitchen_run_attributes(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    struct flo_search_attribute list[ATTRIBUTES_MAX + 1] = {{0}};
    json_t *set = json_object_get(step, "set"), *value, *found = json_object();
    const char *name;
    size_t count = 0;
    (void)k;
    json_object_foreach(set, name, value) if (count < ATTRIBUTES_MAX) list[count++] =
        attribute(name, value);
    int rc = flo_search_attributes_upsert(wf, list);
    for (size_t i = 0; rc == 0 && i < count; i++)
        json_object_set_new(found, list[i].name, read_attribute(wf, list[i].name));
    *out = found;
    return rc;
}

int kitchen_run_memo(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    json_t *set = json_object_get(step, "set"), *value, *found = json_object();
    const char *name;
    int rc = flo_memo_upsert(wf, set);
    (void)k;
    json_object_foreach(set, name, value)
    {
        json_t *now = flo_memo_get(wf, name);
        json_object_set(found, name, now ? now : json_null());
    }
    *out = found;
    return rc;
}

int kitchen_run_details(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    (void)k;
    (void)out;
    return flo_workflow_set_details(wf, kitchen_text(step, "text", ""));
}
