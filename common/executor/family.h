/* SPDX-License-Identifier: Apache-2.0 */
/*
 * family.h - the processes that activities leave behind (private to this folder).
 *
 * Template and executors are subreapers: a process below one of them whose parent has died becomes
 * its child, whatever session or group it went to. So nothing gets lost, and "no children" means
 * "no descendants". An executor looks after each job with one waitpid; the template does when an
 * executor has died.
 */
#ifndef FLO_EXECUTOR_FAMILY_H
#define FLO_EXECUTOR_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Become a subreaper, and remember which process this is for flo_family_here(). Template and each
 * executor, right after their fork. */
void flo_family_begin(void);

/* Is this the process that called flo_family_begin(), and not a fork of it that runs our code on?
 * No system call; async-signal-safe. */
bool flo_family_here(void);

/* The direct children there are now; how many went to out (at most max). Zombies count. */
size_t flo_family_children(pid_t *out, size_t max);

/*
 * Kill and reap all descendants but the direct children in keep and what is below them; tries for
 * about a second, against ones that fork on. True when none is left; false also when that cannot be
 * known, for want of a descriptor. The exit statuses are lost.
 * One thread of a process at a time.
 */
bool flo_family_end(const pid_t *keep, size_t keep_count);

#endif
