/* SPDX-License-Identifier: Apache-2.0 */
/* recover.c - from the store into the core: namespaces, open runs with their histories. */
#include "base/clock.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"

struct recovery {
    struct flo_core *core;
    size_t namespaces, records, runs;
};

static int load_namespace(void *ctx, const uint8_t *state, size_t len, struct flo_err *err)
{
    struct recovery *recovery = ctx;
    recovery->namespaces++;
    return flo_core_load_namespace(recovery->core, state, len, err);
}

static int load_record(void *ctx, const struct flo_core_record_row *record, struct flo_err *err)
{
    struct recovery *recovery = ctx;
    recovery->records++;
    return flo_core_load_record(recovery->core, record, err);
}

static int load_run(void *ctx, const struct flo_core_stored_run *run,
                    const struct flo_core_history_batch *batches, size_t count, struct flo_err *err)
{
    struct recovery *recovery = ctx;
    recovery->runs++;
    return flo_core_load_run(recovery->core, run, batches, count, err);
}

int flo_shell_recover(struct flo_shell *shell, struct flo_err *err)
{
    struct recovery recovery = {.core = shell->core};
    uint64_t next_key = 1;
    int64_t begun = flo_clock_mono_ns();

    flo_core_begin(shell->core, flo_shell_now(shell));
    int rc = flo_store_each_namespace(shell->store, load_namespace, &recovery, err);
    if (!rc)
        rc = flo_store_each_record(shell->store, load_record, &recovery, err);
    if (!rc)
        rc = flo_store_each_open_run(shell->store, load_run, &recovery, err);
    if (!rc)
        rc = flo_store_next_key(shell->store, &next_key, err);
    if (!rc)
        rc = flo_core_recovered(shell->core, next_key, err);
    if (rc)
        return rc;
    if (!flo_store_in_memory(shell->store))
        flo_log(FLO_LOG_INFO, "engine.recovered", "The stored state is loaded", "#namespaces",
                FLO_NUM(recovery.namespaces), "#records", FLO_NUM(recovery.records),
                "#open_workflows", FLO_NUM(recovery.runs), "#elapsed_ms",
                FLO_NUM((flo_clock_mono_ns() - begun) / FLO_NS_PER_MS), NULL);
    return 0;
}
