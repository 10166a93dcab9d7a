/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update_message.c - what workers say about updates when they complete a workflow task.
 *
 * A PROTOCOL_MESSAGE command names a message and stands where its event is to stand; messages that
 * no command names come behind all commands. As with commands, all of them are checked before
 * any is applied: each update remembers what the messages so far would make of it.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/update.h"
#include "wire/decode.h"

#define UPDATE_PACKAGE "temporal.api.update.v1"
/* Each update is answered with two at most. */
#define MAX_MESSAGES ((size_t)2 * FLO_CORE_RUN_MAX_UPDATES)

enum said_kind { SAID_ACCEPTANCE, SAID_REJECTION, SAID_RESPONSE, SAID_OTHER };

/* One message. */
struct said_message {
    const FloApi__Message *message;
    const char *type; /* "Acceptance": the last part of the type's name */
    enum said_kind kind;
    bool foreign; /* of no type of the update protocol */
    bool damaged;
    bool checked, applied;
    bool resurrected;          /* it brought its update back */
    struct flo_update *update; /* once it is checked */
    union {
        const FloApi__Acceptance *acceptance;
        const FloApi__Rejection *rejection;
        const FloApi__Response *response;
    };
};

struct flo_update_said {
    size_t count;
    struct said_message messages[];
};

/* ---- reading ---- */

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
} kinds[] = {
    [SAID_ACCEPTANCE] = {"Acceptance", &flo_api__acceptance__descriptor},
    [SAID_REJECTION] = {"Rejection", &flo_api__rejection__descriptor},
    [SAID_RESPONSE] = {"Response", &flo_api__response__descriptor},
};

/* 0, FLO_ENOMEM. */
static int read_message(struct flo_core *core, const FloApi__Message *message,
                        struct said_message *out)
{
    const Google__Protobuf__Any *body = message->body;
    const char *slash = strrchr(body->type_url, '/');
    const char *name = slash ? slash + 1 : body->type_url;
    const size_t package = sizeof UPDATE_PACKAGE - 1;
    *out = (struct said_message){.message = message, .kind = SAID_OTHER, .type = name};
    out->foreign = strncmp(name, UPDATE_PACKAGE ".", package + 1) != 0;
    if (out->foreign)
        return 0;
    out->type = name + package + 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        ProtobufCMessage *decoded;
        if (strcmp(out->type, kinds[i].name) != 0)
            continue;
        out->kind = (enum said_kind)i;
        int rc = flo_wire_decode(kinds[i].descriptor, body->value.data, body->value.len,
                                 &core->scratch, &decoded, NULL);
        if (rc == FLO_ENOMEM || rc == FLO_ELIMIT)
            return FLO_ENOMEM;
        out->damaged = rc != 0;
        out->acceptance = rc ? NULL : (const FloApi__Acceptance *)decoded;
        return 0;
    }
    return 0;
}

static int check_bounds(struct flo_core *core,
                        const FloApi__RespondWorkflowTaskCompletedRequest *request,
                        struct flo_status *status)
{
    if (request->n_messages > MAX_MESSAGES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "%zu messages are more than %zu", request->n_messages, MAX_MESSAGES);
    for (size_t i = 0; i < request->n_messages; i++) {
        const FloApi__Message *message = request->messages[i];
        if (strnlen(message->protocol_instance_id, FLO_CORE_ID_BYTES + 1) > FLO_CORE_ID_BYTES)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "ProtocolInstanceId length exceeds limit.");
        if (!message->body)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "nil message body");
    }
    return 0;
}

int flo_update_read(struct flo_core *core, struct flo_execution *execution,
                    const FloApi__RespondWorkflowTaskCompletedRequest *request,
                    struct flo_status *status)
{
    if (!request->n_messages)
        return 0;
    int rc = check_bounds(core, request, status);
    if (rc)
        return rc;
    struct flo_updates *updates = flo_updates_of(core, execution);
    struct flo_update_said *said = flo_arena_calloc(
        &core->scratch, 1, sizeof *said + request->n_messages * sizeof *said->messages);
    if (!updates || !said)
        return flo_status_no_memory(status);
    for (size_t i = 0; i < request->n_messages; i++) {
        if (read_message(core, request->messages[i], &said->messages[said->count++]))
            return flo_status_no_memory(status);
    }
    updates->said = said;
    return 0;
}

void flo_update_forget_messages(struct flo_execution *execution)
{
    struct flo_update_said *said = execution->updates ? execution->updates->said : NULL;
    if (!said)
        return;
    for (size_t i = 0; i < said->count; i++)
        if (said->messages[i].update)
            said->messages[i].update->checked_now = false;
    execution->updates->said = NULL;
}

static struct said_message *find_message(const struct flo_execution *execution, const char *id)
{
    struct flo_update_said *said = execution->updates ? execution->updates->said : NULL;
    for (size_t i = 0; said && i < said->count; i++)
        if (strcmp(said->messages[i].message->id, id) == 0)
            return &said->messages[i];
    return NULL;
}

