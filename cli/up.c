/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up.c - `flotilla up`: runs the supervisor in local mode, which starts the engine and the workers
 * of config/fleet.yaml and keeps them running, and keeps the supervisor itself running.
 *
 * The supervisor's children end with it, so that nothing is orphaned; when it dies of a signal
 * (kill -9, a crash), all of them start over, and the engine goes on from its file at the address
 * that it had. Everything after "up" on the command line is the supervisor's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

/* The supervisor in a process group of its own: Ctrl-C comes to us, and we pass it on once. */
static pid_t start_supervisor(char **argv, const sigset_t *before)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid)
        return pid;
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execv(argv[0], argv);
    fprintf(stderr, "flotilla up: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(FLO_EXIT_INTERNAL);
}

/* Wait for the supervisor's end, passing signals on; its wait status. */
static int watch(pid_t pid, const sigset_t *signals, bool *out_told_to_stop)
{
    int status = 0;
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGTERM || number == SIGINT) {
            *out_told_to_stop = true;
            kill(pid, number);
        }
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
    }
}

static int keep_running(char **argv)
{
    int64_t crashes[CRASHES_MAX] = {0};
    bool told_to_stop = false;
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    for (unsigned i = 0;; i = (i + 1) % CRASHES_MAX) {
        pid_t pid = start_supervisor(argv, &before);
        if (pid < 0) {
            fprintf(stderr, "flotilla up: cannot start a process: %s\n", strerror(errno));
            return FLO_EXIT_INTERNAL;
        }
        int status = watch(pid, &signals, &told_to_stop);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        int64_t now = flo_clock_mono_ns();
        bool too_often = crashes[i] && now - crashes[i] < CRASHES_S * FLO_NS_PER_S;
        fprintf(stderr, "flotilla up: the supervisor ended by signal %d%s\n", WTERMSIG(status),
                told_to_stop ? ""
                : too_often  ? "; giving up"
                             : "; the fleet starts over");
        if (told_to_stop || too_often)
            return 128 + WTERMSIG(status);
        crashes[i] = now;
        const struct timespec pause = {.tv_nsec = RESTART_MS * FLO_NS_PER_MS};
        nanosleep(&pause, NULL);
    }
}

static const char help[] =
    "flotilla up - start a whole fleet on this machine\n\n"
    "usage: flotilla up [-c config/fleet.yaml] [--set KEY=VALUE ...]\n\n"
    "  -c, --config FILE                the fleet: which engine, which workers "
    "(config/fleet.yaml,\n"
    "                                   when it is there)\n"
    "      --set KEY=VALUE              override one setting of it; may be given again\n"
    "      --check-config               check the configuration and end\n"
    "      --print-config               print every setting and where it came from, and end\n"
    "      --help                       this text\n\n"
    "Runs until Ctrl-C or SIGTERM, which stop everything in order; a second one stops at once.\n"
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
    char **argv = flo_calloc(count + 3, sizeof *argv);
    if (!argv) {
        fprintf(stderr, "flotilla up: out of memory\n");
        return FLO_EXIT_INTERNAL;
    }
    argv[0] = path;
    argv[1] = (char[]){"--local"};
    memcpy(argv + 2, options->rest, count * sizeof *argv);
    int exit_code = keep_running(argv);
    flo_free(argv);
    return exit_code;
}
