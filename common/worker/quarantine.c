/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine.c - counting crashes and refusing what is parked; see quarantine.h. */
#include "worker/quarantine.h"

#include <limits.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "quarantine/record.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "worker/control.h"
#include "worker/parked.h"

static int64_t now_ms(void)
{
    return flo_clock_wall_ns() / FLO_NS_PER_MS;
}

static struct flo_quarantine_limits limits_of(const struct flo_poison *poison)
{
    const struct flo_role_config *config = poison->worker->config;

    return (struct flo_quarantine_limits){.crashes = config->quarantine.crashes,
                                          .window_ms = config->quarantine.window_ms};
}
/* ---- the failure ---- */

static struct flo_quarantine_attempt attempt_of(const struct flo_activity_task *at)
{
    const FloApi__WorkflowType *type = at->task->workflow_type;

    return (struct flo_quarantine_attempt){.workflow_id = at->workflow_id,
                                           .run_id = at->run_id,
                                           .workflow_type = type ? type->name : NULL,
                                           .activity_id = at->activity_id,
                                           .identity = at->worker->identity,
                                           .attempt = at->attempt,
                                           .at_ms = now_ms()};
}

static const char *message_of(struct flo_activity_task *at, const struct flo_quarantine_view *view,
                              const char *cause, bool in_memory)
{
    char id[FLO_QUARANTINE_SHORT + 1];

    snprintf(id, sizeof id, "%s", view->id);
    if (in_memory)
        return flo_arena_printf(&at->arena,
                                "The input of this activity killed its executor %lld times (last: "
                                "%s) and is parked in the memory of worker %s: it runs again when "
                                "that is restarted",
                                (long long)view->crashes, cause, at->worker->identity);
    return flo_arena_printf(&at->arena,
                            "The input of this activity killed its executor %lld times (last: %s) "
                            "and is parked: `flotilla quarantine show %s` tells more, `flotilla "
                            "quarantine retry %s` lets it run again",
                            (long long)view->crashes, cause, id, id);
}

static FloApi__Failure *failure_new(struct flo_activity_task *at,
                                    const struct flo_quarantine_view *view, bool in_memory)
{
    char cause[48], first[32], last[32];
    const char *message;
    json_t *details;
    FloApi__Failure *failure = NULL;

    flo_quarantine_cause(view->signal, view->exit_status, cause, sizeof cause);
    flo_clock_rfc3339(view->first_ms * FLO_NS_PER_MS, first, sizeof first);
    flo_clock_rfc3339(view->last_ms * FLO_NS_PER_MS, last, sizeof last);
    message = message_of(at, view, cause, in_memory);
    details = json_pack("{s:s, s:s, s:I, s:s, s:i, s:i, s:s, s:s}", "quarantineId", view->id,
                        "activityType", view->activity_type, "crashes", (json_int_t)view->crashes,
                        "last", cause, "signal", view->signal, "exitStatus", view->exit_status,
                        "firstCrash", first, "lastCrash", last);
    if (message && details)
        failure =
            flo_failure_application(&at->arena, message, FLO_FAILURE_POISON, true, details, 0);
    json_decref(details);
    return failure;
}

/* Without memory the failure that stands there stays; so cause may be NULL. */
static bool outcome_poison(struct flo_activity_task *at, const json_t *record, bool in_memory,
                           FloApi__Failure *cause)
{
    struct flo_outcome outcome = {.kind = FLO_OUTCOME_FAILED};
    struct flo_quarantine_view view;
    FloApi__Failure *failure;
    uint8_t *packed;

    if (flo_quarantine_view(record, json_string_value(json_object_get(record, "id")), &view, NULL))
        return false;
    failure = failure_new(at, &view, in_memory);
    if (!failure)
        return false;
    failure->cause = cause;
    if (flo_wire_encode_arena(&failure->base, &at->arena, &packed, &outcome.body_len))
        return false;
    outcome.body = packed;
    flo_buf_clear(&at->outcome);
    return flo_outcome_encode(&outcome, &at->outcome) == 0;
}

/* ---- refusing ---- */

static json_t *change_refusal(void *ctx, const json_t *before)
{
    struct flo_quarantine_view view;
    const char *id = json_string_value(json_object_get(before, "id"));

    if (!before || flo_quarantine_view(before, id, &view, NULL) || !view.parked)
        return NULL;
    return flo_quarantine_after_refusal(before, ctx);
}

/* The record of an input that is known as parked, with this attempt in it; NULL: it is not parked
 * any more. */
