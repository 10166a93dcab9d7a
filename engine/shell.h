/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h - the engine's outside: sockets, clock, timers, commits around the pure core.
 *
 * One thread runs the loop and the core; a second one commits (store/committer.h). What one turn
 * of the loop brought in is decided on at its end: when the commit thread is idle and something
 * waits for a commit, everything collected so far becomes the next transaction.
 */
#ifndef FLO_ENGINE_SHELL_H
#define FLO_ENGINE_SHELL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/core.h"
#include "engine/limits.h"
#include "flotilla/error.h"

struct flo_shell; /* opaque: shell.c */

struct flo_shell_options {
    const char *listen;         /* gRPC, "host:port" */
    const char *http_listen;    /* /health, /ready, /metrics; NULL = none */
    const char *metrics_listen; /* the same once more; NULL = none */
    bool web, no_web;           /* the web page: in any case; never; else where nobody else looks */
    bool no_queue_depth;        /* /metrics without temporal_{workflow,activity}_task_queue_depth */
    bool http_optional;         /* http_listen may be taken: a warning, and no pages there */
    bool banner; /* say on stdout what Temporal's dev server says, not what is ours */
    const char *search_attributes; /* "NAME=TYPE,...": of all namespaces named here; NULL = none */
    const char *db;                /* NULL = in memory */
    bool accept_data_loss;
    const char *tls_cert_file, *tls_key_file, *tls_client_ca_file; /* NULL = plain text */
    const char *keys_file;            /* API keys (access.h); NULL = everybody may call */
    struct flo_limits_options limits; /* of each namespace's calls */
    bool insecure;                    /* plain text on other than loopback addresses is meant */
    const char *namespaces;           /* more than `default`, separated by commas; NULL = none */
    bool time_skipping;          /* serve the test service; closed runs are then never deleted */
    bool time_locked;            /* ... the clock begins with one lock */
    int64_t shutdown_timeout_ns; /* how long SIGTERM waits for open commits; 0 = 30 s */
    struct flo_core_options core;
};

/*
 * Open the store, recover, listen; announces the listeners on stdout. The exit code of a failure is
 * flo_exit_code(its error). Strings are borrowed for the shell's life.
 */
FLO_MUST_CHECK int flo_shell_new(const struct flo_shell_options *options,
                                 struct flo_shell **out_shell, struct flo_err *err);
/* Serve until SIGTERM or SIGINT, or until the store or the core fails. The process's exit code.
 * Does not return (it exits with 74) when the disk does not even answer within the shutdown time:
 * a thread that waits for it cannot be joined. */
int flo_shell_run(struct flo_shell *shell);
void flo_shell_destroy(struct flo_shell **shell);

#endif
