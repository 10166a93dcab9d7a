/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes.c - `flotilla restart` and `flotilla scale`: ask the supervisor, then follow in its
 * pages what comes of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/place.h"

#define LOOK_MS 200
#define WORKERS_MAX 256
#define SCALE_TIMEOUT_MS 60000 /* without --timeout */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int64_t int_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

struct order {
    const char *command;
    const struct cli_options *options;
    struct cli_supervisor supervisor;
    int64_t began_ms, timeout_ms; /* -1: a replacement ends by itself */
    int64_t told[WORKERS_MAX];    /* what was said last of a worker */
    struct {
        const char *name; /* points into the fleet's JSON that resolved it */
        int64_t replicas;
    } wanted[WORKERS_MAX]; /* scale */
    size_t wanted_count;
};

static int post(struct order *order, json_t *body)
{
    struct flo_err err = {0};
    json_t *answer = NULL;
    int rc = body ? cli_supervisor_post(&order->supervisor, "/v1/processes", body, 0, &answer, &err)
                  : flo_fail(&err, FLO_ENOMEM, "out of memory");
    json_decref(answer);
    return rc ? cli_supervisor_fail(&order->supervisor, &err) : 0;
}

/* The fleet as it is now; NULL: it has said why not, and *out_exit is set. */
static json_t *look(struct order *order, int *out_exit)
{
    struct flo_err err = {0};
    json_t *fleet = NULL;
    if (cli_supervisor_get(&order->supervisor, "/v1/fleet", &fleet, &err))
        *out_exit = cli_supervisor_fail(&order->supervisor, &err);
    return fleet;
}

static bool too_late(const struct order *order)
{
    return order->timeout_ms >= 0 && cli_now_ms() - order->began_ms >= order->timeout_ms;
}

/* ---- restart ---- */

static json_t *worker_named(const json_t *fleet, const char *name)
{
    json_t *worker;
    size_t i;
    json_array_foreach(json_object_get(fleet, "workers"), i, worker)
    {
        if (strcmp(text_of(worker, "name"), name) == 0)
            return worker;
    }
    return NULL;
}

static const json_t *engine_of(const json_t *fleet)
{
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(fleet, "processes"), i, process)
    {
        if (strcmp(text_of(process, "name"), "engine") == 0)
            return process;
    }
    return NULL;
}

static void tell_restart(struct order *order, size_t i, const json_t *worker)
{
    const char *name = text_of(worker, "name"), *error = text_of(worker, "roll_error");
    const int64_t done = int_of(worker, "roll_done"), total = int_of(worker, "roll_total");
    if (order->told[i] != done && !order->options->json) {
        printf("%s: %lld of %lld replaced\n", name, (long long)done, (long long)total);
        fflush(stdout);
        order->told[i] = done;
    }
    if (*error && !json_is_true(json_object_get(worker, "rolling")) && order->told[i] != -2) {
        fprintf(stderr, "flotilla restart: %s: given up: %s; the others go on as they were\n", name,
                error);
        order->told[i] = -2;
    }
}

/* One look at what has begun since before: how much is at it; *failed: one was given up. */
static size_t follow_restart(struct order *order, const json_t *before, const json_t *fleet,
                             bool *failed)
{
    size_t rolling = 0, i;
    json_t *worker;
    json_array_foreach(json_object_get(fleet, "workers"), i, worker)
    {
        const json_t *old = worker_named(before, text_of(worker, "name"));
        const bool at_it = json_is_true(json_object_get(worker, "rolling"));
        if (i >= WORKERS_MAX || (!at_it && int_of(worker, "rolls") == int_of(old, "rolls")))
            continue;
        rolling += at_it;
        tell_restart(order, i, worker);
        *failed |= !at_it && *text_of(worker, "roll_error");
    }
    const json_t *engine = engine_of(fleet);
    const bool up = !engine || strcmp(text_of(engine, "state"), "up") == 0;
    if (!up && json_is_true(json_object_get(engine, "crash_loop"))) {
        fprintf(stderr, "flotilla restart: the engine dies again and again; 'flotilla logs engine' "
                        "says why\n");
        *failed = true;
        return 0;
    }
    return rolling + !up;
}

