/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - the fleet on this machine: its state folder, and the supervisor that runs in it.
 *
 * Whether one runs is told by the lock on the folder, which the kernel gives up with the process
 * that holds it; files alone may be old, and process ids in use again.
 */
#ifndef FLO_CLI_PLACE_H
#define FLO_CLI_PLACE_H

#include <jansson.h>
#include <sys/types.h>

#include "cli/supervisor.h"

struct cli_place {
    char dir[4096];   /* the state folder */
    char fleet[4112]; /* fleet.json in it */
    pid_t supervisor; /* that runs; 0: none does */
    int pidfd;        /* of it, -1 */
};

/*
 * The folder: --state-dir, else FLOTILLA_STATE_DIR, else state_dir of config/fleet.yaml in the
 * current folder, else .flotilla; and who runs in it. Free with cli_place_fini.
 */
void cli_place_find(const struct cli_options *options, struct cli_place *out);
/* The same for a folder that is known. */
void cli_place_look(const char *dir, struct cli_place *out);
void cli_place_fini(struct cli_place *place);

/* Say that no fleet runs there: on stderr. FLO_EXIT_UNAVAILABLE. */
int cli_place_nobody(const char *command, const struct cli_place *place);
/* The supervisor that runs there, for its pages. 0, or it has said what is wrong; the exit code. */
int cli_place_supervisor(const char *command, const struct cli_options *options,
                         struct cli_supervisor *out);

/* Milliseconds of a clock that only goes on; and a pause. */
int64_t cli_now_ms(void);
void cli_pause_ms(int64_t ms);

#endif
