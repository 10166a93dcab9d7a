/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c - the life of one update.
 *
 *   ARRIVED --(validator refuses, or nobody takes it)--> REJECTED
 *      |
 *      +--(accepted)--> ACCEPTING --(event)--> ACCEPTED --(handler ends)--> COMPLETING
 *                           |                                                   |
 *                           +--(handler ends)--> BOTH --(accepted's event)------+
 *                                                                               |
 *                                                        (completed's event)----+--> COMPLETED
 *
 * It arrives as a message of a workflow task, named after it, with a Request inside; while
 * replaying, as the UpdateAccepted event behind the completion of that task, which holds the
 * request. Its answers are messages, too: a Rejection, or an Acceptance and, then or in a later
 * task, a Response. Where the latter two stand among the commands is said by a ProtocolMessage
 * command each, which their events record. A rejection leaves no trace in history, so nothing that
 * a validator does may matter, and while replaying none is asked.
 *
 * Whoever takes part in the task's messages must answer all of them in its completion: so an update
 * that no handler has taken when all coroutines wait is rejected.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/messages.h"

enum state { ARRIVED, REJECTED, ACCEPTING, ACCEPTED, BOTH, COMPLETING, COMPLETED };

static const struct flo_machine_state states[] = {
    [ARRIVED] = {"arrived", FLO_STATE_BIT(REJECTED) | FLO_STATE_BIT(ACCEPTING)},
    [REJECTED] = {"rejected", 0},
    [ACCEPTING] = {"accepting", FLO_STATE_BIT(ACCEPTED) | FLO_STATE_BIT(BOTH)},
    [ACCEPTED] = {"accepted", FLO_STATE_BIT(COMPLETING)},
    [BOTH] = {"accepting and completing", FLO_STATE_BIT(COMPLETING)},
    [COMPLETING] = {"completing", FLO_STATE_BIT(COMPLETED)},
    [COMPLETED] = {"completed", 0},
};

#define TYPE_PREFIX "type.googleapis.com/"
#define REQUEST_TYPE "temporal.api.update.v1.Request"

/* One block. */
struct flo_update {
    struct flo_future future; /* never awaited: it counts the references of commands and handling */
    struct flo_machine machine;
    struct flo_node node;        /* on messages->incoming, then ->arrived, until it is taken */
    const char *id;              /* of the update, and of its protocol instance */
    const char *name, *identity; /* what is called; who calls */
    const char *message_id;      /* of the request */
    int64_t sequencing_id;       /* it came behind this event */
    bool replayed;               /* it was accepted then: it is not validated again */
    /* Which says so; borrowed from the task that brought it. NULL: it has come just now. */
    const FloApi__HistoryEvent *event;
    /* Until it is answered, in the same task that brought it: borrowed from that. */
    FloApi__Request *request;
    char texts[];
};

/* A request that history has admitted, before the task that brings it. */
struct admitted {
    struct flo_node node;
    char *id;        /* owned, as the next */
    uint8_t *packed; /* Request */
    size_t packed_len;
};

static struct flo_update *update_at(struct flo_node *node)
{
    return flo_container(node, struct flo_update, node);
}

void flo_update_unref(struct flo_update *update)
{
    flo_future_unref(&update->future);
}

/* ---- arriving ---- */

static struct flo_update *update_new(struct flo_run *run, const char *id, const char *message_id,
                                     FloApi__Request *request)
{
    const char *texts[] = {id, message_id, request->input ? request->input->name : "",
                           request->meta ? request->meta->identity : ""};
    size_t sizes[4], total = 0;
    for (size_t i = 0; i < 4; i++)
        total += sizes[i] = strlen(texts[i]) + 1;
    struct flo_update *update = flo_heap_calloc(run->heap, sizeof *update + total);
    if (!update)
        return NULL;
    char *at = update->texts;
    const char **fields[] = {&update->id, &update->message_id, &update->name, &update->identity};
    for (size_t i = 0; i < 4; at += sizes[i], i++) {
        memcpy(at, texts[i], sizes[i]);
        *fields[i] = at;
    }
    update->future = (struct flo_future){.run = run, .refs = 1, .ready = true};
    update->machine = (struct flo_machine){states, ARRIVED};
    update->request = request;
    return update;
}

static bool is_known(const struct flo_messages *messages, const char *id)
{
    const struct flo_list *lists[] = {&messages->incoming, &messages->arrived};
    for (size_t i = 0; i < 2; i++) {
        FLO_LIST_FOREACH(node, lists[i])
        {
            if (strcmp(update_at(node)->id, id) == 0)
                return true;
        }
    }
    FLO_LIST_FOREACH(node, &messages->working)
    {
        const struct flo_handling *h = flo_container(node, struct flo_handling, node);
        if (h->update && strcmp(h->update->id, id) == 0)
            return true;
    }
    return false;
}

static int take_in(struct flo_run *run, const char *id, const char *message_id,
                   FloApi__Request *request, int64_t sequencing_id, struct flo_err *err)
{
    struct flo_messages *messages = flo_messages_of(run);
    if (!messages)
        return FLO_ENOMEM;
    if (is_known(messages, id))
        return flo_fail(err, FLO_EPROTO, "update %.100s arrives while it is at work already", id);
    struct flo_update *update = update_new(run, id, message_id, request);
    if (!update)
        return FLO_ENOMEM;
    update->sequencing_id = sequencing_id;
    update->replayed = run->replaying;
    flo_list_push_back(&messages->incoming, &update->node);
    return 0;
}

static int take_in_message(struct flo_run *run, const FloApi__Message *message, struct flo_err *err)
{
    const char *type = message->body ? message->body->type_url : "";
    const char *name = strrchr(type, '/');
    ProtobufCMessage *request = NULL;
    if (!message->body || strcmp(name ? name + 1 : type, REQUEST_TYPE) != 0)
        return flo_fail(err, FLO_EPROTO,
                        "message %.100s of the workflow task is a %.100s, which this worker does "
                        "not know",
                        message->id, type);
    int rc = flo_wire_decode(&flo_api__request__descriptor, message->body->value.data,
                             message->body->value.len, run->answer, &request, err);
    if (rc)
        return rc == FLO_ELIMIT ? FLO_ENOMEM : rc;
    int64_t event_id = message->sequencing_id_case == FLO_API__MESSAGE__SEQUENCING_ID_EVENT_ID
                           ? message->event_id
                           : 0;
    return take_in(run, message->protocol_instance_id, message->id, (FloApi__Request *)request,
                   event_id, err);
}

int flo_update_messages(struct flo_run *run, FloApi__Message *const *messages, size_t count,
                        struct flo_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = take_in_message(run, messages[i], err);
    return rc;
}

/* ---- arriving again, from history ---- */

int flo_update_admitted(struct flo_run *run, const FloApi__HistoryEvent *event)
{
    const FloApi__Request *request =
        event->workflow_execution_update_admitted_event_attributes->request;
    if (!request || !request->meta)
        return 0;
    struct flo_messages *messages = flo_messages_of(run);
    struct admitted *admitted = messages ? flo_heap_calloc(run->heap, sizeof *admitted) : NULL;
    if (!admitted)
        return FLO_ENOMEM;
    admitted->packed_len = flo_wire_size(&request->base);
    admitted->packed = flo_heap_alloc(run->heap, admitted->packed_len);
    admitted->id = flo_heap_strdup(run->heap, request->meta->update_id);
    if (!admitted->packed || !admitted->id)
        return FLO_ENOMEM; /* the run goes with all that it has */
    flo_wire_pack(&request->base, admitted->packed, admitted->packed_len);
    flo_list_push_back(&messages->admitted, &admitted->node);
    return 0;
}

static struct admitted *find_admitted(const struct flo_run *run, const char *id)
{
    const struct flo_list *list = run->messages ? &run->messages->admitted : NULL;
    for (struct flo_node *node = list ? list->head.next : NULL; node && node != &list->head;
         node = node->next) {
        struct admitted *admitted = flo_container(node, struct admitted, node);
        if (strcmp(admitted->id, id) == 0)
            return admitted;
    }
    return NULL;
}

/* The request that history admitted, into run->answer; *out_request stays NULL without one. */
static int take_admitted(struct flo_run *run, const char *id, FloApi__Request **out_request)
{
    struct admitted *admitted = find_admitted(run, id);
    ProtobufCMessage *request = NULL;
    if (!admitted)
        return 0;
    int rc = flo_wire_decode(&flo_api__request__descriptor, admitted->packed, admitted->packed_len,
                             run->answer, &request, NULL);
    flo_list_remove(&run->messages->admitted, &admitted->node);
    flo_heap_free(admitted->id);
    flo_heap_free(admitted->packed);
    flo_heap_free(admitted);
    *out_request = (FloApi__Request *)request;
    return rc ? FLO_ENOMEM : 0; /* we packed it: nothing else can fail */
}

int flo_update_foresee(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const FloApi__WorkflowExecutionUpdateAcceptedEventAttributes *a =
        event->workflow_execution_update_accepted_event_attributes;
    FloApi__Request *request = a->accepted_request;
    int rc = request ? 0 : take_admitted(run, a->protocol_instance_id, &request);
    if (rc)
        return rc;
    if (!request)
        return flo_fail(err, FLO_EPROTO,
                        "history event %" PRId64 " accepts an update without "
                        "saying which",
                        event->event_id);
    rc = take_in(run, a->protocol_instance_id, a->accepted_request_message_id, request,
                 a->accepted_request_sequencing_event_id, err);
    if (rc == 0)
        update_at(run->messages->incoming.head.prev)->event = event;
    return rc;
}

/* ---- messages to the server ---- */

/* Without memory: FLO_ENOMEM; while replaying nothing is sent. */
static int send(struct flo_run *run, const struct flo_update *update, const char *verb,
                const char *type, const ProtobufCMessage *body, char **out_id)
{
    struct flo_outgoing *outgoing = flo_arena_calloc(run->answer, 1, sizeof *outgoing);
    FloApi__Message *message = flo_arena_alloc(run->answer, sizeof *message);
    Google__Protobuf__Any *any = flo_arena_alloc(run->answer, sizeof *any);
    if (!outgoing || !message || !any)
        return FLO_ENOMEM;
    flo_api__message__init(message);
    google__protobuf__any__init(any);
    message->id = flo_arena_printf(run->answer, "%s/%s", update->id, verb);
    message->protocol_instance_id = flo_arena_strdup(run->answer, update->id);
    message->body = any;
    any->type_url = (char *)(uintptr_t)type;
    int rc = flo_wire_encode_arena(body, run->answer, &any->value.data, &any->value.len);
    if (rc || !message->id || !message->protocol_instance_id)
        return FLO_ENOMEM;
    outgoing->message = message;
    flo_list_push_back(&run->messages->outgoing, &outgoing->node);
    if (out_id)
        *out_id = message->id;
    return 0;
}

int flo_update_collect(struct flo_run *run, struct flo_activation *out)
{
    struct flo_list *outgoing = &run->messages->outgoing;
    if (flo_list_empty(outgoing))
        return 0;
    out->messages = flo_arena_calloc(run->answer, outgoing->count, sizeof *out->messages);
    if (!out->messages)
        return FLO_ENOMEM;
    struct flo_node *node;
    while ((node = flo_list_pop_front(outgoing)))
        out->messages[out->message_count++] =
            flo_container(node, struct flo_outgoing, node)->message;
    return 0;
}

/* ---- its commands ---- */

static struct flo_update *update_of(const struct flo_command *command)
{
    return flo_container(command->future, struct flo_update, future);
}

static int accept_recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_update *update = update_of(command);
    if (event->event_type != FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED) ||
        strcmp(event->workflow_execution_update_accepted_event_attributes->protocol_instance_id,
               update->id) != 0)
        return FLO_ENONDET;
    return flo_machine_move(&update->machine,
                            update->machine.state == BOTH ? COMPLETING : ACCEPTED);
}