static bool has_told(const struct order *order)
{
    for (size_t i = 0; i < WORKERS_MAX; i++)
        if (order->told[i] != -1)
            return true;
    return false;
}

static int await_restart(struct order *order, const json_t *before)
{
    int exit_code = 0;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        order->told[i] = -1;
    for (;;) {
        bool failed = false;
        json_t *fleet = look(order, &exit_code);
        if (!fleet)
            return exit_code;
        const size_t rolling = follow_restart(order, before, fleet, &failed);
        const bool new_engine = int_of(engine_of(fleet), "pid") != int_of(engine_of(before), "pid");
        if (rolling == 0 && order->options->json)
            cli_print_json(json_incref(json_object_get(fleet, "workers")));
        else if (rolling == 0 && new_engine && !failed)
            printf("engine: replaced\n");
        else if (rolling == 0 && !failed && !has_told(order))
            printf("no process runs anything older than what lies here: none was replaced\n");
        json_decref(fleet);
        if (rolling == 0)
            return failed ? FLO_EXIT_REFUSED : 0;
        if (too_late(order)) {
            fprintf(stderr, "flotilla restart: it goes on; 'flotilla ps' shows how far it is\n");
            return FLO_EXIT_ABANDONED;
        }
        cli_pause_ms(LOOK_MS);
    }
}

int cli_restart(const struct cli_options *options)
{
    struct order order = {.command = "restart",
                          .options = options,
                          .began_ms = cli_now_ms(),
                          .timeout_ms = options->timeout_ms};
    if (options->changed && options->operand_count) {
        fprintf(stderr, "flotilla restart: --changed finds the processes itself; name none\n");
        return FLO_EXIT_USAGE;
    }
    int exit_code = cli_place_supervisor("restart", options, &order.supervisor);
    json_t *before = exit_code ? NULL : look(&order, &exit_code);
    if (!exit_code) /* what has changed is replaced; a file that does not load changes nothing */
        exit_code = post(&order, json_pack("{s:s}", "action", "reload"));
    if (!exit_code && !options->changed && options->operand_count == 0)
        exit_code = post(&order, json_pack("{s:s, s:s}", "action", "restart", "name", "all"));
    for (int i = 0; i < options->operand_count && !exit_code && !options->changed; i++)
        exit_code = post(
            &order, json_pack("{s:s, s:s}", "action", "restart", "name", options->operands[i]));
    if (!exit_code)
        exit_code = await_restart(&order, before);
    json_decref(before);
    return exit_code;
}

/* ---- scale ---- */

/* Is it the worker's role ("io-activity") or program ("io-activity-worker")? */
static bool is_role(const char *word, const char *program)
{
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    const size_t len = strlen(word);
    return strcmp(word, name) == 0 ||
           (strncmp(word, name, len) == 0 && strcmp(name + len, "-worker") == 0);
}

/* The worker that word names; NULL: none, or several, which has been said. */
static const char *resolve(const json_t *fleet, const char *word)
{
    const char *found = NULL;
    char names[512] = "";
    size_t i, count = 0;
    json_t *worker;
    json_array_foreach(json_object_get(fleet, "workers"), i, worker)
    {
        const char *name = text_of(worker, "name");
        if (strcmp(name, word) == 0)
            return name;
        if (!is_role(word, text_of(worker, "program")))
            continue;
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%s", count++ ? ", " : "", name);
        found = name;
    }
    if (count == 1)
        return found;
    if (count)
        fprintf(stderr, "flotilla scale: %s are several workers: %s; name one\n", word, names);
    else
        fprintf(stderr, "flotilla scale: the fleet has no worker '%s'\n", word);
    return NULL;
}

