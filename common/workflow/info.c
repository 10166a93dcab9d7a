/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - what the run was started with. */
#include "workflow/info.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/entities.h"

typedef FloApi__WorkflowExecutionStartedEventAttributes started_attributes;

/* Texts one behind the other in one block. */
struct packing {
    char *at;
};

static const char *put(struct packing *p, const char *text)
{
    if (!*text)
        return "";
    size_t len = strlen(text) + 1;
    char *copy = memcpy(p->at, text, len);
    p->at += len;
    return copy;
}

static int read_common(struct flo_run *run, const started_attributes *a)
{
    const char *type = a->workflow_type ? a->workflow_type->name : "";
    const char *queue = a->task_queue ? a->task_queue->name : "";
    const char *first = a->first_execution_run_id;
    bool is_first = !*first || strcmp(first, run->info.run_id) == 0;
    struct packing p = {flo_heap_alloc(run->heap, strlen(type) + strlen(queue) +
                                                      (is_first ? 0 : strlen(first)) + 3)};
    if (!p.at)
        return FLO_ENOMEM;
    run->info.type = put(&p, type);
    run->info.task_queue = put(&p, queue);
    run->info.first_run_id = is_first ? run->info.run_id : put(&p, first);
    run->info.attempt = a->attempt;
    run->task_timeout_ns = flo_duration_ns(a->workflow_task_timeout);
    run->info.task_timeout_ms = run->task_timeout_ns / FLO_NS_PER_MS;
    run->info.run_timeout_ms = flo_duration_ns(a->workflow_run_timeout) / FLO_NS_PER_MS;
    run->info.execution_timeout_ms = flo_duration_ns(a->workflow_execution_timeout) / FLO_NS_PER_MS;
    return 0;
}

static int copy(struct flo_run *run, const char **out, const char *text)
{
    if (!text || !*text)
        return 0;
    *out = flo_heap_strdup(run->heap, text);
    return *out ? 0 : FLO_ENOMEM;
}

static int read_family(struct flo_run *run, const started_attributes *a)
{
    const FloApi__WorkflowExecution *parent = a->parent_workflow_execution,
                                    *root = a->root_workflow_execution;
    int rc = copy(run, &run->info.parent_namespace, parent ? a->parent_workflow_namespace : "");
    if (rc == 0)
        rc = copy(run, &run->info.parent_workflow_id, parent ? parent->workflow_id : "");
    if (rc == 0)
        rc = copy(run, &run->info.parent_run_id, parent ? parent->run_id : "");
    if (!parent || !root) /* an execution without a parent is its own root */
        return rc;
    if (rc == 0)
        rc = copy(run, &run->info.root_workflow_id, root->workflow_id);
    return rc ? rc : copy(run, &run->info.root_run_id, root->run_id);
}

static int read_retry(struct flo_run *run, const FloApi__RetryPolicy *from)
{
    size_t count = from->n_non_retryable_error_types;
    struct flo_retry_policy *policy = flo_heap_calloc(run->heap, sizeof *policy);
    const char **types = flo_heap_calloc(run->heap, (count + 1) * sizeof *types);
    int rc = policy && types ? 0 : FLO_ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        types[i] = "";
        rc = copy(run, &types[i], from->non_retryable_error_types[i]);
    }
    if (rc)
        return rc;
    *policy = (struct flo_retry_policy){
        .initial_interval_ms = flo_duration_ns(from->initial_interval) / FLO_NS_PER_MS,
        .backoff_coefficient = from->backoff_coefficient,
        .maximum_interval_ms = flo_duration_ns(from->maximum_interval) / FLO_NS_PER_MS,
        .maximum_attempts = from->maximum_attempts,
        .non_retryable_types = types,
    };
    run->info.retry = policy;
    return 0;
}

static int read_priority(struct flo_run *run, const FloApi__Priority *from)
{
    run->info.priority.priority_key = from->priority_key;
    run->info.priority.fairness_weight = from->fairness_weight;
    return copy(run, &run->info.priority.fairness_key, from->fairness_key);
}

static int read_failure(struct flo_run *run, const FloApi__Failure *failure)
{
    struct flo_buf text;
    flo_buf_init(&text, 0);
    flo_failure_describe(failure, &text);
    int rc = text.failed ? FLO_ENOMEM : copy(run, &run->info.last_failure, flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return rc ? rc : copy(run, &run->info.last_failure_type, flo_failure_type(failure));
}

/* A copy of the header that lives as long as the run: packed, as code seldom looks. */
static int read_header(struct flo_run *run, const FloApi__Header *header)
{
    size_t len = flo_wire_size(&header->base);
    uint8_t *packed = flo_heap_alloc(run->heap, len + 1);
    if (!packed)
        return FLO_ENOMEM;
    flo_wire_pack(&header->base, packed, len);
    run->header = packed;
    run->header_len = len;
    return 0;
}

int flo_info_start(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const started_attributes *a = event->workflow_execution_started_event_attributes;
    int rc = read_common(run, a);
    run->info.start_ms = flo_timestamp_ns(event->event_time) / FLO_NS_PER_MS;
    if (rc == 0 && *a->continued_execution_run_id)
        rc = copy(run, &run->info.continued_run_id, a->continued_execution_run_id);
    if (rc == 0 && a->parent_workflow_execution)
        rc = read_family(run, a);
    if (rc == 0 && *a->cron_schedule)
        rc = copy(run, &run->info.cron, a->cron_schedule);
    if (rc == 0 && a->retry_policy)
        rc = read_retry(run, a->retry_policy);
    if (rc == 0 && a->priority)
        rc = read_priority(run, a->priority);
    if (rc == 0 && a->continued_failure)
        rc = read_failure(run, a->continued_failure);
    if (rc == 0 && a->header && a->header->n_fields)
        rc = read_header(run, a->header);
    if (rc == 0 && a->last_completion_result && a->last_completion_result->n_payloads) {
        rc = flo_payloads_to_json(a->last_completion_result, false, &run->info.last_result, err);
        rc = rc == FLO_EPROTO ? 0 : rc; /* one that does not parse is none */
    }
    if (rc == 0 && (a->memo || a->search_attributes))
        rc = flo_properties_start(run, a->memo, a->search_attributes, err);
    return rc;
}

const struct flo_payload *flo_workflow_header(const struct flo_workflow *wf, const char *name)
{
    struct flo_run *run = wf->run;
    struct flo_entities *e = run->header ? flo_entities_of(run) : NULL;
    ProtobufCMessage *message = NULL;
    if (!e)
        return NULL;
    if (!e->header_message) {
        if (flo_wire_decode(&flo_api__header__descriptor, run->header, run->header_len,
                            &e->header_mem, &message, NULL)) {
            flo_run_no_memory(run); /* we packed it: nothing else can fail */
            return NULL;
        }
        e->header_message = (FloApi__Header *)(void *)message;
    }
    for (size_t i = 0; i < e->header_message->n_fields; i++) {
        const FloApi__Header__FieldsEntry *field = e->header_message->fields[i];
        if (field->value && strcmp(field->key, name) == 0)
            return flo_payload_veil(field->value);
    }
    return NULL;
}
