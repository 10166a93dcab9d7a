/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.c - what the supervisor may tell a worker: the commands, their arguments, their answers.
 *
 * A command is looked at whole before anything is done: one that is not known, has an argument that
 * is missing, unknown or out of bounds, or comes at the wrong time, changes nothing. It is answered
 * with one sentence, logged as `control.denied` and counted. Each that was done is logged as
 * `control.done`.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "worker/control.h"
#include "worker/profile.h"

/* One command at work. */
struct order {
    struct flo_worker *worker;
    uint64_t id;
    json_t *args;   /* borrowed; an object */
    char done[200]; /* what the answer says */
    json_t *data;   /* of the answer; owned; may be NULL */
    bool later;     /* it is answered when it is done */
};

/* ---- arguments ---- */

/* An integer argument. FLO_EINVAL when it is there and is none; *out is untouched when it is not
 * there, *out_given says so. */
static int int_arg(const struct order *order, const char *key, int64_t *out, bool *out_given,
                   struct flo_err *err)
{
    const json_t *value = json_object_get(order->args, key);

    *out_given = value != NULL;
    if (value && !json_is_integer(value))
        return flo_fail(err, FLO_EINVAL, "the argument \"%s\" is no integer", key);
    if (value)
        *out = json_integer_value(value);
    return 0;
}

/* A text argument; "" when it is not there. */
static int text_arg(const struct order *order, const char *key, const char **out,
                    struct flo_err *err)
{
    const json_t *value = json_object_get(order->args, key);

    *out = "";
    if (value && !json_is_string(value))
        return flo_fail(err, FLO_EINVAL, "the argument \"%s\" is no text", key);
    if (value)
        *out = json_string_value(value);
    return 0;
}

/* Arguments that a command does not have are mistakes. allowed: "slots kind". */
static int check_args(const struct order *order, const char *allowed, struct flo_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(order->args, key, value)
    {
        size_t len = strlen(key);
        const char *found = allowed;
        while ((found = strstr(found, key)) &&
               ((found != allowed && found[-1] != ' ') || (found[len] && found[len] != ' ')))
            found++;
        if (!len || strchr(key, ' ') || !found)
            return flo_fail(err, FLO_EINVAL, "there is no argument \"%.60s\"; %s%s", key,
                            *allowed ? "possible are: " : "the command has none", allowed);
    }
    return 0;
}

static int refuse_stopping(const struct flo_worker *worker, struct flo_err *err)
{
    if (worker->state < FLO_WORKER_DRAINING)
        return 0;
    return flo_fail(err, FLO_EINVAL, "the worker is stopping");
}

/* ---- the commands ---- */

static int do_drain(struct order *order, struct flo_err *err)
{
    struct flo_worker *worker = order->worker;

    (void)err;
    snprintf(order->done, sizeof order->done, "%s; %zu tasks run",
             worker->state >= FLO_WORKER_DRAINING ? "it is stopping already" : "stopping",
             flo_capacity_busy(worker));
    return 0; /* begins behind the answer: the process may end at once */
}

static int do_quiet(struct order *order, struct flo_err *err)
{
    struct flo_worker *worker = order->worker;
    bool already = worker->state == FLO_WORKER_QUIET || worker->quiet_at_start;
    int rc = refuse_stopping(worker, err);

    if (rc)
        return rc;
    flo_quiet_begin(worker, "command");
    snprintf(order->done, sizeof order->done, "%s; %zu tasks run",
             already ? "it is quiet already" : "quiet", flo_capacity_busy(worker));
    return 0;
}

static int do_resume(struct order *order, struct flo_err *err)
{
    struct flo_worker *worker = order->worker;
    bool quiet = worker->state == FLO_WORKER_QUIET || worker->quiet_at_start;
    int rc = refuse_stopping(worker, err);

    if (rc)
        return rc;
    flo_quiet_end(worker, "command");
    snprintf(order->done, sizeof order->done, "%s", quiet ? "polling again" : "it was not quiet");
    return 0;
}

static int kind_of(const struct flo_worker *worker, const char *name, enum flo_slot_kind *out,
                   struct flo_err *err)
{
    *out = worker->role->role == FLO_ROLE_WORKFLOW ? FLO_SLOT_WORKFLOW : FLO_SLOT_ACTIVITY;
    if (!*name)
        return 0;
    for (int kind = 0; kind < FLO_SLOT_KINDS; kind++) {
        if (strcmp(name, flo_slot_kind_name((enum flo_slot_kind)kind)) == 0) {
            *out = (enum flo_slot_kind)kind;
            return 0;
        }
    }
    return flo_fail(err, FLO_EINVAL,
                    "\"%.60s\" is no kind of slots: workflow, activity or local-activity", name);
}

