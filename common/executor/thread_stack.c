/* SPDX-License-Identifier: Apache-2.0 */
/* thread_stack.c - see thread_stack.h; profile_names.c names the addresses. */
#include "executor/thread_stack.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "base/clock.h"
#include "executor/crash.h"

#define SIGNAL_STACK_BYTES ((size_t)64 << 10)
#define RAW_FRAMES (FLO_THREAD_STACK_DEPTH + 8) /* the handler's own besides */
#define ANSWER_MS 100

enum { IDLE, WANTED, WRITING, WRITTEN };

/* The one question at a time. */
static struct {
    atomic_int state;
    _Atomic pthread_t whom; /* one that hears of an earlier question only now is not meant */
    bool (*skip)(uintptr_t pc);
    uint64_t pc[FLO_THREAD_STACK_DEPTH];
    size_t depth;
} asked;

static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static _Thread_local struct {
    void *map;
    stack_t before;
} own;

static uintptr_t interrupted_at(const void *context)
{
    const ucontext_t *uc = context;

#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)uc->uc_mcontext.pc;
#else
    (void)uc;
    return 0;
#endif
}

static void on_ask(int number, siginfo_t *info, void *context)
{
    const int saved = errno;
    const uintptr_t pc = interrupted_at(context);
    int wanted = WANTED, count = 0, first = 0;
    void *raw[RAW_FRAMES];

    (void)number;
    (void)info;
    if (!pthread_equal(atomic_load(&asked.whom), pthread_self()) ||
        !atomic_compare_exchange_strong(&asked.state, &wanted, WRITING))
        return;
    if (!asked.skip || !asked.skip(pc))
        count = backtrace(raw, RAW_FRAMES);
    for (int i = 0; i < count; i++) { /* without the handler's own frames */
        if ((uintptr_t)raw[i] == pc) {
            first = i;
            break;
        }
    }
    asked.depth = 0;
    for (int i = first; i < count && asked.depth < FLO_THREAD_STACK_DEPTH; i++)
        asked.pc[asked.depth++] = (uint64_t)(uintptr_t)raw[i];
    atomic_store(&asked.state, WRITTEN);
    errno = saved;
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_ask,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

    flo_crash_warm_up(); /* the unwinder */
    sigemptyset(&action.sa_mask);
    sigaction(FLO_THREAD_STACK_SIGNAL, &action, NULL);
}

void flo_thread_stack_prepare(void)
{
    stack_t stack = {.ss_size = SIGNAL_STACK_BYTES};
    void *map = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    pthread_once(&handler_once, install);
    if (map == MAP_FAILED)
        return; /* the handler takes what room there is */
    stack.ss_sp = own.map = map;
    sigaltstack(&stack, &own.before);
}

void flo_thread_stack_release(void)
{
    sigset_t ask;

    sigemptyset(&ask);
    sigaddset(&ask, FLO_THREAD_STACK_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &ask, NULL);
    if (!own.map)
        return;
    sigaltstack(&own.before, NULL);
    munmap(own.map, SIGNAL_STACK_BYTES);
    own.map = NULL;
}

size_t flo_thread_stack_take(pthread_t thread, bool (*skip)(uintptr_t pc),
                             uint64_t out_pc[FLO_THREAD_STACK_DEPTH])
{
    const struct timespec pause = {.tv_nsec = FLO_NS_PER_MS};
    int wanted = WANTED, before = atomic_load(&asked.state);

    if (before == WRITING) /* somebody who was asked long ago has not come to an end */
        return 0;
    asked.skip = skip;
    atomic_store(&asked.whom, thread);
    atomic_store(&asked.state, WANTED);
    if (pthread_kill(thread, FLO_THREAD_STACK_SIGNAL) == 0)
        for (int i = 0; i < ANSWER_MS && atomic_load(&asked.state) != WRITTEN; i++)
            nanosleep(&pause, NULL);
    atomic_compare_exchange_strong(&asked.state, &wanted, IDLE);
    if (wanted != WRITTEN)
        return 0;
    memcpy(out_pc, asked.pc, asked.depth * sizeof *out_pc);
    return asked.depth;
}
