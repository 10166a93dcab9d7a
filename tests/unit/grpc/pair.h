/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.h - a gRPC server and a channel in one process on one event loop, over real sockets on
 * 127.0.0.1, and a loop that runs until a condition holds.
 */
#ifndef FLO_TEST_GRPC_PAIR_H
#define FLO_TEST_GRPC_PAIR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <event2/event.h>

#include "grpc/client.h"
#include "grpc/server.h"

#define PARKED_MAX 256

/* How one call of the test ended. */
struct outcome {
    int runs; /* of the done callback */
    int code;
    char message[256];
    uint8_t details[256];
    size_t details_len;
    uint8_t *body; /* copied; freed by outcome_fini */
    size_t len;
};

struct pair {
    struct event_base *base;
    struct flo_grpc_server *server;
    struct flo_grpc_channel *channel;
    /*
     * The server's handler by path: "/t/echo" answers the request's bytes, "/t/park" keeps the call
     * in parked, "/t/fail" answers an error with details, "/t/meta" answers the header named in the
     * body, "/t/big" answers as many bytes as the body (decimal) says. "/t/chat" takes a stream and
     * answers each message with itself, but "big N" with N bytes, "quiet ..." not at all; "end"
     * ends the stream, "refuse" with an error; so does the client's half-close.
     */
    struct flo_grpc_server_call *parked[PARKED_MAX];
    size_t parked_count;
    int calls, cancels;        /* seen by the handler */
    int messages, half_closes; /* of streams */
    int rejects;
    char last_reject[64];
    bool connected; /* as on_state said */
    int connects;   /* times it said so */
    char state_reason[200];
};

/* Make the loop and the server; opt may be NULL; listen defaults to 127.0.0.1:0. */
void pair_init(struct pair *pair, const struct flo_grpc_server_options *opt);
/* Start a (second) server on the same options, e.g. after destroying the first. */
void pair_serve(struct pair *pair, const struct flo_grpc_server_options *opt);
/* Make the channel to address (NULL = the server's). */
void pair_connect(struct pair *pair, const char *address,
                  const struct flo_grpc_channel_options *opt);
void pair_fini(struct pair *pair);

/* Start a call with the given body text; the outcome must outlive it. */
struct flo_grpc_call *pair_call(struct pair *pair, const char *path, const void *body, size_t len,
                                int64_t timeout_ms, struct outcome *out);
/* As above, all options at hand: done and ctx are set here. */
struct flo_grpc_call *pair_call_with(struct pair *pair, struct flo_grpc_call_options *opt,
                                     struct outcome *out);
/* As above, but the call may be refused: returns what flo_grpc_call_start said. */
int pair_try_call(struct pair *pair, struct flo_grpc_call_options *opt, struct outcome *out);
void outcome_fini(struct outcome *out);

/* Run the loop until cond holds; fails the test after 20 s. */
#define RUN_UNTIL(pair, cond)                                                                      \
    do {                                                                                           \
        int64_t give_up_ = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;                                \
        pair_tick_begin(pair);                                                                     \
        while (!(cond)) {                                                                          \
            if (flo_clock_mono_ns() > give_up_)                                                    \
                fail_msg("still waiting for: %s", #cond);                                          \
            event_base_loop((pair)->base, EVLOOP_ONCE);                                            \
        }                                                                                          \
        pair_tick_end(pair);                                                                       \
    } while (0)
/* A timer that wakes the loop so that RUN_UNTIL sees its deadline. */
void pair_tick_begin(struct pair *pair);
void pair_tick_end(struct pair *pair);

#endif
