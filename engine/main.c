/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - flotilla-engine: Temporal's WorkflowService API, durable on SQLite, in one process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/cmdline.h"
#include "config/exit_code.h"
#include "config/process.h"
#include "engine/shell.h"
#include "telemetry/log.h"
#include "telemetry/notify.h"

/* "30s", "250ms", "5m", at most a day; not 0, which would be the default. */
static bool parse_duration(const char *text, int64_t *out_ns)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", INT64_C(1000000)}, {"s", INT64_C(1000000000)}, {"m", INT64_C(60000000000)}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6)
        return false;
    long number = strtol(text, NULL, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].unit) != 0)
            continue;
        *out_ns = number * units[i].ns;
        return number > 0 && *out_ns <= INT64_C(86400000000000);
    }
    return false;
}

static bool parse_limits(const char *rps, const char *concurrent, struct flo_limits_options *out)
{
    const double most = 1e6;
    char *end, *concurrent_end;
    out->rps = strtod(rps, &end);
    const double count = strtod(concurrent, &concurrent_end);
    if (end == rps || *end || !(out->rps >= 0 && out->rps <= most) ||
        concurrent_end == concurrent || *concurrent_end || !(count >= 0 && count <= most))
        return false;
    out->concurrent = (unsigned)count;
    return true;
}

/* As SDKs start Temporal's test server: its port alone. Its clock begins with a lock, unless
 * skipping is asked for. */
static bool be_test_server(const struct flo_cmdline *cmdline, char *listen, size_t size,
                           struct flo_shell_options *options)
{
    const char *port = cmdline->operands[0];
    const size_t digits = strspn(port, "0123456789");
    if (cmdline->operand_count > 1 || !digits || digits > 5 || port[digits]) {
        fprintf(stderr, "flotilla-engine: the one operand is a port, not %.100s\n", port);
        return false;
    }
    snprintf(listen, size, "127.0.0.1:%s", port);
    options->listen = listen;
    options->time_locked = !options->time_skipping;
    options->time_skipping = true;
    return true;
}

static const char epilog[] = "Without --db the state is in memory and gone at the end.\n"
                             "PORT alone: be Temporal's test server, as the SDKs' time-skipping "
                             "test environments start it.\n"
                             "Signals: SIGTERM and SIGINT answer what is open, make it durable and "
                             "exit 0; a second one exits\n"
                             "at once. Exit codes: 64 usage, 65 stored data damaged, 70 internal, "
                             "73 port or database in use,\n"
                             "74 the disk failed, 77 permission.";

int main(int argc, char **argv)
{
    struct flo_shell_options options = {.listen = "127.0.0.1:7233"};
    const char *namespace_rps = "0", *namespace_concurrent = "0";
    const char *shutdown_timeout = "30s", *log_level = "info", *log_format = "auto";
    char listen[32];
    enum flo_log_format format;
    enum flo_log_level level;
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
        {"--api-keys", "FILE", "serve only callers with a key of this file (flotilla keys api)",
         &options.keys_file, NULL},
        {"--namespace-rps", "N", "calls a second of one namespace (no limit), with bursts of 2 N",
         &namespace_rps, NULL},
        {"--namespace-concurrent", "N",
         "open polls, queries, updates ... of one namespace, each kind (no limit)",
         &namespace_concurrent, NULL},
        {"--insecure", NULL, "allow plain text on addresses that other machines reach", NULL,
         &options.insecure},
        {"--log-level", "LEVEL", "trace, debug, info (the default), warn or error", &log_level,
         NULL},
        {"--log-format", "FORMAT", "auto (the default), json, text or logfmt", &log_format, NULL},
        {"--shutdown-timeout", "TIME", "how long SIGTERM waits for open commits (30s)",
         &shutdown_timeout, NULL},
        {"--time-skipping", NULL,
         "time jumps to what is due next when nothing is going on: for tests", NULL,
         &options.time_skipping},
        {"--enable-time-skipping", NULL, "the same, as Temporal's test server calls it", NULL,
         &options.time_skipping},
        {"--accept-data-loss", NULL, "serve a database that lost commits or has damaged runs", NULL,
         &options.accept_data_loss},
        {0},
    };
    const struct flo_cmdline_spec spec = {
        .program = "flotilla-engine",
        .summary = "Temporal's WorkflowService API on SQLite, in one process",
        .options = table,
        .positional = "[PORT]",
        .epilog = epilog,
    };
    struct flo_cmdline cmdline;
    struct flo_shell *shell = NULL;
    struct flo_err err = {0};
    int exit_code;

    flo_process_init();
    flo_notify_init();
    if (!flo_cmdline_parse(&spec, argc, argv, &cmdline, &exit_code))
        return exit_code;
    if (!parse_duration(shutdown_timeout, &options.shutdown_timeout_ns)) {
        fprintf(stderr, "flotilla-engine: --shutdown-timeout wants a time like 30s, not %s\n",
                shutdown_timeout);
        return FLO_EXIT_USAGE;
    }
    if (!parse_limits(namespace_rps, namespace_concurrent, &options.limits)) {
        fprintf(stderr, "flotilla-engine: --namespace-rps and --namespace-concurrent want a number "
                        "up to a million; 0 is no limit\n");
        return FLO_EXIT_USAGE;
    }
    if (!flo_log_level_parse(log_level, &level) || !flo_log_format_parse(log_format, &format)) {
        fprintf(stderr, "flotilla-engine: --log-level is trace, debug, info, warn or error, "
                        "--log-format auto, json, text or logfmt\n");
        return FLO_EXIT_USAGE;
    }
    if (cmdline.operand_count > 0 && !be_test_server(&cmdline, listen, sizeof listen, &options))
        return FLO_EXIT_USAGE;
    flo_log_open(level, format, "flotilla-engine");
    int rc = flo_shell_new(&options, &shell, &err);
    if (rc) {
        flo_log(FLO_LOG_ERROR, "engine.start_failed", err.message, NULL);
        return flo_exit_code(rc);
    }
    exit_code = flo_shell_run(shell);
    flo_shell_destroy(&shell);
    return exit_code;
}
