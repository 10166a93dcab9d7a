/* SPDX-License-Identifier: Apache-2.0 */
/* test_idle.c - what a cached run that waits takes of memory: 10,000 of them within 200 MB. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/cmocka_env.h"
#include "support/story.h"
#include "workflow/sanitize.h"

#if FLO_ASAN || FLO_TSAN
#define RUNS 300
#else
#define RUNS 10000
#endif
#define MOST_BYTES_A_RUN 20000

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int charge(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    return flo_activity(wf, "charge", arg, &options, out_result);
}

/* Has done some work, and waits for days. */
static int order(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *receipt;
    int rc = flo_activity(wf, "reserve", input, &options, NULL);
    if (rc == 0)
        rc = flo_await(wf, flo_spawn(wf, "charge", charge, input), &receipt);
    return rc ? rc : flo_signal_await(wf, "go", 24 * 3600 * 1000, out_result);
}

static const struct flo_workflow_entry workflows[] = {{"Order", order}, {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages[2] = {0};
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &pages[0], &pages[1]), 2);
    fclose(file);
    return pages[1] * (size_t)sysconf(_SC_PAGESIZE);
}

/* What flo_run_bytes says, by which caches are bounded, is what the system counts. */
static void test_idle_runs_are_small(void **state)
{
    struct story *s = *state;
    struct flo_run **runs = calloc(RUNS, sizeof(struct flo_run *));
    struct flo_activation answer = {0};
    struct flo_arena arena;
    size_t said = 0;
    assert_non_null(runs);
    story_tell(s, "Started type=Order input={'id':17,'items':['book','pen'],'note':'post'}");
    story_tell(s, "WFTScheduled; WFTStarted; WFTCompleted; ActivityScheduled id=1 type=reserve");
    story_tell(s, "ActivityCompleted scheduled=5 result=1; WFTScheduled; WFTStarted");
    story_tell(s, "WFTCompleted; ActivityScheduled id=2 type=charge");
    story_tell(s, "ActivityCompleted scheduled=10 result={'paid':true}; WFTScheduled; WFTStarted");
    const FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, 1, s->event_count);
    size_t before = resident_bytes();
    flo_arena_init(&arena, 0);
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = story_run_new(s);
        assert_int_equal(flo_run_activate(runs[i], task, &arena, &answer), 0);
        assert_int_equal(answer.command_count, 1); /* the timer of the wait */
        flo_arena_reset(&arena);
        said += flo_run_bytes(runs[i]);
    }
    size_t grown = resident_bytes() - before;
    print_message("%d idle runs: %zu bytes each, flo_run_bytes says %zu\n", RUNS, grown / RUNS,
                  said / RUNS);
#if !FLO_ASAN && !FLO_TSAN
    assert_true(grown / RUNS < MOST_BYTES_A_RUN);
    assert_true(said / RUNS < MOST_BYTES_A_RUN);
#endif
    for (size_t i = 0; i < RUNS; i++)
        flo_run_destroy(&runs[i]);
    flo_arena_fini(&arena);
    free(runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_runs_are_small, setup, story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