/* "io=3"; 0, or it has said what is wrong: an exit code. */
static int parse_wish(struct order *order, const json_t *fleet, char *wish)
{
    char *equals = strchr(wish, '='), *end = NULL;
    const bool digits = equals && equals[1] >= '0' && equals[1] <= '9';
    long long n = digits ? strtoll(equals + 1, &end, 10) : -1;
    if (!digits || equals == wish || *end) {
        fprintf(stderr, "flotilla scale: '%s' is not NAME=N, as in io=3\n", wish);
        return FLO_EXIT_USAGE;
    }
    *equals = '\0';
    const char *name = resolve(fleet, wish);
    if (!name)
        return FLO_EXIT_NO_INPUT;
    order->wanted[order->wanted_count].name = name;
    order->wanted[order->wanted_count++].replicas = n;
    return 0;
}

/* How many of the wishes are not fulfilled; told: what was said last of each. *overruled: another
 * number has been set since, by somebody else or the autoscaler. */
static size_t follow_scale(struct order *order, const json_t *fleet, bool *overruled)
{
    size_t missing = 0, i;
    json_t *worker;
    json_array_foreach(json_object_get(fleet, "workers"), i, worker)
    {
        for (size_t k = 0; k < order->wanted_count; k++) {
            const int64_t wish = order->wanted[k].replicas, ready = int_of(worker, "ready");
            const int64_t leaving = int_of(worker, "leaving");
            if (strcmp(order->wanted[k].name, text_of(worker, "name")) != 0)
                continue;
            missing += ready != wish;
            if (int_of(worker, "replicas") != wish) {
                fprintf(stderr, "flotilla scale: %s: %lld processes have been asked for since\n",
                        order->wanted[k].name, (long long)int_of(worker, "replicas"));
                *overruled = true;
            }
            if (order->told[k] == ready || order->options->json)
                continue;
            printf("%s: %lld of %lld ready", order->wanted[k].name, (long long)ready,
                   (long long)wish);
            if (leaving && ready == wish)
                printf("; %lld more %s when the tasks there are done", (long long)leaving,
                       leaving == 1 ? "ends" : "end");
            printf("\n");
            fflush(stdout);
            order->told[k] = ready;
        }
    }
    return missing;
}

static int await_scale(struct order *order)
{
    int exit_code = 0;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        order->told[i] = -1;
    for (;;) {
        bool overruled = false;
        json_t *fleet = look(order, &exit_code);
        if (!fleet)
            return exit_code;
        const size_t missing = follow_scale(order, fleet, &overruled);
        if (missing == 0 && order->options->json)
            cli_print_json(json_incref(json_object_get(fleet, "workers")));
        json_decref(fleet);
        if (overruled)
            return FLO_EXIT_REFUSED;
        if (missing == 0)
            return 0;
        if (too_late(order)) {
            fprintf(stderr, "flotilla scale: not all are ready yet; 'flotilla ps' says why\n");
            return FLO_EXIT_ABANDONED;
        }
        cli_pause_ms(LOOK_MS);
    }
}

int cli_scale(const struct cli_options *options)
{
    struct order order = {.command = "scale",
                          .options = options,
                          .began_ms = cli_now_ms(),
                          .timeout_ms =
                              options->timeout_ms >= 0 ? options->timeout_ms : SCALE_TIMEOUT_MS};
    int exit_code = 0;
    if (options->operand_count == 0 || options->operand_count > WORKERS_MAX) {
        fprintf(stderr, "flotilla scale: NAME=N is missing, as in io=3\n");
        return FLO_EXIT_USAGE;
    }
    exit_code = cli_place_supervisor("scale", options, &order.supervisor);
    json_t *fleet = exit_code ? NULL : look(&order, &exit_code);
    for (int i = 0; i < options->operand_count && !exit_code; i++)
        exit_code = parse_wish(&order, fleet, options->operands[i]);
    for (size_t i = 0; i < order.wanted_count && !exit_code; i++)
        exit_code = post(&order, json_pack("{s:s, s:s, s:I}", "action", "scale", "name",
                                           order.wanted[i].name, "replicas",
                                           (json_int_t)order.wanted[i].replicas));
    if (!exit_code)
        exit_code = await_scale(&order);
    json_decref(fleet);
    return exit_code;
}
