/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.c - which code takes which message, and the coroutines on which it does.
 *
 * Handlers are few, so a table is a list. A registration may come while messages of its name wait:
 * they go to it at once, in the order in which they came. What a coroutine works on is a handling:
 * it holds its message and a copy of the handler, which code may meanwhile replace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "flotilla/payload.h"
#include "wire/payload.h"
#include "workflow/intercept.h"
#include "workflow/messages.h"

struct flo_messages *flo_messages_of(struct flo_run *run)
{
    struct flo_messages *messages = run->messages;
    if (messages)
        return messages;
    messages = flo_heap_calloc(run->heap, sizeof *messages);
    if (!messages)
        return NULL;
    for (size_t i = 0; i < FLO_MESSAGE_KINDS; i++)
        flo_list_init(&messages->handlers[i]);
    flo_list_init(&messages->incoming);
    flo_list_init(&messages->arrived);
    flo_list_init(&messages->working);
    flo_list_init(&messages->admitted);
    flo_list_init(&messages->outgoing);
    run->messages = messages;
    return messages;
}

/* ---- messages ---- */

void flo_message_fini(struct flo_message *message)
{
    flo_heap_free((void *)(uintptr_t)message->name);
    json_decref(message->args);
    json_decref(message->headers);
    *message = (struct flo_message){0};
}

static int decode_args(const FloApi__Payloads *input, json_t **out_args, struct flo_err *err)
{
    json_t *args = json_array();
    for (size_t i = 0; args && input && i < input->n_payloads; i++) {
        json_t *value;
        int rc = flo_payload_to_json(input->payloads[i], &value, err);
        if (rc || json_array_append_new(args, value)) {
            json_decref(args);
            return rc ? rc : FLO_ENOMEM;
        }
    }
    *out_args = args;
    return args ? 0 : FLO_ENOMEM;
}

json_t *flo_message_header_value(const FloApi__Payload *payload)
{
    json_t *value = NULL;
    if (!payload)
        return json_null();
    int rc = flo_payload_show(payload, &value, NULL); /* codecs leave headers alone */
    if (rc == FLO_EPROTO)
        value = flo_raw_new("json/plain", payload->data.data, payload->data.len);
    return value;
}

int flo_message_headers(const FloApi__Header *header, json_t **out_headers)
{
    if (!header || header->n_fields == 0)
        return 0;
    json_t *headers = json_object();
    for (size_t i = 0; headers && i < header->n_fields; i++) {
        if (json_object_set_new(headers, header->fields[i]->key,
                                flo_message_header_value(header->fields[i]->value))) {
            json_decref(headers);
            return FLO_ENOMEM;
        }
    }
    *out_headers = headers;
    return headers ? 0 : FLO_ENOMEM;
}

int flo_message_decode(struct flo_run *run, const char *name, const FloApi__Payloads *input,
                       const FloApi__Header *header, struct flo_message *out, struct flo_err *err)
{
    struct flo_message message = {.name = flo_heap_strdup(run->heap, name), .id = ""};
    int rc = message.name ? decode_args(input, &message.args, err) : FLO_ENOMEM;
    if (rc == 0)
        rc = flo_message_headers(header, &message.headers);
    if (rc) {
        flo_message_fini(&message);
        return flo_heap_failed(run->heap) ? FLO_ENOMEM : rc; /* no matter what it looked like */
    }
    message.input = json_array_get(message.args, 0);
    if (!message.input)
        message.input = json_null(); /* a constant: nothing is owned */
    *out = message;
    return 0;
}

/* ---- the tables ---- */

static struct flo_handler *find_exactly(const struct flo_messages *messages,
                                        enum flo_message_kind kind, const char *name)
{
    FLO_LIST_FOREACH(node, &messages->handlers[kind])
    {
        struct flo_handler *handler = flo_container(node, struct flo_handler, node);
        if (name ? handler->name && strcmp(handler->name, name) == 0 : !handler->name)
            return handler;
    }
    return NULL;
}

