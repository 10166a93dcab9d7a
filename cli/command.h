/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - what a command of `flotilla` is. One file a command; each has a table entry in
 * main.c, reads its options from struct cli_options and returns the exit code.
 *
 * Exit codes: 0 done; 1 the server refused, or the workflow did not complete; 64 usage; 66 no such
 * input file; 69 the server cannot be reached; 70 internal.
 */
#ifndef FLO_CLI_COMMAND_H
#define FLO_CLI_COMMAND_H

#include "cli/options.h"
#include "config/exit_code.h"

struct cli_command {
    const char *name;
    const char *operands;   /* for --help: "WORKFLOW_ID"; "" = none */
    const char *summary;    /* one line */
    cli_option_set accepts; /* CLI_OPT bits beside the common ones, and the two below them */
    int (*run)(const struct cli_options *options);
};

int cli_up(const struct cli_options *options);
int cli_down(const struct cli_options *options);
int cli_server(const struct cli_options *options);
int cli_engine(const struct cli_options *options);
int cli_ps(const struct cli_options *options);
int cli_logs(const struct cli_options *options);
int cli_restart(const struct cli_options *options);
int cli_scale(const struct cli_options *options);
int cli_start(const struct cli_options *options);
int cli_result(const struct cli_options *options);
int cli_list(const struct cli_options *options);
int cli_describe(const struct cli_options *options);
int cli_history(const struct cli_options *options);
int cli_signal(const struct cli_options *options);
int cli_query(const struct cli_options *options);
int cli_stack(const struct cli_options *options);
int cli_update(const struct cli_options *options);
int cli_cancel(const struct cli_options *options);
int cli_terminate(const struct cli_options *options);
int cli_activity(const struct cli_options *options);
int cli_load(const struct cli_options *options);
int cli_drain(const struct cli_options *options);
int cli_resume(const struct cli_options *options);
int cli_quarantine(const struct cli_options *options);
int cli_documents(const struct cli_options *options);
int cli_fleet(const struct cli_options *options);
/* What its --help says beside the options. Static. */
const char *cli_fleet_help(void);
/* The actions of `flotilla keys`, for its --help. */
const char *cli_keys_help(void);
int cli_explain(const struct cli_options *options);
int cli_keys(const struct cli_options *options);
int cli_replay(const struct cli_options *options);
/* What FILE may be and the exit codes, for its --help. Static. */
const char *cli_replay_help(void);
int cli_top(const struct cli_options *options);
int cli_recommend(const struct cli_options *options);

#endif
