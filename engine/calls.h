/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.h - the calls that are being served, between gRPC and the core.
 *
 *   OPEN --reply, durable--> gone
 *   OPEN --reply, not yet--> HELD --its commit is durable--> gone
 *   OPEN or HELD --client gone--> gone (the core is told, so that a task goes back)
 *
 * Rule "acknowledge after durable": a reply that names a commit leaves only after it. Loop thread.
 */
#ifndef FLO_ENGINE_CALLS_H
#define FLO_ENGINE_CALLS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "engine/core/core.h"
#include "grpc/server.h"
#include "telemetry/metrics.h"

#define FLO_CALLS_HELD_MAX ((size_t)64 << 20)

/* Distinct methods; many more than the engine serves. */
#define FLO_CALLS_METHODS_MAX 256
#define FLO_CALLS_CODES 17 /* gRPC's, from 0 */

struct flo_call_slot;

/* What all calls of a method have in common. Its figures are found at the first answer. */
struct flo_call_method {
    bool client;    /* its caller may be about to do something else */
    bool task_poll; /* waits for a task: answered empty at the end */
    bool long_poll; /* says nothing about how fast the engine is */
    struct flo_series *latency;
    struct flo_series *answers[FLO_CALLS_CODES]; /* by code */
    char name[];
};

struct flo_calls {
    struct flo_call_slot *slots;
    size_t slot_count;
    uint32_t first_free;         /* index + 1; 0 = none */
    uint64_t serial;             /* of the last call; makes ids unique */
    uint64_t durable;            /* last durable commit */
    struct flo_list held;        /* replies by rising `after` */
    size_t held_bytes;           /* of them and of the requests that they answer */
    struct flo_buf scratch;      /* a reply while it is packed */
    struct flo_metrics *metrics; /* may be NULL */
    struct flo_call_method *methods[FLO_CALLS_METHODS_MAX];
    size_t method_count;
    uint64_t client_answers; /* so many of flo_call_method.client were answered */
};

void flo_calls_init(struct flo_calls *calls, struct flo_metrics *metrics);
/* Forget all, without answering. */
void flo_calls_fini(struct flo_calls *calls);

/* The method of that name, made at the first time; it lives as long as calls. NULL without memory
 * or past FLO_CALLS_METHODS_MAX. */
struct flo_call_method *flo_calls_method(struct flo_calls *calls, const char *name);
/* Take a call in; request_bytes is the size of its request. Its id, or 0 without memory. */
uint64_t flo_calls_add(struct flo_calls *calls, struct flo_grpc_server_call *grpc,
                       struct flo_call_method *method, size_t request_bytes);
/* The call is counted in *open: it goes down when the call is over. */
void flo_calls_count(struct flo_calls *calls, uint64_t id, unsigned *open);
/* The client is gone: forget the call and its reply. Unknown ids are fine. */
void flo_calls_forget(struct flo_calls *calls, uint64_t id);

/* Answer (the core's env->reply): at once, or held until its commit. Unknown ids are fine. */
void flo_calls_reply(struct flo_calls *calls, const struct flo_core_reply *reply);

/* Commit seq is durable: let go what waited for it. */
void flo_calls_durable(struct flo_calls *calls, uint64_t seq);
bool flo_calls_holding(const struct flo_calls *calls);
/* Does so much wait for its commit (FLO_CALLS_HELD_MAX bytes) that nothing more may be changed?
 * What was brought in and not yet stored is in memory at least once. */
bool flo_calls_full(const struct flo_calls *calls);
/*
 * The end: empty answers for task polls, UNAVAILABLE for every other call that is open; with
 * held, also UNAVAILABLE for what is held (its commit failed). open(ctx, id) is told of each open
 * call before it is answered.
 */
void flo_calls_end(struct flo_calls *calls, bool held, const char *message,
                   void (*open)(void *ctx, uint64_t id), void *ctx);

#endif
