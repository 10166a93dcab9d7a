/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_request.h - what a request to the control API asks for, and whether its sender may. Pure:
 * texts come in, verdicts go out.
 */
#ifndef FLO_SUPERVISOR_CONTROL_REQUEST_H
#define FLO_SUPERVISOR_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

#define FLO_CONTROL_PROFILE_MAX_S 60 /* longest profile */
#define FLO_CONTROL_REPLICAS_MAX 256 /* of one worker */

/* ---- who ---- */

/* Does header ("Bearer TOKEN"; NULL: absent) carry the token? Takes as long for a wrong token of
 * the same length as for the right one. */
enum flo_control_verdict { FLO_CONTROL_ALLOWED, FLO_CONTROL_NO_TOKEN, FLO_CONTROL_WRONG_TOKEN };
enum flo_control_verdict flo_control_check_token(const char *header, const char *token);

/* Is a Content-Type header ("application/json; charset=utf-8"; NULL: absent) JSON's? */
bool flo_control_is_json(const char *content_type);

/* ---- what ---- */

/* All members point into body, which the struct holds. */
struct flo_control_command {
    json_t *body;
    const char *target;  /* a name, identity, boot, role, worker or "all" */
    const char *command; /* static */
    json_t *args;        /* an object, checked; borrowed from body; NULL: none were given */
    int64_t work_ms;     /* the command itself takes so long, beside the way there and back */
};
/* Read {"target", "command", "args"}; unknown members, commands and arguments are refused.
 * FLO_EINVAL with the sentence for the answer; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_control_read_command(const void *body, size_t len,
                                            struct flo_control_command *out, struct flo_err *err);
void flo_control_command_fini(struct flo_control_command *command);

enum flo_control_action {
    FLO_CONTROL_RESTART,
    FLO_CONTROL_SCALE,
    FLO_CONTROL_START,
    FLO_CONTROL_STOP,
    FLO_CONTROL_RELOAD, /* fleet.yaml; has no name */
};
struct flo_control_process {
    json_t *body;
    enum flo_control_action action;
    const char *action_name; /* static */
    const char *name;        /* a process ("io-1"), a worker of fleet.yaml ("io") or "all" */
    int64_t replicas;        /* scale */
};
/* Read {"action", "name", "replicas"}. As above. */
FLO_MUST_CHECK int flo_control_read_process(const void *body, size_t len,
                                            struct flo_control_process *out, struct flo_err *err);
void flo_control_process_fini(struct flo_control_process *process);

/*
 * How well word names a process, 0: not at all. Only the best matches are meant, so that a process
 * called like a role is not taken for all of that role. In this order: its boot id, its identity,
 * its name, its role, the worker of fleet.yaml that it is one of ("io" of "io-2"). "all" names
 * every worker.
 */
int flo_control_names(const char *word, const char *boot, const char *identity, const char *name,
                      const char *role);

#endif
