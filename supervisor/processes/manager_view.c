/* SPDX-License-Identifier: Apache-2.0 */
/* manager_view.c - what pages and commands see of the processes, and what the fleet is told. */
#include <stdio.h>

#include "supervisor/processes/manager_internal.h"

const char *flo_process_state_name(enum flo_process_state state)
{
    static const char *const names[] = {
#define FLO_PROCESS_NAME(id, name) name,
        FLO_PROCESS_STATES(FLO_PROCESS_NAME)
#undef FLO_PROCESS_NAME
    };
    return names[state];
}

/* ---- events ---- */

#define FIELDS_MAX 4

void flo_manager_tell(struct flo_manager *manager, enum flo_log_level level, const char *kind,
                      const char *name, const char *message, json_t *fields)
{
    char keys[FIELDS_MAX][32], numbers[FIELDS_MAX][24];
    const char *logged[FIELDS_MAX + 1] = {NULL}, *values[FIELDS_MAX] = {NULL}, *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach(fields, key, value)
    {
        if (n == FIELDS_MAX)
            break;
        snprintf(keys[n], sizeof keys[n], "%s%s", json_is_integer(value) ? "#" : "", key);
        snprintf(numbers[n], sizeof numbers[n], "%lld", (long long)json_integer_value(value));
        values[n] = json_is_integer(value) ? numbers[n] : json_string_value(value);
        logged[n] = keys[n];
        n++;
    }
    /* The first key that is NULL ends the list. */
    flo_log(level, kind, message, "process", name, logged[0], values[0], logged[1], values[1],
            logged[2], values[2], logged[3], values[3], NULL);
    if (manager->options.on_event) {
        const struct flo_manager_event event = {
            .level = level, .kind = kind, .name = name, .message = message, .fields = fields};
        manager->options.on_event(manager->options.ctx, &event);
    }
    json_decref(fields);
}

/* ---- processes ---- */

size_t flo_manager_count(const struct flo_manager *manager)
{
    return manager->processes.count;
}

bool flo_process_ready(const struct flo_process *process, struct flo_process_report *out)
{
    const struct flo_manager_options *options = &process->manager->options;
    struct flo_process_report report = {.reason = ""};
    if (process->state != FLO_PROCESS_UP)
        snprintf(report.reason, sizeof report.reason, "it is %s",
                 flo_process_state_name(process->state));
    else if (!process->worker || !options->report)
        report.ready = true;
    else if (!options->report(options->ctx, flo_child_process_pid(process->child), &report))
        snprintf(report.reason, sizeof report.reason, "it has not reported yet");
    if (out)
        *out = report;
    return report.ready;
}

static const char *program_of(const struct flo_process *process)
{
    if (process->program)
        return process->program;
    if (!process->worker)
        return process->manager->config->engine.program;
    return process->worker->config ? process->worker->config->program : "";
}

static void view_process(const struct flo_process *process, struct flo_process_view *out)
{
    int64_t up_ms = process->child ? flo_manager_now_ms() - process->started_ms : 0;
    *out =
        (struct flo_process_view){.name = process->name,
                                  .worker = process->worker ? process->worker->name : "",
                                  .replica = process->replica,
                                  .program = program_of(process),
                                  .http = process->http,
                                  .state = process->state,
                                  .engine = !process->worker,
                                  .crash_loop = flo_backoff_crash_loop(&process->backoff) &&
                                                up_ms < process->backoff.stable_after_ms,
                                  .wanted = flo_process_counts(process) && !process->held,
                                  .ready = flo_process_ready(process, NULL),
                                  .pid = process->child ? flo_child_process_pid(process->child) : 0,
                                  .restarts = process->restarts,
                                  .up_ms = up_ms,
                                  .ended = process->ended};
    if (process->state == FLO_PROCESS_WAITING && process->again_ms > flo_manager_now_ms())
        out->again_in_ms = process->again_ms - flo_manager_now_ms();
}

void flo_manager_view(const struct flo_manager *manager, size_t i, struct flo_process_view *out)
{
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        if (i-- == 0) {
            view_process(FLO_PROCESS_AT(node), out);
            return;
        }
    }
}

/* ---- workers ---- */

size_t flo_manager_worker_count(const struct flo_manager *manager)
{
    return manager->workers.count;
}

static void view_worker(const struct flo_managed_worker *worker, struct flo_worker_view *out)
{
    *out = (struct flo_worker_view){.name = worker->name,
                                    .program = worker->config ? worker->config->program : "",
                                    .configured = worker->config ? worker->config->count : 0,
                                    .replicas = worker->replicas,
                                    .rolling = worker->roll.active,
                                    .rolls = worker->rolls,
                                    .roll_done = worker->roll.done,
                                    .roll_total = worker->roll.total,
                                    .roll_error = worker->roll.error};
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        const struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->worker != worker)
            continue;
        out->leaving += process->leaving;
        if (flo_process_counts(process) && process->state == FLO_PROCESS_UP) {
            out->up++;
            out->ready += flo_process_ready(process, NULL);
        }
    }
}

void flo_manager_worker_view(const struct flo_manager *manager, size_t i,
                             struct flo_worker_view *out)
{
    FLO_LIST_FOREACH(node, &manager->workers)
    {
        if (i-- == 0) {
            view_worker(FLO_WORKER_AT(node), out);
            return;
        }
    }
}

const struct flo_fleet_config *flo_manager_config(const struct flo_manager *manager)
{
    return manager->config;
}

const char *flo_manager_engine_address(const struct flo_manager *manager)
{
    return manager->engine_address;
}