static int complete_recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_update *update = update_of(command);
    if (event->event_type != FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_COMPLETED))
        return FLO_ENONDET;
    const FloApi__Meta *meta = event->workflow_execution_update_completed_event_attributes->meta;
    if (!meta || strcmp(meta->update_id, update->id) != 0)
        return FLO_ENONDET;
    return flo_machine_move(&update->machine, COMPLETED);
}

static void describe(const struct flo_command *command, const char *verb, char *out, size_t size)
{
    const struct flo_update *update = update_of(command);
    snprintf(out, size, "%s update %.60s, name %.60s", verb, update->id, update->name);
}

static void accept_describe(const struct flo_command *command, char *out_text, size_t size)
{
    describe(command, "accepts", out_text, size);
}

static void complete_describe(const struct flo_command *command, char *out_text, size_t size)
{
    describe(command, "completes", out_text, size);
}

static const struct flo_command_ops accept_ops = {FLO_COMMAND(PROTOCOL_MESSAGE), accept_recorded,
                                                  accept_describe};
static const struct flo_command_ops complete_ops = {FLO_COMMAND(PROTOCOL_MESSAGE),
                                                    complete_recorded, complete_describe};

/* *out_sends: a message is to go with the command. */
static int issue(struct flo_update *update, const struct flo_command_ops *ops,
                 FloApi__ProtocolMessageCommandAttributes **out_attributes)
{
    struct flo_run *run = update->future.run;
    struct flo_command *command = flo_command_issue(run, ops, &update->future);
    *out_attributes = NULL;
    if (!command)
        return FLO_ENOMEM;
    if (!command->message)
        return 0;
    FloApi__ProtocolMessageCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__protocol_message_command_attributes__init(a);
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_PROTOCOL_MESSAGE_COMMAND_ATTRIBUTES;
    command->message->protocol_message_command_attributes = a;
    *out_attributes = a;
    return 0;
}

