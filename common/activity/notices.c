/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notices.c - callbacks of an attempt: the first one that is registered starts a thread, which
 * waits for what the job is told and calls them. An attempt without callbacks has none.
 *
 * Each is called once and then forgotten; flo_activity_off waits for one that runs. The thread is
 * joined before the attempt's outcome is made, so that no callback outlives the activity function.
 */
#include <signal.h>

#include "activity/context.h"
#include "base/alloc.h"

#define NOTICES_MAX 16
#define STACK_BYTES (256u << 10)

struct notice {
    flo_activity_notice_fn fn; /* NULL: a free place */
    void *arg;
    bool stopping; /* for the drain, else for cancellation */
};

struct flo_activity_notices {
    struct flo_activity_context *ctx;
    pthread_t thread;
    /* All guarded by ctx->mu: */
    struct notice items[NOTICES_MAX];
    struct notice running; /* the one that is being called */
    pthread_cond_t done;   /* running has returned */
    bool over;
};

/* One that what the job was told concerns. */
static struct notice *due_locked(struct flo_activity_notices *notices, unsigned told)
{
    for (size_t i = 0; i < NOTICES_MAX; i++) {
        struct notice *notice = &notices->items[i];
        if (notice->fn && (notice->stopping ? (told & FLO_JOB_STOPPING) != 0
                                            : FLO_JOB_REASON(told) != FLO_JOB_RUNNING))
            return notice;
    }
    return NULL;
}

static void call_due(struct flo_activity_notices *notices, unsigned told)
{
    struct flo_activity_context *ctx = notices->ctx;
    struct notice *due;

    pthread_mutex_lock(&ctx->mu);
    while (!notices->over && (due = due_locked(notices, told))) {
        struct notice calling = *due;
        *due = (struct notice){0};
        notices->running = calling;
        pthread_mutex_unlock(&ctx->mu);
        calling.fn(ctx, calling.arg);
        pthread_mutex_lock(&ctx->mu);
        notices->running = (struct notice){0};
        pthread_cond_broadcast(&notices->done);
    }
    pthread_mutex_unlock(&ctx->mu);
}

static bool is_over(struct flo_activity_notices *notices)
{
    bool over;

    pthread_mutex_lock(&notices->ctx->mu);
    over = notices->over;
    pthread_mutex_unlock(&notices->ctx->mu);
    return over;
}

static void *watch(void *arg)
{
    struct flo_activity_notices *notices = arg;
    unsigned told = flo_job_told(notices->ctx->io);

    while (!is_over(notices)) {
        call_due(notices, told);
        told = flo_job_wait_told(notices->ctx->io, told, -1);
    }
    return NULL;
}

static int start_thread(struct flo_activity_notices *notices)
{
    /* A fault that is blocked ends the process without a word of where it was. */
    static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all, before;
    pthread_attr_t attr;
    int rc;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++)
        sigdelset(&all, FAULTS[i]);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&notices->thread, &attr, watch, notices);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc ? FLO_ESYS : 0;
}

static int start_locked(struct flo_activity_context *ctx)
{
    struct flo_activity_notices *notices;
    int rc;

    if (ctx->notices)
        return 0;
    rc = flo_job_watch(ctx->io);
    notices = rc ? NULL : flo_calloc(1, sizeof *notices);
    if (!notices)
        return rc ? rc : FLO_ENOMEM;
    notices->ctx = ctx;
    pthread_cond_init(&notices->done, NULL);
    rc = start_thread(notices);
    if (rc) {
        pthread_cond_destroy(&notices->done);
        flo_free(notices);
        return rc;
    }
    ctx->notices = notices;
    return 0;
}

static int add(struct flo_activity_context *ctx, const struct notice *notice)
{
    int rc;

    pthread_mutex_lock(&ctx->mu);
    rc = start_locked(ctx);
    if (!rc) {
        size_t i = 0;
        while (i < NOTICES_MAX && ctx->notices->items[i].fn)
            i++;
        if (i < NOTICES_MAX)
            ctx->notices->items[i] = *notice;
        else
            rc = FLO_EFULL;
    }
    pthread_mutex_unlock(&ctx->mu);
    if (!rc && flo_job_told(ctx->io))
        flo_job_wake(ctx->io); /* perhaps it is due already */
    return rc;
}

int flo_activity_on_cancel(struct flo_activity_context *ctx, flo_activity_notice_fn fn, void *arg)
{
    return add(ctx, &(struct notice){.fn = fn, .arg = arg});
}

int flo_activity_on_stopping(struct flo_activity_context *ctx, flo_activity_notice_fn fn, void *arg)
{
    return add(ctx, &(struct notice){.fn = fn, .arg = arg, .stopping = true});
}

void flo_activity_off(struct flo_activity_context *ctx, flo_activity_notice_fn fn, void *arg)
{
    struct flo_activity_notices *notices;

    pthread_mutex_lock(&ctx->mu);
    notices = ctx->notices;
    for (size_t i = 0; notices && i < NOTICES_MAX; i++)
        if (notices->items[i].fn == fn && notices->items[i].arg == arg)
            notices->items[i] = (struct notice){0};
    while (notices && notices->running.fn == fn && notices->running.arg == arg &&
           !pthread_equal(pthread_self(), notices->thread))
        pthread_cond_wait(&notices->done, &ctx->mu);
    pthread_mutex_unlock(&ctx->mu);
}

void flo_activity_notices_end(struct flo_activity_context *ctx)
{
    struct flo_activity_notices *notices = ctx->notices;

    if (!notices)
        return;
    pthread_mutex_lock(&ctx->mu);
    notices->over = true;
    pthread_mutex_unlock(&ctx->mu);
    flo_job_wake(ctx->io);
    pthread_join(notices->thread, NULL);
    pthread_cond_destroy(&notices->done);
    flo_free(notices);
    ctx->notices = NULL;
}
