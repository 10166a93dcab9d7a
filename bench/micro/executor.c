/* SPDX-License-Identifier: Apache-2.0 */
/* executor.c - a job to a thread of the pool and its answer back to the loop, one at a time. */
#include <event2/event.h>

#include "executor/executor.h"
#include "micro.h"

static struct event_base *base;
static struct flo_executor *executor;
static const uint8_t request[200];

static void echo(void *ctx, struct flo_job_io *io, const uint8_t *data, size_t len,
                 struct flo_buf *out_reply)
{
    (void)ctx, (void)io;
    flo_buf_append(out_reply, data, len);
}

static void on_done(void *ctx, uint64_t job, const struct flo_job_result *result)
{
    (void)ctx, (void)job;
    if (result->end != FLO_JOB_DONE || result->reply_len != sizeof request)
        micro_check(FLO_EPROTO, "job");
    event_base_loopbreak(base);
}

static void setup(unsigned times)
{
    (void)times;
    base = event_base_new();
    micro_check(base ? 0 : FLO_ENOMEM, "event base");
    const struct flo_executor_options options = {
        .workers = 1, .name = "bench", .runner = echo, .on_done = on_done};
    micro_check(flo_executor_threads_new(base, &options, &executor, NULL), "executor");
}

static void jobs(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        micro_check(flo_executor_submit(executor, i, request, sizeof request, 0, 0), "job");
        event_base_dispatch(base);
    }
}

static void teardown(void)
{
    flo_executor_destroy(&executor, 1000);
    event_base_free(base);
}

const struct micro_part micro_executor_job = {.name = "executor_job",
                                              .unit = "job",
                                              .units = 1,
                                              .warm = 100,
                                              .times = 1000,
                                              .setup = setup,
                                              .run = jobs,
                                              .teardown = teardown};
