/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_views.c - `flotilla fleet ls`, `inspect` and `events`: what the supervisor sees. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/event_text.h"
#include "cli/fleet.h"

#define FOLLOW_MS 500
#define AWAY_MAX 60000 /* a supervisor that is away for longer is not waited for */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* ---- ls ---- */

/* What it does, as it says itself; of a process that has not reported, what its parent says. */
static const char *state_of(const json_t *process)
{
    const char *report = text_of(process, "report");
    const char *state = text_of(process, "state");
    return *report && strcmp(state, "stopping") != 0 ? report : state;
}

/* As it reports; before that by its program: "io-activity-worker" is of the role io-activity. */
static int role_of(const json_t *process, const char **out)
{
    const char *role = text_of(process, "role"), *program = text_of(process, "program");
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    const char *suffix = strstr(name, "-worker");
    *out = *role ? role : name;
    return (int)(*role || !suffix ? strlen(*out) : (size_t)(suffix - name));
}

static void put_process(const json_t *process)
{
    const char *name = text_of(process, "name");
    const char *role;
    const int role_len = role_of(process, &role);
    int64_t used = 0, total = 0;
    char slots[48] = "-";
    size_t i;
    json_t *slot;
    json_array_foreach(json_object_get(process, "slots"), i, slot)
    {
        used += number_of(slot, "used");
        total += number_of(slot, "total");
    }
    if (total)
        snprintf(slots, sizeof slots, "%" PRId64 "/%" PRId64, used, total);
    printf("%-22s %-13.*s %-9s %-5s %9s %6" PRId64 " %9" PRId64 " %8" PRId64 " %7.1f%s%s\n",
           *name ? name : text_of(process, "identity"), role_len, role, state_of(process),
           json_is_true(json_object_get(process, "ready")) ||
                   strcmp(text_of(process, "role"), "engine") == 0
               ? "yes"
               : "no",
           slots, number_of(process, "polls"), number_of(process, "done"),
           number_of(process, "failed"), (double)number_of(process, "rss_bytes") / 1e6,
           *text_of(process, "task_queue") ? "  " : "", text_of(process, "task_queue"));
}

int cli_fleet_ls(struct cli_fleet *fleet)
{
    json_t *page = NULL, *process;
    struct flo_err err = {0};
    size_t i;
    if (cli_supervisor_get(&fleet->supervisor, "/v1/fleet", &page, &err))
        return cli_fleet_fail(fleet, &err);
    if (fleet->options->json) {
        cli_fleet_put_json(fleet, page, "processes");
        return 0;
    }
    printf("%-22s %-13s %-9s %-5s %9s %6s %9s %8s %7s  %s\n", "NAME", "ROLE", "STATE", "READY",
           "SLOTS", "POLLS", "DONE", "FAILED", "MB", "QUEUE");
    json_array_foreach(json_object_get(page, "processes"), i, process) put_process(process);
    if (!json_is_true(json_object_get(page, "ready")))
        printf("not ready: %s\n", text_of(page, "reason"));
    json_decref(page);
    return 0;
}

/* ---- inspect ---- */

/* Does word name the process, as the supervisor's commands understand it? */
static bool names(const char *word, const json_t *process)
{
    static const char *const members[] = {"boot", "identity", "name", "role"};
    const char *name = text_of(process, "name");
    size_t len = strlen(word);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(word, text_of(process, members[i])) == 0)
            return true;
    if (strcmp(word, "all") == 0)
        return true;
    return strncmp(name, word, len) == 0 && name[len] == '-' && name[len + 1] &&
           name[len + 1 + strspn(name + len + 1, "0123456789")] == '\0';
}

static bool wanted(const struct cli_fleet *fleet, const json_t *process, bool *used)
{
    bool found = false;
    for (int i = 0; i < fleet->target_count; i++) {
        if (!names(fleet->targets[i], process))
            continue;
        found = used[i] = true;
    }
    return found;
}

