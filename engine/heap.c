/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - the memory of runs that are gone goes back to the system.
 *
 * An open run is a few small blocks. When many end, most pages of the heap are free but for the
 * last ones, and the allocator gives back only what lies at its end: a peak would stay for ever.
 * So when at most half of the runs of the last peak are left, the whole heap is trimmed. That walks
 * over all free blocks, and the next runs have to fetch the pages again: it is done while nobody
 * waits for an answer, not for small peaks, and seldom.
 */
#include <malloc.h>

#include "base/clock.h"
#include "engine/shell_internal.h"

#define PERIOD_NS FLO_NS_PER_S /* at most so often */
#define MIN_PEAK 4096          /* runs: some 8 MB */

void flo_shell_give_back(struct flo_shell *shell, int64_t now_ns)
{
    const size_t open = flo_core_open_runs(shell->core);
    if (open > shell->peak_runs)
        shell->peak_runs = open;
    shell->give_back_at_ns = INT64_MAX;
    if (shell->peak_runs < MIN_PEAK || open > shell->peak_runs / 2)
        return;
    if (now_ns < shell->gave_back_ns + PERIOD_NS) {
        shell->give_back_at_ns = shell->gave_back_ns + PERIOD_NS;
        return;
    }
    if (!flo_committer_idle(shell->committer) || flo_calls_holding(&shell->calls))
        return; /* there will be another turn */
    malloc_trim(0);
    shell->peak_runs = open;
    shell->gave_back_ns = now_ns;
}
