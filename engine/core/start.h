/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - a start in one form, whichever call asked for it: what start.c and start_event.c share.
 */
#ifndef FLO_ENGINE_CORE_START_H
#define FLO_ENGINE_CORE_START_H

#include "engine/core/core.h"

/* What both requests say. Borrowed from the request. */
struct flo_start {
    uint64_t call;
    const char *namespace_name, *workflow_id, *identity, *request_id, *cron_schedule;
    const char *build_id;                   /* of the worker that takes the eager task; "" = none */
    char made_request_id[FLO_UUID_LEN + 1]; /* when the request has none */
    FloApi__WorkflowType *workflow_type;
    FloApi__TaskQueue *task_queue;
    FloApi__Payloads *input, *last_completion_result;
    FloApi__Failure *continued_failure;
    const Google__Protobuf__Duration *execution_timeout, *run_timeout, *task_timeout, *delay;
    FloApi__RetryPolicy *retry_policy;
    FloApi__Memo *memo;
    FloApi__SearchAttributes *search_attributes;
    FloApi__Header *header;
    FloApi__Priority *priority;
    FloApi__UserMetadata *user_metadata;
    FloApi__Link **links;
    size_t n_links;
    FloApi__WorkflowIdReusePolicy reuse;
    FloApi__WorkflowIdConflictPolicy conflict;
    const FloApi__OnConflictOptions *on_conflict; /* or NULL */
    bool eager;
    struct flo_namespace *ns;
    /* signal-with-start only */
    const char *signal_name; /* NULL: plain start */
    FloApi__Payloads *signal_input;
};

#define FLO_REUSE(name) FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_##name
#define FLO_CONFLICT(name) FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_##name

/*
 * Check everything that a request says, and fill in what it leaves open: ns, request id, policies.
 * Status says what is wrong.
 */
FLO_MUST_CHECK int flo_start_check(struct flo_core *core, struct flo_start *start,
                                   struct flo_status *status);
struct flo_core_run_ref; /* runs.h */
struct flo_status;       /* reply.h */

/*
 * Start a workflow for an update (multi_operation.c), unless one runs that may be used, or the same
 * start or update came before. *out: the run that the update is for, *out_started: it is new.
 * Status says why there is none.
 */
FLO_MUST_CHECK int flo_start_for_update(struct flo_core *core,
                                        const struct flo_core_call_info *info,
                                        const FloApi__StartWorkflowExecutionRequest *request,
                                        const char *update_id, struct flo_core_run_ref *out,
                                        bool *out_started, struct flo_status *status);
/* Start a workflow for a schedule, unless its policies say no (status says why). *out: the new run,
 * whose first transition is over. */
FLO_MUST_CHECK int flo_start_for_schedule(struct flo_core *core,
                                          const FloApi__StartWorkflowExecutionRequest *request,
                                          struct flo_execution **out, struct flo_status *status);
/* The link to the first event of a run: what a start answers with. */
struct flo_start_link {
    FloApi__Link__WorkflowEvent__EventReference first;
    FloApi__Link__WorkflowEvent event;
    FloApi__Link link;
};
/* Fill it; the texts are borrowed. Returns its link. */
FloApi__Link *flo_start_link(struct flo_start_link *link, const char *namespace_name,
                             const char *workflow_id, const char *run_id);
/* The policy with what it leaves open: 1 s, doubled each time, at most a hundredfold. In arena;
 * NULL without memory. */
FloApi__RetryPolicy *flo_retry_policy_full(struct flo_arena *arena,
                                           const FloApi__RetryPolicy *policy);
/* The Started event of run_id (borrowed), in scratch; NULL without memory. */
FloApi__WorkflowExecutionStartedEventAttributes *flo_start_event(struct flo_core *core,
                                                                 const struct flo_start *start,
                                                                 char *run_id);

#endif
