/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes.c - search attributes: which a namespace has, and which values they take.
 *
 * Definitions are part of the namespace's stored state. Values are JSON: one of the attribute's
 * type, null, or a list of at most one; a list of texts for KeywordList.
 */
#include "engine/core/attributes.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/search_attributes.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define TYPE(name) FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##name
#define RESERVED_PREFIX "Temporal"

enum {
    SA_KEYS = 100,
    SA_VALUE_BYTES = 2048,
    SA_TOTAL_BYTES = 40 * 1024,
    NAME_BYTES = 255,
    SHOWN_BYTES = 256, /* of a bad value in a sentence */
};

typedef FloApi__IndexedValueType type_t;

/* ---- definitions ---- */

static const FloEngine__SearchAttribute *find_own(const FloEngine__NamespaceState *state,
                                                  const char *name)
{
    for (size_t i = 0; i < state->n_search_attributes; i++)
        if (strcmp(state->search_attributes[i]->name, name) == 0)
            return state->search_attributes[i];
    return NULL;
}

type_t flo_attribute_type(const struct flo_namespace *ns, const char *name)
{
    const struct flo_search_attribute *known = flo_search_attribute_find(name);
    const FloEngine__SearchAttribute *own = known ? NULL : find_own(ns->state, name);
    return known ? known->type : own ? (type_t)own->type : TYPE(UNSPECIFIED);
}

static const char *const type_names[] = {"Unspecified", "Text", "Keyword",  "Int",
                                         "Double",      "Bool", "Datetime", "KeywordList"};
#define TYPE_COUNT (sizeof type_names / sizeof *type_names)

static const char *type_name(type_t type)
{
    return (size_t)type < TYPE_COUNT ? type_names[type] : type_names[0];
}

/* How many of a type a namespace may have: the columns of the real server's SQL stores. */
static size_t type_limit(type_t type)
{
    return type == TYPE(UNSPECIFIED) ? 0 : type == TYPE(KEYWORD) ? 10 : 3;
}

FloApi__IndexedValueType flo_core_attribute_type(const struct flo_core *core,
                                                 const char *namespace_name, const char *name)
{
    const struct flo_namespace *ns = flo_map_get_str(&core->namespaces, namespace_name);
    return ns ? flo_attribute_type(ns, name) : TYPE(UNSPECIFIED);
}

void flo_core_each_attribute(const struct flo_core *core, const char *namespace_name,
                             void (*fn)(void *ctx, const char *name, FloApi__IndexedValueType type),
                             void *ctx)
{
    const struct flo_namespace *ns = flo_map_get_str(&core->namespaces, namespace_name);
    for (size_t i = 0; ns && i < ns->state->n_search_attributes; i++)
        fn(ctx, ns->state->search_attributes[i]->name,
           (type_t)ns->state->search_attributes[i]->type);
}

int flo_core_show_attributes(const struct flo_core *core, const char *namespace_name,
                             FloApi__SearchAttributes *attributes, struct flo_arena *arena)
{
    const struct flo_namespace *ns = flo_map_get_str(&core->namespaces, namespace_name);
    return ns ? flo_attributes_show(ns, attributes, arena) : 0;
}

/* ---- values ---- */

