/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_internal.h - what the parts of the exporter share: one request, TLS, the two encodings. */
#ifndef FLO_TELEMETRY_OTLP_INTERNAL_H
#define FLO_TELEMETRY_OTLP_INTERNAL_H

#include "base/buf.h"
#include "base/pairs.h"
#include "telemetry/otlp.h"

struct bufferevent;
struct evbuffer;
struct evdns_base;

/* ---- otlp_http.c: one POST, on a connection of its own ---- */

struct flo_otlp_url {
    bool tls;
    char *host;      /* without brackets */
    char *path;      /* with the query */
    char *authority; /* the Host header */
    int port;
};
FLO_MUST_CHECK int flo_otlp_url_parse(const char *text, struct flo_otlp_url *out,
                                      struct flo_err *err);
void flo_otlp_url_fini(struct flo_otlp_url *url);

struct flo_otlp_reply {
    int status;         /* of HTTP; 0: none came */
    const char *reason; /* why none came */
    int64_t retry_ms;   /* what Retry-After asks for; -1: nothing */
    const char *body;   /* at most 64 KiB; NUL-terminated */
};
typedef void (*flo_otlp_reply_fn)(void *ctx, const struct flo_otlp_reply *reply);

struct flo_otlp_post; /* under way */

/* What each request needs; borrowed for as long as the request. */
struct flo_otlp_peer {
    struct event_base *base;
    struct flo_otlp_url url;
    const struct flo_pairs *headers;
    const char *agent;
    struct flo_otlp_tls *tls; /* with url.tls */
    struct evdns_base **dns;  /* made at the first name that is no address */
    int64_t timeout_ms;
};
/* Send body (emptied). done is called once, from the loop, never from within this call; then *post
 * is gone. FLO_ENOMEM, FLO_ESYS. */
FLO_MUST_CHECK int flo_otlp_post_start(const struct flo_otlp_peer *peer, struct evbuffer *body,
                                       flo_otlp_reply_fn done, void *ctx,
                                       struct flo_otlp_post **out);
/* Without calling done. NULL is fine. */
void flo_otlp_post_cancel(struct flo_otlp_post **post);

/* ---- otlp_tls.c: https, by libraries that are loaded when it is asked for ---- */

FLO_MUST_CHECK int flo_otlp_tls_new(const char *ca_file, struct flo_otlp_tls **out,
                                    struct flo_err *err);
void flo_otlp_tls_free(struct flo_otlp_tls **tls);
/* A connection to be made to that host; its certificate must be for it. NULL: no memory. */
struct bufferevent *flo_otlp_tls_bufferevent(struct flo_otlp_tls *tls, struct event_base *base,
                                             const char *host);

/* ---- otlp_encode.c ---- */

/* {"key": ..., "value": {"stringValue": ...}}, after a comma unless it is the first. */
void flo_otlp_put_attribute(struct flo_buf *out, bool first, const char *key, const char *value);
/* {"attributes": [...]}: the resource that options say. */
void flo_otlp_put_resource(struct flo_buf *out, const struct flo_otlp_options *options,
                           const struct flo_pairs *more);
/* One Span. */
void flo_otlp_put_span(struct flo_buf *out, const struct flo_otlp_span *span);

/* ---- otlp_metrics.c ---- */

/* The registry as the array of Metric, as it is now. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_otlp_put_metrics(struct flo_buf *out, struct flo_metrics *metrics,
                                        int64_t start_ns, int64_t now_ns);

#endif
