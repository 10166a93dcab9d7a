/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.h - what the files of `flotilla fleet` share. */
#ifndef FLO_CLI_FLEET_H
#define FLO_CLI_FLEET_H

#include <stdbool.h>

#include "cli/supervisor.h"

/* One call of `flotilla fleet`. */
struct cli_fleet {
    struct cli_supervisor supervisor;
    const struct cli_options *options;
    const char *verb; /* "drain" */
    char **targets;   /* what follows it */
    int target_count;
    char command[64]; /* "fleet drain" */
};

/* err on stderr; the exit code: 69 no supervisor, 77 no token or a wrong one, else 1. */
int cli_fleet_fail(const struct cli_fleet *fleet, const struct flo_err *err);
/* value (consumed) as --output says: of json all of it; of jsonl each member of the list `name`. */
void cli_fleet_put_json(const struct cli_fleet *fleet, json_t *value, const char *name);

/* fleet_views.c */
int cli_fleet_ls(struct cli_fleet *fleet);
int cli_fleet_inspect(struct cli_fleet *fleet);
int cli_fleet_events(struct cli_fleet *fleet);
/* fleet_commands.c: send a command that has these arguments (consumed; NULL: none). */
int cli_fleet_send(struct cli_fleet *fleet, json_t *args);
int cli_fleet_resize(struct cli_fleet *fleet);
int cli_fleet_pollers(struct cli_fleet *fleet);
int cli_fleet_loglevel(struct cli_fleet *fleet);
/* fleet_profile.c */
int cli_fleet_profile(struct cli_fleet *fleet);
/* Send a command to each target: {"results": [...]}, a new reference, or NULL after a message, with
 * the exit code in *out_exit. work_ms: what it takes there. */
json_t *cli_fleet_ask(struct cli_fleet *fleet, json_t *args, int64_t work_ms, int *out_exit);
/* 1 when some result is not ok, else 0. */
int cli_fleet_verdict(const json_t *answer);

#endif
