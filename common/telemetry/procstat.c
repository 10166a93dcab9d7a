/* SPDX-License-Identifier: Apache-2.0 */
/* procstat.c - /proc/PID/stat, see proc(5). */
#include "telemetry/procstat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

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
    int parent;
    /* From field 3, the state: parent 4, utime 14, stime 15, cutime 16, cstime 17, threads 20,
     * start 22, vsize 23, rss 24. */
    if (sscanf(fields + 1,
               " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %lld %*d "
               "%llu %llu %lld",
               &parent, &utime, &stime, &cutime, &cstime, &threads, &start, &vsize, &rss) != 9)
        return FLO_ESYS;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    out->cpu_seconds = (double)(utime + stime) / ticks;
    out->children_cpu_seconds = (double)(cutime + cstime) / ticks;
    out->parent = parent;
    out->start_seconds = (double)start / ticks;
    out->resident_bytes = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    out->virtual_bytes = vsize;
    out->threads = threads;
    return 0;
}

struct one {
    pid_t pid;
    bool counted; /* it belongs to the tree */
    struct flo_procstat stat;
};

/* All processes that there are; freed by the caller. */
static int read_all(struct one **out, size_t *out_count)
{
    struct one *all = NULL;
    size_t count = 0, room = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return FLO_ESYS;
    for (const struct dirent *entry; (entry = readdir(proc));) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        struct flo_procstat stat;
        if (*end || pid <= 0 || flo_procstat_read((pid_t)pid, &stat))
            continue;
        if (count == room) {
            room = room ? 2 * room : 256;
            struct one *more = flo_reallocarray(all, room, sizeof *all);
            if (!more) {
                flo_free(all);
                closedir(proc);
                return FLO_ENOMEM;
            }
            all = more;
        }
        all[count++] = (struct one){.pid = (pid_t)pid, .stat = stat};
    }
    closedir(proc);
    *out = all;
    *out_count = count;
    return 0;
}

/* Count the process and, through it, its children. Recursion as deep as the tree. */
static void count_tree(struct one *all, size_t count, size_t at, struct flo_procstat *out,
                       int *out_processes)
{
    const struct flo_procstat *stat = &all[at].stat;
    all[at].counted = true;
    out->cpu_seconds += stat->cpu_seconds + stat->children_cpu_seconds;
    out->resident_bytes += stat->resident_bytes;
    out->virtual_bytes += stat->virtual_bytes;
    out->threads += stat->threads;
    ++*out_processes;
    for (size_t i = 0; i < count; i++)
        if (!all[i].counted && all[i].stat.parent == all[at].pid)
            count_tree(all, count, i, out, out_processes);
}

int flo_procstat_tree(pid_t pid, struct flo_procstat *out, int *out_processes)
{
    struct flo_procstat sum = {0};
    struct one *all;
    size_t count;
    int processes = 0, rc = read_all(&all, &count);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++)
        if (all[i].pid == pid)
            count_tree(all, count, i, &sum, &processes);
    flo_free(all);
    if (!processes)
        return FLO_ENOENT;
    *out = sum;
    *out_processes = processes;
    return 0;
}
