/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replays.h - how many whole histories are replayed at once. After a restart every run comes back
 * without its cache; were all replayed together, each would take as long as all, and the time
 * limits of all their tasks might pass. So at most as many as there are cores are fetched and
 * replayed at once, and of those that wait the one whose time limit ends last goes first: it is the
 * likeliest to be ready in time. One whose time limit is over is not replayed at all: the server
 * has given the task to somebody else.
 *
 * Loop thread only.
 */
#ifndef FLO_WORKER_REPLAYS_H
#define FLO_WORKER_REPLAYS_H

#include <stdint.h>

#include "base/list.h"
#include "flotilla/error.h"

struct flo_worker;
struct flo_workflow_task;

struct flo_replays {
    size_t limit;
    size_t running;
    struct flo_list waiting; /* of flo_workflow_task.replay_node, the last deadline first */
    /* A storm: from the first that has to wait to the last that runs. */
    bool storm;
    uint64_t done; /* since the start, or of the storm */
    int64_t storm_ns;
};

void flo_replays_init(struct flo_worker *worker);
/* May wt, which needs a whole history, go on now? False: flo_execute_replay is called when it may,
 * or it ends. One that was let in is, until it leaves. */
bool flo_replays_enter(struct flo_workflow_task *wt);
/* wt has been activated, or ends. Nothing for one that never entered. */
void flo_replays_leave(struct flo_workflow_task *wt);

#endif
