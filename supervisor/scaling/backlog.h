/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backlog.h - how much waits in the fleet's task queues, as their server says (DescribeTaskQueue).
 *
 * A queue is asked about once somebody watches it, every interval_ms, with at most one question
 * under way, which is given up after FLO_BACKLOG_DEADLINE_MS. A question that fails doubles the
 * wait before the next one, up to FLO_BACKLOG_BACKOFF_MS; while there is no connection none is
 * asked. An answer counts until it is stale: then the figures are unknown, and their series are
 * absent. Queues that nobody watches any more are forgotten after a while.
 *
 * What waits is what the server has and no worker has been given: tasks in the normal queue and,
 * with our engine, those that wait for one worker (sticky). A real server does not add those.
 *
 * Loop thread only.
 */
#ifndef FLO_SUPERVISOR_BACKLOG_H
#define FLO_SUPERVISOR_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "config/server_config.h"
#include "flotilla/error.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_backlogs; /* opaque: backlog.c */

#define FLO_BACKLOG_QUEUES_MAX 512
#define FLO_BACKLOG_DEADLINE_MS 5000
#define FLO_BACKLOG_BACKOFF_MS 30000
#define FLO_BACKLOG_SILENT_MS 6000   /* no answer to any question for so long: it hangs */
#define FLO_BACKLOG_FORGET_MS 120000 /* not watched for so long: forgotten */

/* One queue and kind of task. */
struct flo_backlog_queue {
    struct flo_node node;
    const char *name_space, *name;
    bool activity;             /* activity tasks; else workflow tasks */
    int64_t answered_ms;       /* monotonic; 0: never */
    int64_t count;             /* tasks that wait */
    int64_t pollers;           /* workers that polled in the last minutes */
    double age_s;              /* of the task that waits longest */
    double added_s, started_s; /* tasks a second */
};

struct flo_backlog_options {
    const char *name_space;           /* the default */
    const char *identity;             /* with which the server is asked */
    const char *api_key;              /* "" = none; borrowed */
    const struct flo_server_tls *tls; /* borrowed */
    int64_t interval_ms;              /* > 0 */
    struct flo_metrics *metrics;      /* borrowed; may be NULL */
    /* A queue has an answer, or has become unknown. May be NULL. */
    void (*on_change)(void *ctx, const struct flo_backlog_queue *queue);
    void *ctx;
};

/* Nothing is asked before an address is set. options' strings are borrowed. */
FLO_MUST_CHECK int flo_backlogs_new(struct event_base *base,
                                    const struct flo_backlog_options *options,
                                    struct flo_backlogs **out, struct flo_err *err);
/* NULL is fine. */
void flo_backlogs_destroy(struct flo_backlogs **backlogs);

/* The server, "host:port"; another one than before gets a new connection, "" none. Errors (TLS
 * files, memory) are logged, once. */
void flo_backlogs_set_address(struct flo_backlogs *backlogs, const char *address);
/* Is there a connection? */
bool flo_backlogs_connected(const struct flo_backlogs *backlogs);
/* For how long a server that answered once has answered no question at all, an error included: it
 * hangs or is gone. 0: it answers, or is not silent for FLO_BACKLOG_SILENT_MS. */
int64_t flo_backlogs_silent_ms(const struct flo_backlogs *backlogs);

/*
 * Watch a queue for FLO_BACKLOG_FORGET_MS: to be called again and again. name_space "" is the
 * default. NULL: too many queues, or no memory. The queue is valid until the loop turns.
 */
const struct flo_backlog_queue *flo_backlogs_watch(struct flo_backlogs *backlogs,
                                                   const char *name_space, const char *name,
                                                   bool activity);
/* Are its figures true now? */
bool flo_backlogs_known(const struct flo_backlogs *backlogs, const struct flo_backlog_queue *queue);
/* All queues, in the order in which they were first watched. */
const struct flo_list *flo_backlogs_queues(const struct flo_backlogs *backlogs);

#endif
