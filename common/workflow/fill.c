/* SPDX-License-Identifier: Apache-2.0 */
/* fill.c - the parts that commands share. */
#include "workflow/fill.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "wire/payload.h"

bool flo_is_text(const char *text)
{
    return !text || flo_utf8_valid(text, strlen(text));
}

bool flo_is_fields(const json_t *object)
{
    return !object || json_is_object(object); /* jansson's keys are UTF-8 */
}

int flo_retry_check(const struct flo_retry_policy *retry, struct flo_err *err)
{
    if (!retry)
        return 0;
    for (size_t i = 0; retry->non_retryable_types && retry->non_retryable_types[i]; i++) {
        if (!flo_is_text(retry->non_retryable_types[i]))
            return flo_fail(err, FLO_EINVAL, "a type in its retry policy is not UTF-8");
    }
    if (retry->initial_interval_ms < 0 || retry->maximum_interval_ms < 0 ||
        retry->maximum_attempts < 0)
        return flo_fail(err, FLO_EINVAL, "a number of its retry policy is negative");
    if (retry->backoff_coefficient != 0 && !(retry->backoff_coefficient >= 1))
        return flo_fail(err, FLO_EINVAL, "the backoff_coefficient of its retry policy is below 1");
    if (retry->maximum_interval_ms > 0 && retry->maximum_interval_ms < retry->initial_interval_ms)
        return flo_fail(err, FLO_EINVAL,
                        "the maximum_interval_ms of its retry policy is below its "
                        "initial_interval_ms");
    return 0;
}

static void *keep(void *block, bool *no_memory)
{
    if (!block)
        *no_memory = true;
    return block;
}

char *flo_fill_text(struct flo_arena *arena, const char *text, bool *no_memory)
{
    if (!text || !*text)
        return (char *)(uintptr_t)protobuf_c_empty_string;
    return keep(flo_arena_strdup(arena, text), no_memory);
}

FloApi__WorkflowType *flo_fill_type(struct flo_arena *arena, const char *name, bool *no_memory)
{
    FloApi__WorkflowType *type = keep(flo_arena_alloc(arena, sizeof *type), no_memory);
    if (!type)
        return NULL;
    flo_api__workflow_type__init(type);
    type->name = flo_fill_text(arena, name, no_memory);
    return type;
}

FloApi__TaskQueue *flo_fill_queue(struct flo_arena *arena, const char *name, bool *no_memory)
{
    FloApi__TaskQueue *queue = keep(flo_arena_alloc(arena, sizeof *queue), no_memory);
    if (!queue)
        return NULL;
    flo_api__task_queue__init(queue);
    queue->name = flo_fill_text(arena, name, no_memory);
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    return queue;
}

FloApi__WorkflowExecution *flo_fill_execution(struct flo_arena *arena, const char *workflow_id,
                                              const char *run_id, bool *no_memory)
{
    FloApi__WorkflowExecution *execution =
        keep(flo_arena_alloc(arena, sizeof *execution), no_memory);
    if (!execution)
        return NULL;
    flo_api__workflow_execution__init(execution);
    execution->workflow_id = flo_fill_text(arena, workflow_id, no_memory);
    execution->run_id = flo_fill_text(arena, run_id, no_memory);
    return execution;
}

FloApi__Payloads *flo_fill_input(struct flo_arena *arena, const json_t *input, bool *no_memory)
{
    return input ? keep(flo_payloads_from_json(arena, input), no_memory) : NULL;
}

Google__Protobuf__Duration *flo_fill_duration(struct flo_arena *arena, int64_t ms, bool *no_memory)
{
    if (ms == 0)
        return NULL;
    if (ms > INT64_MAX / FLO_NS_PER_MS)
        ms = INT64_MAX / FLO_NS_PER_MS;
    return keep(flo_duration_new(arena, ms * FLO_NS_PER_MS), no_memory);
}

FloApi__RetryPolicy *flo_fill_retry(struct flo_arena *arena, const struct flo_retry_policy *from,
                                    bool *no_memory)
{
    if (!from)
        return NULL;
    size_t count = 0;
    while (from->non_retryable_types && from->non_retryable_types[count])
        count++;
    FloApi__RetryPolicy *policy = keep(flo_arena_alloc(arena, sizeof *policy), no_memory);
    char **types = keep(flo_arena_calloc(arena, count + 1, sizeof(char *)), no_memory);
    if (!policy || !types)
        return NULL;
    flo_api__retry_policy__init(policy);
    policy->initial_interval = flo_fill_duration(arena, from->initial_interval_ms, no_memory);
    policy->backoff_coefficient = from->backoff_coefficient;
    policy->maximum_interval = flo_fill_duration(arena, from->maximum_interval_ms, no_memory);
    policy->maximum_attempts = from->maximum_attempts;
    for (size_t i = 0; i < count; i++)
        types[i] = flo_fill_text(arena, from->non_retryable_types[i], no_memory);
    policy->non_retryable_error_types = types;
    policy->n_non_retryable_error_types = count;
    return policy;
}

