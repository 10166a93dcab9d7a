/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entities.h - what a run keeps for the rarer things that code may do: children, signals and
 * cancel requests to others, patches, side effects, search attributes and the memo, continuing.
 * Made when the first of them is used; NULL in a run that uses none.
 */
#ifndef FLO_WORKFLOW_ENTITIES_H
#define FLO_WORKFLOW_ENTITIES_H

#include "workflow/internal.h"

/*
 * The head of what an Initiated event records and later events answer. All three lifecycles begin
 * with these two states and are in entities->related, under the event, from INITIATED until their
 * last state.
 */
enum { FLO_RELATED_ISSUED, FLO_RELATED_INITIATED };

struct flo_related {
    struct flo_future future; /* first */
    enum flo_related_kind { FLO_RELATED_CHILD, FLO_RELATED_SIGNAL, FLO_RELATED_CANCEL } kind;
    struct flo_machine machine;
    int64_t initiated_event_id; /* 0 = not yet */
};

/* It was moved: into entities->related, or out of it with the machine's reference. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_related_moved(struct flo_related *related);
/* The one of that kind and Initiated event. FLO_ENONDET with a sentence when there is none. */
FLO_MUST_CHECK int flo_related_find(struct flo_run *run, const FloApi__HistoryEvent *event,
                                    enum flo_related_kind kind, int64_t initiated_event_id,
                                    struct flo_related **out, struct flo_err *err);

struct flo_patch; /* machines/patch.c */

struct flo_entities {
    struct flo_map related;    /* owned map: Initiated event's id -> struct flo_related */
    struct flo_map patches;    /* owned map: id -> struct flo_patch */
    struct flo_map effects;    /* owned map: marker's key -> json_t, recorded, not yet asked for */
    struct flo_map mutables;   /* owned map: id -> struct flo_mutable (machines/side_effect.c) */
    uint64_t effect_count;     /* side effects that code asked for */
    struct flo_map attributes; /* owned map: name -> struct flo_attribute (machines/properties.c) */
    json_t *memo;              /* NULL = empty */
    bool skip_version_upsert;  /* the next event belongs to a patch marker that was passed over */
    bool flag_patch, flag_told; /* the server is to be told that patches change TemporalChange... */
    uint8_t *next_run;          /* packed ContinueAsNew attributes: code wants to continue */
    size_t next_run_len;
    char *task_failure;             /* flo_task_fail's sentence */
    FloApi__Header *header_message; /* of run->header, in header_mem; NULL: nobody has looked */
    struct flo_arena header_mem;    /* owned */
};

/* Made when there is none; NULL: no memory, which the run then knows. */
struct flo_entities *flo_entities_of(struct flo_run *run);
void flo_entities_fini(struct flo_run *run);
size_t flo_entities_bytes(const struct flo_run *run);

/* ---- machines ---- */

FLO_MUST_CHECK int flo_child_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                                   struct flo_err *err);
FLO_MUST_CHECK int flo_signal_external_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                                             struct flo_err *err);
FLO_MUST_CHECK int flo_cancel_external_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                                             bool *out_wakes, struct flo_err *err);

/* Whom a signal or a cancel request is for. */
struct flo_target {
    const char *namespace_, *workflow_id, *run_id; /* run_id "" = the current one */
    struct flo_child *child;                       /* NULL: it is no child */
};

struct flo_future *flo_signal_external_new(struct flo_workflow *wf, const struct flo_target *target,
                                           const char *name, json_t *input);
/* Not cancelled with the workflow: telling others to stop belongs to that. scope NULL: the
 * runtime's own. */
struct flo_future *flo_cancel_external_new(struct flo_run *run, struct flo_scope *scope,
                                           const struct flo_target *target, const char *reason);
/* The cancel request to a child has been delivered, or could not be; it keeps a reference of the
 * child until then. *out_wakes becomes true when the code is to hear of it. */
FLO_MUST_CHECK int flo_child_cancel_delivered(struct flo_child *child, bool *out_wakes);

/* The failures of both: an application failure with a message and a code of its own. */
FLO_MUST_CHECK int flo_external_fail(struct flo_future *future, const char *what,
                                     const char *workflow_id, int rc, const char *type,
                                     const char *why);

/* ---- patches and side effects ---- */

/* Before the code runs for a task: what the markers among the command events behind its completion,
 * where events begins, tell of. */
FLO_MUST_CHECK int flo_evolution_foresee(struct flo_run *run, FloApi__HistoryEvent *const *events,
                                         size_t count, struct flo_err *err);
/* Is event a patch marker, or what follows one, that no code needs to account for? first: the
 * command that is next, may be NULL. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_patch_skips(struct flo_run *run, const FloApi__HistoryEvent *event,
                                   const struct flo_command *first, bool *out_skip);
/* " (patch my-change)", " (side effect 3)"; false: it is of another kind. */
bool flo_evolution_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size);
/* What a patch id says in its marker. FLO_ENOENT: event is no patch marker. *out_id: in data. */
FLO_MUST_CHECK int flo_patch_decode(const FloApi__HistoryEvent *event, const char **out_id,
                                    bool *out_deprecated, json_t **out_data, struct flo_err *err);
/* The ids of all patches of the run, sorted, as the value of TemporalChangeVersion. */
json_t *flo_patch_ids(struct flo_run *run);

FLO_MUST_CHECK int flo_side_effect_foresee(struct flo_run *run, const FloApi__HistoryEvent *event,
                                           struct flo_err *err);
bool flo_side_effect_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size);

/* A RecordMarker command's attributes: a name and details, each one JSON value. FLO_ENOMEM. */
struct flo_marker_detail {
    const char *key;
    const json_t *value;
};
FLO_MUST_CHECK int flo_marker_command(struct flo_run *run, FloApi__Command *message,
                                      const char *name, const struct flo_marker_detail *details,
                                      size_t count);
/* The JSON of one detail of a MarkerRecorded event. FLO_ENOENT: it has none of that key; FLO_EPERM
 * with a sentence: it is encrypted. */
FLO_MUST_CHECK int flo_marker_detail(const FloApi__HistoryEvent *event, const char *key,
                                     json_t **out_value, struct flo_err *err);

/* What a task's answer tells of this runtime: its name in the run's first one, and its flags once a
 * patch used one. NULL: nothing new. */
const FloApi__WorkflowTaskCompletedMetadata *flo_sdk_metadata(struct flo_run *run, bool first);

/* ---- properties ---- */

/* What the execution was started with. FLO_ENOMEM; FLO_EPERM with a sentence: it is encrypted. */
FLO_MUST_CHECK int flo_properties_start(struct flo_run *run, const FloApi__Memo *memo,
                                        const FloApi__SearchAttributes *attributes,
                                        struct flo_err *err);
/* The current ones, for the next run. NULL: none, or *no_memory. */
FloApi__SearchAttributes *flo_properties_attributes(struct flo_run *run, struct flo_arena *arena,
                                                    bool *no_memory);

/* Leave err's sentence on wf as an application failure; returns err->code. */
int flo_workflow_refuse_err(struct flo_workflow *wf, struct flo_err *err);
/* May the code that runs issue commands? FLO_ESTATE with a sentence when it only looks. */
FLO_MUST_CHECK int flo_may_issue(struct flo_run *run, struct flo_err *err);

#endif