static json_t *refusal_record(struct flo_poison *poison, const char *id,
                              const struct flo_activity_task *at)
{
    struct flo_quarantine_attempt attempt = attempt_of(at);
    const struct flo_quarantine_room room = {.max_records = SIZE_MAX, .now_ms = attempt.at_ms};
    const struct flo_parked_input *known = flo_map_get_str(&poison->inputs, id);
    struct flo_quarantine_view view;
    json_t *record = NULL, *newer, *changed = NULL;

    if (!known || !known->parked)
        return NULL;
    if (known->record) {
        record = flo_quarantine_after_refusal(known->record, &attempt);
        if (!record)
            return json_incref(known->record);
        flo_parked_know(poison, id, at->type, true, record);
        return record;
    }
    if (!poison->store || flo_quarantine_store_read(poison->store, id, &record, NULL))
        goto gone;
    newer = flo_quarantine_after_refusal(record, &attempt);
    if (newer && /* else it needs no lock; when it cannot be written it still says what to do */
        flo_quarantine_store_change(poison->store, id, &room, change_refusal, &attempt, &changed,
                                    NULL) == 0) {
        json_decref(record);
        record = changed;
    }
    json_decref(newer);
    if (record && flo_quarantine_view(record, id, &view, NULL) == 0 && view.parked)
        return record;
gone:
    json_decref(record);
    flo_parked_forget(poison, id); /* lifted a moment ago */
    return NULL;
}

static const char *name_space_of(const struct flo_activity_task *at)
{
    return at->worker->config->server.name_space;
}

bool flo_poison_refuses(struct flo_activity_task *at,
                        const FloApi__PollActivityTaskQueueResponse *task)
{
    struct flo_poison *poison = at->worker->poison;
    const struct flo_parked_type *type;
    const struct flo_parked_input *known;
    char id[FLO_QUARANTINE_ID_LEN + 1];
    json_t *record;
    bool refused;

    if (!poison || poison->parked == 0)
        return false;
    type = flo_map_get_str(&poison->types, at->type);
    if (!type || type->parked == 0)
        return false;
    flo_quarantine_id(name_space_of(at), at->type, task->input, id);
    record = refusal_record(poison, id, at);
    if (!record)
        return false;
    known = flo_map_get_str(&poison->inputs, id);
    refused = outcome_poison(at, record, known && known->record, NULL);
    json_decref(record);
    if (!refused)
        return false;
    flo_series_inc(
        flo_metrics_get(at->worker->metrics, FLO_METRIC_QUARANTINE_REFUSED, at->type, NULL));
    flo_log(FLO_LOG_WARN, "activity.refused", "An activity's input is parked: it is not run",
            "activity_type", at->type, "activity_id", at->activity_id, "workflow_id",
            at->workflow_id, "run_id", at->run_id, "quarantine_id", id, NULL);
    return true;
}

/* ---- counting ---- */

/* The executor's process ended by itself, for what the activity did. */
static bool counts(const struct flo_activity_task *at, const struct flo_job_result *result)
{
    return result->end == FLO_JOB_CRASHED && !result->lost && !at->worker->executor_threads &&
           (at->reason == FLO_JOB_RUNNING || at->reason == FLO_JOB_CANCEL_REQUESTED);
}

struct counting {
    char id[FLO_QUARANTINE_ID_LEN + 1];
    struct flo_quarantine_limits limits;
    struct flo_quarantine_crash crash;
    bool was_parked; /* before this crash: another attempt ran at the same time */
};

static bool is_parked(const json_t *record)
{
    return json_integer_value(json_object_get(record, "parkedMs")) > 0;
}

static json_t *change_crash(void *ctx, const json_t *before)
{
    struct counting *counting = ctx;

    counting->was_parked = is_parked(before);
    return flo_quarantine_after_crash(before, counting->id, &counting->limits, &counting->crash);
}

static void warn_once(struct flo_poison *poison, const struct flo_err *err)
{
    if (poison->warned)
        return;
    poison->warned = true;
    flo_log(FLO_LOG_WARN, "quarantine.in_memory",
            "Crashes are counted in this worker's memory only", "reason", err->message, NULL);
}

/* Count it in the folder, else in memory: the record afterwards, NULL without memory. */
static json_t *count(struct flo_poison *poison, struct counting *counting, bool *out_in_memory)
{
    const struct flo_role_config *config = poison->worker->config;
    const struct flo_quarantine_room room = {
        .max_records = (size_t)config->quarantine.max_inputs,
        .window_ms = counting->limits.window_ms,
        .now_ms = counting->crash.attempt.at_ms,
    };
    const struct flo_parked_input *known;
    struct flo_err err = {0};
    bool open = poison->store || flo_parked_open(poison, true, &err);
    json_t *record = NULL;

    *out_in_memory = false;
    known = flo_map_get_str(&poison->inputs, counting->id);
    if (open && flo_quarantine_store_change(poison->store, counting->id, &room, change_crash,
                                            counting, &record, &err) == 0) {
        if (known && known->record) /* it was in memory before: the folder has it now */
            flo_parked_forget(poison, counting->id);
        flo_parked_learn(poison, counting->id, record);
        return record;
    }
    warn_once(poison, &err);
    *out_in_memory = true;
    record = change_crash(counting, known ? known->record : NULL);
    if (record)
        flo_parked_know(poison, counting->id, counting->crash.activity_type, is_parked(record),
                        record);
    return record;
}

