/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - the worker's end of the connection to the supervisor (docs/supervisor-protocol.md):
 * once a second one self-contained snapshot of how this process is, events as they happen, and
 * commands that come down, each acknowledged. ZeroMQ, DEALER to the supervisor's ROUTER.
 *
 * A worker never needs the supervisor: sends do not wait, at most a few snapshots are queued, and
 * what does not fit is dropped and counted. Each snapshot holds totals, so a lost one costs
 * nothing. Events and acknowledgements wait in a bounded queue while the supervisor is away; when
 * it is full the oldest are dropped, and the gap in their numbers tells how many.
 *
 * A connection is used for some 30 to 58 snapshots, then a new one takes over (report_link.c).
 *
 * Costs one ZeroMQ context with one I/O thread (two threads in all), made by the first reporter.
 * Loop thread only.
 */
#ifndef FLO_TELEMETRY_REPORT_H
#define FLO_TELEMETRY_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/log.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_reporter; /* opaque */

#define FLO_REPORT_VERSION 1
#define FLO_REPORT_MAX_BYTES ((size_t)65536) /* one frame; the hub drops longer ones */
#define FLO_REPORT_SLOT_KINDS 4
#define FLO_REPORT_QUEUE 64           /* events and acknowledgements that wait */
#define FLO_REPORT_EVENTS_A_SECOND 20 /* events of one process, after a burst of three seconds' */

/* What changes between snapshots; the program fills it on the loop thread each second. */
struct flo_report_sample {
    bool draining; /* stopping: no new tasks */
    bool quiet;    /* told to take no new tasks, for the time being */
    bool ready;    /* as /ready says */
    struct {
        const char *kind; /* static: "workflow", "activity", "local-activity" */
        uint32_t used, total;
    } slots[FLO_REPORT_SLOT_KINDS];
    unsigned slot_count;
    uint64_t tasks_done;   /* tasks completed since the start */
    uint64_t tasks_failed; /* tasks that ended in a failure */
    uint32_t polls;        /* polls in flight */
};
typedef void (*flo_report_sample_fn)(void *ctx, struct flo_report_sample *sample);

/*
 * A command came: act on it, or begin to, and call flo_reporter_ack with its id, once, now or
 * later. args is an object, borrowed. Commands that are not addressed to this run, or malformed,
 * do not get here: they are refused, counted (flotilla_rejects_total{reason="control"}) and logged
 * as control.denied. Loop thread.
 */
typedef void (*flo_report_command_fn)(void *ctx, uint64_t id, const char *name, json_t *args);

struct flo_report_options {
    const char *endpoint; /* "ipc:///path" or "tcp://host:port" */
    /* CURVE: our secret key and the supervisor's public one; both or none ("" or NULL). The files
     * are read once. */
    const char *secret_key_file, *server_key_file;
    const char *identity; /* the worker's; at most 255 bytes, UTF-8 */
    const char *role;     /* "workflow", "io-activity", "cpu-activity", "engine" */
    const char *name;     /* its name in the fleet, "" when it has none (FLOTILLA_PROCESS) */
    const char *version;
    const char *server; /* address of the Temporal service, "" when none */
    const char *name_space;
    const char *task_queue;
    const char *http_address;    /* where it serves /health, "" when nowhere */
    int64_t interval_ms;         /* 0: 1000 */
    struct flo_metrics *metrics; /* borrowed; may be NULL */
    flo_report_sample_fn sample; /* may be NULL */
    void *sample_ctx;
    flo_report_command_fn command; /* NULL: every command is answered with "takes no commands" */
    void *command_ctx;
};

/* Can a reporter connect to endpoint, and a hub listen there: is it ipc or tcp? 0 or FLO_EINVAL. */
FLO_MUST_CHECK int flo_report_check_endpoint(const char *endpoint, struct flo_err *err);
/* Connect (in the background: an absent supervisor is no error) and start the timer; the strings
 * are copied. FLO_EINVAL: endpoint not usable; FLO_ESYS; those of curve.h. */
FLO_MUST_CHECK int flo_reporter_new(struct event_base *base,
                                    const struct flo_report_options *options,
                                    struct flo_reporter **out, struct flo_err *err);
/* Send a snapshot now, beside the timer's: at the start of a drain and at the end. */
void flo_reporter_send(struct flo_reporter *reporter);
/*
 * Tell the supervisor that something happened: kind is a stable dotted name ("executor.died"),
 * message one sentence of at most 512 bytes, fields an object with more (NULL: nothing; at most
 * 4 KiB as JSON, else left out). fields is consumed. Beyond FLO_REPORT_EVENTS_A_SECOND events are
 * dropped, and counted. NULL reporter: only frees fields.
 */
void flo_reporter_event(struct flo_reporter *reporter, enum flo_log_level level, const char *kind,
                        const char *message, json_t *fields);
/*
 * Answer command id: done (ok) or not, and one sentence why (NULL: ""). data (any JSON, consumed,
 * NULL: none) travels along; an answer above FLO_REPORT_MAX_BYTES goes without it and is not ok.
 */
void flo_reporter_ack(struct flo_reporter *reporter, uint64_t id, bool ok, const char *message,
                      json_t *data);
/* Say "stopped" once, close, free. Waits at most 100 ms for the last frame. NULL is fine. */
void flo_reporter_destroy(struct flo_reporter **reporter);

#endif