/* The members of a JSON object as the entries of a protobuf map from names to payloads. */
#define FILL_MAP(arena, object, no_memory, Message, message, Entry, entry, member)                 \
    do {                                                                                           \
        size_t count = json_object_size(object);                                                   \
        if (count == 0)                                                                            \
            return NULL;                                                                           \
        FloApi__##Message *map = keep(flo_arena_alloc(arena, sizeof *map), no_memory);             \
        FloApi__##Message##__##Entry **entries =                                                   \
            keep(flo_arena_calloc(arena, count, sizeof *entries), no_memory);                      \
        if (!map || !entries)                                                                      \
            return NULL;                                                                           \
        flo_api__##message##__init(map);                                                           \
        const char *name;                                                                          \
        json_t *value;                                                                             \
        json_object_foreach((json_t *)(uintptr_t)(object), name, value)                            \
        {                                                                                          \
            FloApi__##Message##__##Entry *e = keep(flo_arena_alloc(arena, sizeof *e), no_memory);  \
            if (!e)                                                                                \
                return NULL;                                                                       \
            flo_api__##message##__##entry##__init(e);                                              \
            e->key = flo_fill_text(arena, name, no_memory);                                        \
            e->value = keep(flo_payload_from_json(arena, value), no_memory);                       \
            entries[map->n_##member++] = e;                                                        \
        }                                                                                          \
        map->member = entries;                                                                     \
        return map;                                                                                \
    } while (0)

FloApi__Memo *flo_fill_memo(struct flo_arena *arena, const json_t *object, bool *no_memory)
{
    FILL_MAP(arena, object, no_memory, Memo, memo, FieldsEntry, fields_entry, fields);
}

FloApi__Header *flo_fill_header(struct flo_arena *arena, const json_t *object, bool *no_memory)
{
    FILL_MAP(arena, object, no_memory, Header, header, FieldsEntry, fields_entry, fields);
}

FloApi__SearchAttributes *flo_fill_attributes(struct flo_arena *arena,
                                              const struct flo_search_attribute *list,
                                              bool *no_memory)
{
    size_t count = 0;
    while (list && list[count].name)
        count++;
    if (count == 0)
        return NULL;
    FloApi__SearchAttributes *map = keep(flo_arena_alloc(arena, sizeof *map), no_memory);
    FloApi__SearchAttributes__IndexedFieldsEntry **entries =
        keep(flo_arena_calloc(arena, count, sizeof *entries), no_memory);
    if (!map || !entries)
        return NULL;
    flo_api__search_attributes__init(map);
    for (size_t i = 0; i < count; i++) {
        FloApi__SearchAttributes__IndexedFieldsEntry *e =
            keep(flo_arena_alloc(arena, sizeof *e), no_memory);
        if (!e)
            return NULL;
        flo_api__search_attributes__indexed_fields_entry__init(e);
        e->key = flo_fill_text(arena, list[i].name, no_memory);
        e->value = keep(flo_attribute_payload(arena, &list[i], false), no_memory);
        entries[i] = e;
    }
    map->indexed_fields = entries;
    map->n_indexed_fields = count;
    return map;
}

FloApi__Priority *flo_fill_priority(struct flo_arena *arena, const struct flo_priority *from,
                                    bool *no_memory)
{
    bool said = from->priority_key || from->fairness_weight != 0 ||
                (from->fairness_key && *from->fairness_key);
    FloApi__Priority *priority =
        said ? keep(flo_arena_alloc(arena, sizeof *priority), no_memory) : NULL;
    if (!priority)
        return NULL;
    flo_api__priority__init(priority);
    priority->priority_key = from->priority_key;
    priority->fairness_key = flo_fill_text(arena, from->fairness_key, no_memory);
    priority->fairness_weight = from->fairness_weight;
    return priority;
}

static FloApi__Payload *text_payload(struct flo_arena *arena, const char *text, bool *no_memory)
{
    if (!text)
        return NULL;
    json_t *value = json_string(text);
    FloApi__Payload *payload = value ? flo_payload_from_json(arena, value) : NULL;
    json_decref(value);
    return keep(payload, no_memory);
}

FloApi__UserMetadata *flo_fill_metadata(struct flo_arena *arena, const char *summary,
                                        const char *details, bool *no_memory)
{
    if (!summary && !details)
        return NULL;
    FloApi__UserMetadata *metadata = keep(flo_arena_alloc(arena, sizeof *metadata), no_memory);
    if (!metadata)
        return NULL;
    flo_api__user_metadata__init(metadata);
    metadata->summary = text_payload(arena, summary, no_memory);
    metadata->details = text_payload(arena, details, no_memory);
    return metadata;
}
