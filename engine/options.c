/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the command line, and what becomes of it. */
#include "engine/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cgroup.h"
#include "base/net.h"
#include "config/cmdline.h"
#include "config/exit_code.h"

#define PROGRAM "flotilla-engine"
#define UI_PORT_ABOVE 1000
#define IGNORED "ignored: "

/* Options whose value is a text that something is made of. */
struct texts {
    const char *ip, *port, *ui_ip, *ui_port, *metrics_port;
    const char *shutdown_timeout, *retention, *log_level, *log_format;
    const char *namespace_rps, *namespace_concurrent, *max_memory;
    bool headless, start_dev;
};

static const char epilog[] =
    "`" PROGRAM " server start-dev` takes the same options as `temporal server start-dev`, and is\n"
    "what SDK test helpers start. PORT alone: be Temporal's test server, as the SDKs' "
    "time-skipping "
    "test\nenvironments start it. Without a database the state is in memory and gone at the end.\n"
    "`" PROGRAM " backup|check|compact --help`: what to do for a database.\n"
    "Signals: SIGTERM and SIGINT answer what is open, make it durable and exit 0; a second one "
    "exits\n"
    "at once. Exit codes: 64 usage, 65 stored data damaged, 70 internal, 71 a system call failed,\n"
    "73 port or database in use, 74 the disk failed or is full, 77 permission.";

/* "30s", "250ms", "5m", "72h", "3d"; not 0, which would be the default. */
static bool parse_duration(const char *text, int64_t max_ns, int64_t *out_ns)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", INT64_C(1000000)},
                 {"s", INT64_C(1000000000)},
                 {"m", INT64_C(60000000000)},
                 {"h", INT64_C(3600000000000)},
                 {"d", INT64_C(86400000000000)}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6)
        return false;
    long number = strtol(text, NULL, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].unit) != 0)
            continue;
        if (number <= 0 || number > max_ns / units[i].ns)
            return false;
        *out_ns = number * units[i].ns;
        return true;
    }
    return false;
}

static bool misuse(int *out_exit, const char *option, const char *wanted, const char *got)
{
    fprintf(stderr, PROGRAM ": %s wants %s, not %s\n", option, wanted, got);
    *out_exit = FLO_EXIT_USAGE;
    return false;
}

static bool parse_port(const char *text, long *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits])
        return false;
    *out = strtol(text, NULL, 10);
    return *out <= 65535;
}

/* "host:port", an IPv6 address in brackets. */
static char *address(const char *ip, long port)
{
    const bool bare_v6 = strchr(ip, ':') && *ip != '[';
    return flo_asprintf(bare_v6 ? "[%s]:%ld" : "%s:%ld", ip, port);
}

/* "host:port"; what the host is, the listener finds out. */
static bool has_port(const char *option, const char *text, int *out_exit)
{
    const char *colon = text ? strrchr(text, ':') : NULL;
    long port;
    return !text || (colon && parse_port(colon + 1, &port)) ||
           misuse(out_exit, option, "HOST:PORT", text);
}

/* "64M", "1G", "100000000"; at most 2^50. */
static bool parse_size(const char *text, int64_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    if (!strchr("0123456789", *text) || !*text)
        return false;
    const double number = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    double bytes = number;
    for (int i = 0; unit && i <= unit - units; i++)
        bytes *= 1024;
    end += unit != NULL;
    if (unit && strcmp(end, "iB") == 0)
        end += 2;
    if (*end || !(bytes >= 1) || !(bytes <= 0x1p50))
        return false;
    *out = (int64_t)bytes;
    return true;
}

/* Without a word: half of what the machine has, or of what the container may use. */
static bool set_memory(const struct texts *texts, bool time_skipping, struct flo_core_options *core,
                       int *out_exit)
{
    if (texts->max_memory)
        return parse_size(texts->max_memory, &core->memory_limit) ||
               misuse(out_exit, "--max-memory", "a size like 500M", texts->max_memory);
    if (time_skipping)
        return true; /* what is going on is seen in memory */
    const uint64_t all = flo_cgroup_memory();
    core->memory_limit = all ? (int64_t)(all / 2) : 0;
    return true;
}

static bool parse_limits(const struct texts *texts, struct flo_limits_options *out, int *out_exit)
{
    const double most = 1e6;
    char *end;
    out->rps = texts->namespace_rps ? strtod(texts->namespace_rps, &end) : 0;
    if (texts->namespace_rps &&
        (end == texts->namespace_rps || *end || !(out->rps >= 0 && out->rps <= most)))
        return misuse(out_exit, "--namespace-rps", "a number up to a million",
                      texts->namespace_rps);
    const double count =
        texts->namespace_concurrent ? strtod(texts->namespace_concurrent, &end) : 0;
    if (texts->namespace_concurrent &&
        (end == texts->namespace_concurrent || *end || !(count >= 0 && count <= most)))
        return misuse(out_exit, "--namespace-concurrent", "a number up to a million",
                      texts->namespace_concurrent);
    out->concurrent = (unsigned)count;
    return true;
}

