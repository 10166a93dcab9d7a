/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - flotilla-engine: Temporal's WorkflowService API, durable on SQLite, in one process.
 */
#include "config/cmdline.h"
#include "config/process.h"
#include "engine/care.h"
#include "engine/options.h"
#include "engine/shell.h"
#include "telemetry/log.h"
#include "telemetry/notify.h"

int main(int argc, char **argv)
{
    struct flo_engine_options options;
    struct flo_shell *shell = NULL;
    struct flo_err err = {0};
    int exit_code;

    flo_process_init();
    if (flo_engine_care(argc, argv, &exit_code))
        return exit_code;
    flo_notify_init();
    if (!flo_engine_options_parse(argc, argv, &options, &exit_code))
        return exit_code;
    flo_log_open(options.log_level, options.log_format, "flotilla-engine");
    int rc = flo_shell_new(&options.shell, &shell, &err);
    if (rc) {
        flo_log(FLO_LOG_ERROR, "engine.start_failed", err.message, NULL);
        exit_code = flo_exit_code(rc);
    } else {
        exit_code = flo_shell_run(shell);
        flo_shell_destroy(&shell);
    }
    flo_engine_options_fini(&options);
    return exit_code;
}
