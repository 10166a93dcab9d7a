/* SPDX-License-Identifier: Apache-2.0 */
/* control_processes.c - POST /v1/processes: to the process manager, which answers at once. */
#include <stdio.h>
#include <string.h>

#include "supervisor/pages/control_internal.h"
#include "supervisor/pages/control_request.h"

static int act(struct flo_manager *manager, const struct flo_control_process *process,
               struct flo_err *err)
{
    const bool all = process->name && strcmp(process->name, "all") == 0;
    switch (process->action) {
    case FLO_CONTROL_RESTART:
        return flo_manager_restart(manager, all ? NULL : process->name, err);
    case FLO_CONTROL_SCALE:
        return flo_manager_scale(manager, process->name, process->replicas, NULL, NULL, err);
    case FLO_CONTROL_START:
        return flo_manager_start_one(manager, process->name, err);
    case FLO_CONTROL_STOP:
        return flo_manager_stop_one(manager, process->name, err);
    case FLO_CONTROL_RELOAD:
        return flo_manager_reload(manager, err);
    }
    return flo_fail(err, FLO_EINVAL, "unknown action");
}

static void run_process(struct flo_control *control, const struct flo_http_request *request,
                        const struct flo_control_process *process, struct flo_http_reply *reply)
{
    struct flo_manager *manager = *control->options.manager;
    struct flo_err err = {0};
    char message[600];
    if (!manager) {
        flo_http_error(reply, 409,
                       "this supervisor starts no processes: whoever started the workers scales "
                       "and restarts them");
        return;
    }
    int rc = act(manager, process, &err);
    if (rc) {
        flo_http_error(reply,
                       rc == FLO_ENOENT    ? 404
                       : rc == FLO_ECLOSED ? 409
                                           : 400,
                       "%s", err.message);
        return;
    }
    snprintf(message, sizeof message, "%s %s", process->action_name,
             process->name ? process->name : "of fleet.yaml");
    json_t *fields =
        json_pack("{s:s, s:s?}", "action", process->action_name, "name", process->name);
    if (process->action == FLO_CONTROL_SCALE)
        (void)json_object_set_new(fields, "replicas", json_integer(process->replicas));
    flo_control_tell(control, request, message, process->name, fields);
    flo_control_put_json(reply, json_pack("{s:b, s:s, s:s?}", "ok", 1, "action",
                                          process->action_name, "name", process->name));
}

void flo_control_serve_processes(void *ctx, const struct flo_http_request *request,
                                 struct flo_http_reply *reply)
{
    struct flo_control *control = ctx;
    struct flo_control_process process;
    struct flo_err err = {0};
    if (!flo_control_allowed(control, request, reply))
        return;
    if (flo_control_read_process(request->body, request->body_len, &process, &err)) {
        flo_http_error(reply, 400, "%s", err.message);
        return;
    }
    run_process(control, request, &process, reply);
    flo_control_process_fini(&process);
}