/* As SDKs start Temporal's test server: its port alone. Its clock begins with a lock, unless
 * skipping is asked for. */
static bool be_test_server(const struct flo_cmdline *cmdline, struct texts *texts,
                           struct flo_shell_options *shell, int *out_exit)
{
    if (cmdline->operand_count == 0)
        return true;
    if (texts->start_dev || cmdline->operand_count > 1)
        return misuse(out_exit, "the command line", "one operand at most, a port",
                      cmdline->operands[cmdline->operand_count - 1]);
    texts->port = cmdline->operands[0];
    shell->time_locked = !shell->time_skipping;
    shell->time_skipping = true;
    return true;
}

/* --ip, --port, --ui-*, --metrics-port: addresses. */
static bool make_addresses(const struct texts *texts, struct flo_engine_options *out, int *out_exit)
{
    const char *ip = texts->ip ? texts->ip : texts->start_dev ? "localhost" : "127.0.0.1";
    const char *ui_ip = texts->ui_ip ? texts->ui_ip : ip;
    long port = 7233, ui_port = -1, metrics_port = texts->start_dev ? 0 : -1;
    if (!has_port("--listen", out->shell.listen, out_exit) ||
        !has_port("--http", out->shell.http_listen, out_exit))
        return false;
    if (texts->port && !parse_port(texts->port, &port))
        return misuse(out_exit, "--port", "a number up to 65535", texts->port);
    if (texts->ui_port && !parse_port(texts->ui_port, &ui_port))
        return misuse(out_exit, "--ui-port", "a number up to 65535", texts->ui_port);
    if (texts->metrics_port && !parse_port(texts->metrics_port, &metrics_port))
        return misuse(out_exit, "--metrics-port", "a number up to 65535", texts->metrics_port);
    if (texts->start_dev && !texts->ui_port) {
        out->shell.http_optional = true; /* nobody asked for that very port */
        ui_port = port == 0 || port > 65535 - UI_PORT_ABOVE ? 0 : port + UI_PORT_ABOVE;
    }
    if (texts->headless)
        ui_port = -1;
    bool failed = false;
    if (texts->ip || texts->port || (texts->start_dev && !out->shell.listen)) {
        out->shell.listen = out->listen = address(ip, port);
        failed = !out->listen;
    }
    if (ui_port >= 0 && !out->shell.http_listen) {
        out->shell.http_listen = out->http_listen = address(ui_ip, ui_port);
        failed = failed || !out->http_listen;
    }
    if (metrics_port >= 0) {
        out->shell.metrics_listen = out->metrics_listen = address(ip, metrics_port);
        failed = failed || !out->metrics_listen;
    }
    if (!out->shell.listen)
        out->shell.listen = "127.0.0.1:7233";
    if (failed)
        *out_exit = FLO_EXIT_INTERNAL;
    return !failed;
}

/* All values of an option, by its name in the table, separated by commas, on the heap; *out NULL
 * when it was not given. */
static bool join(const struct flo_cmdline *cmdline, const char *name, char **out)
{
    struct flo_buf text = {0};
    bool any = false;
    for (size_t i = 0; i < cmdline->given_count; i++) {
        const struct flo_cmdline_given *given = &cmdline->given[i];
        if (strcmp(given->option->name, name) != 0)
            continue;
        if ((any && flo_buf_append(&text, ",", 1)) ||
            flo_buf_append(&text, given->value, strlen(given->value)))
            goto failed;
        any = true;
    }
    if (any) {
        *out = flo_strndup((const char *)text.data, text.len);
        if (!*out)
            goto failed;
    }
    flo_buf_fini(&text);
    return true;
failed:
    flo_buf_fini(&text);
    return false;
}

/* --dynamic-config-value, and the options that mean nothing here. */
static bool look_through(const struct flo_cmdline *cmdline, struct flo_engine_options *out,
                         int *out_exit)
{
    for (size_t i = 0; i < cmdline->given_count; i++) {
        const struct flo_cmdline_given *given = &cmdline->given[i];
        struct flo_err err = {0};
        bool known;
        if (strncmp(given->option->help, IGNORED, sizeof IGNORED - 1) == 0) {
            const char *name = strstr(given->option->name, "--");
            fprintf(stderr, PROGRAM ": %s is %s\n", name ? name : given->option->name,
                    given->option->help);
        }
        if (strcmp(given->option->name, "--dynamic-config-value") != 0)
            continue;
        if (flo_engine_dynamic_value(&out->shell, given->value, &known, &err)) {
            fprintf(stderr, PROGRAM ": %s\n", err.message);
            *out_exit = FLO_EXIT_USAGE;
            return false;
        }
        const char *near = known ? NULL : flo_engine_dynamic_near(given->value);
        if (near)
            fprintf(stderr,
                    PROGRAM
                    ": --dynamic-config-value %.*s changes nothing here; did you mean %s?\n",
                    (int)strcspn(given->value, "="), given->value, near);
    }
    return true;
}

