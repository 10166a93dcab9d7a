/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_harness.h - the engine's core without an engine: calls go in as messages, answers come
 * out as text or messages, time is a number, the store is a list in memory.
 *
 *     struct engine *e = engine_new(1);
 *     engine_start(e, "wf", "queue");
 *     uint64_t poll = engine_poll(e, "queue");
 *     FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, poll);
 *     engine_complete(e, task, engine_cmd_complete(e), NULL);
 *     assert_string_equal(engine_history(e, "wf"), "1 WORKFLOW_EXECUTION_STARTED ...\n...");
 *
 * After every step the changes are committed at once, unless auto_commit is off. All memory that
 * is given out lives until engine_free. What a test does not expect ends it (cmocka fail).
 */
#ifndef FLO_TESTS_SUPPORT_ENGINE_HARNESS_H
#define FLO_TESTS_SUPPORT_ENGINE_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/core/core.h"
#include "wire/api.h"

/* Where every test begins: 2026-01-01T00:00:00Z. */
#define ENGINE_EPOCH_NS INT64_C(1767225600000000000)

/* One answer of the core. */
struct engine_reply {
    uint64_t call, after;
    int code;
    const char *message; /* of an error */
    const char *detail;  /* short name of its detail's type, or "" */
    const uint8_t *detail_bytes;
    size_t detail_len;
    const uint8_t *body; /* packed message */
    size_t body_len;
    const ProtobufCMessageDescriptor *type; /* of the body */
};

struct engine_stored_run;
struct engine_stored_batch;
struct engine_stored_record;

struct engine {
    struct flo_core *core;
    struct flo_core_options options;
    uint64_t seed;
    int64_t now_ns;
    uint64_t last_call;
    bool auto_commit;        /* default true */
    int64_t call_timeout_ns; /* of calls that name none; default 60 s */
    const char *client_name;
    bool follows_next_run_id;
    const char *identity; /* of polls and answers of the helpers below: "me" */
    struct engine_reply *replies;
    size_t reply_count, reply_cap;
    struct flo_arena arena;
    /* the store */
    struct engine_stored_run *runs;
    size_t run_count, run_cap;
    struct engine_stored_batch *batches;
    size_t batch_count, batch_cap;
    struct {
        uint8_t *data;
        size_t len;
        char *id;
    } namespaces[16];
    size_t namespace_count;
    struct engine_stored_record *records;
    size_t record_count, record_cap;
    size_t loads; /* runs that came back into memory */
    bool lazy;    /* engine_restart loads no run: engine_wake_all does */
    uint64_t durable_seq;
    int fail_store; /* FLO_E... that reads of the store give; 0 = none */
    int dead;       /* FLO_E... with which a batch could not be taken: only a restart helps */
};

/* A core with the namespace `default`. */
struct engine *engine_new(uint64_t seed);
/* The same with options; NULL = defaults. */
struct engine *engine_new_with(uint64_t seed, const struct flo_core_options *options);
/* The same, with so much memory taken in advance that the harness allocates nothing while
 * allocations fail (flo_alloc_fail_after). */
struct engine *engine_new_reserved(uint64_t seed, size_t bytes);
void engine_free(struct engine *engine);
/* As after a kill: what was not committed is gone, the rest is loaded into a new core. */
void engine_restart(struct engine *engine);
/* After a lazy restart: each stored open run has its turn. */
void engine_wake_all(struct engine *engine);

/* ---- calls ---- */

/* Make a call; its number. timeout_ns 0 = engine->call_timeout_ns, < 0 = no deadline. */
uint64_t engine_call(struct engine *engine, const char *name, const ProtobufCMessage *request,
                     int64_t timeout_ns);
/* Its answer, or NULL while it waits. */
const struct engine_reply *engine_reply(struct engine *engine, uint64_t call);
/* The answer's message; fails the test when there is none or it is an error. */
void *engine_body(struct engine *engine, uint64_t call);
/* "OK", "NOT_FOUND | text | DetailType", or "waits". */
const char *engine_outcome(struct engine *engine, uint64_t call);
/* Call and body at once, of calls that answer at once. */
void *engine_do(struct engine *engine, const char *name, const ProtobufCMessage *request);
/* Call and outcome at once. */
const char *engine_try(struct engine *engine, const char *name, const ProtobufCMessage *request);

