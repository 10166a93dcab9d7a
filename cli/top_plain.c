/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_plain.c - `flotilla top` where there is no terminal: the fleet's processes and what its tasks
 * cost, as tables or JSON. Figures of tasks are since their workers started; so are the CPU of
 * processes and the tasks a second.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/top.h"

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

static void paint_processes(FILE *out, const struct cli_costs *now)
{
    fprintf(out, "%-28s %-13s %-9s %9s %9s %9s %8s %7s %8s\n", "PROCESS", "ROLE", "STATE", "SLOTS",
            "DONE", "FAILED", "TASKS/S", "CPU %", "MEMORY");
    for (size_t i = 0; i < now->process_count; i++) {
        const struct cli_cost_process *p = &now->processes[i];
        const double ms = (double)p->age_ms;
        char slots[48] = "-";
        if (p->total > 0)
            snprintf(slots, sizeof slots, "%lld/%lld", (long long)p->used, (long long)p->total);
        fprintf(out, "%-28.28s %-13s %-9s %9s %9lld %9lld %8s %7s %8s\n", p->name, p->role,
                p->state, slots, (long long)p->done, (long long)p->failed,
                rate_text(ms > 0 ? (double)p->done / ms * 1e3 : 0).text,
                rate_text(ms > 0 ? (double)p->cpu_ms / ms * 100 : 0).text,
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

static void paint(FILE *out, const struct cli_costs *now, const struct cli_fleet_pages *pages)
{
    fprintf(out, "flotilla top - %zu processes of http://%s/\n\n", now->process_count,
            pages->fleet);
    paint_processes(out, now);
    fputs("\n", out);
    paint_types(out, now);
    if (now->left_out > 0)
        fprintf(out, "%zu figures of more processes and types are left out\n", now->left_out);
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

int cli_top_plain(const struct cli_fleet_pages *pages, bool json)
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
        paint(stdout, &costs, pages);
    cli_costs_fini(&costs);
    return 0;
}
