/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - the small HTTP/1.1 server of every process: health, metrics and whatever pages a program
 * adds, on the program's own event loop: no thread.
 *
 * Served from the start: /health and /livez (the loop runs, no live check failed), /ready and
 * /readyz (also every ready check holds), /startupz (as /health, and the check "started"): JSON
 * with the reasons, or lines of text with ?verbose; /metrics (one rendering serves all that ask
 * within a second). Unknown paths are 404, methods that a page does not take 405 with Allow. No
 * answer carries CORS headers; all carry nosniff, no-store and a strict Content-Security-Policy.
 * Nothing is read from the file system.
 *
 * Limits, each with its answer: request line 8 KiB (414), headers 8 KiB and 64 of them (431), a
 * body as large as its page takes, at most 64 KiB (413), only with Content-Length (411 without, 400
 * when it is not certain where a request ends). A request must be whole 5 s after its first byte
 * (closed), an answer taken within 60 s and never stand still for 15 s (closed); idle connections
 * are closed after 15 s. 256 connections: at the bound the one idle for longest makes room, and
 * when none is idle, the newcomer is closed.
 *
 * What changes state (every method but GET and HEAD) must be addressed to a name that nobody else
 * can give to our address: a numeric host, localhost, this machine's name or one that
 * flo_http_trust_host was told; and an Origin, when there is one, must be that same host. Else 403:
 * so a web page elsewhere cannot make a browser do it, not by rebinding its own name either.
 *
 * Loop thread only, except where said.
 */
#ifndef FLO_TELEMETRY_HTTP_H
#define FLO_TELEMETRY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/net.h"
#include "telemetry/metrics.h"

struct event_base;

/* ---- health: named checks ---- */

struct flo_health; /* opaque */

/* No checks: live, and ready. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_health_new(struct flo_health **out, struct flo_err *err);
void flo_health_destroy(struct flo_health **health);
/*
 * Set a named check; the first call makes it (at most 16; names and reasons are copied). A failed
 * ready check makes /ready answer 503; a failed live check makes both /health and /ready do so.
 * reason says why in a few words; NULL when ok. Any thread.
 */
void flo_health_set_ready(struct flo_health *health, const char *check, bool ok,
                          const char *reason);
void flo_health_set_live(struct flo_health *health, const char *check, bool ok, const char *reason);
/* Any thread. */
bool flo_health_is_ready(struct flo_health *health);
bool flo_health_is_live(struct flo_health *health);

/* Show each check as flotilla_health_check{check} of metrics, which must not be rendered after
 * health is gone. FLO_EFULL: too many collectors. */
FLO_MUST_CHECK int flo_health_export(struct flo_health *health, struct flo_metrics *metrics);

/* ---- server ---- */

struct flo_http; /* opaque */

#define FLO_HTTP_ADDRESS_MAX FLO_NET_ADDRESS_MAX

enum flo_http_method {
    FLO_HTTP_GET = 1, /* HEAD is answered like it, without the body */
    FLO_HTTP_POST = 2,
    FLO_HTTP_PUT = 4,
    FLO_HTTP_DELETE = 8
};

/* One request; gone when the handler returns, also when the answer comes later. */
struct flo_http_request {
    const char *path;  /* decoded, without query */
    const char *query; /* as sent, NULL when absent */
    enum flo_http_method method;
    const char *body; /* not terminated; NULL when empty */
    size_t body_len;
    struct flo_http_conn *conn; /* for the functions below */
};

/* The value of a header (name in any case), or NULL. Of several the first. Gone with the request.
 */
const char *flo_http_header(const struct flo_http_request *request, const char *name);
/* Who sent it, "127.0.0.1:4711"; "?:0" when that is not known any more. */
void flo_http_remote(const struct flo_http_request *request, char out[FLO_HTTP_ADDRESS_MAX]);
/*
 * The value of a parameter of the query ("seconds" of "a=1&seconds=5"), percent-decoded into out.
 * False when it is absent, malformed or longer than size - 1; then out is "".
 */
