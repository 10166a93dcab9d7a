/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - what the files about one run (execution, history, workflow_task, activity, command,
 * close, child, retry, state) share and the rest of the core does not need.
 */
#ifndef FLO_ENGINE_CORE_RUN_H
#define FLO_ENGINE_CORE_RUN_H

#include "base/map.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/reply.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "wire/decode.h"
#include "wire/payload.h"

/* Bounds of a run; the real server's. */
#define FLO_CORE_RUN_MAX_BUFFERED 100
#define FLO_CORE_RUN_MAX_BUFFERED_BYTES (2u << 20)
#define FLO_CORE_RUN_MAX_PENDING 2000 /* activities, children */
#define FLO_CORE_RUN_MAX_SIGNALS 10000
#define FLO_CORE_RUN_MAX_RESET_POINTS 20
#define FLO_CORE_RUN_WORKFLOW_TASK_NS (10 * FLO_NS_PER_S) /* default workflow task timeout */
#define FLO_CORE_RUN_WORKFLOW_TASK_MAX_NS (120 * FLO_NS_PER_S)
#define FLO_CORE_RUN_IDENTITY "history-service" /* who acts when the engine does so by itself */

/* ---- small things (execution.c) ---- */

/* The time of the next event: now, but later than that of every event before. */
int64_t flo_event_time(struct flo_core *core);
/* min of the two where 0 means "none". */
int64_t flo_min_timeout(int64_t a, int64_t b);
/* now + timeout, at most INT64_MAX. */
int64_t flo_add_ns(int64_t a, int64_t b);
/* Set or move a timer of a run. */
void flo_core_run_timer(struct flo_core *core, struct flo_core_timer *timer, int64_t deadline_ns,
                        flo_core_timer_fn fire);
/* Replace heap text; keeps the block when the text is the same. NULL = "". */
void flo_set_text(struct flo_core *core, char **text, const char *value);
/* Replace a name of core->names. */
void flo_set_name(struct flo_core *core, const char **name, const char *value);
/* Replace a blob by a packed message (NULL: clear it). */
void flo_blob_set(struct flo_core *core, struct flo_blob *blob, const ProtobufCMessage *message);
void flo_blob_set_bytes(struct flo_core *core, struct flo_blob *blob, const void *data, size_t len);
void flo_blob_clear(struct flo_blob *blob);
/* Decode a blob into scratch; NULL when absent (or memory is out: fatal). */
void *flo_blob_decode(struct flo_core *core, const struct flo_blob *blob,
                      const ProtobufCMessageDescriptor *descriptor);
/* Let flo_execution_settle look at the run. */
void flo_execution_unsettle(struct flo_core *core, struct flo_execution *execution);
/* An open run by namespace, workflow id and run id ("" = current). NULL says for certain that there
 * is none: open runs are in memory, so the store is not asked and cannot fail. */
struct flo_execution *flo_execution_find_open(struct flo_core *core, const struct flo_namespace *ns,
                                              const char *workflow_id, const char *run_id);
/* A signal from another run of this engine: waits even while the run tries to close. false: there
 * were too many. */
bool flo_execution_add_signal(struct flo_core *core, struct flo_execution *execution,
                              const FloApi__WorkflowExecutionSignaledEventAttributes *attributes);
/* Remember the request of a signal; NULL and "" = it has none. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_execution_note_signal(struct flo_execution *execution,
                                             const char *request_id);
/* The same of a signal whose event does not tell the request: it is stored with the run. What fails
 * is fatal. */
void flo_execution_keep_signal(struct flo_core *core, struct flo_execution *execution,
                               const char *request_id);
/* Keep what another run keeps. */
void flo_execution_keep_signals_of(struct flo_core *core, struct flo_execution *execution,
                                   const struct flo_execution *other);
/* The next one of those that are kept, in no order that matters; NULL: no more. *at: NULL first. */
const char *flo_execution_next_kept_signal(const struct flo_execution *execution,
                                           const struct flo_map_entry **at);