/* A value in a sentence, written as the real server does it. */
static void show(struct flo_buf *out, const json_t *value)
{
    size_t i;
    const char *key;
    const json_t *item;
    switch (json_typeof(value)) {
    case JSON_STRING:
        flo_buf_append_str(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        flo_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        flo_buf_printf(out, "%.17g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        flo_buf_append_str(out, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        flo_buf_append_str(out, "<nil>");
        break;
    case JSON_ARRAY:
        flo_buf_append_str(out, "[");
        json_array_foreach(value, i, item)
        {
            flo_buf_append_str(out, i ? " " : "");
            show(out, item);
        }
        flo_buf_append_str(out, "]");
        break;
    case JSON_OBJECT:
        flo_buf_append_str(out, "map[");
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            flo_buf_printf(out, "%s:", key);
            show(out, item);
        }
        flo_buf_append_str(out, "]");
        break;
    }
}

/* "2024-01-02T03:04:05[.678](Z|+01:00)", roughly: what matters is that it is a time at all. */
static bool is_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t i = 0;
    for (; form[i]; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    if (text[i] == '.')
        i += 1 + strspn(text + i + 1, "0123456789");
    if (strcmp(text + i, "Z") == 0)
        return true;
    return (text[i] == '+' || text[i] == '-') && strlen(text + i) == 6 && text[i + 3] == ':';
}

static bool is_of(const json_t *value, type_t type)
{
    switch (type) {
    case TYPE(INT):
        return json_is_integer(value);
    case TYPE(DOUBLE):
        return json_is_number(value);
    case TYPE(BOOL):
        return json_is_boolean(value);
    case TYPE(DATETIME):
        return json_is_string(value) && is_time(json_string_value(value));
    default:
        return json_is_string(value);
    }
}

static bool fits(const json_t *value, type_t type)
{
    size_t i;
    const json_t *item;
    if (json_is_null(value))
        return true;
    if (!json_is_array(value))
        return type != TYPE(KEYWORD_LIST) && is_of(value, type);
    if (type != TYPE(KEYWORD_LIST) && json_array_size(value) > 1)
        return false;
    json_array_foreach(value, i, item)
    {
        if (!is_of(item, type))
            return false;
    }
    return true;
}

/* A payload that says nothing removes its attribute. */
static bool is_empty(const FloApi__Payload *payload)
{
    return !payload || payload->data.len == 0;
}

/* A payload that is no JSON, as the real server prints it. */
static void show_payload(struct flo_buf *text, const FloApi__Payload *payload)
{
    flo_buf_append_str(text, "value from <");
    for (size_t i = 0; i < payload->n_metadata; i++)
        flo_buf_printf(text, "metadata:{key:\"%s\" value:\"%.*s\"} ", payload->metadata[i]->key,
                       (int)payload->metadata[i]->value.len,
                       (const char *)payload->metadata[i]->value.data);
    flo_buf_printf(text, "data:\"%.*s\">", (int)payload->data.len,
                   (const char *)payload->data.data);
}

static int check_value(struct flo_core *core, const char *name, type_t type,
                       const FloApi__Payload *payload, struct flo_status *status)
{
    if (is_empty(payload))
        return 0;
    json_t *value = json_loadb((const char *)payload->data.data, payload->data.len,
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    int rc = 0;
    if (!value || !fits(value, type)) {
        struct flo_buf text;
        flo_buf_init(&text, SHOWN_BYTES);
        if (value)
            show(&text, value);
        else
            show_payload(&text, payload);
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "invalid value for search attribute %s of type %s: %s", name,
                            type_name(type), flo_buf_cstr(&text));
        flo_buf_fini(&text);
    }
    json_decref(value);
    return rc;
}

int flo_check_search_attributes(struct flo_core *core, const struct flo_namespace *ns,
                                const FloApi__SearchAttributes *attributes,
                                struct flo_status *status)
{
    int rc = flo_check_search_attribute_names(core, ns, attributes, status);
    if (!rc)
        rc = flo_check_search_attribute_values(core, ns, attributes, status);
    return rc ? rc : flo_check_search_attribute_sizes(core, attributes, status);
}

int flo_check_search_attribute_names(struct flo_core *core, const struct flo_namespace *ns,
                                     const FloApi__SearchAttributes *attributes,
                                     struct flo_status *status)
{
    for (size_t i = 0; attributes && i < attributes->n_indexed_fields; i++)
        if (flo_attribute_type(ns, attributes->indexed_fields[i]->key) == TYPE(UNSPECIFIED))
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "Namespace %s has no mapping defined for search attribute %s",
                                  ns->name, attributes->indexed_fields[i]->key);
    return 0;
}

int flo_check_search_attribute_values(struct flo_core *core, const struct flo_namespace *ns,
                                      const FloApi__SearchAttributes *attributes,
                                      struct flo_status *status)
{
    if (!attributes)
        return 0;
    if (attributes->n_indexed_fields > SA_KEYS)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "number of search attributes %zu exceeds limit %d",
                              attributes->n_indexed_fields, SA_KEYS);
    for (size_t i = 0; i < attributes->n_indexed_fields; i++) {
        const FloApi__SearchAttributes__IndexedFieldsEntry *field = attributes->indexed_fields[i];
        const struct flo_search_attribute *known = flo_search_attribute_find(field->key);
        const type_t type = flo_attribute_type(ns, field->key);
        if (known && !known->settable)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "%s attribute can't be set in SearchAttributes", field->key);
        int rc = check_value(core, field->key, type, field->value, status);
        if (rc)
            return rc;
    }
    return 0;
}

int flo_check_search_attribute_sizes(struct flo_core *core,
                                     const FloApi__SearchAttributes *attributes,
                                     struct flo_status *status)
{
    if (!attributes)
        return 0;
    for (size_t i = 0; i < attributes->n_indexed_fields; i++) {
        const FloApi__SearchAttributes__IndexedFieldsEntry *field = attributes->indexed_fields[i];
        if (field->value && field->value->data.len > SA_VALUE_BYTES)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "search attribute %s value size %zu exceeds size limit %d",
                                  field->key, field->value->data.len, SA_VALUE_BYTES);
    }
    if (flo_wire_size(&attributes->base) > SA_TOTAL_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "total size of search attributes exceeds size limit %d",
                              SA_TOTAL_BYTES);
    return 0;
}