/* ---- answering ---- */

static int reject(struct flo_update *update, FloApi__Failure *failure)
{
    struct flo_run *run = update->future.run;
    FloApi__Rejection body = FLO_API__REJECTION__INIT;
    if (!failure)
        return FLO_ENOMEM;
    int rc = flo_machine_move(&update->machine, REJECTED);
    body.rejected_request_message_id = (char *)(uintptr_t)update->message_id;
    body.rejected_request_sequencing_event_id = update->sequencing_id;
    body.rejected_request = update->request;
    body.failure = failure;
    if (rc == 0 && !update->replayed)
        rc = send(run, update, "reject", TYPE_PREFIX "temporal.api.update.v1.Rejection", &body.base,
                  NULL);
    update->request = NULL;
    return rc;
}

static int accept(struct flo_update *update)
{
    struct flo_run *run = update->future.run;
    FloApi__ProtocolMessageCommandAttributes *a;
    FloApi__Acceptance body = FLO_API__ACCEPTANCE__INIT;
    int rc = flo_machine_move(&update->machine, ACCEPTING);
    run->messages->refused = false;
    if (rc == 0)
        rc = issue(update, &accept_ops, &a);
    body.accepted_request_message_id = (char *)(uintptr_t)update->message_id;
    body.accepted_request_sequencing_event_id = update->sequencing_id;
    body.accepted_request = update->request;
    if (rc == 0 && a)
        rc = send(run, update, "accept", TYPE_PREFIX "temporal.api.update.v1.Acceptance",
                  &body.base, &a->message_id);
    update->request = NULL;
    return rc;
}

