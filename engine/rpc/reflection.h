/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reflection.h - what server reflection (grpc.reflection.v1 and v1alpha) answers: our own schema,
 * described at build time, and the services that are really served, described from the tables that
 * serve them. Pure: a request goes in, an answer comes out. Loop thread.
 */
#ifndef FLO_ENGINE_RPC_REFLECTION_H
#define FLO_ENGINE_RPC_REFLECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "wire/api.h"

/* One served method. Strings are borrowed while flo_reflection_new runs. */
struct flo_reflection_method {
    const char *service; /* full name: "grpc.health.v1.Health" */
    const char *name;
    const char *request;  /* full name of its message */
    const char *response; /* the same; NULL: request with Response in place of Request */
    bool client_streams, server_streams;
};

struct flo_reflection; /* opaque: reflection.c */

/* Describe these methods (those of one service one after the other; one whose messages the schema
 * does not have is left out). FLO_ENOMEM, FLO_EDATA (the built-in schema cannot be read). */
FLO_MUST_CHECK int flo_reflection_new(const struct flo_reflection_method *methods, size_t count,
                                      struct flo_reflection **out_reflection);
void flo_reflection_destroy(struct flo_reflection **reflection);

/* Answer a request (borrowed, as is the answer's memory: arena's, the request's, reflection's).
 * NULL without memory. */
Grpc__Reflection__V1__ServerReflectionResponse *flo_reflection_answer(
    const struct flo_reflection *reflection, Grpc__Reflection__V1__ServerReflectionRequest *request,
    struct flo_arena *arena);

#endif
