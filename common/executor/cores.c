/* SPDX-License-Identifier: Apache-2.0 */
/* cores.c - see cores.h. */
#include "executor/cores.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flotilla/error.h"

void flo_cores_order(const cpu_set_t *usable, const uint16_t *core_of, struct flo_cores *out)
{
    uint16_t rank[CPU_SETSIZE], taken[CPU_SETSIZE] = {0};
    unsigned left = (unsigned)CPU_COUNT(usable);

    out->count = out->physical = 0;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, usable))
            rank[cpu] = taken[core_of[cpu] % CPU_SETSIZE]++;
    for (unsigned level = 0; out->count < left; level++) {
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, usable) && rank[cpu] == level)
                out->order[out->count++] = (uint16_t)cpu;
        if (level == 0)
            out->physical = out->count;
    }
}

int flo_cores_parse(const char *text, cpu_set_t *out)
{
    CPU_ZERO(out);
    while (*text && *text != '\n') {
        char *end;
        unsigned long first, last;

        if (*text < '0' || *text > '9')
            return FLO_EINVAL;
        first = last = strtoul(text, &end, 10);
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            last = strtoul(end + 1, &end, 10);
        if (last < first || last >= CPU_SETSIZE || (*end && *end != ',' && *end != '\n'))
            return FLO_EINVAL;
        for (; first <= last; first++)
            CPU_SET(first, out);
        text = *end == ',' ? end + 1 : end;
    }
    return 0;
}

/* The first line of a file, without its end. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool read;

    if (!file)
        return false;
    read = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

/* A core's number: that of its first hardware thread. */
static uint16_t core_of_cpu(const char *root, unsigned cpu)
{
    char path[PATH_MAX], line[256];
    cpu_set_t siblings;

    snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
             root, cpu);
    if (!read_line(path, line, sizeof line) || flo_cores_parse(line, &siblings))
        return (uint16_t)cpu;
    for (unsigned first = 0; first < CPU_SETSIZE; first++)
        if (CPU_ISSET(first, &siblings))
            return (uint16_t)first;
    return (uint16_t)cpu;
}

/* ---- quota ---- */

static int64_t milli(int64_t quota, int64_t period)
{
    return quota > 0 && period > 0 ? quota * 1000 / period : 0;
}

/* The quota of one group: v2's "QUOTA PERIOD", or v1's two files. */
static int64_t quota_of_group(const char *folder)
{
    char path[PATH_MAX + 32], line[64];
    int64_t quota, period;

    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_line(path, line, sizeof line))
        return sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 ? milli(quota, period)
                                                                          : 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line))
        return 0;
    quota = strtoll(line, NULL, 10);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return read_line(path, line, sizeof line) ? milli(quota, strtoll(line, NULL, 10)) : 0;
}

/* The smallest quota of the group at mount + path and of those above it. A path that is not there
 * (a container that sees only its own part) leaves those that are. */
static int64_t quota_of_path(const char *mount, char *path)
{
    char folder[PATH_MAX];
    int64_t least = 0, quota;
    char *slash;

    do {
        snprintf(folder, sizeof folder, "%s%s", mount, path);
        quota = quota_of_group(folder);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
    } while (slash);
    return least;
}

/* Is cpu among the controllers, "cpu,cpuacct"? */
static bool names_cpu(const char *controllers, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = strcspn(controllers + at, ",:");
        if (n == 3 && memcmp(controllers + at, "cpu", 3) == 0)
            return true;
        at += n + 1;
    }
    return false;
}

static int64_t read_quota(const char *root)
{
    char path[PATH_MAX], mount[PATH_MAX], line[PATH_MAX];
    int64_t least = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':'), *group = NULL;
        int64_t quota;
        line[strcspn(line, "\n")] = '\0';
        if (controllers)
            group = strchr(++controllers, ':');
        if (!group ||
            (group > controllers && !names_cpu(controllers, (size_t)(group - controllers))))
            continue;
        snprintf(mount, sizeof mount, "%.1024s/sys/fs/cgroup%s", root,
                 group > controllers ? "/cpu" : "");
        quota = quota_of_path(mount, group + 1);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
    }
    fclose(file);
    return least;
}

void flo_cores_read(const char *root, struct flo_cores *out)
{
    uint16_t core_of[CPU_SETSIZE];
    cpu_set_t usable;

    if (sched_getaffinity(0, sizeof usable, &usable) < 0) {
        CPU_ZERO(&usable);
        CPU_SET(0, &usable);
    }
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        core_of[cpu] = CPU_ISSET(cpu, &usable) ? core_of_cpu(root, cpu) : (uint16_t)cpu;
    flo_cores_order(&usable, core_of, out);
    out->quota_milli = read_quota(root);
}

unsigned flo_cores_fit(const struct flo_cores *cores)
{
    unsigned fit = cores->count ? cores->count : 1;

    if (cores->quota_milli > 0 && cores->quota_milli < (int64_t)fit * 1000)
        fit = cores->quota_milli < 1000 ? 1 : (unsigned)(cores->quota_milli / 1000);
    return fit;
}