/* The input as values; NULL when it is too large, or is not to be kept. */
static json_t *input_of(const struct flo_activity_task *at, size_t *out_bytes)
{
    const FloApi__Payloads *input = at->task->input;
    json_t *values = json_array(), *value;

    *out_bytes = 0;
    for (size_t i = 0; input && i < input->n_payloads; i++)
        *out_bytes += input->payloads[i]->data.len;
    for (size_t i = 0; values && input && i < input->n_payloads; i++) {
        if (!at->worker->config->quarantine.keep_input || *out_bytes > FLO_QUARANTINE_INPUT_MAX ||
            flo_payload_show(input->payloads[i], &value, NULL) ||
            json_array_append_new(values, value)) {
            json_decref(values);
            return NULL;
        }
    }
    return values;
}

/* The failure in at->outcome; NULL when it cannot be read. */
static FloApi__Failure *failure_of(struct flo_activity_task *at)
{
    struct flo_outcome outcome;
    ProtobufCMessage *failure = NULL;
    const uint8_t *body;

    if (flo_outcome_decode(at->outcome.data, at->outcome.len, &outcome))
        return NULL;
    body = flo_arena_memdup(&at->arena, outcome.body, outcome.body_len);
    if (!body || flo_wire_decode(&flo_api__failure__descriptor, body, outcome.body_len, &at->arena,
                                 &failure, NULL))
        return NULL;
    return (FloApi__Failure *)failure;
}

static json_t *details_of(const FloApi__Failure *failure)
{
    json_t *details = NULL;

    if (failure &&
        failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO &&
        failure->application_failure_info->details &&
        flo_payloads_show(failure->application_failure_info->details, true, &details, NULL))
        return NULL;
    return details;
}

static void say_parked(struct flo_activity_task *at, const json_t *record, const char *id)
{
    json_int_t crashes = json_integer_value(json_object_get(record, "crashes"));

    flo_series_inc(
        flo_metrics_get(at->worker->metrics, FLO_METRIC_QUARANTINE_PARKED, at->type, NULL));
    flo_log(FLO_LOG_ERROR, "activity.parked",
            "An activity's input is parked: it killed its executor again and again",
            "activity_type", at->type, "activity_id", at->activity_id, "workflow_id",
            at->workflow_id, "run_id", at->run_id, "#crashes", FLO_NUM(crashes), "quarantine_id",
            id, NULL);
    flo_tell(at->worker, FLO_LOG_ERROR, "activity.parked",
             "An activity's input is parked: it killed its executor again and again", "task_queue",
             at->queue->name, "activity_type", at->type, "activity_id", at->activity_id,
             "workflow_id", at->workflow_id, "run_id", at->run_id, "#crashes", FLO_NUM(crashes),
             "quarantine_id", id, NULL);
}

void flo_poison_crashed(struct flo_activity_task *at, const struct flo_job_result *result)
{
    struct flo_poison *poison = at->worker->poison;
    FloApi__Failure *failure;
    json_t *record;
    bool in_memory;

    if (!poison || !counts(at, result))
        return;
    failure = failure_of(at);
    struct counting counting = {.limits = limits_of(poison),
                                .crash = {.attempt = attempt_of(at),
                                          .name_space = name_space_of(at),
                                          .activity_type = at->type,
                                          .task_queue = at->queue->name,
                                          .signal = result->signal,
                                          .exit_status = result->exit_status,
                                          .message = failure ? failure->message : NULL,
                                          .stack_trace = failure ? failure->stack_trace : NULL,
                                          .details = details_of(failure)}};
    counting.crash.input = input_of(at, &counting.crash.input_bytes);
    flo_quarantine_id(name_space_of(at), at->type, at->task->input, counting.id);
    record = count(poison, &counting, &in_memory);
    if (is_parked(record))
        (void)outcome_poison(at, record, in_memory, failure);
    if (is_parked(record) && !counting.was_parked)
        say_parked(at, record, counting.id);
    json_decref(record);
    json_decref(counting.crash.details);
    json_decref(counting.crash.input);
}
/* ---- start and end ---- */

void flo_poison_start(struct flo_worker *worker)
{
    const char *directory = worker->config->quarantine.directory;
    char path[PATH_MAX];
    struct flo_poison *poison;
    struct flo_err err = {0};

    if (worker->config->quarantine.crashes == 0)
        return;
    poison = flo_calloc(1, sizeof *poison);
    if (!poison)
        return;
    poison->worker = worker;
    poison->inotify = -1;
    flo_map_init(&poison->inputs);
    flo_map_init(&poison->types);
    worker->poison = poison;
    if (*directory || flo_quarantine_store_default_path(path, sizeof path))
        poison->path = flo_strdup(*directory ? directory : path);
    if (!flo_parked_open(poison, true, &err)) /* said when something is to be counted */
        flo_log(FLO_LOG_DEBUG, "quarantine.no_folder", err.message, NULL);
}

void flo_poison_fini(struct flo_worker *worker)
{
    struct flo_poison *poison = worker->poison;

    if (!poison)
        return;
    worker->poison = NULL;
    flo_parked_close(poison);
    flo_parked_fini(poison);
    flo_free(poison->path);
    flo_free(poison);
}
