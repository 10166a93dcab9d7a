/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine.c - `flotilla quarantine list|show|retry|drop`: the inputs that killed executors, in
 * the folder that the workers of this machine share. Workers see each change by themselves.
 *
 * What a record says came from a file and from other people's workflows: nothing of it reaches the
 * terminal as a control character.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/output.h"
#include "cli/rerun.h"
#include "quarantine/record.h"
#include "quarantine/store.h"

#define LOCAL_FOLDER ".flotilla/quarantine" /* of a fleet that was started in this folder */
#define PREFIX_MIN 4
#define TYPE_WIDTH 24

struct quarantine {
    const struct cli_options *options;
    struct flo_quarantine_store *store;
    char path[PATH_MAX];
};

static int fail(const char *text)
{
    fprintf(stderr, "flotilla quarantine: %s\n", text);
    return FLO_EXIT_USAGE;
}

/* ---- texts of others ---- */

/* text with line breaks and without any other control character, in place. */
static char *harmless(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
        if ((*p < 0x20 && *p != '\n') || *p == 0x7f || c1)
            *p = '?';
        if (c1)
            *++p = '?';
    }
    return text;
}

static void print_text(const char *text)
{
    char *copy = flo_strdup(text);
    fputs(copy ? harmless(copy) : "?", stdout);
    flo_free(copy);
}

static void print_lines(const char *name, const char *text)
{
    char *copy = flo_strdup(text);
    printf("\n%s:\n", name);
    for (char *line = copy ? harmless(copy) : NULL; line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        printf("  %s\n", line);
        line = end && end[1] ? end + 1 : NULL;
    }
    flo_free(copy);
}

/* A value for people: a text as it is, else indented JSON. */
static void print_value(const char *name, const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    print_lines(name, json_is_string(value) ? json_string_value(value) : text ? text : "");
    free(text);
}

static void format_time(int64_t ms, char out[32])
{
    char text[40];
    snprintf(out, 32, "-");
    if (ms <= 0)
        return;
    flo_clock_rfc3339(ms * FLO_NS_PER_MS, text, sizeof text);
    snprintf(out, 32, "%.19sZ", text);
}

/* ---- the folder ---- */

/* The folder of --fleet FILE is that of its workers. */
static bool beside_fleet(const char *fleet, char *out, size_t size)
{
    const char *slash = strrchr(fleet, '/');
    int len = snprintf(out, size, "%.*s/quarantine", slash ? (int)(slash - fleet) : 1,
                       slash ? fleet : ".");
    return len > 0 && (size_t)len < size;
}

static bool choose_folder(const struct cli_options *options, char *out, size_t size)
{
    const char *env = getenv("FLOTILLA_QUARANTINE_DIR"), *fleet = getenv("FLOTILLA_STATE_DIR");
    const char *given = options->quarantine_dir ? options->quarantine_dir
                        : options->fleet        ? NULL
                        : env && *env           ? env
                                                : NULL;
    struct stat st;
    if (given)
        return (size_t)snprintf(out, size, "%s", given) < size;
    if (options->fleet)
        return beside_fleet(options->fleet, out, size);
    if (!(fleet && *fleet) && stat(LOCAL_FOLDER, &st) == 0)
        return (size_t)snprintf(out, size, LOCAL_FOLDER) < size;
    return flo_quarantine_store_default_path(out, size);
}

/* ---- finding a record ---- */

struct search {
    const char *prefix;
    size_t found;
    char id[FLO_QUARANTINE_ID_LEN + 1];
};

static bool match(void *ctx, const char *id, const json_t *record, const struct flo_err *err)
{
    struct search *search = ctx;
    (void)record;
    (void)err;
    if (strncmp(id, search->prefix, strlen(search->prefix)) != 0)
        return true;
    search->found++;
    snprintf(search->id, sizeof search->id, "%s", id);
    return true;
}

static int find_id(struct quarantine *q, const char *prefix, char out_id[FLO_QUARANTINE_ID_LEN + 1])
{
    struct search search = {.prefix = prefix};
    struct flo_err err;
    if (strlen(prefix) < PREFIX_MIN || !flo_quarantine_id_digits(prefix, strlen(prefix))) {
        fprintf(stderr,
                "flotilla quarantine: '%s' is no id: give at least %d of its digits (0-9, a-f), as "
                "'flotilla quarantine list' shows them\n",
                prefix, PREFIX_MIN);
        return FLO_EXIT_USAGE;
    }
    int rc = flo_quarantine_store_walk(q->store, match, &search, &err);
    if (rc) {
        fprintf(stderr, "flotilla quarantine: %s\n", err.message);
        return flo_exit_code(rc);
    }
    if (search.found == 1) {
        memcpy(out_id, search.id, sizeof search.id);
        return 0;
    }
    if (search.found)
        fprintf(stderr, "flotilla quarantine: %zu inputs begin with %s: give more digits\n",
                search.found, prefix);
    else
        fprintf(stderr,
                "flotilla quarantine: no input %s in %s; 'flotilla quarantine list --all' shows "
                "what there is\n",
                prefix, q->path);
    return FLO_EXIT_REFUSED;
}

