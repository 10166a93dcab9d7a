/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - tells the supervisor, once a second, how this process is: one self-contained snapshot
 * over ZeroMQ (DEALER to the supervisor's ROUTER), as docs/supervisor-protocol.md describes.
 *
 * A worker never needs the supervisor: sends do not wait, at most a few snapshots are queued, and
 * what does not fit is dropped and counted. Each snapshot holds totals, so a lost one costs
 * nothing. The same socket will carry commands down (drain, resize); until then incoming frames
 * are read and dropped.
 *
 * Costs one ZeroMQ context with one I/O thread (two threads in all), made by the first reporter.
 * Loop thread only.
 */
#ifndef FLO_TELEMETRY_REPORT_H
#define FLO_TELEMETRY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_reporter; /* opaque */

#define FLO_REPORT_VERSION 1
#define FLO_REPORT_MAX_BYTES ((size_t)65536) /* one frame; the hub drops longer ones */
#define FLO_REPORT_SLOT_KINDS 4

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

struct flo_report_options {
    const char *endpoint; /* "ipc:///path" or "tcp://host:port" */
    /* CURVE: our secret key and the supervisor's public one; both or none ("" or NULL). Read once,
     * not kept. */
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
/* Say "stopped" once, close, free. Waits at most 100 ms for the last frame. NULL is fine. */
void flo_reporter_destroy(struct flo_reporter **reporter);

#endif
