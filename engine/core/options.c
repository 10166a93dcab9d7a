/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - options of an open run that callers may change; UpdateWorkflowExecutionOptions.
 *
 * The only option is the versioning override. It may come in older forms; events and the run keep
 * the newest one, and the answer to a change says what was asked for.
 */
#include "engine/core/options.h"

#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"

#define BEHAVIOR(name) FLO_API__VERSIONING_BEHAVIOR__VERSIONING_BEHAVIOR_##name
#define OVERRIDE "versioning_override"

typedef FloApi__VersioningOverride override_t;

/* ---- checks ---- */

/* Is path that of a field of the message, or of a message in it? */
static bool is_path(const ProtobufCMessageDescriptor *message, const char *path)
{
    while (message) {
        const size_t len = strcspn(path, ".");
        const ProtobufCFieldDescriptor *field = NULL;
        for (unsigned i = 0; i < message->n_fields && !field; i++)
            if (strlen(message->fields[i].name) == len &&
                memcmp(message->fields[i].name, path, len) == 0)
                field = &message->fields[i];
        if (!field)
            return false;
        if (!path[len])
            return true;
        path += len + 1;
        message = field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
    }
    return false;
}

/* The other options of the schema are newer than the server that this one stands in for. */
static bool is_option(const char *path)
{
    const size_t len = strlen(OVERRIDE);
    return strncmp(path, OVERRIDE, len) == 0 && (path[len] == '\0' || path[len] == '.') &&
           is_path(&flo_api__workflow_execution_options__descriptor, path);
}

static int check_mask(struct flo_core *core, const Google__Protobuf__FieldMask *mask,
                      const char *doing, struct flo_status *status)
{
    for (size_t i = 0; mask && i < mask->n_paths; i++)
        if (!is_option(mask->paths[i]))
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "error %s: proto: invalid path \"%s\" for message "
                                  "\"temporal.api.workflow.v1.WorkflowExecutionOptions\"",
                                  doing, mask->paths[i]);
    return 0;
}

static int refuse(struct flo_core *core, struct flo_status *status, const char *message)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", message);
}

/* The older forms of a pinned override. */
static int check_pinned(struct flo_core *core, const override_t *override,
                        struct flo_status *status)
{
    const char *version = override->pinned_version;
    if (override->deployment) {
        if (!*override->deployment->series_name)
            return refuse(core, status, "deployment series name cannot be empty");
        if (!*override->deployment->build_id)
            return refuse(core, status, "deployment build ID cannot be empty");
        return 0;
    }
    if (!*version)
        return refuse(core, status,
                      "must provide deployment (deprecated) or pinned version if behavior is "
                      "'PINNED'");
    if (!strchr(version, '.'))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "invalid version string \"%s\", expected format is "
                              "\"<deployment_name>.<build_id>\"",
                              version);
    return 0;
}

int flo_options_check_override(struct flo_core *core, const override_t *override,
                               struct flo_status *status)
{
    if (!override)
        return 0;
    if (override->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_AUTO_UPGRADE &&
        override->auto_upgrade)
        return 0;
    if (override->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_PINNED) {
        if (!override->pinned->version)
            return refuse(core, status, "must provide version if override is pinned.");
        if (!override->pinned->behavior)
            return refuse(core, status,
                          "must specify pinned override behavior if override is pinned.");
        return 0;
    }
    switch (override->behavior) {
    case BEHAVIOR(PINNED):
        return check_pinned(core, override, status);
    case BEHAVIOR(AUTO_UPGRADE):
        if (override->deployment)
            return refuse(core, status, "only provide deployment if behavior is 'PINNED'");
        if (*override->pinned_version)
            return refuse(core, status, "only provide pinned version if behavior is 'PINNED'");
        return 0;
    case BEHAVIOR(UNSPECIFIED):
        return refuse(core, status, "override behavior is required");
    default:
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "override behavior %d not recognized", (int) override->behavior);
    }
}

/* Does the mask name the option? The two old parts of it only go together. */
static int named(struct flo_core *core, const Google__Protobuf__FieldMask *mask, bool *out,
                 struct flo_status *status)
{
    bool behavior = false, deployment = false;
    *out = false;
    for (size_t i = 0; mask && i < mask->n_paths; i++) {
        *out = *out || strcmp(mask->paths[i], OVERRIDE) == 0;
        behavior = behavior || strcmp(mask->paths[i], OVERRIDE ".behavior") == 0;
        deployment = deployment || strcmp(mask->paths[i], OVERRIDE ".deployment") == 0;
    }
    if (behavior != deployment)
        return refuse(core, status,
                      "error applying update_options: versioning_override fields must be updated "
                      "together");
    *out = *out || behavior;
    return 0;
}