static bool read_record(struct quarantine *q, const char *id, json_t **out,
                        struct flo_quarantine_view *view, int *out_exit)
{
    struct flo_err err = {0};
    int rc = flo_quarantine_store_read(q->store, id, out, &err);
    if (!rc)
        rc = flo_quarantine_view(*out, id, view, &err);
    if (!rc)
        return true;
    fprintf(stderr, "flotilla quarantine: %s%s\n", err.message,
            rc == FLO_EDATA ? "; 'drop' removes it" : "");
    *out_exit = flo_exit_code(rc);
    return false;
}

/* ---- list ---- */

struct listing {
    bool all;
    json_t *inputs, *damaged;
    size_t counting; /* not shown */
};

static void print_row(const struct flo_quarantine_view *view)
{
    char cause[48], last[32], type[TYPE_WIDTH + 4];
    flo_quarantine_cause(view->signal, view->exit_status, cause, sizeof cause);
    format_time(view->last_ms, last);
    snprintf(type, sizeof type, "%.*s%s", TYPE_WIDTH, view->activity_type,
             strlen(view->activity_type) > TYPE_WIDTH ? "..." : "");
    printf("%-14.*s %-9s %7" PRId64 "  %-27s %-20s %s\n", FLO_QUARANTINE_SHORT, view->id,
           view->parked ? "parked" : "counting", view->crashes, harmless(type), cause, last);
}

/* Newest crash first. */
static void insert(json_t *inputs, json_t *record)
{
    json_int_t last_ms = json_integer_value(json_object_get(record, "lastMs"));
    size_t at = json_array_size(inputs);
    while (at > 0 &&
           json_integer_value(json_object_get(json_array_get(inputs, at - 1), "lastMs")) < last_ms)
        at--;
    json_array_insert(inputs, at, record);
}

static bool list_one(void *ctx, const char *id, const json_t *record, const struct flo_err *err)
{
    struct listing *listing = ctx;
    struct flo_quarantine_view view;
    if (!record || flo_quarantine_view(record, id, &view, NULL))
        json_array_append_new(listing->damaged,
                              json_pack("{s:s, s:s}", "id", id, "reason", err->message));
    else if (view.parked || listing->all)
        insert(listing->inputs, (json_t *)(uintptr_t)record);
    else
        listing->counting++;
    return true;
}

static void print_listing(const struct quarantine *q, const struct listing *listing)
{
    size_t i, damaged = json_array_size(listing->damaged);
    json_t *record;
    if (json_array_size(listing->inputs) == 0)
        printf("nothing is %s in %s\n", listing->all ? "counted" : "parked", q->path);
    else
        printf("%-14s %-9s %7s  %-27s %-20s %s\n", "id", "state", "crashes", "activity", "last end",
               "at");
    json_array_foreach(listing->inputs, i, record)
    {
        struct flo_quarantine_view view;
        const char *id = json_string_value(json_object_get(record, "id"));
        if (flo_quarantine_view(record, id, &view, NULL) == 0)
            print_row(&view);
    }
    if (listing->counting)
        printf("%zu more crashed and %s not parked: --all shows them\n", listing->counting,
               listing->counting == 1 ? "is" : "are");
    if (damaged)
        fprintf(stderr,
                "flotilla quarantine: %zu %s in %s: --output json says which, 'drop' removes\n",
                damaged, damaged == 1 ? "file is damaged" : "files are damaged", q->path);
}

static int list(struct quarantine *q, const char *prefix)
{
    struct listing listing = {
        .all = q->options->all, .inputs = json_array(), .damaged = json_array()};
    struct flo_err err = {0};
    (void)prefix;
    int rc = q->store ? flo_quarantine_store_walk(q->store, list_one, &listing, &err) : 0;
    if (rc)
        fprintf(stderr, "flotilla quarantine: %s\n", err.message);
    else if (q->options->json)
        cli_print_json(json_pack("{s:s, s:O, s:O}", "directory", q->path, "inputs", listing.inputs,
                                 "damaged", listing.damaged));
    else
        print_listing(q, &listing);
    json_decref(listing.inputs);
    json_decref(listing.damaged);
    return rc ? flo_exit_code(rc) : 0;
}

/* ---- show ---- */

