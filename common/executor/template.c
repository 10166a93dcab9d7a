/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - the process that forks executor processes; see template.h. */
#include "executor/template.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/secret.h"

extern char **environ;

/* ---- worker side ---- */

static int send_request(int control, const struct flo_template_request *request, const int *fds)
{
    union {
        char space[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct flo_template_request copy = *request;
    struct iovec part = {.iov_base = &copy, .iov_len = sizeof copy};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t rc;

    if (fds) {
        struct cmsghdr *head;
        memset(&ancillary, 0, sizeof ancillary);
        message.msg_control = ancillary.space;
        message.msg_controllen = sizeof ancillary.space;
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(head), fds, 2 * sizeof(int));
    }
    do
        rc = sendmsg(control, &message, MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? FLO_ECLOSED : 0;
}

int flo_template_spawn(int control, unsigned index, int socket_fd, int output_fd)
{
    const struct flo_template_request request = {.order = FLO_TEMPLATE_SPAWN, .index = index};
    const int fds[2] = {socket_fd, output_fd};

    return send_request(control, &request, fds);
}

int flo_template_kill(int control, unsigned index)
{
    const struct flo_template_request request = {.order = FLO_TEMPLATE_KILL, .index = index};

    return send_request(control, &request, NULL);
}

void flo_executor_template_end(struct flo_executor_template **tmpl)
{
    if (!*tmpl)
        return;
    close((*tmpl)->control);
    while (waitpid((*tmpl)->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    flo_free(*tmpl);
    *tmpl = NULL;
}

/* ---- template side ---- */

static void on_ignored(int signal)
{
    (void)signal;
}

/*
 * Stop signals are for the worker, which then ends us in order; a whole process group may get
 * them. A handler that does nothing, unlike SIG_IGN, is not inherited by programs that an
 * activity starts.
 */
static void ignore_stop_signals(void)
{
    const struct sigaction quiet = {.sa_handler = on_ignored, .sa_flags = SA_RESTART};

    sigaction(SIGTERM, &quiet, NULL);
    sigaction(SIGINT, &quiet, NULL);
    sigaction(SIGHUP, &quiet, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/*
 * Activities need no secrets of the worker: take them out, also of the memory behind environ. By
 * name only: a DATABASE_URL stays, although it may hold a password, because it is there for the
 * activities. Other secrets reach them as settings of their module, which the fork copies.
 */
static void scrub_environment(void)
{
    char **keep = environ;

    for (char **entry = environ; entry && *entry; entry++) {
        char *equals = strchr(*entry, '=');
        if (equals && flo_secret_name(*entry, (size_t)(equals - *entry)))
            explicit_bzero(equals + 1, strlen(equals + 1));
        else
            *keep++ = *entry;
    }
    if (keep)
        *keep = NULL;
}

/* Rather an executor than the worker, when memory is short. */
static void raise_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char text[24] = "";
    long score;

    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0) {
        score = strtol(text, NULL, 10) + 300;
        snprintf(text, sizeof text, "%ld", score > 1000 ? 1000 : score);
        (void)!pwrite(fd, text, strlen(text), 0);
    }
    close(fd);
}

/* In a fresh child: standard streams, one socket as descriptor 3, nothing else, a core of its own.
 */
static void child_prepare(const struct flo_executor_template *tmpl, unsigned index, int socket_fd,
                          int output_fd)
{
    const struct rlimit no_core = {0, 0};
    int null = open("/dev/null", O_RDONLY);
    int high = fcntl(socket_fd, F_DUPFD, 10);
    sigset_t none;
    char name[24];

    if (null < 0 || high < 0 || dup2(null, 0) < 0 || dup2(output_fd, 1) < 0 ||
        dup2(output_fd, 2) < 0 || dup2(high, 3) < 0)
        _exit(71);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    close_range(4, ~0u, 0);
    setrlimit(RLIMIT_CORE, &no_core);
    raise_oom_score();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
    snprintf(name, sizeof name, "%.8s-exec-%u", tmpl->options.name, index % 10000);
    prctl(PR_SET_NAME, name);
    if (tmpl->pin && CPU_COUNT(&tmpl->cores) > 0) {
        unsigned want = index % (unsigned)CPU_COUNT(&tmpl->cores), seen = 0;
        cpu_set_t one;
        CPU_ZERO(&one);
        for (int core = 0; core < CPU_SETSIZE; core++)
            if (CPU_ISSET(core, &tmpl->cores) && seen++ == want)
                CPU_SET(core, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
    }
}

static void report(int control, enum flo_template_event event, unsigned index, int status)
{
    struct flo_template_report packet;

    memset(&packet, 0, sizeof packet);
    packet.event = event;
    packet.index = index;
    packet.status = status;
    while (send(control, &packet, sizeof packet, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void spawn(const struct flo_executor_template *tmpl, int control, pid_t *pids,
                  unsigned index, int socket_fd, int output_fd)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        child_prepare(tmpl, index, socket_fd, output_fd);
        flo_executor_child_main(tmpl, index, 3);
    }
    if (pid < 0)
        report(control, FLO_TEMPLATE_NO_FORK, index, errno);
    else
        pids[index] = pid;
}

/* Serve one order. False when the worker is gone. */
static bool serve(const struct flo_executor_template *tmpl, int control, pid_t *pids)
{
    union {
        char space[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct flo_template_request request;
    struct iovec part = {.iov_base = &request, .iov_len = sizeof request};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.space,
                             .msg_controllen = sizeof ancillary.space};
    struct cmsghdr *head;
    int fds[2];
    ssize_t n = recvmsg(control, &message, MSG_CMSG_CLOEXEC);

    if (n < 0 && errno == EINTR)
        return true;
    if (n != (ssize_t)sizeof request || request.index >= tmpl->options.workers)
        return false;
    if (request.order == FLO_TEMPLATE_KILL) {
        if (pids[request.index] > 0)
            kill(pids[request.index], SIGKILL);
        return true;
    }
    head = CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_len != CMSG_LEN(sizeof fds))
        return false;
    memcpy(fds, CMSG_DATA(head), sizeof fds);
    spawn(tmpl, control, pids, request.index, fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
    return true;
}

/* Reap all that ended: executors, and what their activities left behind (we are a subreaper). */
static void reap(const struct flo_executor_template *tmpl, int control, pid_t *pids)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned i = 0; i < tmpl->options.workers; i++) {
            if (pids[i] == pid) {
                pids[i] = 0;
                report(control, FLO_TEMPLATE_DIED, i, status);
            }
        }
    }
}

static _Noreturn void template_main(const struct flo_executor_template *tmpl, int control)
{
    struct pollfd watch[2] = {{.fd = control, .events = POLLIN}, {.events = POLLIN}};
    struct signalfd_siginfo info;
    sigset_t child;
    pid_t *pids = calloc(tmpl->options.workers, sizeof *pids);

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGCHLD, SIG_DFL);
    ignore_stop_signals();
    scrub_environment();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "template");
    watch[1].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (!pids || watch[1].fd < 0)
        _exit(71);
    for (bool on = true; on;) {
        if (poll(watch, 2, -1) < 0)
            continue;
        while (read(watch[1].fd, &info, sizeof info) > 0)
            ;
        reap(tmpl, control, pids);
        if (watch[0].revents)
            on = serve(tmpl, control, pids);
    }
    for (unsigned i = 0; i < tmpl->options.workers; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
    for (unsigned i = 0; i < tmpl->options.workers; i++)
        if (pids[i] > 0)
            waitpid(pids[i], NULL, 0);
    _exit(0);
}

int flo_executor_template_start(const struct flo_executor_options *options, bool pin,
                                struct flo_executor_template **out, struct flo_err *err)
{
    struct flo_executor_template *tmpl = flo_calloc(1, sizeof *tmpl);
    pid_t parent = getpid();
    int pair[2];

    if (!tmpl)
        return flo_fail(err, FLO_ENOMEM, "no memory for the executors' template");
    tmpl->options = *options;
    tmpl->pin = pin && sched_getaffinity(0, sizeof tmpl->cores, &tmpl->cores) == 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        flo_free(tmpl);
        return flo_fail(err, FLO_ESYS, "cannot open a socket pair: %s", strerror(errno));
    }
    tmpl->pid = fork();
    if (tmpl->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        close(pair[0]);
        template_main(tmpl, pair[1]);
    }
    close(pair[1]);
    tmpl->control = pair[0];
    if (tmpl->pid < 0) {
        int code = errno;
        close(pair[0]);
        flo_free(tmpl);
        return flo_fail(err, FLO_ESYS, "cannot fork the executors' template: %s", strerror(code));
    }
    *out = tmpl;
    return 0;
}
