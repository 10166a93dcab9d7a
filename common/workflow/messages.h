/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.h - signals, queries and updates of a run: its handlers, what waits for one, what is at
 * work, and what the next answer is to say. Made when the code or a message first needs it.
 */
#ifndef FLO_WORKFLOW_MESSAGES_H
#define FLO_WORKFLOW_MESSAGES_H

#include "flotilla/workflow/messages.h"
#include "workflow/internal.h"

enum flo_message_kind { FLO_SIGNAL, FLO_QUERY, FLO_UPDATE, FLO_MESSAGE_KINDS };

/* What code registered. */
struct flo_handler {
    struct flo_node node; /* on messages->handlers[kind], in the order of registration */
    char *name;           /* owned; NULL: takes what no other does */
    char *description;    /* owned; "" without one */
    bool abandon;
    union {
        flo_signal_fn signal;
        flo_query_fn query;
        flo_update_fn update;
    } fn;
    flo_update_validator_fn validator;
    void *ctx;
};

struct flo_update;

/* A handler at work, from when its coroutine is made until it returns. */
struct flo_handling {
    struct flo_node node; /* on messages->working */
    struct flo_run *run;
    enum flo_message_kind kind;
    struct flo_handler handler; /* as it was registered then; name and description are not used */
    struct flo_message message; /* owned: name, args, headers; input is in args */
    struct flo_update *update;  /* kind UPDATE; referenced */
    struct flo_workflow *wf;    /* its coroutine */
};

struct flo_messages {
    struct flo_list handlers[FLO_MESSAGE_KINDS];
    struct flo_list incoming; /* struct flo_update that the next step is to bring */
    struct flo_list arrived;  /* struct flo_update for which there is no handler yet */
    struct flo_list working;  /* struct flo_handling */
    struct flo_list admitted; /* of update.c: requests that history has admitted */
    struct flo_list outgoing; /* struct flo_outgoing, in the memory of the answer */
    char *details;            /* owned; NULL: none */
    bool refused; /* the step has brought nothing but updates, none of which was accepted so far */
};

/* A message of the update protocol that the answer is to bring. */
struct flo_outgoing {
    struct flo_node node;
    FloApi__Message *message;
};

/* ---- handlers.c ---- */

/* The run's; NULL without memory. */
struct flo_messages *flo_messages_of(struct flo_run *run);
/* Who takes a message of that name: by name, else the one for all; NULL: nobody. */
struct flo_handler *flo_handler_find(const struct flo_run *run, enum flo_message_kind kind,
                                     const char *name);
/* Append "a b c", the names that have a handler, sorted; more: names stand before them. FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_handler_names(const struct flo_run *run, enum flo_message_kind kind,
                                     bool more, struct flo_buf *out);
/* Decode what came with a message: *out gets name (copied), args, input and headers. FLO_EPROTO
 * or FLO_EPERM (encrypted) with a sentence, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_message_decode(struct flo_run *run, const char *name,
                                      const FloApi__Payloads *input, const FloApi__Header *header,
                                      struct flo_message *out, struct flo_err *err);
void flo_message_fini(struct flo_message *message);
/* The value of one header. It is somebody else's: one that is no JSON after all is passed on as it
 * came. NULL: no memory. */
json_t *flo_message_header_value(const FloApi__Payload *payload);
/* All of them as an object; none: *out_headers stays as it is. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_message_headers(const FloApi__Header *header, json_t **out_headers);
/* Run the handler's code of that kind, inside the interceptors. out_result: queries and updates. */
FLO_MUST_CHECK int flo_handler_call(struct flo_workflow *wf, enum flo_inbound_kind kind,
                                    const struct flo_handler *handler,
                                    const struct flo_message *message, json_t **out_result);
/* Give a message to handler on a coroutine of its own. message is taken over, also on failure;
 * update: for kind UPDATE. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_handler_start(struct flo_run *run, enum flo_message_kind kind,
                                     const struct flo_handler *handler, struct flo_message *message,
                                     struct flo_update *update);
/* The workflow has ended: log which handlers it cut off. */
void flo_handlers_warn(struct flo_run *run);

/* ---- signal.c ---- */

/* A handler was registered: kept signals that are its go to it. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_signal_dispatch_kept(struct flo_run *run, const struct flo_handler *handler);

/* ---- machines/update.c ---- */

/* Take in what the task at hand brings. FLO_EPROTO, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_update_messages(struct flo_run *run, FloApi__Message *const *messages,
                                       size_t count, struct flo_err *err);
/* Take in what history says that the task before had brought: event is UpdateAccepted. */
FLO_MUST_CHECK int flo_update_foresee(struct flo_run *run, const FloApi__HistoryEvent *event,
                                      struct flo_err *err);
/* Remember the request of an UpdateAdmitted event. */
FLO_MUST_CHECK int flo_update_admitted(struct flo_run *run, const FloApi__HistoryEvent *event);
/* Hand those that arrived before event before_id to their handlers. FLO_ENOMEM, FLO_EPROTO. */
FLO_MUST_CHECK int flo_update_deliver(struct flo_run *run, int64_t before_id, struct flo_err *err);
/* A handler was registered: updates that wait for one go to it. FLO_ENOMEM, FLO_EPROTO. */
FLO_MUST_CHECK int flo_update_dispatch_arrived(struct flo_run *run, struct flo_err *err);
/* All coroutines wait: updates that nobody took are rejected. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_update_reject_rest(struct flo_run *run);
/* What an update's coroutine does: validate, accept, carry out, complete. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_update_run(struct flo_workflow *wf, struct flo_handling *handling);
void flo_update_unref(struct flo_update *update);
/* Move the messages to send into out; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_update_collect(struct flo_run *run, struct flo_activation *out);

/* ---- query.c ---- */

/* Answer the query that task is about (legacy), FLO_ENOMEM. */
FLO_MUST_CHECK int flo_query_answer_task(struct flo_run *run, const FloApi__WorkflowQuery *query,
                                         struct flo_activation *out);
/* Answer the queries that came with task. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_query_answer_all(struct flo_run *run,
                                        const FloApi__PollWorkflowTaskQueueResponse *task,
                                        struct flo_activation *out);

/* ---- metadata.c ---- */

/* Answers a query, in the run's memory. FLO_ENOMEM. */
typedef int (*flo_query_builtin_fn)(struct flo_run *run, json_t **out_result);
/* The runtime's own answer to queries of this name; NULL: there is none. */
flo_query_builtin_fn flo_query_builtin(const char *name);
/* Append "a b c", the names that have one. */
void flo_query_builtin_names(struct flo_buf *out);

#endif