struct flo_handler *flo_handler_find(const struct flo_run *run, enum flo_message_kind kind,
                                     const char *name)
{
    if (!run->messages)
        return NULL;
    struct flo_handler *handler = find_exactly(run->messages, kind, name);
    return handler ? handler : find_exactly(run->messages, kind, NULL);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int flo_handler_names(const struct flo_run *run, enum flo_message_kind kind, bool more,
                      struct flo_buf *out)
{
    const struct flo_list *handlers = run->messages ? &run->messages->handlers[kind] : NULL;
    if (!handlers || flo_list_empty(handlers))
        return 0;
    const char **names = flo_heap_calloc(run->heap, handlers->count * sizeof *names);
    size_t count = 0;
    if (!names)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH(node, handlers)
    {
        const char *name = flo_container(node, struct flo_handler, node)->name;
        if (name)
            names[count++] = name;
    }
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++)
        flo_buf_printf(out, "%s%s", i || more ? " " : "", names[i]);
    flo_heap_free((void *)(uintptr_t)names);
    return out->failed ? FLO_ENOMEM : 0;
}

static void handler_free(struct flo_messages *messages, enum flo_message_kind kind,
                         struct flo_handler *handler)
{
    if (!handler)
        return;
    if (flo_node_linked(&handler->node))
        flo_list_remove(&messages->handlers[kind], &handler->node);
    flo_heap_free(handler->name);
    flo_heap_free(handler->description);
    flo_heap_free(handler);
}

/* ---- registration ---- */

static int refuse(struct flo_workflow *wf, const char *name, const char *why)
{
    flo_workflow_fail(wf, "FLO_EINVAL", true, NULL, "the handler of \"%s\" was not registered: %s",
                      name ? name : "", why);
    wf->failure_rc = FLO_EINVAL;
    char place[200];
    flo_place_describe(&wf->at, place, sizeof place);
    flo_workflow_log(wf, FLO_LOG_WARN, "The handler of \"%.100s\" was not registered%s%s: %s",
                     name ? name : "", *place ? " at " : "", place, why);
    return FLO_EINVAL;
}

/* *out_handler is the one that now counts; NULL: it was only taken back. */
static int put_handler(struct flo_workflow *wf, enum flo_message_kind kind, const char *name,
                       const struct flo_handler *as, const struct flo_handler_options *options,
                       struct flo_handler **out_handler)
{
    struct flo_run *run = wf->run;
    const char *text = options && options->description ? options->description : "";
    *out_handler = NULL;
    int rc = flo_read_only_check(run, "registers a handler");
    if (rc)
        return rc;
    if (name && strncmp(name, "__", 2) == 0)
        return refuse(wf, name, "names that begin with __ are the runtime's");
    if (as->ctx && wf->coroutine && flo_coroutine_holds(wf->coroutine, as->ctx))
        return refuse(wf, name,
                      "its context is a variable of the function that registers it; it must be "
                      "memory of flo_workflow_alloc()");
    struct flo_messages *messages = flo_messages_of(run);
    struct flo_handler *handler = messages ? flo_heap_alloc(run->heap, sizeof *handler) : NULL;
    if (!handler)
        return flo_run_no_memory(run);
    *handler = *as;
    flo_node_init(&handler->node);
    handler->abandon = options && options->abandon;
    handler->name = name ? flo_heap_strdup(run->heap, name) : NULL;
    handler->description = flo_heap_strdup(run->heap, text);
    if ((name && !handler->name) || !handler->description) {
        handler_free(messages, kind, handler);
        return flo_run_no_memory(run);
    }
    handler_free(messages, kind, find_exactly(messages, kind, name));
    if (!as->fn.signal) {
        handler_free(messages, kind, handler);
        return 0;
    }
    flo_list_push_back(&messages->handlers[kind], &handler->node);
    *out_handler = handler;
    return 0;
}

