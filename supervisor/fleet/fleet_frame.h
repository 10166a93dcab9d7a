/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_frame.h - a frame from a process, read and checked (docs/supervisor-protocol.md). */
#ifndef FLO_SUPERVISOR_FLEET_FRAME_H
#define FLO_SUPERVISOR_FLEET_FRAME_H

#include "supervisor/fleet/fleet.h"
#include "supervisor/hub/events.h"

enum flo_frame_type { FLO_FRAME_SNAPSHOT, FLO_FRAME_EVENT, FLO_FRAME_ACK, FLO_FRAME_LEAVE };

struct flo_frame {
    enum flo_frame_type type;
    json_t *head; /* the object without its metrics */
    const char *boot;
    const char *metrics; /* compact JSON, within the frame or `owned`; NULL: none */
    size_t metrics_len;
    char *owned;
};

/* Read data: version, type and boot are checked. FLO_FRAME_TAKEN, or what is wrong with it; data
 * must outlive *out. End with flo_fleet_frame_fini. */
enum flo_frame_verdict flo_fleet_frame_read(const void *data, size_t len, struct flo_frame *out);
void flo_fleet_frame_fini(struct flo_frame *frame);

/* Check the members of a snapshot and put the numbers into entry: all but boot, role, seq, metrics
 * and texts. Half done unless FLO_FRAME_TAKEN. */
enum flo_frame_verdict flo_fleet_frame_fill(const struct flo_frame *frame,
                                            struct flo_fleet_entry *entry);
/* And the texts of one that was checked; only memory can be missing. */
enum flo_frame_verdict flo_fleet_frame_fill_texts(const struct flo_frame *frame,
                                                  struct flo_fleet_entry *entry);
/* The role and seq of a snapshot or event. */
enum flo_frame_verdict flo_fleet_frame_role(const struct flo_frame *frame,
                                            enum flo_fleet_role *out_role, uint64_t *out_seq);
/* An event's members, checked; borrowed from the frame. */
enum flo_frame_verdict flo_fleet_frame_event(const struct flo_frame *frame, struct flo_event *out);
/* An acknowledgement's. */
struct flo_frame_ack {
    uint64_t id;
    bool ok;
    const char *message;
    json_t *data; /* borrowed; may be NULL */
};
enum flo_frame_verdict flo_fleet_frame_ack(const struct flo_frame *frame,
                                           struct flo_frame_ack *out);

/* As flo_fleet_take, of a snapshot that was read already; a refusal is not counted. */
enum flo_frame_verdict flo_fleet_take_snapshot(struct flo_fleet *fleet,
                                               const struct flo_frame *frame, uint64_t connection,
                                               int64_t now_ms, struct flo_fleet_entry **out_entry,
                                               bool *out_new_duplicate);
/* Take an event's number: FLO_FRAME_OLD for one that was there before. entry is the run's, or NULL
 * when it has not reported yet. */
enum flo_frame_verdict flo_fleet_take_event(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                                            enum flo_fleet_role role, uint64_t seq);

#endif
