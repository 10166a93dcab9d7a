/* SPDX-License-Identifier: Apache-2.0 */
/* visibility.h - what others than the list calls want of queries. */
#ifndef FLO_ENGINE_RPC_VISIBILITY_H
#define FLO_ENGINE_RPC_VISIBILITY_H

#include "base/arena.h"
#include "engine/core/core.h"
#include "engine/store/store.h"

/* A query of a namespace, without GROUP BY, as a filter; memory is arena's. FLO_EINVAL with the
 * sentence that a list call would answer, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_visibility_compile(const struct flo_core *core, const char *namespace_name,
                                          const char *text, struct flo_arena *arena,
                                          struct flo_store_filter *out, struct flo_err *err);

#endif
