/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.c - one attempt of an activity. It runs on a coroutine of its own, as the runner of the
 * workers (activity/task.h) runs it on a thread: where it would wait, the coroutine is put aside
 * until virtual time has come, or until it is told something.
 *
 *   begin --event--> running <--wait: put aside, event: resumed--> ... returned --> done, freed
 */
#include <string.h>

#include "activity/note.h"
#include "activity/task.h"
#include "base/alloc.h"
#include "executor/core.h"
#include "testing/kit.h"
#include "wire/decode.h"
#include "wire/payload.h"
#include "workflow/coroutine.h"

/* Address space; touched as it is used. */
#define STACK_BYTES ((size_t)1 << 20)
/* Waits of an activity that was told to end, before it is dropped where it stands. */
#define WAITS_AT_THE_END 1000

struct kit_attempt {
    struct flo_job_io io; /* first: the runner's */
    struct flo_node node; /* env->attempts */
    struct flo_test_env *env;
    struct flo_arena arena; /* of task */
    const FloApi__PollActivityTaskQueueResponse *task;
    const struct flo_activity_library *library;
    const struct kit_attempt_ops *ops; /* NULL: forgotten */
    void *ctx;
    struct flo_coroutine *co; /* NULL before it runs */
    struct flo_buf reply, details;
    unsigned told;
    int64_t every_ns; /* heartbeats of our own; 0 = none */
    uint64_t wait;    /* number of the wait that it is in; events of older ones do nothing */
    unsigned refs;    /* events under way, and one until it is done */
    unsigned waits_at_the_end;
    bool waiting, over;
};

static void unref(struct kit_attempt *attempt)
{
    if (--attempt->refs)
        return;
    flo_arena_fini(&attempt->arena);
    flo_buf_fini(&attempt->reply);
    flo_buf_fini(&attempt->details);
    flo_free(attempt);
}

static void later(struct kit_attempt *attempt, int64_t delay_ns, kit_event_fn fn, uint64_t arg)
{
    attempt->refs++;
    kit_after(attempt->env, delay_ns, fn, attempt, arg);
}

/* It has returned, or is dropped. */
static void end(struct kit_attempt *attempt, bool returned)
{
    const struct kit_attempt_ops *ops = attempt->ops;
    attempt->over = true;
    attempt->ops = NULL;
    flo_coroutine_destroy(&attempt->co);
    flo_list_remove(&attempt->env->attempts, &attempt->node);
    if (ops && returned)
        ops->done(attempt->ctx, attempt->told, attempt->reply.data, attempt->reply.len);
    unref(attempt);
}

static void resume(struct kit_attempt *attempt)
{
    struct flo_test_env *env = attempt->env;
    attempt->waiting = false;
    attempt->wait++;
    env->inside++;
    flo_coroutine_resume(attempt->co);
    env->inside--;
    if (flo_coroutine_done(attempt->co))
        end(attempt, true);
}

static void wait_over(struct flo_test_env *env, void *ctx, uint64_t wait)
{
    struct kit_attempt *attempt = ctx;
    (void)env;
    if (!attempt->over && attempt->waiting && attempt->wait == wait)
        resume(attempt);
    unref(attempt);
}

/* ---- flo_job_io: on the coroutine ---- */

static struct kit_attempt *of(struct flo_job_io *io)
{
    return flo_container(io, struct kit_attempt, io);
}

/* That its answer is unwanted replaces a lesser reason. */
static void tell(struct kit_attempt *attempt, unsigned what)
{
    if (attempt->told == FLO_JOB_RUNNING || what == FLO_JOB_CANCEL_TIMED_OUT ||
        what == FLO_JOB_CANCEL_NOT_FOUND)
        attempt->told = what;
}

static void beat(struct kit_attempt *attempt)
{
    if (!attempt->ops || attempt->env->closing)
        return;
    tell(attempt, attempt->ops->beat(attempt->ctx, attempt->details.data, attempt->details.len));
}

static void io_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct kit_attempt *attempt = of(io);
    flo_buf_clear(&attempt->details);
    (void)flo_buf_append(&attempt->details, data, len);
    beat(attempt);
}

static void beat_again(struct flo_test_env *env, void *ctx, uint64_t every_ns)
{
    struct kit_attempt *attempt = ctx;
    (void)env;
    if (!attempt->over && (uint64_t)attempt->every_ns == every_ns) {
        unsigned told = attempt->told;
        beat(attempt);
        later(attempt, attempt->every_ns, beat_again, every_ns);
        if (attempt->told != told && attempt->waiting)
            resume(attempt);
    }
    unref(attempt);
}

/* Of what is noted only the wish for heartbeats counts here; metrics have no reader. */
static int io_note(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct kit_attempt *attempt = of(io);
    const uint8_t *at = data;
    struct flo_note note;
    while (flo_note_get(&at, data + len, 0, &note)) {
        if (note.kind != FLO_NOTE_BEAT_EVERY)
            continue;
        int64_t timeout_ns = flo_duration_ns(attempt->task->heartbeat_timeout);
        int64_t every_ns = note.every_ms * FLO_NS_PER_MS;
        if (every_ns == 0 || (timeout_ns > 0 && every_ns > timeout_ns / 5 * 4))
            every_ns = timeout_ns > 0 ? timeout_ns / 5 * 4 : 30 * FLO_NS_PER_S;
        attempt->every_ns = every_ns;
        beat(attempt);
        later(attempt, every_ns, beat_again, (uint64_t)every_ns);
    }
    return 0;
}

