/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - what the supervisor knows of the fleet: the newest snapshot of each process.
 *
 * Pure: frames and times come in, verdicts go out; no socket, clock or log. One entry is one run of
 * one process, known by its boot id, so that two workers with one identity, or a restarted one,
 * are told apart. Entries are bounded per role: at the bound the one unseen for longest is
 * forgotten. All times are monotonic milliseconds unless they say otherwise. Loop thread only.
 *
 *   fleet.c           entries: taking frames, states, expiry
 *   fleet_snapshot.c  a frame's members, checked, into an entry
 *   fleet_store.c     metrics: what series there are (shared), and each process's values
 *   fleet_query.c     sums, groups, histograms over the fleet
 *   fleet_metrics.c   everything as one page for Prometheus
 */
#ifndef FLO_SUPERVISOR_FLEET_H
#define FLO_SUPERVISOR_FLEET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "telemetry/metrics.h"
#include "telemetry/report.h"

struct flo_fleet_shape; /* fleet_store.h */
struct flo_fleet_store;

#define FLO_FLEET_PER_ROLE 1024
#define FLO_FLEET_LOST_MS 3000    /* silent for this long: lost */
#define FLO_FLEET_CLOSED_MS 1000  /* its connection closed and silent for this long: lost */
#define FLO_FLEET_FORGET_MS 60000 /* lost or stopped for this long: forgotten */
#define FLO_FLEET_SERIES_MAX 4096 /* series of one process; the families past it are dropped */
/* What the metrics of all processes may take; past it a process is kept without its metrics. */
#define FLO_FLEET_METRICS_BYTES ((size_t)48 << 20)

/* Why a frame was dropped; the names are the values of flotilla_fleet_bad_frames_total{reason}. */
#define FLO_FRAME_VERDICTS(X)                                                                      \
    X(FLO_FRAME_TAKEN, "taken")                                                                    \
    X(FLO_FRAME_OLD, "old")         /* seq not above the last one: replayed or reordered */        \
    X(FLO_FRAME_PARTS, "parts")     /* not a single frame */                                       \
    X(FLO_FRAME_SIZE, "size")       /* empty or above 64 KiB */                                    \
    X(FLO_FRAME_JSON, "json")       /* not JSON, not UTF-8, duplicate members */                   \
    X(FLO_FRAME_VERSION, "version") /* of another protocol */                                      \
    X(FLO_FRAME_TYPE, "type")       /* of no type that goes up */                                  \
    X(FLO_FRAME_CONTROL, "control") /* a peer that would command */                                \
    X(FLO_FRAME_ROLE, "role")       /* unknown role */                                             \
    X(FLO_FRAME_FIELD, "field")     /* a member is absent, of a wrong type or too long */          \
    X(FLO_FRAME_METRICS, "metrics") /* malformed metrics */                                        \
    X(FLO_FRAME_PEER, "peer")       /* of a run that has another connection, or of a second run */ \
    X(FLO_FRAME_KEY, "key")         /* its key is no longer allowed */                             \
    X(FLO_FRAME_RATE, "rate")       /* too many frames or bytes a second */                        \
    X(FLO_FRAME_MEMORY, "memory")   /* out of memory */

enum flo_frame_verdict {
#define FLO_FRAME_ENUM(id, name) id,
    FLO_FRAME_VERDICTS(FLO_FRAME_ENUM)
#undef FLO_FRAME_ENUM
};
const char *flo_frame_verdict_name(enum flo_frame_verdict verdict);

enum flo_fleet_role { FLO_FLEET_WORKFLOW, FLO_FLEET_IO, FLO_FLEET_CPU, FLO_FLEET_ENGINE };
#define FLO_FLEET_ROLES 4
#define FLO_FLEET_ANY_ROLE (-1)
const char *flo_fleet_role_name(enum flo_fleet_role role);
/* The role of that name, or FLO_FLEET_ANY_ROLE: there is none. */
int flo_fleet_role_by_name(const char *name);

/* What it does, as it says itself in its newest snapshot. */
enum flo_fleet_said {
    FLO_SAID_RUNNING,
    FLO_SAID_QUIET,
    FLO_SAID_DRAINING,
    FLO_SAID_STOPPED, /* its last one */
};

struct flo_fleet_slots {
    char kind[32]; /* "workflow", "activity", "local-activity" */
    uint32_t used, total;
};