int flo_options_check(struct flo_core *core, const FloApi__WorkflowExecutionOptions *options,
                      const Google__Protobuf__FieldMask *mask, struct flo_status *status)
{
    bool meant;
    int rc =
        flo_options_check_override(core, options ? options->versioning_override : NULL, status);
    if (!rc)
        rc = check_mask(core, mask, "applying update_options", status);
    return rc ? rc : named(core, mask, &meant, status);
}

/* ---- the newest form ---- */

/* A pinned override in out, of scratch. false: fatal. */
static bool pin(struct flo_core *core, override_t *out, const char *deployment, size_t name_len,
                const char *build_id)
{
    FloApi__VersioningOverride__PinnedOverride *pinned =
        flo_arena_alloc(&core->scratch, sizeof *pinned);
    FloApi__WorkerDeploymentVersion *version = flo_arena_alloc(&core->scratch, sizeof *version);
    char *name = flo_arena_printf(&core->scratch, "%.*s", (int)name_len, deployment);
    if (!pinned || !version || !name) {
        flo_core_set_fatal(core);
        return false;
    }
    flo_api__versioning_override__pinned_override__init(pinned);
    flo_api__worker_deployment_version__init(version);
    version->deployment_name = name;
    version->build_id = flo_text(build_id);
    pinned->behavior =
        FLO_API__VERSIONING_OVERRIDE__PINNED_OVERRIDE_BEHAVIOR__PINNED_OVERRIDE_BEHAVIOR_PINNED;
    pinned->version = version;
    out->override_case = FLO_API__VERSIONING_OVERRIDE__OVERRIDE_PINNED;
    out->pinned = pinned;
    return true;
}

/* NULL: fatal. */
static override_t *newest_form(struct flo_core *core, const override_t *from)
{
    override_t *out = flo_arena_alloc(&core->scratch, sizeof *out);
    if (!out) {
        flo_core_set_fatal(core);
        return NULL;
    }
    flo_api__versioning_override__init(out);
    out->override_case = from->override_case;
    if (from->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_PINNED) {
        out->pinned = from->pinned;
    } else if (from->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_AUTO_UPGRADE ||
               from->behavior == BEHAVIOR(AUTO_UPGRADE)) {
        out->override_case = FLO_API__VERSIONING_OVERRIDE__OVERRIDE_AUTO_UPGRADE;
        out->auto_upgrade = true;
    } else if (from->deployment) {
        const FloApi__Deployment *deployment = from->deployment;
        pin(core, out, deployment->series_name, strlen(deployment->series_name),
            deployment->build_id);
    } else if (*from->pinned_version) {
        const char *dot = strchr(from->pinned_version, '.');
        pin(core, out, from->pinned_version, (size_t)(dot - from->pinned_version), dot + 1);
    }
    return out;
}

override_t *flo_options_shown(struct flo_core *core, override_t *override)
{
    if (override->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_AUTO_UPGRADE) {
        override->behavior = BEHAVIOR(AUTO_UPGRADE);
        return override;
    }
    if (override->override_case != FLO_API__VERSIONING_OVERRIDE__OVERRIDE_PINNED)
        return override;
    const FloApi__WorkerDeploymentVersion *version = override->pinned->version;
    override->behavior = BEHAVIOR(PINNED);
    override->pinned_version =
        version
            ? flo_arena_printf(&core->scratch, "%s.%s", version->deployment_name, version->build_id)
            : flo_text("");
    return override->pinned_version ? override : NULL;
}

/* ---- changes ---- */

/* What lists find runs by. */
static void note_attributes(struct flo_core *core, struct flo_execution *execution,
                            const override_t *override)
{
    const FloApi__WorkerDeploymentVersion *version = NULL;
    const char *behavior = "", *name = "", *text = "";
    if (override && override->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_AUTO_UPGRADE)
        behavior = "AutoUpgrade";
    if (override && override->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_PINNED) {
        behavior = "Pinned";
        version = override->pinned->version;
    }
    if (version) {
        name = version->deployment_name;
        text = flo_arena_printf(&core->scratch, "%s:%s", name, version->build_id);
    }
    if (!text) {
        flo_core_set_fatal(core);
        return;
    }
    flo_set_keyword(core, execution, "TemporalWorkerDeployment", name);
    flo_set_keyword(core, execution, "TemporalWorkerDeploymentVersion", text);
    flo_set_keyword(core, execution, "TemporalWorkflowVersioningBehavior", behavior);
}

void flo_options_apply(struct flo_core *core, struct flo_execution *execution,
                       const FloApi__WorkflowExecutionOptionsUpdatedEventAttributes *attributes,
                       int64_t event_id)
{
    if (*attributes->attached_request_id)
        flo_run_request_add(core, execution, attributes->attached_request_id, event_id);
    if (!attributes->unset_versioning_override && !attributes->versioning_override)
        return;
    struct flo_run_more *more = flo_run_more_of(core, execution);
    if (!more)
        return;
    more->versioned = true;
    if (attributes->versioning_override)
        flo_blob_set(core, &more->versioning_override, &attributes->versioning_override->base);
    else
        flo_blob_clear(&more->versioning_override);
    note_attributes(core, execution, attributes->versioning_override);
}

