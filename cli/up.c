/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up.c - `flotilla up`: runs the supervisor in local mode, which starts the engine and the workers
 * of config/fleet.yaml and keeps them running, and keeps the supervisor itself running.
 *
 * The supervisor's children are told to end when it dies, so that nothing is orphaned; when it dies
 * of a signal (kill -9, a crash), all of them start over, and the engine goes on from its file at
 * the address that it had. Children of a killed supervisor that do not end, or not yet, become ours
 * and are killed when the fleet is over at the latest. (SIGKILL as their parent-death signal would
 * be surer, but would cost every task at work where SIGTERM lets it finish.) Everything after "up"
 * on the command line is the supervisor's.
 */
#include "cli/up.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/command.h"
#include "config/process.h"

#define RESTART_MS 500
/* So many within so many seconds: then something is wrong that starting over won't mend. */
#define CRASHES_MAX 5
#define CRASHES_S 60

struct keeper {
    char **argv;
    struct flo_line_log *log; /* NULL: output goes where ours goes */
    struct flo_line_cutter cutter;
    int signals;   /* signalfd */
    int output[2]; /* a pipe, with log; else -1 */
    sigset_t before;
    bool told_to_stop;
};

/* ---- what is said ---- */

static void log_line(void *ctx, const char *text, size_t len)
{
    flo_line_log_add(ctx, flo_clock_wall_ns(), true, text, len);
}

static void say(const struct keeper *keeper, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const struct keeper *keeper, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    const int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!keeper->log) {
        fprintf(stderr, "flotilla up: %s\n", text);
        return;
    }
    log_line(keeper->log, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1);
    if (flo_line_log_flush(keeper->log, NULL))
        return; /* a full disk: the fleet goes on */
}

/* What the supervisor wrote since the last time. */
static void read_output(struct keeper *keeper)
{
    char bytes[16384];
    for (ssize_t n; keeper->log && (n = read(keeper->output[0], bytes, sizeof bytes)) > 0;) {
        if (flo_line_cutter_feed(&keeper->cutter, bytes, (size_t)n) ||
            flo_line_log_flush(keeper->log, NULL))
            return;
    }
}

/* ---- the supervisor ---- */

/* The supervisor in a process group of its own: Ctrl-C comes to us, and we pass it on once. */
static pid_t start_supervisor(const struct keeper *keeper)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid)
        return pid;
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, &keeper->before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (keeper->log) {
        dup2(keeper->output[1], STDOUT_FILENO);
        dup2(keeper->output[1], STDERR_FILENO);
    }
    if (getppid() == parent)
        execv(keeper->argv[0], keeper->argv);
    fprintf(stderr, "flotilla up: cannot run %s: %s\n", keeper->argv[0], strerror(errno));
    _exit(FLO_EXIT_INTERNAL);
}

static void pass_signals_on(struct keeper *keeper, pid_t pid)
{
    struct signalfd_siginfo info;
    while (read(keeper->signals, &info, sizeof info) == sizeof info) {
        const int number = (int)info.ssi_signo;
        if (number == SIGTERM || number == SIGINT)
            keeper->told_to_stop = true;
        if (number != SIGCHLD)
            kill(pid, number);
    }
}

/* Wait for the supervisor's end; its wait status. */
static int watch(struct keeper *keeper, pid_t pid)
{
    struct pollfd ready[] = {{.fd = keeper->signals, .events = POLLIN},
                             {.fd = keeper->output[0], .events = POLLIN}};
    for (int status = 0;;) {
        (void)poll(ready, 2, -1);
        pass_signals_on(keeper, pid);
        read_output(keeper);
        for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (ended != pid)
                continue;        /* one that a killed supervisor left to us */
            read_output(keeper); /* its last words */
            return status;
        }
    }
}

/* Send SIGKILL to our children and their groups; how many there are. */
static size_t kill_children(void)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    char *line = NULL;
    size_t size = 0, count = 0;
    if (file && getline(&line, &size, file) > 0) {
        char *at = line;
        for (long pid; (pid = strtol(at, &at, 10)) > 1; count++) {
            kill((pid_t)-pid, SIGKILL);
            kill((pid_t)pid, SIGKILL);
        }
    }
    free(line);
    if (file)
        fclose(file);
    return count;
}

/* The fleet is over: what a killed supervisor left behind, and what SIGTERM did not end, ends. */
static void end_orphans(void)
{
    while (kill_children() > 0 && waitpid(-1, NULL, 0) > 0)
        ;
}

