/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - a public session (flotilla/client.h) as its two files share it (this folder only):
 * session.c opens it and makes one blocking call of an asynchronous one; session_activity.c knows
 * the calls.
 */
#ifndef FLO_CLIENT_SESSION_H
#define FLO_CLIENT_SESSION_H

#include <pthread.h>

#include "client/client.h"
#include "flotilla/client.h"

struct event;

/* A call under way: what its done function leaves. */
struct flo_session_call {
    bool done;
    int code; /* of gRPC */
    struct flo_arena arena;
    const char *message;              /* in arena; NULL: no memory */
    const ProtobufCMessage *response; /* in arena; NULL unless OK */
};

struct flo_session {
    pthread_mutex_t mu; /* held during a call: guards all that follows */
    struct event_base *base;
    struct flo_client *client;
    struct flo_codec_row *codecs; /* owned */
    char *address;
    int64_t timeout_ms;
    char reason[256]; /* why there is no connection; "" = there is, or none was tried */
    struct event *deadline;
    struct flo_client_call *under_way;
    struct flo_session_call call;
};

/* Take the session and clear its call; session->call.arena is the request's, too. */
void flo_session_begin(struct flo_session *session);
/* The done function of the call; ctx is the session. */
void flo_session_done(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response);
/* rc: what starting the call said (it is session->under_way). Wait for its end, hand the answer of
 * one that succeeded to take (may be NULL), and let go of the session. What the public functions
 * return. */
FLO_MUST_CHECK int flo_session_finish(struct flo_session *session, int rc,
                                      void (*take)(void *ctx, const ProtobufCMessage *response),
                                      void *ctx, struct flo_err *err);

#endif
