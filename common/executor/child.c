/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the life of an executor process: read a job, run it, answer. One thread, unless the job
 * starts more. While a job runs, the only frames that can come down are CANCEL and STOP; they are
 * looked for when the job asks whether it should stop (child_io.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/child_io.h"
#include "executor/core.h"
#include "executor/family.h"
#include "executor/frame.h"
#include "executor/limits.h"
#include "executor/profile.h"
#include "executor/template.h"
#include "executor/usage.h"
#include "executor/wear.h"

/* Children that worker_start may leave running; they are not an activity's. */
#define KEEP_MAX 32

struct flo_leftovers {
    pid_t keep[KEEP_MAX];
    size_t keep_count;
};

/* End what the job left running: one call when there is nothing, which is nearly always. False
 * when something does not go: it is left to the template, together with this process. */
static bool end_leftovers(const struct flo_leftovers *left)
{
    if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
        return true;
    return flo_family_end(left->keep, left->keep_count);
}

/* How the process goes on after a job: the value of its answer. */
static int64_t next_of(struct flo_wear *wear, struct flo_usage_meter *meter)
{
    int64_t amount;
    enum flo_recycle_reason reason = flo_wear_job(wear, meter, &amount);

    return reason ? amount << 8 | (FLO_FRAME_NEXT_LEAVE + (int64_t)reason) : FLO_FRAME_NEXT_JOB;
}

bool flo_executor_child_run(const struct flo_executor_options *options, int fd,
                            const struct flo_frame *order, struct flo_usage_meter *meter,
                            struct flo_wear *wear, const struct flo_leftovers *left)
{
    struct flo_child_io child;
    struct flo_frame answer = {.kind = FLO_FRAME_DONE, .job = order->job};
    struct flo_buf reply;
    uint8_t *request = flo_malloc(order->body_len ? order->body_len : 1);
    bool go_on = false;

    flo_child_io_init(&child, fd, order->job);
    flo_buf_init(&reply, options->max_reply_bytes);
    if (!request || flo_frame_read(fd, request, order->body_len, -1))
        goto out;
    flo_usage_job(meter, true);
    flo_limits_job(&options->limits, flo_usage_cpu_ns(meter));
    options->runner(options->runner_ctx, &child.io, request, order->body_len, &reply);
    if (!flo_family_here())
        _exit(0); /* a fork that the activity made, and let return */
    flo_usage_take(meter, &answer.usage);
    answer.value = end_leftovers(left) ? next_of(wear, meter) : FLO_FRAME_NEXT_LOST;
    if (reply.failed)
        answer.kind = FLO_FRAME_TOO_LONG;
    else
        answer.body_len = (uint32_t)reply.len;
    go_on = flo_frame_write(fd, &answer, reply.data) == 0 && !answer.value && !child.stop;
out:
    flo_child_io_fini(&child);
    flo_free(request);
    flo_buf_fini(&reply);
    return go_on;
}

void flo_executor_child_main(const struct flo_executor_template *tmpl, unsigned index,
                             int socket_fd)
{
    struct flo_executor_options options = tmpl->options;
    struct flo_frame head = {.kind = FLO_FRAME_READY, .job = (uint64_t)getpid()};
    struct flo_err err = {0};
    const struct rusage nothing = {0};
    struct flo_usage_meter meter;
    struct flo_leftovers left;
    struct flo_wear wear;

    flo_family_begin();
    flo_crash_guard(&tmpl->crashes, index);
    flo_profile_guard(flo_crash_area_ring(&tmpl->crashes, index));
    if (options.max_reply_bytes == 0)
        options.max_reply_bytes = 8u << 20;
    if (options.worker_start)
        head.value = options.worker_start(options.ctx, &err);
    if (head.value)
        head.body_len = sizeof err.message;
    left.keep_count = flo_family_children(left.keep, KEEP_MAX);
    flo_limits_begin(&options.limits);
    flo_usage_begin(&meter, FLO_USAGE_PROCESS);
    flo_wear_begin(&wear, &options, &meter);
    flo_usage_between(&nothing, &meter.last, 0, &head.usage);
    if (flo_frame_write(socket_fd, &head, err.message) || head.value)
        _exit(1);
    while (flo_frame_read(socket_fd, &head, sizeof head, -1) == 0) {
        if (head.kind == FLO_FRAME_STOP)
            break;
        if (head.kind != FLO_FRAME_JOB)
            continue;
        if (!flo_executor_child_run(&options, socket_fd, &head, &meter, &wear, &left))
            break;
    }
    if (options.worker_stop)
        options.worker_stop(options.ctx);
    _exit(0);
}