/* One run of one process; the texts are never NULL and live until its next snapshot. */
struct flo_fleet_entry {
    struct flo_node node; /* on fleet->entries[role], oldest news first */
    enum flo_fleet_role role;
    char boot[40];
    const char *identity, *name, *version, *server, *name_space, *task_queue, *http;
    enum flo_fleet_said said;
    bool ready;
    bool duplicate;   /* its identity is used by another live process */
    bool lost_told;   /* flo_fleet_expire has said that it is lost */
    char ended[96];   /* how it ended, as whoever is its parent knows; "" when nobody does */
    int64_t ended_ms; /* 0: not known to have ended */
    int64_t pid, started_ms /* wall clock */, cpu_ms, rss_bytes, threads;
    uint64_t done, failed, polls; /* tasks since its start; polls in flight */
    struct flo_fleet_slots slots[FLO_REPORT_SLOT_KINDS];
    unsigned slot_count;
    uint64_t left_out; /* families that did not fit into its frame, or into the store */

    uint64_t seq;         /* of its newest snapshot */
    uint64_t gaps;        /* snapshots lost on the way */
    uint64_t event_seq;   /* of its newest event */
    uint64_t events_lost; /* events that it or the way dropped */
    int64_t first_seen_ms, last_seen_ms;
    int64_t closed_ms;   /* when its connection closed; 0: it is open */
    uint64_t connection; /* the hub's number of it; 0: none */
    bool leaving;        /* that connection said that another one goes on */

    /* fleet_store.c */
    struct flo_fleet_shape *shape; /* which series; shared, NULL without metrics */
    double *values;                /* their values, one after the other */
    double counters;               /* sum of all counters, to see them go back */
    char *texts;                   /* the block of identity and so on */
};

struct flo_fleet {
    struct flo_list entries[FLO_FLEET_ROLES];
    struct flo_map by_boot;        /* boot id to entry */
    struct flo_fleet_store *store; /* made with the first metrics */
    struct flo_metrics *metrics;   /* borrowed: flotilla_fleet_*; may be NULL */
    /* Tasks that ended since this fleet was made, by role: never go back, whoever leaves. */
    struct {
        double done, failed;
    } totals[FLO_FLEET_ROLES];
};

#define FLO_FLEET_ENTRY(list_node) flo_container(list_node, struct flo_fleet_entry, node)

void flo_fleet_init(struct flo_fleet *fleet, struct flo_metrics *metrics);
void flo_fleet_fini(struct flo_fleet *fleet);

/*
 * Take one snapshot frame that came by `connection` (0: no matter which; see the hub).
 * *out_entry (may be NULL): the entry that it updated, when taken; *out_new_duplicate (may be
 * NULL): its identity turned out to be used twice.
 */
enum flo_frame_verdict flo_fleet_take(struct flo_fleet *fleet, const void *frame, size_t len,
                                      uint64_t connection, int64_t now_ms,
                                      struct flo_fleet_entry **out_entry, bool *out_new_duplicate);
/* Count a dropped frame. */
void flo_fleet_count_bad(struct flo_fleet *fleet, enum flo_frame_verdict verdict);
/* A connection says that another one will go on for that run. FLO_FRAME_PEER: it is not its. */
enum flo_frame_verdict flo_fleet_leave(struct flo_fleet *fleet, const char *boot,
                                       uint64_t connection);
/* Its connection closed; a new one, or news, undoes that. */
void flo_fleet_closed(struct flo_fleet *fleet, struct flo_fleet_entry *entry, int64_t now_ms);
/* The process of that id has ended, as its parent knows: `how` is "signal 9 (Killed)", "exit code
 * 1". Its entry is lost at once, with that reason. Unknown ids are ignored. */
void flo_fleet_process_ended(struct flo_fleet *fleet, int64_t pid, const char *how, int64_t now_ms);
/* Forget an entry at once. */
void flo_fleet_forget(struct flo_fleet *fleet, struct flo_fleet_entry *entry);
/* Forget what has been gone for long; call lost (may be NULL) once for each that turned lost. */
typedef void (*flo_fleet_lost_fn)(void *ctx, const struct flo_fleet_entry *entry,
                                  const char *reason);
void flo_fleet_expire(struct flo_fleet *fleet, int64_t now_ms, flo_fleet_lost_fn lost, void *ctx);