static bool open_keeper(struct keeper *keeper)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    if (keeper->log) /* else it says that the terminal is gone, and with it the fleet */
        sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &keeper->before);
    keeper->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* for end_orphans */
    if (keeper->signals < 0 || (keeper->log && pipe2(keeper->output, O_CLOEXEC)))
        return false;
    return !keeper->log || fcntl(keeper->output[0], F_SETFL, O_NONBLOCK) == 0;
}

static int run(struct keeper *keeper)
{
    int64_t crashes[CRASHES_MAX] = {0};
    for (unsigned i = 0;; i = (i + 1) % CRASHES_MAX) {
        pid_t pid = start_supervisor(keeper);
        if (pid < 0) {
            say(keeper, "cannot start a process: %s", strerror(errno));
            return FLO_EXIT_INTERNAL;
        }
        int status = watch(keeper, pid);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        int64_t now = flo_clock_mono_ns();
        bool too_often = crashes[i] && now - crashes[i] < CRASHES_S * FLO_NS_PER_S;
        say(keeper, "the supervisor ended by signal %d%s", WTERMSIG(status),
            keeper->told_to_stop ? ""
            : too_often          ? "; giving up"
                                 : "; the fleet starts over");
        if (keeper->told_to_stop || too_often)
            return 128 + WTERMSIG(status);
        crashes[i] = now;
        const struct timespec pause = {.tv_nsec = RESTART_MS * FLO_NS_PER_MS};
        nanosleep(&pause, NULL);
    }
}

int cli_up_keep(char **argv, struct flo_line_log *log)
{
    struct keeper keeper = {.argv = argv,
                            .log = log,
                            .cutter = {.line = log_line, .ctx = log},
                            .signals = -1,
                            .output = {-1, -1}};
    int exit_code = FLO_EXIT_SYSTEM;
    if (open_keeper(&keeper))
        exit_code = run(&keeper);
    else
        say(&keeper, "cannot watch a process: %s", strerror(errno));
    end_orphans();
    flo_line_cutter_end(&keeper.cutter);
    if (log && flo_line_log_flush(log, NULL))
        exit_code = exit_code ? exit_code : FLO_EXIT_IO;
    for (int i = 0; i < 2; i++)
        if (keeper.output[i] >= 0)
            close(keeper.output[i]);
    if (keeper.signals >= 0)
        close(keeper.signals);
    return exit_code;
}

static const char help[] =
    "flotilla up - start a whole fleet on this machine\n\n"
    "usage: flotilla up [--detach [--timeout TIME]] [-c config/fleet.yaml] [--set KEY=VALUE "
    "...]\n\n"
    "  -d, --detach                     return when the fleet is ready, and leave it running\n"
    "      --timeout TIME               with --detach: wait no longer than this (1m)\n"
    "  -c, --config FILE                the fleet: which engine, which workers "
    "(config/fleet.yaml,\n"
    "                                   when it is there)\n"
    "      --set KEY=VALUE              override one setting of it; may be given again\n"
    "      --check-config               check the configuration and end\n"
    "      --print-config               print every setting and where it came from, and end\n"
    "      --help                       this text\n\n"
    "Runs until Ctrl-C or SIGTERM, which stop everything in order; a second one stops at once.\n"
    "A detached fleet is ended by 'flotilla down'; its supervisor's log is STATE_DIR/logs/\n"
    "supervisor.log. 'flotilla ps', 'logs', 'restart' and 'scale' find it by its state folder.\n"
    "Settings: docs/configuration.md\n";

int cli_up(const struct cli_options *options)
{
    char dir[4096], path[4200];
    struct flo_err err;
    size_t count = 0;
    for (; options->rest[count]; count++) {
        if (strcmp(options->rest[count], "--help") == 0 ||
            strcmp(options->rest[count], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
    }
    if (flo_process_exe_dir(dir, sizeof dir, &err)) {
        fprintf(stderr, "flotilla up: %s\n", err.message);
        return FLO_EXIT_INTERNAL;
    }
    snprintf(path, sizeof path, "%s/flotilla-supervisor", dir);
    for (size_t i = 0; i < count; i++)
        if (strcmp(options->rest[i], "--detach") == 0 || strcmp(options->rest[i], "-d") == 0)
            return cli_up_detach(options->rest, path);
    char **argv = flo_calloc(count + 3, sizeof *argv);
    if (!argv) {
        fprintf(stderr, "flotilla up: out of memory\n");
        return FLO_EXIT_INTERNAL;
    }
    argv[0] = path;
    argv[1] = (char[]){"--local"};
    memcpy(argv + 2, options->rest, count * sizeof *argv);
    int exit_code = cli_up_keep(argv, NULL);
    flo_free(argv);
    return exit_code;
}