/* What of a run never changes. Borrowed. */
struct flo_run_texts {
    const char *run_id;                          /* a whole id */
    const char *workflow_id, *type, *task_queue; /* not NULL */
    /* The others may be NULL, which is as "". */
    const char *start_request_id, *first_run_id, *original_run_id;
    const char *parent_namespace_id, *parent_workflow_id, *parent_run_id;
    const char *root_workflow_id, *root_run_id;
};
/* A run that nothing has happened to. NULL without memory. */
struct flo_execution *flo_execution_blank(struct flo_core *core, struct flo_namespace *ns,
                                          const struct flo_run_texts *texts);
/* A run as its Started event makes it: born at now_ns, unknown to the core, without history. NULL
 * without memory, or fatal. */
struct flo_execution *flo_execution_born(struct flo_core *core,
                                         const struct flo_execution_args *args, int64_t now_ns);
/* A run that has closed and is only stored, in memory again with its history, not yet entered
 * (flo_core_revive_run does that). 0; with status: FLO_ENOMEM, FLO_EDATA, FLO_EIO. */
FLO_MUST_CHECK int flo_execution_revive(struct flo_core *core, const struct flo_core_run_ref *run,
                                        struct flo_execution **out, struct flo_status *status);
/* Arm the run and execution timeout; the backoff of the first workflow task. */
void flo_execution_arm_run(struct flo_core *core, struct flo_execution *execution);
void flo_execution_arm_backoff(struct flo_core *core, struct flo_execution *execution);
/* Nothing of the run waits any more: its timers are off, its tasks out of their queues. */
void flo_execution_quiesce(struct flo_core *core, struct flo_execution *execution);

/* ---- what few runs have (run_more.c) ---- */

/* Made when there was none. NULL: fatal. */
struct flo_run_more *flo_run_more_of(struct flo_core *core, struct flo_execution *execution);
void flo_run_more_fini(struct flo_execution *execution);
/* What the Started event says of its order in queues; NULL = nothing. */
void flo_run_set_priority(struct flo_core *core, struct flo_execution *execution,
                          const FloApi__Priority *message);
/* Attach a request; event_id 0: its event is buffered. flo_run_request_placed says where it went
 * when the buffer is written. */
void flo_run_request_add(struct flo_core *core, struct flo_execution *execution, const char *id,
                         int64_t event_id);
void flo_run_request_placed(struct flo_execution *execution, int64_t event_id);
bool flo_run_request_known(const struct flo_execution *execution, const char *id);

/* ---- user timers (user_timer.c) ---- */

/* A timer that waits, by its id, or NULL; how many wait. */
struct flo_user_timer *flo_user_timer_find(const struct flo_execution *execution, const char *id);
size_t flo_user_timers_count(const struct flo_execution *execution);
/* Add one (memory: fatal, NULL); free one. The run's timer is armed by flo_user_timers_arm. */
struct flo_user_timer *flo_user_timer_add(struct flo_core *core, struct flo_execution *execution,
                                          const char *id, int64_t started_id, int64_t deadline_ns);
void flo_user_timer_free(struct flo_execution *execution, struct flo_user_timer *timer);
/* Arm the timer of the earliest user timer; take it off; free all. */
void flo_user_timers_arm(struct flo_core *core, struct flo_execution *execution);
void flo_user_timers_disarm(struct flo_core *core, struct flo_execution *execution);
void flo_user_timers_fini(struct flo_core *core, struct flo_execution *execution);

/* ---- history (history.c) ---- */

/* An event to be written. attributes: of the type that belongs to type. */
struct flo_event {
    FloApi__EventType type;
    void *attributes;
    FloApi__UserMetadata *user_metadata; /* or NULL */
    FloApi__Link **links;
    size_t n_links;
    int64_t time_ns; /* 0 = flo_event_time */
};

/* Append; returns the event's id. */
int64_t flo_history_write(struct flo_core *core, struct flo_execution *execution,
                          const struct flo_event *event);
/* Append, or buffer while a workflow task is started (ref: flo_buffered_event). The id, 0 when
 * buffered. */