/* "key   value", lists and maps as JSON. */
static void put_members(json_t *process)
{
    const char *key;
    json_t *value;
    json_object_foreach(process, key, value)
    {
        printf("%-20s ", key);
        if (json_is_string(value))
            fputs(json_string_value(value), stdout);
        else
            json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
    }
    putchar('\n');
}

int cli_fleet_inspect(struct cli_fleet *fleet)
{
    json_t *page = NULL, *found = json_array(), *process;
    struct flo_err err = {0};
    bool used[CLI_LIST_MAX] = {false};
    int exit_code = 0;
    size_t i;
    if (fleet->target_count > CLI_LIST_MAX)
        fleet->target_count = CLI_LIST_MAX;
    if (cli_supervisor_get(&fleet->supervisor, "/v1/fleet", &page, &err)) {
        json_decref(found);
        return cli_fleet_fail(fleet, &err);
    }
    json_array_foreach(json_object_get(page, "processes"), i, process)
    {
        if (wanted(fleet, process, used))
            json_array_append(found, process);
    }
    for (int k = 0; k < fleet->target_count; k++) {
        if (used[k])
            continue;
        fprintf(stderr, "flotilla fleet inspect: the fleet has no process '%s'\n",
                fleet->targets[k]);
        exit_code = FLO_EXIT_NO_INPUT;
    }
    if (fleet->options->json) {
        cli_fleet_put_json(fleet, json_pack("{s:O}", "processes", found), "processes");
    } else {
        json_array_foreach(found, i, process) put_members(process);
    }
    json_decref(found);
    json_decref(page);
    return exit_code;
}

/* ---- events ---- */

static void put_event(const struct cli_fleet *fleet, const json_t *event)
{
    const char *name = text_of(event, "name");
    char when[40], text[2048];
    if (fleet->options->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    flo_clock_rfc3339(number_of(event, "ts_ms") * FLO_NS_PER_MS, when, sizeof when);
    cli_event_text(event, text, sizeof text);
    printf("%.19sZ  %-5s  %-22s  %-22s  %s\n", when, text_of(event, "level"),
           text_of(event, "kind"), *name ? name : text_of(event, "identity"), text);
}

/* The events after *seq; a supervisor that was started again counts anew. */
static int read_events(struct cli_fleet *fleet, int64_t *seq, json_t **out, struct flo_err *err)
{
    char path[64];
    json_t *page = NULL;
    snprintf(path, sizeof path, "/v1/events?after=%" PRId64, *seq);
    int rc = cli_supervisor_get(&fleet->supervisor, path, &page, err);
    if (rc)
        return rc;
    if (number_of(page, "last") < *seq) {
        *seq = 0;
        json_decref(page);
        return read_events(fleet, seq, out, err);
    }
    *out = page;
    return 0;
}

static size_t put_events(const struct cli_fleet *fleet, const json_t *page, int64_t *seq)
{
    const json_t *events = json_object_get(page, "events");
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        put_event(fleet, event);
        *seq = number_of(event, "seq");
    }
    fflush(stdout);
    return json_array_size(events);
}

int cli_fleet_events(struct cli_fleet *fleet)
{
    struct flo_err err = {0};
    int64_t seq = 0, away_ms = 0;
    bool began = false;
    for (;;) {
        json_t *page = NULL;
        size_t count = 0;
        if (read_events(fleet, &seq, &page, &err) == 0) {
            began = true;
            away_ms = 0;
            count = put_events(fleet, page, &seq);
            json_decref(page);
        } else if (!began || err.code != FLO_ECONN || away_ms >= AWAY_MAX) {
            return cli_fleet_fail(fleet, &err);
        } else {
            away_ms += FOLLOW_MS;
        }
        if (ferror(stdout))
            return FLO_EXIT_CANNOT_OPEN; /* the reader is gone */
        if (count)
            continue; /* there may be another page */
        if (!fleet->options->follow)
            return 0;
        (void)poll(NULL, 0, FOLLOW_MS);
    }
}
