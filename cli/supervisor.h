/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - a command's way to the fleet's supervisor: where its pages are, which token it
 * takes, and JSON to it and back. Blocks.
 */
#ifndef FLO_CLI_SUPERVISOR_H
#define FLO_CLI_SUPERVISOR_H

#include <jansson.h>

#include "cli/command.h"
#include "flotilla/error.h"

struct cli_supervisor {
    const char *command;   /* "fleet drain": for messages */
    int64_t timeout_ms;    /* of a GET; 0: 10 s */
    char address[300];     /* host:port of its pages; "" = not found */
    char metrics[300];     /* of /metrics; "" = not known: ask address */
    char token_file[4200]; /* "" = none is known */
};

/*
 * Where it is: --supervisor or --url, else FLOTILLA_SUPERVISOR_URL, else the fleet.json of --fleet,
 * else that of FLOTILLA_STATE_DIR or .flotilla. Its token: --token-file, else FLOTILLA_TOKEN_FILE,
 * else control.token beside that fleet.json. 0, or FLO_ENOENT with a sentence.
 */
FLO_MUST_CHECK int cli_supervisor_find(const char *command, const struct cli_options *options,
                                       struct cli_supervisor *out, struct flo_err *err);
/* GET a page: *out is its JSON, a new reference. FLO_ECONN, FLO_EPROTO, FLO_ELIMIT. */
FLO_MUST_CHECK int cli_supervisor_get(const struct cli_supervisor *supervisor, const char *path,
                                      json_t **out, struct flo_err *err);
/*
 * POST body (consumed) with the token: *out is the JSON of the answer. FLO_EPERM: no token, or it
 * is not the supervisor's; FLO_ENOENT: it knows no such target; FLO_EINVAL: it refuses; FLO_ECONN:
 * it is not there; each with its own sentence, where it gave one. timeout_ms bounds the wait.
 */
FLO_MUST_CHECK int cli_supervisor_post(const struct cli_supervisor *supervisor, const char *path,
                                       json_t *body, int64_t timeout_ms, json_t **out,
                                       struct flo_err *err);
/* The exit code for an error of these: 69 nobody there, 77 no permission, 66 nothing found, 1 else.
 * Says err on stderr first. */
int cli_supervisor_fail(const struct cli_supervisor *supervisor, const struct flo_err *err);

#endif
