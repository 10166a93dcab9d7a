/* SPDX-License-Identifier: Apache-2.0 */
/* procfs.c - see procfs.h; the formats are those of proc(5) and of the kernel's cgroup-v1,
 * cgroup-v2 and PSI documentation. */
#include "base/procfs.h"

#include <string.h>

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');

    return end ? end + 1 : NULL;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* Digits at *at; *at moves behind them. False without digits, or past 64 bits. */
static bool take_number(const char **at, uint64_t *out)
{
    uint64_t value = 0;
    const char *p = *at;

    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (p == *at)
        return false;
    *at = p;
    *out = value;
    return true;
}

/* The rest behind "KEY " or "KEY:" at a line's beginning, or NULL. */
static const char *find_key(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *line = text; line && *line; line = next_line(line))
        if (strncmp(line, key, len) == 0 &&
            (line[len] == ' ' || line[len] == '\t' || line[len] == ':'))
            return skip_blanks(line + len + 1);
    return NULL;
}

bool flo_parse_field(const char *text, const char *key, uint64_t *out)
{
    const char *at = find_key(text, key);

    return at && take_number(&at, out);
}

bool flo_parse_number(const char *text, uint64_t *out)
{
    const char *at = text;
    uint64_t value = UINT64_MAX;

    if (strncmp(at, "max", 3) == 0)
        at += 3;
    else if (strncmp(at, "-1", 2) == 0)
        at += 2;
    else if (!take_number(&at, &value))
        return false;
    if (*at && *at != '\n')
        return false;
    *out = value;
    return true;
}

bool flo_parse_cpu_max(const char *text, double *out_cores)
{
    const char *at = text;
    uint64_t quota, period;

    if (strncmp(at, "max", 3) == 0 && (!at[3] || at[3] == ' ' || at[3] == '\n')) {
        *out_cores = 0;
        return true;
    }
    if (!take_number(&at, &quota) || *at != ' ')
        return false;
    at = skip_blanks(at);
    if (!take_number(&at, &period) || quota == 0 || period == 0)
        return false;
    *out_cores = (double)quota / (double)period;
    return true;
}

bool flo_parse_pressure(const char *text, double *out_share)
{
    const char *at = find_key(text, "some");
    uint64_t whole, part = 0;
    double scale = 1;

    if (!at || strncmp(at, "avg10=", 6) != 0)
        return false;
    at += 6;
    if (!take_number(&at, &whole) || whole > 100)
        return false;
    if (*at == '.') {
        const char *digits = ++at;
        if (!take_number(&at, &part) || at - digits > 6)
            return false;
        for (; digits < at; digits++)
            scale *= 10;
    }
    *out_share = ((double)whole + (double)part / scale) / 100;
    return true;
}

/* ---- CPUs ---- */

bool flo_cpu_set_has(const struct flo_cpu_set *set, unsigned cpu)
{
    return cpu < FLO_PARSE_CPUS && set->bits[cpu / 64] >> (cpu % 64) & 1;
}

/* user nice system idle iowait irq softirq steal; guests' time is in user's already. */
static bool take_ticks(const char *at, uint64_t *out_busy, uint64_t *out_total)
{
    uint64_t fields[8] = {0}, total = 0;
    size_t count = 0;

    for (; count < 8; count++) {
        at = skip_blanks(at);
        if (!take_number(&at, &fields[count]))
            break;
        if (fields[count] > UINT64_MAX / 16)
            return false;
        total += fields[count];
    }
    if (count < 4)
        return false;
    *out_total = total;
    *out_busy = total - fields[3] - fields[4];
    return true;
}

bool flo_parse_proc_stat(const char *text, const struct flo_cpu_set *set, uint64_t *out_busy,
                         uint64_t *out_total, unsigned *out_cpus)
{
    uint64_t busy = 0, total = 0;
    unsigned cpus = 0;

    for (const char *line = text; line && strncmp(line, "cpu", 3) == 0; line = next_line(line)) {
        const char *at = line + 3;
        uint64_t cpu, one_busy, one_total;
        if (!take_number(&at, &cpu))
            continue; /* the sum */
        if (cpu >= FLO_PARSE_CPUS || (set && !flo_cpu_set_has(set, (unsigned)cpu)))
            continue;
        if (!take_ticks(at, &one_busy, &one_total) || total > UINT64_MAX - one_total)
            continue;
        busy += one_busy;
        total += one_total;
        cpus++;
    }
    if (cpus == 0)
        return false;
    *out_busy = busy;
    *out_total = total;
    *out_cpus = cpus;
    return true;
}

