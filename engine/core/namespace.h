/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.h - the namespaces, all of them in memory (namespace.c). */
#ifndef FLO_ENGINE_CORE_NAMESPACE_H
#define FLO_ENGINE_CORE_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/random.h"
#include "flotilla/error.h"

struct flo_core;   /* internal.h */
struct flo_status; /* reply.h */

struct flo_namespace {
    char id[FLO_UUID_LEN + 1];
    char *name;
    int64_t retention_ns;
    uint8_t token_secret[16]; /* key of task and page tokens; stored, so tokens outlive us */
    size_t polls[2];          /* waiting polls: workflow, activity */
    size_t history_waits;     /* calls that wait for new events */
    bool dirty;               /* to be stored with the next batch */
    struct flo_arena arena;   /* holds state */
    struct FloEngine__NamespaceState *state; /* the rest of what is stored */
};

/* The namespace of this name, or NOT_FOUND in status. */
FLO_MUST_CHECK int flo_namespace_named(struct flo_core *core, const char *name,
                                       struct flo_namespace **out, struct flo_status *status);
/* The same for a name as requests give it: refused when it is empty or too long. */
FLO_MUST_CHECK int flo_namespace_find(struct flo_core *core, const char *name,
                                      struct flo_namespace **out, struct flo_status *status);
/* Give a namespace a new state, which is copied; *out_after is the commit that an answer waits for.
 * 0, FLO_ENOMEM: nothing happened. */
FLO_MUST_CHECK int flo_namespace_replace(struct flo_core *core, struct flo_namespace *ns,
                                         const struct FloEngine__NamespaceState *state,
                                         uint64_t *out_after, struct flo_status *status);
void flo_namespaces_fini(struct flo_core *core);
/* By id, or NULL. */
struct flo_namespace *flo_namespace_by_id(struct flo_core *core, const char *id);
/* By name, or NULL: for child and external commands. */
struct flo_namespace *flo_namespace_by_name(struct flo_core *core, const char *name);

#endif