void flo_options_record(struct flo_core *core, struct flo_execution *execution,
                        FloApi__WorkflowExecutionOptionsUpdatedEventAttributes *attributes,
                        FloApi__Link **links, size_t n_links)
{
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        .attributes = attributes,
        .links = links,
        .n_links = n_links,
    };
    const int64_t id = flo_history_record(core, execution, &event,
                                          *attributes->attached_request_id ? FLO_REF_REQUEST : 0);
    flo_options_apply(core, execution, attributes, id);
}

/* Is the override of the run this one already? */
static bool is_same(struct flo_core *core, const struct flo_execution *execution,
                    const override_t *override)
{
    static const struct flo_blob none;
    const struct flo_blob *now = execution->more ? &execution->more->versioning_override : &none;
    uint8_t *bytes;
    size_t len;
    if (!override || !now->data)
        return !override && !now->data;
    if (flo_wire_encode_arena(&override->base, &core->scratch, &bytes, &len)) {
        flo_core_set_fatal(core);
        return true;
    }
    return now->len == len && memcmp(now->data, bytes, len) == 0;
}

int flo_options_update(struct flo_core *core, struct flo_execution *execution,
                       const FloApi__WorkflowExecutionOptions *options,
                       const Google__Protobuf__FieldMask *mask,
                       FloApi__WorkflowExecutionOptions **out, bool *out_changed,
                       struct flo_status *status)
{
    bool meant;
    int rc = flo_options_check(core, options, mask, status);
    if (!rc)
        rc = named(core, mask, &meant, status);
    if (rc)
        return rc;
    override_t *now = NULL, *asked = options ? options->versioning_override : NULL;
    if (execution->more)
        now = flo_blob_decode(core, &execution->more->versioning_override,
                              &flo_api__versioning_override__descriptor);
    FloApi__WorkflowExecutionOptions *all = flo_arena_alloc(&core->scratch, sizeof *all);
    if (!all)
        return flo_status_no_memory(status);
    flo_api__workflow_execution_options__init(all);
    all->versioning_override = meant ? asked : now;
    *out = all;
    if (out_changed)
        *out_changed = false;
    /* Compared as it was asked for: an older form is a change even if it means the same. */
    if (!meant || is_same(core, execution, asked))
        return 0;
    FloApi__WorkflowExecutionOptionsUpdatedEventAttributes updated =
        FLO_API__WORKFLOW_EXECUTION_OPTIONS_UPDATED_EVENT_ATTRIBUTES__INIT;
    updated.versioning_override = asked ? newest_form(core, asked) : NULL;
    updated.unset_versioning_override = !asked;
    flo_options_record(core, execution, &updated, NULL, 0);
    if (out_changed)
        *out_changed = true;
    return 0;
}

/* ---- the call ---- */

static int check_request(struct flo_core *core,
                         const FloApi__UpdateWorkflowExecutionOptionsRequest *request,
                         struct flo_status *status)
{
    if (!request->workflow_execution || !*request->workflow_execution->workflow_id)
        return refuse(core, status, "WorkflowId is not set on request.");
    if (!request->update_mask)
        return refuse(core, status, "UpdateMask is required");
    if (!request->workflow_execution_options)
        return refuse(core, status, "WorkflowExecutionOptions is required");
    int rc = check_mask(core, request->update_mask, "parsing UpdateMask", status);
    return rc ? rc
              : flo_options_check_override(
                    core, request->workflow_execution_options->versioning_override, status);
}

void flo_rpc_update_workflow_execution_options(struct flo_core *core,
                                               const struct flo_core_call_info *info,
                                               const void *message)
{
    const FloApi__UpdateWorkflowExecutionOptionsRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    bool changed = false;
    FloApi__UpdateWorkflowExecutionOptionsResponse response =
        FLO_API__UPDATE_WORKFLOW_EXECUTION_OPTIONS_RESPONSE__INIT;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = check_request(core, request, &status);
    if (!rc && flo_check_execution(core, request->workflow_execution, &status))
        rc = refuse(core, &status, "RunId is not valid UUID.");
    if (!rc)
        rc = flo_core_find_run(core, ns, request->workflow_execution->workflow_id,
                               request->workflow_execution->run_id, &run, &status);
    if (!rc && (!run.execution || !flo_execution_is_open(run.execution)))
        rc = flo_status_not_found(core, &status, "workflow execution already completed");
    if (!rc)
        rc = flo_options_update(core, run.execution, request->workflow_execution_options,
                                request->update_mask, &response.workflow_execution_options,
                                &changed, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (changed)
        flo_execution_end(core, run.execution, true);
    flo_reply_ok(core, info->id, flo_core_after(core, run.execution), &response.base);
}
