/* SPDX-License-Identifier: Apache-2.0 */
/* wear.c - see wear.h. */
#include "executor/wear.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "executor/limits.h"

#define LOOK_JOBS 64
#define DESCRIPTORS_MAX 1024
#define KIB 1024

/* The lowest free descriptor: of leaked ones it counts all, of others' gaps it knows nothing. */
static int free_descriptor(void)
{
    int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        fd = open("/", O_PATH | O_CLOEXEC); /* a job has closed its standard input */
    if (fd >= 0)
        close(fd);
    return fd;
}

static int64_t memory_now(const struct flo_wear *wear)
{
    return (int64_t)(wear->data ? flo_limits_data() : flo_limits_resident());
}

static void begin_memory(struct flo_wear *wear, const struct flo_executor_options *options,
                         const struct flo_usage_meter *meter)
{
    wear->next_kib = INT64_MAX;
    wear->memory_max = options->recycling.max_growth_bytes;
    wear->data = options->limits.memory_bytes > 0;
    if (wear->data &&
        (wear->memory_max == 0 || wear->memory_max > options->limits.memory_bytes / 2))
        wear->memory_max = options->limits.memory_bytes / 2;
    if (wear->memory_max == 0)
        return;
    wear->memory_begin = memory_now(wear);
    wear->faults = meter->last.ru_minflt;
    if (wear->data)
        return;
    wear->least_kib = meter->last.ru_maxrss + wear->memory_max / 2 / KIB;
    wear->next_kib = wear->least_kib;
}

static void begin_descriptors(struct flo_wear *wear)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    int max = DESCRIPTORS_MAX;

    wear->descriptors_begin = free_descriptor();
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)wear->descriptors_begin + 2 * (rlim_t)DESCRIPTORS_MAX)
        max = ((int)limit.rlim_cur - wear->descriptors_begin) / 2;
    wear->descriptors_max = max > 1 ? max : 1;
    wear->look_every = wear->descriptors_max / 8;
    if (wear->look_every > LOOK_JOBS)
        wear->look_every = LOOK_JOBS;
    if (wear->look_every < 1)
        wear->look_every = 1;
}

void flo_wear_begin(struct flo_wear *wear, const struct flo_executor_options *options,
                    const struct flo_usage_meter *meter)
{
    *wear = (struct flo_wear){.max_jobs = options->recycling.max_jobs};
    begin_memory(wear, options, meter);
    begin_descriptors(wear);
    wear->next_look = wear->look_every;
}

/* How much memory the process has too much; 0 = it may go on. */
static int64_t memory_growth(struct flo_wear *wear, struct flo_usage_meter *meter)
{
    int64_t growth;

    if (wear->memory_max == 0)
        return 0;
    growth = memory_now(wear) - wear->memory_begin;
    if (growth > wear->memory_max) {
        (void)malloc_trim(0); /* what is free is not lost */
        growth = memory_now(wear) - wear->memory_begin;
        if (growth > wear->memory_max)
            return growth;
    }
    wear->faults = meter->last.ru_minflt;
    if (meter->last.ru_maxrss >= wear->next_kib) {
        flo_usage_begin(meter, FLO_USAGE_PROCESS); /* an old peak is forgotten */
        wear->next_kib = meter->last.ru_maxrss + wear->memory_max / 8 / KIB;
        if (wear->next_kib < wear->least_kib)
            wear->next_kib = wear->least_kib;
    }
    return 0;
}

static int64_t descriptor_growth(const struct flo_wear *wear)
{
    int free = free_descriptor(); /* < 0: there is none */
    int growth = free < 0 ? 2 * wear->descriptors_max : free - wear->descriptors_begin;

    return growth > wear->descriptors_max ? growth : 0;
}

enum flo_recycle_reason flo_wear_job(struct flo_wear *wear, struct flo_usage_meter *meter,
                                     int64_t *out_amount)
{
    wear->jobs++;
    if (wear->max_jobs > 0 && wear->jobs >= wear->max_jobs) {
        *out_amount = wear->jobs;
        return FLO_RECYCLE_JOBS;
    }
    if (wear->jobs < wear->next_look && meter->last.ru_maxrss < wear->next_kib &&
        !(wear->data && meter->last.ru_minflt != wear->faults))
        return FLO_RECYCLE_NONE;
    *out_amount = memory_growth(wear, meter);
    if (*out_amount > 0)
        return FLO_RECYCLE_MEMORY;
    if (wear->jobs < wear->next_look)
        return FLO_RECYCLE_NONE;
    wear->next_look = wear->jobs + wear->look_every;
    *out_amount = descriptor_growth(wear);
    return *out_amount > 0 ? FLO_RECYCLE_DESCRIPTORS : FLO_RECYCLE_NONE;
}

const char *flo_recycle_reason_name(enum flo_recycle_reason reason)
{
    static const char *const NAMES[] = {"none", "jobs", "memory", "descriptors"};

    return NAMES[reason];
}
