/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - finding and reading the kernel's files; see reader.h. */
#include "tuner/reader.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/procfs.h"

#define LOOK_NS (10 * FLO_NS_PER_S)
#define LEAST_NS (10 * FLO_NS_PER_MS)
#define THROTTLED_SMOOTHING_S 1.0 /* a quota has ten periods a second */
#define FILE_MAX 16384            /* of one file; what matters comes first in all of them */

/* A whole file as text, cut at FILE_MAX. */
struct file {
    char text[FILE_MAX];
};

#define read_file(file, ...) flo_cgroup_read((file)->text, sizeof(file)->text, __VA_ARGS__)

static const struct flo_reader_paths SYSTEM = {.proc = "/proc", .root = ""};

static bool read_number(const char *folder, const char *name, uint64_t *out)
{
    struct file file;

    return read_file(&file, "%s/%s", folder, name) && flo_parse_number(file.text, out);
}

/* ---- finding ---- */

static bool find_group(const struct flo_reader *reader, const char *controller,
                       struct flo_cgroup *out)
{
    return flo_cgroup_find(reader->paths.proc, reader->paths.root, controller, out);
}

static bool machine_memory(const struct flo_reader *reader, uint64_t *out_total,
                           uint64_t *out_available)
{
    struct file file;

    return read_file(&file, "%s/meminfo", reader->paths.proc) &&
           flo_parse_field(file.text, "MemTotal", out_total) && *out_total > 0 &&
           flo_parse_field(file.text, "MemAvailable", out_available);
}

static uint64_t memory_limit(const char *folder, enum flo_reader_source source)
{
    uint64_t limit = UINT64_MAX, high;

    if (source == FLO_READER_CGROUP1)
        return read_number(folder, "memory.limit_in_bytes", &limit) ? limit : UINT64_MAX;
    if (!read_number(folder, "memory.max", &limit))
        limit = UINT64_MAX;
    /* Above memory.high the kernel holds the processes up. */
    if (read_number(folder, "memory.high", &high) && high < limit)
        limit = high;
    return limit;
}

static void look_for_memory(struct flo_reader *reader)
{
    struct flo_cgroup group;
    uint64_t total_kib = UINT64_MAX / 1024, available;
    bool machine = machine_memory(reader, &total_kib, &available);
    enum flo_reader_source source = FLO_READER_CGROUP1;

    reader->memory_count = 0;
    reader->memory = machine ? FLO_READER_HOST : FLO_READER_NONE;
    if (!find_group(reader, "memory", &group)) {
        source = FLO_READER_CGROUP2;
        if (!find_group(reader, NULL, &group))
            return;
    }
    do {
        uint64_t limit = memory_limit(group.folder, source);
        struct flo_reader_memory_level *level = &reader->memory_levels[reader->memory_count];
        if (limit == 0 || limit / 1024 >= total_kib)
            continue;
        memcpy(level->path, group.folder, sizeof group.folder);
        level->limit_bytes = limit;
        reader->memory_count++;
    } while (flo_cgroup_up(&group) && reader->memory_count < FLO_READER_LEVELS);
    if (reader->memory_count > 0)
        reader->memory = source;
}

/* The ticks of the CPUs that this process may run on. */
static bool machine_cpu(const struct flo_reader *reader, uint64_t *out_busy, uint64_t *out_total,
                        unsigned *out_cpus)
{
    struct flo_cpu_set set;
    struct file file;
    bool some = read_file(&file, "%s/self/status", reader->paths.proc) &&
                flo_parse_cpus_allowed(file.text, &set);

    return read_file(&file, "%s/stat", reader->paths.proc) &&
           (flo_parse_proc_stat(file.text, some ? &set : NULL, out_busy, out_total, out_cpus) ||
            flo_parse_proc_stat(file.text, NULL, out_busy, out_total, out_cpus));
}

static bool cpu_usage(const struct flo_reader_cpu_level *level, enum flo_reader_source source,
                      uint64_t *out_usec)
{
    struct file file;

    if (!read_file(&file, "%s", level->path))
        return false;
    if (source == FLO_READER_CGROUP2)
        return flo_parse_field(file.text, "usage_usec", out_usec);
    if (!flo_parse_number(file.text, out_usec))
        return false;
    *out_usec /= 1000;
    return true;
}

