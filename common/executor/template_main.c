/* SPDX-License-Identifier: Apache-2.0 */
/* template_main.c - the process that forks executor processes; see template.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
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

#include "base/secret.h"
#include "executor/family.h"
#include "executor/template.h"
#include "executor/usage.h"

/* Processes that name addresses at one time; past that a crash goes without. */
#define NAMERS_MAX 16

/* Between two looks for what did not end at once. */
#define LEFTOVERS_MS 100

extern char **environ;

struct template
{
    const struct flo_executor_template *options;
    int control;
    pid_t parent;
    pid_t *pids; /* of the executors, 0 = none; behind them those of the namers */
    size_t pid_count;
    struct flo_template_report *owed; /* one an executor: not asked for again before it is told */
    bool *owes;                       /* which of them wait for room in the socket */
    size_t owed_count;
    bool leftovers; /* something below us did not end at once: look again */
};

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
    sigaction(SIGTSTP, &quiet, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGPROF, SIG_IGN); /* an executor that has no handler for it yet */
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
    setsid(); /* a group of its own, and no terminal */
    raise_oom_score();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
    snprintf(name, sizeof name, "%.8s-exec-%u", tmpl->options.name, index % 10000);
    prctl(PR_SET_NAME, name);
    if (tmpl->pin && tmpl->cores.count > 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(tmpl->cores.order[index % tmpl->cores.count], &one);
        (void)sched_setaffinity(0, sizeof one, &one);
    }
}

/* False when there is no room. A worker that is gone needs no report. */
static bool send_report(const struct template *t, const struct flo_template_report *what)
{
    ssize_t n;

    do
        n = send(t->control, what, sizeof *what, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 || errno != EAGAIN;
}

/* Never waits: the worker may be sending us an order, and not read before we have taken it. */
static void report(struct template *t, const struct flo_template_report *what)
{
    if (t->owed_count == 0 && send_report(t, what))
        return;
    t->owed[what->index] = *what;
    t->owes[what->index] = true;
    t->owed_count++;
}

static void report_owed(struct template *t)
{
    for (unsigned i = 0; i < t->options->options.workers && t->owed_count > 0; i++) {
        if (!t->owes[i])
            continue;
        if (!send_report(t, &t->owed[i]))
            return;
        t->owes[i] = false;
        t->owed_count--;
    }
}

static void report_no_fork(struct template *t, unsigned index)
{
    struct flo_template_report packet;

    memset(&packet, 0, sizeof packet);
    packet.event = FLO_TEMPLATE_NO_FORK;
    packet.index = index;
    packet.status = errno;
    report(t, &packet);
}

/* Fork; in the child: die with the template. */
static pid_t fork_below(void)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
    }
    return pid;
}

static void spawn(struct template *t, unsigned index, int socket_fd, int output_fd)
{
    pid_t pid = fork_below();

    if (pid == 0) {
        child_prepare(t->options, index, socket_fd, output_fd);
        flo_executor_child_main(t->options, index, 3);
    }
    if (pid < 0)
        report_no_fork(t, index);
    else
        t->pids[index] = pid;
}

/* Without a process to name them, the socket's end says so to the worker. */
static void spawn_namer(struct template *t, int socket_fd)
{
    for (size_t i = t->options->options.workers; i < t->pid_count; i++) {
        pid_t pid;
        if (t->pids[i] != 0)
            continue;
        pid = fork_below();
        if (pid == 0)
            flo_symbols_main(socket_fd);
        t->pids[i] = pid > 0 ? pid : 0;
        return;
    }
}

/* The group may not exist yet: it is made by the child. */
static void kill_executor(const struct template *t, unsigned index, int signal_number)
{
    pid_t pid = t->pids[index];

    if (pid > 0 && kill(-pid, signal_number) < 0)
        kill(pid, signal_number);
}

