/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - flotilla-engine: Temporal's WorkflowService API, durable on SQLite, in one process.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/cmdline.h"
#include "config/process.h"
#include "engine/shell.h"
#include "telemetry/log.h"

static const char epilog[] = "Without --db the state is in memory and gone at the end.\n"
                             "Signals: SIGTERM and SIGINT answer what is open, make it durable and "
                             "exit 0; a second one exits\n"
                             "at once. Exit codes: 64 usage, 65 stored data damaged, 70 internal, "
                             "73 port or database in use,\n"
                             "74 the disk failed, 77 permission.";

int main(int argc, char **argv)
{
    struct flo_shell_options options = {.listen = "127.0.0.1:7233"};
    const struct flo_cmdline_option table[] = {
        {"--listen", "HOST:PORT", "serve gRPC here (127.0.0.1:7233; port 0: the kernel chooses)",
         &options.listen, NULL},
        {"--db", "FILE", "keep the state in this SQLite database", &options.db, NULL},
        {"--namespace", "NAMES", "namespaces besides default, separated by commas",
         &options.namespaces, NULL},
        {"--http", "HOST:PORT", "serve /health, /ready and /metrics here", &options.http_listen,
         NULL},
        {"--tls-cert", "FILE", "serve with TLS: certificate chain, PEM", &options.tls_cert_file,
         NULL},
        {"--tls-key", "FILE", "its private key, PEM", &options.tls_key_file, NULL},
        {"--tls-client-ca", "FILE", "require client certificates signed by these",
         &options.tls_client_ca_file, NULL},
        {"--insecure", NULL, "allow plain text on addresses that other machines reach", NULL,
         &options.insecure},
        {"--accept-data-loss", NULL, "serve a database that lost commits or has damaged runs", NULL,
         &options.accept_data_loss},
        {0},
    };
    const struct flo_cmdline_spec spec = {
        .program = "flotilla-engine",
        .summary = "Temporal's WorkflowService API on SQLite, in one process",
        .options = table,
        .epilog = epilog,
    };
    struct flo_cmdline cmdline;
    struct flo_shell *shell = NULL;
    struct flo_err err = {0};
    int exit_code;

    flo_process_init();
    if (!flo_cmdline_parse(&spec, argc, argv, &cmdline, &exit_code))
        return exit_code;
    flo_log_open(FLO_LOG_INFO, FLO_LOG_AUTO, "flotilla-engine");
    int rc = flo_shell_new(&options, &shell, &err);
    if (rc) {
        flo_log(FLO_LOG_ERROR, "engine.start_failed", err.message, NULL);
        return flo_exit_code(rc);
    }
    exit_code = flo_shell_run(shell);
    flo_shell_destroy(&shell);
    return exit_code;
}