/* What the handler or the validator returned. */
static FloApi__Failure *failure_of(struct flo_workflow *wf, int rc)
{
    wf->rc = rc;
    return flo_workflow_failure_of(wf, wf->run->answer);
}

/* failure NULL: it went well. */
static int complete(struct flo_update *update, FloApi__ProtocolMessageCommandAttributes *a,
                    const json_t *result, FloApi__Failure *failure)
{
    struct flo_run *run = update->future.run;
    FloApi__Response body = FLO_API__RESPONSE__INIT;
    FloApi__Outcome outcome = FLO_API__OUTCOME__INIT;
    FloApi__Meta meta = FLO_API__META__INIT;
    meta.update_id = (char *)(uintptr_t)update->id;
    meta.identity = (char *)(uintptr_t)update->identity;
    body.meta = &meta;
    body.outcome = &outcome;
    if (failure) {
        outcome.value_case = FLO_API__OUTCOME__VALUE_FAILURE;
        outcome.failure = failure;
    } else {
        outcome.value_case = FLO_API__OUTCOME__VALUE_SUCCESS;
        outcome.success = flo_payloads_from_json(run->answer, result);
        if (!outcome.success)
            return FLO_ENOMEM;
    }
    return send(run, update, "complete", TYPE_PREFIX "temporal.api.update.v1.Response", &body.base,
                &a->message_id);
}

/* The handler returned rc: the outcome. */
static int end(struct flo_workflow *wf, struct flo_update *update, int rc, const json_t *result)
{
    FloApi__ProtocolMessageCommandAttributes *a;
    FloApi__Failure *failure = NULL;
    int moved =
        flo_machine_move(&update->machine, update->machine.state == ACCEPTING ? BOTH : COMPLETING);
    if (moved == 0)
        moved = issue(update, &complete_ops, &a);
    if (moved || !a)
        return moved;
    if (rc) {
        failure = failure_of(wf, rc);
        if (!failure)
            return FLO_ENOMEM;
    }
    return complete(update, a, result, failure);
}

/* ---- its handler ---- */

static int validate(struct flo_workflow *wf, struct flo_handling *handling)
{
    const struct flo_read_only guard = {.what = "the validator of update",
                                        .name = handling->message.name,
                                        .coroutine = wf->coroutine};
    struct flo_message copy = handling->message;
    copy.args = json_deep_copy(handling->message.args); /* what it changes is nobody's */
    if (!copy.args)
        return flo_run_no_memory(wf->run);
    if (json_array_size(copy.args) > 0)
        copy.input = json_array_get(copy.args, 0);
    wf->run->read_only = &guard;
    int rc = flo_handler_call(wf, FLO_INBOUND_VALIDATOR, &handling->handler, &copy, NULL);
    wf->run->read_only = NULL;
    json_decref(copy.args);
    return rc;
}