int flo_signal_handle(struct flo_workflow *wf, const char *name, flo_signal_fn fn, void *ctx,
                      const struct flo_handler_options *options)
{
    struct flo_handler as = {.fn.signal = fn, .ctx = ctx}, *handler;
    int rc = put_handler(wf, FLO_SIGNAL, name, &as, options, &handler);
    if (rc || !handler)
        return rc;
    return flo_signal_dispatch_kept(wf->run, handler) ? flo_run_no_memory(wf->run) : 0;
}

int flo_query_handle(struct flo_workflow *wf, const char *name, flo_query_fn fn, void *ctx,
                     const struct flo_handler_options *options)
{
    struct flo_handler as = {.fn.query = fn, .ctx = ctx}, *handler;
    return put_handler(wf, FLO_QUERY, name, &as, options, &handler);
}

int flo_update_handle(struct flo_workflow *wf, const char *name, flo_update_validator_fn validator,
                      flo_update_fn fn, void *ctx, const struct flo_handler_options *options)
{
    struct flo_handler as = {.fn.update = fn, .validator = validator, .ctx = ctx}, *handler;
    int rc = put_handler(wf, FLO_UPDATE, name, &as, options, &handler);
    if (rc || !handler)
        return rc;
    struct flo_err err = {0};
    rc = flo_update_dispatch_arrived(wf->run, &err);
    if (rc == FLO_EPROTO)
        flo_run_misuse(wf->run, &err);
    return rc == 0 || rc == FLO_EPROTO ? 0 : flo_run_no_memory(wf->run);
}

int flo_workflow_set_details(struct flo_workflow *wf, const char *text)
{
    struct flo_run *run = wf->run;
    int rc = flo_read_only_check(run, "sets the details");
    if (rc)
        return rc;
    struct flo_messages *messages = flo_messages_of(run);
    char *copy = messages ? flo_heap_strdup(run->heap, text ? text : "") : NULL;
    if (!copy)
        return flo_run_no_memory(run);
    flo_text_repair(copy);
    flo_heap_free(messages->details);
    messages->details = copy;
    return 0;
}

/* ---- handlers at work ---- */

static void handling_free(struct flo_handling *handling)
{
    if (flo_node_linked(&handling->node))
        flo_list_remove(&handling->run->messages->working, &handling->node);
    if (handling->update)
        flo_update_unref(handling->update);
    flo_message_fini(&handling->message);
    flo_heap_free(handling);
}

/* ---- the call of one ---- */

/* A handler's code, at the end of the interceptors. */
struct handler_call {
    struct flo_inbound inbound; /* first */
    const struct flo_handler *handler;
    const struct flo_message *message;
};

static int call_code(struct flo_workflow *wf, enum flo_inbound_kind kind,
                     const struct flo_handler *handler, const struct flo_message *message,
                     json_t **out_result)
{
    switch (kind) {
    case FLO_INBOUND_SIGNAL:
        return handler->fn.signal(wf, message, handler->ctx);
    case FLO_INBOUND_QUERY:
        return handler->fn.query(wf, message, handler->ctx, out_result);
    case FLO_INBOUND_VALIDATOR:
        return handler->validator(wf, message, handler->ctx);
    default:
        return handler->fn.update(wf, message, handler->ctx, out_result);
    }
}

static int call_inner(struct flo_workflow *wf, const struct flo_inbound *inbound,
                      json_t **out_result)
{
    const struct handler_call *call = flo_container(inbound, struct handler_call, inbound);
    struct flo_message message = *call->message;
    message.input = inbound->call.input;
    message.args = inbound->call.args;
    message.headers = inbound->call.headers;
    return call_code(wf, inbound->call.kind, call->handler, &message, out_result);
}

