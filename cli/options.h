/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the command line of `flotilla`: one table of options, each command accepts some.
 * Names and meanings follow the `temporal` command line where both have an option.
 */
#ifndef FLO_CLI_OPTIONS_H
#define FLO_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLI_OPTIONS(X): X(id, field, --name, short or 0, kind, value's name, help). */
#define CLI_OPTIONS(X)                                                                             \
    X(ADDRESS, address, "address", 0, TEXT, "HOST:PORT",                                           \
      "server (TEMPORAL_ADDRESS; that of the fleet here; 127.0.0.1:7233)")                         \
    X(NAMESPACE, namespace_, "namespace", 'n', TEXT, "NAME",                                       \
      "namespace (TEMPORAL_NAMESPACE; default)")                                                   \
    X(API_KEY, api_key, "api-key", 0, TEXT, "KEY",                                                 \
      "API key of the server (TEMPORAL_API_KEY, or a file: TEMPORAL_API_KEY_FILE)")                \
    X(TLS, tls, "tls", 0, FLAG, "",                                                                \
      "use TLS (TEMPORAL_TLS; on with an API key, unless that is false)")                          \
    X(TLS_CA, tls_ca, "tls-ca-path", 0, TEXT, "FILE", "certificate authorities (PEM)")             \
    X(TLS_CERT, tls_cert, "tls-cert-path", 0, TEXT, "FILE", "client certificate (PEM)")            \
    X(TLS_KEY, tls_key, "tls-key-path", 0, TEXT, "FILE", "client key (PEM)")                       \
    X(TLS_SERVER_NAME, tls_server_name, "tls-server-name", 0, TEXT, "NAME", "name to check")       \
    X(CODEC_KEY, codec_key, "codec-key-file", 0, TEXT, "FILE",                                     \
      "key of the workers' payloads (FLOTILLA_CODEC_KEY_FILE)")                                    \
    X(CODEC_KEYS, codec_keys, "codec-keys-dir", 0, TEXT, "DIR",                                    \
      "folder of further keys (FLOTILLA_CODEC_KEYS_DIR)")                                          \
    X(OUTPUT, output, "output", 'o', TEXT, "text|json", "form of the answer (text)")               \
    X(WORKFLOW_ID, workflow_id, "workflow-id", 'w', TEXT, "ID", "the workflow")                    \
    X(RUN_ID, run_id, "run-id", 'r', TEXT, "ID", "one run of it (default: the newest)")            \
    X(TYPE, type, "type", 0, TEXT, "NAME", "workflow type; activity fail: of the failure")         \
    X(TASK_QUEUE, task_queue, "task-queue", 't', TEXT, "NAME", "task queue")                       \
    X(INPUT, input, "input", 'i', TEXT, "JSON", "input, one JSON value")                           \
    X(INPUT_FILE, input_file, "input-file", 0, TEXT, "FILE", "input from a file, - is stdin")      \
    X(WAIT, wait, "wait", 0, FLAG, "", "wait for the result and print it")                         \
    X(EXECUTION_TIMEOUT, execution_timeout_ms, "execution-timeout", 0, DURATION, "TIME",           \
      "all runs together, e.g. 1h")                                                                \
    X(RUN_TIMEOUT, run_timeout_ms, "run-timeout", 0, DURATION, "TIME", "one run")                  \
    X(TASK_TIMEOUT, task_timeout_ms, "task-timeout", 0, DURATION, "TIME", "one workflow task")     \
    X(ID_REUSE_POLICY, id_reuse_policy, "id-reuse-policy", 0, TEXT, "POLICY",                      \
      "AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate, TerminateIfRunning")             \
    X(ID_CONFLICT_POLICY, id_conflict_policy, "id-conflict-policy", 0, TEXT, "POLICY",             \
      "Fail, UseExisting, TerminateExisting")                                                      \
    X(NAME, name, "name", 0, TEXT, "NAME", "name of the signal, query or update")                  \
    X(UPDATE_ID, update_id, "update-id", 0, TEXT, "ID", "name of the update (a new UUID)")         \
    X(WAIT_FOR_STAGE, wait_for_stage, "wait-for-stage", 0, TEXT, "accepted|completed",             \
      "wait until it is so far (completed)")                                                       \
    X(REASON, reason, "reason", 0, TEXT, "TEXT", "why, for the history")                           \
    X(QUERY, query, "query", 'q', TEXT, "FILTER",                                                  \
      "list filter, e.g. \"ExecutionStatus='Running'\"")                                           \
    X(LIMIT, limit, "limit", 0, NUMBER, "N", "at most so many (100)")                              \
    X(TASKS, tasks, "tasks", 0, NUMBER, "N", "so many tasks of a task type (--type; 10)")          \
    X(PARAMS, params, "param", 'p', LIST, "NAME=VALUE",                                            \
      "a parameter of the tasks; may be given again")                                              \
    X(BATCH_SIZE, batch_size, "batch-size", 0, NUMBER, "N",                                        \
      "start N at once, whatever is in flight (instead of --concurrency)")                         \
    X(DELAY_MS, delay_ms, "delay-ms", 0, NUMBER, "MS", "wait between two batches (1000)")          \
    X(QUIET, quiet, "quiet", 0, FLAG, "", "no progress, only the report")                          \
    X(PROGRESS_EVERY, progress_every_ms, "progress-every", 0, DURATION, "TIME",                    \
      "so often a line where there is no bar; after half without an end: why (10s)")               \
    X(SERVER_TIMEOUT, server_timeout_ms, "server-timeout", 0, DURATION, "TIME",                    \
      "end when the server has been away for so long (1m)")                                        \
    X(COUNT, count, "count", 'c', NUMBER, "N", "so many workflows (1000)")                         \
    X(CONCURRENCY, concurrency, "concurrency", 0, NUMBER, "N",                                     \
      "in flight at once (documents 20, load 50)")                                                 \
    X(RATE, rate, "rate", 0, NUMBER, "N",                                                          \
      "start N a second, whatever is in flight (instead of --concurrency)")                        \
    X(INPUT_BYTES, input_bytes, "input-bytes", 0, NUMBER, "N", "input: a text of N bytes")         \
    X(SIGNALS, signals, "signals", 0, NUMBER, "N",                                                 \
      "send each workflow N signals, one after the other (--name; ping)")                          \
    X(EACH, each, "each", 0, TEXT, "start|signal|terminate",                                       \
      "only this call for each of the workflows ID-PREFIX-0, -1 ...; waits for none to end")       \
    X(ID_PREFIX, id_prefix, "id-prefix", 0, TEXT, "TEXT", "what workflow ids begin with (load)")   \
    X(EXPECT, expect, "expect", 0, TEXT, "JSON", "the result that is right")                       \
    X(TIMEOUT, timeout_ms, "timeout", 0, DURATION, "TIME", "give up after so long")                \
    X(ACTIVITY_ID, activity_id, "activity-id", 'a', TEXT, "ID", "the activity")                    \
    X(TOKEN, token, "token", 0, TEXT, "BASE64", "the activity's token, instead of ids")            \
    X(RESULT, result, "result", 0, TEXT, "JSON", "its result (complete)")                          \
    X(DETAIL, detail, "detail", 0, TEXT, "JSON", "details (fail, cancel, heartbeat)")              \
    X(NON_RETRYABLE, non_retryable, "non-retryable", 0, FLAG, "", "no further attempt (fail)")     \
    X(IDENTITY, identity, "identity", 0, TEXT, "NAME", "who says so, for the history")             \
    X(QUARANTINE_DIR, quarantine_dir, "quarantine-dir", 0, TEXT, "DIR",                            \
      "the folder that workers share (FLOTILLA_QUARANTINE_DIR; that of the fleet)")                \
    X(ALL, all, "all", 0, FLAG, "", "also what is not parked yet")                                 \
    X(URL, url, "url", 0, TEXT, "URL",                                                             \
      "the supervisor's page, http://HOST:PORT (that of --fleet)")                                 \
    X(ONCE, once, "once", 0, FLAG, "", "one table instead of a live one")                          \
    X(SUPERVISOR, supervisor, "supervisor", 0, TEXT, "HOST:PORT",                                  \
      "the supervisor's page (FLOTILLA_SUPERVISOR_URL; that of --fleet)")                          \
    X(TOKEN_FILE, token_file, "token-file", 0, TEXT, "FILE",                                       \
      "the supervisor's token (FLOTILLA_TOKEN_FILE; control.token beside fleet.json)")             \
    X(SLOTS, slots, "slots", 0, NUMBER, "N", "resize: task slots")                                 \
    X(KIND, kind, "kind", 0, TEXT, "workflow|activity|local-activity",                             \
      "resize: which slots (those of its role)")                                                   \
    X(EXECUTORS, executors, "executors", 0, NUMBER, "N", "resize: threads of an IO worker")        \
    X(POLLS, polls, "polls", 0, NUMBER, "N", "pollers: so many")                                   \
    X(MIN, min, "min", 0, NUMBER, "N", "pollers: at least so many")                                \
    X(MAX, max, "max", 0, NUMBER, "N", "pollers: at most so many")                                 \
    X(LEVEL, level, "level", 0, TEXT, "LEVEL", "loglevel: trace, debug, info, warn or error")      \
    X(SECONDS, seconds, "seconds", 0, NUMBER, "N", "profile: so long (10)")                        \
    X(HZ, hz, "hz", 0, NUMBER, "N", "profile: samples a second (99)")                              \
    X(OUT, out, "out", 0, TEXT, "FILE", "profile: into a file (stdout)")                           \
    X(SVG, svg, "svg", 0, FLAG, "", "profile: as a flame graph")                                   \
    X(FOLLOW, follow, "follow", 'f', FLAG, "", "go on as more comes")                              \
    X(STATE_DIR, state_dir, "state-dir", 0, TEXT, "DIR",                                           \
      "the fleet's folder (FLOTILLA_STATE_DIR; that of config/fleet.yaml; .flotilla)")             \
    X(NOW, now, "now", 0, FLAG, "", "end all at once, whatever they do")                           \
    X(CHANGED, changed, "changed", 0, FLAG, "",                                                    \
      "only those whose configuration, program or modules have changed")                           \
    X(LINES, lines, "lines", 'n', NUMBER, "N", "the last N lines (100)")                           \
    X(MODULES, modules, "module", 'm', LIST, "NAME|FILE",                                          \
      "a module with the workflows; may be given again")                                           \
    X(STEP, step, "step", 0, FLAG, "", "show each activation and what the code did")               \
    X(DIR, dir, "dir", 0, TEXT, "DIR", "the folder of the fleet's keys (keys)")                    \
    X(FLEET, fleet, "fleet", 0, TEXT, "FILE",                                                      \
      "fleet.json of a running fleet: address and processes")

