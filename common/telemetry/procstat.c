/* SPDX-License-Identifier: Apache-2.0 */
/* procstat.c - /proc/PID/stat, see proc(5). */
#include "telemetry/procstat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int flo_procstat_read(pid_t pid, struct flo_procstat *out)
{
    char path[64] = "/proc/self/stat", text[1024];
    if (pid)
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? FLO_ENOENT : FLO_ESYS;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return FLO_ENOENT; /* it ended in between */
    text[n] = '\0';
    const char *fields = strrchr(text, ')'); /* the command's name may hold anything */
    if (!fields)
        return FLO_ESYS;
    unsigned long long utime, stime, start, vsize;
    long long cutime, cstime, threads, rss;
    int group;
    /* From field 3, the state: group 5, utime 14, stime 15, cutime 16, cstime 17, threads 20,
     * start 22, vsize 23, rss 24. */
    if (sscanf(fields + 1,
               " %*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %lld %*d "
               "%llu %llu %lld",
               &group, &utime, &stime, &cutime, &cstime, &threads, &start, &vsize, &rss) != 9)
        return FLO_ESYS;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    out->cpu_seconds = (double)(utime + stime) / ticks;
    out->children_cpu_seconds = (double)(cutime + cstime) / ticks;
    out->group = group;
    out->start_seconds = (double)start / ticks;
    out->resident_bytes = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    out->virtual_bytes = vsize;
    out->threads = threads;
    return 0;
}

int flo_procstat_group(pid_t group, struct flo_procstat *out, int *out_processes)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return FLO_ESYS;
    *out = (struct flo_procstat){.group = group};
    *out_processes = 0;
    for (const struct dirent *entry; (entry = readdir(proc));) {
        struct flo_procstat stat;
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end || pid <= 0 || flo_procstat_read((pid_t)pid, &stat) || stat.group != group)
            continue;
        out->cpu_seconds += stat.cpu_seconds + stat.children_cpu_seconds;
        out->resident_bytes += stat.resident_bytes;
        out->virtual_bytes += stat.virtual_bytes;
        out->threads += stat.threads;
        ++*out_processes;
    }
    closedir(proc);
    return *out_processes ? 0 : FLO_ENOENT;
}
