/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_command.c - commands from the supervisor: checked here, carried out by the program.
 *
 * Who may command is decided by the connection: with keys only the supervisor whose public key the
 * worker was given can be at the other end; over ipc the folder's owner. What is refused changes
 * nothing and, when it can be answered at all, is answered.
 */
#include <string.h>

#include "telemetry/log.h"
#include "telemetry/report_internal.h"

#define FRAMES_A_TURN 64 /* the rest waits for the next timer or frame */
#define COMMAND_MAX_BYTES ((size_t)16384)
#define NAME_MAX_BYTES 32

static void deny(struct flo_reporter *reporter, const char *reason, json_t *command)
{
    const json_t *id = json_object_get(command, "id");
    flo_series_inc(flo_metrics_get(reporter->options.metrics, FLO_METRIC_REJECTS, "control", NULL));
    flo_log(FLO_LOG_WARN, "control.denied", "A command was refused", "reason", reason, NULL);
    if (json_is_integer(id) && json_integer_value(id) > 0)
        flo_reporter_ack(reporter, (uint64_t)json_integer_value(id), false, reason, NULL);
}

/* A lower-case word. */
static bool is_name(const json_t *name)
{
    const char *text = json_string_value(name);
    size_t len = json_string_length(name);
    return text && len && len <= NAME_MAX_BYTES &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

/* What is wrong with it, or NULL. */
static const char *fault_of(const struct flo_reporter *reporter, const json_t *command)
{
    const char *type = json_string_value(json_object_get(command, "type"));
    const char *boot = json_string_value(json_object_get(command, "boot"));
    const json_t *id = json_object_get(command, "id"), *args = json_object_get(command, "args");
    if (json_integer_value(json_object_get(command, "v")) != FLO_REPORT_VERSION)
        return "it is of another protocol";
    if (!type || strcmp(type, "command") != 0)
        return "it is no command";
    if (!json_is_integer(id) || json_integer_value(id) <= 0)
        return "it has no id";
    if (!boot || strcmp(boot, reporter->boot_id) != 0)
        return "it is addressed to another run";
    if (!is_name(json_object_get(command, "command")) || (args && !json_is_object(args)))
        return "it is malformed";
    return NULL;
}

static void take(struct flo_reporter *reporter, const char *data, size_t size)
{
    json_t *command = size && size <= COMMAND_MAX_BYTES
                          ? json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL)
                          : NULL;
    const char *fault = command ? fault_of(reporter, command) : "it is not readable";
    if (fault) {
        deny(reporter, fault, command);
    } else if (!reporter->options.command) {
        deny(reporter, "this process takes no commands", command);
    } else {
        json_t *args = json_object_get(command, "args"), *none = args ? NULL : json_object();
        reporter->options.command(reporter->options.command_ctx,
                                  (uint64_t)json_integer_value(json_object_get(command, "id")),
                                  json_string_value(json_object_get(command, "command")),
                                  args ? args : none);
        json_decref(none);
    }
    json_decref(command);
}

static void receive_from(struct flo_reporter *reporter, const struct flo_report_link *link)
{
    char data[COMMAND_MAX_BYTES + 1]; /* longer ones are cut, and so seen */
    for (int i = 0; i < FRAMES_A_TURN && link->sock; i++) {
        int size = reporter->zmq->recv(link->sock, data, sizeof data, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        take(reporter, data, (size_t)size < sizeof data ? (size_t)size : sizeof data);
    }
}

void flo_report_receive(struct flo_reporter *reporter)
{
    receive_from(reporter, &reporter->last);
    receive_from(reporter, &reporter->link);
}
