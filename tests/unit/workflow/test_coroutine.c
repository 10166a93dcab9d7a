/* SPDX-License-Identifier: Apache-2.0 */
/* test_coroutine.c - switching, deep stacks, and dropping a coroutine wherever it stands. */
#include "workflow/coroutine.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"

struct counter {
    struct flo_coroutine *self;
    int rounds, value;
    double sum;
};

static void count(void *arg)
{
    struct counter *c = arg;
    double local = 0.5;
    for (int i = 0; i < c->rounds; i++) {
        c->value++;
        local += sqrt((double)i);
        flo_coroutine_yield(c->self);
    }
    c->sum = local;
}

static void test_resume_and_yield_alternate(void **state)
{
    (void)state;
    struct counter c = {.rounds = 10};
    assert_int_equal(flo_coroutine_new(0, count, &c, &c.self), 0);
    assert_int_equal(c.value, 0);
    for (int i = 0; i < 10; i++) {
        flo_coroutine_resume(c.self);
        assert_int_equal(c.value, i + 1);
        assert_false(flo_coroutine_done(c.self));
    }
    flo_coroutine_resume(c.self);
    assert_true(flo_coroutine_done(c.self));
    assert_true(c.sum > 19.8 && c.sum < 19.9); /* local survived the switches */
    flo_coroutine_destroy(&c.self);
    assert_null(c.self);
    flo_coroutine_destroy(&c.self);
}

/* Many at once, interleaved; some are dropped half-way. */
static void test_many_interleave(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct counter all[COUNT];
    memset(all, 0, sizeof all);
    for (int i = 0; i < COUNT; i++) {
        all[i].rounds = i;
        assert_int_equal(flo_coroutine_new(0, count, &all[i], &all[i].self), 0);
    }
    for (int round = 0; round <= COUNT / 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            if (!flo_coroutine_done(all[i].self))
                flo_coroutine_resume(all[i].self);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(all[i].value, i <= COUNT / 2 ? i : COUNT / 2 + 1);
        assert_int_equal(flo_coroutine_done(all[i].self), i <= COUNT / 2);
        flo_coroutine_destroy(&all[i].self);
    }
    flo_coroutine_trim();
}

static int recurse(struct flo_coroutine *self, int depth)
{
    volatile char frame[1024];
    memset((char *)(uintptr_t)frame, depth, sizeof frame);
    int below = depth ? recurse(self, depth - 1) : 0;
    if (depth == 0)
        flo_coroutine_yield(self);
    return below + frame[17];
}

static void go_deep(void *arg)
{
    struct counter *c = arg;
    c->value = recurse(c->self, c->rounds);
}

/* A deep stack counts its pages; a shallow one holds a few; the pool does not keep deep ones. */
static void test_bytes_count_touched_pages(void **state)
{
    (void)state;
    struct counter shallow = {.rounds = 1}, deep = {.rounds = 60};
    flo_coroutine_trim();
    assert_int_equal(flo_coroutine_new(0, count, &shallow, &shallow.self), 0);
    assert_int_equal(flo_coroutine_new(0, go_deep, &deep, &deep.self), 0);
    flo_coroutine_resume(shallow.self);
    flo_coroutine_resume(deep.self);
    assert_in_range(flo_coroutine_bytes(shallow.self), 4096, 32 * 1024);
    assert_in_range(flo_coroutine_bytes(deep.self), 60 * 1024, FLO_STACK_DEFAULT_BYTES);
    flo_coroutine_destroy(&shallow.self);
    flo_coroutine_destroy(&deep.self);
    struct counter next = {.rounds = 1};
    assert_int_equal(flo_coroutine_new(0, count, &next, &next.self), 0);
    flo_coroutine_resume(next.self);
    assert_in_range(flo_coroutine_bytes(next.self), 4096, 32 * 1024);
    flo_coroutine_destroy(&next.self);
    flo_coroutine_trim();
}

