/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power.h - an SQLite VFS whose power fails: what was not synced is there afterwards, or not, or in
 * part, each sector of 512 bytes for itself.
 *
 * Files lie in the system's VFS, and what is written goes there at once. The content that the last
 * sync left is kept beside it, sector by sector, so that power_restore can put back some of it.
 * After the failure every operation fails, as for a process that is gone. One thread.
 */
#ifndef FLO_SIMULATION_POWER_H
#define FLO_SIMULATION_POWER_H

#include <stdbool.h>

#include "base/random.h"

/* Make it the default VFS of the process, before any connection. */
void power_install(void);
/* The power fails at the operation (a write, a sync, a new size) after `operations` others. */
void power_fails_after(unsigned operations);
bool power_is_off(void);
/* Broken on purpose: syncs do nothing, and say that they did. */
void power_sync_lies(bool lies);
/* All connections are closed: decide what has survived, and switch the power on for good. */
void power_restore(struct flo_rng *rng);
/* Forget all files; they may be removed. */
void power_forget(void);

#endif
