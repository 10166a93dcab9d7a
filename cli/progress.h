/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - what a command that makes many calls says on stderr while it runs: how far it is,
 * that its server went away and came back, and that it gives up when that took too long.
 */
#ifndef FLO_CLI_PROGRESS_H
#define FLO_CLI_PROGRESS_H

#include "cli/session.h"

#define CLI_PROGRESS_EVERY_MS 10000
#define CLI_PROGRESS_AWAY_MS 60000

struct cli_progress_options {
    const char *what; /* that is counted: "workflows" */
    size_t total;     /* > 0 */
    bool show;        /* a bar on a terminal; elsewhere a line each tenth (of 100 and more), each
                       * every_ms, and at the end */
    int64_t every_ms; /* <= 0: CLI_PROGRESS_EVERY_MS */
    int64_t away_ms;  /* without a connection for so long: give up; < 0: CLI_PROGRESS_AWAY_MS */
    /* Nothing has ended for half of every_ms; called again after as long. May be NULL. */
    void (*on_still)(void *ctx);
    void (*on_give_up)(void *ctx); /* has been said; once, from the loop */
    void *ctx;
};

struct cli_progress {
    struct cli_session *session;
    struct cli_progress_options options;
    size_t ended;
    int64_t began_ns, last_end_ns, last_shown_ns;
    unsigned shown_tenths;
    bool terminal;         /* stderr is one */
    bool bar;              /* one stands on the last line */
    struct event *tick;    /* each half of every_ms */
    struct event *away;    /* while there is no connection: when to say so, then when to give up */
    int64_t away_since_ns; /* 0: connected, or not yet away */
    bool said_away;
};

/* Begin to watch the session, which has one at a time. False: no memory; cli_progress_fini is due
 * in any case. */
bool cli_progress_init(struct cli_progress *progress, struct cli_session *session,
                       const struct cli_progress_options *options);
void cli_progress_fini(struct cli_progress *progress);
/* One more has ended. */
void cli_progress_ended(struct cli_progress *progress);
/* A line of its own, after "flotilla: ". */
void cli_progress_say(struct cli_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
