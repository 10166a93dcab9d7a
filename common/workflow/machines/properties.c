/* SPDX-License-Identifier: Apache-2.0 */
/*
 * properties.c - search attributes and the memo: what the execution was started with, and the
 * commands that change it. Each change is one command with one state behind it: issued, until its
 * event shows that it was taken; nothing answers it.
 */
#include <stdio.h>
#include <string.h>

#include "flotilla/payload.h"
#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/fill.h"

/* One current search attribute; in the heap, under its name. */
struct flo_attribute {
    struct flo_search_attribute value; /* its texts are the ones below */
    bool untyped;                      /* it came without its type */
    json_t *json;                      /* owned: text, or the list's items */
    const char **items;                /* owned: value.list */
};

static int recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    (void)command;
    (void)event;
    return 0; /* the type is all that must match */
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    (void)command;
    *out_text = '\0';
    (void)size;
}

static const struct flo_command_ops upsert_ops = {FLO_COMMAND(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES),
                                                  recorded, describe};
static const struct flo_command_ops memo_ops = {FLO_COMMAND(MODIFY_WORKFLOW_PROPERTIES), recorded,
                                                describe};

/* ---- search attributes ---- */

static void attribute_free(struct flo_attribute *attribute)
{
    if (!attribute)
        return;
    json_decref(attribute->json);
    flo_heap_free(attribute->items);
    flo_heap_free(attribute);
}

static void attribute_remove(struct flo_entities *e, const char *name)
{
    attribute_free(flo_map_remove_str(&e->attributes, name));
}

/* Text and lists are kept as JSON of the run's, so that one free is enough. */
static int set_json(struct flo_run *run, struct flo_attribute *attribute, json_t *json)
{
    attribute->json = json;
    if (!json)
        return FLO_ENOMEM;
    attribute->value.text = json_string_value(json);
    if (attribute->value.kind != FLO_ATTRIBUTE_KEYWORD_LIST)
        return 0;
    attribute->items = flo_heap_calloc(run->heap, (json_array_size(json) + 1) * sizeof(char *));
    if (!attribute->items)
        return FLO_ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(json); i++) {
        const char *item = json_string_value(json_array_get(json, i));
        if (item)
            attribute->items[count++] = item;
    }
    attribute->value.list = attribute->items;
    return 0;
}

static int attribute_put(struct flo_run *run, struct flo_entities *e, const char *name,
                         struct flo_attribute *attribute, json_t *json)
{
    attribute_remove(e, name);
    int rc = json ? set_json(run, attribute, json) : 0;
    if (rc == 0)
        rc = flo_map_put_str(&e->attributes, name, attribute);
    if (rc)
        attribute_free(attribute);
    return rc;
}

