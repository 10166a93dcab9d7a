/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - `flotilla replay`: do these histories still come out of this code? Loads modules as a
 * workflow worker does, replays each history, says which ones do not match and why. With --step it
 * shows what the code was told and what it did then.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "cli/output.h"
#include "cli/session.h"
#include "codec/codec.h"
#include "wire/history.h"
#include "worker/registry.h"
#include "workflow/names.h"
#include "workflow/replayer.h"

struct replay {
    const struct cli_options *options;
    struct flo_registry *registry;
    struct flo_codec_row *codecs; /* of the modules, and the built-in ones */
    struct flo_arena memory;      /* as long as the modules */
    json_t *report;               /* of all files; NULL: as text */
    /* the file at hand */
    json_t *activations, *jobs, *commands;
    size_t activation_count;
    /* all */
    size_t good, bad, empty; /* empty: good, and there was nothing to replay yet */
    int exit_code;           /* the first trouble's */
};

static void note_exit(struct replay *replay, int code)
{
    if (replay->exit_code == 0 || (replay->exit_code == FLO_EXIT_REFUSED && code))
        replay->exit_code = code;
}

/* ---- what a history is replayed with ---- */

static int load_module(struct replay *replay, const char *name, struct flo_err *err)
{
    struct flo_module_config config = {.path = name};
    int rc;
    if (!strchr(name, '/'))
        config.path = flo_config_module_file(&replay->memory, FLO_ROLE_WORKFLOW,
                                             getenv("FLOTILLA_MODULES"), name);
    if (!config.path)
        return flo_fail(err, FLO_ENOMEM, "no memory for a module's name");
    struct flo_module_config *kept = flo_arena_memdup(&replay->memory, &config, sizeof config);
    if (!kept)
        return flo_fail(err, FLO_ENOMEM, "no memory for a module");
    kept->unchecked = true; /* the worker's business; it is said here, too */
    rc = flo_registry_load(replay->registry, FLO_ROLE_WORKFLOW, kept, err);
    return rc;
}

static int load_modules(struct replay *replay)
{
    struct flo_err err = {0};
    int rc = flo_registry_new(&replay->registry, &err);
    for (size_t i = 0; i < replay->options->modules.count && rc == 0; i++)
        rc = load_module(replay, replay->options->modules.items[i], &err);
    if (rc == 0 && !flo_registry_types(replay->registry))
        rc = flo_fail(&err, FLO_ENOMEM, "no memory for the types");
    if (rc)
        fprintf(stderr, "flotilla replay: %s\n", err.message);
    return rc ? flo_exit_code(rc) : 0;
}

/* A payload that nobody had the key for: code would see it as it is stored and seem not to match.
 */
static int refuse_sealed(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                         struct flo_err *err)
{
    (void)ctx, (void)out;
    return flo_payload_encoded_as(in, "binary/encrypted")
               ? flo_fail(err, FLO_EPERM,
                          "a payload is encrypted, and no key was given: --codec-key-file or "
                          "FLOTILLA_CODEC_KEY_FILE names the workers' key")
               : FLO_CODEC_PASS;
}

static int pass_on(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                   struct flo_err *err)
{
    (void)ctx, (void)in, (void)out, (void)err;
    return FLO_CODEC_PASS;
}

/* What a worker with these modules would read payloads with. Decoding goes from the end of the row
 * to its front, so what is still encrypted when it comes to sealed stays so. */
static int make_codecs(struct replay *replay)
{
    static const struct flo_codec sealed = {"of encrypted payloads", pass_on, refuse_sealed, NULL};
    const struct flo_codec_options options = {.zstd_read = true,
                                              .key_file = replay->options->codec_key,
                                              .keys_dir = replay->options->codec_keys};
    struct flo_err err = {0};
    int rc = flo_codec_row_new(&options, &replay->codecs, &err);
    if (rc == 0)
        rc = flo_codec_row_add(replay->codecs, &sealed);
    if (rc == 0)
        rc = flo_registry_codecs(replay->registry, replay->codecs);
    if (rc)
        fprintf(stderr, "flotilla replay: %s\n", err.code ? err.message : flo_error_text(rc));
    return rc ? flo_exit_code(rc) : 0;
}

static flo_workflow_fn look_up(void *ctx, const char *type)
{
    const struct replay *replay = ctx;
    return flo_registry_workflow(replay->registry, type);
}