/* ---- showing ---- */

static bool says_type(const FloApi__Payload *payload)
{
    for (size_t i = 0; i < payload->n_metadata; i++)
        if (strcmp(payload->metadata[i]->key, "type") == 0)
            return true;
    return false;
}

static int add_type(FloApi__Payload *payload, type_t type, struct flo_arena *arena)
{
    FloApi__Payload__MetadataEntry **metadata =
        flo_arena_alloc(arena, (payload->n_metadata + 1) * sizeof *metadata);
    FloApi__Payload__MetadataEntry *entry = flo_arena_alloc(arena, sizeof *entry);
    if (!metadata || !entry)
        return FLO_ENOMEM;
    flo_api__payload__metadata_entry__init(entry);
    entry->key = flo_text("type");
    entry->value =
        (ProtobufCBinaryData){strlen(type_name(type)), (uint8_t *)flo_text(type_name(type))};
    if (payload->n_metadata)
        memcpy(metadata, payload->metadata, payload->n_metadata * sizeof *metadata);
    metadata[payload->n_metadata++] = entry;
    payload->metadata = metadata;
    return 0;
}

int flo_attributes_show(const struct flo_namespace *ns, FloApi__SearchAttributes *attributes,
                        struct flo_arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; attributes && i < attributes->n_indexed_fields; i++) {
        FloApi__SearchAttributes__IndexedFieldsEntry *field = attributes->indexed_fields[i];
        const type_t type = flo_attribute_type(ns, field->key);
        if (type == TYPE(UNSPECIFIED))
            continue;
        if (field->value && !says_type(field->value) && add_type(field->value, type, arena))
            return FLO_ENOMEM;
        attributes->indexed_fields[count++] = field;
    }
    if (attributes)
        attributes->n_indexed_fields = count;
    return 0;
}

/* ---- OperatorService ---- */

static int find_namespace(struct flo_core *core, const char *name, struct flo_namespace **out,
                          struct flo_status *status)
{
    if (!*name)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Namespace is not set on request.");
    return flo_namespace_find(core, name, out, status);
}

static bool is_reserved(const char *name)
{
    return flo_search_attribute_find(name) ||
           strncmp(name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
}

/* How many attributes of a type the list has. */
static size_t count_of(FloEngine__SearchAttribute *const *list, size_t count, type_t type)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += (type_t)list[i]->type == type;
    return found;
}

static int check_new(struct flo_core *core, const char *name, type_t type,
                     struct flo_status *status)
{
    if (is_reserved(name))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Search attribute %s is reserved by system.", name);
    if (type > TYPE(KEYWORD_LIST))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Unknown search attribute type: %d.", (int)type);
    if (strnlen(name, NAME_BYTES + 1) > NAME_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Search attribute name is longer than %d bytes.", NAME_BYTES);
    return 0;
}

/* The definitions with those of the request; ones that are there already stay as they are. */
static int add_all(struct flo_core *core, const struct flo_namespace *ns,
                   const FloApi__AddSearchAttributesRequest *request,
                   FloEngine__NamespaceState *state, struct flo_status *status)
{
    const size_t old = ns->state->n_search_attributes;
    *state = *ns->state;
    state->search_attributes =
        flo_arena_calloc(&core->scratch, old + request->n_search_attributes + 1, sizeof(void *));
    if (!state->search_attributes)
        return flo_status_no_memory(status);
    if (old)
        memcpy(state->search_attributes, ns->state->search_attributes, old * sizeof(void *));
    for (size_t i = 0; i < request->n_search_attributes; i++) {
        const char *name = request->search_attributes[i]->key;
        const type_t type = request->search_attributes[i]->value;
        int rc = check_new(core, name, type, status);
        if (rc)
            return rc;
        if (!*name || find_own(state, name))
            continue;
        if (count_of(state->search_attributes, state->n_search_attributes, type) >=
            type_limit(type))
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "Unable to create search attributes: cannot have more than %zu "
                                  "search attribute of type %s.",
                                  type_limit(type), type_name(type));
        FloEngine__SearchAttribute *added = flo_arena_alloc(&core->scratch, sizeof *added);
        if (!added)
            return flo_status_no_memory(status);
        flo_engine__search_attribute__init(added);
        added->name = flo_text(name);
        added->type = (int32_t)type;
        state->search_attributes[state->n_search_attributes++] = added;
    }
    return 0;
}