/* ---- checking ---- */

#define FAULT(core, ...)                                                                           \
    ((struct flo_update_fault){.message =                                                          \
                                   fault_text(flo_arena_printf(&(core)->scratch, __VA_ARGS__))})

static const char *fault_text(const char *text)
{
    return text ? text : "the message is not valid";
}

/* The stage that the messages so far leave it in. */
static enum flo_update_stage stage_of(const struct flo_update *update)
{
    return update->checked_now ? update->checked : update->stage;
}

/* The stages as the real server calls them in its sentences. */
static const char *stage_name(const struct flo_update *update)
{
    switch (stage_of(update)) {
    case FLO_UPDATE_ADMITTED:
        return "Admitted";
    case FLO_UPDATE_SENT:
        return "Sent";
    case FLO_UPDATE_ACCEPTED:
        return update->checked_now ? "ProvisionallyAccepted" : "Accepted";
    case FLO_UPDATE_ABORTED:
        return "Aborted";
    default:
        return update->checked_now ? "ProvisionallyCompleted" : "Completed";
    }
}

static const char *update_id_of(const FloApi__Response *response)
{
    return response->meta ? response->meta->update_id : "";
}

static struct flo_update_fault check_response(struct flo_core *core,
                                              const struct said_message *said)
{
    const FloApi__Response *response = said->response;
    const char *id = said->update->id;
    if (!response->meta)
        return FAULT(core, "invalid *update.Response: meta is not set");
    if (!*update_id_of(response))
        return FAULT(core, "invalid *update.Response: meta.update_id is not set");
    if (strcmp(update_id_of(response), id) != 0)
        return FAULT(core, "invalid *update.Response: meta.update_id != %s", id);
    if (!response->outcome)
        return FAULT(core, "invalid *update.Response: outcome is not set");
    return (struct flo_update_fault){0};
}

/*
 * The worker answers for an update that nobody here remembers: the process that had sent it to the
 * worker was ended. The request comes back with the answer.
 */
static struct flo_update_fault resurrect(struct flo_core *core, struct flo_execution *execution,
                                         struct said_message *said)
{
    const char *id = said->message->protocol_instance_id;
    const FloApi__Request *request = NULL;
    struct flo_status status = {0};
    if (said->kind == SAID_ACCEPTANCE)
        request = said->acceptance->accepted_request;
    else if (said->kind == SAID_REJECTION)
        request = said->rejection->rejected_request;
    if (!request || !*id)
        return FAULT(core,
                     "update %s wasn't found on the server. This is most likely a transient error "
                     "which will be resolved automatically by retries",
                     id);
    if (flo_update_admit(core, execution, id, request, true, &said->update, &status))
        return FAULT(core, "%s", status.message);
    said->resurrected = true;
    return (struct flo_update_fault){0};
}

void flo_update_take_back(struct flo_core *core, struct flo_execution *execution)
{
    const struct flo_update_said *said = execution->updates ? execution->updates->said : NULL;
    for (size_t i = 0; said && i < said->count; i++) {
        if (!said->messages[i].resurrected)
            continue;
        flo_update_abort(execution, said->messages[i].update, FLO_UPDATE_TASK_REFUSED);
        flo_core_touch(core, execution, false); /* flo_update_settle frees it */
    }
}

static bool awaits_answer(const struct flo_update *update)
{
    return stage_of(update) == FLO_UPDATE_ADMITTED || stage_of(update) == FLO_UPDATE_SENT;
}

static struct flo_update_fault check_stage(struct flo_core *core, const struct said_message *said)
{
    struct flo_update *update = said->update;
    const bool fits = said->kind == SAID_RESPONSE ? stage_of(update) == FLO_UPDATE_ACCEPTED
                                                  : awaits_answer(update);
    if (!fits)
        return FAULT(core,
                     "invalid state transition attempted for Update %s: received *update.%s "
                     "message while in state %s",
                     update->id, said->type, stage_name(update));
    if (said->kind == SAID_RESPONSE) {
        struct flo_update_fault fault = check_response(core, said);
        if (fault.message)
            return fault;
    }
    update->checked = said->kind == SAID_ACCEPTANCE ? FLO_UPDATE_ACCEPTED : FLO_UPDATE_COMPLETED;
    update->checked_now = true;
    return (struct flo_update_fault){0};
}