/* ---- looking on ---- */

/* For JSON: names of files may be any bytes, and words may have been cut inside a letter. */
static json_t *text_of(const char *text)
{
    char *copy = strdup(text);
    json_t *json = copy ? json_string(flo_utf8_mend(copy)) : NULL;
    free(copy);
    return json;
}

static void on_activation(void *ctx, const struct flo_run_step *step)
{
    struct replay *replay = ctx;
    Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    char when[32];
    now.seconds = step->now_ns / 1000000000;
    cli_format_time(&now, when);
    replay->activation_count++;
    if (!replay->report) {
        printf("  activation %zu, to event %" PRId64 ", at %s%s\n", replay->activation_count,
               step->history_length, when, step->replaying ? "" : ": what comes next");
        return;
    }
    replay->jobs = json_array();
    replay->commands = json_array();
    json_array_append_new(replay->activations,
                          json_pack("{s:b, s:I, s:s, s:o, s:o}", "is_replaying", step->replaying,
                                    "history_length", (json_int_t)step->history_length, "time",
                                    when, "jobs", replay->jobs, "commands", replay->commands));
}

static void on_job(void *ctx, const char *name, const FloApi__HistoryEvent *event)
{
    struct replay *replay = ctx;
    char what[320];
    flo_event_describe(event, what, sizeof what);
    if (replay->report)
        json_array_append_new(replay->jobs,
                              json_pack("{s:s, s:I, s:o}", "job", name, "event_id",
                                        (json_int_t)event->event_id, "event", text_of(what)));
    else
        printf("    job      %s: %s\n", name, what);
}

static void on_command(void *ctx, const char *name, const char *what, const char *place)
{
    struct replay *replay = ctx;
    if (replay->report)
        json_array_append_new(replay->commands,
                              json_pack("{s:s, s:o, s:o}", "command", name, "what", text_of(what),
                                        "place", text_of(place)));
    else
        printf("    command  %s%s%s%s%s%s\n", name, *what ? " (" : "", what, *what ? ")" : "",
               *place ? " at " : "", place);
}

/* ---- one history ---- */