static unsigned io_wait(struct flo_job_io *io, unsigned known, int64_t timeout_ms)
{
    struct kit_attempt *attempt = of(io);
    if (attempt->told != known || timeout_ms == 0)
        return attempt->told;
    if (attempt->env->closing && ++attempt->waits_at_the_end < WAITS_AT_THE_END)
        return attempt->told;
    if (timeout_ms > 0)
        later(attempt, timeout_ms * FLO_NS_PER_MS, wait_over, attempt->wait + 1);
    attempt->wait++;
    attempt->waiting = true;
    flo_coroutine_yield(attempt->co);
    return attempt->told;
}

static int io_watch(struct flo_job_io *io)
{
    (void)io;
    return FLO_EUNIMPL; /* a callback would need a thread */
}

static void io_wake(struct flo_job_io *io)
{
    (void)io; /* nobody watches */
}

static int64_t io_now(struct flo_job_io *io)
{
    return of(io)->env->clock.now_ns;
}

/* ---- begin ---- */

static void body(void *ctx)
{
    struct kit_attempt *attempt = ctx;
    flo_activity_task_run_shared((void *)(uintptr_t)attempt->library, &attempt->io,
                                 (const uint8_t *)&attempt->task, sizeof attempt->task,
                                 &attempt->reply);
}

static void run(struct flo_test_env *env, void *ctx, uint64_t arg)
{
    struct kit_attempt *attempt = ctx;
    (void)arg;
    if (!attempt->over) {
        if (flo_coroutine_new(STACK_BYTES, body, attempt, &attempt->co))
            kit_problem(env, FLO_ENOMEM, "no memory for an activity");
        else
            resume(attempt);
    }
    unref(attempt);
}

static void time_over(struct flo_test_env *env, void *ctx, uint64_t arg)
{
    struct kit_attempt *attempt = ctx;
    (void)env, (void)arg;
    if (!attempt->over)
        kit_attempt_tell(attempt, FLO_JOB_CANCEL_TIMED_OUT);
    unref(attempt);
}

struct kit_attempt *kit_attempt_begin(struct flo_test_env *env, bool local,
                                      const FloApi__PollActivityTaskQueueResponse *task,
                                      int64_t limit_ns, const struct kit_attempt_ops *ops,
                                      void *ctx)
{
    struct kit_attempt *attempt = flo_calloc(1, sizeof *attempt);
    const struct flo_activity_library *library = kit_library(env, local);
    if (!attempt || !library) {
        flo_free(attempt);
        kit_problem(env, FLO_ENOMEM, "no memory for an activity");
        return NULL;
    }
    *attempt = (struct kit_attempt){.io = {.progress = io_progress,
                                           .note = io_note,
                                           .wait = io_wait,
                                           .watch = io_watch,
                                           .wake = io_wake,
                                           .now_ns = io_now},
                                    .env = env,
                                    .library = library,
                                    .ops = ops,
                                    .ctx = ctx,
                                    .refs = 1};
    flo_arena_init(&attempt->arena, 0);
    flo_buf_init(&attempt->reply, 0);
    flo_buf_init(&attempt->details, 0);
    flo_list_push_back(&env->attempts, &attempt->node);
    attempt->task = (const void *)flo_wire_copy(&task->base, &attempt->arena);
    if (!attempt->task) {
        kit_problem(env, FLO_ENOMEM, "no memory for an activity");
        end(attempt, false);
        return NULL;
    }
    kit_activity_count(env, task->activity_type->name, task->attempt, task->input);
    later(attempt, 0, run, 0);
    if (limit_ns != INT64_MAX)
        later(attempt, limit_ns, time_over, 0);
    return attempt;
}

void kit_attempt_tell(struct kit_attempt *attempt, unsigned what)
{
    unsigned before = attempt->told;
    tell(attempt, what);
    if (attempt->told != before && attempt->waiting)
        later(attempt, 0, wait_over, attempt->wait);
}

void kit_attempt_forget(struct kit_attempt *attempt)
{
    attempt->ops = NULL;
}

void kit_attempts_fini(struct flo_test_env *env)
{
    env->closing = true;
    FLO_LIST_FOREACH_SAFE(node, &env->attempts)
    {
        struct kit_attempt *attempt = flo_container(node, struct kit_attempt, node);
        kit_attempt_forget(attempt);
        tell(attempt, FLO_JOB_CANCEL_SHUTDOWN);
        attempt->refs++;
        if (attempt->co)
            resume(attempt);
        if (!attempt->over) /* it has not begun, or does not end */
            end(attempt, false);
        unref(attempt);
    }
    /* What is left belongs to events that will not come. */
    for (size_t i = 0; i < env->clock.count; i++) {
        const struct kit_event *event = &env->clock.events[i];
        if (event->fn == wait_over || event->fn == run || event->fn == time_over ||
            event->fn == beat_again)
            unref(event->ctx);
    }
}
