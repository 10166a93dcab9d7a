/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - /proc of a fleet's processes. */
#include "cli/usage.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The fields after the command's closing bracket in /proc/PID/stat (proc(5)): ppid is the second,
 * utime and stime the 12th and 13th, cutime and cstime the 14th and 15th, rss the 22nd. */
static int read_stat(int pid, int *out_ppid, double *out_cpu, int64_t *out_resident)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    char *p = strrchr(text, ')');
    if (!p)
        return -1;
    long long fields[23] = {0};
    p += 3; /* ") S" */
    for (int i = 1; i < 23; i++)
        fields[i] = strtoll(p, &p, 10);
    double tick = (double)sysconf(_SC_CLK_TCK);
    *out_ppid = (int)fields[1];
    *out_cpu = (double)(fields[11] + fields[12] + fields[13] + fields[14]) / tick;
    *out_resident = fields[21] * sysconf(_SC_PAGESIZE);
    return 0;
}

/* Add the descendants of pid, two levels deep: a template process and its executors. */
static void add_children(int pid, int depth, double *cpu, int64_t *resident)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
        int child = (int)strtol(entry->d_name, NULL, 10), ppid = 0;
        double child_cpu = 0;
        int64_t child_resident = 0;
        if (child <= 0 || read_stat(child, &ppid, &child_cpu, &child_resident) || ppid != pid)
            continue;
        *cpu += child_cpu;
        *resident += child_resident;
        if (depth > 1)
            add_children(child, depth - 1, cpu, resident);
    }
    if (proc)
        closedir(proc);
}

static void add_process(struct cli_usage *out, const char *name, int pid, bool with_children)
{
    int ppid;
    double cpu;
    int64_t resident;
    if (out->count == CLI_USAGE_MAX || pid <= 0 || read_stat(pid, &ppid, &cpu, &resident))
        return;
    if (with_children)
        add_children(pid, 2, &cpu, &resident);
    snprintf(out->processes[out->count].name, sizeof out->processes[0].name, "%s", name);
    out->processes[out->count].pid = pid;
    out->processes[out->count].cpu_seconds = cpu;
    out->processes[out->count].resident_bytes = resident;
    out->count++;
}

static int pid_of(const json_t *object)
{
    return (int)json_integer_value(json_object_get(object, "pid"));
}

void cli_usage_read(const char *fleet_path, struct cli_usage *out)
{
    *out = (struct cli_usage){0};
    json_t *fleet = fleet_path ? json_load_file(fleet_path, 0, NULL) : NULL;
    size_t i;
    json_t *process;
    const char *http = json_string_value(json_object_get(fleet, "http"));
    if (http)
        snprintf(out->dashboard, sizeof out->dashboard, "http://%s/", http);
    add_process(out, "flotilla-supervisor", pid_of(fleet), false);
    json_array_foreach(json_object_get(fleet, "processes"), i, process)
    {
        const char *name = json_string_value(json_object_get(process, "name"));
        add_process(out, name ? name : "?", pid_of(process), true);
    }
    json_decref(fleet);
}

/* CPU since before: the whole of it for a process that was not there. */
static double cpu_since(const struct cli_usage *before, const struct cli_usage *after, size_t i)
{
    for (size_t j = 0; j < before->count; j++)
        if (before->processes[j].pid == after->processes[i].pid)
            return after->processes[i].cpu_seconds - before->processes[j].cpu_seconds;
    return after->processes[i].cpu_seconds;
}

void cli_usage_print(const struct cli_usage *before, const struct cli_usage *after)
{
    if (!after->count)
        return;
    printf("\n%-32s %8s %10s %12s\n", "process", "pid", "CPU s", "resident MB");
    for (size_t i = 0; i < after->count; i++)
        printf("%-32s %8d %10.2f %12.1f\n", after->processes[i].name, after->processes[i].pid,
               cpu_since(before, after, i), (double)after->processes[i].resident_bytes / 1e6);
}

json_t *cli_usage_json(const struct cli_usage *before, const struct cli_usage *after)
{
    json_t *list = json_array();
    for (size_t i = 0; i < after->count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:f, s:I}", "name", after->processes[i].name, "pid",
                            after->processes[i].pid, "cpuSeconds", cpu_since(before, after, i),
                            "residentBytes", (json_int_t)after->processes[i].resident_bytes));
    return list;
}
