/* SPDX-License-Identifier: Apache-2.0 */
/* control_internal.h - what the files of the control API share. */
#ifndef FLO_SUPERVISOR_CONTROL_INTERNAL_H
#define FLO_SUPERVISOR_CONTROL_INTERNAL_H

#include <jansson.h>

#include "base/list.h"
#include "supervisor/pages/control.h"

#define FLO_CONTROL_TOKEN_MAX 512

struct flo_control {
    struct flo_control_options options;
    char token[FLO_CONTROL_TOKEN_MAX + 2]; /* "" = there is none */
    struct flo_list batches;               /* commands that are being carried out */
    unsigned wrong;                        /* tokens within the window */
    int64_t wrong_since_ms;
};

/* May request's sender steer the fleet? True: go on. False: reply says why not. */
bool flo_control_allowed(struct flo_control *control, const struct flo_http_request *request,
                         struct flo_http_reply *reply);
/* Something was accepted: into the log and the fleet's events, with who sent it. fields is
 * consumed. */
void flo_control_tell(struct flo_control *control, const struct flo_http_request *request,
                      const char *message, const char *target, json_t *fields);
/* json, consumed, as the reply's body. */
void flo_control_put_json(struct flo_http_reply *reply, json_t *json);

/* POST /v1/commands: control_commands.c; ctx is the control. */
void flo_control_serve_commands(void *ctx, const struct flo_http_request *request,
                                struct flo_http_reply *reply);
void flo_control_drop_batches(struct flo_control *control);
/* POST /v1/processes: control_processes.c. */
void flo_control_serve_processes(void *ctx, const struct flo_http_request *request,
                                 struct flo_http_reply *reply);

#endif
