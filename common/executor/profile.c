/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - taking the samples; see profile.h. profile_names.c names them. */
#include "executor/profile.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "executor/crash.h"
#include "executor/process.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define RAW_FRAMES (FLO_PROFILE_DEPTH + 8) /* the handler's own besides */
#define THREADS_MAX 512                    /* that are sampled at once */

/* What the handler needs: set before it can run. */
static struct {
    struct flo_profile_ring *ring;
    bool (*skip)(uintptr_t pc);
} sampler;

/* The timers of this process's threads. */
static struct {
    unsigned hz;
    size_t count;
    struct {
        pid_t tid;
        timer_t timer;
    } of[THREADS_MAX];
} timers;

/* ---- the ring ---- */

/* A slot to write into, or NULL. */
static struct flo_profile_sample *claim(struct flo_profile_ring *ring, unsigned *out_slot)
{
    unsigned head = atomic_load(&ring->head);

    do {
        if (head - atomic_load(&ring->tail) >= FLO_PROFILE_SLOTS) {
            atomic_fetch_add(&ring->lost, 1);
            return NULL;
        }
    } while (!atomic_compare_exchange_weak(&ring->head, &head, head + 1));
    *out_slot = head % FLO_PROFILE_SLOTS;
    return &ring->slots[*out_slot].sample;
}

/* The oldest sample, copied and bounded. False: there is none. */
static bool take_one(struct flo_profile_ring *ring, struct flo_profile_sample *out)
{
    unsigned tail = atomic_load(&ring->tail), slot = tail % FLO_PROFILE_SLOTS;

    if (!atomic_load_explicit(&ring->slots[slot].ready, memory_order_acquire))
        return false;
    *out = ring->slots[slot].sample;
    if (out->depth > FLO_PROFILE_DEPTH) /* it may be another process's doing */
        out->depth = FLO_PROFILE_DEPTH;
    out->thread[FLO_PROFILE_NAME - 1] = '\0';
    atomic_store(&ring->slots[slot].ready, false);
    atomic_store(&ring->tail, tail + 1);
    return true;
}

void flo_profile_ring_drain(struct flo_profile_ring *ring, flo_profile_fn fn, void *ctx)
{
    struct flo_profile_sample sample;

    for (int i = 0; i < FLO_PROFILE_SLOTS && take_one(ring, &sample); i++)
        fn(ctx, &sample);
}

static void forget(void *ctx, const struct flo_profile_sample *sample)
{
    (void)ctx;
    (void)sample;
}

void flo_profile_ring_open(struct flo_profile_ring *ring, unsigned hz)
{
    flo_profile_ring_drain(ring, forget, NULL);
    atomic_store(&ring->lost, 0);
    atomic_store(&ring->hz, hz);
}

void flo_profile_ring_mend(struct flo_profile_ring *ring)
{
    unsigned tail = atomic_load(&ring->tail), begun = atomic_load(&ring->head) - tail;

    for (unsigned i = 0; i < begun && i < FLO_PROFILE_SLOTS; i++) {
        unsigned slot = (tail + i) % FLO_PROFILE_SLOTS;
        if (atomic_load(&ring->slots[slot].ready))
            continue;
        memset(&ring->slots[slot].sample, 0, sizeof ring->slots[slot].sample);
        atomic_store(&ring->slots[slot].ready, true);
    }
}

/* ---- the handler ---- */

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

/* The stack without the handler's own frames. */
static void unwind(struct flo_profile_sample *sample, uintptr_t pc)
{
    void *raw[RAW_FRAMES];
    int count = 1, first = 0;

    raw[0] = (void *)pc;
    if (!sampler.skip || !sampler.skip(pc))
        count = backtrace(raw, RAW_FRAMES);
    for (int i = 0; i < count; i++) {
        if ((uintptr_t)raw[i] == pc) {
            first = i;
            break;
        }
    }
    sample->depth = 0;
    for (int i = first; i < count && sample->depth < FLO_PROFILE_DEPTH; i++)
        sample->pc[sample->depth++] = (uint64_t)(uintptr_t)raw[i];
}

static void take_sample(const void *context)
{
    struct flo_profile_ring *ring = sampler.ring;
    struct flo_profile_sample *sample;
    unsigned slot;

    if (!ring || atomic_load(&ring->hz) == 0 || !(sample = claim(ring, &slot)))
        return;
    memset(sample->thread, 0, sizeof sample->thread);
    prctl(PR_GET_NAME, sample->thread);
    unwind(sample, interrupted_at(context));
    atomic_store_explicit(&ring->slots[slot].ready, true, memory_order_release);
}

/* Of this process's threads. */
static void on_timer(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    (void)number;
    if (info->si_code == SI_TIMER)
        take_sample(context);
    errno = saved;
}

