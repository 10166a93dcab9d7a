/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - what the runtime knows of event and command types: their names for a person, which
 * command an event records, and what to do with events that no command is behind.
 */
#ifndef FLO_WORKFLOW_NAMES_H
#define FLO_WORKFLOW_NAMES_H

#include "wire/api.h"
#include "wire/decode.h"

enum flo_event_class {
    FLO_EVENT_UNKNOWN, /* a type newer than this table */
    FLO_EVENT_TASK,    /* workflow task bookkeeping */
    FLO_EVENT_COMMAND, /* records a command: must match one that the code issued */
    FLO_EVENT_RESULT,  /* answers an earlier command */
    FLO_EVENT_INPUT,   /* comes from outside: start, signal, cancel request */
    FLO_EVENT_NOTE,    /* nothing that workflow code sees */
};

struct flo_event_kind {
    const char *name; /* "ActivityTaskScheduled" */
    enum flo_event_class class;
    FloApi__CommandType command; /* COMMAND: the one that it records */
    int attributes;              /* attributes_case that it must have; 0 = not looked at */
};

/* Never NULL: unknown types give a kind of class UNKNOWN. */
const struct flo_event_kind *flo_event_kind(FloApi__EventType type);
/* "ScheduleActivityTask"; "UnknownCommand" for a number that is none. */
const char *flo_command_name(FloApi__CommandType type);
/* describe.c: "event 5 is ActivityTaskScheduled (activity id 1, type echo)" */
void flo_event_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size);
/*
 * What the runtime reads of a task's history: all of the events themselves, and of their attributes
 * the few that it uses. For flo_wire_decode_part().
 */
extern const struct flo_wire_part flo_workflow_part;

/* Short spellings of the generated enumerators. */
#define FLO_EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name
#define FLO_COMMAND(name) FLO_API__COMMAND_TYPE__COMMAND_TYPE_##name

#endif
