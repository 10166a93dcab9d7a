/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.h - the engine's web page: workflows, one workflow, task queues, schedules; to look at, not
 * to change anything. HTML is made here, whole, for each request; the little script (files/app.js)
 * only makes it more comfortable.
 *
 * What is shown is asked through the same calls that clients make (struct flo_web_source), so that
 * the page knows nothing of the core, and everything of it, ids above all, is hostile input: it
 * gets into a page through html.h alone.
 */
#ifndef FLO_ENGINE_WEB_H
#define FLO_ENGINE_WEB_H

#include "base/arena.h"
#include "flotilla/error.h"
#include "telemetry/http.h"
#include "wire/api.h"

/* A task queue; borrowed while it is told of. */
struct flo_web_queue {
    const char *namespace_name, *name;
    bool activity;                   /* else workflows */
    int64_t backlog, backlog_age_ns; /* tasks that wait; the oldest's time there, 0: none waits */
    int64_t pollers;                 /* polls that are open */
};

/* Where the page asks. Loop thread, at once. */
struct flo_web_source {
    void *ctx;
    /*
     * A call of WorkflowService. OK: *out_response is in the arena, or borrowed from the engine
     * until the handler returns. Else a gRPC code, and *out_message in the arena.
     */
    int (*ask)(void *ctx, const char *method, const ProtobufCMessage *request,
               struct flo_arena *arena, const ProtobufCMessage **out_response,
               const char **out_message);
    /*
     * A page was made of what was asked since the last one: it is answered now, or, where it shows
     * what the disk does not have yet, when that is there (then its content is taken).
     */
    void (*settle)(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply);
    /* Is this call served? */
    bool (*serves)(void *ctx, const char *method);
    /* Calls fn for each task queue. */
    void (*each_queue)(void *ctx, void (*fn)(void *fn_ctx, const struct flo_web_queue *queue),
                       void *fn_ctx);
    /* The engine's wall clock. */
    int64_t (*now_ns)(void *ctx);
    const char *version; /* borrowed for ever */
};

/* Put the page on http: "/", "/workflow", "/queues", "/schedules" and its files. source must live
 * as long. FLO_EFULL. */
FLO_MUST_CHECK int flo_web_install(const struct flo_web_source *source, struct flo_http *http);

#endif
