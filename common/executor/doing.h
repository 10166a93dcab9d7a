/* SPDX-License-Identifier: Apache-2.0 */
/* doing.h - what the kernel says that a thread of this process does (private to this folder). */
#ifndef FLO_EXECUTOR_DOING_H
#define FLO_EXECUTOR_DOING_H

#include <stddef.h>
#include <sys/types.h>

/*
 * From what /proc/self/task/TID shows: "computing", "sleeping in futex_wait_queue, system call
 * futex", "sleeping in tcp_recvmsg, system call recvfrom of descriptor 7 (socket:[123])". What it
 * does not show (other users' kernels hide a lot) is left out; "" when there is nothing.
 */
void flo_doing(pid_t tid, char *out, size_t cap);

/* The sentence for the contents of stat, wchan and syscall ("" = not readable) and the target of
 * the descriptor that is the call's first argument. Pure. */
void flo_doing_sentence(const char *stat, const char *wchan, const char *call,
                        const char *descriptor, char *out, size_t cap);
/* The descriptor that a call in /proc's form works on, -1 when it is none that does. Pure. */
int flo_doing_descriptor(const char *call);

#endif