static bool set_log(const struct texts *texts, struct flo_engine_options *out, int *out_exit)
{
    const char *level = texts->log_level ? texts->log_level : texts->start_dev ? "warn" : "info";
    const char *format = texts->log_format ? texts->log_format : "auto";
    if (strcmp(level, "never") == 0 || strcmp(level, "fatal") == 0)
        level = "error"; /* the engine's own errors are always said */
    if (strcmp(format, "pretty") == 0)
        format = "text";
    if (!flo_log_level_parse(level, &out->log_level))
        return misuse(out_exit, "--log-level", "trace, debug, info, warn, error or never", level);
    if (!flo_log_format_parse(format, &out->log_format))
        return misuse(out_exit, "--log-format", "auto, json, text, pretty or logfmt", format);
    return true;
}

static bool finish(const struct flo_cmdline *cmdline, const struct texts *texts,
                   struct flo_engine_options *out, int *out_exit)
{
    const int64_t day_ns = INT64_C(86400000000000);
    if (texts->shutdown_timeout &&
        !parse_duration(texts->shutdown_timeout, day_ns, &out->shell.shutdown_timeout_ns))
        return misuse(out_exit, "--shutdown-timeout", "a time like 30s", texts->shutdown_timeout);
    if (texts->retention &&
        !parse_duration(texts->retention, 36500 * day_ns, &out->shell.core.retention_ns))
        return misuse(out_exit, "--retention", "a time like 24h or 30d", texts->retention);
    if (!set_memory(texts, out->shell.time_skipping, &out->shell.core, out_exit))
        return false;
    if (!parse_limits(texts, &out->shell.limits, out_exit))
        return false;
    if (!set_log(texts, out, out_exit) || !make_addresses(texts, out, out_exit) ||
        !look_through(cmdline, out, out_exit))
        return false;
    if (!join(cmdline, "-n, --namespace", &out->namespaces) ||
        !join(cmdline, "--search-attribute", &out->search_attributes)) {
        *out_exit = FLO_EXIT_INTERNAL;
        return false;
    }
    out->shell.namespaces = out->namespaces;
    out->shell.search_attributes = out->search_attributes;
    out->shell.banner = texts->start_dev;
    if (texts->start_dev)
        out->shell.insecure = true; /* as the server whose place it takes */
    return true;
}

