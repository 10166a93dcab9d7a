/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top.c - `flotilla top`: the fleet's processes and what its tasks cost, painted again each two
 * seconds on a terminal, once elsewhere. Figures of tasks are since their workers started; the CPU
 * of processes and the tasks a second are of the time since the last painting, the first time
 * since the process started.
 */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/fleet_pages.h"
#include "cli/output.h"

#define PERIOD_MS 2000

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

/* ---- figures as text ---- */

struct figure {
    char text[16];
};

static struct figure bytes_text(double bytes)
{
    static const char *const units[] = {"B", "K", "M", "G", "T"};
    struct figure out;
    size_t unit = 0;

    while (bytes >= 1000 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out.text, sizeof out.text, bytes < 10 && unit ? "%.1f%s" : "%.0f%s", bytes,
             units[unit]);
    return out;
}

static struct figure seconds_text(double seconds)
{
    struct figure out;

    if (seconds < 0)
        snprintf(out.text, sizeof out.text, "-");
    else if (seconds < 0.001)
        snprintf(out.text, sizeof out.text, "%.0fus", seconds * 1e6);
    else if (seconds < 1)
        snprintf(out.text, sizeof out.text, "%.3gms", seconds * 1e3);
    else if (seconds < 600)
        snprintf(out.text, sizeof out.text, "%.3gs", seconds);
    else
        snprintf(out.text, sizeof out.text, "%.0fm", seconds / 60);
    return out;
}

static struct figure rate_text(double number)
{
    struct figure out;

    snprintf(out.text, sizeof out.text, number > 0 && number < 10 ? "%.2g" : "%.0f", number);
    return out;
}

/* ---- the tables ---- */

static const struct cli_cost_process *find(const struct cli_costs *costs,
                                           const struct cli_cost_process *process)
{
    for (size_t i = 0; costs && i < costs->process_count; i++)
        if (strcmp(costs->processes[i].name, process->name) == 0 &&
            strcmp(costs->processes[i].identity, process->identity) == 0)
            return &costs->processes[i];
    return NULL;
}

static void paint_processes(FILE *out, const struct cli_costs *now, const struct cli_costs *before,
                            int64_t elapsed_ms)
{
    fprintf(out, "%-28s %-13s %-9s %9s %9s %9s %8s %7s %8s\n", "PROCESS", "ROLE", "STATE", "SLOTS",
            "DONE", "FAILED", "TASKS/S", "CPU %", "MEMORY");
    for (size_t i = 0; i < now->process_count; i++) {
        const struct cli_cost_process *p = &now->processes[i], *old = find(before, p);
        char slots[24] = "-";
        double ms;
        if (old && (old->cpu_ms > p->cpu_ms || old->done > p->done))
            old = NULL; /* it is another one by now */
        ms = (double)(old ? elapsed_ms : p->age_ms);
        if (p->total > 0)
            snprintf(slots, sizeof slots, "%lld/%lld", (long long)p->used, (long long)p->total);
        fprintf(
            out, "%-28.28s %-13s %-9s %9s %9lld %9lld %8s %7s %8s\n", p->name, p->role, p->state,
            slots, (long long)p->done, (long long)p->failed,
            rate_text(ms > 0 ? (double)(p->done - (old ? old->done : 0)) / ms * 1e3 : 0).text,
            rate_text(ms > 0 ? (double)(p->cpu_ms - (old ? old->cpu_ms : 0)) / ms * 100 : 0).text,
            bytes_text((double)p->rss_bytes).text);
    }
}

static void paint_types(FILE *out, const struct cli_costs *now)
{
    fprintf(out, "%-28s %-13s %9s %9s %8s %8s %8s %5s %8s %8s %8s %9s\n", "TYPE", "ROLE", "COUNT",
            "FAILED", "P50", "P99", "CPU/TASK", "SYS%", "PEAK MEM", "READ/T", "WRITE/T",
            "SWITCH/T");
    for (size_t i = 0; i < now->type_count; i++) {
        const struct cli_cost_type *t = &now->types[i];
        const bool activity = strcmp(t->role, "workflow") != 0 && t->count > 0;
        char system[16] = "-";
        if (t->cpu_seconds > 0)
            snprintf(system, sizeof system, "%.0f", t->system_cpu_seconds / t->cpu_seconds * 100);
        fprintf(out, "%-28.28s %-13s %9.0f %9.0f %8s %8s %8s %5s %8s %8s %8s %9s\n", t->name,
                t->role, t->count, t->failed, seconds_text(cli_cost_quantile(t, 0.5)).text,
                seconds_text(cli_cost_quantile(t, 0.99)).text,
                seconds_text(activity ? t->cpu_seconds / t->count : -1).text, system,
                t->max_rss_bytes > 0 ? bytes_text(t->max_rss_bytes).text : "-",
                activity ? bytes_text(t->read_bytes / t->count).text : "-",
                activity ? bytes_text(t->written_bytes / t->count).text : "-",
                activity ? rate_text((t->voluntary + t->involuntary) / t->count).text : "-");
    }
}

