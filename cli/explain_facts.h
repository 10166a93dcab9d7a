/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_facts.h - what `flotilla explain` knows of a workflow, and what follows from it. The
 * facts are gathered from the server and the fleet by explain.c; what is said about them is pure.
 *
 * Texts are borrowed from whoever fills the facts; NULL or "" means unknown. Times are milliseconds
 * of the wall clock, 0 means unknown or never.
 */
#ifndef FLO_CLI_EXPLAIN_FACTS_H
#define FLO_CLI_EXPLAIN_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A worker of the fleet, as its supervisor sees it. */
struct cli_explain_worker {
    const char *name; /* "io-1", or its identity when it has no name */
    const char *identity;
    const char *state; /* running, quiet, draining, stopped, lost */
    const char *queue;
    bool activities;     /* it polls activities, else workflows */
    int64_t used, total; /* slots */
    int64_t silent_ms;   /* since its last report */
};

/* A task queue that something waits in. */
struct cli_explain_queue {
    const char *name;
    bool activities;
    const char *refused;    /* why the server does not say who polls; NULL: it said */
    size_t pollers;         /* who polled within the time that the server remembers (5 min) */
    int64_t last_poll_ms;   /* the newest poll's start */
    int64_t backlog;        /* tasks that wait; -1: unknown */
    int64_t backlog_age_ms; /* the oldest one's */
    const char *gone; /* the newest event of the fleet about the end of a worker of this queue */
    int64_t gone_ms;
};

enum cli_explain_activity_state {
    CLI_EXPLAIN_QUEUED,  /* waits for a worker */
    CLI_EXPLAIN_BACKOFF, /* waits for its next attempt */
    CLI_EXPLAIN_RUNNING,
    CLI_EXPLAIN_CANCELLING, /* runs and has been told to stop */
    CLI_EXPLAIN_PAUSED,
};
struct cli_explain_activity {
    const char *id, *type, *queue;
    enum cli_explain_activity_state state;
    int attempt, attempts_max; /* 0: no limit */
    int64_t scheduled_ms;      /* this attempt, as far as known */
    int64_t next_attempt_ms;
    int64_t started_ms, heartbeat_ms;
    const char *identity; /* of the worker that runs it, or ran it last */
    const char *failure;  /* of the attempt before, with its causes */
};

struct cli_explain_child {
    const char *workflow_id, *type;
};
struct cli_explain_timer {
    const char *id;
    int64_t fires_ms;
};

enum cli_explain_trouble {
    CLI_EXPLAIN_FOUND,
    CLI_EXPLAIN_NOT_FOUND,
    CLI_EXPLAIN_NO_NAMESPACE,
    CLI_EXPLAIN_SERVER_AWAY,
    CLI_EXPLAIN_REFUSED,
};

enum cli_explain_status { /* numbers of WorkflowExecutionStatus */
                          CLI_EXPLAIN_OPEN = 1,
                          CLI_EXPLAIN_COMPLETED,
                          CLI_EXPLAIN_FAILED,
                          CLI_EXPLAIN_CANCELED,
                          CLI_EXPLAIN_TERMINATED,
                          CLI_EXPLAIN_CONTINUED,
                          CLI_EXPLAIN_TIMED_OUT,
                          CLI_EXPLAIN_WF_PAUSED,
};

struct cli_explain_facts {
    int64_t now_ms;
    const char *address, *name_space;
    enum cli_explain_trouble trouble;
    const char *trouble_text; /* what the server, or the network, said */

    const char *workflow_id, *run_id, *type, *queue;
    enum cli_explain_status status;
    int64_t started_ms, closed_ms;
    int64_t first_task_ms; /* a delayed or scheduled start: when it begins */
    const char *failure;   /* how it failed, with its causes; or why it was terminated */
    const char *closed_by; /* identity, of a termination */
    const char *next_run;  /* the run that it went on in */
    bool poison;           /* PoisonTask is among the types of some failure */

    bool cancel_requested;
    struct {
        bool pending, started;
        int attempt;
        int64_t scheduled_ms, started_ms;
        const char *identity; /* who has it */
        const char *queue;    /* where it waits: the normal queue, or a worker's own */
        bool sticky;
    } task;
    /* The newest workflow task that did not complete, when none completed after it. */
    const char *task_failure;       /* its message; NULL: none */
    const char *task_failure_cause; /* "NON_DETERMINISTIC_ERROR", "timeout", ... */
    const char *task_failure_identity;

    const struct cli_explain_activity *activities;
    size_t activity_count;
    const struct cli_explain_child *children;
    size_t child_count;
    const struct cli_explain_timer *timers;
    size_t timer_count;
    size_t external_count; /* signals and cancel requests to others that are not answered yet */
    const struct cli_explain_queue *queues;
    size_t queue_count;

    bool fleet; /* a supervisor answered */
    const struct cli_explain_worker *workers;
    size_t worker_count;
    const char *last_event; /* "TIMER_FIRED" */
    int64_t last_event_ms;
};

/*
 * Why the workflow does not move, the most telling first: a new array of {"kind", "text"}, each
 * text a whole sentence. Never empty; NULL without memory. Kinds: see docs/operations.md.
 */
json_t *cli_explain_reasons(const struct cli_explain_facts *facts);

/* Do the sentences of two moments say the same, but for times, durations and counts: words that
 * begin with a digit, and the unit behind one? */
bool cli_explain_same(const char *a, const char *b);

/* "12 s", "3 min", "2 h 5 min", "4 days"; below a second "240 ms". */
struct cli_explain_text {
    char text[48];
};
struct cli_explain_text cli_explain_duration(int64_t ms);
/* Local time "14:02:10", with the date when that is not today's. */
struct cli_explain_text cli_explain_clock(int64_t wall_ms, int64_t now_ms);

#endif