/* "running", "quiet", "draining", "stopped" or "lost". Static. */
const char *flo_fleet_entry_state(const struct flo_fleet_entry *entry, int64_t now_ms);
/* Why it is in a state that is not "running": "killed by signal 9 (Killed)", "its connection
 * closed", "no report for 4 s", "told to stop"; "" when there is nothing to say. */
void flo_fleet_entry_reason(const struct flo_fleet_entry *entry, int64_t now_ms, char *out,
                            size_t size);
/* Neither stopped nor lost. */
bool flo_fleet_entry_live(const struct flo_fleet_entry *entry, int64_t now_ms);
/* The live entry of that process id, or NULL. */
struct flo_fleet_entry *flo_fleet_by_pid(struct flo_fleet *fleet, int64_t pid, int64_t now_ms);
struct flo_fleet_entry *flo_fleet_by_boot(struct flo_fleet *fleet, const char *boot);

/* ---- asking over the fleet (fleet_query.c): live entries only ---- */

#define FLO_FLEET_WHERE_MAX 4

/* Which series: each member that is not zero narrows the choice. Metric and label names are those
 * of telemetry/metric_names.h, whatever style pages render. */
struct flo_fleet_query {
    const char *metric;                  /* the family; must be given */
    bool of_role;                        /* only processes of `role` */
    enum flo_fleet_role role;            /* when of_role */
    const char *task_queue;              /* only processes that poll this queue */
    const struct flo_fleet_entry *entry; /* only this one (looked at even when it is not live) */
    struct {
        const char *label, *value; /* the series has this label with this value */
    } where[FLO_FLEET_WHERE_MAX];
};

/* Histograms of many series added up. Those whose bounds differ from the first one's only count in
 * sum and count. */
struct flo_fleet_histogram {
    size_t bound_count;
    double bounds[FLO_METRIC_BUCKETS_MAX];     /* upper, rising; +Inf is not among them */
    double counts[FLO_METRIC_BUCKETS_MAX + 1]; /* not cumulative; the last is +Inf's */
    double sum, count;
};

/* The sum of counters or gauges; of histograms the number of observations. */
double flo_fleet_sum(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms);
/* The largest one; 0 without any. */
double flo_fleet_max(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms);
/* Merge into *out (all zeros when there are none). False: no histogram has observations. */
bool flo_fleet_merge(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms,
                     struct flo_fleet_histogram *out);
/* The value below which the share q (0 to 1) of the observations lies, interpolated within its
 * bucket as Prometheus' histogram_quantile does; NaN without observations. */
double flo_fleet_quantile(const struct flo_fleet_histogram *histogram, double q);
/* later minus earlier, for the observations between two merges. Where it would go below zero (a
 * process left) the result is `later`. */
void flo_fleet_histogram_since(const struct flo_fleet_histogram *later,
                               const struct flo_fleet_histogram *earlier,
                               struct flo_fleet_histogram *out);

/* One value of the label by which flo_fleet_group groups; borrowed during the call. */
struct flo_fleet_group {
    const char *value;
    double sum;                           /* as flo_fleet_sum */
    struct flo_fleet_histogram histogram; /* zeros unless the family is one */
};
typedef void (*flo_fleet_group_fn)(void *ctx, const struct flo_fleet_group *group);
/* Call fn once for each value that `label` has, in order of appearance; series without that label
 * are left out. FLO_ENOMEM (fn was not called). */
FLO_MUST_CHECK int flo_fleet_group(struct flo_fleet *fleet, const struct flo_fleet_query *query,
                                   const char *label, int64_t now_ms, flo_fleet_group_fn fn,
                                   void *ctx);
/* Slots of a kind (NULL: all kinds) of the live processes of a role (FLO_FLEET_ANY_ROLE: all) that
 * poll task_queue (NULL: any). */
void flo_fleet_slots(struct flo_fleet *fleet, int role, const char *task_queue, const char *kind,
                     int64_t now_ms, uint64_t *out_used, uint64_t *out_total);
/* Does the process poll this task queue? Its task_queue is a list joined by commas. */
bool flo_fleet_polls(const struct flo_fleet_entry *entry, const char *task_queue);

/*
 * All metrics of live entries as a page, each with the labels role and identity, families grouped;
 * own (may be NULL) is the supervisor's own registry, shown as role "supervisor". FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_fleet_render_metrics(struct flo_fleet *fleet, struct flo_metrics *own,
                                            const char *own_identity, int64_t now_ms,
                                            const struct flo_metrics_form *form,
                                            struct flo_buf *out);

#endif
