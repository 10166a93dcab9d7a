/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - what happened in the fleet: the newest events of its processes and of the supervisor,
 * numbered, in a bounded ring.
 *
 * Pure: no clock, socket or log. Numbers rise by one from 1 in each run of the supervisor, so a
 * reader that asks for what came after the last one it saw knows what it missed: the ring begins
 * later. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_EVENTS_H
#define FLO_SUPERVISOR_EVENTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/log.h"

#define FLO_EVENTS_KEPT 1024
#define FLO_EVENT_MESSAGE_MAX 512 /* bytes; longer ones are cut at a whole character */
#define FLO_EVENT_FIELDS_MAX 4096 /* bytes of JSON; larger fields are left out */
#define FLO_EVENT_LISTENERS_MAX 8

struct flo_event {
    uint64_t seq;             /* from 1; set by flo_events_add */
    int64_t ts_ms;            /* wall clock of whoever saw it */
    enum flo_log_level level; /* INFO, WARN, ERROR; never below */
    const char *kind;         /* stable dotted name: "process.lost", "executor.died" */
    const char *message;      /* one sentence */
    /* Of whom it tells; "" where that is unknown or nobody. */
    const char *identity, *role, *name, *boot;
    json_t *fields; /* an object with more, or NULL */
};

struct flo_events; /* opaque */

/* Keep the newest `capacity` (0: FLO_EVENTS_KEPT). FLO_ENOMEM. */
FLO_MUST_CHECK int flo_events_new(size_t capacity, struct flo_events **out, struct flo_err *err);
/* NULL is fine. */
void flo_events_destroy(struct flo_events **events);

/*
 * Add a copy of event (NULL texts count as "", seq is ignored; fields get a reference), dropping
 * the oldest when full, then tell the listeners. Returns its number, 0 when there was no memory.
 * NULL events: does nothing.
 */
uint64_t flo_events_add(struct flo_events *events, const struct flo_event *event);

/* The oldest kept event with a number above seq, or NULL. Borrowed until the next add. */
const struct flo_event *flo_events_after(const struct flo_events *events, uint64_t seq);
/* The newest number; 0: none yet. */
uint64_t flo_events_last(const struct flo_events *events);

/* fn is called for each event as it is added; it must not add or listen. At most
 * FLO_EVENT_LISTENERS_MAX: FLO_EFULL. */
typedef void (*flo_events_fn)(void *ctx, const struct flo_event *event);
FLO_MUST_CHECK int flo_events_listen(struct flo_events *events, flo_events_fn fn, void *ctx);
/* No more calls of fn with this ctx. */
void flo_events_unlisten(struct flo_events *events, flo_events_fn fn, void *ctx);

/* {"seq","ts_ms","level","kind","message","identity","role","name","boot","fields"}; NULL without
 * memory. */
json_t *flo_event_json(const struct flo_event *event);

#endif
