/* SPDX-License-Identifier: Apache-2.0 */
/* shell_internal.h - the shell's struct, for shell.c, dispatch.c, pages.c, retention.c,
 * heap.c and recover.c. */
#ifndef FLO_ENGINE_SHELL_INTERNAL_H
#define FLO_ENGINE_SHELL_INTERNAL_H

#include <event2/event.h>

#include "base/arena.h"
#include "engine/calls.h"
#include "engine/core/core.h"
#include "engine/gate.h"
#include "engine/rpc/routes.h"
#include "engine/shell.h"
#include "engine/skip.h"
#include "engine/store/committer.h"
#include "engine/store/store.h"
#include "engine/streams.h"
#include "engine/web/web.h"
#include "grpc/server.h"
#include "telemetry/http.h"
#include "telemetry/metrics.h"

/*
 * SERVING -signal-> DRAINING -everything durable and sent-> STOPPED (exit 0)
 *    any  -the store or the core failed-> FAILED -answers sent-> end (exit 74, 70)
 * DRAINING -the disk is full, or the shutdown time is over-> FAILED (exit 74)
 */
enum flo_shell_state {
    FLO_SHELL_SERVING,
    FLO_SHELL_DRAINING,
    FLO_SHELL_FAILED,
    FLO_SHELL_STOPPED,
};

/* A path that was called before, and what serves it. */
struct flo_served {
    char *path;
    size_t path_len;
    const struct flo_route *route; /* NULL: the core's, or the test service's */
    bool test_service;
    const ProtobufCMessageDescriptor *request;
    struct flo_call_method *method;
    struct flo_gate_method gate;
    bool only_reads; /* goes on while the disk is full or behind */
};
#define FLO_SERVED_MAX 128 /* many more than the engine serves */

/* Open runs that were not loaded at the start: their keys (recover.c). */
struct flo_waking {
    uint64_t *keys; /* heap */
    size_t count, next;
};

/* A call of the web page, while it is made (ask.c). */
struct flo_ask {
    struct flo_arena *arena; /* of the answer */
    bool answered;
    int code;
    const char *message;
    struct flo_buf bytes; /* the packed answer */
};

/* Pages that show what is not durable yet: they wait as the answers of calls do (ask.c). */
struct flo_held_pages {
    struct flo_list list; /* in the order of what they wait for */
    uint64_t after;       /* what the page that is being made shows last */
};

struct flo_shell {
    enum flo_shell_state state;
    int exit_code;
    int64_t wall_base_ns, mono_base_ns; /* the clock: wall at start plus what went by since */
    struct event_base *base;
    struct event *commit_event, *timer;
    struct event *signals[2];
    struct event *watchdog; /* the service manager's; NULL without one */
    int64_t timer_at_ns;    /* what the timer is set to; INT64_MAX = off */
    struct flo_store *store;
    struct flo_committer *committer;
    struct flo_core *core;
    struct flo_grpc_server *server;
    struct flo_gate *gate; /* API keys and limits; NULL = none */
    struct flo_calls calls;
    struct flo_streams streams;
    struct flo_served served[FLO_SERVED_MAX]; /* by first use; dispatch.c */
    size_t served_count;
    struct flo_arena arena; /* of the request being served */
    struct flo_metrics *metrics;
    struct flo_health *health;
    struct flo_http *http;
    struct flo_web_source web; /* what the web page asks */
    struct flo_ask *ask;       /* its call that is being made; NULL = none */
    struct flo_held_pages held_pages;
    bool no_queue_depth;     /* a supervisor serves the depths of queues */
    bool banner;             /* we speak as Temporal's dev server does */
    bool stalled;            /* the disk is full: only reads are served */
    struct flo_skip skip;    /* how the clock skips */
    int64_t retention_at_ns; /* when closed runs are next looked at; on flo_shell_now's clock */
    struct flo_waking waking;
    size_t peak_runs;        /* most open runs since memory was given back; heap.c */
    int64_t gave_back_ns;    /* when that was; on flo_shell_now's clock */
    int64_t give_back_at_ns; /* when it is due again; INT64_MAX = there is nothing to give */
    int64_t shutdown_timeout_ns;
    int64_t drain_until_ns; /* while DRAINING; monotonic */
    bool disk_hangs;        /* the commit thread did not come back: it cannot be joined */
};

/* Wall clock that never goes back. */
int64_t flo_shell_now(const struct flo_shell *shell);

/* dispatch.c: the server's callbacks; ctx is the shell. */
void flo_shell_on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                       const uint8_t *body, size_t len);
void flo_shell_on_cancel(void *ctx, struct flo_grpc_server_call *call);
void flo_shell_on_reject(void *ctx, const char *reason);
/* Forget the paths. */
void flo_shell_served_fini(struct flo_shell *shell);

/* pages.c: metrics, health, HTTP. */
FLO_MUST_CHECK int flo_shell_pages_open(struct flo_shell *shell,
                                        const struct flo_shell_options *options,
                                        struct flo_err *err);
void flo_shell_pages_close(struct flo_shell *shell);
void flo_shell_count_commit(struct flo_shell *shell, const struct flo_committer_stats *stats,
                            uint64_t transitions);

/* ask.c: the web page's way to the engine. */
void flo_shell_web_source(struct flo_shell *shell, struct flo_web_source *out);
/* Is it the answer to the page's call? Then it is taken. */
bool flo_shell_take_answer(struct flo_shell *shell, const struct flo_core_reply *reply);
/* More is durable (flo_calls_durable): answer the pages that waited for it. */
void flo_shell_answer_pages(struct flo_shell *shell);

/* retention.c: delete closed runs whose time is over; at the end of a turn, while SERVING. Does
 * nothing before retention_at_ns, which it sets. */
void flo_shell_retain(struct flo_shell *shell, int64_t now_ns);

/* jobs.c: read the next runs for a batch job that asks, one window a turn; while SERVING. Is there
 * more to read at once? */
bool flo_shell_read_for_jobs(struct flo_shell *shell);

/* heap.c: give memory back to the system when many runs are gone and nobody waits; at the end of a
 * turn, after the commit was started, while SERVING. Sets give_back_at_ns. */
void flo_shell_give_back(struct flo_shell *shell, int64_t now_ns);

/* recover.c: feed the core with what is stored. */
FLO_MUST_CHECK int flo_shell_recover(struct flo_shell *shell, struct flo_err *err);
/* Look at some more of the open runs; at the end of a turn, while SERVING. True: there are more. */
bool flo_shell_wake(struct flo_shell *shell);

#endif
