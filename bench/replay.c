/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - what the workflow runtime itself costs: a coroutine switch, a live echo (make a run,
 * two tasks, destroy), the replay of a long history, and the memory of a cached run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "workflow/coroutine.h"
#include "workflow/run.h"

#define SWITCHES 2000000
#define ECHOES 20000
#define STEPS 1666 /* of 6 events each: about 10,000 events */
#define CACHED 1000

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, &options, out_result);
}

static int steps(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    for (int i = 0; i < STEPS; i++) {
        int rc = flo_activity(wf, "echo", input, &options, NULL);
        if (rc)
            return rc;
    }
    return 0;
}

static flo_workflow_fn lookup(void *ctx, const char *type)
{
    (void)type;
    return *(const flo_workflow_fn *)ctx;
}

static void spin(void *arg)
{
    struct flo_coroutine **self = arg;
    for (;;)
        flo_coroutine_yield(*self);
}

static void bench_switch(void)
{
    struct flo_coroutine *co = NULL;
    if (flo_coroutine_new(0, spin, &co, &co))
        exit(1);
    int64_t start = flo_clock_mono_ns();
    for (int i = 0; i < SWITCHES; i++)
        flo_coroutine_resume(co);
    double ns = (double)(flo_clock_mono_ns() - start);
    printf("coroutine: %.1f ns a switch (resume and yield: two)\n", ns / SWITCHES / 2);
    flo_coroutine_destroy(&co);
}

/* ---- histories ---- */

struct history {
    struct flo_arena arena;
    FloApi__HistoryEvent **events;
    size_t count;
};

static FloApi__HistoryEvent *add(struct history *h, FloApi__EventType type)
{
    FloApi__HistoryEvent *event = flo_arena_alloc(&h->arena, sizeof *event);
    flo_api__history_event__init(event);
    event->event_type = type;
    event->event_id = (int64_t)h->count + 1;
    h->events[h->count++] = event;
    return event;
}

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name
#define ATTRIBUTES(event, lower, upper, type)                                                      \
    FloApi__##type##EventAttributes *a = flo_arena_alloc(&h->arena, sizeof *a);                    \
    flo_api__##lower##_event_attributes__init(a);                                                  \
    (event)->lower##_event_attributes = a;                                                         \
    (event)->attributes_case = FLO_API__HISTORY_EVENT__ATTRIBUTES_##upper##_EVENT_ATTRIBUTES

static void add_task(struct history *h)
{
    add(h, EVENT(WORKFLOW_TASK_SCHEDULED));
    add(h, EVENT(WORKFLOW_TASK_STARTED));
}

static void add_start(struct history *h)
{
    FloApi__HistoryEvent *event = add(h, EVENT(WORKFLOW_EXECUTION_STARTED));
    ATTRIBUTES(event, workflow_execution_started, WORKFLOW_EXECUTION_STARTED,
               WorkflowExecutionStarted);
    static char run_id[] = "0195f5a0-0000-7000-8000-000000000001";
    a->original_execution_run_id = run_id;
    add_task(h);
}

static void add_activity(struct history *h, int number)
{
    add(h, EVENT(WORKFLOW_TASK_COMPLETED));
    int64_t scheduled_id = (int64_t)h->count + 1;
    {
        FloApi__HistoryEvent *event = add(h, EVENT(ACTIVITY_TASK_SCHEDULED));
        ATTRIBUTES(event, activity_task_scheduled, ACTIVITY_TASK_SCHEDULED, ActivityTaskScheduled);
        static char name[] = "echo";
        a->activity_id = flo_arena_printf(&h->arena, "%d", number);
        a->activity_type = flo_arena_alloc(&h->arena, sizeof *a->activity_type);
        flo_api__activity_type__init(a->activity_type);
        a->activity_type->name = name;
    }
    {
        FloApi__HistoryEvent *event = add(h, EVENT(ACTIVITY_TASK_STARTED));
        ATTRIBUTES(event, activity_task_started, ACTIVITY_TASK_STARTED, ActivityTaskStarted);
        a->scheduled_event_id = scheduled_id;
    }
    {
        FloApi__HistoryEvent *event = add(h, EVENT(ACTIVITY_TASK_COMPLETED));
        ATTRIBUTES(event, activity_task_completed, ACTIVITY_TASK_COMPLETED, ActivityTaskCompleted);
        a->scheduled_event_id = scheduled_id;
    }
    add_task(h);
}

static void activate(struct flo_run *run, struct history *h, size_t from, size_t to)
{
    FloApi__PollWorkflowTaskQueueResponse task;
    FloApi__History history;
    struct flo_activation answer;
    struct flo_arena arena;
    flo_api__poll_workflow_task_queue_response__init(&task);
    flo_api__history__init(&history);
    history.events = h->events + from;
    history.n_events = to - from;
    task.history = &history;
    flo_arena_init(&arena, 0);
    int rc = flo_run_activate(run, &task, &arena, &answer);
    if (rc || answer.outcome != FLO_ACTIVATION_COMPLETE) {
        fprintf(stderr, "%s\n", rc ? flo_error_text(rc) : answer.failure->message);
        exit(1);
    }
    flo_arena_fini(&arena);
}

static struct flo_run *run_new(flo_workflow_fn *fn)
{
    struct flo_run_env env = {.namespace_ = "default", .identity = "bench"};
    struct flo_run *run = NULL;
    if (flo_run_new(&env, lookup, fn, "workflow", "0195f5a0-0000-7000-8000-000000000001", &run))
        exit(1);
    return run;
}

static void bench_echo(struct history *h)
{
    flo_workflow_fn fn = echo;
    int64_t start = flo_clock_mono_ns();
    for (int i = 0; i < ECHOES; i++) {
        struct flo_run *run = run_new(&fn);
        activate(run, h, 0, 3);
        activate(run, h, 3, 9);
        flo_run_destroy(&run);
    }
    printf("echo, live: %.2f us a run of two tasks\n",
           (double)(flo_clock_mono_ns() - start) / 1e3 / ECHOES);
}

static void bench_replay(struct history *h)
{
    flo_workflow_fn fn = steps;
    int64_t start = flo_clock_mono_ns();
    struct flo_run *run = run_new(&fn);
    activate(run, h, 0, h->count);
    double ms = (double)(flo_clock_mono_ns() - start) / 1e6;
    printf("replay: %zu events in %.2f ms, %.0f ns an event, %zu KiB at the end\n", h->count, ms,
           ms * 1e6 / (double)h->count, flo_run_bytes(run) / 1024);
    flo_run_destroy(&run);
}

static void bench_cached(struct history *h)
{
    static struct flo_run *runs[CACHED];
    flo_workflow_fn fn = echo;
    size_t bytes = 0;
    for (int i = 0; i < CACHED; i++) {
        runs[i] = run_new(&fn);
        activate(runs[i], h, 0, 3);
        bytes += flo_run_bytes(runs[i]);
    }
    printf("cached: %zu bytes a run that waits for its activity\n", bytes / CACHED);
    for (int i = 0; i < CACHED; i++)
        flo_run_destroy(&runs[i]);
}

int main(void)
{
    struct history h = {0};
    flo_arena_init(&h.arena, 0);
    h.events = calloc(3 + STEPS * 6, sizeof(void *));
    if (!h.events)
        return 1;
    add_start(&h);
    for (int i = 0; i < STEPS; i++)
        add_activity(&h, i + 1);
    bench_switch();
    bench_echo(&h);
    bench_replay(&h);
    bench_cached(&h);
    free(h.events);
    flo_arena_fini(&h.arena);
    return 0;
}
