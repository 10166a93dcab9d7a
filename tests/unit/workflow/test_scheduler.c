/* SPDX-License-Identifier: Apache-2.0 */
/* test_scheduler.c - coroutines of a run by themselves: order, passes, waits, ends, dropping. */
#include "workflow/scheduler.h"

#include <string.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"
#include "workflow/internal.h"

struct fixture {
    struct flo_run *run;
    char said[200]; /* by the coroutines, in order */
    bool gate;      /* what they wait for */
};

/* One coroutine of a test. */
struct part {
    struct fixture *f;
    const char *name;
    int waits;               /* how often it waits for the gate */
    const struct part *next; /* whom it starts before that */
};

static void say(struct fixture *f, const char *name, const char *what)
{
    size_t len = strlen(f->said);
    snprintf(f->said + len, sizeof f->said - len, "%s%s%s", len ? " " : "", name, what);
}

static bool gate_open(void *ctx)
{
    return ((const struct part *)ctx)->f->gate;
}

static void describe_gate(void *ctx, char *out_text, size_t size)
{
    snprintf(out_text, size, "the gate of %s", ((const struct part *)ctx)->name);
}

static const struct flo_wait gate_wait = {gate_open, describe_gate};

static int wait_line; /* where they wait in this file */

static int run_part(struct flo_workflow *wf, void *arg);

static int told(struct flo_workflow *wf, void *arg, int rc)
{
    const struct part *part = arg;
    (void)wf;
    assert_int_equal(rc, 0);
    say(part->f, part->name, "!");
    return 0;
}

static void start(const struct part *part)
{
    const struct flo_start start = {
        .name = part->name, .fn = run_part, .arg = (void *)(uintptr_t)part, .ended = told};
    assert_int_equal(flo_scheduler_start(part->f->run, &start, NULL), 0);
}

static int run_part(struct flo_workflow *wf, void *arg)
{
    struct part *part = arg;
    say(part->f, part->name, "");
    if (part->next)
        start(part->next);
    for (int i = 0; i < part->waits; i++) {
        wait_line = __LINE__ + 1;
        int rc = flo_workflow_wait(FLO_HERE(wf), &gate_wait, part);
        if (rc)
            return rc;
        part->f->gate = false; /* one at a time */
        say(part->f, part->name, "");
    }
    return 0;
}

static flo_workflow_fn no_workflow(void *ctx, const char *type)
{
    (void)ctx, (void)type;
    return NULL;
}

static int setup(void **state)
{
    static struct fixture f;
    const struct flo_run_env env = {.namespace_ = "default", .identity = "test"};
    f = (struct fixture){0};
    *state = &f;
    return flo_run_new(&env, no_workflow, NULL, "workflow-1", "run-1", &f.run);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_run_destroy(&f->run);
    assert_int_equal(flo_heap_total_bytes(), 0);
    return 0;
}

static void step(struct fixture *f, const char *expected)
{
    f->said[0] = '\0';
    assert_int_equal(flo_scheduler_run(f->run), 0);
    assert_string_equal(f->said, expected);
}

/* Begun in the order of their making, those that others start, too, in the same step. */
static void test_run_begins_all(void **state)
{
    struct fixture *f = *state;
    struct part c = {f, "c", 0, NULL}, a = {f, "a", 0, &c}, b = {f, "b", 0, NULL};
    start(&a);
    start(&b);
    step(f, "a a! b b! c c!");
    step(f, "");
}

/* Who waits is asked in the order of beginning; one that shuts the gate keeps the others out. */
static void test_run_asks_in_order(void **state)
{
    struct fixture *f = *state;
    struct part a = {f, "a", 2, NULL}, b = {f, "b", 1, NULL};
    start(&a);
    start(&b);
    step(f, "a b");
    f->gate = true;
    step(f, "a");
    f->gate = true;
    step(f, "a a!");
    f->gate = true;
    step(f, "b b!");
}

/* One that is new goes before those that wait. */
static void test_run_begins_the_new_first(void **state)
{
    struct fixture *f = *state;
    struct part a = {f, "a", 1, NULL}, b = {f, "b", 0, NULL};
    start(&a);
    step(f, "a");
    start(&b);
    f->gate = true;
    step(f, "b b! a a!");
}

/* When the first coroutine has ended nothing else runs. */
static void test_run_stops_with_the_first(void **state)
{
    struct fixture *f = *state;
    struct part main_part = {f, "main", 1, NULL}, a = {f, "a", 1, NULL};
    const struct flo_start first = {.name = "main", .fn = run_part, .arg = &main_part};
    flo_scheduler_start_first(f->run, &f->run->main, &first);
    start(&a);
    step(f, "main a");
    f->gate = true;
    start(&a);
    step(f, "a main");
    assert_true(f->run->main.ended);
    f->gate = true;
    step(f, "");
}

static void test_stack_text_describes_each(void **state)
{
    struct fixture *f = *state;
    struct part a = {f, "a", 1, NULL}, b = {f, "b", 0, NULL};
    struct flo_buf text;
    char expected[200];
    start(&a);
    step(f, "a");
    start(&b);
    snprintf(expected, sizeof expected,
             "a at test_scheduler.c:%d: waits for the gate of a\nb: has not begun\n", wait_line);
    flo_buf_init(&text, 0);
    assert_int_equal(flo_run_stack_text(f->run, &text), 0);
    assert_string_equal(flo_buf_cstr(&text), expected);
    flo_buf_fini(&text);
}

/* Bytes grow with each stack and are gone with it. */
static void test_bytes_count_all_stacks(void **state)
{
    struct fixture *f = *state;
    struct part a = {f, "a", 1, NULL}, b = {f, "b", 1, NULL};
    assert_int_equal(flo_scheduler_bytes(f->run), 0);
    start(&a);
    step(f, "a");
    size_t one = flo_scheduler_bytes(f->run);
    start(&b);
    step(f, "b");
    assert_true(one >= 4096 && flo_scheduler_bytes(f->run) >= 2 * 4096);
    flo_scheduler_drop(f->run);
    assert_int_equal(flo_scheduler_bytes(f->run), 0);
    step(f, "");
}

/* A stack that cannot be had: the step says so. */
static void test_run_without_memory_says_so(void **state)
{
    struct fixture *f = *state;
    struct part a = {f, "a", 1, NULL};
    start(&a);
    flo_alloc_fail_after(0, true);
    int rc = flo_scheduler_run(f->run);
    flo_alloc_fail_after(-1, false);
    assert_int_equal(rc, FLO_ENOMEM);
}

static void test_place_is_short(void **state)
{
    char text[40];
    (void)state;
    flo_place_describe(&(struct flo_place){"/some/where/orders.c", 7}, text, sizeof text);
    assert_string_equal(text, "orders.c:7");
    flo_place_describe(&(struct flo_place){"orders.c", 12}, text, sizeof text);
    assert_string_equal(text, "orders.c:12");
    flo_place_describe(&(struct flo_place){0}, text, sizeof text);
    assert_string_equal(text, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_run_begins_all),
        T(test_run_asks_in_order),
        T(test_run_begins_the_new_first),
        T(test_run_stops_with_the_first),
        T(test_stack_text_describes_each),
        T(test_bytes_count_all_stacks),
        T(test_run_without_memory_says_so),
        cmocka_unit_test(test_place_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