static void print_met(const json_t *met)
{
    json_t *element;
    size_t i;
    printf("\nmet by:\n");
    json_array_foreach(met, i, element)
    {
        struct flo_quarantine_attempt attempt;
        bool crashed;
        char at[32];
        flo_quarantine_met(element, &attempt, &crashed);
        format_time(attempt.at_ms, at);
        printf("  %s  %-8s workflow ", at, crashed ? "crashed" : "refused");
        print_text(attempt.workflow_id);
        printf(" (");
        print_text(attempt.workflow_type);
        printf("), run ");
        print_text(attempt.run_id);
        printf(", activity ");
        print_text(attempt.activity_id);
        printf(", attempt %d, on ", attempt.attempt);
        print_text(attempt.identity);
        putchar('\n');
    }
}

static void print_view(const struct flo_quarantine_view *view)
{
    char cause[48], first[32], last[32], parked[32];
    flo_quarantine_cause(view->signal, view->exit_status, cause, sizeof cause);
    format_time(view->first_ms, first);
    format_time(view->last_ms, last);
    format_time(view->parked_ms, parked);
    printf("id          %s\nactivity    ", view->id);
    print_text(view->activity_type);
    printf("\nnamespace   ");
    print_text(view->name_space);
    printf("\nqueue       ");
    print_text(view->task_queue);
    if (view->parked)
        printf("\nstate       parked since %s\n", parked);
    else
        printf("\nstate       counting: %" PRId64 " crashes park it\n", view->limit);
    printf("crashes     %" PRId64 ", first %s, last %s\n", view->crashes, first, last);
    if (view->lifted)
        printf("lifted      %" PRId64 " times\n", view->lifted);
    printf("last end    %s\nmessage     ", cause);
    print_text(view->message);
    printf("\ninput       %" PRId64 " bytes%s\n", view->input_bytes,
           view->input ? "" : ", not kept (quarantine.keep_input, or larger than 64 KiB)");
    if (*view->stack_trace)
        print_lines("stack of the last crash", view->stack_trace);
    if (view->details) {
        json_t *details = json_copy(view->details);
        if (*view->stack_trace && json_is_object(details))
            json_object_del(details, "backtrace"); /* the stack, once more */
        print_value("details of the last crash", details);
        json_decref(details);
    }
    if (view->input && json_array_size(view->input) > 0)
        print_value("input", json_array_size(view->input) == 1 ? json_array_get(view->input, 0)
                                                               : view->input);
    print_met(view->met);
}

static int show(struct quarantine *q, const char *prefix)
{
    char id[FLO_QUARANTINE_ID_LEN + 1];
    struct flo_quarantine_view view;
    json_t *record = NULL;
    int rc = find_id(q, prefix, id);
    if (!rc && read_record(q, id, &record, &view, &rc)) {
        if (q->options->json)
            cli_print_json(json_incref(record));
        else
            print_view(&view);
    }
    json_decref(record);
    return rc;
}

/* ---- retry ---- */

static json_t *lift(void *ctx, const json_t *before)
{
    (void)ctx;
    return before ? flo_quarantine_after_lift(before, flo_clock_wall_ns() / FLO_NS_PER_MS) : NULL;
}

/* Is the workflow of element i one of those after it? The newest run of each is what counts. */
static bool met_later(const json_t *met, size_t i, const char *workflow_id)
{
    for (size_t k = i + 1; k < json_array_size(met); k++) {
        struct flo_quarantine_attempt later;
        bool crashed;
        flo_quarantine_met(json_array_get(met, k), &later, &crashed);
        if (strcmp(later.workflow_id, workflow_id) == 0)
            return true;
    }
    return false;
}

/* How each workflow that met the input gets it run. Texts when not json, else into commands. */
static void tell_workflows(const struct cli_options *given, const struct flo_quarantine_view *view,
                           json_t *commands)
{
    struct cli_options options = *given;
    struct cli_session session;
    json_t *element;
    size_t i;
    options.namespace_ = view->name_space;
    bool reached = cli_session_open(&session, &options, false) == 0;
    bool opened = reached;
    json_array_foreach(view->met, i, element)
    {
        struct flo_quarantine_attempt attempt;
        struct cli_rerun rerun;
        bool crashed;
        flo_quarantine_met(element, &attempt, &crashed);
        if (!*attempt.workflow_id || met_later(view->met, i, attempt.workflow_id))
            continue;
        bool known =
            reached && cli_rerun(&session, &options, attempt.workflow_id, attempt.run_id, &rerun);
        if (known && rerun.text.len) {
            json_array_append_new(commands, json_string(flo_buf_cstr(&rerun.text)));
        } else if (!given->json) {
            printf("workflow ");
            print_text(attempt.workflow_id);
            printf(" (");
            print_text(attempt.workflow_type);
            printf("): %s\n", !known          ? "the server could not say how it was started"
                              : rerun.running ? "still runs; its next attempt is run"
                                              : rerun.why_not);
        }
        if (reached)
            cli_rerun_fini(&rerun);
        if (!known && reached)
            reached = session.reason[0] == '\0'; /* one message is enough */
    }
    if (opened)
        cli_session_close(&session);
}

