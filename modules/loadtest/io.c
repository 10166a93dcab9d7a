/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c - io_simulation: operations that wait, as for a remote service, and then write some bytes
 * to a file or through a socket pair and read them back. `concurrent` of them are on their way at
 * once, on one thread: each has a timer of its own, and poll() says whose time has come.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loadtest/tasks.h"

#define SLICE_MS 100      /* cancellation is seen within it */
#define SOCKET_PIECE 4096 /* fits into any socket's buffer */

struct simulation {
    struct loadtest_task task;
    struct pollfd *timers; /* of the operations on their way; fd -1: free */
    size_t lanes;
    int64_t begun, done, files, sockets, bytes;
    uint64_t random;
    char *out, *back; /* what an operation writes, and reads back */
    size_t len;
};

static int trouble(struct simulation *s, const char *what)
{
    return flo_activity_fail(s->task.ctx, "IOError", false, NULL, "%s: %s", what, strerror(errno));
}

static int open_lanes(struct simulation *s)
{
    s->timers = calloc(s->lanes, sizeof *s->timers);
    s->out = malloc(s->len + 1);
    s->back = malloc(s->len + 1);
    if (!s->timers || !s->out || !s->back)
        return FLO_ENOMEM;
    for (size_t i = 0; i < s->lanes; i++)
        s->timers[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    for (size_t i = 0; i < s->lanes; i++) {
        s->timers[i].fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (s->timers[i].fd < 0)
            return trouble(s, "cannot make a timer");
    }
    return 0;
}

static void close_lanes(struct simulation *s)
{
    for (size_t i = 0; s->timers && i < s->lanes; i++)
        if (s->timers[i].fd >= 0)
            close(s->timers[i].fd);
    free(s->timers);
    free(s->out);
    free(s->back);
}

/* The next operation begins with its wait. */
static int begin(struct simulation *s, size_t lane)
{
    int64_t delay_ms = loadtest_of(&s->task, "delay_ms");
    struct itimerspec when = {
        .it_value = {.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000}};
    if (delay_ms == 0)
        when.it_value.tv_nsec = 1; /* 0 would disarm it */
    s->begun++;
    return timerfd_settime(s->timers[lane].fd, 0, &when, NULL) ? trouble(s, "cannot set a timer")
                                                               : 0;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool read_all(int fd, char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, data, len);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int through_file(struct simulation *s)
{
    const char *folder = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/flotilla-load-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return trouble(s, "cannot make a file");
    unlink(path);
    bool good = write_all(fd, s->out, s->len) && lseek(fd, 0, SEEK_SET) == 0 &&
                read_all(fd, s->back, s->len);
    int error = errno;
    close(fd);
    errno = error;
    s->files++;
    return good ? 0 : trouble(s, "cannot write and read a file");
}

static int through_socket(struct simulation *s)
{
    int ends[2];
    bool good = true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return trouble(s, "cannot make a socket pair");
    for (size_t at = 0; at < s->len && good; at += SOCKET_PIECE) {
        size_t piece = s->len - at < SOCKET_PIECE ? s->len - at : SOCKET_PIECE;
        good = write_all(ends[0], s->out + at, piece) && read_all(ends[1], s->back + at, piece);
    }
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    s->sockets++;
    return good ? 0 : trouble(s, "cannot write and read a socket");
}

/* What comes after the wait; the operation is over then. */
static int finish(struct simulation *s)
{
    const char *io = loadtest_text(s->task.parameters, "io");
    bool mixed = strcmp(io, "mixed") == 0;
    int rc = 0;
    if (strcmp(io, "wait") != 0) {
        for (size_t i = 0; i < s->len; i++)
            s->out[i] = (char)(i % 8 ? s->out[i - 1] + 1 : (char)loadtest_random(&s->random));
        memset(s->back, 0, s->len);
        rc = (mixed && s->done % 2) || strcmp(io, "socket") == 0 ? through_socket(s)
                                                                 : through_file(s);
        s->bytes += (int64_t)s->len;
        loadtest_check(&s->task, "content", rc == 0 && memcmp(s->out, s->back, s->len) == 0);
    }
    s->done++;
    return rc;
}

static int step(struct simulation *s, int64_t operations)
{
    uint64_t fired;
    int rc = 0;
    if (poll(s->timers, s->lanes, SLICE_MS) < 0 && errno != EINTR)
        return trouble(s, "cannot wait");
    for (size_t i = 0; i < s->lanes && rc == 0; i++) {
        if (!(s->timers[i].revents & POLLIN) ||
            read(s->timers[i].fd, &fired, sizeof fired) != sizeof fired)
            continue;
        rc = finish(s);
        if (rc == 0 && s->begun < operations)
            rc = begin(s, i);
    }
    if (rc == 0 && flo_activity_cancelled(s->task.ctx))
        rc = FLO_ECANCELLED;
    return rc;
}

static int simulate(struct simulation *s)
{
    int64_t operations = loadtest_of(&s->task, "operations");
    int64_t delay_ms = loadtest_of(&s->task, "delay_ms"), least_ms;
    int64_t lanes = loadtest_of(&s->task, "concurrent");
    lanes = lanes > operations ? operations : lanes;
    lanes = lanes < 1 ? 1 : lanes;
    s->lanes = (size_t)lanes;
    s->len = (size_t)loadtest_of(&s->task, "bytes");
    s->random = (uint64_t)loadtest_of(&s->task, "seed");
    int rc = open_lanes(s);
    for (size_t i = 0; i < s->lanes && rc == 0; i++)
        rc = begin(s, i);
    while (rc == 0 && s->done < operations)
        rc = step(s, operations);
    if (rc)
        return rc;
    least_ms = (operations + lanes - 1) / lanes * delay_ms;
    loadtest_check(&s->task, "operations", s->done == operations && s->begun == operations);
    loadtest_check(&s->task, "waited", loadtest_elapsed_ms(&s->task) >= least_ms);
    loadtest_count(&s->task, "operations", s->done);
    loadtest_count(&s->task, "at_once", (int64_t)s->lanes);
    loadtest_count(&s->task, "files", s->files);
    loadtest_count(&s->task, "sockets", s->sockets);
    loadtest_count(&s->task, "bytes", s->bytes);
    return 0;
}

int loadtest_io_simulation(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct simulation s = {0};
    int rc = loadtest_begin(&s.task, ctx, input);
    if (rc == 0)
        rc = simulate(&s);
    close_lanes(&s);
    return loadtest_end(&s.task, rc, out_result);
}
