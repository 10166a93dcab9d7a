/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.h - one attempt of a function that a test names, in a job that is not run anywhere. */
#ifndef TESTS_ACTIVITY_ATTEMPT_H
#define TESTS_ACTIVITY_ATTEMPT_H

#include <pthread.h>

#include "activity/task.h"
#include "base/arena.h"
#include "base/buf.h"
#include "executor/core.h"
#include "wire/api.h"

/* A job whose other side is the test. */
struct fake_io {
    struct flo_job_io io;
    pthread_mutex_t mu;
    pthread_cond_t telling;
    unsigned told; /* guarded by mu */
    struct flo_buf notes;
    int beats;
};

struct attempt {
    struct fake_io fake;
    struct flo_arena arena;
    struct flo_buf reply;
    struct flo_outcome outcome;
    struct flo_activity_library library;
};

/* The job of the attempt that runs, for what happens meanwhile; what was logged last. */
extern struct fake_io *attempt_io;
extern char attempt_logged[512];

/* Run fn, with a task of two arguments (JSON and bytes), a broken third, a header, a retry policy
 * and a priority; told is what its job has been told before. a is zero but for its library. */
void attempt_run_told(struct attempt *a, flo_activity_fn fn, unsigned told);
void attempt_run(struct attempt *a, flo_activity_fn fn);
/* Free what it made. */
void attempt_end(struct attempt *a);

/* Add to what the job was told, and wake who waits for it. Any thread. */
void attempt_tell(struct fake_io *fake, unsigned add);

/* The body of its outcome, decoded; the only payload of it. Both live until attempt_end. */
const void *attempt_body(struct attempt *a, const ProtobufCMessageDescriptor *type);
const FloApi__Payload *attempt_first_payload(struct attempt *a);

#endif
