/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_commands.c - what is sent to processes, and what they answer. */
#include <stdio.h>
#include <string.h>

#include "cli/fleet.h"

/* The supervisor waits 5 s for each answer; and some for the way. */
#define TIMEOUT_MS 15000

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

json_t *cli_fleet_ask(struct cli_fleet *fleet, json_t *args, int64_t work_ms, int *out_exit)
{
    json_t *all = json_array();
    struct flo_err err = {0};
    int rc = 0;
    for (int i = 0; !rc && i < fleet->target_count; i++) {
        json_t *answer = NULL;
        json_t *body = json_pack("{s:s, s:s, s:O?}", "target", fleet->targets[i], "command",
                                 fleet->verb, "args", args);
        if (args == NULL)
            json_object_del(body, "args");
        rc = cli_supervisor_post(&fleet->supervisor, "/v1/commands", body, TIMEOUT_MS + work_ms,
                                 &answer, &err);
        if (!rc)
            json_array_extend(all, json_object_get(answer, "results"));
        json_decref(answer);
    }
    json_decref(args);
    if (!rc)
        return json_pack("{s:o}", "results", all);
    json_decref(all);
    *out_exit = cli_fleet_fail(fleet, &err);
    return NULL;
}

int cli_fleet_verdict(const json_t *answer)
{
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(answer, "results"), i, result)
    {
        if (!json_is_true(json_object_get(result, "ok")))
            return FLO_EXIT_REFUSED;
    }
    return 0;
}

static void put_result(const json_t *result)
{
    const char *name = text_of(result, "name");
    json_t *data = json_object_get(result, "data");
    printf("%-24s %-8s %s\n", *name ? name : text_of(result, "identity"),
           json_is_true(json_object_get(result, "ok")) ? "ok" : "refused",
           text_of(result, "message"));
    if (json_is_object(data) && json_object_size(data)) {
        json_dumpf(data, stdout, JSON_INDENT(2));
        putchar('\n');
    }
}

int cli_fleet_send(struct cli_fleet *fleet, json_t *args)
{
    int exit_code = 0;
    size_t i;
    json_t *result, *answer = cli_fleet_ask(fleet, args, 0, &exit_code);
    if (!answer)
        return exit_code;
    exit_code = cli_fleet_verdict(answer);
    if (fleet->options->json) {
        cli_fleet_put_json(fleet, answer, "results");
        return exit_code;
    }
    json_array_foreach(json_object_get(answer, "results"), i, result) put_result(result);
    json_decref(answer);
    return exit_code;
}

/* ---- those with arguments ---- */

static void set_number(json_t *args, const char *name, int64_t value)
{
    if (value >= 0)
        json_object_set_new(args, name, json_integer(value));
}

static void set_text(json_t *args, const char *name, const char *value)
{
    if (value)
        json_object_set_new(args, name, json_string(value));
}

static int usage(const struct cli_fleet *fleet, const char *what)
{
    fprintf(stderr, "flotilla %s: %s\n", fleet->command, what);
    return FLO_EXIT_USAGE;
}

int cli_fleet_resize(struct cli_fleet *fleet)
{
    const struct cli_options *options = fleet->options;
    json_t *args;
    if ((options->slots < 0) == (options->executors < 0))
        return usage(fleet, "give --slots N (and perhaps --kind), or --executors N");
    args = json_object();
    set_number(args, "slots", options->slots);
    set_number(args, "executors", options->executors);
    set_text(args, "kind", options->kind);
    set_text(args, "queue", options->task_queue);
    return cli_fleet_send(fleet, args);
}

int cli_fleet_pollers(struct cli_fleet *fleet)
{
    const struct cli_options *options = fleet->options;
    json_t *args;
    if (options->polls < 0 ? options->min < 0 || options->max < 0
                           : options->min >= 0 || options->max >= 0)
        return usage(fleet, "give --polls N, or --min N and --max N");
    args = json_object();
    set_number(args, "n", options->polls);
    set_number(args, "min", options->min);
    set_number(args, "max", options->max);
    set_text(args, "queue", options->task_queue);
    return cli_fleet_send(fleet, args);
}

int cli_fleet_loglevel(struct cli_fleet *fleet)
{
    if (!fleet->options->level)
        return usage(fleet, "give --level trace|debug|info|warn|error");
    return cli_fleet_send(fleet, json_pack("{s:s}", "level", fleet->options->level));
}
