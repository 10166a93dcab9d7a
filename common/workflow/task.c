/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c - coroutines that workflow code spawns: a coroutine and the future of its end.
 *
 * Two references: the code's, and the coroutine's until it has ended. A failure is kept on
 * run->failed until somebody awaits it; what is still there when the workflow ends, or when its
 * future is released, is logged, as it would be lost without a word.
 */
#include <stdio.h>
#include <string.h>

#include "wire/decode.h"
#include "wire/failure.h"
#include "workflow/internal.h"

/* Each has a stack. A server takes fewer activities and timers at a time than this. */
#define COROUTINES_MOST 5000

struct task {
    struct flo_future future; /* first */
    struct flo_node node;     /* on run->failed: it failed and nobody has awaited it */
    struct flo_workflow *wf;  /* NULL once it has ended */
    flo_coroutine_fn fn;
    void *arg;
    json_t *result; /* owned, between the function's return and the future's end */
    char name[];
};

static struct task *task_of(const struct flo_future *future)
{
    return flo_container((struct flo_future *)(uintptr_t)future, struct task, future);
}

static void cancel(struct flo_future *future)
{
    const struct task *task = task_of(future);
    if (task->wf)
        flo_scope_cancel_all(task->wf->base, NULL);
}

static void describe(const struct flo_future *future, char *out_text, size_t size)
{
    snprintf(out_text, size, "coroutine %.100s", task_of(future)->name);
}

/* The failure of task, which nobody has awaited, as a line in the log. */
static void log_failure(const struct task *task)
{
    const struct flo_future *future = &task->future;
    ProtobufCMessage *failure = NULL;
    struct flo_arena scratch;
    struct flo_buf text;
    flo_arena_init(&scratch, 0);
    flo_buf_init(&text, 0);
    if (future->failure && flo_wire_decode(&flo_api__failure__descriptor, future->failure,
                                           future->failure_len, &scratch, &failure, NULL) == 0)
        flo_failure_describe((const FloApi__Failure *)failure, &text);
    flo_workflow_log(&future->run->main, FLO_LOG_WARN,
                     "coroutine %.100s failed, and nobody awaited it: %s", task->name,
                     text.len ? flo_buf_cstr(&text) : flo_error_text(future->rc));
    flo_buf_fini(&text);
    flo_arena_fini(&scratch);
}

static void freed(struct flo_future *future)
{
    struct task *task = task_of(future);
    if (!flo_node_linked(&task->node))
        return;
    flo_list_remove(&future->run->failed, &task->node);
    if (!future->heard)
        log_failure(task);
}

static const struct flo_future_ops future_ops = {
    .cancel = cancel, .describe = describe, .freed = freed};

void flo_task_log_failures(struct flo_run *run)
{
    FLO_LIST_FOREACH(node, &run->failed)
    {
        const struct task *task = flo_container(node, struct task, node);
        if (!task->future.heard)
            log_failure(task);
    }
}

static int run_task(struct flo_workflow *wf, void *arg)
{
    struct task *task = arg;
    json_t *result = NULL;
    int rc = task->fn(wf, task->arg, &result);
    task->result = result;
    return rc;
}

static int fail(struct task *task, const struct flo_workflow *wf, int rc)
{
    struct flo_future *future = &task->future;
    struct flo_arena scratch;
    flo_arena_init(&scratch, 0);
    const FloApi__Failure *failure = flo_workflow_failure_of(wf, &scratch);
    int failed = failure ? flo_future_fail(future, rc < 0 ? rc : FLO_EINVAL, failure) : FLO_ENOMEM;
    flo_arena_fini(&scratch);
    if (failed == 0 && future->refs > 1 && rc != FLO_ECANCELLED)
        flo_list_push_back(&future->run->failed, &task->node);
    return failed;
}

static int ended(struct flo_workflow *wf, void *arg, int rc)
{
    struct task *task = arg;
    task->wf = NULL;
    json_t *result = task->result;
    task->result = NULL;
    if (rc == 0)
        flo_future_succeed_with(&task->future, result ? result : json_null());
    else
        json_decref(result);
    int failed = rc ? fail(task, wf, rc) : 0;
    if (failed == 0)
        flo_future_unref(&task->future); /* the coroutine's */
    return failed;
}

static struct task *task_new(struct flo_workflow *wf, const char *name)
{
    size_t len = strlen(name) + 1;
    struct task *task = flo_heap_calloc(wf->run->heap, sizeof *task + len);
    if (!task)
        return NULL;
    flo_future_init(&task->future, wf->run, wf->scope, &future_ops);
    memcpy(task->name, name, len);
    return task;
}

/* It is a bug to have so many: the task fails, and the coroutine stays where it is. */
static void refuse_more(struct flo_run *run)
{
    struct flo_err err = {0};
    char place[200] = "";
    flo_place_describe(&run->current->at, place, sizeof place);
    flo_fail(&err, FLO_ELIMIT, "the workflow has more than %d coroutines at a time%s%s",
             COROUTINES_MOST, *place ? ": flo_spawn at " : "", place);
    flo_run_misuse(run, &err);
    for (;;)
        flo_coroutine_yield(run->current->coroutine); /* no question: it is never resumed */
}

struct flo_future *flo_spawn(struct flo_workflow *wf, const char *name, flo_coroutine_fn fn,
                             void *arg)
{
    struct flo_run *run = wf->run;
    if (flo_read_only_check(run, "starts a coroutine"))
        return &run->no_memory;
    if (run->coroutines.count + run->fresh.count >= COROUTINES_MOST && run->current)
        refuse_more(run);
    struct task *task = task_new(wf, name ? name : "coroutine");
    if (!task) {
        flo_run_no_memory(run);
        return &run->no_memory;
    }
    task->fn = fn;
    task->arg = arg;
    const struct flo_start start = {
        .name = task->name, .fn = run_task, .arg = task, .ended = ended, .scope = wf->scope};
    if (flo_scheduler_start(run, &start, &task->wf)) {
        flo_run_no_memory(run);
        return &run->no_memory;
    }
    flo_future_ref(&task->future); /* the coroutine's */
    return &task->future;
}