static void print_indented(const char *lines)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n");
        printf("    %.*s\n", (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}

/* No workflow task of it has completed: there is nothing yet that code could differ from. */
static bool is_empty(const FloApi__History *history)
{
    for (size_t i = 0; i < history->n_events; i++)
        if (history->events[i]->event_type ==
            FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
            return false;
    return true;
}

static void print_verdict(struct replay *replay, const char *name,
                          const struct flo_replay_verdict *verdict, bool empty)
{
    const char *type = *verdict->workflow_type ? verdict->workflow_type : "-";
    if (replay->report) {
        json_t *entry =
            json_pack("{s:o, s:s, s:I, s:b, s:b, s:b, s:o, s:o}", "history", text_of(name), "type",
                      type, "events", (json_int_t)verdict->event_count, "good", verdict->good,
                      "nothing_to_replay", empty, "nondeterministic", verdict->nondeterministic,
                      "message", text_of(verdict->message), "why", text_of(verdict->why));
        if (replay->activations)
            json_object_set(entry, "activations", replay->activations);
        json_array_append_new(replay->report, entry);
        return;
    }
    printf("%s  %s: %s, %zu events%s\n", verdict->good ? "ok    " : "FAILED", name, type,
           verdict->event_count,
           empty ? ": nothing to replay yet, no workflow task has completed" : "");
    if (!verdict->good) {
        printf("  %s\n", verdict->message);
        print_indented(verdict->why);
    }
}

static void trouble(struct replay *replay, const char *name, const char *what, int exit_code)
{
    fprintf(stderr, "flotilla replay: %s: %s\n", name, what);
    note_exit(replay, exit_code);
}

/* False after a message. */
static bool decode(struct replay *replay, const char *name, FloApi__History *history,
                   struct flo_arena *arena)
{
    struct flo_err err = {0};
    int rc = flo_codec_decode(replay->codecs, &history->base, arena, &err);
    if (rc)
        trouble(replay, name, err.code ? err.message : flo_error_text(rc),
                rc == FLO_EPERM    ? FLO_EXIT_CONFIG
                : rc == FLO_ENOMEM ? FLO_EXIT_INTERNAL
                                   : FLO_EXIT_DATA);
    return rc == 0;
}

static void replay_one(struct replay *replay, const char *name, FloApi__History *history,
                       struct flo_arena *arena)
{
    if (!decode(replay, name, history, arena))
        return;
    const struct flo_run_observer observer = {
        .activation = on_activation, .job = on_job, .command = on_command, .ctx = replay};
    struct flo_run_env env = {
        .namespace_ = replay->options->namespace_ ? replay->options->namespace_ : "default",
        .identity = "flotilla replay",
        .workflow_types = flo_registry_types(replay->registry),
        .observer = replay->options->step ? &observer : NULL,
    };
    struct flo_replay_verdict verdict;
    flo_registry_around(replay->registry, &env);
    replay->activation_count = 0;
    replay->activations = replay->report && env.observer ? json_array() : NULL;
    if (env.observer && !replay->report)
        printf("%s\n", name);
    if (flo_replay_history(&env, look_up, replay, history, arena, &verdict)) {
        fprintf(stderr, "flotilla replay: %s: out of memory\n", name);
        note_exit(replay, FLO_EXIT_INTERNAL);
    } else {
        const bool empty = verdict.good && is_empty(history);
        print_verdict(replay, name, &verdict, empty);
        replay->empty += empty;
        if (verdict.good)
            replay->good++;
        else
            replay->bad++;
        if (!verdict.good)
            note_exit(replay, FLO_EXIT_REFUSED);
    }
    json_decref(replay->activations);
    replay->activations = NULL;
}

/* ---- where histories come from ---- */

static int read_all(FILE *file, struct flo_buf *out, struct flo_err *err)
{
    char part[65536];
    size_t len;
    while ((len = fread(part, 1, sizeof part, file)) > 0) {
        int rc = flo_buf_append(out, part, len);
        if (rc)
            return flo_fail(err, rc, "a history takes at most %u bytes", FLO_HISTORY_FILE_MAX);
    }
    return ferror(file) ? flo_fail(err, FLO_EIO, "%s", strerror(errno)) : 0;
}

static void replay_file(struct replay *replay, const char *path)
{
    bool stdin_ = strcmp(path, "-") == 0;
    FILE *file = stdin_ ? stdin : fopen(path, "rb");
    struct flo_err err = {0};
    struct flo_buf bytes;
    struct flo_arena arena;
    FloApi__History *history;
    if (!file) {
        trouble(replay, path, strerror(errno), FLO_EXIT_NO_INPUT);
        return;
    }
    flo_buf_init(&bytes, FLO_HISTORY_FILE_MAX);
    flo_arena_init(&arena, 0);
    int rc = read_all(file, &bytes, &err);
    if (rc == 0)
        rc = flo_history_read(bytes.data, bytes.len, NULL, &arena, &history, &err);
    if (rc)
        trouble(replay, path, err.message, rc == FLO_EIO ? FLO_EXIT_NO_INPUT : FLO_EXIT_DATA);
    else
        replay_one(replay, path, history, &arena);
    flo_arena_fini(&arena);
    flo_buf_fini(&bytes);
    if (!stdin_)
        fclose(file);
}

static int is_history(const struct dirent *entry)
{
    static const char *const endings[] = {".json", ".pb", ".bin"};
    size_t len = strlen(entry->d_name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t tail = strlen(endings[i]);
        if (*entry->d_name != '.' && len > tail &&
            strcmp(entry->d_name + len - tail, endings[i]) == 0)
            return 1;
    }
    return 0;
}

/* The histories of a folder, by name; not those of the folders in it. */
static void replay_folder(struct replay *replay, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_history, alphasort);
    if (count < 0) {
        trouble(replay, path, strerror(errno), FLO_EXIT_NO_INPUT);
        return;
    }
    if (count == 0)
        trouble(replay, path, "no file ends in .json, .pb or .bin", FLO_EXIT_NO_INPUT);
    for (int i = 0; i < count; i++) {
        char *file = flo_arena_printf(&replay->memory, "%s/%s", path, entries[i]->d_name);
        if (file)
            replay_file(replay, file);
        free(entries[i]);
    }
    free(entries);
}

static void replay_path(struct replay *replay, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        replay_folder(replay, path);
    else
        replay_file(replay, path);
}

/* ---- from a server ---- */

/* All pages in arena; NULL after a message. */
static FloApi__History *fetch(struct cli_session *session, const struct cli_options *options,
                              struct flo_arena *arena, int *out_exit)
{
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    FloApi__History *all = flo_arena_calloc(arena, 1, sizeof *all);
    execution.workflow_id = (char *)(uintptr_t)options->workflow_id;
    if (options->run_id)
        execution.run_id = (char *)(uintptr_t)options->run_id;
    request.execution = &execution;
    *out_exit = FLO_EXIT_INTERNAL;
    if (!all)
        return NULL;
    flo_api__history__init(all);
    do {
        struct cli_waiter waiter;
        cli_waiter_init(&waiter, session);
        int rc = flo_client_get_workflow_execution_history(session->client, &request,
                                                           cli_waiter_done, &waiter, NULL);
        const ProtobufCMessage *answer = cli_wait(&waiter, rc, out_exit);
        const FloApi__GetWorkflowExecutionHistoryResponse *page =
            answer ? (const void *)flo_wire_copy(answer, arena) : NULL;
        cli_waiter_fini(&waiter);
        if (!page)
            return NULL;
        size_t more = page->history ? page->history->n_events : 0;
        FloApi__HistoryEvent **events =
            flo_arena_calloc(arena, all->n_events + more + 1, sizeof(FloApi__HistoryEvent *));
        if (!events)
            return NULL;
        if (all->n_events)
            memcpy(events, all->events, all->n_events * sizeof *events);
        if (more)
            memcpy(events + all->n_events, page->history->events, more * sizeof *events);
        all->events = events;
        all->n_events += more;
        request.next_page_token = page->next_page_token;
    } while (request.next_page_token.len);
    *out_exit = 0;
    return all;
}

static void replay_workflow(struct replay *replay)
{
    struct cli_session session;
    struct flo_arena arena;
    struct cli_options options = *replay->options;
    options.codec_key = options.codec_keys = NULL; /* payloads as files have them: see decode() */
    int exit_code = cli_session_open(&session, &options, false);
    if (exit_code) {
        note_exit(replay, exit_code);
        return;
    }
    flo_arena_init(&arena, 0);
    FloApi__History *history = fetch(&session, replay->options, &arena, &exit_code);
    if (history)
        replay_one(replay, replay->options->workflow_id, history, &arena);
    else
        note_exit(replay, exit_code);
    flo_arena_fini(&arena);
    cli_session_close(&session);
}

/* ---- all ---- */

const char *cli_replay_help(void)
{
    return "FILE is a history: the JSON of 'flotilla history -o json', of 'temporal workflow show\n"
           "--output json', of the web UI or of an SDK, or a packed history; a folder stands for\n"
           "its .json, .pb and .bin files; - is stdin.\n"
           "exit code: 0 all match; 1 one does not; 64 usage; 65 a file is no history; 66 a file\n"
           "cannot be read; 69 no server; 78 a module does not load, or the key of payloads is "
           "not\n"
           "there.\n";
}

static void print_sum(const struct replay *replay)
{
    printf("%zu of %zu histories match", replay->good, replay->good + replay->bad);
    if (replay->empty)
        printf("; in %zu of them there is nothing to replay yet", replay->empty);
    printf("\n");
}

int cli_replay(const struct cli_options *options)
{
    struct replay replay = {.options = options};
    if (options->modules.count == 0 || (options->operand_count == 0 && !options->workflow_id)) {
        fprintf(stderr, "flotilla replay: %s; see 'flotilla replay --help'\n",
                options->modules.count ? "no FILE and no --workflow-id" : "no --module");
        return FLO_EXIT_USAGE;
    }
    flo_workflow_jansson_install();
    flo_arena_init(&replay.memory, 0);
    replay.exit_code = load_modules(&replay);
    if (replay.exit_code == 0)
        replay.exit_code = make_codecs(&replay);
    if (replay.exit_code == 0) {
        replay.report = options->json ? json_array() : NULL;
        for (int i = 0; i < options->operand_count; i++)
            replay_path(&replay, options->operands[i]);
        if (options->workflow_id)
            replay_workflow(&replay);
        if (replay.report)
            cli_print_json(json_pack("{s:o, s:I, s:I}", "histories", replay.report, "good",
                                     (json_int_t)replay.good, "bad", (json_int_t)replay.bad));
        else if (replay.good + replay.bad > 1)
            print_sum(&replay);
    }
    flo_codec_row_destroy(&replay.codecs);
    flo_registry_destroy(&replay.registry);
    flo_arena_fini(&replay.memory);
    return replay.exit_code;
}