static json_t *list_of(const char *const *list)
{
    json_t *array = json_array();
    for (; array && *list; list++) {
        if (json_array_append_new(array, json_string(*list))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int attribute_set(struct flo_run *run, struct flo_entities *e,
                         const struct flo_search_attribute *from)
{
    if (from->unset) {
        attribute_remove(e, from->name);
        return 0;
    }
    struct flo_attribute *attribute = flo_heap_calloc(run->heap, sizeof *attribute);
    if (!attribute)
        return FLO_ENOMEM;
    attribute->value = *from;
    attribute->value.name = attribute->value.text = NULL;
    attribute->value.list = NULL;
    json_t *json = NULL;
    bool text = from->kind == FLO_ATTRIBUTE_KEYWORD || from->kind == FLO_ATTRIBUTE_TEXT;
    if (text || from->kind == FLO_ATTRIBUTE_KEYWORD_LIST) {
        json = text ? json_string(from->text) : list_of(from->list);
        if (!json) {
            attribute_free(attribute);
            return FLO_ENOMEM;
        }
    }
    return attribute_put(run, e, from->name, attribute, json);
}

/* The kind of a value that came without one. */
static enum flo_attribute_kind guess(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_INTEGER:
        return FLO_ATTRIBUTE_INT;
    case JSON_REAL:
        return FLO_ATTRIBUTE_DOUBLE;
    case JSON_TRUE:
    case JSON_FALSE:
        return FLO_ATTRIBUTE_BOOL;
    case JSON_ARRAY:
        return FLO_ATTRIBUTE_KEYWORD_LIST;
    default:
        return FLO_ATTRIBUTE_KEYWORD;
    }
}

/* What json (consumed) says, as an attribute of that kind; false: it is no such value. */
static bool read_value(struct flo_search_attribute *value, json_t *json)
{
    switch (value->kind) {
    case FLO_ATTRIBUTE_INT:
        value->integer = json_integer_value(json);
        return json_is_integer(json);
    case FLO_ATTRIBUTE_DOUBLE:
        value->number = json_number_value(json);
        return json_is_number(json);
    case FLO_ATTRIBUTE_BOOL:
        value->truth = json_is_true(json);
        return json_is_boolean(json);
    case FLO_ATTRIBUTE_DATETIME:
        return json_is_string(json) &&
               flo_attribute_time_parse(json_string_value(json), &value->time_ms);
    case FLO_ATTRIBUTE_KEYWORD_LIST:
        return json_is_array(json);
    default:
        return json_is_string(json);
    }
}

/* One that the execution was started with. What cannot be read is left out. */
static int attribute_start(struct flo_run *run, struct flo_entities *e, const char *name,
                           const FloApi__Payload *payload)
{
    json_t *json = NULL;
    if (!payload || strcmp(name, "TemporalChangeVersion") == 0)
        return 0;
    int rc = flo_payload_to_json(payload, &json, NULL);
    if (rc)
        return rc == FLO_ENOMEM ? rc : 0;
    struct flo_attribute *attribute = flo_heap_calloc(run->heap, sizeof *attribute);
    if (!attribute) {
        json_decref(json);
        return FLO_ENOMEM;
    }
    attribute->untyped = !flo_attribute_kind_of(payload, &attribute->value.kind);
    if (attribute->untyped)
        attribute->value.kind = guess(json);
    bool list = json_is_array(json) && json_array_size(json) == 1;
    if (list && attribute->value.kind != FLO_ATTRIBUTE_KEYWORD_LIST) { /* as old clients send it */
        json_t *one = json_incref(json_array_get(json, 0));
        json_decref(json);
        json = one;
    }
    if (!read_value(&attribute->value, json)) {
        json_decref(json);
        flo_heap_free(attribute);
        return 0;
    }
    return attribute_put(run, e, name, attribute, json);
}

static int issue_upsert(struct flo_run *run, const struct flo_search_attribute *list)
{
    struct flo_command *command = flo_command_issue(run, &upsert_ops, NULL);
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    bool no_memory = false;
    FloApi__UpsertWorkflowSearchAttributesCommandAttributes *a =
        flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__upsert_workflow_search_attributes_command_attributes__init(a);
    a->search_attributes = flo_fill_attributes(run->answer, list, &no_memory);
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES_COMMAND_ATTRIBUTES;
    command->message->upsert_workflow_search_attributes_command_attributes = a;
    return no_memory ? FLO_ENOMEM : 0;
}

int flo_search_attributes_upsert(struct flo_workflow *wf,
                                 const struct flo_search_attribute *attributes)
{
    struct flo_run *run = wf->run;
    struct flo_err why = {0};
    int rc = flo_may_issue(run, &why);
    if (rc == 0 && (!attributes || !attributes->name))
        rc = flo_fail(&why, FLO_EINVAL, "no search attribute to change");
    if (rc == 0)
        rc = flo_attributes_check(attributes, &why);
    if (rc)
        return flo_workflow_refuse_err(wf, &why);
    struct flo_entities *e = flo_entities_of(run);
    rc = e ? issue_upsert(run, attributes) : FLO_ENOMEM;
    for (; rc == 0 && attributes->name; attributes++)
        rc = attribute_set(run, e, attributes);
    return rc ? flo_run_no_memory(run) : 0;
}

bool flo_search_attribute_get(struct flo_workflow *wf, const char *name,
                              struct flo_search_attribute *out)
{
    const struct flo_entities *e = wf->run->entities;
    const struct flo_attribute *attribute = e ? flo_map_get_str(&e->attributes, name) : NULL;
    if (!attribute)
        return false;
    *out = attribute->value;
    out->name = name;
    return true;
}

FloApi__SearchAttributes *flo_properties_attributes(struct flo_run *run, struct flo_arena *arena,
                                                    bool *no_memory)
{
    const struct flo_entities *e = run->entities;
    if (!e || e->attributes.count == 0)
        return NULL;
    FloApi__SearchAttributes *map = flo_arena_alloc(arena, sizeof *map);
    FloApi__SearchAttributes__IndexedFieldsEntry **entries =
        flo_arena_calloc(arena, e->attributes.count, sizeof *entries);
    *no_memory = *no_memory || !map || !entries;
    if (!map || !entries)
        return NULL;
    flo_api__search_attributes__init(map);
    map->indexed_fields = entries;
    for (struct flo_map_entry *it = flo_map_first(&e->attributes); it; it = flo_map_next(it)) {
        const struct flo_attribute *attribute = flo_map_value(it);
        FloApi__SearchAttributes__IndexedFieldsEntry *entry = flo_arena_alloc(arena, sizeof *entry);
        if (!entry) {
            *no_memory = true;
            return NULL;
        }
        flo_api__search_attributes__indexed_fields_entry__init(entry);
        entry->key = flo_fill_text(arena, flo_map_key(it, NULL), no_memory);
        entry->value = flo_attribute_payload(arena, &attribute->value, attribute->untyped);
        *no_memory = *no_memory || !entry->value;
        entries[map->n_indexed_fields++] = entry;
    }
    return map;
}

/* ---- memo ---- */

json_t *flo_memo_get(struct flo_workflow *wf, const char *name)
{
    const struct flo_entities *e = wf->run->entities;
    return e ? json_object_get(e->memo, name) : NULL;
}

static int issue_memo(struct flo_run *run, const json_t *changes)
{
    struct flo_command *command = flo_command_issue(run, &memo_ops, NULL);
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    bool no_memory = false;
    FloApi__ModifyWorkflowPropertiesCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__modify_workflow_properties_command_attributes__init(a);
    a->upserted_memo = flo_fill_memo(run->answer, changes, &no_memory);
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_MODIFY_WORKFLOW_PROPERTIES_COMMAND_ATTRIBUTES;
    command->message->modify_workflow_properties_command_attributes = a;
    return no_memory ? FLO_ENOMEM : 0;
}

/* Copies: what code goes on to change is not the memo. */
static int memo_merge(struct flo_entities *e, const json_t *changes)
{
    const char *name;
    json_t *value;
    if (!e->memo)
        e->memo = json_object();
    json_object_foreach((json_t *)(uintptr_t)changes, name, value)
    {
        if (json_is_null(value))
            json_object_del(e->memo, name);
        else if (json_object_set_new(e->memo, name, json_deep_copy(value)))
            return FLO_ENOMEM;
    }
    return e->memo ? 0 : FLO_ENOMEM;
}

int flo_memo_upsert(struct flo_workflow *wf, json_t *changes)
{
    struct flo_run *run = wf->run;
    struct flo_err why = {0};
    int rc = flo_may_issue(run, &why);
    if (rc == 0 && json_object_size(changes) == 0)
        rc = flo_fail(&why, FLO_EINVAL, "a change of the memo is an object with a member");
    if (rc)
        return flo_workflow_refuse_err(wf, &why);
    struct flo_entities *e = flo_entities_of(run);
    rc = e ? issue_memo(run, changes) : FLO_ENOMEM;
    if (rc == 0)
        rc = memo_merge(e, changes);
    return rc ? flo_run_no_memory(run) : 0;
}

/* ---- starting ---- */

/* One that does not parse is kept as the bytes that came. */
static int memo_start(struct flo_entities *e, const FloApi__Memo__FieldsEntry *field,
                      struct flo_err *err)
{
    json_t *value = NULL;
    if (!field->value)
        return 0;
    int rc = flo_payload_to_json(field->value, &value, err);
    if (rc == FLO_EPROTO) {
        value = flo_raw_new("json/plain", field->value->data.data, field->value->data.len);
        rc = value ? 0 : FLO_ENOMEM;
    }
    return rc ? rc : (json_object_set_new(e->memo, field->key, value) ? FLO_ENOMEM : 0);
}

int flo_properties_start(struct flo_run *run, const FloApi__Memo *memo,
                         const FloApi__SearchAttributes *attributes, struct flo_err *err)
{
    bool any = (memo && memo->n_fields) || (attributes && attributes->n_indexed_fields);
    struct flo_entities *e = any ? flo_entities_of(run) : NULL;
    int rc = any && !e ? FLO_ENOMEM : 0;
    if (rc == 0 && memo && memo->n_fields) {
        e->memo = json_object();
        rc = e->memo ? 0 : FLO_ENOMEM;
        for (size_t i = 0; rc == 0 && i < memo->n_fields; i++)
            rc = memo_start(e, memo->fields[i], err);
    }
    for (size_t i = 0; rc == 0 && attributes && i < attributes->n_indexed_fields; i++)
        rc = attribute_start(run, e, attributes->indexed_fields[i]->key,
                             attributes->indexed_fields[i]->value);
    return rc;
}
