/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.c - an activity task between its poll and its answer: into the executor, with its
 * deadlines, and out again. The executor's side of the same attempt is activity/task.c.
 *
 * Two clocks of our own free the slot when the server has long given the attempt up: start-to-close
 * (the executor's deadline) and the heartbeat timeout (silence). Both tell the activity to stop,
 * and a process that does not is killed after executor.grace.
 */
#include <event2/event.h>
#include <string.h>
#include <sys/wait.h>

#include "activity/note.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "config/exit_code.h"
#include "wire/decode.h"
#include "wire/payload.h"
#include "worker/control.h"
#include "worker/quarantine.h"
#include "worker/trace.h"
#include "worker/worker.h"

void flo_activity_task_end(struct flo_activity_task **task)
{
    struct flo_activity_task *at = *task;
    struct flo_worker *worker = at->worker;

    *task = NULL;
    flo_count_activity(at, FLO_END_UNREPORTED); /* unless it has been counted */
    flo_client_call_cancel(&at->answer);
    flo_beats_fini(at);
    if (at->silence)
        event_free(at->silence);
    flo_list_remove(&worker->activity_tasks, &at->node);
    flo_buf_fini(&at->outcome);
    flo_arena_fini(&at->arena);
    if (at->answering)
        flo_queue_answered(at->queue);
    else
        flo_queue_finish(at->queue, at->need);
    flo_free(at);
    flo_poll_fill(worker);
    flo_drain_check(worker);
}

void flo_activity_cancel(struct flo_activity_task *at, enum flo_job_cancel reason)
{
    if (!at->running || !flo_job_graver(reason, at->reason))
        return;
    at->reason = reason;
    flo_executor_cancel(at->worker->executor, (uint64_t)(uintptr_t)at, reason);
}

void flo_activity_heard(struct flo_activity_task *at)
{
    struct timeval timeout = {.tv_sec = at->heartbeat_timeout_ns / FLO_NS_PER_S,
                              .tv_usec = at->heartbeat_timeout_ns % FLO_NS_PER_S / 1000};

    if (at->silence)
        event_add(at->silence, &timeout);
}

static void on_silence(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_activity_cancel(ctx, FLO_JOB_CANCEL_TIMED_OUT);
}

void flo_activity_on_progress(void *ctx, uint64_t job, const uint8_t *data, size_t len)
{
    struct flo_activity_task *at = (struct flo_activity_task *)(uintptr_t)job;

    (void)ctx;
    flo_activity_heard(at);
    flo_beats_progress(at, data, len);
}

int flo_activity_count_sample(struct flo_task_queue *queue, const char *type,
                              struct flo_user_sample *sample, struct flo_err *err)
{
    static const char *const NAMES[] = {"namespace", "task_queue", "activity_type"};
    struct flo_worker *worker = queue->worker;
    const char *const values[] = {worker->config->server.name_space, queue->name, type};
    const size_t own = sizeof NAMES / sizeof *NAMES;

    memmove(sample->label_names + own, sample->label_names,
            sample->label_count * sizeof *sample->label_names);
    memmove(sample->label_values + own, sample->label_values,
            sample->label_count * sizeof *sample->label_values);
    memcpy(sample->label_names, NAMES, sizeof NAMES);
    memcpy(sample->label_values, values, sizeof values);
    sample->label_count += own;
    return flo_metrics_user_add(worker->metrics, sample, err);
}

/* A metric of activity code; the first that cannot be counted is logged. */
static void count_sample(struct flo_activity_task *at, struct flo_user_sample *sample)
{
    struct flo_err err = {0};

    if (!flo_activity_count_sample(at->queue, at->type, sample, &err) || at->complained)
        return;
    at->complained = true;
    flo_log(FLO_LOG_WARN, "activity.metric_refused", "A metric of an activity is not counted",
            "activity_type", at->type, "activity_id", at->activity_id, "reason", err.message, NULL);
}

void flo_activity_on_note(void *ctx, uint64_t job, const uint8_t *data, size_t len)
{
    struct flo_activity_task *at = (struct flo_activity_task *)(uintptr_t)job;
    const uint8_t *end = data + len;
    struct flo_note note;

    (void)ctx;
    while (flo_note_get(&data, end, FLO_METRIC_LABELS_MAX - 3, &note)) {
        if (note.kind == FLO_NOTE_BEAT_EVERY)
            flo_beats_every(at, note.every_ms);
        else
            count_sample(at, &note.sample);
    }
}

/* The attempt's process died: a failure that the server may retry. */
static void fail_crashed(struct flo_activity_task *at, const struct flo_job_result *result)
{
    static const struct flo_job_crash nothing_known = {
        .message = "Activity executor died", .details = "{}", .details_len = 2, .stack_trace = ""};
    const struct flo_job_crash *crash = result->crash ? result->crash : &nothing_known;

    flo_log(FLO_LOG_ERROR, "activity.crashed", crash->message, "activity_type", at->type,
            "activity_id", at->activity_id, "workflow_id", at->workflow_id, "run_id", at->run_id,
            "#attempt", FLO_NUM(at->attempt), "stack", crash->stack_trace, NULL);
    flo_tell(at->worker, FLO_LOG_ERROR, "executor.died", crash->message, "task_queue",
             at->queue->name, "activity_type", at->type, "activity_id", at->activity_id,
             "workflow_id", at->workflow_id, "run_id", at->run_id, "#attempt", FLO_NUM(at->attempt),
             "signal", result->signal ? sigabbrev_np(result->signal) : NULL, "#exit_status",
             result->signal ? NULL : FLO_NUM(result->exit_status), NULL);
    flo_series_inc(flo_metrics_get(at->worker->metrics, FLO_METRIC_ACTIVITY_CRASHED,
                                   at->queue->name, at->type, NULL));
    flo_outcome_crash(at, crash);
}

/* Nobody waits for the answer: say so in the log, with where it was when it was killed, and let
 * go. */
static void drop(struct flo_activity_task *at, const char *why, const struct flo_job_result *result)
{
    flo_log(FLO_LOG_WARN, "activity.dropped", "An activity's answer is not wanted any more",
            "activity_type", at->type, "activity_id", at->activity_id, "workflow_id",
            at->workflow_id, "run_id", at->run_id, "reason", why, "stack",
            result->crash ? result->crash->stack_trace : "", NULL);
    flo_count_activity(at, FLO_END_UNWANTED);
    if (at->worker->library.tracing)
        flo_tracing_activity(at, NULL, why);
    flo_activity_task_end(&at);
}

void flo_activity_on_idle_death(void *ctx, unsigned index, int status)
{
    static const char message[] = "An executor process died while it had nothing to do";
    const char *sign = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    struct flo_num_text code = flo_num_text_i64(WEXITSTATUS(status));
    const char *exit_status = WIFSIGNALED(status) ? NULL : code.text;

    flo_log(FLO_LOG_ERROR, "executor.died", message, "#executor", FLO_NUM(index), "signal", sign,
            "#exit_status", exit_status, NULL);
    flo_tell(ctx, FLO_LOG_ERROR, "executor.died", message, "#executor", FLO_NUM(index), "signal",
             sign, "#exit_status", exit_status, NULL);
}

void flo_activity_on_broken(void *ctx)
{
    flo_log(FLO_LOG_ERROR, "executor.broken",
            "The process that makes executors died: the worker must be started again", NULL);
    flo_tell(ctx, FLO_LOG_ERROR, "executor.broken",
             "The process that makes executors died: the worker must be started again", NULL);
    flo_worker_stop(ctx, FLO_EXIT_INTERNAL);
}

/* Was it told to stop by a clock of ours? (The executor's own, start-to-close, leaves no reason.)
 */
static bool out_of_time(const struct flo_activity_task *at)
{
    return at->reason == FLO_JOB_CANCEL_TIMED_OUT || at->reason == FLO_JOB_RUNNING;
}

/* The attempt has left the executor: report it, or let go of it. */
static void task_done(struct flo_activity_task *at, const struct flo_job_result *result)
{
    struct flo_outcome outcome;

    if (at->outcome.len > 0) { /* given up by the drain, and reported */
        if (!at->answer)
            flo_activity_task_end(&at);
        return;
    }
    if (at->reason == FLO_JOB_CANCEL_NOT_FOUND) {
        drop(at, "not_found", result);
        return;
    }
    if (result->end == FLO_JOB_KILLED) {
        drop(at, "timed_out", result);
        return;
    }
    if (result->end == FLO_JOB_CRASHED) {
        fail_crashed(at, result);
        flo_poison_crashed(at, result);
    } else if (flo_outcome_decode(result->reply, result->reply_len, &outcome) ||
               flo_buf_append(&at->outcome, result->reply, result->reply_len)) {
        flo_outcome_fail(at, FLO_FAILURE_CRASH, FLO_ANSWER_DAMAGED);
    } else if (outcome.kind == FLO_OUTCOME_CANCELLED && out_of_time(at)) {
        drop(at, "timed_out", result); /* the server says so itself, and to the retry policy */
        return;
    }
    if (!flo_beats_flush(at))
        flo_respond_activity(at);
}

void flo_activity_on_done(void *ctx, uint64_t job, const struct flo_job_result *result)
{
    struct flo_activity_task *at = (struct flo_activity_task *)(uintptr_t)job;
    struct flo_worker *worker = ctx;

    at->running = false;
    if (at->silence)
        event_del(at->silence);
    flo_account_activity(at, &result->usage);
    at->answering = true;
    flo_queue_answer(at->queue, at->need);
    task_done(at, result);
    flo_poll_fill(worker); /* goes along with the answer */
}

/* Keep the task, and look at what is needed of it here. */
static int task_fill(struct flo_activity_task *at,
                     const FloApi__PollActivityTaskQueueResponse *task)
{
    const FloApi__WorkflowExecution *execution = task->workflow_execution;

    flo_client_keep_response(at->worker->client, &at->arena);
    at->task = task;
    at->token = task->task_token;
    at->type = task->activity_type ? task->activity_type->name : "";
    at->activity_id = task->activity_id;
    at->workflow_id = execution ? execution->workflow_id : "";
    at->run_id = execution ? execution->run_id : "";
    at->attempt = task->attempt;
    at->scheduled_ns = flo_timestamp_ns(task->scheduled_time);
    at->began_ns = flo_clock_mono_ns();
    at->heartbeat_timeout_ns = flo_duration_ns(task->heartbeat_timeout);
    if (at->heartbeat_timeout_ns <= 0)
        return 0;
    at->silence = evtimer_new(at->worker->base, on_silence, at);
    return at->silence ? 0 : FLO_ENOMEM;
}

/* With the number of its queue behind the request, as activity/task.h says. */
static int submit_numbered(struct flo_activity_task *at, const uint8_t *request, size_t len,
                           int64_t deadline_ms)
{
    size_t number = (size_t)(at->queue - at->worker->queues);
    const uint8_t end[FLO_ACTIVITY_QUEUE_BYTES] = {number & 0xff, (uint8_t)(number >> 8)};
    struct flo_buf whole;
    int rc;

    flo_buf_init(&whole, 0);
    rc = flo_buf_append(&whole, request, len);
    if (!rc)
        rc = flo_buf_append(&whole, end, sizeof end);
    if (!rc)
        rc = flo_executor_submit(at->worker->executor, (uint64_t)(uintptr_t)at, whole.data,
                                 whole.len, deadline_ms, at->worker->config->executor.grace_ms);
    flo_buf_fini(&whole);
    return rc;
}

static int task_submit(struct flo_activity_task *at,
                       const FloApi__PollActivityTaskQueueResponse *task)
{
    const struct flo_role_config *config = at->worker->config;
    int64_t deadline_ms = flo_duration_ns(task->start_to_close_timeout) / FLO_NS_PER_MS;
    const uint8_t *request = (const uint8_t *)&task; /* a thread looks at the same task */
    size_t len = sizeof task;

    if (!at->worker->executor_threads)
        request = flo_client_response_bytes(at->worker->client, &len);
    if (!request)
        return FLO_ENOMEM;
    if (at->worker->queue_names)
        return submit_numbered(at, request, len, deadline_ms);
    return flo_executor_submit(at->worker->executor, (uint64_t)(uintptr_t)at, request, len,
                               deadline_ms, config->executor.grace_ms);
}

/* The type is not one that this queue's list has: as if it were not registered. */
static void refuse_type(struct flo_activity_task *at)
{
    flo_outcome_fail(at, FLO_FAILURE_NOT_REGISTERED,
                     "The worker does not serve this activity on this task queue: see the queue's "
                     "list of activities");
    flo_series_inc(FLO_TASK_METRIC(at, ACTIVITY_UNREGISTERED));
    flo_respond_activity(at);
}

static void observe_received(struct flo_activity_task *at,
                             const FloApi__PollActivityTaskQueueResponse *task)
{
    int64_t waited_ns = flo_timestamp_ns(task->started_time) -
                        flo_timestamp_ns(task->current_attempt_scheduled_time);

    flo_series_inc(FLO_TASK_METRIC(at, ACTIVITY_TASK_RECEIVED));
    if (waited_ns > 0 && task->current_attempt_scheduled_time)
        flo_series_observe(FLO_OWN_METRIC(at->queue, ACTIVITY_SCHEDULE_TO_START),
                           (double)waited_ns / FLO_NS_PER_S);
}

void flo_execute_activity_task(struct flo_task_queue *queue,
                               const FloApi__PollActivityTaskQueueResponse *task)
{
    struct flo_activity_task *at = flo_calloc(1, sizeof *at);
    struct flo_worker *worker = queue->worker;
    int rc;

    if (!at) {
        flo_queue_finish(queue, &queue->need); /* no memory: the server's timeout finds it */
        return;
    }
    at->worker = worker;
    at->queue = queue;
    worker->counts.received++;
    worker->counts.retried += task->attempt > 1;
    at->need = &queue->need;
    flo_arena_init(&at->arena, 0);
    flo_buf_init(&at->outcome, 0);
    flo_list_push_back(&worker->activity_tasks, &at->node);
    if (task_fill(at, task)) {
        flo_activity_task_end(&at);
        return;
    }
    at->need = flo_queue_narrow(queue, at->type);
    at->series = flo_series_for_type(queue, FLO_TYPE_ACTIVITY, at->type);
    observe_received(at, task);
    if (!flo_queue_serves(queue, at->type)) {
        refuse_type(at);
        return;
    }
    if (flo_client_response_damage(worker->client)) {
        flo_outcome_fail(at, FLO_FAILURE_CODEC, flo_client_response_damage(worker->client));
        flo_respond_activity(at);
        return;
    }
    if (flo_poison_refuses(at, task)) {
        flo_respond_activity(at);
        return;
    }
    at->running = true;
    rc = task_submit(at, task);
    if (rc) {
        at->running = false;
        flo_outcome_fail(at, flo_error_name(rc), "The worker has no executor for the activity");
        flo_respond_activity(at);
    } else {
        flo_activity_heard(at);
    }
}