bool flo_engine_options_parse(int argc, char **argv, struct flo_engine_options *out, int *out_exit)
{
    struct flo_shell_options *shell = &out->shell;
    struct texts texts = {0};
    *out = (struct flo_engine_options){0};
    const struct flo_cmdline_option table[] = {
        {"--listen", "HOST:PORT", "serve gRPC here (127.0.0.1:7233; port 0: the kernel chooses)",
         &shell->listen, NULL},
        {"-p, --port", "PORT", "the port alone (7233)", &texts.port, NULL},
        {"--ip", "ADDRESS", "the address alone (127.0.0.1)", &texts.ip, NULL},
        {"-f, --db-filename", "FILE", "keep the state in this SQLite database", &shell->db, NULL},
        {"--db", "FILE", "the same", &shell->db, NULL},
        {"-n, --namespace", "NAMES", "namespaces besides default, with commas or repeated", NULL,
         NULL},
        {"--search-attribute", "NAME=TYPE",
         "a search attribute of these namespaces (Keyword, Text, Int, Double, ...)", NULL, NULL},
        {"--max-memory", "SIZE",
         "what open workflows may take in memory; more of them wait on disk (half of all)",
         &texts.max_memory, NULL},
        {"--retention", "TIME", "how long closed workflows of new namespaces are kept (24h)",
         &texts.retention, NULL},
        {"--dynamic-config-value", "KEY=JSON", "a setting by Temporal's name (docs/engine.md)",
         NULL, NULL},
        {"--http", "HOST:PORT", "serve pages, /health, /ready and /metrics here",
         &shell->http_listen, NULL},
        {"--ui-port", "PORT", "the same by port alone (start-dev: --port + 1000)", &texts.ui_port,
         NULL},
        {"--ui-ip", "ADDRESS", "its address (that of --ip)", &texts.ui_ip, NULL},
        {"--headless", NULL, "no pages", NULL, &texts.headless},
        {"--web", NULL, "the web page, also where other machines reach it or with --api-keys", NULL,
         &shell->web},
        {"--no-web", NULL, "no web page beside /health, /ready and /metrics", NULL, &shell->no_web},
        {"--no-queue-depth", NULL,
         "/metrics without the queue depths that a supervisor serves, too", NULL,
         &shell->no_queue_depth},
        {"--metrics-port", "PORT", "serve them, for monitoring, on one more port",
         &texts.metrics_port, NULL},
        {"--tls-cert", "FILE", "serve with TLS: certificate chain, PEM", &shell->tls_cert_file,
         NULL},
        {"--tls-key", "FILE", "its private key, PEM", &shell->tls_key_file, NULL},
        {"--tls-client-ca", "FILE", "require client certificates signed by these",
         &shell->tls_client_ca_file, NULL},
        {"--api-keys", "FILE", "serve only callers with a key of this file (flotilla keys api)",
         &shell->keys_file, NULL},
        {"--namespace-rps", "N", "calls a second of one namespace (no limit), with bursts of 2 N",
         &texts.namespace_rps, NULL},
        {"--namespace-concurrent", "N",
         "open polls, queries, updates ... of one namespace, each kind (no limit)",
         &texts.namespace_concurrent, NULL},
        {"--insecure", NULL, "allow plain text on addresses that other machines reach", NULL,
         &shell->insecure},
        {"--log-level", "LEVEL", "trace, debug, info (the default), warn or error",
         &texts.log_level, NULL},
        {"--log-format", "FORMAT", "auto (the default), json, text or logfmt", &texts.log_format,
         NULL},
        {"--shutdown-timeout", "TIME", "how long SIGTERM waits for open commits (30s)",
         &texts.shutdown_timeout, NULL},
        {"--time-skipping", NULL,
         "time jumps to what is due next when nothing is going on: for tests", NULL,
         &shell->time_skipping},
        {"--enable-time-skipping", NULL, "the same, as Temporal's test server calls it", NULL,
         &shell->time_skipping},
        {"--accept-data-loss", NULL, "serve a database that lost commits or has damaged runs", NULL,
         &shell->accept_data_loss},
        {"--http-port", "PORT", IGNORED "the HTTP form of the API is not served", NULL, NULL},
        {"--sqlite-pragma", "NAME=VALUE", IGNORED "the engine sets what durability needs", NULL,
         NULL},
        {"--ui-asset-path", "DIR", IGNORED "the pages are built in", NULL, NULL},
        {"--ui-codec-endpoint", "URL", IGNORED "the pages do not decode payloads", NULL, NULL},
        {"--ui-public-path", "PATH", IGNORED "the pages are at /", NULL, NULL},
        {"--log-config", NULL, IGNORED "the options are all there is", NULL, NULL},
        {"--client-connect-timeout", "TIME", IGNORED "it is for commands that connect", NULL, NULL},
        {"--command-timeout", "TIME", IGNORED "a server has none", NULL, NULL},
        {"--color", "WHEN", IGNORED "nothing is coloured", NULL, NULL},
        {"--config-file", "FILE", IGNORED "there is no such file", NULL, NULL},
        {"--disable-config-env", NULL, IGNORED "there is no such configuration", NULL, NULL},
        {"--disable-config-file", NULL, IGNORED "there is no such configuration", NULL, NULL},
        {"--env", "NAME", IGNORED "there are no environments", NULL, NULL},
        {"--env-file", "FILE", IGNORED "there are no environments", NULL, NULL},
        {"--profile", "NAME", IGNORED "there are no profiles", NULL, NULL},
        {"--no-json-shorthand-payloads", NULL, IGNORED "no payloads are shown", NULL, NULL},
        {"-o, --output", "FORMAT", IGNORED "the output has one form", NULL, NULL},
        {"--time-format", "FORMAT", IGNORED "the output has no times", NULL, NULL},
        {0},
    };
    const struct flo_cmdline_spec spec = {
        .program = PROGRAM,
        .summary = "Temporal's WorkflowService API on SQLite, in one process",
        .options = table,
        .positional = "[PORT]",
        .epilog = epilog,
    };
    struct flo_cmdline cmdline;
    if (argc > 2 && strcmp(argv[1], "server") == 0 && strcmp(argv[2], "start-dev") == 0) {
        texts.start_dev = true;
        argv += 2;
        argc -= 2;
    }
    if (!flo_cmdline_parse(&spec, argc, argv, &cmdline, out_exit))
        return false;
    if (be_test_server(&cmdline, &texts, shell, out_exit) &&
        finish(&cmdline, &texts, out, out_exit))
        return true;
    flo_engine_options_fini(out);
    return false;
}

void flo_engine_options_fini(struct flo_engine_options *options)
{
    flo_free(options->listen);
    flo_free(options->http_listen);
    flo_free(options->metrics_listen);
    flo_free(options->namespaces);
    flo_free(options->search_attributes);
    *options = (struct flo_engine_options){0};
}
