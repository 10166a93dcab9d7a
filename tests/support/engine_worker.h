/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_worker.h - the rest of what a worker says to the engine's core (engine_harness.h has the
 * usual things): all commands, failures, heartbeats. Memory as there: the engine's.
 */
#ifndef FLO_TESTS_SUPPORT_ENGINE_WORKER_H
#define FLO_TESTS_SUPPORT_ENGINE_WORKER_H

#include "support/engine_harness.h"

/* ---- commands ---- */

FloApi__Command *engine_cmd_fail(struct engine *engine, const char *message);
FloApi__Command *engine_cmd_cancel(struct engine *engine);
FloApi__Command *engine_cmd_continue(struct engine *engine);
FloApi__Command *engine_cmd_cancel_timer(struct engine *engine, const char *id);
FloApi__Command *engine_cmd_cancel_activity(struct engine *engine, int64_t scheduled_id);
FloApi__Command *engine_cmd_marker(struct engine *engine, const char *name);
FloApi__Command *engine_cmd_child(struct engine *engine, const char *workflow_id, int policy);
FloApi__Command *engine_cmd_signal(struct engine *engine, const char *workflow_id,
                                   const char *name);
FloApi__Command *engine_cmd_cancel_external(struct engine *engine, const char *workflow_id);
/* Set one key of the memo; json NULL removes it. */
FloApi__Command *engine_cmd_memo(struct engine *engine, const char *key, const char *json);
/* The activity command's attributes, to change them; its retry policy, made when it has none. */
FloApi__ScheduleActivityTaskCommandAttributes *engine_activity_of(FloApi__Command *command);
FloApi__RetryPolicy *engine_policy_of(struct engine *engine, FloApi__Command *command);
Google__Protobuf__Duration *engine_duration(struct engine *engine, int64_t ns);

/* ---- answers ---- */

/* Complete with commands up to a NULL; sticky_queue NULL = not sticky. The outcome's text. */
const char *engine_respond(struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task,
                           const char *sticky_queue, ...);
/* As above when the task is that of a poll. */
const char *engine_respond_poll(struct engine *engine, const char *queue, ...);
const char *engine_fail_task(struct engine *engine,
                             const FloApi__PollWorkflowTaskQueueResponse *task);
/* Poll and expect a task. */
FloApi__PollWorkflowTaskQueueResponse *engine_next_task(struct engine *engine, const char *queue);
FloApi__PollActivityTaskQueueResponse *engine_next_activity(struct engine *engine,
                                                            const char *queue);
const char *engine_activity_done(struct engine *engine,
                                 const FloApi__PollActivityTaskQueueResponse *task);
const char *engine_activity_fail(struct engine *engine,
                                 const FloApi__PollActivityTaskQueueResponse *task,
                                 const char *type, bool non_retryable);
const char *engine_activity_canceled(struct engine *engine,
                                     const FloApi__PollActivityTaskQueueResponse *task);
/* "OK", "OK cancel", or the error. */
const char *engine_heartbeat(struct engine *engine,
                             const FloApi__PollActivityTaskQueueResponse *task, const char *json);
const char *engine_request_cancel(struct engine *engine, const char *workflow_id);

#endif