/* ---- time and commits ---- */

/* Let time pass: every timer fires at its own time. */
void engine_pass(struct engine *engine, int64_t ns);
/* Commit what there is; the number of the commit, 0 = nothing. */
uint64_t engine_commit(struct engine *engine);
/* Store a batch that the test took itself (flo_core_take_batch), freeing it: its number. */
uint64_t engine_store_batch(struct engine *engine, struct flo_core_batch **batch);

/* ---- usual calls of a client ---- */

/* The request, filled in, for tests that change something before engine_do. */
FloApi__StartWorkflowExecutionRequest *engine_start_request(struct engine *engine,
                                                            const char *workflow_id,
                                                            const char *queue);
/* Start workflow type "T"; the run id. */
const char *engine_start(struct engine *engine, const char *workflow_id, const char *queue);
void engine_signal(struct engine *engine, const char *workflow_id, const char *name);
void engine_terminate(struct engine *engine, const char *workflow_id);
FloApi__WorkflowExecution *engine_run(struct engine *engine, const char *workflow_id,
                                      const char *run_id);
FloApi__Payloads *engine_payloads(struct engine *engine, const char *json);

/* ---- usual calls of a worker ---- */

/* Poll workflow or activity tasks; sticky: the queue "<queue>-sticky" of it. Call numbers. */
uint64_t engine_poll(struct engine *engine, const char *queue);
uint64_t engine_poll_sticky(struct engine *engine, const char *queue);
uint64_t engine_poll_activity(struct engine *engine, const char *queue);
/* The task that answered a poll; fails the test when it waits, or is empty. */
FloApi__PollWorkflowTaskQueueResponse *engine_task(struct engine *engine, uint64_t poll);
FloApi__PollActivityTaskQueueResponse *engine_activity(struct engine *engine, uint64_t poll);
/* "prev=0 started=3 attempt=1 events=1-3 query=q queries=1 token page", as far as it applies;
 * "empty". */
const char *engine_task_text(struct engine *engine, uint64_t poll);
const char *engine_task_line(struct engine *engine,
                             const FloApi__PollWorkflowTaskQueueResponse *task);

/* A completion; change it before sending. */
FloApi__RespondWorkflowTaskCompletedRequest *engine_completion(
    struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task);
/* Add a command to a completion. */
void engine_add_command(struct engine *engine, FloApi__RespondWorkflowTaskCompletedRequest *request,
                        const FloApi__Command *command);
FloApi__Command *engine_cmd_complete(struct engine *engine);
FloApi__Command *engine_cmd_timer(struct engine *engine, const char *id, int64_t ns);
FloApi__Command *engine_cmd_activity(struct engine *engine, const char *id, const char *queue);
/* Make the completion name the sticky queue of engine_poll_sticky(queue). */
void engine_stick(struct engine *engine, FloApi__RespondWorkflowTaskCompletedRequest *request,
                  const char *queue);
/* Complete with these commands (NULL: none); fails the test when that is refused. */
FloApi__RespondWorkflowTaskCompletedResponse *engine_complete(
    struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task,
    const FloApi__Command *first, const FloApi__Command *second);

/* ---- what a run looks like ---- */

/* Its history, a line an event: "5 TIMER_STARTED timer_id=1 start_to_fire_timeout=60s ..."; ids
 * of runs, requests and workers are left out. run_id NULL = current. */
const char *engine_history(struct engine *engine, const char *workflow_id);
const char *engine_history_of(struct engine *engine, const char *workflow_id, const char *run_id);
/* One message in that form. */
const char *engine_text(struct engine *engine, const ProtobufCMessage *message);
/* The names of the events only, "1 STARTED, 2 TASK_SCHEDULED": lines in the short form. */
const char *engine_event_names(struct engine *engine, const char *workflow_id);
/* Formatted text that lives as long as the engine. */
const char *engine_format(struct engine *engine, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