static int remove_all(struct flo_core *core, const struct flo_namespace *ns,
                      const FloApi__RemoveSearchAttributesRequest *request,
                      FloEngine__NamespaceState *state, struct flo_status *status)
{
    const size_t old = ns->state->n_search_attributes;
    *state = *ns->state;
    state->n_search_attributes = 0;
    state->search_attributes = flo_arena_calloc(&core->scratch, old + 1, sizeof(void *));
    if (!state->search_attributes)
        return flo_status_no_memory(status);
    for (size_t i = 0; i < request->n_search_attributes; i++)
        if (is_reserved(request->search_attributes[i]))
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "Unable to remove non-custom search attributes: %s.",
                                  request->search_attributes[i]);
    for (size_t i = 0; i < old; i++) {
        bool removed = false;
        for (size_t k = 0; k < request->n_search_attributes && !removed; k++)
            removed =
                strcmp(request->search_attributes[k], ns->state->search_attributes[i]->name) == 0;
        if (!removed)
            state->search_attributes[state->n_search_attributes++] =
                ns->state->search_attributes[i];
    }
    return 0;
}

static int none_set(struct flo_core *core, struct flo_status *status)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                          "SearchAttributes are not set on request.");
}

/* The namespace; attributes are named. A namespace that there is not is told first. */
static int check_named(struct flo_core *core, const char *namespace_name, size_t count,
                       struct flo_namespace **out, struct flo_status *status)
{
    int rc = *namespace_name ? find_namespace(core, namespace_name, out, status) : 0;
    if (!rc && !count)
        rc = none_set(core, status);
    return rc || *out ? rc : find_namespace(core, namespace_name, out, status);
}

void flo_rpc_add_search_attributes(struct flo_core *core, const struct flo_core_call_info *info,
                                   const void *message)
{
    const FloApi__AddSearchAttributesRequest *request = message;
    static const FloApi__AddSearchAttributesResponse response =
        FLO_API__ADD_SEARCH_ATTRIBUTES_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns = NULL;
    FloEngine__NamespaceState state;
    uint64_t after = 0;
    int rc = check_named(core, request->namespace_, request->n_search_attributes, &ns, &status);
    if (!rc)
        rc = add_all(core, ns, request, &state, &status);
    if (!rc)
        rc = flo_namespace_replace(core, ns, &state, &after, &status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, after, &response.base);
}

int flo_core_ensure_attribute(struct flo_core *core, const char *namespace_name, const char *name,
                              const char *type, struct flo_err *err)
{
    struct flo_namespace *ns = flo_map_get_str(&core->namespaces, namespace_name);
    size_t i = 1;
    if (!ns)
        return flo_fail(err, FLO_ENOENT, "there is no namespace %s", namespace_name);
    while (i < TYPE_COUNT && strcmp(type_names[i], type) != 0)
        i++;
    if (!*name || i == TYPE_COUNT)
        return flo_fail(err, FLO_EINVAL,
                        "--search-attribute wants NAME=TYPE, not %s%s%s; types are Text, Keyword, "
                        "Int, Double, Bool, Datetime and KeywordList",
                        name, *type ? "=" : "", type);
    FloApi__AddSearchAttributesRequest__SearchAttributesEntry
        entry = FLO_API__ADD_SEARCH_ATTRIBUTES_REQUEST__SEARCH_ATTRIBUTES_ENTRY__INIT,
        *entries[] = {&entry};
    FloApi__AddSearchAttributesRequest request = FLO_API__ADD_SEARCH_ATTRIBUTES_REQUEST__INIT;
    entry.key = flo_text(name);
    entry.value = (type_t)i;
    request.n_search_attributes = 1;
    request.search_attributes = entries;
    struct flo_status status = {0};
    FloEngine__NamespaceState state;
    uint64_t after;
    int rc = add_all(core, ns, &request, &state, &status);
    if (!rc && state.n_search_attributes > ns->state->n_search_attributes)
        rc = flo_namespace_replace(core, ns, &state, &after, &status);
    if (rc)
        flo_fail(err, rc == FLO_ENOMEM ? rc : FLO_EINVAL, "%s", status.message);
    return rc && rc != FLO_ENOMEM ? FLO_EINVAL : rc;
}

void flo_rpc_remove_search_attributes(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__RemoveSearchAttributesRequest *request = message;
    static const FloApi__RemoveSearchAttributesResponse response =
        FLO_API__REMOVE_SEARCH_ATTRIBUTES_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns = NULL;
    FloEngine__NamespaceState state;
    uint64_t after = 0;
    int rc = check_named(core, request->namespace_, request->n_search_attributes, &ns, &status);
    if (!rc)
        rc = remove_all(core, ns, request, &state, &status);
    if (!rc)
        rc = flo_namespace_replace(core, ns, &state, &after, &status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, after, &response.base);
}
