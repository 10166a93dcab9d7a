/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_vfs.h - an SQLite VFS on top of the system's that fails chosen operations: the disk is
 * full, a write or a sync returns an error. For tests of what the store does then.
 */
#ifndef FLO_TESTS_FAULT_VFS_H
#define FLO_TESTS_FAULT_VFS_H

enum fault_kind { FAULT_NONE, FAULT_SYNC, FAULT_WRITE, FAULT_FULL };

/* Make it the default VFS of the process; later connections use it. */
void fault_vfs_install(void);
/* Fail operations of kind, from the one after `after` others on, `times` times (-1 = for ever). Any
 * thread. */
void fault_vfs_set(enum fault_kind kind, int after, int times);
/* Files opened from now on have no shared memory, so that SQLite keeps no write-ahead log. */
void fault_vfs_hide_shm(int hide);
/* Syncs seen since the last fault_vfs_set. */
int fault_vfs_syncs(void);
/* Writes, of whatever size and file. */
int fault_vfs_writes(void);

#endif
