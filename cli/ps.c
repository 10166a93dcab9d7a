/* SPDX-License-Identifier: Apache-2.0 */
/* ps.c - `flotilla ps`: the processes of the fleet on this machine. */
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/place.h"

#define REASON_MAX 200

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int64_t int_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "3d04h", "2h05m", "4m09s", "12s"; "-" for none. */
static void format_span(int64_t ms, char *out, size_t size)
{
    const long long s = ms / 1000;
    if (ms <= 0)
        snprintf(out, size, "-");
    else if (s >= 86400)
        snprintf(out, size, "%lldd%02lldh", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        snprintf(out, size, "%lldh%02lldm", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, size, "%lldm%02llds", s / 60, s % 60);
    else
        snprintf(out, size, "%llds", s);
}

/* Is it ready, and what is to be said of it? */
static bool readiness(const json_t *process, char *out_reason, size_t size)
{
    const char *state = text_of(process, "state"), *why = text_of(process, "reason");
    const bool engine = strcmp(text_of(process, "role"), "engine") == 0;
    const bool up = strcmp(state, "up") == 0;
    const bool bad = strcmp(text_of(process, "health"), "bad") == 0;
    const bool ready =
        up && (engine ? !bad : (bool)json_is_true(json_object_get(process, "ready")));
    const char *reason = "";
    if (json_is_true(json_object_get(process, "crash_loop")))
        reason = *text_of(process, "why") ? text_of(process, "why") : "it dies again and again";
    else if (json_is_false(json_object_get(process, "wanted")) && strcmp(state, "stopping") == 0)
        reason = "it finishes its tasks and ends";
    else if (json_is_false(json_object_get(process, "wanted")) && up)
        reason = "it replaces another one";
    else if ((engine && up) ||
             (strcmp(state, "waiting") == 0 && strcmp(text_of(process, "why"), state) != 0))
        reason = text_of(process, "why");
    else if (!ready && up)
        reason = *why ? why
                 : *text_of(process, "identity")
                     ? "it does not poll: still starting, or the server is away"
                     : "it has not reported yet";
    snprintf(out_reason, size, "%s", reason);
    return ready;
}

/* The role as it reports it, else by its program: "io-activity-worker" is of the role io-activity.
 */
static void role_of(const json_t *process, char *out, size_t size)
{
    const char *role = text_of(process, "role"), *program = text_of(process, "program");
    const char *name = strrchr(program, '/');
    name = name ? name + 1 : program;
    const char *suffix = strstr(name, "-worker");
    if (*role)
        snprintf(out, size, "%s", role);
    else
        snprintf(out, size, "%.*s", (int)(suffix ? (size_t)(suffix - name) : strlen(name)), name);
}

static int64_t memory_of(const json_t *process)
{
    const int64_t group = int_of(process, "group_rss_bytes");
    return group ? group : int_of(process, "rss_bytes");
}

static json_t *short_json(const json_t *process)
{
    static const char *const copied[] = {"name",       "worker",   "replica", "pid",      "state",
                                         "wanted",     "http",     "program", "restarts", "up_ms",
                                         "crash_loop", "identity", "cpu_ms"};
    char reason[REASON_MAX], role[64];
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        (void)json_object_set(out, copied[i], json_object_get(process, copied[i]));
    role_of(process, role, sizeof role);
    (void)json_object_set_new(out, "role", json_string(role));
    (void)json_object_set_new(out, "ready",
                              json_boolean(readiness(process, reason, sizeof reason)));
    (void)json_object_set_new(out, "reason", json_string(reason));
    (void)json_object_set_new(out, "rss_bytes", json_integer(memory_of(process)));
    return out;
}

static void print_json(const json_t *fleet)
{
    static const char *const copied[] = {"ready", "reason", "server", "supervisor", "workers"};
    json_t *out = json_object(), *list = json_array(), *process;
    size_t i;
    for (size_t k = 0; k < sizeof copied / sizeof *copied; k++)
        (void)json_object_set(out, copied[k], json_object_get(fleet, copied[k]));
    json_array_foreach(json_object_get(fleet, "processes"), i, process)(void)
        json_array_append_new(list, short_json(process));
    (void)json_object_set_new(out, "processes", list);
    cli_print_json(out);
}

static void print_row(const json_t *process, size_t width)
{
    char reason[REASON_MAX], up[32], pid[24] = "-", role[64];
    const bool ready = readiness(process, reason, sizeof reason);
    if (int_of(process, "pid"))
        snprintf(pid, sizeof pid, "%lld", (long long)int_of(process, "pid"));
    format_span(int_of(process, "up_ms"), up, sizeof up);
    role_of(process, role, sizeof role);
    printf("%-*s  %-12s %8s  %-9s %-5s %8lld %8s %8.1f %8.1f%s%s\n", (int)width,
           text_of(process, "name"), role, pid, text_of(process, "state"), ready ? "yes" : "no",
           (long long)int_of(process, "restarts"), up, (double)int_of(process, "cpu_ms") / 1e3,
           (double)memory_of(process) / 1e6, *reason ? "  " : "", reason);
}

static void print_table(const json_t *fleet)
{
    const json_t *list = json_object_get(fleet, "processes");
    json_t *process, *supervisor = json_deep_copy(json_object_get(fleet, "supervisor"));
    size_t i, width = strlen("supervisor");
    json_array_foreach(list, i, process)
    {
        size_t len = strlen(text_of(process, "name"));
        width = len > width ? len : width;
    }
    printf("%-*s  %-12s %8s  %-9s %-5s %8s %8s %8s %8s\n", (int)width, "NAME", "ROLE", "PID",
           "STATE", "READY", "RESTARTS", "UP", "CPU s", "MB");
    (void)json_object_set_new(supervisor, "name", json_string("supervisor"));
    (void)json_object_set_new(supervisor, "role", json_string("supervisor"));
    (void)json_object_set_new(supervisor, "state", json_string("up"));
    (void)json_object_set_new(supervisor, "ready", json_true());
    (void)json_object_set_new(
        supervisor, "up_ms",
        json_integer(int_of(fleet, "now_ms") - int_of(supervisor, "started_ms")));
    print_row(supervisor, width);
    json_array_foreach(list, i, process) print_row(process, width);
    json_decref(supervisor);
    if (!json_is_true(json_object_get(fleet, "ready")))
        printf("not ready: %s\n", text_of(fleet, "reason"));
}

int cli_ps(const struct cli_options *options)
{
    struct cli_supervisor supervisor;
    struct flo_err err = {0};
    json_t *fleet = NULL;
    int exit_code = cli_place_supervisor("ps", options, &supervisor);
    if (exit_code)
        return exit_code;
    if (cli_supervisor_get(&supervisor, "/v1/fleet", &fleet, &err))
        return cli_supervisor_fail(&supervisor, &err);
    if (options->json)
        print_json(fleet);
    else
        print_table(fleet);
    json_decref(fleet);
    return 0;
}