static int resize_slots(struct order *order, int64_t slots, struct flo_err *err)
{
    struct flo_worker *worker = order->worker;
    const char *kind_name = "", *queue_name = "";
    struct flo_task_queue *queue = NULL;
    enum flo_slot_kind kind = FLO_SLOT_ACTIVITY;
    int rc = text_arg(order, "kind", &kind_name, err);

    if (!rc)
        rc = text_arg(order, "queue", &queue_name, err);
    if (!rc)
        rc = kind_of(worker, kind_name, &kind, err);
    if (!rc)
        rc = flo_resize_queue(worker, queue_name, &queue, err);
    if (!rc)
        rc = flo_resize_slots(worker, kind, queue, slots, err);
    if (!rc)
        snprintf(order->done, sizeof order->done, "%s %lld slots; %zu are in use",
                 worker->tuning ? "the tuner gives at most" : "there are", (long long)slots,
                 worker->capacity[kind].running);
    return rc;
}

static int do_resize(struct order *order, struct flo_err *err)
{
    int64_t slots = 0, executors = 0;
    bool has_slots = false, has_executors = false;
    int rc = int_arg(order, "slots", &slots, &has_slots, err);

    if (!rc)
        rc = int_arg(order, "executors", &executors, &has_executors, err);
    if (!rc)
        rc = refuse_stopping(order->worker, err);
    if (rc)
        return rc;
    if (has_slots == has_executors)
        return flo_fail(err, FLO_EINVAL, "resize wants either \"slots\" or \"executors\"");
    if (has_slots)
        return resize_slots(order, slots, err);
    if (json_object_size(order->args) != 1)
        return flo_fail(err, FLO_EINVAL, "\"executors\" stands alone: there is one pool of them");
    rc = flo_resize_executors(order->worker, executors, err);
    if (!rc)
        snprintf(order->done, sizeof order->done, "there are %lld executors; %zu are at work",
                 (long long)executors, flo_executor_running(order->worker->executor));
    return rc;
}

static int do_pollers(struct order *order, struct flo_err *err)
{
    struct flo_worker *worker = order->worker;
    bool has_n = false, has_min = false, has_max = false;
    int64_t n = 0, min = 0, max = 0;
    struct flo_task_queue *queue = NULL;
    const char *queue_name = "";
    int rc = int_arg(order, "n", &n, &has_n, err);

    if (!rc)
        rc = int_arg(order, "min", &min, &has_min, err);
    if (!rc)
        rc = int_arg(order, "max", &max, &has_max, err);
    if (!rc)
        rc = text_arg(order, "queue", &queue_name, err);
    if (!rc)
        rc = flo_resize_queue(worker, queue_name, &queue, err);
    if (!rc)
        rc = refuse_stopping(worker, err);
    if (rc)
        return rc;
    if (has_min != has_max || has_n == has_min)
        return flo_fail(err, FLO_EINVAL, "pollers wants either \"n\" or \"min\" and \"max\"");
    if (has_min && queue)
        return flo_fail(err, FLO_EINVAL,
                        "\"min\" and \"max\" hold for all queues; with \"queue\" there is \"n\"");
    rc = has_n ? flo_resize_pollers(worker, queue, n, n, err)
               : flo_resize_pollers(worker, queue, min, max, err);
    if (!rc)
        snprintf(order->done, sizeof order->done, "%lld to %lld polls; %zu are out",
                 (long long)(has_n ? n : min), (long long)(has_n ? n : max), worker->polls);
    return rc;
}

static int do_loglevel(struct order *order, struct flo_err *err)
{
    static const char key[] = "log.level";
    struct flo_role_config *config = order->worker->config;
    enum flo_log_level level = FLO_LOG_TRACE;
    const char *name = "";
    int rc = text_arg(order, "level", &name, err);

    if (rc)
        return rc;
    if (!flo_log_level_parse(name, &level))
        return flo_fail(err, FLO_EINVAL, "\"%.60s\" is no level: trace, debug, info, warn or error",
                        name);
    snprintf(order->done, sizeof order->done, "%s, was %s", name,
             flo_log_level_name((enum flo_log_level)config->log.level));
    config->log.level = (int)level;
    flo_config_follows(&config->config, key, "command");
    flo_log_set_level(level);
    return 0;
}

