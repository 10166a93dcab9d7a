/* SPDX-License-Identifier: Apache-2.0 */
/* cores.c - see cores.h. */
#include "executor/cores.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
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

/* The smallest quota of this process's group and of those above it, thousandths of a core. */
static int64_t read_quota(const char *root)
{
    char proc[FLO_CGROUP_PATH_MAX];
    struct flo_cgroup group;
    double least = 0;
    bool v1 = true;

    snprintf(proc, sizeof proc, "%s/proc", root);
    if (!flo_cgroup_find(proc, root, "cpu", &group)) {
        v1 = false;
        if (!flo_cgroup_find(proc, root, NULL, &group))
            return 0;
    }
    do {
        double quota = flo_cgroup_cpu_quota(group.folder, v1);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
    } while (flo_cgroup_up(&group));
    return (int64_t)(least * 1000);
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
