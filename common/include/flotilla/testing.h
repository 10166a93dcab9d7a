/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testing.h - tests of workflows: run them against activities that the test plays, in virtual time,
 * in one process and one thread, with no socket, file or server.
 *
 * An environment is a server and its workers, reduced to what decides: the engine's core, the
 * workflow runtime, and a clock that jumps to the next timer when nothing runs, so that a month of
 * flo_sleep takes microseconds. Children, retries, timeouts, continue-as-new, local activities are
 * the real thing. The same seed gives the same test, ids included. When a run has closed, it is
 * replayed from its history: code that is not deterministic fails the test, with both sides named.
 * A module's interceptors are run, its codecs are not: user code never sees their work.
 *
 *     struct flo_test_env *env = flo_test_env_new(&flo_module, NULL);
 *     flo_test_mock(env, "charge", &(struct flo_test_mock){.result = "{\"receipt\": 7}"});
 *     struct flo_test_workflow *order =
 *         flo_test_start(env, "Order", flo_test_json(env, "{\"item\": \"tea\"}"), NULL);
 *     flo_test_assert_completed(order, "{\"paid\": true}");
 *     flo_test_assert_attempts(env, "charge", 1);
 *     flo_test_env_destroy(&env);
 *
 * Mistakes of the test (an activity without a mock, JSON that does not parse, no memory) and of the
 * workflow (a failed workflow task) become the environment's problem: the first one is kept, calls
 * that wait return at once from then on, and each tells it in its error sentence.
 *
 * Link flotilla::testing (CMake) or flotilla-testing (pkg-config), in tests only. All functions:
 * the thread that made the environment, and one environment at a time a thread. From an activity's
 * function: those marked (A). From a function of flo_test_at: all but the assertions.
 */
#ifndef FLOTILLA_TESTING_H
#define FLOTILLA_TESTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/activity.h"
#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_test_env;      /* a server, its workers and its time */
struct flo_test_workflow; /* a workflow that was started; lives as long as its environment */
struct flo_test_update;   /* an update that was sent; lives as long as its environment */

/* ---- the environment ---- */

/* Which runs the worker keeps between two workflow tasks. */
enum flo_test_cache {
    FLO_TEST_CACHE_ON = 0, /* all */
    FLO_TEST_CACHE_OFF,    /* none: each task replays the whole history */
    FLO_TEST_CACHE_RANDOM, /* each with even chances, by the seed */
};

/* All zero is fine. */
struct flo_test_options {
    uint64_t seed;    /* of ids, randomness, jitter and evictions; 0 = 1 */
    int64_t start_ms; /* wall clock at the beginning, ms since 1970; 0 = 2030-01-01 */
    enum flo_test_cache cache;
    const char *task_queue; /* of workflows that name none; NULL = "test" */
    /* Run the module's own activity functions, in this thread, where there is no mock. They see
     * virtual time in flo_activity_wait_cancelled and flo_activity_wait_stopping; calls that block
     * otherwise block the test. flo_activity_on_cancel and _on_stopping are refused (FLO_EUNIMPL).
     */
    bool real_activities;
    json_t *settings; /* for the start function of a module whose activities are run */
    bool no_replay;   /* do not replay runs that have closed */
    /* Most virtual time that one call may wait; 0 = 10 years. Past it the call returns
     * FLO_ETIMEDOUT, and says what was waited for. */
    int64_t limit_ms;
    /* Histories of so many events suggest to continue as new; 0 = as servers do, 4,096. */
    int64_t suggest_continue_events;
    bool log; /* write log lines of workflows and activities to stderr */
};

/* An environment with this module's workflows; module (NULL = none yet) is borrowed. options may
 * be NULL. NULL: no memory. */
FLO_API struct flo_test_env *flo_test_env_new(const struct flo_module *module,
                                              const struct flo_test_options *options);
/* More workflows and activities; of two of one name the first counts. */
FLO_API void flo_test_env_add(struct flo_test_env *env, const struct flo_module *module);
/* Clears the pointer; NULL is fine. What still runs is dropped. */
FLO_API void flo_test_env_destroy(struct flo_test_env **env);
/* The problem, as a sentence; "" = there is none. (A) */
FLO_API const char *flo_test_problem(const struct flo_test_env *env);