enum cli_option_id {
#define CLI_OPTION_ID(id, field, name, short_name, kind, value, help) CLI_ID_##id,
    CLI_OPTIONS(CLI_OPTION_ID)
#undef CLI_OPTION_ID
};

/* A set of options, one bit each. */
__extension__ typedef unsigned __int128 cli_option_set;
#define CLI_OPT(id) ((cli_option_set)1 << CLI_ID_##id)
/* Accepted by every command that talks to a server. */
#define CLI_OPT_COMMON                                                                             \
    (CLI_OPT(ADDRESS) | CLI_OPT(NAMESPACE) | CLI_OPT(API_KEY) | CLI_OPT(TLS) | CLI_OPT(TLS_CA) |   \
     CLI_OPT(TLS_CERT) | CLI_OPT(TLS_KEY) | CLI_OPT(TLS_SERVER_NAME) | CLI_OPT(CODEC_KEY) |        \
     CLI_OPT(CODEC_KEYS) | CLI_OPT(OUTPUT))

/* An option that may be given again. */
#define CLI_LIST_MAX 32
struct cli_words {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

/* Beside them, of a command: it takes --output yaml, too; it asks no server, so that of the common
 * ones there is only --output. */
#define CLI_TAKES_YAML ((cli_option_set)1 << 127)
#define CLI_ASKS_NO_SERVER ((cli_option_set)1 << 126)
#define CLI_TAKES_JSONL ((cli_option_set)1 << 125) /* and --output jsonl */

typedef const char *cli_text;
typedef bool cli_flag;
typedef int64_t cli_number;   /* -1 = not given */
typedef int64_t cli_duration; /* milliseconds; -1 = not given */
typedef struct cli_words cli_words;

struct cli_options {
#define CLI_KIND_TEXT cli_text
#define CLI_KIND_FLAG cli_flag
#define CLI_KIND_NUMBER cli_number
#define CLI_KIND_DURATION cli_duration
#define CLI_KIND_LIST cli_words
#define CLI_OPTION_FIELD(id, field, name, short_name, kind, value, help) CLI_KIND_##kind field;
    CLI_OPTIONS(CLI_OPTION_FIELD)
#undef CLI_OPTION_FIELD
    bool json; /* --output json, or jsonl */
    bool jsonl;
    char **operands; /* points into argv */
    int operand_count;
    char **rest; /* everything after the command's name, untouched; NULL-terminated */
};

struct cli_command;

/*
 * Read argv (after the command's name) for command; fills in environment and defaults. True: run
 * the command. False: end with *out_exit, everything has been said (--help too).
 */
bool cli_options_parse(const struct cli_command *command, char **argv, struct cli_options *out,
                       int *out_exit);

/* The text nearest to word among count names, or NULL when none is near: for "did you mean". */
const char *cli_nearest(const char *word, const char *const *names, size_t count);

#endif