static int do_reload(struct order *order, struct flo_err *err)
{
    int rc = refuse_stopping(order->worker, err);

    if (!rc)
        rc = flo_reload(order->worker, "command", &order->data, err);
    if (!rc)
        snprintf(order->done, sizeof order->done, "%zu settings applied, %zu need a restart",
                 json_array_size(json_object_get(order->data, "applied")),
                 json_array_size(json_object_get(order->data, "needs_restart")));
    return rc;
}

static int do_dump(struct order *order, struct flo_err *err)
{
    order->data = flo_dump(order->worker);
    if (!order->data)
        return flo_fail(err, FLO_ENOMEM, "no memory for the dump");
    snprintf(order->done, sizeof order->done, "%s", flo_worker_state_name(order->worker->state));
    return 0;
}

static int do_profile(struct order *order, struct flo_err *err)
{
    int64_t seconds = 10, hz = 99;
    bool given;
    int rc = int_arg(order, "seconds", &seconds, &given, err);

    if (!rc)
        rc = int_arg(order, "hz", &hz, &given, err);
    if (!rc && (seconds < 1 || seconds > 60))
        rc = flo_fail(err, FLO_EINVAL, "a profile takes 1 to 60 seconds");
    if (!rc && (hz < 1 || hz > 99))
        rc = flo_fail(err, FLO_EINVAL, "a profile takes 1 to 99 samples a second");
    if (!rc)
        rc = refuse_stopping(order->worker, err);
    if (!rc)
        rc = flo_profile_start(order->worker, order->id, (unsigned)seconds, (unsigned)hz, err);
    order->later = rc == 0;
    return rc;
}

static const struct {
    const char *name;
    const char *args; /* that it may have */
    int (*run)(struct order *order, struct flo_err *err);
} COMMANDS[] = {
    {"drain", "", do_drain},
    {"quiet", "", do_quiet},
    {"resume", "", do_resume},
    {"resize", "kind slots queue executors", do_resize},
    {"pollers", "n min max queue", do_pollers},
    {"loglevel", "level", do_loglevel},
    {"reload", "", do_reload},
    {"dump", "", do_dump},
    {"profile", "seconds hz", do_profile},
};

static int run(struct order *order, const char *name, struct flo_err *err)
{
    if (order->args && !json_is_object(order->args))
        return flo_fail(err, FLO_EINVAL, "the arguments are no object");
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (strcmp(name, COMMANDS[i].name) != 0)
            continue;
        int rc = check_args(order, COMMANDS[i].args, err);
        return rc ? rc : COMMANDS[i].run(order, err);
    }
    return flo_fail(err, FLO_EINVAL,
                    "a worker knows no command \"%.60s\": drain, quiet, resume, resize, pollers, "
                    "loglevel, reload, dump, profile",
                    name);
}

void flo_command(void *ctx, uint64_t id, const char *name, json_t *args)
{
    struct flo_worker *worker = ctx;
    struct order order = {.worker = worker, .id = id, .args = args};
    struct flo_err err = {0};
    int rc = run(&order, name, &err);

    if (rc) {
        flo_log(FLO_LOG_WARN, "control.denied", "A command of the supervisor is refused",
                FLO_LOG_WHO(worker), "command", name, "reason", err.message, NULL);
        flo_series_inc(flo_metrics_get(worker->metrics, FLO_METRIC_REJECTS, "control", NULL));
        flo_reporter_ack(worker->reporter, id, false, err.message, NULL);
        return;
    }
    flo_log(FLO_LOG_INFO, "control.done", "A command of the supervisor", FLO_LOG_WHO(worker),
            "command", name, "result", order.later ? "begun" : order.done, NULL);
    if (!order.later)
        flo_reporter_ack(worker->reporter, id, true, order.done, order.data);
    if (strcmp(name, "drain") == 0)
        flo_drain_begin(worker, "command");
}

/* ---- SIGHUP ---- */

static void on_hangup(evutil_socket_t number, short what, void *ctx)
{
    struct flo_worker *worker = ctx;
    json_t *changes = NULL;

    (void)number;
    (void)what;
    if (worker->state < FLO_WORKER_DRAINING && !flo_reload(worker, "SIGHUP", &changes, NULL))
        json_decref(changes); /* all is in the log */
}

int flo_commands_start(struct flo_worker *worker, struct flo_err *err)
{
    worker->hangup = evsignal_new(worker->base, SIGHUP, on_hangup, worker);
    if (!worker->hangup || event_add(worker->hangup, NULL))
        return flo_fail(err, FLO_ENOMEM, "cannot watch for SIGHUP");
    return 0;
}

void flo_commands_fini(struct flo_worker *worker)
{
    flo_profile_fini(worker);
    if (worker->hangup)
        event_free(worker->hangup);
    worker->hangup = NULL;
}