/* JSON from text, borrowed until the environment is destroyed. What does not parse is a problem of
 * the environment, and gives null. (A) */
FLO_API json_t *flo_test_json(struct flo_test_env *env, const char *text);

/* ---- activities ---- */

/* How an activity is played. All zero: it completes at once without a result. */
struct flo_test_mock {
    /* This function, with all that activity code may call. What follows does not count then. */
    flo_activity_fn run;
    void *shared;        /* what flo_activity_shared gives run */
    const char *result;  /* JSON text, copied; NULL = none */
    unsigned fail_times; /* that many first attempts fail; FLO_TEST_ALWAYS: each one */
    /* How they fail, copied; NULL = {.type = "MockFailure", .message = "a failure of the mock"} */
    const struct flo_failure *failure;
    int64_t takes_ms; /* virtual time that an attempt takes */
    /* It heartbeats meanwhile, five times as often as its timeout asks for (else each second), and
     * stops when it is told to, as cancelled. */
    bool heartbeats;
    bool hangs; /* it takes for ever: a timeout or a cancellation ends it */
};

#define FLO_TEST_ALWAYS ((unsigned)-1)

/* Play activities of this type, local ones, too, like mock (NULL: no longer play them; then they
 * are what they were without a mock). Attempts that have begun go on as they are. (A) */
FLO_API void flo_test_mock(struct flo_test_env *env, const char *type,
                           const struct flo_test_mock *mock);
/* How many attempts of this type have begun. (A) */
FLO_API unsigned flo_test_attempts(const struct flo_test_env *env, const char *type);
/* How many activities of this type have begun, each counted once, whatever its attempts. (A) */
FLO_API unsigned flo_test_activities(const struct flo_test_env *env, const char *type);
/* The input of the activity of this type that began as number n (from 0), borrowed; NULL: there is
 * none. (A) */
FLO_API json_t *flo_test_activity_input(const struct flo_test_env *env, const char *type,
                                        unsigned n);

/* ---- starting and ending ---- */

/* All zero is fine; everything is copied. */
struct flo_test_start_options {
    const char *workflow_id; /* NULL = made up: "type-1" ... */
    const char *task_queue;  /* NULL = the environment's */
    int64_t execution_timeout_ms, run_timeout_ms, task_timeout_ms, start_delay_ms; /* 0 = none */
    const struct flo_retry_policy *retry; /* NULL = the workflow is not tried again */
    const char *cron_schedule;            /* NULL = none */
    json_t *memo;                         /* object; borrowed; NULL = none */
    json_t *search_attributes;            /* object; borrowed; NULL = none */
    json_t *arguments;                    /* array: all arguments, instead of input; borrowed */
    const char *signal;                   /* signal with start: its name; NULL = none */
    json_t *signal_input;                 /* borrowed; NULL = none */
    json_t *headers; /* object: what interceptors of a client send; borrowed; NULL = none */
};

/* Start a workflow. It runs when a call below lets time go by. input (borrowed; NULL = none) is the
 * first argument. Never NULL: when the start was refused, that is how the workflow ended. (A) */
FLO_API struct flo_test_workflow *flo_test_start(struct flo_test_env *env, const char *type,
                                                 json_t *input,
                                                 const struct flo_test_start_options *options);
/* A workflow that others have started (a child), by its id: its newest run now. NULL: there is
 * none. (A) */
FLO_API struct flo_test_workflow *flo_test_find(struct flo_test_env *env, const char *workflow_id);

enum flo_test_status {
    FLO_TEST_RUNNING = 0,
    FLO_TEST_COMPLETED,
    FLO_TEST_FAILED,
    FLO_TEST_CANCELLED,
    FLO_TEST_TERMINATED,
    FLO_TEST_TIMED_OUT,
    FLO_TEST_REFUSED, /* it was never started */
};
/* "completed" for FLO_TEST_COMPLETED. Static. (A) */
FLO_API const char *flo_test_status_name(enum flo_test_status status);