/* What is resident of the stack at whose top co lies. */
static size_t resident_bytes(const struct flo_coroutine *co)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    static unsigned char resident[FLO_STACK_DEFAULT_BYTES / 1024];
    uintptr_t end = ((uintptr_t)co & ~(uintptr_t)(page - 1)) + page;
    assert_int_equal(
        mincore((void *)(end - FLO_STACK_DEFAULT_BYTES), FLO_STACK_DEFAULT_BYTES, resident), 0);
    for (size_t i = 0; i < FLO_STACK_DEFAULT_BYTES / page; i++)
        count += resident[i] & 1;
    return count * page;
}

/* What a deep coroutine leaves behind on its stack counts for those who get the stack next. */
static void test_bytes_count_what_a_predecessor_left(void **state)
{
    (void)state;
    struct counter deep = {.rounds = 60};
    flo_coroutine_trim();
    assert_int_equal(flo_coroutine_new(0, go_deep, &deep, &deep.self), 0);
    flo_coroutine_resume(deep.self);
    const struct flo_coroutine *stack = deep.self;
    flo_coroutine_destroy(&deep.self);
    for (int life = 0; life < 3; life++) {
        struct counter flat = {.rounds = 1};
        assert_int_equal(flo_coroutine_new(0, count, &flat, &flat.self), 0);
        assert_ptr_equal(flat.self, stack);
        flo_coroutine_resume(flat.self);
        assert_true(flo_coroutine_bytes(flat.self) >= resident_bytes(flat.self));
        assert_in_range(flo_coroutine_bytes(flat.self), 4096, 32 * 1024);
        flo_coroutine_destroy(&flat.self);
    }
    flo_coroutine_trim();
}

/* A coroutine inside a coroutine. */
static void nested(void *arg)
{
    struct counter *c = arg, inner = {.rounds = 2};
    assert_int_equal(flo_coroutine_new(64 * 1024, count, &inner, &inner.self), 0);
    flo_coroutine_resume(inner.self);
    flo_coroutine_yield(c->self);
    flo_coroutine_resume(inner.self);
    c->value = inner.value;
    flo_coroutine_destroy(&inner.self);
}

static void test_nested_coroutines(void **state)
{
    (void)state;
    struct counter c = {0};
    assert_int_equal(flo_coroutine_new(0, nested, &c, &c.self), 0);
    flo_coroutine_resume(c.self);
    flo_coroutine_resume(c.self);
    assert_true(flo_coroutine_done(c.self));
    assert_int_equal(c.value, 2);
    flo_coroutine_destroy(&c.self);
}

static void test_new_without_memory_says_so(void **state)
{
    (void)state;
    struct flo_coroutine *co = NULL;
    flo_alloc_fail_after(0, 0);
    assert_int_equal(flo_coroutine_new(0, count, NULL, &co), FLO_ENOMEM);
    assert_int_equal(flo_coroutine_new(SIZE_MAX / 2, count, NULL, &co), FLO_ENOMEM);
    assert_null(co);
}

static void overflow(void *arg)
{
    struct counter *c = arg;
    c->value = recurse(c->self, 1000000);
}

/* Running off the stack is a fault, not silent damage. */
static void test_overflow_hits_the_guard(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct counter c = {0};
        signal(SIGSEGV, SIG_DFL);
        close(STDERR_FILENO); /* a sanitizer's report of it */
        if (flo_coroutine_new(0, overflow, &c, &c.self) == 0)
            flo_coroutine_resume(c.self);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_and_yield_alternate),
        cmocka_unit_test(test_many_interleave),
        cmocka_unit_test(test_bytes_count_touched_pages),
        cmocka_unit_test(test_bytes_count_what_a_predecessor_left),
        cmocka_unit_test(test_nested_coroutines),
        cmocka_unit_test(test_new_without_memory_says_so),
        cmocka_unit_test(test_overflow_hits_the_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
