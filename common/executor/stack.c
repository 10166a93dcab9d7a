/* SPDX-License-Identifier: Apache-2.0 */
/* stack.c - see stack.h. */
#include "executor/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the handler: what it calls is small, but the kernel's frame is not on all processors. */
#define SIGNAL_STACK_BYTES (32u << 10)
/* More than one page: a function with large variables may jump over a small guard. */
#define GUARD_BYTES (64u << 10)

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define FATAL_COUNT (sizeof fatal / sizeof fatal[0])

static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static struct sigaction before[FATAL_COUNT]; /* written once, before any handler can run */

static _Thread_local struct {
    flo_fault_fn fn; /* NULL: the thread is not watched */
    void *ctx;
    stack_t before; /* the signal stack that somebody else gave it */
} watched;

static size_t pages(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

int flo_stack_map(struct flo_stack *stack, size_t stack_bytes, struct flo_err *err)
{
    const size_t size = pages(stack_bytes), map_bytes = SIGNAL_STACK_BYTES + GUARD_BYTES + size;
    char *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (map == MAP_FAILED)
        return flo_fail(err, FLO_ENOMEM, "no memory for a stack of %zu KiB: %s", size >> 10,
                        strerror(errno));
    if (mprotect(map + SIGNAL_STACK_BYTES, GUARD_BYTES, PROT_NONE) < 0) {
        flo_fail(err, FLO_ENOMEM, "cannot guard a stack: %s", strerror(errno));
        munmap(map, map_bytes);
        return FLO_ENOMEM;
    }
    *stack = (struct flo_stack){.map = map, .map_bytes = map_bytes, .stack_bytes = size};
    return 0;
}

void flo_stack_unmap(struct flo_stack *stack)
{
    if (stack->map)
        munmap(stack->map, stack->map_bytes);
    stack->map = NULL;
}

int flo_stack_use(const struct flo_stack *stack, pthread_attr_t *attr)
{
    return pthread_attr_setstack(attr, stack->map + SIGNAL_STACK_BYTES + GUARD_BYTES,
                                 stack->stack_bytes);
}

bool flo_stack_overflown(const struct flo_stack *stack, const void *address)
{
    const uintptr_t at = (uintptr_t)address;
    const uintptr_t guard = (uintptr_t)stack->map + SIGNAL_STACK_BYTES;

    return at >= guard && at < guard + GUARD_BYTES;
}

/* Say what there is to say, once; then let what was there before have the signal. A fault happens
 * again when the handler returns, what kill(2) sent does not. */
static void on_fatal(int number, siginfo_t *info, void *context)
{
    const int saved = errno;
    flo_fault_fn fn = watched.fn;

    (void)context;
    watched.fn = NULL;
    if (fn)
        fn(watched.ctx, number, info->si_addr);
    for (size_t i = 0; i < FATAL_COUNT; i++)
        if (fatal[i] == number)
            sigaction(number, &before[i], NULL);
    if (info->si_code <= 0)
        raise(number);
    errno = saved;
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < FATAL_COUNT; i++)
        sigaction(fatal[i], NULL, &before[i]);
    for (size_t i = 0; i < FATAL_COUNT; i++)
        sigaction(fatal[i], &action, NULL);
}

void flo_fault_watch(const struct flo_stack *stack, flo_fault_fn fn, void *ctx)
{
    const stack_t signal_stack = {.ss_sp = stack->map, .ss_size = SIGNAL_STACK_BYTES};
    sigset_t open;

    pthread_once(&handlers_once, install);
    sigaltstack(&signal_stack, &watched.before);
    watched.fn = fn;
    watched.ctx = ctx;
    sigemptyset(&open);
    for (size_t i = 0; i < FATAL_COUNT; i++)
        sigaddset(&open, fatal[i]);
    pthread_sigmask(SIG_UNBLOCK, &open, NULL); /* a blocked fault kills without a word */
}

void flo_fault_forget(void)
{
    watched.fn = NULL;
    sigaltstack(&watched.before, NULL);
}
