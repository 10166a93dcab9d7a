/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recommend.c - `flotilla recommend`: what to ask of Kubernetes for each role, from what its
 * workers did so far (advice.h has the rule). As a table with the reasons, as JSON, or as patches
 * that `kubectl patch --patch-file` or kustomize take.
 */
#include <stdio.h>
#include <string.h>

#include "cli/advice.h"
#include "cli/command.h"
#include "cli/fleet_pages.h"
#include "cli/output.h"

static const struct {
    const char *role, *deployment; /* as the manifests in k8s/ name it */
} roles[] = {
    {"workflow", "workflow-worker"},
    {"io-activity", "io-activity-worker"},
    {"cpu-activity", "cpu-activity-worker"},
};
#define ROLE_COUNT (sizeof roles / sizeof *roles)

static void load_of(const struct cli_costs *costs, const char *role, struct cli_role_load *out)
{
    *out = (struct cli_role_load){.role = role};
    for (size_t i = 0; i < costs->process_count; i++) {
        const struct cli_cost_process *p = &costs->processes[i];
        if (strcmp(p->role, role) != 0)
            continue;
        out->processes++;
        out->up_seconds += (double)p->age_ms / 1e3;
        out->cpu_seconds += p->own_cpu_seconds;
        if ((double)p->total > out->slots)
            out->slots = (double)p->total;
        if (p->own_peak_bytes > out->peak_bytes)
            out->peak_bytes = p->own_peak_bytes;
    }
    for (size_t i = 0; i < costs->type_count; i++) {
        const struct cli_cost_type *t = &costs->types[i];
        if (strcmp(t->role, role) != 0)
            continue;
        out->tasks += t->count;
        out->task_seconds += t->seconds;
        out->tasks_cpu_seconds += t->cpu_seconds;
        if (t->max_rss_bytes > out->executor_peak_bytes)
            out->executor_peak_bytes = t->max_rss_bytes;
    }
    if (out->executor_peak_bytes > 0) /* executors are processes of their own */
        out->cpu_seconds += out->tasks_cpu_seconds;
}

static void print_table(const struct cli_role_load *load, const struct cli_advice *advice)
{
    char limit[24] = "none";

    if (!advice->enough) {
        printf("%-13s too little data: %s\n\n", load->role, advice->missing);
        return;
    }
    if (advice->cpu_max_milli)
        snprintf(limit, sizeof limit, "%lldm", (long long)advice->cpu_max_milli);
    printf("%-13s cpu     request %7lldm    limit %8s    %s\n", load->role,
           (long long)advice->cpu_milli, limit, advice->cpu_reason);
    printf("%-13s memory  request %6lldMi    limit %6lldMi    %s\n", "",
           (long long)advice->memory_mib, (long long)advice->memory_max_mib, advice->memory_reason);
    printf("%-13s from %zu processes, %.0f tasks; slots were busy %.0f %% of the time%s\n\n", "",
           load->processes, load->tasks, advice->busy * 100,
           advice->busy < 0.25 ? ": measure again under load for firm figures" : "");
}

static void print_patch(const char *deployment, const struct cli_role_load *load,
                        const struct cli_advice *advice)
{
    if (!advice->enough) {
        printf("# %s: too little data: %s\n", deployment, advice->missing);
        return;
    }
    printf("---\n"
           "# cpu: %s\n"
           "# memory: %s\n"
           "# from %zu processes, %.0f tasks; slots were busy %.0f %% of the time\n"
           "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %s\n"
           "spec:\n  template:\n    spec:\n      containers:\n        - name: worker\n"
           "          resources:\n            requests:\n"
           "              cpu: %lldm\n              memory: %lldMi\n            limits:\n",
           advice->cpu_reason, advice->memory_reason, load->processes, load->tasks,
           advice->busy * 100, deployment, (long long)advice->cpu_milli,
           (long long)advice->memory_mib);
    if (advice->cpu_max_milli)
        printf("              cpu: %lldm\n", (long long)advice->cpu_max_milli);
    else
        printf("              cpu: null # one that may not burst is slow without need\n");
    printf("              memory: %lldMi\n", (long long)advice->memory_max_mib);
}

static json_t *advice_json(const struct cli_role_load *load, const struct cli_advice *advice)
{
    json_t *out = json_pack("{s:s, s:i, s:f, s:f, s:b}", "role", load->role, "processes",
                            (int)load->processes, "tasks", load->tasks, "busy", advice->busy,
                            "enough", advice->enough);

    if (!advice->enough) {
        json_object_set_new(out, "missing", json_string(advice->missing));
        return out;
    }
    json_object_set_new(out, "requests",
                        json_pack("{s:I, s:I}", "cpuMilli", (json_int_t)advice->cpu_milli,
                                  "memoryMiB", (json_int_t)advice->memory_mib));
    json_object_set_new(
        out, "limits",
        json_pack("{s:o, s:I}", "cpuMilli",
                  advice->cpu_max_milli ? json_integer(advice->cpu_max_milli) : json_null(),
                  "memoryMiB", (json_int_t)advice->memory_max_mib));
    json_object_set_new(
        out, "reasons",
        json_pack("{s:s, s:s}", "cpu", advice->cpu_reason, "memory", advice->memory_reason));
    return out;
}

/* True when a figure could be given for any role. */
static bool print_all(const struct cli_costs *costs, const char *output)
{
    const bool json = strcmp(output, "json") == 0, yaml = strcmp(output, "yaml") == 0;
    json_t *list = json ? json_array() : NULL;
    bool any = false;

    for (size_t i = 0; i < ROLE_COUNT; i++) {
        struct cli_role_load load;
        struct cli_advice advice;
        load_of(costs, roles[i].role, &load);
        if (load.processes == 0)
            continue;
        cli_advise(&load, &advice);
        any = any || advice.enough;
        if (json)
            json_array_append_new(list, advice_json(&load, &advice));
        else if (yaml)
            print_patch(roles[i].deployment, &load, &advice);
        else
            print_table(&load, &advice);
    }
    if (json)
        cli_print_json(json_pack("{s:o}", "roles", list));
    return any;
}

int cli_recommend(const struct cli_options *options)
{
    struct cli_fleet_pages pages;
    struct flo_err err = {0};
    struct cli_costs costs;
    int exit_code = cli_fleet_pages_find("recommend", options, &pages);
    bool any;

    if (exit_code)
        return exit_code;
    if (cli_fleet_pages_read(&pages, &costs, &err)) {
        fprintf(stderr, "flotilla recommend: %s\n", err.message);
        return err.code == FLO_ECONN ? FLO_EXIT_UNAVAILABLE : FLO_EXIT_REFUSED;
    }
    any = print_all(&costs, options->output ? options->output : "text");
    if (!any)
        fprintf(stderr, "flotilla recommend: nothing can be recommended yet: let the fleet work "
                        "for a while\n");
    cli_costs_fini(&costs);
    return any ? 0 : FLO_EXIT_REFUSED;
}