static struct flo_update_fault check_message(struct flo_core *core, struct flo_execution *execution,
                                             struct said_message *said)
{
    const FloApi__Message *message = said->message;
    said->checked = true;
    if ((int64_t)message->body->value.len > core->options.blob_size_limit) {
        struct flo_update_fault fault =
            FAULT(core, "Message type " UPDATE_PACKAGE ".%.*s exceeds size limit.",
                  FLO_CORE_ID_BYTES, said->type);
        fault.terminate = true;
        return fault;
    }
    if (said->foreign) {
        const char *dot = strrchr(said->type, '.');
        const size_t len = dot ? (size_t)(dot - said->type) : strlen(said->type);
        return FAULT(core, "unsupported protocol type %.*s",
                     len < FLO_CORE_ID_BYTES ? (int)len : FLO_CORE_ID_BYTES, said->type);
    }
    said->update = flo_update_find(execution, message->protocol_instance_id);
    if (!said->update && !said->damaged) {
        struct flo_update_fault fault = resurrect(core, execution, said);
        if (fault.message)
            return fault;
    }
    if (said->damaged)
        return FAULT(core,
                     "unable to unmarshal request: proto: cannot parse invalid wire-format data");
    if (said->kind == SAID_OTHER)
        return FAULT(core, "Message type *update.%.*s not supported", FLO_CORE_ID_BYTES,
                     said->type);
    return check_stage(core, said);
}

struct flo_update_fault flo_update_check_command(struct flo_core *core,
                                                 struct flo_execution *execution,
                                                 const FloApi__Command *command)
{
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_PROTOCOL_MESSAGE_COMMAND_ATTRIBUTES)
        return FAULT(core,
                     "ProtocolMessageCommandAttributes is not set on ProtocolMessageCommand.");
    const char *id = command->protocol_message_command_attributes->message_id;
    if (!*id)
        return FAULT(core, "MessageID is not set on ProtocolMessageCommand.");
    struct said_message *said = find_message(execution, id);
    if (!said || said->checked)
        return FAULT(core, "ProtocolMessageCommand referenced absent message ID %.*s",
                     FLO_CORE_ID_BYTES, id);
    return check_message(core, execution, said);
}

struct flo_update_fault flo_update_check_rest(struct flo_core *core,
                                              struct flo_execution *execution)
{
    struct flo_update_fault fault = {0};
    struct flo_update_said *said = execution->updates ? execution->updates->said : NULL;
    for (size_t i = 0; said && i < said->count && !fault.message; i++)
        if (!said->messages[i].checked)
            fault = check_message(core, execution, &said->messages[i]);
    return fault;
}

bool flo_update_only_rejections(const struct flo_execution *execution)
{
    const struct flo_update_said *said = execution->updates ? execution->updates->said : NULL;
    for (size_t i = 0; said && i < said->count; i++)
        if (said->messages[i].kind != SAID_REJECTION)
            return false;
    return true;
}

/* ---- applying ---- */

static void write_accepted(struct flo_core *core, struct flo_execution *execution,
                           struct said_message *said)
{
    FloApi__WorkflowExecutionUpdateAcceptedEventAttributes accepted =
        FLO_API__WORKFLOW_EXECUTION_UPDATE_ACCEPTED_EVENT_ATTRIBUTES__INIT;
    accepted.protocol_instance_id = said->update->id;
    accepted.accepted_request_message_id =
        flo_arena_printf(&core->scratch, "%s/request", said->update->id);
    accepted.accepted_request_sequencing_event_id =
        said->acceptance->accepted_request_sequencing_event_id;
    if (!said->update->in_history)
        accepted.accepted_request =
            flo_blob_decode(core, &said->update->request, &flo_api__request__descriptor);
    if (!accepted.accepted_request_message_id) {
        flo_core_set_fatal(core);
        return;
    }
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        .attributes = &accepted,
    };
    flo_update_accepted(execution, said->update, flo_history_write(core, execution, &event));
}

static void write_completed(struct flo_core *core, struct flo_execution *execution,
                            struct said_message *said)
{
    FloApi__WorkflowExecutionUpdateCompletedEventAttributes completed =
        FLO_API__WORKFLOW_EXECUTION_UPDATE_COMPLETED_EVENT_ATTRIBUTES__INIT;
    completed.meta = said->response->meta;
    completed.outcome = said->response->outcome;
    completed.accepted_event_id = said->update->accepted_id;
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
        .attributes = &completed,
    };
    flo_update_completed(execution, said->update, flo_history_write(core, execution, &event));
}

static void apply(struct flo_core *core, struct flo_execution *execution, struct said_message *said)
{
    said->applied = true;
    if (said->kind == SAID_REJECTION)
        flo_update_reject(core, execution, said->update, said->rejection->failure);
    else if (!flo_execution_is_open(execution))
        return; /* a command closed the run: nothing is written behind that */
    else if (said->kind == SAID_ACCEPTANCE)
        write_accepted(core, execution, said);
    else
        write_completed(core, execution, said);
}

void flo_update_apply_command(struct flo_core *core, struct flo_execution *execution,
                              const FloApi__Command *command)
{
    struct said_message *said =
        find_message(execution, command->protocol_message_command_attributes->message_id);
    if (said)
        apply(core, execution, said);
}

void flo_update_apply_rest(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_update_said *said = execution->updates ? execution->updates->said : NULL;
    for (size_t i = 0; said && i < said->count && !core->fatal; i++)
        if (!said->messages[i].applied)
            apply(core, execution, &said->messages[i]);
}