static void cpu_throttling(const struct flo_reader_cpu_level *level, uint64_t *out_periods,
                           uint64_t *out_throttled)
{
    struct file file;

    *out_periods = *out_throttled = 0;
    if (!read_file(&file, "%s", level->stat) ||
        !flo_parse_field(file.text, "nr_periods", out_periods) ||
        !flo_parse_field(file.text, "nr_throttled", out_throttled))
        *out_periods = *out_throttled = 0;
}

/* v1 counts usage in another hierarchy; the same folder there, if it can be read. */
static void add_cpu_level(struct flo_reader *reader, enum flo_reader_source source,
                          const char *folder, const char *top, const char *acct_top, double cores)
{
    struct flo_reader_cpu_level *level = &reader->cpu_levels[reader->cpu_count];
    bool v2 = source == FLO_READER_CGROUP2;
    int a = snprintf(level->path, sizeof level->path, "%s%s/%s", v2 ? top : acct_top,
                     folder + strlen(top), v2 ? "cpu.stat" : "cpuacct.usage");
    int b = snprintf(level->stat, sizeof level->stat, "%s/cpu.stat", folder);

    if (a < 0 || b < 0 || (size_t)a >= sizeof level->path || (size_t)b >= sizeof level->stat)
        return;
    level->cores = cores;
    if (!cpu_usage(level, source, &level->last_usec))
        return;
    cpu_throttling(level, &level->last_periods, &level->last_throttled);
    reader->cpu_count++;
}

static void look_for_cpu(struct flo_reader *reader)
{
    struct flo_cgroup group, acct = {.top = ""};
    enum flo_reader_source source = FLO_READER_CGROUP1;
    uint64_t busy, total;
    unsigned cpus = 0;

    reader->cpu_count = 0;
    reader->cpu = machine_cpu(reader, &busy, &total, &cpus) ? FLO_READER_HOST : FLO_READER_NONE;
    reader->cpus = cpus;
    if (!find_group(reader, "cpu", &group) || !find_group(reader, "cpuacct", &acct)) {
        source = FLO_READER_CGROUP2;
        if (!find_group(reader, NULL, &group))
            return;
    }
    do {
        double cores = flo_cgroup_cpu_quota(group.folder, source == FLO_READER_CGROUP1);
        if (cores > 0 && (cpus == 0 || cores < cpus))
            add_cpu_level(reader, source, group.folder, group.top, acct.top, cores);
    } while (flo_cgroup_up(&group) && reader->cpu_count < FLO_READER_LEVELS);
    if (reader->cpu_count > 0)
        reader->cpu = source;
}

static bool choose_pressure(char *out, size_t size, const char *folder, const char *name)
{
    struct file file;
    double share;
    int written = snprintf(out, size, "%s/%s", folder, name);

    if (written > 0 && (size_t)written < size && read_file(&file, "%s", out) &&
        flo_parse_pressure(file.text, &share))
        return true;
    out[0] = '\0';
    return false;
}

