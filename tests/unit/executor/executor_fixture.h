/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_fixture.h - an executor of either kind with a runner that obeys one-line orders, and a
 * record of how each job ended. Orders (the request's text):
 *   echo:TEXT  fds  pid  hold  spin  work  segv  abort  exit  big  chatty  babble  grandchild
 *   close-segv  jump  overflow  exit3  eat  work-exit  term  no-term  fork-return  daemon  children
 *   full-grandchild  overrun  leak (1 MiB)  leak-fd  hold-grandchild  spike (48 MiB, freed)
 * untouched (1 MiB) env:NAME  affinity; a longer request: its length and the sum of its bytes
 */
#ifndef TESTS_EXECUTOR_FIXTURE_H
#define TESTS_EXECUTOR_FIXTURE_H

#include <event2/event.h>

#include "executor/executor.h"

#define FIXTURE_JOBS 1200

struct outcome {
    int ended; /* callbacks seen */
    struct flo_job_result result;
    char reply[256];
    char message[256]; /* of its crash */
    char details[8192];
    enum flo_job_limit limit;
    char progress[64]; /* the newest */
    int progress_count;
};

struct fixture {
    struct event_base *base;
    struct flo_executor_options options;
    struct flo_executor *executor;
    struct outcome jobs[FIXTURE_JOBS];
    int done; /* callbacks in all */
    int recycled;
    struct flo_recycled last_recycled;
};

/* Options whose runner obeys the orders above. */
void fixture_init(struct fixture *f, unsigned workers);
/* Start the executor: threads, or processes. */
void fixture_threads(struct fixture *f);
void fixture_processes(struct fixture *f, bool pin);
void fixture_fini(struct fixture *f);

/* Submit order as job; returns what flo_executor_submit did. */
int fixture_submit(struct fixture *f, uint64_t job, const char *order, int64_t deadline_ms,
                   int64_t grace_ms);
/* Run the loop until `done` callbacks have come, or fail the test after 20 s. */
void fixture_wait(struct fixture *f, int done);
/* Run the loop until job has sent a progress. */
void fixture_wait_progress(struct fixture *f, uint64_t job);

#endif
