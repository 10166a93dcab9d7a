/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - see limits.h. */
#include "executor/limits.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define OPEN_FILES_MIN 16

static uint64_t data_at_begin;

/* The numbers of statm, from 0. */
#define STATM_RESIDENT 1
#define STATM_DATA 5 /* and stack */

static uint64_t statm_bytes(int wanted)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128];
    uint64_t pages = 0;
    int field = 0;
    ssize_t n;

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text);
    close(fd);
    for (ssize_t i = 0; i < n && field <= wanted; i++) {
        if (text[i] == ' ')
            field++;
        else if (field == wanted && text[i] >= '0' && text[i] <= '9')
            pages = pages * 10 + (uint64_t)(text[i] - '0');
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t flo_limits_data(void)
{
    return statm_bytes(STATM_DATA);
}

uint64_t flo_limits_resident(void)
{
    return statm_bytes(STATM_RESIDENT);
}

/* Lower a limit; a hard limit that is lower already stays. */
static void lower(__rlimit_resource_t what, rlim_t to, bool hard_too)
{
    struct rlimit limit;

    if (getrlimit(what, &limit) < 0)
        return;
    if (to > limit.rlim_max)
        to = limit.rlim_max;
    limit.rlim_cur = to;
    if (hard_too)
        limit.rlim_max = to;
    (void)setrlimit(what, &limit);
}

void flo_limits_begin(const struct flo_executor_limits *limits)
{
    if (limits->open_files > 0)
        lower(RLIMIT_NOFILE,
              (rlim_t)(limits->open_files > OPEN_FILES_MIN ? limits->open_files : OPEN_FILES_MIN),
              true);
    if (limits->memory_bytes > 0) {
        data_at_begin = flo_limits_data();
        lower(RLIMIT_DATA, data_at_begin + (rlim_t)limits->memory_bytes, true);
    }
}

void flo_limits_job(const struct flo_executor_limits *limits, int64_t used_ns)
{
    if (limits->cpu_ms > 0)
        lower(RLIMIT_CPU,
              (rlim_t)((used_ns + FLO_NS_PER_S - 1) / FLO_NS_PER_S + (limits->cpu_ms + 999) / 1000),
              false);
}

uint64_t flo_limits_data_used(void)
{
    uint64_t now = data_at_begin ? flo_limits_data() : 0;

    return now > data_at_begin ? now - data_at_begin : 0;
}