/*
 * Let time go by until the workflow, with all runs that follow (continue-as-new, retries, cron),
 * has ended; *out_result (may be NULL) is its result, borrowed until the environment goes, JSON
 * null for none. 0: completed. FLO_EFAILED: failed; FLO_ECANCELLED; FLO_ECLOSED: terminated;
 * FLO_ETIMEDOUT: its own timeout, or the limit of virtual time; FLO_ENONDET: its replay differs, or
 * a workflow task failed for that; FLO_EPENDING: it waits for something that never comes; other
 * codes: the environment's problem. err has the sentence. Not while it waits itself.
 */
FLO_API int flo_test_result(struct flo_test_workflow *workflow, json_t **out_result,
                            struct flo_err *err);
/* What is known now, without letting time go by. (A) */
FLO_API enum flo_test_status flo_test_status(struct flo_test_workflow *workflow);
/* The failure that it ended with, as the JSON form of temporal.api.failure.v1.Failure, borrowed;
 * NULL = none. */
FLO_API json_t *flo_test_failure(struct flo_test_workflow *workflow);
FLO_API const char *flo_test_workflow_id(const struct flo_test_workflow *workflow);
/* Of its newest run. */
FLO_API const char *flo_test_run_id(struct flo_test_workflow *workflow);
/* How many runs it has had so far (continue-as-new, retries, cron); 0 when it was refused. */
FLO_API unsigned flo_test_runs(struct flo_test_workflow *workflow);

/* ---- time ---- */

/* Wall clock of the environment, ms since 1970, and how much of it has gone by. (A) */
FLO_API int64_t flo_test_now_ms(const struct flo_test_env *env);
FLO_API int64_t flo_test_elapsed_ms(const struct flo_test_env *env);
/* Let so much time go by (0: do what can be done now). 0, or the environment's problem. */
FLO_API int flo_test_advance(struct flo_test_env *env, int64_t ms, struct flo_err *err);
/* Call fn when delay_ms have gone by: to signal, cancel, look. (A) */
FLO_API void flo_test_at(struct flo_test_env *env, int64_t delay_ms,
                         void (*fn)(struct flo_test_env *env, void *ctx), void *ctx);

/* ---- talking to workflows ---- */

/* All: input is borrowed, NULL = none. What was refused has its reason in err. */

/* Signal the newest run. 0; FLO_ENOENT: it has ended. (A) */
FLO_API int flo_test_signal(struct flo_test_workflow *workflow, const char *name, json_t *input,
                            struct flo_err *err);
/* Query it, also when it has ended. *out_answer is borrowed until the environment goes. 0;
 * FLO_EFAILED: the query failed. */
FLO_API int flo_test_query(struct flo_test_workflow *workflow, const char *name, json_t *input,
                           json_t **out_answer, struct flo_err *err);
/* Send it an update, and let time go by until that has its outcome. *out_result is borrowed until
 * the environment goes. 0; FLO_EFAILED: it was rejected or it failed. */
FLO_API int flo_test_update(struct flo_test_workflow *workflow, const char *name, json_t *input,
                            json_t **out_result, struct flo_err *err);
/* The same in two steps. id (NULL = made up) names it: of two with one id the workflow gets one.
 * Never NULL: when it was refused, its outcome says so. (A) */
FLO_API struct flo_test_update *flo_test_update_start(struct flo_test_workflow *workflow,
                                                      const char *name, const char *id,
                                                      json_t *input);
/* As flo_test_update. */
FLO_API int flo_test_update_result(struct flo_test_update *update, json_t **out_result,
                                   struct flo_err *err);

enum flo_test_update_stage {
    FLO_TEST_UPDATE_SENT = 0, /* the workflow has not said anything to it */
    FLO_TEST_UPDATE_ACCEPTED, /* its handler is at work */
    FLO_TEST_UPDATE_OVER,     /* it has its outcome, or was refused */
};
/* What is known now, without letting time go by. (A) */
FLO_API enum flo_test_update_stage flo_test_update_stage(struct flo_test_update *update);

/* Ask it to cancel itself; reason may be NULL. 0; FLO_ENOENT: it has ended. (A) */
FLO_API int flo_test_cancel(struct flo_test_workflow *workflow, const char *reason,
                            struct flo_err *err);
/* End it without asking. 0; FLO_ENOENT: it has ended. (A) */
FLO_API int flo_test_terminate(struct flo_test_workflow *workflow, const char *reason,
                               struct flo_err *err);