int64_t flo_history_record(struct flo_core *core, struct flo_execution *execution,
                           const struct flo_event *event, int64_t ref);
/* Write the buffered events, which now get their ids. Was there anything? */
bool flo_history_flush(struct flo_core *core, struct flo_execution *execution);
/* The buffered TimerFired of timer id, or NULL. */
struct flo_buffered_event *flo_history_buffered_timer(struct flo_core *core,
                                                      const struct flo_execution *execution,
                                                      const char *timer_id);
void flo_history_drop_buffered(struct flo_execution *execution, struct flo_buffered_event *event);
/* Put a stored buffered event back. */
FLO_MUST_CHECK int flo_history_restore_buffered(struct flo_execution *execution,
                                                FloApi__EventType type, int64_t ref,
                                                const uint8_t *bytes, size_t len);
/* Take over a stored batch. 0, FLO_ENOMEM, FLO_EDATA. */
FLO_MUST_CHECK int flo_history_restore(struct flo_history *history,
                                       const struct flo_core_history_batch *batch);
/* Close the open batch. */
void flo_history_seal(struct flo_history *history);
/* Room for so many events and bytes more, with nothing to spare. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_history_reserve(struct flo_history *history, size_t events, size_t bytes);
/* Give back room to spare: the run waits, maybe for long. A large history keeps an eighth. */
void flo_history_trim(struct flo_history *history);
void flo_history_init(struct flo_history *history);
void flo_history_fini(struct flo_history *history);

/* ---- workflow tasks (workflow_task.c) ---- */

/* Write the task's own events if they are not there yet, then WorkflowTaskCompleted with
 * attributes (ids are filled in); the run has no task any more. Returns the event's id. */
int64_t flo_core_workflow_task_complete(struct flo_core *core, struct flo_execution *execution,
                                        FloApi__WorkflowTaskCompletedEventAttributes *attributes);
/* Fail the started task: event unless transient, attempt, stickiness, buffer. Schedules nothing.
 * attributes without ids. */
void flo_core_workflow_task_fail(struct flo_core *core, struct flo_execution *execution,
                                 FloApi__WorkflowTaskFailedEventAttributes *attributes);
/* A speculative task becomes a real one: its events are written. */
void flo_core_workflow_task_keep(struct flo_core *core, struct flo_execution *execution);
/* A speculative task disappears, as if it had never been. */
void flo_core_workflow_task_discard(struct flo_core *core, struct flo_execution *execution);
/* Fail it when it is started because the run closes, forget it when it is only scheduled. */
void flo_core_workflow_task_force_close(struct flo_core *core, struct flo_execution *execution);
/* The pending task (started, or waiting on a sticky queue) times out; schedules the next. */
void flo_core_workflow_task_time_out(struct flo_core *core, struct flo_execution *execution);
/* At the end of a transition: forget who started a task that is not STARTED any more. */
void flo_core_workflow_task_forget_start(struct flo_execution *execution);
/* Remember it. false: fatal, no memory. */
bool flo_core_workflow_task_set_start(struct flo_core *core, struct flo_core_workflow_task *task,
                                      const struct flo_core_worker *worker);
/* The stickiness ends. */
void flo_execution_clear_sticky(struct flo_core *core, struct flo_execution *execution);
/* Arm the timer that the task's stage asks for. */
void flo_core_workflow_task_arm(struct flo_core *core, struct flo_execution *execution);
/* Queue a scheduled task. */
void flo_core_workflow_task_queue(struct flo_core *core, struct flo_execution *execution);
/* The run and started task that a token names, or status NOT_FOUND. */
FLO_MUST_CHECK int flo_core_workflow_task_find(struct flo_core *core,
                                               const ProtobufCBinaryData *token,
                                               const char *namespace_name,
                                               struct flo_execution **out_execution,
                                               struct flo_status *status);

/* ---- activities (activity.c) ---- */

/* Make the pending activity of a Scheduled event and queue its first attempt (queue false: it is
 * started eagerly by the caller). */