static void paint(FILE *out, const struct cli_costs *now, const struct cli_costs *before,
                  int64_t elapsed_ms, const struct cli_fleet_pages *pages, bool terminal)
{
    fprintf(out, "flotilla top - %zu processes of http://%s/%s\n\n", now->process_count,
            pages->fleet, terminal ? " - Ctrl-C ends" : "");
    paint_processes(out, now, before, elapsed_ms);
    fputs("\n", out);
    paint_types(out, now);
    if (now->left_out > 0)
        fprintf(out, "%zu figures of more processes and types are left out\n", now->left_out);
}

/* The terminal's whole screen: each line cleared before its text, and what does not fit left out:
 * the last line has no end, which would scroll. */
static void put_screen(const char *text)
{
    struct winsize size = {0};
    size_t rows = SIZE_MAX, row;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        rows = size.ws_row;
    fputs("\033[H", stdout);
    for (row = 0; row < rows && *text; row++) {
        const size_t len = strcspn(text, "\n");
        printf("%s\033[K%.*s", row ? "\n" : "", (int)len, text);
        text += len + (text[len] == '\n');
    }
    if (row < rows)
        fputs("\n\033[J", stdout);
    fflush(stdout);
}

/* ---- JSON ---- */

static json_t *process_json(const struct cli_cost_process *p)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", p->name,
                     "identity", p->identity, "role", p->role, "state", p->state, "slotsUsed",
                     (json_int_t)p->used, "slotsTotal", (json_int_t)p->total, "done",
                     (json_int_t)p->done, "failed", (json_int_t)p->failed, "cpuMs",
                     (json_int_t)p->cpu_ms, "residentBytes", (json_int_t)p->rss_bytes, "upMs",
                     (json_int_t)p->age_ms);
}

static json_t *type_json(const struct cli_cost_type *t)
{
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
                     "type", t->name, "role", t->role, "count", t->count, "failed", t->failed,
                     "seconds", t->seconds, "p50", cli_cost_quantile(t, 0.5), "p99",
                     cli_cost_quantile(t, 0.99), "cpuSeconds", t->cpu_seconds, "systemCpuSeconds",
                     t->system_cpu_seconds, "maxRssBytes", t->max_rss_bytes, "readBytes",
                     t->read_bytes, "writtenBytes", t->written_bytes, "voluntarySwitches",
                     t->voluntary, "involuntarySwitches", t->involuntary);
}

static void print_json(const struct cli_costs *costs)
{
    json_t *processes = json_array(), *types = json_array();

    for (size_t i = 0; i < costs->process_count; i++)
        json_array_append_new(processes, process_json(&costs->processes[i]));
    for (size_t i = 0; i < costs->type_count; i++)
        json_array_append_new(types, type_json(&costs->types[i]));
    cli_print_json(json_pack("{s:o, s:o}", "processes", processes, "types", types));
}

/* ---- */

static int show_once(const struct cli_fleet_pages *pages, bool json)
{
    struct flo_err err = {0};
    struct cli_costs costs;

    if (cli_fleet_pages_read(pages, &costs, &err)) {
        fprintf(stderr, "flotilla top: %s\n", err.message);
        return err.code == FLO_ECONN ? FLO_EXIT_UNAVAILABLE : FLO_EXIT_REFUSED;
    }
    if (json)
        print_json(&costs);
    else
        paint(stdout, &costs, NULL, 0, pages, false);
    cli_costs_fini(&costs);
    return 0;
}

static void show(const struct cli_costs *now, const struct cli_costs *before, int64_t elapsed_ms,
                 const struct cli_fleet_pages *pages)
{
    char *text = NULL;
    size_t len;
    FILE *screen = open_memstream(&text, &len);

    if (!screen)
        return; /* no memory: the next time perhaps */
    paint(screen, now, before, elapsed_ms, pages, true);
    if (fclose(screen) == 0)
        put_screen(text);
    free(text);
}

/* Until Ctrl-C. A supervisor that is away for a moment is waited for. */
static int show_live(const struct cli_fleet_pages *pages)
{
    const struct sigaction action = {.sa_handler = on_signal};
    struct cli_costs before = {0};
    int64_t painted_ns = 0;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("\033[?25l\033[?7l\033[2J"); /* no cursor, long lines cut, an empty screen */
    while (!ended) {
        struct flo_err err = {0};
        struct cli_costs now;
        const int64_t now_ns = flo_clock_mono_ns();
        if (cli_fleet_pages_read(pages, &now, &err)) {
            put_screen(err.message);
        } else {
            show(&now, painted_ns ? &before : NULL, (now_ns - painted_ns) / FLO_NS_PER_MS, pages);
            cli_costs_fini(&before);
            before = now;
            painted_ns = now_ns;
        }
        if (!ended)
            (void)poll(NULL, 0, PERIOD_MS);
    }
    cli_costs_fini(&before);
    printf("\033[?7h\033[?25h\n");
    return 0;
}

int cli_top(const struct cli_options *options)
{
    struct cli_fleet_pages pages;
    int exit_code = cli_fleet_pages_find("top", options, &pages);

    if (exit_code)
        return exit_code;
    if (options->once || options->json || !isatty(STDOUT_FILENO))
        return show_once(&pages, options->json);
    return show_live(&pages);
}
