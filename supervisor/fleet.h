/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - what the supervisor knows of the fleet: the newest snapshot of each process.
 *
 * Pure: frames and times come in, verdicts go out; no socket, clock or log. One entry is one run of
 * one process, known by its boot id, so that two workers with one identity, or a restarted one,
 * are told apart. Entries are bounded per role: at the bound the one unseen for longest is
 * forgotten. Loop thread only.
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

#define FLO_FLEET_PER_ROLE 1024
#define FLO_FLEET_LOST_MS 5000    /* silent for this long: lost */
#define FLO_FLEET_FORGET_MS 60000 /* lost or stopped for this long: forgotten */

/* Why a frame was dropped; the names are the values of flotilla_fleet_bad_frames_total{reason}. */
#define FLO_FRAME_VERDICTS(X)                                                                      \
    X(FLO_FRAME_TAKEN, "taken")                                                                    \
    X(FLO_FRAME_OLD, "old")         /* seq not above the last one: replayed or reordered */        \
    X(FLO_FRAME_PARTS, "parts")     /* not a single frame */                                       \
    X(FLO_FRAME_SIZE, "size")       /* empty or above 64 KiB */                                    \
    X(FLO_FRAME_JSON, "json")       /* not JSON, not UTF-8, duplicate members */                   \
    X(FLO_FRAME_VERSION, "version") /* of another protocol */                                      \
    X(FLO_FRAME_TYPE, "type")       /* no snapshot */                                              \
    X(FLO_FRAME_ROLE, "role")       /* unknown role */                                             \
    X(FLO_FRAME_FIELD, "field")     /* a member is absent, of a wrong type or too long */          \
    X(FLO_FRAME_METRICS, "metrics") /* malformed metrics */                                        \
    X(FLO_FRAME_MEMORY, "memory")   /* out of memory */

enum flo_frame_verdict {
#define FLO_FRAME_ENUM(id, name) id,
    FLO_FRAME_VERDICTS(FLO_FRAME_ENUM)
#undef FLO_FRAME_ENUM
};
const char *flo_frame_verdict_name(enum flo_frame_verdict verdict);

enum flo_fleet_role { FLO_FLEET_WORKFLOW, FLO_FLEET_IO, FLO_FLEET_CPU, FLO_FLEET_ENGINE };
#define FLO_FLEET_ROLES 4
const char *flo_fleet_role_name(enum flo_fleet_role role);

/* One run of one process. */
struct flo_fleet_entry {
    struct flo_node node; /* on fleet->entries[role], oldest news first */
    enum flo_fleet_role role;
    char boot[40];
    json_t *snapshot; /* the newest, checked */
    uint64_t seq;
    uint64_t gaps; /* snapshots lost on the way */
    int64_t first_seen_ms;
    int64_t last_seen_ms;
    double counters; /* sum of all counters, to see them go back */
    bool stopped;    /* it said goodbye */
    bool duplicate;  /* its identity is used by another live process */
};

struct flo_fleet {
    struct flo_list entries[FLO_FLEET_ROLES];
    struct flo_map by_boot;      /* boot id to entry */
    struct flo_metrics *metrics; /* borrowed: flotilla_fleet_*; may be NULL */
};

void flo_fleet_init(struct flo_fleet *fleet, struct flo_metrics *metrics);
void flo_fleet_fini(struct flo_fleet *fleet);

/*
 * Take one frame. *out_entry (may be NULL): the entry that it updated, when taken;
 * *out_new_duplicate: its identity turned out to be used twice.
 */
enum flo_frame_verdict flo_fleet_take(struct flo_fleet *fleet, const void *frame, size_t len,
                                      int64_t now_ms, struct flo_fleet_entry **out_entry,
                                      bool *out_new_duplicate);
/* Forget what has been gone for long. */
void flo_fleet_expire(struct flo_fleet *fleet, int64_t now_ms);

/* "running", "quiet", "draining", "stopped" or "lost". Static. */
const char *flo_fleet_entry_state(const struct flo_fleet_entry *entry, int64_t now_ms);
bool flo_fleet_entry_live(const struct flo_fleet_entry *entry, int64_t now_ms);
/* The live entry of that process id, or NULL. */
struct flo_fleet_entry *flo_fleet_by_pid(struct flo_fleet *fleet, int64_t pid, int64_t now_ms);

/* Check a parsed snapshot: 0-cost on success. fleet_snapshot.c. */
enum flo_frame_verdict flo_snapshot_check(const json_t *snapshot, enum flo_fleet_role *out_role);
/* The sum of all counters of a checked snapshot. */
double flo_snapshot_counters(const json_t *snapshot);

/*
 * All metrics of live entries as Prometheus text, each with the labels role and identity, families
 * grouped; own (may be NULL) is the supervisor's own registry, shown as role "supervisor".
 * FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_fleet_render_metrics(struct flo_fleet *fleet, struct flo_metrics *own,
                                            const char *own_identity, int64_t now_ms,
                                            struct flo_buf *out);

#endif
