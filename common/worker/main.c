/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the program around a worker. The order matters: configuration and modules first, then
 * the role's fork (while there is nothing that a fork could break), then sockets and threads.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "config/process.h"
#include "telemetry/notify.h"
#include "worker/worker.h"

static int fail_start(const struct flo_worker *worker, const struct flo_err *err)
{
    flo_log(FLO_LOG_ERROR, "worker.start_failed", err->message, "program", worker->program, NULL);
    return flo_exit_code(err->code);
}

static void log_config_warnings(const struct flo_config *config)
{
    for (size_t i = 0; i < config->warning_count; i++)
        flo_log(FLO_LOG_WARN, "config.warning", config->warnings[i], NULL);
}

/* Signals that people send by habit or mistake do not end a worker. */
static void ignore_signals(void)
{
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGALRM, SIG_IGN);
    signal(SIGTSTP, SIG_IGN); /* until drain.c takes it: it would stop the process */
}

int flo_worker_run(int argc, char **argv, const struct flo_role_spec *role,
                   const struct flo_module *module)
{
    struct flo_role_config *config = NULL;
    struct flo_worker *worker = NULL;
    struct flo_role_mode mode;
    struct flo_err err = {0};
    int exit_code = 0, rc;

    flo_process_init();
    if (!flo_role_config_main(role->role, argc, argv, &mode, &config, &exit_code))
        return exit_code;
    if (mode.watch && !mode.check) {
        flo_role_config_destroy(&config);
        return flo_watch_run(role, module, argc, argv, mode.watch_dir);
    }
    flo_notify_init();
    flo_log_open((enum flo_log_level)config->log.level, (enum flo_log_format)config->log.format,
                 flo_role_program(role->role));
    log_config_warnings(&config->config);
    ignore_signals();
    mallopt(M_ARENA_MAX, 2); /* an arena a thread would cost more memory than it saves time */
    rc = flo_worker_new(role, &config, module, &worker, &err);
    if (rc) {
        if (mode.check)
            fprintf(stderr, "%s: %s\n", flo_role_program(role->role), err.message);
        else
            flo_log(FLO_LOG_ERROR, "worker.start_failed", err.message, "program",
                    flo_role_program(role->role), NULL);
        flo_role_config_destroy(&config);
        return flo_exit_code(rc);
    }
    if (mode.check) {
        exit_code = flo_check_run(worker);
        flo_worker_destroy(&worker);
        return exit_code;
    }
    if (role->prepare)
        rc = role->prepare(worker, &err);
    if (!rc)
        rc = flo_worker_start(worker, &err);
    if (!rc && mode.burst)
        rc = flo_burst_start(worker, &err);
    exit_code = rc ? fail_start(worker, &err) : flo_worker_loop(worker);
    fflush(NULL);
    if (flo_worker_destroy(&worker) > 0)
        _exit(exit_code); /* threads that do not stop still run: no exit handlers */
    return exit_code;
}
