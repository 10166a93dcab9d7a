/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine.c - stacks and switching.
 *
 * A mapping is [guard page | stack]; the struct itself lies at the top of the stack, so that a
 * coroutine is one mapping and an idle one touches one or two pages. Freed mappings of the
 * default size wait on a per-thread list (at most POOL_STACKS); of a stack that went deep all
 * but the top pages are given back to the system first, and those are counted from then on.
 *
 * Did it go deep? Asking the kernel costs two calls a run, so a mark is left at the low end of the
 * top page, which is touched anyway: as long as it stands, nothing ran below it. A frame with an
 * array that is larger than the mark and not written to may step over it; its pages are then seen,
 * or given back, when the mark has gone the next time.
 */
#include "workflow/coroutine.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "workflow/sanitize.h"
#include "workflow/switch.h"

#define POOL_STACKS 64
#define KEEP_BYTES ((size_t)16 * 1024) /* of a pooled stack, from the top */
#define LEAST_STACK_BYTES ((size_t)16 * 1024)

#define MARK_WORDS 8
#define MARK UINT64_C(0x7eb1a5ed0c0de5a1) /* no address, no small number, no text */

enum state { READY, RUNNING, SUSPENDED, DONE };

struct flo_coroutine {
    struct flo_context own, caller;
    void (*fn)(void *arg);
    void *arg;
    enum state state;
    unsigned char *mapping; /* guard page first */
    size_t mapping_bytes;
    size_t kept_bytes; /* of the stack's lives before this one; 0 = none went deep */
    struct flo_coroutine *next_pooled;
    const void *caller_stack; /* for the sanitizers: who resumed us */
    size_t caller_stack_bytes;
    void *fake_stack, *caller_fake_stack;
    void *fiber, *caller_fiber;
};

static _Thread_local struct {
    struct flo_coroutine *first;
    size_t count;
} pool;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static unsigned char *stack_low(const struct flo_coroutine *co)
{
    return co->mapping + page_bytes();
}

/* The stack proper ends where the struct begins. */
static size_t stack_bytes_of(const struct flo_coroutine *co)
{
    return (size_t)((const unsigned char *)co - stack_low(co));
}

/* At the low end of the top page. */
static uint64_t *mark_of(const struct flo_coroutine *co)
{
    return (uint64_t *)(void *)(co->mapping + co->mapping_bytes - page_bytes());
}

static void mark_stack(const struct flo_coroutine *co)
{
    uint64_t *mark = mark_of(co);
    for (size_t i = 0; i < MARK_WORDS; i++)
        mark[i] = MARK;
}

/* Did code run below the mark? Perhaps, where sanitizers lay out frames in their own way, or where
 * the place of the lowest one is not known. */
static bool went_deep(const struct flo_coroutine *co)
{
#if FLO_ASAN || FLO_TSAN || defined(FLO_UCONTEXT)
    (void)co;
    return true;
#else
    const uint64_t *mark = mark_of(co);
    for (size_t i = 0; i < MARK_WORDS; i++)
        if (mark[i] != MARK)
            return true;
    return co->state == SUSPENDED && co->own.sp < (const void *)mark;
#endif
}

static struct flo_coroutine *map_stack(size_t bytes)
{
    size_t page = page_bytes();
    unsigned char *mapping = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping, page, PROT_NONE)) {
        munmap(mapping, bytes + page);
        return NULL;
    }
    size_t own = (sizeof(struct flo_coroutine) + 63) & ~(size_t)63;
    struct flo_coroutine *co = (struct flo_coroutine *)(void *)(mapping + page + bytes - own);
    co->mapping = mapping;
    co->mapping_bytes = bytes + page;
    return co;
}

static struct flo_coroutine *take_stack(size_t bytes)
{
    if (flo_alloc_seam_fails())
        return NULL;
    if (!pool.first || pool.first->mapping_bytes != bytes + page_bytes())
        return map_stack(bytes);
    struct flo_coroutine *co = pool.first;
    pool.first = co->next_pooled;
    pool.count--;
    return co;
}

static void unmap_stack(struct flo_coroutine *co)
{
    flo_unpoison(stack_low(co), co->mapping_bytes - page_bytes());
    munmap(co->mapping, co->mapping_bytes);
}

static void entered(struct flo_coroutine *co)
{
#if FLO_ASAN
    __sanitizer_finish_switch_fiber(co->fake_stack, &co->caller_stack, &co->caller_stack_bytes);
#else
    (void)co;
#endif
}

