/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the life of an executor process: read a job, run it, answer. One thread, unless the job
 * starts more. While a job runs, the only frames that can come down are CANCEL and STOP; they are
 * looked for when the job asks whether it should stop (child_io.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/child_io.h"
#include "executor/core.h"
#include "executor/frame.h"
#include "executor/template.h"
#include "executor/usage.h"

/* Run one job. False when the worker is gone or wants us to stop. */
static bool child_run(const struct flo_executor_options *options, int fd,
                      const struct flo_frame *order, struct flo_usage_meter *meter)
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
    options->runner(options->runner_ctx, &child.io, request, order->body_len, &reply);
    flo_usage_take(meter, &answer.usage);
    if (reply.failed)
        answer.kind = FLO_FRAME_TOO_LONG;
    else
        answer.body_len = (uint32_t)reply.len;
    go_on = flo_frame_write(fd, &answer, reply.data) == 0 && !child.stop;
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
    struct flo_frame head = {.kind = FLO_FRAME_READY};
    struct flo_err err = {0};
    struct flo_usage_meter meter;

    (void)index;
    if (options.max_reply_bytes == 0)
        options.max_reply_bytes = 8u << 20;
    if (options.worker_start)
        head.value = options.worker_start(options.ctx, &err);
    if (head.value)
        head.body_len = sizeof err.message;
    if (flo_frame_write(socket_fd, &head, err.message) || head.value)
        _exit(1);
    flo_usage_begin(&meter, FLO_USAGE_PROCESS);
    while (flo_frame_read(socket_fd, &head, sizeof head, -1) == 0) {
        if (head.kind == FLO_FRAME_STOP)
            break;
        if (head.kind == FLO_FRAME_JOB && !child_run(&options, socket_fd, &head, &meter))
            break;
    }
    if (options.worker_stop)
        options.worker_stop(options.ctx);
    _exit(0);
}
