/* SPDX-License-Identifier: Apache-2.0 */
/* spine_activities.h - what the tests of whole activity workers share: two activities, their tasks
 * and their answers. */
#ifndef TESTS_SPINE_ACTIVITIES_H
#define TESTS_SPINE_ACTIVITIES_H

#include "spine_fixture.h"

#define POLL_ACTIVITY "PollActivityTaskQueue"

/* Returns its input. */
int spine_echo(struct flo_activity_context *ctx, json_t *input, json_t **out_result);
/* Heartbeats its input once, then waits until it is cancelled. */
int spine_hold(struct flo_activity_context *ctx, json_t *input, json_t **out_result);

/* A first attempt of type with the input "hello", in the arena. */
FloApi__PollActivityTaskQueueResponse *spine_activity_task(struct spine *s, const char *type,
                                                           int64_t timeout_ms);
/* spine_await for the heartbeat, or for the answer that says how an activity ended. */
const FloApi__RecordActivityTaskHeartbeatRequest *spine_await_heartbeat(struct spine *s,
                                                                        size_t count);
const FloApi__RespondActivityTaskCompletedRequest *spine_await_completed(struct spine *s,
                                                                         size_t count);
const FloApi__RespondActivityTaskFailedRequest *spine_await_failed(struct spine *s, size_t count);

#endif
