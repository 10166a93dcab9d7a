/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - see cgroup.h; what the files mean is in the kernel's cgroup-v1 and cgroup-v2
 * documentation. */
#include "base/cgroup.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/procfs.h"

#define LINE_MAX_BYTES 4096
#define SMALL_FILE 4096

bool flo_cgroup_read(char *out, size_t size, const char *format, ...)
{
    char path[2 * FLO_CGROUP_PATH_MAX];
    size_t len = 0;
    va_list args;
    int written, fd;

    va_start(args, format);
    written = vsnprintf(path, sizeof path, format, args);
    va_end(args);
    if (written < 0 || (size_t)written >= sizeof path)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (len < size - 1) {
        ssize_t n = read(fd, out + len, size - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fd);
    out[len] = '\0';
    return len > 0;
}

/* By lines: a machine with many containers has more mounts than one would like to hold. */
static bool find_mount(const char *proc, const char *controller, char *out_root, char *out_point,
                       size_t size)
{
    char path[FLO_CGROUP_PATH_MAX], line[LINE_MAX_BYTES];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "%s/self/mountinfo", proc);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        found = flo_parse_cgroup_mount(line, controller, out_root, out_point, size);
    fclose(file);
    return found;
}

bool flo_cgroup_find(const char *proc, const char *root, const char *controller,
                     struct flo_cgroup *out)
{
    char mounted[FLO_CGROUP_PATH_MAX], point[FLO_CGROUP_PATH_MAX], path[FLO_CGROUP_PATH_MAX];
    char text[SMALL_FILE];
    const char *below;
    size_t len;
    int written;

    if (!find_mount(proc, controller, mounted, point, sizeof point) ||
        !flo_cgroup_read(text, sizeof text, "%s/self/cgroup", proc) ||
        !flo_parse_cgroup(text, controller, path, sizeof path))
        return false;
    len = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    if (strncmp(path, mounted, len) != 0 || (path[len] && path[len] != '/'))
        below = "";
    else
        below = path + len;
    if (strcmp(below, "/") == 0 || strstr(below, "/.."))
        below = "";
    written = snprintf(out->top, sizeof out->top, "%s%s", root, point);
    if (written < 0 || (size_t)written >= sizeof out->top)
        return false;
    written = snprintf(out->folder, sizeof out->folder, "%s%s", out->top, below);
    if (written < 0 || (size_t)written >= sizeof out->folder || access(out->folder, R_OK) != 0)
        memcpy(out->folder, out->top, sizeof out->folder);
    return access(out->folder, R_OK) == 0;
}

bool flo_cgroup_up(struct flo_cgroup *group)
{
    char *slash = strrchr(group->folder, '/');

    if (!slash || strlen(group->folder) <= strlen(group->top))
        return false;
    *slash = '\0';
    return strlen(group->folder) >= strlen(group->top);
}

static bool read_number(const char *folder, const char *name, uint64_t *out)
{
    char text[64];

    return flo_cgroup_read(text, sizeof text, "%s/%s", folder, name) && flo_parse_number(text, out);
}

double flo_cgroup_cpu_quota(const char *folder, bool v1)
{
    uint64_t quota, period;
    char text[64];
    double cores;

    if (!v1)
        return flo_cgroup_read(text, sizeof text, "%s/cpu.max", folder) &&
                       flo_parse_cpu_max(text, &cores)
                   ? cores
                   : 0;
    if (!read_number(folder, "cpu.cfs_quota_us", &quota) || quota == UINT64_MAX || quota == 0 ||
        !read_number(folder, "cpu.cfs_period_us", &period) || period == 0)
        return 0;
    return (double)quota / (double)period;
}

/* The smallest limit of a group and those above it, and of what there is. */
static uint64_t least_memory(struct flo_cgroup *group, const char *file, uint64_t least)
{
    do {
        char text[64], *end;
        if (!flo_cgroup_read(text, sizeof text, "%s/%s", group->folder, file))
            continue;
        const unsigned long long limit = strtoull(text, &end, 10);
        if (end != text && limit < least) /* "max" is no number */
            least = limit;
    } while (flo_cgroup_up(group));
    return least;
}

uint64_t flo_cgroup_memory(void)
{
    struct flo_cgroup group;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t least = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    if (flo_cgroup_find("/proc", "", NULL, &group))
        least = least_memory(&group, "memory.max", least);
    if (flo_cgroup_find("/proc", "", "memory", &group))
        least = least_memory(&group, "memory.limit_in_bytes", least);
    return least == UINT64_MAX ? 0 : least;
}
