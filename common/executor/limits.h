/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - struct flo_executor_limits as resource limits of an executor process (private to this
 * folder). Executor side.
 */
#ifndef FLO_EXECUTOR_LIMITS_H
#define FLO_EXECUTOR_LIMITS_H

#include "executor/executor.h"

/*
 * Set the limits that stay: open files, and memory (RLIMIT_DATA: heap and private mappings, not
 * address space, which costs nothing) beyond what the process has now.
 */
void flo_limits_begin(const struct flo_executor_limits *limits);
/* Before a job: it may use the CPU limit on top of the used_ns that the process has used. One
 * system call, none without such a limit. */
void flo_limits_job(const struct flo_executor_limits *limits, int64_t used_ns);
/* What the process has now, in bytes; 0 = unknown. Three system calls each. Async-signal-safe. */
uint64_t flo_limits_data(void);
uint64_t flo_limits_resident(void);
/* Data beyond what the process had at flo_limits_begin; 0 = unknown. Async-signal-safe. */
uint64_t flo_limits_data_used(void);

#endif
