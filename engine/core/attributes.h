/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes.h - the search attributes of a namespace: those that every namespace has
 * (search_attributes.h) and its own, which operators define (attributes.c).
 */
#ifndef FLO_ENGINE_CORE_ATTRIBUTES_H
#define FLO_ENGINE_CORE_ATTRIBUTES_H

#include "base/arena.h"
#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_namespace; /* namespace.h */
struct flo_status;    /* reply.h */

/* The type of an attribute of the namespace, be it predefined or its own; UNSPECIFIED: there is
 * none. */
FloApi__IndexedValueType flo_attribute_type(const struct flo_namespace *ns, const char *name);
/* Search attributes that a user may set: known names, values of their types, sizes. NULL is
 * fine. Status: INVALID_ARGUMENT. */
FLO_MUST_CHECK int flo_check_search_attributes(struct flo_core *core,
                                               const struct flo_namespace *ns,
                                               const FloApi__SearchAttributes *attributes,
                                               struct flo_status *status);
/* Its parts: attributes that there are; values that they take; as many and as large as may be. */
FLO_MUST_CHECK int flo_check_search_attribute_names(struct flo_core *core,
                                                    const struct flo_namespace *ns,
                                                    const FloApi__SearchAttributes *attributes,
                                                    struct flo_status *status);
FLO_MUST_CHECK int flo_check_search_attribute_values(struct flo_core *core,
                                                     const struct flo_namespace *ns,
                                                     const FloApi__SearchAttributes *attributes,
                                                     struct flo_status *status);
FLO_MUST_CHECK int flo_check_search_attribute_sizes(struct flo_core *core,
                                                    const FloApi__SearchAttributes *attributes,
                                                    struct flo_status *status);
/* What is shown of stored attributes: each payload says its type, those whose definition was
 * removed are left out. attributes is changed, more memory is arena's. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_attributes_show(const struct flo_namespace *ns,
                                       FloApi__SearchAttributes *attributes,
                                       struct flo_arena *arena);

#endif
