/* SPDX-License-Identifier: Apache-2.0 */
/* costs.c - see costs.h. */
#include "cli/costs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/prom.h"

/* ---- types ---- */

static struct cli_cost_type *type_of(struct cli_costs *costs, const char *role, const char *name)
{
    struct cli_cost_type *type;

    for (size_t i = 0; i < costs->type_count; i++) {
        type = &costs->types[i];
        if (strcmp(type->role, role) == 0 && strcmp(type->name, name) == 0)
            return type;
    }
    if (costs->type_count == CLI_COST_TYPES_MAX) {
        costs->left_out++;
        return NULL;
    }
    type = &costs->types[costs->type_count++];
    snprintf(type->role, sizeof type->role, "%s", role);
    snprintf(type->name, sizeof type->name, "%s", name);
    return type;
}

static void add_bucket(struct cli_cost_type *type, double le, double count)
{
    size_t i = 0;

    while (i < type->bucket_count && type->buckets[i].le < le)
        i++;
    if (i == type->bucket_count || type->buckets[i].le > le) {
        if (type->bucket_count == CLI_COST_BUCKETS_MAX)
            return;
        memmove(&type->buckets[i + 1], &type->buckets[i],
                (type->bucket_count - i) * sizeof type->buckets[0]);
        type->buckets[i].le = le;
        type->buckets[i].count = 0;
        type->bucket_count++;
    }
    type->buckets[i].count += count;
}

/* One of the families of a type; the value is added, or, where peak, the highest counts. */
static const struct {
    const char *name;
    size_t offset;
    bool peak;
} families[] = {
#define FAMILY(text, field, peak)                                                                  \
    {                                                                                              \
        text, offsetof(struct cli_cost_type, field), peak                                          \
    }
    FAMILY("temporal_activity_execution_latency_seconds_count", count, false),
    FAMILY("temporal_activity_execution_latency_seconds_sum", seconds, false),
    FAMILY("temporal_activity_execution_failed_total", failed, false),
    FAMILY("temporal_workflow_task_execution_latency_seconds_count", count, false),
    FAMILY("temporal_workflow_task_execution_latency_seconds_sum", seconds, false),
    FAMILY("temporal_workflow_task_execution_failed_total", failed, false),
    FAMILY("flotilla_activity_cpu_seconds_total", cpu_seconds, false),
    FAMILY("flotilla_activity_system_cpu_seconds_total", system_cpu_seconds, false),
    FAMILY("flotilla_activity_max_rss_bytes", max_rss_bytes, true),
    FAMILY("flotilla_activity_read_bytes_total", read_bytes, false),
    FAMILY("flotilla_activity_written_bytes_total", written_bytes, false),
    FAMILY("flotilla_activity_voluntary_switches_total", voluntary, false),
    FAMILY("flotilla_activity_involuntary_switches_total", involuntary, false),
#undef FAMILY
};

static void take_type_sample(struct cli_costs *costs, const struct cli_prom_sample *sample,
                             const char *name)
{
    const bool bucket =
        strcmp(sample->name, "temporal_activity_execution_latency_seconds_bucket") == 0 ||
        strcmp(sample->name, "temporal_workflow_task_execution_latency_seconds_bucket") == 0;
    struct cli_cost_type *type;
    size_t i = 0;

    while (i < sizeof families / sizeof *families && strcmp(sample->name, families[i].name) != 0)
        i++;
    if (!bucket && i == sizeof families / sizeof *families)
        return;
    type = type_of(costs, cli_prom_label(sample, "role"), name);
    if (!type)
        return;
    if (bucket) {
        add_bucket(type, strtod(cli_prom_label(sample, "le"), NULL), sample->value);
        return;
    }
    double *field = (double *)(void *)((char *)type + families[i].offset);
    if (!families[i].peak)
        *field += sample->value;
    else if (sample->value > *field)
        *field = sample->value;
}

static void take_process_sample(struct cli_costs *costs, const struct cli_prom_sample *sample)
{
    static const struct {
        const char *name;
        size_t offset;
    } own[] = {
        {"process_cpu_seconds_total", offsetof(struct cli_cost_process, own_cpu_seconds)},
        {"process_resident_memory_bytes", offsetof(struct cli_cost_process, own_rss_bytes)},
        {"flotilla_process_peak_memory_bytes", offsetof(struct cli_cost_process, own_peak_bytes)},
    };
    const char *identity = cli_prom_label(sample, "identity");
    size_t i = 0;

    while (i < sizeof own / sizeof *own && strcmp(sample->name, own[i].name) != 0)
        i++;
    for (size_t j = 0; i < sizeof own / sizeof *own && j < costs->process_count; j++) {
        struct cli_cost_process *process = &costs->processes[j];
        if (process->identity[0] && strcmp(process->identity, identity) == 0)
            *(double *)(void *)((char *)process + own[i].offset) = sample->value;
    }
}

