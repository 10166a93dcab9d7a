/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - fork, exec, pipes.
 *
 * This process has threads (ZeroMQ's), so between fork and exec only async-signal-safe calls are
 * made; everything that needs memory is prepared before. A pipe that exec closes tells whether exec
 * worked.
 */
#include "supervisor/processes/child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/line_log.h"
#include "telemetry/log.h"

/* So much in so long, then its pipes are left full for the rest of the time: a process that floods
 * waits for us, and takes neither our time nor our disk from the others. */
#define FLOOD_BYTES (1u << 20)
#define FLOOD_MS 100
#define READ_BYTES 65536
#define REST_BYTES (4u << 20) /* of an ended process, at most so much more is read */

/* One of the child's two outputs. */
struct stream {
    struct flo_child_process *child;
    struct event *readable;
    struct flo_line_cutter cutter;
    int fd; /* our end; -1: closed */
    bool is_stderr;
};

struct flo_child_process {
    const char *name;
    pid_t pid;
    struct flo_output_source *output; /* borrowed */
    struct stream streams[2];         /* stdout, stderr */
    struct event *resume;             /* ends the pause of a flood */
    int64_t window_ms;                /* began then ... */
    size_t window_bytes;              /* ... and has brought so much */
    flo_child_process_line_fn on_line;
    void *ctx;
};

extern char **environ;

/* ---- output ---- */

static void on_whole_line(void *ctx, const char *text, size_t len)
{
    const struct stream *stream = ctx;
    if (!stream->is_stderr && stream->child->on_line)
        stream->child->on_line(stream->child->ctx, text);
    flo_output_source_line(stream->child->output, stream->is_stderr, text, len);
}

/* Read once: the bytes; 0 at the end, negative when there is nothing now. */
static ssize_t read_some(struct stream *stream)
{
    char bytes[READ_BYTES];
    ssize_t n = read(stream->fd, bytes, sizeof bytes);
    if (n > 0) {
        if (flo_line_cutter_feed(&stream->cutter, bytes, (size_t)n))
            flo_log(FLO_LOG_WARN, "logs.lost", "No memory for output of a process", "process",
                    stream->child->name, NULL);
        flo_output_source_flush(stream->child->output);
    }
    return n;
}

static void on_resume(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_child_process *child = ctx;
    (void)fd;
    (void)what;
    for (int i = 0; i < 2; i++)
        if (child->streams[i].fd >= 0)
            event_add(child->streams[i].readable, NULL);
}

static void hold_a_flood(struct flo_child_process *child, size_t bytes)
{
    const int64_t now = flo_clock_mono_ns() / FLO_NS_PER_MS;
    const struct timeval pause = {.tv_usec = (suseconds_t)FLOOD_MS * 1000};
    if (now - child->window_ms >= FLOOD_MS) {
        child->window_ms = now;
        child->window_bytes = 0;
    }
    child->window_bytes += bytes;
    if (child->window_bytes < FLOOD_BYTES)
        return;
    for (int i = 0; i < 2; i++)
        event_del(child->streams[i].readable);
    event_add(child->resume, &pause);
}

static void on_output(evutil_socket_t fd, short what, void *ctx)
{
    struct stream *stream = ctx;
    (void)fd;
    (void)what;
    ssize_t n = read_some(stream);
    if (n > 0) {
        hold_a_flood(stream->child, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        event_del(stream->readable); /* closed; the process itself is reaped by its signal */
        close(stream->fd);
        stream->fd = -1;
    }
}

static int open_stream(struct event_base *base, struct flo_child_process *child, int which,
                       int *out_theirs)
{
    struct stream *stream = &child->streams[which];
    int fds[2];
    if (pipe2(fds, O_CLOEXEC))
        return FLO_ESYS;
    *out_theirs = fds[1];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    *stream = (struct stream){.child = child,
                              .cutter = {.line = on_whole_line, .ctx = stream},
                              .fd = fds[0],
                              .is_stderr = which == 1};
    stream->readable = event_new(base, stream->fd, EV_READ | EV_PERSIST, on_output, stream);
    if (!stream->readable || event_add(stream->readable, NULL))
        return FLO_ENOMEM;
    return 0;
}

static void close_stream(struct stream *stream)
{
    size_t rest = 0;
    if (stream->readable)
        event_free(stream->readable);
    if (!stream->child)
        return; /* never opened */
    for (ssize_t n; stream->fd >= 0 && rest < REST_BYTES && (n = read_some(stream)) > 0;)
        rest += (size_t)n;
    flo_line_cutter_end(&stream->cutter);
    flo_output_source_flush(stream->child->output);
    if (stream->fd >= 0)
        close(stream->fd);
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

int flo_child_process_start(struct event_base *base,
                            const struct flo_child_process_options *options,
                            struct flo_child_process **out, struct flo_err *err)
{
    char *const *argv = options->argv;
    const char *name = options->name;
    int rc = 0, theirs[2] = {-1, -1};
    pid_t pid;
    char **all_env = merge_env(options->env);
    struct flo_child_process *child = flo_calloc(1, sizeof *child);
    if (!child || !all_env) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory to start %s", name);
        goto out;
    }
    *child = (struct flo_child_process){
        .name = name, .output = options->output, .on_line = options->on_line, .ctx = options->ctx};
    child->streams[0].fd = child->streams[1].fd = -1;
    child->resume = event_new(base, -1, 0, on_resume, child);
    if (!child->resume) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory to start %s", name);
        goto out;
    }
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
    flo_child_process_destroy(&child);
    return rc;
}

pid_t flo_child_process_pid(const struct flo_child_process *child)
{
    return child->pid;
}

void flo_child_process_signal(const struct flo_child_process *child, int signal)
{
    kill(child->pid, signal);
}

void flo_child_process_kill(const struct flo_child_process *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL); /* in case it had no time to make its group */
}

void flo_child_process_destroy(struct flo_child_process **child)
{
    struct flo_child_process *self = *child;
    if (!self)
        return;
    for (int i = 0; i < 2; i++)
        close_stream(&self->streams[i]);
    if (self->resume)
        event_free(self->resume);
    flo_free(self);
    *child = NULL;
}