bool flo_parse_cpus_allowed(const char *text, struct flo_cpu_set *out)
{
    const char *at = find_key(text, "Cpus_allowed_list");
    struct flo_cpu_set set = {{0}};

    if (!at)
        return false;
    for (;;) {
        uint64_t first, last;
        if (!take_number(&at, &first))
            return false;
        last = first;
        if (*at == '-') {
            at++;
            if (!take_number(&at, &last) || last < first)
                return false;
        }
        for (uint64_t cpu = first; cpu <= last && cpu < FLO_PARSE_CPUS; cpu++)
            set.bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
        if (*at != ',')
            break;
        at++;
    }
    if (*at && *at != '\n')
        return false;
    *out = set;
    return true;
}

/* ---- cgroups ---- */

/* Is name one of the comma-separated list that ends at end? */
static bool in_list(const char *list, const char *end, const char *name)
{
    size_t len = strlen(name);

    while (list < end) {
        const char *stop = memchr(list, ',', (size_t)(end - list));
        stop = stop ? stop : end;
        if ((size_t)(stop - list) == len && memcmp(list, name, len) == 0)
            return true;
        list = stop + 1;
    }
    return false;
}

static bool copy(char *out, size_t size, const char *from, const char *end)
{
    size_t len = (size_t)(end - from);

    if (len >= size)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

bool flo_parse_cgroup(const char *text, const char *controller, char *out, size_t size)
{
    for (const char *line = text; line && *line; line = next_line(line)) {
        const char *end = line + strcspn(line, "\n");
        const char *list = memchr(line, ':', (size_t)(end - line));
        const char *path = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;
        if (!path || path[1] != '/')
            continue;
        /* v2: "0::/path"; v1: "4:memory:/path", "3:cpu,cpuacct:/path" */
        if (controller ? in_list(list + 1, path, controller) : path == list + 1 && *line == '0')
            return copy(out, size, path + 1, end);
    }
    return false;
}

/* The blank-separated word number n of the line that ends at end; its end in *out_end. */
static const char *word(const char *line, const char *end, unsigned n, const char **out_end)
{
    for (const char *at = line; at < end;) {
        const char *stop = memchr(at, ' ', (size_t)(end - at));
        stop = stop ? stop : end;
        if (n-- == 0) {
            *out_end = stop;
            return at;
        }
        at = stop + 1;
    }
    return NULL;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* mountinfo writes a blank as \040. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) && is_octal(from[3])) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* id parent major:minor ROOT POINT options [tags] - TYPE source SUPER,OPTIONS */
static bool cgroup_mount(const char *line, const char *end, const char *controller, char *out_root,
                         char *out_point, size_t size)
{
    const char *root_end = NULL, *point_end = NULL, *type_end, *options_end, *dash_end;
    const char *root = word(line, end, 3, &root_end), *point = word(line, end, 4, &point_end);
    const char *dash = NULL, *type, *options;

    for (unsigned n = 6; (dash = word(line, end, n, &dash_end)); n++)
        if (dash_end - dash == 1 && *dash == '-')
            break;
    if (!root || !point || !dash || dash_end >= end)
        return false;
    type = word(dash_end + 1, end, 0, &type_end);
    options = word(dash_end + 1, end, 2, &options_end);
    if (!type || !options)
        return false;
    if (controller ? type_end - type != 6 || memcmp(type, "cgroup", 6) != 0 ||
                         !in_list(options, options_end, controller)
                   : type_end - type != 7 || memcmp(type, "cgroup2", 7) != 0)
        return false;
    if ((size_t)(root_end - root) >= size || !copy(out_point, size, point, point_end))
        return false;
    if (!copy(out_root, size, root, root_end))
        return false;
    unescape(out_root);
    unescape(out_point);
    return true;
}

bool flo_parse_cgroup_mount(const char *text, const char *controller, char *out_root,
                            char *out_point, size_t size)
{
    for (const char *line = text; line && *line; line = next_line(line))
        if (cgroup_mount(line, line + strcspn(line, "\n"), controller, out_root, out_point, size))
            return true;
    return false;
}