struct flo_core_activity *flo_core_activity_add(
    struct flo_core *core, struct flo_execution *execution, int64_t scheduled_id,
    const FloApi__ActivityTaskScheduledEventAttributes *attributes, bool queue);
/* The attempt ended. Each writes Started and the end (or lets the policy retry) and ends the
 * transition; activity is gone or waits for its next attempt. */
void flo_core_activity_complete(struct flo_core *core, struct flo_core_activity *activity,
                                FloApi__Payloads *result, const char *identity);
void flo_core_activity_cancel(struct flo_core *core, struct flo_core_activity *activity,
                              FloApi__Payloads *details, const char *identity);
void flo_core_activity_fail(struct flo_core *core, struct flo_core_activity *activity,
                            FloApi__Failure *failure, const char *identity);
/* Free a pending activity, off the run. */
void flo_core_activity_remove(struct flo_core *core, struct flo_core_activity *activity);
/* Start the scheduled attempt; the transition stays open. */
void flo_core_activity_begin(struct flo_core *core, struct flo_core_activity *activity,
                             const struct flo_core_worker *worker);
/* A command asks to cancel: true when it was not started and is cancelled now (its event
 * recorded). */
bool flo_core_activity_request_cancel(struct flo_core *core, struct flo_core_activity *activity,
                                      int64_t requested_id, const char *identity);
/* Arm its next timeout; queue the attempt when it waits for a worker. */
void flo_core_activity_arm(struct flo_core *core, struct flo_core_activity *activity);
FLO_MUST_CHECK int flo_core_activity_queue(struct flo_core *core,
                                           struct flo_core_activity *activity);
/* One that does not run is to begin its next attempt at at_ns (at once when that is past), with
 * nothing left of the last one's end. Paused: when it is unpaused. */
void flo_core_activity_again(struct flo_core *core, struct flo_core_activity *activity,
                             int64_t at_ns);
/* What is paused has changed: the run's TemporalPauseInfo says which types are. */
void flo_activities_note_paused(struct flo_core *core, struct flo_execution *execution);
/* Remember who paused it. NULL without memory. */
struct flo_activity_paused *flo_activity_paused_new(int64_t since_ns, const char *identity,
                                                    const char *reason);
/* Insert into the run's array (scheduled_id set). */
FLO_MUST_CHECK int flo_core_activity_insert(struct flo_core_activity *activity);
void flo_core_activity_free(struct flo_core *core, struct flo_core_activity *activity);

/* ---- commands (command.c, command_check.c, command_check_runs.c, command_apply.c) ---- */

/* Why the commands of a completion are refused; cause 0 = they are fine. */
struct flo_verdict {
    FloApi__WorkflowTaskFailedCause cause;
    const char *message; /* "BadStartTimerAttributes: ..."; scratch */
    bool terminate;      /* a payload is too large: that ends the workflow */
    /* Its code set: only the call is refused; the task stays open, and times out. */
    struct flo_status refusal;
};

/* "StartTimerDuplicateId" of WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID, "StartTimer" of
 * COMMAND_TYPE_START_TIMER: enum names without their prefix, in scratch. */
const char *flo_pascal_case(struct flo_core *core, const ProtobufCEnumDescriptor *descriptor,
                            int value, const char *prefix);
/* Check all commands as if those before them had been applied. Changes nothing. */
struct flo_verdict flo_commands_check(struct flo_core *core, struct flo_execution *execution,
                                      const FloApi__RespondWorkflowTaskCompletedRequest *request);
/* Apply one checked command of a worker of this identity. Returns an activity that was asked to
 * start at once, or NULL. */
struct flo_core_activity *flo_command_apply(struct flo_core *core, struct flo_execution *execution,
                                            const FloApi__Command *command, int64_t completed_id,
                                            const char *identity);
/* Merge into the run's search attributes or memo; empty and null values remove. */
void flo_merge_search_attributes(struct flo_core *core, struct flo_execution *execution,
                                 const FloApi__SearchAttributes *upserted);
/* Set a KeywordList of the engine's own; json: the list, "[]" removes. */
void flo_set_keyword(struct flo_core *core, struct flo_execution *execution, const char *name,
                     const char *text);
