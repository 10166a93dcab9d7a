/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - the workflow and activity types that this worker serves, and the modules that they
 * come from: loadable .so files that the YAML lists, and one table linked into the program.
 *
 * Filled once at the start; then only read, also by executor threads and by executor processes
 * (which hold a copy from before their fork).
 */
#ifndef FLO_WORKER_REGISTRY_H
#define FLO_WORKER_REGISTRY_H

#include "activity/task.h"
#include "base/buf.h"
#include "codec/codec.h"
#include "config/role_config.h"
#include "flotilla/worker.h"
#include "workflow/run.h"

struct flo_registry; /* opaque */

FLO_MUST_CHECK int flo_registry_new(struct flo_registry **out, struct flo_err *err);
/* Unload modules (their stop was called). NULL is fine. */
void flo_registry_destroy(struct flo_registry **registry);

/*
 * Load the module of one YAML entry and register what role runs of it: workflows for the workflow
 * role (its activities are found by flo_registry_local), activities for the others, cut down to the
 * entry's lists when it has any.
 * FLO_ECONFIG, with one sentence that names the path: no such file, writable by everybody, not ELF,
 * does not load (unresolved symbol), no table, other ABI, a listed type that it does not have, a
 * type that another module has already; for the workflow role: workflows in a module that imports
 * what no workflow may use (imports.h), unless the entry says unchecked.
 */
FLO_MUST_CHECK int flo_registry_load(struct flo_registry *registry, enum flo_role role,
                                     const struct flo_module_config *config, struct flo_err *err);
/* Register a table that is linked into the program. Borrowed. */
FLO_MUST_CHECK int flo_registry_add(struct flo_registry *registry, enum flo_role role,
                                    const struct flo_module *module, struct flo_err *err);

/* Call each module's start / stop in this process: once before the first activity, once after the
 * last. The sentence names the module. */
FLO_MUST_CHECK int flo_registry_start(struct flo_registry *registry, const char *role,
                                      const char *identity, struct flo_err *err);
void flo_registry_stop(struct flo_registry *registry);

/* NULL for unknown types. */
flo_workflow_fn flo_registry_workflow(const struct flo_registry *registry, const char *type);
/* False for unknown types. *out_shared is what the module's start made. */
bool flo_registry_activity(const struct flo_registry *registry, const char *type,
                           flo_activity_fn *out_fn, void **out_shared);
/* The same for a workflow worker, of the activities that its modules have: those are not
 * registered, and of two with one name the first is found. */
bool flo_registry_local(const struct flo_registry *registry, const char *type,
                        flo_activity_fn *out_fn, void **out_shared);
/* Their names as "a, b". Any thread. */
void flo_registry_local_names(const struct flo_registry *registry, struct flo_buf *out);
/* The interceptors of all modules, the outermost first; borrowed until the registry changes. */
const struct flo_activity_wrap *flo_registry_wraps(const struct flo_registry *registry,
                                                   size_t *out_count);
/* A header of this key goes along with what workflows start; the key is borrowed. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_registry_propagate(struct flo_registry *registry, const char *key,
                                          struct flo_err *err);
/* The workflow interceptors of all modules and those keys, into the environment of runs; borrowed
 * until the registry changes. */
void flo_registry_around(const struct flo_registry *registry, struct flo_run_env *out_env);
/* What a module says of the versioning of a workflow type; UNSPECIFIED: nothing. */
enum flo_versioning_behavior flo_registry_versioning(const struct flo_registry *registry,
                                                     const char *type);
/* Put the codecs of all modules into row, in the order of the modules. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_registry_codecs(const struct flo_registry *registry,
                                       struct flo_codec_row *row);
/* How many types are registered. */
size_t flo_registry_count(const struct flo_registry *registry);
/* Their names, sorted, ended by NULL; borrowed until the registry changes. NULL without memory.
 * Loop thread, before executors start. */
const char *const *flo_registry_types(struct flo_registry *registry);
/* The same as "a, b". Any thread once flo_registry_types was called. */
void flo_registry_names(const struct flo_registry *registry, struct flo_buf *out);

#endif
