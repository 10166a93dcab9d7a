/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - fork, exec, pipes.
 *
 * This process has threads (ZeroMQ's), so between fork and exec only async-signal-safe calls are
 * made; everything that needs memory is prepared before. A pipe that exec closes tells whether exec
 * worked.
 */
#include "supervisor/child.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"

#define LINE_MAX_BYTES 16384

/* One of the child's two outputs. */
struct stream {
    struct flo_child *child;
    struct event *readable;
    struct evbuffer *pending; /* an unfinished line */
    int fd;                   /* our end */
    int to_fd;                /* where lines go: 1 or 2 */
};

struct flo_child {
    const char *name;
    pid_t pid;
    struct stream streams[2]; /* stdout, stderr */
    flo_child_line_fn on_line;
    void *ctx;
};

extern char **environ;

/* ---- output ---- */

static void pass_on(struct stream *stream, const char *line)
{
    char text[LINE_MAX_BYTES + 128];
    if (stream->to_fd == STDOUT_FILENO && stream->child->on_line)
        stream->child->on_line(stream->child->ctx, line);
    int len =
        snprintf(text, sizeof text, "%-18s| %.*s\n", stream->child->name, LINE_MAX_BYTES, line);
    for (int done = 0; done < len;) {
        ssize_t n = write(stream->to_fd, text + done, (size_t)(len - done));
        if (n > 0)
            done += (int)n;
        else if (n < 0 && errno != EINTR)
            return; /* nobody reads us any more: not the child's problem */
    }
}

static void pass_lines(struct stream *stream, bool all)
{
    char line[LINE_MAX_BYTES + 1];
    for (;;) {
        size_t total = evbuffer_get_length(stream->pending);
        struct evbuffer_ptr end = evbuffer_search_eol(stream->pending, NULL, NULL, EVBUFFER_EOL_LF);
        size_t len = end.pos >= 0 ? (size_t)end.pos : total;
        if (end.pos < 0 && !(all && total) && total < LINE_MAX_BYTES)
            return;
        if (len > LINE_MAX_BYTES)
            len = LINE_MAX_BYTES;
        evbuffer_remove(stream->pending, line, len);
        if (end.pos >= 0 && len == (size_t)end.pos)
            evbuffer_drain(stream->pending, 1);
        line[len] = '\0';
        pass_on(stream, line);
    }
}

static void on_output(evutil_socket_t fd, short what, void *ctx)
{
    struct stream *stream = ctx;
    (void)what;
    int n = evbuffer_read(stream->pending, fd, 65536);
    if (n > 0)
        pass_lines(stream, false);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        event_del(stream->readable); /* closed; the process itself is reaped by its signal */
}

static int open_stream(struct event_base *base, struct flo_child *child, int which, int *out_theirs)
{
    struct stream *stream = &child->streams[which];
    int fds[2];
    if (pipe2(fds, O_CLOEXEC))
        return FLO_ESYS;
    *out_theirs = fds[1];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    stream->child = child;
    stream->fd = fds[0];
    stream->to_fd = which ? STDERR_FILENO : STDOUT_FILENO;
    stream->pending = evbuffer_new();
    stream->readable = event_new(base, stream->fd, EV_READ | EV_PERSIST, on_output, stream);
    if (!stream->pending || !stream->readable || event_add(stream->readable, NULL))
        return FLO_ENOMEM;
    return 0;
}

/* ---- process ---- */

/* Our environment with the additions behind it: the child's getenv finds the first of two, so a
 * variable that is added is left out of ours. */
static char **merge_env(char *const *extra)
{
    size_t count = 0, extra_count = 0;
    while (environ[count])
        count++;
    while (extra && extra[extra_count])
        extra_count++;
    char **all = flo_calloc(count + extra_count + 1, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; all && i < extra_count; i++)
        all[n++] = extra[i];
    for (size_t i = 0; all && i < count; i++) {
        size_t name_len = strcspn(environ[i], "=") + 1;
        size_t j = 0;
        while (j < extra_count && strncmp(extra[j], environ[i], name_len) != 0)
            j++;
        if (j == extra_count)
            all[n++] = environ[i];
    }
    return all;
}

/* In the child, between fork and exec. Ends with exec or by writing errno to report_fd. */
static void become(char *const *argv, char *const *env, const int outputs[2], pid_t parent,
                   int report_fd)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0); /* it died before the line above */
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(outputs[0], STDOUT_FILENO);
    dup2(outputs[1], STDERR_FILENO);
    dup2(report_fd, 3);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    close_range(4, ~0U, 0);
    execve(argv[0], argv, env);
    int error = errno;
    (void)!write(3, &error, sizeof error);
    _exit(127);
}

/* fork and exec; the pid or -errno. */
static pid_t spawn(char *const *argv, char *const *env, const int outputs[2])
{
    int report[2], error = 0;
    if (pipe2(report, O_CLOEXEC))
        return -errno;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(argv, env, outputs, parent, report[1]);
    close(report[1]);
    if (pid < 0)
        error = errno;
    else if (read(report[0], &error, sizeof error) != sizeof error)
        error = 0; /* closed by exec */
    close(report[0]);
    return error ? -error : pid;
}

int flo_child_start(struct event_base *base, const char *name, char *const *argv, char *const *env,
                    flo_child_line_fn on_line, void *ctx, struct flo_child **out,
                    struct flo_err *err)
{
    int rc = 0, theirs[2] = {-1, -1};
    pid_t pid;
    char **all_env = merge_env(env);
    struct flo_child *child = flo_calloc(1, sizeof *child);
    if (!child || !all_env) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory to start %s", name);
        goto out;
    }
    *child = (struct flo_child){.name = name, .on_line = on_line, .ctx = ctx};
    child->streams[0].fd = child->streams[1].fd = -1;
    for (int i = 0; i < 2; i++) {
        rc = open_stream(base, child, i, &theirs[i]);
        if (rc) {
            flo_fail(err, rc, "cannot make pipes for %s: %s", name, strerror(errno));
            goto out;
        }
    }
    pid = spawn(argv, all_env, theirs);
    if (pid < 0) {
        rc = flo_fail(err, pid == -ENOENT ? FLO_ENOENT : FLO_ESYS, "cannot run %s: %s", argv[0],
                      strerror(-pid));
        goto out;
    }
    child->pid = pid;
    *out = child;
    child = NULL;
out:
    for (int i = 0; i < 2; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    flo_free(all_env);
    flo_child_destroy(&child);
    return rc;
}

pid_t flo_child_pid(const struct flo_child *child)
{
    return child->pid;
}

void flo_child_signal(const struct flo_child *child, int signal)
{
    kill(child->pid, signal);
}

void flo_child_kill(const struct flo_child *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL); /* in case it had no time to make its group */
}

void flo_child_destroy(struct flo_child **child)
{
    struct flo_child *self = *child;
    if (!self)
        return;
    if (self->pid > 0)
        kill(-self->pid, SIGKILL); /* executors that outlived their worker */
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &self->streams[i];
        if (stream->readable)
            event_free(stream->readable);
        if (stream->pending) {
            while (stream->fd >= 0 && evbuffer_read(stream->pending, stream->fd, 65536) > 0)
                pass_lines(stream, false);
            pass_lines(stream, true);
            evbuffer_free(stream->pending);
        }
        if (stream->fd >= 0)
            close(stream->fd);
    }
    flo_free(self);
    *child = NULL;
}