static void take_sample(void *ctx, const struct cli_prom_sample *sample)
{
    const char *activity = cli_prom_label(sample, "activity_type");
    const char *workflow = cli_prom_label(sample, "workflow_type");

    if (activity[0] || workflow[0])
        take_type_sample(ctx, sample, activity[0] ? activity : workflow);
    else
        take_process_sample(ctx, sample);
}

/* ---- processes ---- */

static int64_t int_of(const json_t *object, const char *key)
{
    return (int64_t)json_number_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void take_process(struct cli_costs *costs, const json_t *json, int64_t now_ms)
{
    const char *name = text_of(json, "name");
    struct cli_cost_process *process;
    json_t *slots;
    size_t i;

    if (costs->process_count == CLI_COST_PROCESSES_MAX) {
        costs->left_out++;
        return;
    }
    process = &costs->processes[costs->process_count++];
    snprintf(process->identity, sizeof process->identity, "%s", text_of(json, "identity"));
    snprintf(process->name, sizeof process->name, "%s", *name ? name : process->identity);
    snprintf(process->role, sizeof process->role, "%s", text_of(json, "role"));
    /* Of a process that is up, what it says of itself tells more: quiet, draining. */
    const char *state = text_of(json, "state"), *own = text_of(json, "worker_state");
    const bool up = strcmp(state, "up") == 0 && (!*own || strcmp(own, "running") == 0);
    snprintf(process->state, sizeof process->state, "%s",
             strcmp(state, "up") == 0 && !up ? own : state);
    process->done = int_of(json, "done");
    process->failed = int_of(json, "failed");
    process->cpu_ms = int_of(json, "cpu_ms");
    process->rss_bytes = int_of(json, "group_rss_bytes");
    if (process->rss_bytes == 0)
        process->rss_bytes = int_of(json, "rss_bytes");
    process->age_ms = int_of(json, "up_ms");
    if (process->age_ms == 0 && int_of(json, "started_ms") > 0)
        process->age_ms = now_ms - int_of(json, "started_ms");
    json_array_foreach(json_object_get(json, "slots"), i, slots)
    {
        process->used += int_of(slots, "used");
        process->total += int_of(slots, "total");
    }
}

static int by_time_spent(const void *a, const void *b)
{
    const struct cli_cost_type *x = a, *y = b;
    int order = strcmp(x->role, y->role);

    if (order)
        return order;
    return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : strcmp(x->name, y->name);
}

int cli_costs_read(const json_t *fleet, char *metrics, struct cli_costs *out, struct flo_err *err)
{
    const json_t *list = json_object_get(fleet, "processes"), *process;
    struct cli_costs costs = {0};
    size_t i;

    if (!json_is_array(list))
        return flo_fail(err, FLO_EPROTO, "that is not the fleet page of a supervisor");
    costs.processes = flo_calloc(CLI_COST_PROCESSES_MAX, sizeof *costs.processes);
    costs.types = flo_calloc(CLI_COST_TYPES_MAX, sizeof *costs.types);
    if (!costs.processes || !costs.types) {
        cli_costs_fini(&costs);
        return flo_fail(err, FLO_ENOMEM, "no memory for the fleet's figures");
    }
    json_array_foreach(list, i, process) take_process(&costs, process, int_of(fleet, "now_ms"));
    if (!cli_prom_read(metrics, take_sample, &costs)) {
        cli_costs_fini(&costs);
        return flo_fail(err, FLO_EPROTO, "the supervisor's metrics cannot be read");
    }
    qsort(costs.types, costs.type_count, sizeof *costs.types, by_time_spent);
    *out = costs;
    return 0;
}

void cli_costs_fini(struct cli_costs *costs)
{
    flo_free(costs->processes);
    flo_free(costs->types);
    *costs = (struct cli_costs){0};
}

double cli_cost_quantile(const struct cli_cost_type *type, double share)
{
    double below = 0, from = 0, rank;

    if (type->count <= 0 || type->bucket_count == 0)
        return -1;
    rank = share * type->buckets[type->bucket_count - 1].count;
    for (size_t i = 0; i < type->bucket_count; i++) {
        const double le = type->buckets[i].le, count = type->buckets[i].count;
        if (count >= rank && isinf(le))
            return from;
        if (count >= rank && count > below)
            return from + (le - from) * (rank - below) / (count - below);
        below = count;
        from = le;
    }
    return from;
}
