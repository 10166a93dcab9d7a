/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - inside of the web page: one request, the frame around each page, the pages. */
#ifndef FLO_ENGINE_WEB_PAGE_H
#define FLO_ENGINE_WEB_PAGE_H

#include <stdbool.h>

#include "engine/web/html.h"
#include "engine/web/web.h"
#include "grpc/status.h"

enum {
    FLO_WEB_NAME_MAX = 1024, /* a namespace or an id in a URL, with NUL */
    FLO_WEB_QUERY_MAX = 4096,
    FLO_WEB_TOKEN_MAX = 4096, /* a page's token in hex */
};

/* One request being answered. */
struct flo_web_page {
    const struct flo_web_source *source;
    const struct flo_http_request *request;
    struct flo_http_reply *reply;
    struct flo_buf *out;    /* reply->body */
    struct flo_arena arena; /* until the page is done */
    int64_t now_ns;
    const char *namespace_name;
};

enum flo_web_tab { FLO_WEB_WORKFLOWS, FLO_WEB_QUEUES, FLO_WEB_SCHEDULES };

/* The beginning and the end of each page. title is text. */
void flo_web_begin(struct flo_web_page *page, enum flo_web_tab tab, const char *title);
void flo_web_end(struct flo_web_page *page);
/* A <select> with the namespaces, for a form. */
void flo_web_namespaces(struct flo_web_page *page);
/* Why something could not be shown, as a paragraph. */
void flo_web_problem(struct flo_web_page *page, const char *what, const char *message);
/* Ask; NULL: it was refused, *out_message says why and the code is in *out_code (may be NULL). */
const void *flo_web_ask(struct flo_web_page *page, const char *method,
                        const ProtobufCMessage *request, int *out_code, const char **out_message);
/* A parameter of the URL into the arena; "" when it is absent or too long. */
const char *flo_web_parameter(struct flo_web_page *page, const char *name, size_t max);
/* A page token of the URL (hex). False: it is none. */
bool flo_web_token(struct flo_web_page *page, const char *name, ProtobufCBinaryData *out);
/* Hex of a token, for a URL. NULL without memory. */
const char *flo_web_hex(struct flo_web_page *page, const ProtobufCBinaryData *token);

/* ---- values.c: parts of messages ---- */

/* "Running" of WORKFLOW_EXECUTION_STATUS_RUNNING; class names are its lower case. */
const char *flo_web_status(FloApi__WorkflowExecutionStatus status);
/* A badge. */
void flo_web_badge(struct flo_web_page *page, FloApi__WorkflowExecutionStatus status);
/* A link to a workflow, the id as its text. */
void flo_web_workflow_link(struct flo_web_page *page, const char *workflow_id, const char *run_id);
/* Payloads as JSON text where they are; else what they are and how large. */
void flo_web_payloads(struct flo_web_page *page, const FloApi__Payloads *payloads);
void flo_web_payload(struct flo_web_page *page, const FloApi__Payload *payload);
/* A failure: its message, type and cause. */
void flo_web_failure(struct flo_web_page *page, const FloApi__Failure *failure);
/* Every field of a message that is set, as a list of names and values. */
void flo_web_message(struct flo_web_page *page, const ProtobufCMessage *message);

/* ---- the pages ---- */

void flo_web_workflows(struct flo_web_page *page);
void flo_web_workflow(struct flo_web_page *page);
void flo_web_queues(struct flo_web_page *page);
void flo_web_schedules(struct flo_web_page *page);

/* waiting.c: what a run that is open waits for before a worker can go on with it: its start, a
 * workflow task, somebody who polls. first is the first event at hand. */
void flo_web_waiting(struct flo_web_page *page,
                     const FloApi__DescribeWorkflowExecutionResponse *description,
                     const FloApi__HistoryEvent *first);

/* timeline.c: what went on in the events, as bars between begin and end. */
void flo_web_timeline(struct flo_web_page *page, FloApi__HistoryEvent *const *events, size_t count,
                      const FloApi__WorkflowExecutionInfo *info);
/* The attributes of an event; NULL: none. */
const ProtobufCMessage *flo_web_attributes(const FloApi__HistoryEvent *event);
/* What an event is about: the name of its activity, timer, child, signal ...; "": nothing. Hostile.
 */
const char *flo_web_subject(const FloApi__HistoryEvent *event);
/* "ActivityTaskScheduled". In the arena. */
const char *flo_web_event_name(struct flo_web_page *page, FloApi__EventType type);

#endif
