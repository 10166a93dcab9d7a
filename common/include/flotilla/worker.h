/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - modules (tables of workflows and activities) and the programs that run them.
 *
 * A module is a table. As a loadable .so it exports it under the name flo_module, and a worker's
 * YAML lists the file; a program of one's own links the library and hands the same table to
 * flo_worker_main.
 */
#ifndef FLOTILLA_WORKER_H
#define FLOTILLA_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "flotilla/activity.h"
#include "flotilla/codec.h"
#include "flotilla/workflow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when struct flo_module changes shape; a module built for another one is refused. */
#define FLO_MODULE_ABI 3

struct flo_workflow_entry {
    const char *type; /* the workflow type that clients start */
    flo_workflow_fn run;
};

/*
 * What becomes of a run when another build of its worker's deployment is made the current one
 * (`deployment.versioned` in the YAML): it stays with its own, or goes on with the new one.
 * UNSPECIFIED: what `deployment.versioning_behavior` of the YAML says.
 */
enum flo_versioning_behavior {
    FLO_VERSIONING_UNSPECIFIED,
    FLO_VERSIONING_PINNED,
    FLO_VERSIONING_AUTO_UPGRADE,
};

/* For a workflow type; a table of its own, so that an entry of struct flo_workflow_entry stays
 * {"Type", function}. */
struct flo_workflow_versioning {
    const char *type;
    enum flo_versioning_behavior behavior;
};

struct flo_activity_entry {
    const char *type;
    flo_activity_fn run;
};

/* What a module may know when it starts: where it runs and the YAML's `settings:` for it. */
struct flo_module_env {
    const char *role;     /* "workflow", "io-activity" or "cpu-activity" */
    const char *identity; /* the worker's */
    json_t *settings;     /* object from the YAML, possibly empty; borrowed during start */
};

struct flo_module {
    uint32_t abi;                                /* FLO_MODULE_ABI */
    const char *name;                            /* for messages */
    const struct flo_workflow_entry *workflows;  /* ends with {NULL, NULL}; may be NULL */
    const struct flo_activity_entry *activities; /* ends with {NULL, NULL}; may be NULL */
    /*
     * Called once before the first task in every process that runs this module's activities;
     * *out_shared is what flo_activity_shared returns. Thread: the loop's, before executors start
     * (IO), or the executor process's only one (CPU). May be NULL.
     */
    int (*start)(const struct flo_module_env *env, void **out_shared, struct flo_err *err);
    /* Called once at the end, when no activity runs any more. May be NULL. */
    void (*stop)(void *shared);
    /* Around every activity of the worker; ends with {NULL, NULL}; may be NULL. */
    const struct flo_activity_interceptor *interceptors;
    /* Payloads of the worker go through these (flotilla/codec.h); ends with an entry without a
     * name; may be NULL. */
    const struct flo_codec *codecs;
    /* Of workflow types that do not follow the worker's default; ends with {NULL, 0}; may be NULL.
     */
    const struct flo_workflow_versioning *versioning;
    /* Around every workflow of the worker (flotilla/workflow/interceptors.h); ends with an entry
     * without functions; may be NULL. */
    const struct flo_workflow_interceptor *workflow_interceptors;
    /* Keys of headers that go along with what every workflow of the worker starts; ends with NULL;
     * may be NULL. */
    const char *const *propagate;
};

#define FLO_WORKFLOWS(...)                                                                         \
    (const struct flo_workflow_entry[])                                                            \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define FLO_ACTIVITIES(...)                                                                        \
    (const struct flo_activity_entry[])                                                            \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

#define FLO_INTERCEPTORS(...)                                                                      \
    (const struct flo_activity_interceptor[])                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

enum flo_role { FLO_ROLE_WORKFLOW, FLO_ROLE_IO_ACTIVITY, FLO_ROLE_CPU_ACTIVITY };

/*
 * The whole program of a worker: reads --config and the overrides, connects, polls, works, drains
 * on SIGTERM or SIGINT. module (may be NULL) is served beside those that the YAML lists. Returns
 * the process's exit code (sysexits: 0 clean stop, 64 usage, 66 no config, 78 bad config, ...).
 */
FLO_API int flo_worker_main(int argc, char **argv, enum flo_role role,
                            const struct flo_module *module);

#ifdef __cplusplus
}
#endif
#endif
