/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kitchen.h - the workflow KitchenSink: an interpreter of steps (README.md lists them), which uses
 * every part of the workflow API. What a step gives is a function of the step alone, never of who
 * was faster, so that two runs of the same input end with equal results, whatever workers died
 * meanwhile: that is what the tests compare.
 */
#ifndef KITCHEN_H
#define KITCHEN_H

#include <flotilla/worker.h>

/* One run, as all its coroutines see it. Everything in it is the run's memory. */
struct kitchen {
    json_t *vars;     /* name -> value: each is set once, so that it does not matter when */
    json_t *messages; /* key -> what the handler of that signal or update gave */
    json_t *begun;    /* key -> true: that handler has begun; it is not to run twice */
    json_t *trace;    /* what the steps before those of this run gave (continue-as-new) */
    uint64_t order;   /* of the numbers of all steps in the order in which they began */
    int64_t now_ms;   /* the latest time that a step saw */
    unsigned side;    /* side effects so far */
};

/*
 * A step that runs until it has ended, with what it gave in *out (a new reference; NULL: null). A
 * negative code ends the steps around it: FLO_ECANCELLED when their scope was cancelled, else the
 * failure on wf fails the workflow.
 */
typedef int (*kitchen_run_fn)(struct kitchen *k, struct flo_workflow *wf, json_t *step,
                              json_t **out);
/* A step that is one future. */
typedef struct flo_future *(*kitchen_start_fn)(struct kitchen *k, struct flo_workflow *wf,
                                               json_t *step);

struct kitchen_step {
    const char *name;
    kitchen_run_fn run;
    kitchen_start_fn start; /* or this one */
};

/* ---- steps.c ---- */

/* Run the steps of a list, one after the other; *out is the list of what each gave. */
int kitchen_steps(struct kitchen *k, struct flo_workflow *wf, json_t *steps, json_t **out);
/* Run one. */
int kitchen_step(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out);
/* Wait for a step's future: {"ok": VALUE}, {"failed": TYPE} or "cancelled", and what the step's
 * "as" says instead, where how it ends depends on who is faster. */
int kitchen_outcome(struct kitchen *k, struct flo_workflow *wf, json_t *step,
                    struct flo_future *future, json_t **out);
/* The same for a call that has returned rc; takes value over. */
int kitchen_settle(struct flo_workflow *wf, json_t *step, int rc, json_t *value, json_t **out);
/* Start a step that is one future; NULL when it is another one, after failing wf. */
struct flo_future *kitchen_start(struct kitchen *k, struct flo_workflow *wf, json_t *step);
/* The input is not what README.md says: fails the workflow. */
int kitchen_refuse(struct flo_workflow *wf, const char *why, const json_t *step);
/* Replay gave something else than the first time: fails the workflow for good. */
int kitchen_differs(struct flo_workflow *wf, const char *what);

/* Members of a step, with what they are when they are not there. */
int64_t kitchen_number(const json_t *step, const char *name, int64_t otherwise);
const char *kitchen_text(const json_t *step, const char *name, const char *otherwise);
bool kitchen_is(const json_t *step, const char *name);

/* ---- handlers.c ---- */

/* Register the handlers of signals, queries and updates. */
int kitchen_handlers(struct kitchen *k, struct flo_workflow *wf, const json_t *input);
/* Wait until every handler that began has ended, and these keys (NULL: none) are in. */
int kitchen_await_handlers(struct kitchen *k, struct flo_workflow *wf, const json_t *keys);

/* ---- the steps, by file; X(name, function) ---- */

#define KITCHEN_FUTURES(X)                                                                         \
    X("activity", activity) /* tasks.c */                                                          \
    X("local", local)                                                                              \
    X("timer", timer) /* waits.c */                                                                \
    X("child", child) /* children.c */                                                             \
    X("signal", signal)                                                                            \
    X("cancel", cancel)

#define KITCHEN_RUNS(X)                                                                            \
    X("same", same)   /* tasks.c */                                                                \
    X("sleep", sleep) /* waits.c */                                                                \
    X("set", set)                                                                                  \
    X("await", await)                                                                              \
    X("receive", receive)                                                                          \
    X("messages", messages)                                                                        \
    X("all", all) /* sets.c */                                                                     \
    X("any", any)                                                                                  \
    X("many", many)                                                                                \
    X("scope", scope) /* scopes.c */                                                               \
    X("await_cancel", await_cancel)                                                                \
    X("channel", channel) /* sync.c */                                                             \
    X("mutex", mutex)                                                                              \
    X("semaphore", semaphore)                                                                      \
    X("wait_group", wait_group)                                                                    \
    X("with_child", with_child) /* children.c */                                                   \
    X("patch", patch)           /* values.c */                                                     \
    X("side_effect", side_effect)                                                                  \
    X("mutable_side_effect", mutable_side_effect)                                                  \
    X("random", random)                                                                            \
    X("now", now)                                                                                  \
    X("order", order)                                                                              \
    X("attributes", attributes)                                                                    \
    X("memo", memo)                                                                                \
    X("details", details)                                                                          \
    X("info", info)

#define KITCHEN_DECLARE_FUTURE(text, name)                                                         \
    struct flo_future *kitchen_start_##name(struct kitchen *k, struct flo_workflow *wf,            \
                                            json_t *step);
KITCHEN_FUTURES(KITCHEN_DECLARE_FUTURE)
#undef KITCHEN_DECLARE_FUTURE
#define KITCHEN_DECLARE_RUN(text, name)                                                            \
    int kitchen_run_##name(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out);
KITCHEN_RUNS(KITCHEN_DECLARE_RUN)
#undef KITCHEN_DECLARE_RUN

/* Give value to an activity that gives it back: 0 when it is the same still, in code that was
 * perhaps replayed meanwhile; takes value over. */
int kitchen_same(struct flo_workflow *wf, const char *what, json_t *value);

/* activity.c: the one activity. */
int kitchen_cook(struct flo_activity_context *ctx, json_t *input, json_t **out_result);

#endif
