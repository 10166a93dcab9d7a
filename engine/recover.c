/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - from the store into the core: namespaces, records, open runs with their histories.
 *
 * An engine serves before it has read all of its open runs: a workflow that is asked for comes at
 * once, and the others are looked at one after the other between the turns of the loop, so that
 * their tasks and timers, if they have any, come to life.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"

/* So many open runs are loaded before the first call is served. */
#define AT_ONCE 1000
/* How long a turn of the loop may look at others. */
#define SLICE_NS FLO_NS_PER_MS

struct recovery {
    struct flo_core *core;
    size_t namespaces, records;
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
    return flo_core_load_run(recovery->core, run, batches, count, err);
}

/* The first open runs, at once, so that a damaged one of a small database is noticed before anybody
 * is served; the keys of the others stay for flo_shell_wake. */
static int load_runs(struct flo_shell *shell, struct recovery *recovery, struct flo_err *err)
{
    struct flo_waking *waking = &shell->waking;
    int rc = flo_store_open_keys(shell->store, &waking->keys, &waking->count, err);
    const size_t at_once = shell->skip.on ? waking->count : AT_ONCE;
    for (; !rc && waking->next < waking->count && waking->next < at_once; waking->next++)
        rc = flo_store_load_open_run(shell->store, waking->keys[waking->next], load_run, recovery,
                                     err);
    if (!rc)
        flo_core_expect(shell->core, waking->count - waking->next);
    return rc;
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
        rc = load_runs(shell, &recovery, err);
    if (!rc)
        rc = flo_store_next_key(shell->store, &next_key, err);
    if (!rc)
        rc = flo_core_recovered(shell->core, next_key, err);
    if (rc)
        return rc;
    if (!flo_store_in_memory(shell->store))
        flo_log(FLO_LOG_INFO, "engine.recovered", "The stored state is loaded", "#namespaces",
                FLO_NUM(recovery.namespaces), "#records", FLO_NUM(recovery.records),
                "#open_workflows", FLO_NUM(shell->waking.count), "#to_come",
                FLO_NUM(shell->waking.count - shell->waking.next), "#elapsed_ms",
                FLO_NUM((flo_clock_mono_ns() - begun) / FLO_NS_PER_MS), NULL);
    return 0;
}

bool flo_shell_wake(struct flo_shell *shell)
{
    struct flo_waking *waking = &shell->waking;
    if (waking->next == waking->count)
        return false;
    const int64_t until = flo_clock_mono_ns() + SLICE_NS;
    do
        flo_core_wake(shell->core, waking->keys[waking->next++]);
    while (waking->next < waking->count && flo_clock_mono_ns() < until);
    if (waking->next < waking->count)
        return true;
    flo_log(FLO_LOG_INFO, "engine.all_awake", "Every open workflow has been looked at",
            "#open_workflows", FLO_NUM(waking->count), NULL);
    flo_free(waking->keys);
    *waking = (struct flo_waking){0};
    return false;
}