/* The root of all cgroups, which the kernel gives no type: what it says is said of the machine. */
static bool is_machine(const char *folder)
{
    char path[FLO_READER_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/cgroup.type", folder);
    return access(path, F_OK) != 0;
}

static void look_for_pressure(struct flo_reader *reader)
{
    char folder[FLO_READER_PATH_MAX];
    struct flo_cgroup group;
    char *cpu = reader->cpu_pressure, *memory = reader->memory_pressure;
    bool found;

    reader->psi = FLO_READER_CGROUP2;
    if (find_group(reader, NULL, &group) && !is_machine(group.folder)) {
        found = choose_pressure(cpu, sizeof reader->cpu_pressure, group.folder, "cpu.pressure");
        if (choose_pressure(memory, sizeof reader->memory_pressure, group.folder,
                            "memory.pressure") ||
            found)
            return;
    }
    snprintf(folder, sizeof folder, "%s/pressure", reader->paths.proc);
    found = choose_pressure(cpu, sizeof reader->cpu_pressure, folder, "cpu");
    if (choose_pressure(memory, sizeof reader->memory_pressure, folder, "memory") || found)
        reader->psi = FLO_READER_HOST;
    else
        reader->psi = FLO_READER_NONE;
}

void flo_reader_init(struct flo_reader *reader, const struct flo_reader_paths *paths,
                     int64_t now_ns)
{
    unsigned cpus;

    memset(reader, 0, sizeof *reader);
    reader->paths = paths ? *paths : SYSTEM;
    reader->last_cpu = reader->last_throttled = -1;
    reader->looked_ns = reader->last_ns = now_ns;
    look_for_memory(reader);
    look_for_cpu(reader);
    look_for_pressure(reader);
    if (!machine_cpu(reader, &reader->last_busy, &reader->last_total, &cpus))
        reader->last_busy = reader->last_total = 0;
}

/* Limits may have changed. What is measured since the last sample goes on where it was. */
static void look_again(struct flo_reader *reader, int64_t now_ns)
{
    struct flo_reader_cpu_level before[FLO_READER_LEVELS];
    size_t count = reader->cpu_count;

    memcpy(before, reader->cpu_levels, sizeof before);
    reader->looked_ns = now_ns;
    look_for_memory(reader);
    look_for_cpu(reader);
    look_for_pressure(reader);
    for (size_t i = 0; i < reader->cpu_count; i++) {
        struct flo_reader_cpu_level *level = &reader->cpu_levels[i];
        for (size_t k = 0; k < count; k++)
            if (strcmp(level->path, before[k].path) == 0) {
                level->last_usec = before[k].last_usec;
                level->last_periods = before[k].last_periods;
                level->last_throttled = before[k].last_throttled;
            }
    }
}

/* ---- reading ---- */

/* The sum of the fields that are there; *out_any: one was. */
static uint64_t sum_fields(const char *text, const char *const *names, size_t count, bool *out_any)
{
    uint64_t sum = 0, value;

    *out_any = false;
    for (size_t i = 0; i < count; i++)
        if (flo_parse_field(text, names[i], &value) && sum <= UINT64_MAX - value) {
            sum += value;
            *out_any = true;
        }
    return sum;
}

/* What of a cgroup's memory the kernel cannot simply drop. */
static bool cgroup_memory(const char *folder, enum flo_reader_source source, uint64_t *out)
{
    static const char *const V1[] = {"total_rss", "total_shmem"};
    static const char *const V2[] = {"anon", "shmem", "sock"};
    static const char *const KERNEL[] = {"kernel_stack", "pagetables", "sec_pagetables", "percpu",
                                         "slab_unreclaimable"};
    uint64_t kernel, reclaimable = 0;
    struct file file;
    bool any;

    if (!read_file(&file, "%s/memory.stat", folder))
        return false;
    if (source == FLO_READER_CGROUP1) {
        *out = sum_fields(file.text, V1, sizeof V1 / sizeof *V1, &any);
        return any;
    }
    if (!flo_parse_field(file.text, "anon", out))
        return false;
    *out = sum_fields(file.text, V2, sizeof V2 / sizeof *V2, &any);
    if (flo_parse_field(file.text, "kernel", &kernel)) { /* since Linux 5.18 */
        (void)flo_parse_field(file.text, "slab_reclaimable", &reclaimable);
        *out += kernel > reclaimable ? kernel - reclaimable : 0;
    } else {
        *out += sum_fields(file.text, KERNEL, sizeof KERNEL / sizeof *KERNEL, &any);
    }
    return true;
}

static double memory_share(const struct flo_reader *reader)
{
    uint64_t used, total, available;
    double fullest = -1;

    if (reader->memory_count == 0) {
        if (!machine_memory(reader, &total, &available))
            return -1;
        return available < total ? (double)(total - available) / (double)total : 0;
    }
    for (size_t i = 0; i < reader->memory_count; i++) {
        const struct flo_reader_memory_level *level = &reader->memory_levels[i];
        if (!cgroup_memory(level->path, reader->memory, &used))
            continue;
        double share = (double)used / (double)level->limit_bytes;
        fullest = share > fullest ? share : fullest;
    }
    return fullest;
}

static double machine_share(struct flo_reader *reader)
{
    uint64_t busy, total, last_busy = reader->last_busy, last_total = reader->last_total;
    unsigned cpus;

    if (!machine_cpu(reader, &busy, &total, &cpus))
        return -1;
    reader->last_busy = busy;
    reader->last_total = total;
    if (last_total == 0 || total <= last_total || busy < last_busy)
        return reader->last_cpu; /* no tick since, or CPUs came or went */
    return (double)(busy - last_busy) / (double)(total - last_total);
}

static double quota_share(struct flo_reader *reader, double seconds, double *out_throttled)
{
    double fullest = -1;

    *out_throttled = -1;
    for (size_t i = 0; i < reader->cpu_count; i++) {
        struct flo_reader_cpu_level *level = &reader->cpu_levels[i];
        uint64_t usec, periods, throttled;
        double share;
        if (!cpu_usage(level, reader->cpu, &usec))
            continue;
        share = usec > level->last_usec
                    ? (double)(usec - level->last_usec) / 1e6 / (seconds * level->cores)
                    : 0;
        fullest = share > fullest ? share : fullest;
        level->last_usec = usec;
        cpu_throttling(level, &periods, &throttled);
        if (periods > level->last_periods && throttled >= level->last_throttled) {
            double part = (double)(throttled - level->last_throttled) /
                          (double)(periods - level->last_periods);
            *out_throttled = part > *out_throttled ? part : *out_throttled;
        } else if (*out_throttled < 0) {
            *out_throttled = 0;
        }
        level->last_periods = periods;
        level->last_throttled = throttled;
    }
    return fullest;
}

static double pressure(const char *path)
{
    struct file file;
    double share;

    return path[0] && read_file(&file, "%s", path) && flo_parse_pressure(file.text, &share) ? share
                                                                                            : -1;
}

void flo_reader_sample(struct flo_reader *reader, int64_t now_ns, struct flo_tuner_sample *out)
{
    if (now_ns - reader->looked_ns >= LOOK_NS)
        look_again(reader, now_ns);
    if (now_ns - reader->last_ns >= LEAST_NS) {
        double seconds = (double)(now_ns - reader->last_ns) / FLO_NS_PER_S, throttled = -1;
        reader->last_ns = now_ns;
        reader->last_cpu = reader->cpu_count > 0 ? quota_share(reader, seconds, &throttled)
                                                 : machine_share(reader);
        if (throttled < 0 || reader->last_throttled < 0)
            reader->last_throttled = throttled;
        else
            reader->last_throttled +=
                (throttled - reader->last_throttled) * seconds / (seconds + THROTTLED_SMOOTHING_S);
    }
    out->cpu = reader->last_cpu;
    out->throttled = reader->last_throttled;
    out->memory = memory_share(reader);
    out->memory_shared = reader->memory_count == 0;
    /* That others wait for the machine says nothing about a share of one's own. */
    out->cpu_pressure = out->memory_pressure = -1;
    if (reader->psi == FLO_READER_CGROUP2 || reader->cpu_count == 0)
        out->cpu_pressure = pressure(reader->cpu_pressure);
    if (reader->psi == FLO_READER_CGROUP2 || reader->memory_count == 0)
        out->memory_pressure = pressure(reader->memory_pressure);
}

/* ---- telling ---- */

static const char *source_name(enum flo_reader_source source)
{
    static const char *const NAMES[] = {"unknown", "machine", "cgroup v1", "cgroup v2"};

    return NAMES[source];
}

void flo_reader_describe(const struct flo_reader *reader, char *out, size_t size)
{
    char memory[FLO_READER_PATH_MAX + 64] = "", cpu[FLO_READER_PATH_MAX + 64];
    size_t least = 0;

    for (size_t i = 1; i < reader->memory_count; i++)
        if (reader->memory_levels[i].limit_bytes < reader->memory_levels[least].limit_bytes)
            least = i;
    if (reader->memory_count > 0)
        snprintf(memory, sizeof memory, ", limit %llu MiB (%s)",
                 (unsigned long long)(reader->memory_levels[least].limit_bytes >> 20),
                 reader->memory_levels[least].path);
    least = 0;
    for (size_t i = 1; i < reader->cpu_count; i++)
        if (reader->cpu_levels[i].cores < reader->cpu_levels[least].cores)
            least = i;
    if (reader->cpu_count > 0)
        snprintf(cpu, sizeof cpu, ", quota %.2f cores (%s)", reader->cpu_levels[least].cores,
                 reader->cpu_levels[least].path);
    else
        snprintf(cpu, sizeof cpu, ", %u CPUs", reader->cpus);
    snprintf(out, size, "memory: %s%s; cpu: %s%s; pressure: %s", source_name(reader->memory),
             memory, source_name(reader->cpu), cpu,
             reader->psi == FLO_READER_HOST   ? "machine"
             : reader->psi == FLO_READER_NONE ? "none"
                                              : "cgroup v2");
}