/* Serve one order. False when the worker is gone. */
static bool serve(struct template *t)
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
    int fds[2] = {-1, -1};
    ssize_t n = recvmsg(t->control, &message, MSG_CMSG_CLOEXEC);

    if (n < 0 && errno == EINTR)
        return true;
    if (n != (ssize_t)sizeof request || request.index >= t->options->options.workers)
        return false;
    head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_len >= CMSG_LEN(sizeof fds[0]) && head->cmsg_len <= CMSG_LEN(sizeof fds))
        memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
    if (request.order == FLO_TEMPLATE_KILL)
        kill_executor(t, request.index, SIGKILL);
    else if (request.order == FLO_TEMPLATE_TERM)
        kill_executor(t, request.index, SIGTERM);
    else if (request.order == FLO_TEMPLATE_PROFILE && t->pids[request.index] > 0)
        kill(t->pids[request.index], SIGPROF);
    else if (request.order == FLO_TEMPLATE_NAMES && fds[0] >= 0)
        spawn_namer(t, fds[0]);
    else if (request.order == FLO_TEMPLATE_SPAWN && fds[1] >= 0)
        spawn(t, request.index, fds[0], fds[1]);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return true;
}

/* One child has ended: an executor, a namer, or what an activity left behind. The last two are
 * forgotten; after an executor its group and what came loose below it are ended. */
static void reap_one(struct template *t, pid_t pid)
{
    const struct rusage nothing = {0};
    struct flo_template_report packet;
    struct rusage usage;
    size_t index = 0;

    while (index < t->pid_count && t->pids[index] != pid)
        index++;
    memset(&packet, 0, sizeof packet);
    packet.event = FLO_TEMPLATE_DIED;
    packet.index = (unsigned)index;
    if (index < t->options->options.workers)
        kill(-pid, SIGKILL); /* not reaped yet, so the number is still its own */
    if (wait4(pid, &packet.status, WNOHANG, &usage) != pid || index >= t->pid_count)
        return;
    t->pids[index] = 0;
    if (index >= t->options->options.workers)
        return;
    t->leftovers = !flo_family_end(t->pids, t->pid_count);
    flo_usage_between(&nothing, &usage, 0, &packet.usage);
    report(t, &packet);
}

static void reap(struct template *t)
{
    siginfo_t info = {0};

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        reap_one(t, info.si_pid);
        info.si_pid = 0;
    }
}

/* Kill what is below us, and end. */
static _Noreturn void end(struct template *t)
{
    for (unsigned i = 0; i < t->options->options.workers; i++)
        kill_executor(t, i, SIGKILL);
    (void)flo_family_end(NULL, 0);
    _exit(0);
}

/* SIGCHLD, and SIGHUP when the thread that forked us ended, perhaps with the whole worker. */
static int watch_signals(void)
{
    sigset_t watched;

    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGHUP);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal(SIGCHLD, SIG_DFL);
    ignore_stop_signals();
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void flo_template_main(const struct flo_executor_template *tmpl, int control,
                                 pid_t parent)
{
    struct template t = {.options = tmpl, .control = control, .parent = parent};
    struct pollfd watch[2] = {{.fd = control, .events = POLLIN}, {.events = POLLIN}};
    struct signalfd_siginfo info;

    t.pid_count = tmpl->options.workers + NAMERS_MAX;
    t.pids = calloc(t.pid_count, sizeof *t.pids);
    t.owed = calloc(tmpl->options.workers, sizeof *t.owed);
    t.owes = calloc(tmpl->options.workers, sizeof *t.owes);
    watch[1].fd = watch_signals();
    setsid();
    scrub_environment();
    flo_family_begin();
    flo_crash_warm_up();
    prctl(PR_SET_NAME, "template");
    if (!t.pids || !t.owed || !t.owes || watch[1].fd < 0)
        _exit(71);
    while (getppid() == parent) {
        watch[0].events = t.owed_count > 0 ? POLLIN | POLLOUT : POLLIN;
        if (poll(watch, 2, t.leftovers ? LEFTOVERS_MS : -1) < 0)
            continue;
        report_owed(&t);
        if (t.leftovers)
            t.leftovers = !flo_family_end(t.pids, t.pid_count);
        while (read(watch[1].fd, &info, sizeof info) > 0)
            ;
        reap(&t);
        if ((watch[0].revents & ~POLLOUT) && !serve(&t))
            break;
    }
    end(&t);
}