static void leave(struct flo_coroutine *co, bool for_ever)
{
#if FLO_ASAN
    __sanitizer_start_switch_fiber(for_ever ? NULL : &co->fake_stack, co->caller_stack,
                                   co->caller_stack_bytes);
#else
    (void)for_ever;
#endif
#if FLO_TSAN
    __tsan_switch_to_fiber(co->caller_fiber, 0);
#endif
    flo_context_switch(&co->own, &co->caller);
}

static void run(void *arg)
{
    struct flo_coroutine *co = arg;
    entered(co);
    co->fn(co->arg);
    co->state = DONE;
    leave(co, true);
}

int flo_coroutine_new(size_t stack_bytes, void (*fn)(void *arg), void *arg,
                      struct flo_coroutine **out_coroutine)
{
    size_t page = page_bytes();
    if (stack_bytes == 0)
        stack_bytes = FLO_STACK_DEFAULT_BYTES;
    if (stack_bytes < LEAST_STACK_BYTES)
        stack_bytes = LEAST_STACK_BYTES;
    if (stack_bytes > SIZE_MAX / 4)
        return FLO_ENOMEM;
    stack_bytes = (stack_bytes + page - 1) & ~(page - 1);
    struct flo_coroutine *co = take_stack(stack_bytes);
    if (!co)
        return FLO_ENOMEM;
    *co = (struct flo_coroutine){.fn = fn,
                                 .arg = arg,
                                 .mapping = co->mapping,
                                 .mapping_bytes = co->mapping_bytes,
                                 .kept_bytes = co->kept_bytes};
#if FLO_TSAN
    co->fiber = __tsan_create_fiber(0);
#endif
    mark_stack(co);
    flo_context_make(&co->own, stack_low(co), stack_bytes_of(co), run, co);
    *out_coroutine = co;
    return 0;
}

void flo_coroutine_destroy(struct flo_coroutine **coroutine)
{
    struct flo_coroutine *co = *coroutine;
    if (!co)
        return;
    *coroutine = NULL;
#if FLO_TSAN
    __tsan_destroy_fiber(co->fiber);
#endif
    flo_unpoison(stack_low(co), stack_bytes_of(co));
    if (pool.count >= POOL_STACKS || co->mapping_bytes != FLO_STACK_DEFAULT_BYTES + page_bytes()) {
        unmap_stack(co);
        return;
    }
    if (went_deep(co)) {
        madvise(stack_low(co), FLO_STACK_DEFAULT_BYTES - KEEP_BYTES, MADV_DONTNEED);
        co->kept_bytes = KEEP_BYTES;
    }
    co->next_pooled = pool.first;
    pool.first = co;
    pool.count++;
}

void flo_coroutine_trim(void)
{
    while (pool.first) {
        struct flo_coroutine *co = pool.first;
        pool.first = co->next_pooled;
        pool.count--;
        unmap_stack(co);
    }
}

void flo_coroutine_resume(struct flo_coroutine *co)
{
    co->state = RUNNING;
#if FLO_ASAN
    __sanitizer_start_switch_fiber(&co->caller_fake_stack, stack_low(co), stack_bytes_of(co));
#endif
#if FLO_TSAN
    co->caller_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(co->fiber, 0);
#endif
    flo_context_switch(&co->caller, &co->own);
#if FLO_ASAN
    __sanitizer_finish_switch_fiber(co->caller_fake_stack, NULL, NULL);
#endif
}

void flo_coroutine_yield(struct flo_coroutine *co)
{
    co->state = SUSPENDED;
    leave(co, false);
    entered(co);
}

bool flo_coroutine_done(const struct flo_coroutine *co)
{
    return co->state == DONE;
}

bool flo_coroutine_holds(const struct flo_coroutine *co, const void *address)
{
    uintptr_t at = (uintptr_t)address;
    return at >= (uintptr_t)stack_low(co) && at < (uintptr_t)co;
}

size_t flo_coroutine_bytes(const struct flo_coroutine *co)
{
    unsigned char resident[256];
    size_t page = page_bytes(), pages = (co->mapping_bytes - page) / page, count = 0;
    if (!went_deep(co))
        return co->kept_bytes > page ? co->kept_bytes : page;
    for (size_t at = 0; at < pages; at += sizeof resident) {
        size_t n = pages - at < sizeof resident ? pages - at : sizeof resident;
        if (mincore(stack_low(co) + at * page, n * page, resident))
            return co->mapping_bytes;
        for (size_t i = 0; i < n; i++)
            count += resident[i] & 1;
    }
    return count * page;
}
