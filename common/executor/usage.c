/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - getrusage(2) and the CPU clock as what one job used. */
#include "executor/usage.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define BLOCK_BYTES 512 /* unit of ru_inblock and ru_oublock */
#define KIB 1024
/* A peak that rose by less is no news about a job. */
#define PEAK_STEP_KIB 1024

static int64_t time_ns(const struct timeval *time)
{
    return time->tv_sec * FLO_NS_PER_S + time->tv_usec * 1000;
}

int64_t flo_usage_cpu_ns(const struct flo_usage_meter *meter)
{
    return time_ns(&meter->last.ru_utime) + time_ns(&meter->last.ru_stime);
}

static uint64_t rise(long before, long now)
{
    return now > before ? (uint64_t)(now - before) : 0;
}

void flo_usage_between(const struct rusage *before, const struct rusage *now, long waits,
                       struct flo_job_usage *out)
{
    *out = (struct flo_job_usage){
        .user_ns = time_ns(&now->ru_utime) - time_ns(&before->ru_utime),
        .system_ns = time_ns(&now->ru_stime) - time_ns(&before->ru_stime),
        .max_rss_bytes = (uint64_t)now->ru_maxrss * KIB,
        .read_bytes = rise(before->ru_inblock, now->ru_inblock) * BLOCK_BYTES,
        .written_bytes = rise(before->ru_oublock, now->ru_oublock) * BLOCK_BYTES,
        .voluntary_switches = rise(before->ru_nvcsw + waits, now->ru_nvcsw),
        .involuntary_switches = rise(before->ru_nivcsw, now->ru_nivcsw),
    };
}

/* "5" makes the peak of resident memory what is resident now. */
static void forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return; /* then the peak is that of all jobs so far */
    (void)!write(fd, "5", 1);
    close(fd);
}

void flo_usage_begin(struct flo_usage_meter *meter, enum flo_usage_of of)
{
    *meter = (struct flo_usage_meter){.of = of};
    if (of == FLO_USAGE_PROCESS)
        forget_peak();
    else
        meter->cpu_ns = flo_clock_thread_cpu_ns();
    getrusage(of == FLO_USAGE_THREAD ? RUSAGE_THREAD : RUSAGE_SELF, &meter->last);
}

void flo_usage_job(struct flo_usage_meter *meter, bool waited)
{
    if (waited)
        meter->waits++;
    if (meter->of == FLO_USAGE_THREAD)
        meter->began_ns = flo_clock_mono_ns();
}

static void take_process(struct flo_usage_meter *meter, struct flo_job_usage *out)
{
    struct rusage before = meter->last;

    getrusage(RUSAGE_SELF, &meter->last);
    flo_usage_between(&before, &meter->last, meter->waits, out);
    meter->waits = 0;
    if (meter->last.ru_maxrss > before.ru_maxrss + PEAK_STEP_KIB)
        flo_usage_begin(meter, FLO_USAGE_PROCESS);
}

static void take_thread(struct flo_usage_meter *meter, struct flo_job_usage *out)
{
    const int64_t cpu_before_ns = meter->cpu_ns;
    struct rusage now;
    int64_t cpu_ns;

    meter->cpu_ns = flo_clock_thread_cpu_ns();
    cpu_ns = meter->cpu_ns - cpu_before_ns;
    if (flo_clock_mono_ns() - meter->began_ns < FLO_USAGE_SHORT_NS) {
        *out = (struct flo_job_usage){.user_ns = cpu_ns};
        return;
    }
    getrusage(RUSAGE_THREAD, &now);
    flo_usage_between(&meter->last, &now, meter->waits, out);
    meter->last = now;
    meter->waits = 0;
    out->max_rss_bytes = 0;
    if (out->system_ns > cpu_ns)
        out->system_ns = cpu_ns;
    out->user_ns = cpu_ns - out->system_ns;
}

void flo_usage_take(struct flo_usage_meter *meter, struct flo_job_usage *out)
{
    if (meter->of == FLO_USAGE_THREAD)
        take_thread(meter, out);
    else
        take_process(meter, out);
}

void flo_usage_add(struct flo_job_usage *sum, const struct flo_job_usage *more)
{
    sum->user_ns += more->user_ns;
    sum->system_ns += more->system_ns;
    sum->read_bytes += more->read_bytes;
    sum->written_bytes += more->written_bytes;
    sum->voluntary_switches += more->voluntary_switches;
    sum->involuntary_switches += more->involuntary_switches;
}

static uint64_t rest(uint64_t all, uint64_t part)
{
    return all > part ? all - part : 0;
}

struct flo_job_usage flo_usage_rest(const struct flo_job_usage *all,
                                    const struct flo_job_usage *known)
{
    return (struct flo_job_usage){
        .user_ns = all->user_ns > known->user_ns ? all->user_ns - known->user_ns : 0,
        .system_ns = all->system_ns > known->system_ns ? all->system_ns - known->system_ns : 0,
        .max_rss_bytes = all->max_rss_bytes,
        .read_bytes = rest(all->read_bytes, known->read_bytes),
        .written_bytes = rest(all->written_bytes, known->written_bytes),
        .voluntary_switches = rest(all->voluntary_switches, known->voluntary_switches),
        .involuntary_switches = rest(all->involuntary_switches, known->involuntary_switches),
    };
}

struct flo_job_usage flo_usage_told(const struct flo_job_usage *usage)
{
    const uint64_t most = UINT64_C(1) << 60; /* so that sums do not overflow */

    if ((uint64_t)usage->user_ns > most || (uint64_t)usage->system_ns > most ||
        usage->max_rss_bytes > most || usage->read_bytes > most || usage->written_bytes > most ||
        usage->voluntary_switches > most || usage->involuntary_switches > most)
        return (struct flo_job_usage){0};
    return *usage;
}