int flo_update_run(struct flo_workflow *wf, struct flo_handling *handling)
{
    struct flo_update *update = handling->update;
    json_t *result = NULL;
    int rc = 0;
    if (handling->handler.validator && !update->replayed)
        rc = validate(wf, handling);
    if (rc)
        return reject(update, failure_of(wf, rc));
    flo_failure_clear(wf);
    rc = accept(update);
    if (rc)
        return rc;
    rc = flo_handler_call(wf, FLO_INBOUND_UPDATE, &handling->handler, &handling->message, &result);
    rc = end(wf, update, rc, result);
    json_decref(result);
    return rc;
}

/* ---- finding its handler ---- */

/* A request that cannot be read is rejected; one that was accepted had been readable. */
static int refuse_undecoded(struct flo_update *update, int rc, struct flo_err *err)
{
    char text[700];
    if (rc != FLO_EPROTO)
        return rc;
    if (update->replayed) {
        flo_err_prefix(err, "the input of update %.100s", update->name);
        return rc;
    }
    snprintf(text, sizeof text, "unable to decode the input for update \"%.60s\": %s", update->name,
             err->message);
    err->code = 0;
    flo_text_repair(text);
    return reject(update, flo_failure_application(update->future.run->answer, text, "DecodeError",
                                                  true, NULL, 0));
}

/* On a list no more: its handler's coroutine begins, or it is answered. Consumes a reference. */
static int dispatch(struct flo_update *update, const struct flo_handler *handler,
                    struct flo_err *err)
{
    struct flo_run *run = update->future.run;
    const FloApi__Input *input = update->request->input;
    struct flo_message message;
    int rc = flo_message_decode(run, update->name, input ? input->args : NULL,
                                input ? input->header : NULL, &message, err);
    if (rc) {
        rc = refuse_undecoded(update, rc, err);
        flo_update_unref(update);
        return rc;
    }
    message.id = update->id;
    return flo_handler_start(run, FLO_UPDATE, handler, &message, update);
}

int flo_update_deliver(struct flo_run *run, int64_t before_id, struct flo_err *err)
{
    struct flo_messages *messages = run->messages;
    FLO_LIST_FOREACH_SAFE(node, &messages->incoming)
    {
        struct flo_update *update = update_at(node);
        const struct flo_handler *handler = flo_handler_find(run, FLO_UPDATE, update->name);
        if (update->sequencing_id >= before_id)
            break;
        flo_list_remove(&messages->incoming, node);
        if (update->event && run->env.observer)
            flo_observe_job(run, "do_update", update->event);
        if (!handler)
            flo_list_push_back(&messages->arrived, node);
        int rc = handler ? dispatch(update, handler, err) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int flo_update_dispatch_arrived(struct flo_run *run, struct flo_err *err)
{
    struct flo_messages *messages = run->messages;
    FLO_LIST_FOREACH_SAFE(node, &messages->arrived)
    {
        struct flo_update *update = update_at(node);
        const struct flo_handler *handler = flo_handler_find(run, FLO_UPDATE, update->name);
        if (!handler)
            continue;
        flo_list_remove(&messages->arrived, node);
        int rc = dispatch(update, handler, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int reject_unknown(struct flo_update *update)
{
    struct flo_run *run = update->future.run;
    struct flo_buf text;
    flo_buf_init(&text, 0);
    flo_buf_printf(&text, "unknown update %s. KnownUpdates=[", update->name);
    int rc = flo_handler_names(run, FLO_UPDATE, false, &text);
    flo_buf_append_str(&text, "]");
    if (rc == 0 && text.failed)
        rc = FLO_ENOMEM;
    if (rc == 0)
        rc = reject(update, flo_failure_application(run->answer, flo_buf_cstr(&text),
                                                    "UnknownUpdate", true, NULL, 0));
    flo_buf_fini(&text);
    return rc;
}

int flo_update_reject_rest(struct flo_run *run)
{
    struct flo_node *node;
    while ((node = flo_list_pop_front(&run->messages->arrived))) {
        struct flo_update *update = update_at(node);
        int rc = reject_unknown(update);
        flo_update_unref(update);
        if (rc)
            return rc;
    }
    return 0;
}