void flo_set_keyword_list(struct flo_core *core, struct flo_execution *execution, const char *name,
                          const char *json);
void flo_merge_memo(struct flo_core *core, struct flo_execution *execution,
                    const FloApi__Memo *upserted);

/* A build has completed a task, by that event: the first time in this chain of runs that is a reset
 * point. Both may be empty; checksum is what workers of before build ids say. */
void flo_core_note_build(struct flo_core *core, struct flo_execution *execution,
                         const char *build_id, const char *checksum, int64_t completed_id);

/* ---- retry (retry.c) ---- */

struct flo_core_retry_policy {
    int64_t initial_ns, maximum_ns;
    double coefficient;
    int32_t maximum_attempts;
    char **non_retryable;
    size_t n_non_retryable;
};

/* What the policy says of an attempt that failed. deadline_ns 0 = none. *out_delay_ns is set for
 * IN_PROGRESS. failure NULL: a plain timeout of the workflow. */
FloApi__RetryState flo_core_retry_decide(const struct flo_core_retry_policy *policy,
                                         int32_t attempt, const FloApi__Failure *failure,
                                         int64_t now_ns, int64_t deadline_ns,
                                         int64_t *out_delay_ns);
/* How long to wait after that attempt: initial * coefficient^(attempt - 1), at most the maximum
 * (maximum_ns 0: it has none). */
int64_t flo_core_retry_backoff(const struct flo_core_retry_policy *policy, int32_t attempt);
/* Fill in what a policy leaves open; borrows non_retryable. NULL gives the default policy. */
struct flo_core_retry_policy flo_core_retry_normalise(const FloApi__RetryPolicy *policy);

/* ---- closing (close.c) ---- */

/* The rest of closing after the close event was written. */
void flo_execution_closed(struct flo_core *core, struct flo_execution *execution, int status);
void flo_close_completed(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__CompleteWorkflowExecutionCommandAttributes *command,
                         FloApi__UserMetadata *user_metadata, int64_t completed_id);
void flo_close_failed(struct flo_core *core, struct flo_execution *execution,
                      FloApi__Failure *failure, FloApi__UserMetadata *user_metadata,
                      int64_t completed_id);
void flo_close_canceled(struct flo_core *core, struct flo_execution *execution,
                        FloApi__Payloads *details, FloApi__UserMetadata *user_metadata,
                        int64_t completed_id);
void flo_close_continued(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__ContinueAsNewWorkflowExecutionCommandAttributes *command,
                         FloApi__UserMetadata *user_metadata, int64_t completed_id);
/* How long a new run waits for the first time of its checked cron schedule; 0 when there is none.
 * (start_event.c) */
int64_t flo_cron_wait(struct flo_core *core, const char *schedule);
/* The run or execution timeout is over. */
void flo_close_timed_out(struct flo_core *core, struct flo_core_timer *timer);

/* ---- children and external runs (child.c) ---- */

enum flo_outbound_kind { FLO_OUTBOUND_CHILD, FLO_OUTBOUND_SIGNAL, FLO_OUTBOUND_CANCEL };

struct flo_outbound {
    struct flo_node node;
    enum flo_outbound_kind kind;
    int64_t initiated_id;
};

/* An Initiated event was written: do what it asks for at the end of the step. */
void flo_outbound_add(struct flo_core *core, struct flo_execution *execution,
                      enum flo_outbound_kind kind, int64_t initiated_id);
struct flo_core_child *flo_core_child_add(struct flo_core *core, struct flo_execution *execution,
                                          int64_t initiated_id, struct flo_namespace *ns,
                                          const char *workflow_id, const char *type, int policy);
struct flo_core_child *flo_core_child_by_event(const struct flo_execution *execution,
                                               int64_t initiated_id);
void flo_core_child_remove(struct flo_execution *execution, struct flo_core_child *child);
void flo_core_child_free(struct flo_core_child *child);
/* What is open of a run when it is settled. */
void flo_core_child_settle(struct flo_core *core, struct flo_execution *execution);

#endif
