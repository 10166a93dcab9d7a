/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_dir.h - the fleet's folder: one fleet at a time, and a file that tells scripts where it is.
 */
#ifndef FLO_SUPERVISOR_STATE_DIR_H
#define FLO_SUPERVISOR_STATE_DIR_H

#include <jansson.h>
#include <stdbool.h>

#include "flotilla/error.h"

struct flo_state_dir {
    char *path;  /* absolute */
    int lock_fd; /* holds the lock while open; -1 without */
};

/*
 * Make the folder (0700) if it is not there; with lock also claim it for this process. FLO_ECONN:
 * another fleet runs in it (its pid is in the sentence); FLO_EPERM, FLO_ESYS.
 */
FLO_MUST_CHECK int flo_state_dir_open(const char *path, bool lock, struct flo_state_dir *out,
                                      struct flo_err *err);
/* Was the last supervisor here killed: is its fleet.json there still? */
bool flo_state_dir_is_left(const struct flo_state_dir *dir);
/*
 * A supervisor that was killed leaves an engine that is still ending, and two cannot have one
 * database: wait until the engine of the fleet.json it left behind is gone. Blocks, 10 s at most.
 */
void flo_state_dir_await_engine(const struct flo_state_dir *dir);
/* The server's address from a fleet.json that a supervisor left behind when it was killed, if it
 * can be listened on now: clients may still be waiting for it there. "" otherwise. */
void flo_state_dir_last_server(const struct flo_state_dir *dir, char *out, size_t size);
/* Write fleet.json (replaced as a whole, never half-written). */
FLO_MUST_CHECK int flo_state_dir_publish(const struct flo_state_dir *dir, const json_t *fleet,
                                         struct flo_err *err);
/* Remove fleet.json when it is ours, give the folder up. */
void flo_state_dir_close(struct flo_state_dir *dir);

#endif
