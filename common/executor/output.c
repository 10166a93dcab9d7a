/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - see output.h. */
#include "executor/output.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "flotilla/error.h"

/* What one turn reads: a process that prints without end must not hold the loop. */
#define ROUNDS 64
#define ROUND_BYTES 4096
/* Between two turns once the allowance is used up. */
#define PAUSE_US 20000

static void keep_tail(struct flo_output *output, const char *text, size_t len)
{
    if (!output->tail)
        output->tail = flo_malloc((size_t)2 * FLO_OUTPUT_TAIL);
    if (!output->tail)
        return;
    if (len > FLO_OUTPUT_TAIL) {
        text += len - FLO_OUTPUT_TAIL;
        len = FLO_OUTPUT_TAIL;
    }
    if (output->tail_len + len > (size_t)2 * FLO_OUTPUT_TAIL) {
        memmove(output->tail, output->tail + output->tail_len - FLO_OUTPUT_TAIL, FLO_OUTPUT_TAIL);
        output->tail_len = FLO_OUTPUT_TAIL;
    }
    memcpy(output->tail + output->tail_len, text, len);
    output->tail_len += len;
}

static void pass_on(struct flo_output *output, const char *text, size_t len)
{
    size_t pass = len < output->left ? len : output->left;

    if (pass == 0)
        return;
    (void)!write(STDERR_FILENO, text, pass);
    output->left -= pass;
    if (output->left == 0)
        dprintf(STDERR_FILENO, "\n(output of %s executor %u cut after %u bytes)\n", output->name,
                output->index, FLO_OUTPUT_BYTES);
}

void flo_output_drain(struct flo_output *output)
{
    char text[ROUND_BYTES];

    for (int round = 0; round < ROUNDS && output->fd >= 0; round++) {
        ssize_t n = read(output->fd, text, sizeof text);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && output->readable) {
            output->ended = true;
            event_del(output->readable);
        }
        if (n <= 0)
            return;
        pass_on(output, text, (size_t)n);
        keep_tail(output, text, (size_t)n);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    const struct timeval pause = {.tv_usec = PAUSE_US};
    struct flo_output *output = ctx;

    (void)fd;
    (void)what;
    flo_output_drain(output);
    if (output->left == 0 && !output->ended) {
        event_del(output->readable);
        event_add(output->pause, &pause);
    }
}

static void on_pause_over(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_output *output = ctx;

    (void)fd;
    (void)what;
    if (!output->ended)
        event_add(output->readable, NULL);
}

int flo_output_attach(struct flo_output *output, struct event_base *base)
{
    output->left = FLO_OUTPUT_BYTES;
    output->ended = false;
    output->readable = event_new(base, output->fd, EV_READ | EV_PERSIST, on_readable, output);
    output->pause = evtimer_new(base, on_pause_over, output);
    return !output->readable || !output->pause || event_add(output->readable, NULL) < 0 ? FLO_ENOMEM
                                                                                        : 0;
}

void flo_output_job(struct flo_output *output)
{
    output->left = FLO_OUTPUT_BYTES;
    flo_free(output->tail);
    output->tail = NULL;
    output->tail_len = 0;
}

const char *flo_output_tail(const struct flo_output *output, size_t *out_len)
{
    size_t len = output->tail_len < FLO_OUTPUT_TAIL ? output->tail_len : FLO_OUTPUT_TAIL;

    *out_len = len;
    return output->tail ? output->tail + output->tail_len - len : "";
}

void flo_output_close(struct flo_output *output)
{
    if (output->readable)
        event_free(output->readable);
    if (output->pause)
        event_free(output->pause);
    output->readable = output->pause = NULL;
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
    flo_output_job(output);
}
