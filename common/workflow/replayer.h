/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replayer.h - does the code still do what a history says it did? Replays whole histories, of runs
 * that have ended or not, without a server.
 */
#ifndef FLO_WORKFLOW_REPLAYER_H
#define FLO_WORKFLOW_REPLAYER_H

#include "workflow/run.h"

struct flo_replay_verdict {
    bool good;
    bool nondeterministic;     /* it is not good because code and history differ */
    const char *message, *why; /* not good: a sentence, and lines that explain it ("": none) */
    const char *workflow_type; /* "" when the history does not begin with its start */
    size_t event_count;
};

/*
 * Replay history with the code that lookup finds. env->observer looks on. The texts live in arena
 * or belong to history. What the code would do next, when history ends with a task at hand, is run
 * too and dropped. 0 with *out, whatever it says; FLO_ENOMEM. Any thread, as flo_run_activate.
 */
FLO_MUST_CHECK int flo_replay_history(const struct flo_run_env *env, flo_workflow_lookup_fn lookup,
                                      void *lookup_ctx, const FloApi__History *history,
                                      struct flo_arena *arena, struct flo_replay_verdict *out);

#endif