static void print_lifted(const struct flo_quarantine_view *before, const json_t *commands)
{
    json_t *command;
    size_t i;
    printf("lifted %.*s: ", FLO_QUARANTINE_SHORT, before->id);
    print_text(before->activity_type);
    printf(" runs with this input again%s\n", before->parked ? "" : " (it was not parked)");
    if (json_array_size(commands))
        printf("to start what failed again:\n");
    json_array_foreach(commands, i, command)
    {
        printf("  ");
        print_text(json_string_value(command));
        putchar('\n');
    }
}

static int retry(struct quarantine *q, const char *prefix)
{
    const struct flo_quarantine_room room = {.max_records = SIZE_MAX};
    char id[FLO_QUARANTINE_ID_LEN + 1];
    struct flo_quarantine_view view;
    struct flo_err err = {0};
    json_t *record = NULL, *commands = json_array();
    int rc = find_id(q, prefix, id);
    if (rc || !read_record(q, id, &record, &view, &rc))
        goto out;
    rc = flo_quarantine_store_change(q->store, id, &room, lift, NULL, NULL, &err);
    if (rc) {
        fprintf(stderr, "flotilla quarantine: %s\n", err.message);
        rc = flo_exit_code(rc);
        goto out;
    }
    tell_workflows(q->options, &view, commands);
    if (q->options->json)
        cli_print_json(
            json_pack("{s:s, s:b, s:O}", "id", id, "wasParked", view.parked, "commands", commands));
    else
        print_lifted(&view, commands);
out:
    json_decref(record);
    json_decref(commands);
    return rc;
}

/* ---- drop ---- */

static int drop(struct quarantine *q, const char *prefix)
{
    char id[FLO_QUARANTINE_ID_LEN + 1];
    struct flo_err err = {0};
    int rc = find_id(q, prefix, id);
    if (rc)
        return rc;
    rc = flo_quarantine_store_drop(q->store, id, &err);
    if (rc) {
        fprintf(stderr, "flotilla quarantine: %s\n", err.message);
        return flo_exit_code(rc);
    }
    if (q->options->json)
        cli_print_json(json_pack("{s:s}", "id", id));
    else
        printf("dropped %.*s: nothing is known of this input any more\n", FLO_QUARANTINE_SHORT, id);
    return 0;
}

/* ---- the command ---- */

static const struct action {
    const char *name;
    int (*run)(struct quarantine *q, const char *prefix);
    bool needs_id;
} actions[] = {
    {"list", list, false}, {"show", show, true}, {"retry", retry, true}, {"drop", drop, true}};
#define ACTION_COUNT (sizeof actions / sizeof *actions)

static const struct action *find_action(const struct cli_options *options)
{
    const char *names[ACTION_COUNT];
    const char *word = options->operand_count ? options->operands[0] : "";
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        names[i] = actions[i].name;
        if (strcmp(actions[i].name, word) == 0)
            return &actions[i];
    }
    const char *near = *word ? cli_nearest(word, names, ACTION_COUNT) : NULL;
    if (near)
        fprintf(stderr, "flotilla quarantine: unknown action '%s'; did you mean %s?\n", word, near);
    else
        fail("list, show ID, retry ID or drop ID is needed");
    return NULL;
}

int cli_quarantine(const struct cli_options *options)
{
    struct quarantine q = {.options = options};
    struct flo_err err = {0};
    const struct action *action = find_action(options);
    if (!action)
        return FLO_EXIT_USAGE;
    if (options->operand_count != (action->needs_id ? 2 : 1)) {
        fprintf(stderr, "flotilla quarantine: '%s' %s\n", action->name,
                action->needs_id ? "needs the id of one input" : "takes no id");
        return FLO_EXIT_USAGE;
    }
    if (!choose_folder(options, q.path, sizeof q.path))
        return fail("which folder? Give --quarantine-dir or --fleet");
    int rc = flo_quarantine_store_open(q.path, false, &q.store, &err);
    if (rc && (rc != FLO_ENOENT || action->needs_id)) {
        fprintf(stderr, "flotilla quarantine: %s\n", err.message);
        return flo_exit_code(rc);
    }
    rc = action->run(&q, action->needs_id ? options->operands[1] : NULL);
    flo_quarantine_store_close(&q.store);
    return rc;
}