int flo_handler_call(struct flo_workflow *wf, enum flo_inbound_kind kind,
                     const struct flo_handler *handler, const struct flo_message *message,
                     json_t **out_result)
{
    if (!wf->run->env.interceptors)
        return call_code(wf, kind, handler, message, out_result);
    struct handler_call call = {.inbound = {.call = {.kind = kind,
                                                     .name = message->name,
                                                     .id = message->id,
                                                     .input = message->input,
                                                     .args = message->args,
                                                     .headers = message->headers},
                                            .code = call_inner},
                                .handler = handler,
                                .message = message};
    return flo_inbound_proceed(wf, &call.inbound.call, out_result);
}

static int handling_run(struct flo_workflow *wf, void *arg)
{
    struct flo_handling *handling = arg;
    if (handling->kind == FLO_UPDATE)
        return flo_update_run(wf, handling);
    return flo_handler_call(wf, FLO_INBOUND_SIGNAL, &handling->handler, &handling->message, NULL);
}

/* A signal handler's failure is the workflow's, but being cancelled with it is no failure. */
static int handling_ended(struct flo_workflow *wf, void *arg, int rc)
{
    struct flo_handling *handling = arg;
    if (handling->kind == FLO_SIGNAL && rc)
        rc = rc == FLO_ECANCELLED && wf->run->cancel_requested ? 0 : flo_execution_end_by(wf, rc);
    handling_free(handling);
    return rc;
}

int flo_handler_start(struct flo_run *run, enum flo_message_kind kind,
                      const struct flo_handler *handler, struct flo_message *message,
                      struct flo_update *update)
{
    struct flo_messages *messages = flo_messages_of(run);
    struct flo_handling *handling = messages ? flo_heap_calloc(run->heap, sizeof *handling) : NULL;
    char name[120];
    if (!handling) {
        flo_message_fini(message);
        return FLO_ENOMEM;
    }
    handling->run = run;
    handling->kind = kind;
    handling->handler = *handler;
    handling->message = *message;
    handling->update = update;
    *message = (struct flo_message){0};
    snprintf(name, sizeof name, "%s %.100s", kind == FLO_SIGNAL ? "signal" : "update",
             handling->message.name);
    flo_text_repair(name); /* it may be cut */
    const struct flo_start start = {
        .name = name, .fn = handling_run, .arg = handling, .ended = handling_ended, .always = true};
    if (flo_scheduler_start(run, &start, &handling->wf)) {
        handling_free(handling);
        return FLO_ENOMEM;
    }
    flo_list_push_back(&messages->working, &handling->node);
    return 0;
}

/* ---- the end ---- */

bool flo_all_handlers_finished(const struct flo_workflow *wf)
{
    return !wf->run->messages || flo_list_empty(&wf->run->messages->working);
}

static bool all_finished(void *ctx)
{
    return flo_all_handlers_finished(ctx);
}

int flo_handlers_await(struct flo_workflow *wf, int64_t timeout_ms)
{
    return flo_await_condition(wf, all_finished, wf, timeout_ms);
}

void flo_handlers_warn(struct flo_run *run)
{
    struct flo_buf text;
    size_t count = 0;
    if (!run->messages || run->replaying)
        return;
    flo_buf_init(&text, 0);
    FLO_LIST_FOREACH(node, &run->messages->working)
    {
        const struct flo_handling *handling = flo_container(node, struct flo_handling, node);
        if (handling->handler.abandon)
            continue;
        flo_buf_printf(&text, "%s%s", count++ ? ", " : "", handling->wf->name);
        if (*handling->message.id)
            flo_buf_printf(&text, " (id %s)", handling->message.id);
    }
    if (count && !text.failed)
        flo_workflow_log(&run->main, FLO_LOG_WARN,
                         "The workflow ended while handlers were at work, which cut them off: "
                         "%.800s. Wait with flo_handlers_await() before the end, or register "
                         "them with the option abandon",
                         flo_buf_cstr(&text));
    flo_buf_fini(&text);
}
