/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.c - closed runs are deleted when their namespace's retention is over.
 *
 * A pass asks the store for the oldest closed runs of each namespace, an index lookup each, and has
 * the core delete those that are over: rows and histories go with the next batches. A pass takes
 * PASS_RUNS at most, and the next one waits until they are gone, so that neither the loop nor a
 * commit is ever kept for long.
 */
#include "base/clock.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"

#define PASS_RUNS 500
#define PAUSE_NS (100 * FLO_NS_PER_MS) /* while there is more to delete */
#define IDLE_NS (10 * FLO_NS_PER_S)

struct pass {
    struct flo_shell *shell;
    size_t left; /* runs that this pass may still delete */
    int rc;
};

static void expire_run(void *ctx, uint64_t key, const char *run_id)
{
    struct pass *pass = ctx;
    pass->left--;
    if (!pass->rc)
        pass->rc = flo_core_expire(pass->shell->core, key, run_id);
}

static void expire_namespace(void *ctx, const char *id, int64_t retention_ns)
{
    struct pass *pass = ctx;
    struct flo_err err;
    if (pass->rc || !pass->left)
        return;
    int rc = flo_store_expired(pass->shell->store, id, flo_shell_now(pass->shell) - retention_ns,
                               pass->left, expire_run, pass, &err);
    if (rc) {
        flo_log(FLO_LOG_WARN, "retention.failed", "Closed workflows cannot be looked for", "error",
                err.message, NULL);
        pass->rc = rc;
    }
}

void flo_shell_retain(struct flo_shell *shell, int64_t now_ns)
{
    if (now_ns < shell->retention_at_ns)
        return;
    if (shell->stalled || flo_calls_full(&shell->calls) || flo_core_deleting(shell->core)) {
        shell->retention_at_ns = now_ns + PAUSE_NS;
        return;
    }
    struct pass pass = {.shell = shell, .left = PASS_RUNS};
    flo_core_each_namespace(shell->core, expire_namespace, &pass);
    shell->retention_at_ns = now_ns + (pass.left || pass.rc ? IDLE_NS : PAUSE_NS);
}
