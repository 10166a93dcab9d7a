/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - `flotilla`: the person's tool. Finds the command, reads its options, runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "config/process.h"

#define TARGET (CLI_OPT(WORKFLOW_ID) | CLI_OPT(RUN_ID))
#define INPUTS (CLI_OPT(INPUT) | CLI_OPT(INPUT_FILE))

static const struct cli_command commands[] = {
    {"up", "[SUPERVISOR-OPTION ...]", "start a whole fleet on this machine", 0, cli_up},
    {"down", "", "end it",
     CLI_OPT(STATE_DIR) | CLI_OPT(NOW) | CLI_OPT(TIMEOUT) | CLI_ASKS_NO_SERVER, cli_down},
    {"ps", "", "show its processes", CLI_OPT(STATE_DIR) | CLI_ASKS_NO_SERVER, cli_ps},
    {"logs", "[NAME ...]", "show what its processes say",
     CLI_OPT(STATE_DIR) | CLI_OPT(FOLLOW) | CLI_OPT(LINES) | CLI_ASKS_NO_SERVER, cli_logs},
    {"restart", "[NAME ...]", "replace its workers one process after the other",
     CLI_OPT(STATE_DIR) | CLI_OPT(CHANGED) | CLI_OPT(TIMEOUT) | CLI_OPT(TOKEN_FILE) |
         CLI_ASKS_NO_SERVER,
     cli_restart},
    {"scale", "NAME|ROLE=N ...", "run so many processes of a worker",
     CLI_OPT(STATE_DIR) | CLI_OPT(TIMEOUT) | CLI_OPT(TOKEN_FILE) | CLI_ASKS_NO_SERVER, cli_scale},
    {"server", "start-dev [OPTION ...]", "run an engine, as `temporal server start-dev` does", 0,
     cli_server},
    {"engine", "backup|check|compact ...", "care for an engine's database, or run an engine", 0,
     cli_engine},
    {"start", "", "start a workflow",
     CLI_OPT(WORKFLOW_ID) | CLI_OPT(TYPE) | CLI_OPT(TASK_QUEUE) | INPUTS | CLI_OPT(WAIT) |
         CLI_OPT(EXECUTION_TIMEOUT) | CLI_OPT(RUN_TIMEOUT) | CLI_OPT(TASK_TIMEOUT) |
         CLI_OPT(ID_REUSE_POLICY) | CLI_OPT(ID_CONFLICT_POLICY),
     cli_start},
    {"result", "[WORKFLOW_ID]", "wait for a workflow and print its result", TARGET, cli_result},
    {"list", "", "list workflows", CLI_OPT(QUERY) | CLI_OPT(LIMIT), cli_list},
    {"describe", "[WORKFLOW_ID]", "show the state of a workflow", TARGET, cli_describe},
    {"history", "[WORKFLOW_ID]", "show the events of a workflow", TARGET, cli_history},
    {"replay", "FILE|DIR ...", "check that code still matches histories",
     TARGET | CLI_OPT(MODULES) | CLI_OPT(STEP), cli_replay},
    {"explain", "[WORKFLOW_ID]", "say why a workflow does not move",
     TARGET | CLI_OPT(FLEET) | CLI_OPT(SUPERVISOR), cli_explain},
    {"signal", "[WORKFLOW_ID] NAME", "send a signal to a workflow", TARGET | CLI_OPT(NAME) | INPUTS,
     cli_signal},
    {"query", "[WORKFLOW_ID] NAME", "ask a workflow something", TARGET | CLI_OPT(NAME) | INPUTS,
     cli_query},
    {"stack", "[WORKFLOW_ID]", "show where a workflow's code waits", TARGET, cli_stack},
    {"update", "[WORKFLOW_ID] NAME", "send an update to a workflow and print its outcome",
     TARGET | CLI_OPT(NAME) | INPUTS | CLI_OPT(UPDATE_ID) | CLI_OPT(WAIT_FOR_STAGE) |
         CLI_OPT(IDENTITY),
     cli_update},
    {"cancel", "[WORKFLOW_ID]", "ask a workflow to stop", TARGET | CLI_OPT(REASON), cli_cancel},
    {"terminate", "[WORKFLOW_ID]", "end a workflow at once", TARGET | CLI_OPT(REASON),
     cli_terminate},
    {"activity", "complete|fail|cancel|heartbeat", "end an activity that its worker left open",
     TARGET | CLI_OPT(ACTIVITY_ID) | CLI_OPT(TOKEN) | CLI_OPT(RESULT) | CLI_OPT(DETAIL) |
         CLI_OPT(REASON) | CLI_OPT(TYPE) | CLI_OPT(NON_RETRYABLE) | CLI_OPT(IDENTITY),
     cli_activity},
    {"drain", "[NAME|ROLE ...]", "workers of a local fleet stop polling but stay", CLI_OPT(FLEET),
     cli_drain},
    {"resume", "[NAME|ROLE ...]", "and poll again", CLI_OPT(FLEET), cli_resume},
    {"fleet", "COMMAND [NAME|IDENTITY|BOOT|ROLE|all ...]",
     "see and steer the processes of a fleet, through its supervisor",
     CLI_OPT(SUPERVISOR) | CLI_OPT(FLEET) | CLI_OPT(TOKEN_FILE) | CLI_OPT(SLOTS) | CLI_OPT(KIND) |
         CLI_OPT(EXECUTORS) | CLI_OPT(POLLS) | CLI_OPT(MIN) | CLI_OPT(MAX) | CLI_OPT(TASK_QUEUE) |
         CLI_OPT(LEVEL) | CLI_OPT(SECONDS) | CLI_OPT(HZ) | CLI_OPT(OUT) | CLI_OPT(SVG) |
         CLI_OPT(FOLLOW) | CLI_ASKS_NO_SERVER | CLI_TAKES_JSONL,
     cli_fleet},
    {"keys", "generate|add|remove|list|payload [NAME ...]",
     "keys: of workers that report to a supervisor, of payloads", CLI_OPT(DIR) | CLI_ASKS_NO_SERVER,
     cli_keys},
    {"top", "", "show live what a fleet does and what its tasks cost",
     CLI_OPT(URL) | CLI_OPT(SUPERVISOR) | CLI_OPT(FLEET) | CLI_OPT(TOKEN_FILE) | CLI_OPT(ONCE) |
         CLI_ASKS_NO_SERVER,
     cli_top},
    {"recommend", "", "say what to ask of Kubernetes, from what a fleet did",
     CLI_OPT(URL) | CLI_OPT(SUPERVISOR) | CLI_OPT(FLEET) | CLI_ASKS_NO_SERVER | CLI_TAKES_YAML,
     cli_recommend},
    {"documents", "FILE|DIR|URL ...", "run documents through a fleet and show what is in them",
     CLI_OPT(TASK_QUEUE) | CLI_OPT(CONCURRENCY) | CLI_OPT(TIMEOUT) | CLI_OPT(FLEET), cli_documents},
    {"quarantine", "list|show ID|retry ID|drop ID",
     "inputs of activities that killed their executor again and again",
     CLI_OPT(QUARANTINE_DIR) | CLI_OPT(ALL) | CLI_OPT(FLEET), cli_quarantine},
    {"load", "", "start many workflows and measure",
     CLI_OPT(TYPE) | CLI_OPT(TASK_QUEUE) | INPUTS | CLI_OPT(INPUT_BYTES) | CLI_OPT(COUNT) |
         CLI_OPT(CONCURRENCY) | CLI_OPT(RATE) | CLI_OPT(SIGNALS) | CLI_OPT(NAME) | CLI_OPT(EXPECT) |
         CLI_OPT(TIMEOUT) | CLI_OPT(FLEET) | CLI_OPT(EACH) | CLI_OPT(ID_PREFIX) | CLI_OPT(TASKS) |
         CLI_OPT(PARAMS) | CLI_OPT(BATCH_SIZE) | CLI_OPT(DELAY_MS) | CLI_OPT(QUIET) |
         CLI_OPT(PROGRESS_EVERY) | CLI_OPT(SERVER_TIMEOUT),
     cli_load},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_help(void)
{
    printf("flotilla - durable workflows in small C processes\n\nusage: flotilla COMMAND [OPTION "
           "...]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\n'flotilla PORT' is an engine whose time skips, as SDKs start a test server.\n"
           "'flotilla COMMAND --help' tells more. Servers are named by --address or "
           "TEMPORAL_ADDRESS.\n");
}

int main(int argc, char **argv)
{
    flo_process_init();
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help();
        return argc < 2 ? FLO_EXIT_USAGE : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("flotilla %s\n", flo_version());
        return 0;
    }
    /* A port, as SDKs start a test server. */
    if (*argv[1] && !argv[1][strspn(argv[1], "0123456789")]) {
        const struct cli_options options = {.rest = argv + 1};
        return cli_engine(&options);
    }
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        struct cli_options options = {.rest = argv + 2};
        int exit_code = 0;
        const bool own_options = commands[i].run == cli_up || commands[i].run == cli_server ||
                                 commands[i].run == cli_engine;
        if (!own_options && !cli_options_parse(&commands[i], argv + 2, &options, &exit_code))
            return exit_code;
        return commands[i].run(&options);
    }
    const char *near = cli_nearest(argv[1], names, COMMAND_COUNT);
    fprintf(stderr, "flotilla: unknown command '%s'; %s%s%s\n", argv[1],
            near ? "did you mean " : "'flotilla --help' lists what there is", near ? near : "",
            near ? "?" : "");
    return FLO_EXIT_USAGE;
}