/* Complete, or fail (failure not NULL), an activity that was left open (FLO_EPENDING). 0;
 * FLO_ENOENT: it is not open. (A) */
FLO_API int flo_test_finish_activity(struct flo_test_workflow *workflow, const char *activity_id,
                                     json_t *result, const struct flo_failure *failure,
                                     struct flo_err *err);

/* ---- histories ---- */

/* The history of the newest run: an array of events in the JSON form of the official tools,
 * borrowed until the environment goes. */
FLO_API json_t *flo_test_history(struct flo_test_workflow *workflow);
/*
 * The same in short, one line an event without those of workflow tasks: the kind and what names
 * it: "ActivityTaskScheduled charge", "TimerStarted 1m", "WorkflowExecutionSignaled approve".
 * Borrowed until the environment goes.
 */
FLO_API const char *flo_test_story(struct flo_test_workflow *workflow);
/* How many events of this kind ("TimerStarted") its newest run has. */
FLO_API unsigned flo_test_event_count(struct flo_test_workflow *workflow, const char *kind);

/* ---- assertions ---- */

/*
 * Each lets time go by until the workflow has ended where that is needed, and when it does not find
 * what is expected, prints both with file and line to stderr and ends the test: cmocka's when the
 * program has cmocka, else the program, with exit code 1. Not in activities and functions of
 * flo_test_at, which run inside the environment.
 */

/* It completed, with this result (JSON text; NULL: whatever it is). */
#define flo_test_assert_completed(workflow, result)                                                \
    flo_test_check_completed((workflow), (result), __FILE__, __LINE__)
/* It ended with this status, and this type or message of failure inside (NULL: whatever it is). */
#define flo_test_assert_ended(workflow, status, failure)                                           \
    flo_test_check_ended((workflow), (status), (failure), __FILE__, __LINE__)
/* A query gives this answer (JSON text). */
#define flo_test_assert_query(workflow, name, answer)                                              \
    flo_test_check_query((workflow), (name), (answer), __FILE__, __LINE__)
/* So many attempts, so many activities of this type have begun. */
#define flo_test_assert_attempts(env, type, count)                                                 \
    flo_test_check_attempts((env), (type), (count), __FILE__, __LINE__)
#define flo_test_assert_activities(env, type, count)                                               \
    flo_test_check_activities((env), (type), (count), __FILE__, __LINE__)
/* So many events of this kind are in its history. */
#define flo_test_assert_events(workflow, kind, count)                                              \
    flo_test_check_events((workflow), (kind), (count), __FILE__, __LINE__)
/* Its story (flo_test_story) is this. */
#define flo_test_assert_story(workflow, story)                                                     \
    flo_test_check_story((workflow), (story), __FILE__, __LINE__)
/* A call of this header returned 0: flo_test_assert_ok(flo_test_signal(order, "go", NULL, &err),
 * &err). */
#define flo_test_assert_ok(rc, err) flo_test_check_ok((rc), (err), #rc, __FILE__, __LINE__)

FLO_API void flo_test_check_completed(struct flo_test_workflow *workflow, const char *result,
                                      const char *file, int line);
FLO_API void flo_test_check_ended(struct flo_test_workflow *workflow, enum flo_test_status status,
                                  const char *failure, const char *file, int line);
FLO_API void flo_test_check_query(struct flo_test_workflow *workflow, const char *name,
                                  const char *answer, const char *file, int line);
FLO_API void flo_test_check_attempts(const struct flo_test_env *env, const char *type,
                                     unsigned count, const char *file, int line);
FLO_API void flo_test_check_activities(const struct flo_test_env *env, const char *type,
                                       unsigned count, const char *file, int line);
FLO_API void flo_test_check_events(struct flo_test_workflow *workflow, const char *kind,
                                   unsigned count, const char *file, int line);
FLO_API void flo_test_check_story(struct flo_test_workflow *workflow, const char *story,
                                  const char *file, int line);
FLO_API void flo_test_check_ok(int rc, const struct flo_err *err, const char *call,
                               const char *file, int line);

#ifdef __cplusplus
}
#endif
#endif
