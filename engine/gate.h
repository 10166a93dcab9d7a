/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.h - before a call is served: may its caller (access.h), and is it not too much (limits.h)?
 * An engine without keys and limits has no gate and pays nothing for it.
 */
#ifndef FLO_ENGINE_GATE_H
#define FLO_ENGINE_GATE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/arena.h"
#include "engine/access.h"
#include "engine/core/core.h"
#include "engine/limits.h"
#include "grpc/server.h"

struct event_base;
struct flo_gate; /* opaque: gate.c */

struct flo_gate_options {
    const char *keys_file; /* NULL: everybody may */
    struct flo_limits_options limits;
    /* Counts a refusal under a static reason: access.key, access.namespace, limit.namespace_rate,
     * limit.namespace_concurrent. */
    void (*on_reject)(void *ctx, const char *reason);
    void *ctx;
};

/* Whose key a method wants. */
enum flo_gate_policy {
    FLO_GATE_ANYONE,    /* none: what tells whether the engine is there */
    FLO_GATE_ANY_KEY,   /* any */
    FLO_GATE_NAMESPACE, /* one of the request's namespace */
    FLO_GATE_ENGINE,    /* one of all namespaces: what changes or lists them */
};

/* What the gate wants to know of a method: found once. */
struct flo_gate_method {
    enum flo_gate_policy policy;
    enum flo_limits_long kind;
    unsigned namespace_offset; /* of the request's field; 0: it has none */
};

/* Reads the keys, and again when the file changes, or at SIGHUP. *out_gate is NULL when there is
 * nothing to guard. Errors of flo_access_new. */
FLO_MUST_CHECK int flo_gate_new(struct event_base *base, const struct flo_gate_options *options,
                                struct flo_gate **out_gate, struct flo_err *err);
void flo_gate_destroy(struct flo_gate **gate);

struct flo_gate_method flo_gate_method(const char *service, size_t service_len, const char *name,
                                       const ProtobufCMessageDescriptor *request);
/* Before the request is decoded: is the caller somebody? Else the call is answered. */
bool flo_gate_knows(struct flo_gate *gate, struct flo_grpc_server_call *call,
                    enum flo_gate_policy policy);
/*
 * Right after flo_gate_knows: may the call be served? Else *out_refusal is filled (all but the
 * call; memory of the arena). *out_open as in flo_limits_begin.
 */
bool flo_gate_admits(struct flo_gate *gate, const struct flo_gate_method *method,
                     const ProtobufCMessage *request, struct flo_arena *arena,
                     struct flo_core_reply *out_refusal, unsigned **out_open);

#endif