bool flo_http_parameter(const struct flo_http_request *request, const char *name, char *out,
                        size_t size);

/* Text that many replies share without copying it. Counted; loop thread only. */
struct flo_http_text;
/* Takes text's content and leaves it empty. NULL without memory (text keeps it). */
struct flo_http_text *flo_http_text_new(struct flo_buf *text);
struct flo_http_text *flo_http_text_ref(struct flo_http_text *text);
void flo_http_text_unref(struct flo_http_text **text); /* clears it; NULL inside is fine */
/* Its bytes, not terminated. */
const void *flo_http_text_data(const struct flo_http_text *text, size_t *out_len);

/* What a handler fills; starts as 200, "application/json", empty body. */
struct flo_http_reply {
    int status;
    const char *content_type;   /* static or outliving the call */
    const char *csp;            /* static; NULL: the strict default, for pages that need more */
    struct flo_buf body;        /* at most 64 MiB */
    struct flo_http_text *text; /* instead of body when not NULL: a reference of the reply's own */
    const char *challenge;      /* static; WWW-Authenticate of a 401 */
};

/* {"error": "..."} as the reply, with that status: what every page answers that cannot do it. */
void flo_http_error(struct flo_http_reply *reply, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Answer one request. Runs on the loop: must not block. */
typedef void (*flo_http_handler_fn)(void *ctx, const struct flo_http_request *request,
                                    struct flo_http_reply *reply);

/*
 * A /metrics page, as text or OpenMetrics by the Accept header, in the naming of ?naming= or the
 * program's, whose rendering is shared by all that ask while it is new: up to a second, the longer
 * the more it took to make. Starts zeroed.
 */
struct flo_http_metrics {
    struct {
        struct flo_http_text *text;
        int64_t until_ns;
    } forms[FLO_NAMINGS][2]; /* [naming][openmetrics] */
};
/* Appends the page to out; 0 or an error. */
typedef int (*flo_http_render_fn)(void *ctx, const struct flo_metrics_form *form,
                                  struct flo_buf *out);
void flo_http_metrics_serve(struct flo_http_metrics *page, enum flo_naming naming,
                            flo_http_render_fn render, void *ctx,
                            const struct flo_http_request *request, struct flo_http_reply *reply);
/* Let go of pages that are too old to be served again; where they are large, call it now and then.
 */
void flo_http_metrics_expire(struct flo_http_metrics *page);
void flo_http_metrics_fini(struct flo_http_metrics *page);

/* A server without listeners. metrics and health may be NULL (then /metrics, or the checks, are
 * absent); both are borrowed and must outlive the server. */
FLO_MUST_CHECK int flo_http_new(struct event_base *base, struct flo_metrics *metrics,
                                struct flo_health *health, struct flo_http **out,
                                struct flo_err *err);
/* Close listeners and connections, free. NULL is fine. */
void flo_http_destroy(struct flo_http **http);

/*
 * Listen on host:port (numeric host or name; port 0: the kernel chooses). All listeners serve all
 * paths. When out_address is not NULL it gets the chosen "HOST:PORT" ("[::1]:80" for IPv6).
 * FLO_ECONN: in use or not ours; FLO_EPERM; FLO_EINVAL: bad host. The program exits 73 (77).
 */
FLO_MUST_CHECK int flo_http_listen(struct flo_http *http, const char *host, int port,
                                   char out_address[FLO_HTTP_ADDRESS_MAX], struct flo_err *err);
/*
 * The two listeners of a program: health and metrics; one when host and port are equal (0 counts).
 * out_health and out_metrics may be NULL.
 */
FLO_MUST_CHECK int flo_http_listen_both(struct flo_http *http, const char *health_host,
                                        int health_port, const char *metrics_host, int metrics_port,
                                        char out_health[FLO_HTTP_ADDRESS_MAX],
                                        char out_metrics[FLO_HTTP_ADDRESS_MAX],
                                        struct flo_err *err);

/* The listening sockets, into out_fds; how many. They stay the server's. */
#define FLO_HTTP_LISTENERS_MAX 4
size_t flo_http_listeners(const struct flo_http *http, int out_fds[FLO_HTTP_LISTENERS_MAX]);

/* What is served where. */
struct flo_http_route {
    const char *path; /* borrowed for ever */
    bool prefix;      /* also all paths that begin with it; it should end in "/" */
    unsigned methods; /* enum flo_http_method, or-ed; 0: GET */
    size_t body_max;  /* bytes, at most FLO_HTTP_BODY_MAX; 0: no bodies */
    bool own_name; /* also GET only under a name that nobody else can give to our address (above):
                    * for what a web page elsewhere must not read, not by rebinding either */
    flo_http_handler_fn fn;
    void *ctx;
};
#define FLO_HTTP_BODY_MAX ((size_t)64 * 1024)

/*
 * Serve a route (copied). The same path again replaces it; an exact path goes before a prefix, a
 * longer prefix before a shorter one. At most 48. FLO_EFULL, FLO_EINVAL.
 */
FLO_MUST_CHECK int flo_http_route(struct flo_http *http, const struct flo_http_route *route);
/* The same for a page that is only read: GET, exact. */
FLO_MUST_CHECK int flo_http_handle(struct flo_http *http, const char *path, flo_http_handler_fn fn,
                                   void *ctx);

/* One more name, without port, under which this server may be told to change something; "*": any.
 * Copied; at most 16. FLO_EFULL, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_http_trust_host(struct flo_http *http, const char *name);

/* ---- answers that come later ---- */

/*
 * The request of a handler that answers later. The client may go away first (or the server end):
 * then gone(ctx) is called, once, the handle is dead, and nobody answers any more. There is no time
 * limit of the server's: whoever defers sees to one.
 */
struct flo_http_later;
typedef void (*flo_http_gone_fn)(void *ctx);
/* From inside a handler, at most once; what the handler wrote into its reply is dropped. NULL
 * without memory (then the handler answers now). gone may be NULL. */
struct flo_http_later *flo_http_later(const struct flo_http_request *request, flo_http_gone_fn gone,
                                      void *ctx);
/* A reply as handlers get it. */
void flo_http_reply_init(struct flo_http_reply *reply);
/* Answer; takes the reply's content, and the handle, which is cleared. gone is not called. Not from
 * inside the handler that deferred. */
void flo_http_answer(struct flo_http_later **later, struct flo_http_reply *reply);

/* ---- server-sent events ---- */

/*
 * A channel of events (text/event-stream) with any number of listeners up to its bound. An event is
 * written once and handed to all. A listener that does not read is dropped when more than
 * backlog_bytes wait for it: it comes back by itself, after retry_ms.
 */
struct flo_http_channel;
struct flo_http_channel_options {
    size_t listeners_max; /* more are answered 503 with Retry-After */
    size_t backlog_bytes;
    int retry_ms;
};
FLO_MUST_CHECK int flo_http_channel_new(struct flo_http *http,
                                        const struct flo_http_channel_options *options,
                                        struct flo_http_channel **out);
/* Ends all streams. Before the server's end. NULL inside is fine. */
void flo_http_channel_destroy(struct flo_http_channel **channel);
/*
 * From inside a handler: make its request a listener, which first gets the events in `first` (made
 * by flo_http_event; may be NULL). At the bound, or without memory, reply says 503 instead. False
 * then.
 */
bool flo_http_channel_join(struct flo_http_channel *channel, const struct flo_http_request *request,
                           struct flo_http_reply *reply, const struct flo_buf *first);
size_t flo_http_channel_listeners(const struct flo_http_channel *channel);
/*
 * Append one event to out: its name (no line breaks), its id (NULL: none), its data of any number
 * of lines. The buffer's `failed` says whether it fitted.
 */
void flo_http_event(struct flo_buf *out, const char *name, const char *id, const char *data,
                    size_t len);
/* Send what flo_http_event wrote to all listeners. An empty text sends a comment, which keeps
 * streams alive that have nothing to say. */
void flo_http_channel_send(struct flo_http_channel *channel, const struct flo_buf *events);

#endif