static void arm_process(unsigned hz)
{
    const struct itimerval interval = {
        .it_interval = {.tv_usec = hz ? 1000000 / (suseconds_t)hz : 0},
        .it_value = {.tv_usec = hz ? 1000000 / (suseconds_t)hz : 0}};

    setitimer(ITIMER_PROF, &interval, NULL);
}

/* In an executor process: the kernel's are the timer's, others say that hz has changed. A timer
 * that goes on when nobody wants it ends itself. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    unsigned hz = atomic_load(&sampler.ring->hz);

    (void)number;
    if (info->si_code <= 0 || hz == 0)
        arm_process(hz > FLO_PROFILE_HZ_MAX ? FLO_PROFILE_HZ_MAX : hz);
    else
        take_sample(context);
    errno = saved;
}

static int handle(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

    sigemptyset(&action.sa_mask);
    return sigaction(SIGPROF, &action, NULL);
}

/* ---- this process ---- */

/* The clock of a thread's CPU time, as the kernel numbers them. */
static clockid_t clock_of(pid_t tid)
{
    return (clockid_t)(~(unsigned)tid << 3 | 6u);
}

static void add_thread(pid_t tid)
{
    const long period_ns = 1000000000l / (long)timers.hz;
    const struct itimerspec period = {
        .it_interval = {.tv_nsec = period_ns % 1000000000l, .tv_sec = period_ns / 1000000000l},
        .it_value = {.tv_nsec = period_ns % 1000000000l, .tv_sec = period_ns / 1000000000l}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};

    for (size_t i = 0; i < timers.count; i++)
        if (timers.of[i].tid == tid)
            return;
    event.sigev_notify_thread_id = tid;
    if (timers.count == THREADS_MAX ||
        timer_create(clock_of(tid), &event, &timers.of[timers.count].timer))
        return; /* it has ended, or there are too many */
    timers.of[timers.count].tid = tid;
    timer_settime(timers.of[timers.count++].timer, 0, &period, NULL);
}

void flo_profile_look(void)
{
    DIR *dir = opendir("/proc/self/task");

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        long tid = strtol(entry->d_name, NULL, 10);
        if (tid > 0)
            add_thread((pid_t)tid);
    }
    if (dir)
        closedir(dir);
}

int flo_profile_begin(struct flo_profile_ring *ring, unsigned hz, bool (*skip)(uintptr_t pc),
                      struct flo_err *err)
{
    sampler.ring = ring;
    sampler.skip = skip;
    timers.hz = hz;
    timers.count = 0;
    flo_crash_warm_up(); /* the unwinder */
    flo_profile_ring_open(ring, hz);
    if (handle(on_timer))
        return flo_fail(err, FLO_ESYS, "cannot take SIGPROF: %s", strerror(errno));
    flo_profile_look();
    if (timers.count > 0)
        return 0;
    flo_profile_end();
    return flo_fail(err, FLO_ESYS, "cannot make timers of CPU time");
}

void flo_profile_end(void)
{
    for (size_t i = 0; i < timers.count; i++)
        timer_delete(timers.of[i].timer);
    timers.count = 0;
    if (sampler.ring)
        atomic_store(&sampler.ring->hz, 0);
    /* The handler stays: a signal may be on its way, and without it would end the process. */
}

/* ---- executor processes ---- */

void flo_profile_guard(struct flo_profile_ring *ring)
{
    sampler.ring = ring;
    handle(on_signal);
}

static struct flo_profile_ring *ring_of(const struct flo_executor *executor, unsigned i)
{
    const struct flo_executor_processes *pool = (const struct flo_executor_processes *)executor;

    return flo_crash_area_ring(&pool->tmpl->crashes, i);
}

/* Processes are what can be killed. */
static unsigned processes_of(const struct flo_executor *executor)
{
    return executor && executor->ops->kill && !executor->closed ? executor->unit_count : 0;
}

void flo_executor_profile(struct flo_executor *executor, unsigned hz)
{
    struct flo_executor_processes *pool = (struct flo_executor_processes *)executor;
    unsigned count = processes_of(executor);

    if (count > 0) {
        pool->profiled_before = true;
        pool->profiled_now = hz > 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (hz > 0)
            flo_profile_ring_open(ring_of(executor, i), hz);
        else
            atomic_store(&ring_of(executor, i)->hz, 0);
        (void)!flo_template_profile(pool->tmpl->control, i);
    }
}

void flo_executor_profile_drain(struct flo_executor *executor, flo_profile_fn fn, void *ctx)
{
    for (unsigned i = 0; i < processes_of(executor); i++)
        flo_profile_ring_drain(ring_of(executor, i), fn, ctx);
}

size_t flo_executor_profile_lost(const struct flo_executor *executor)
{
    size_t lost = 0;

    for (unsigned i = 0; i < processes_of(executor); i++)
        lost += atomic_load(&ring_of(executor, i)->lost);
    return lost;
}
