/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.h - the updates of a run: requests that a workflow may refuse and whose outcome somebody
 * waits for.
 *
 *                   workflow task starts        worker accepts          worker completes
 *    -> ADMITTED ------------------------> SENT --------------> ACCEPTED --------------> COMPLETED
 *          ^                                | \                    |
 *          +--- the task failed, timed out -+  +-> REJECTED        +-- run closes: completed, too,
 *          |                                |                          with a failure of the engine
 *          +---- run closes, --> ABORTED <--+- completion refused
 *
 * Only acceptance and outcome are events. What is before them lives in memory: a caller whose
 * update was lost with the process asks again with the same id. REJECTED and ABORTED updates are
 * answered at the end of the step, and forgotten.
 *
 * update.c keeps them, update_call.c serves those who wait, update_message.c what workers say.
 */
#ifndef FLO_ENGINE_CORE_UPDATE_H
#define FLO_ENGINE_CORE_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "engine/core/execution.h"
#include "engine/core/run.h"
#include "flotilla/error.h"
#include "wire/api.h"

/* Bounds of a run; the real server's. */
#define FLO_CORE_RUN_MAX_UPDATES 2000 /* that were accepted or are in flight */
#define FLO_CORE_RUN_SUGGEST_UPDATES ((size_t)FLO_CORE_RUN_MAX_UPDATES / 10 * 9)
#define FLO_CORE_RUN_MAX_UPDATES_IN_FLIGHT 10
#define FLO_CORE_RUN_MAX_UPDATE_BYTES ((size_t)20 << 20) /* requests in flight, together */
/* No worker takes a speculative workflow task: so long until it becomes a real one. */
#define FLO_CORE_SPECULATIVE_NS (5 * FLO_NS_PER_S)

enum flo_update_stage {
    FLO_UPDATE_ADMITTED,
    FLO_UPDATE_SENT,
    FLO_UPDATE_ACCEPTED,
    FLO_UPDATE_COMPLETED,
    FLO_UPDATE_REJECTED,
    FLO_UPDATE_ABORTED,
};

/* Why an update was aborted. */
enum flo_update_abort {
    FLO_UPDATE_RUN_CLOSED,
    FLO_UPDATE_RUN_CONTINUED, /* the same update may be sent to the run that takes over */
    FLO_UPDATE_TASK_REFUSED,
};

struct flo_update {
    struct flo_node node; /* on flo_updates.active or .done */
    enum flo_update_stage stage;
    bool is_done;                  /* which of them */
    bool in_history;               /* an Admitted event (of a reset) has its request */
    enum flo_update_abort abort;   /* ABORTED */
    int64_t accepted_id;           /* event; 0 = not accepted */
    int64_t completed_id;          /* event; 0 = not completed */
    struct flo_blob request;       /* Request; until it is accepted */
    struct flo_blob failure;       /* Failure; REJECTED */
    struct flo_list waiters;       /* update_call.c */
    enum flo_update_stage checked; /* while messages are looked at: what they would make of it */
    bool checked_now;              /* the same: a message of this completion says so */
    char id[];
};

/* What a worker's message asks for (update_message.c); scratch. */
struct flo_update_said;

/* The updates of a run; made with the first one. */
struct flo_updates {
    struct flo_list active; /* struct flo_update, in order of admission: in flight, waited for, or
                               over at the end of this step */
    struct flo_list done;   /* completed, and nobody waits: no step looks at them */
    struct flo_map by_id;   /* both by id, but for those that are over at the end of this step */
    size_t in_flight;       /* neither completed nor over */
    size_t bytes;           /* of their requests, until they are accepted */
    size_t *total_bytes;    /* flo_core.update_bytes */
    size_t recorded;        /* accepted ones: events tell of them */
    struct flo_update_said *said; /* while a completion is checked and applied; scratch */
};

/* ---- the set (update.c) ---- */

/* The set of a run, made when there was none; NULL without memory. */
struct flo_updates *flo_updates_of(struct flo_core *core, struct flo_execution *execution);
/* By id, or NULL. */
struct flo_update *flo_update_find(const struct flo_execution *execution, const char *id);
/* How many updates of the run events tell of. */
size_t flo_updates_recorded(const struct flo_execution *execution);
/*
 * Take in a new update of a checked id; request is its Request. Limits: RESOURCE_EXHAUSTED,
 * FAILED_PRECONDITION; resurrected: only the total counts. 0 and *out, or FLO_ERPC, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_update_admit(struct flo_core *core, struct flo_execution *execution,
                                    const char *id, const FloApi__Request *request,
                                    bool resurrected, struct flo_update **out,
                                    struct flo_status *status);
/* A reset has written the Admitted event of an update that the run does not know: its worker reads
 * the request there. */
void flo_update_readmit(struct flo_core *core, struct flo_execution *execution, const char *id);
/* Schedule the workflow task that will carry an admitted update; a speculative one is enough. */
void flo_update_schedule(struct flo_core *core, struct flo_execution *execution);
/* Somebody waits for it: the end of this step looks at it, even when it was done. */
void flo_update_watch(struct flo_execution *execution, struct flo_update *update);
/* Does an update wait for the next workflow task? */
bool flo_updates_wait(const struct flo_execution *execution);
/* The worker has answered for this update; the events are written by the caller. */
void flo_update_accepted(struct flo_execution *execution, struct flo_update *update,
                         int64_t event_id);
void flo_update_completed(struct flo_execution *execution, struct flo_update *update,
                          int64_t event_id);
/* failure is borrowed. */
void flo_update_reject(struct flo_core *core, struct flo_execution *execution,
                       struct flo_update *update, const FloApi__Failure *failure);
void flo_update_abort(struct flo_execution *execution, struct flo_update *update,
                      enum flo_update_abort why);
/* Put the updates that wait into the answer for the workflow task that has just been started;
 * sticky: its worker still knows those that it was sent before. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_update_attach(struct flo_core *core, struct flo_execution *execution,
                                     bool sticky, FloApi__PollWorkflowTaskQueueResponse *body);
/* The workflow task was lost: what it carried waits for the next one. */
void flo_updates_unsend(struct flo_execution *execution);
/* A completion was taken: what its task carried and it says nothing about is rejected. */
void flo_updates_reject_unprocessed(struct flo_core *core, struct flo_execution *execution);
/* A completion was refused, and its task failed: what it carried is aborted. */
void flo_updates_refused(struct flo_execution *execution);
/* The end of a step: answer those that have waited long enough. */
void flo_update_settle(struct flo_core *core, struct flo_execution *execution);
/* Rebuild the set out of the history. 0, FLO_ENOMEM, FLO_EDATA. */
FLO_MUST_CHECK int flo_updates_load(struct flo_core *core, struct flo_execution *execution);
/* Free the set; what still waits is told that the run is gone. */
void flo_updates_fini(struct flo_core *core, struct flo_execution *execution);

/* ---- those who wait (update_call.c) ---- */

/* Answer the waiters of an update that it has gone far enough for; all of them when it is over. */
void flo_update_answer(struct flo_core *core, struct flo_execution *execution,
                       struct flo_update *update);
/* Answer all of them with an error. */
void flo_update_answer_error(struct flo_core *core, struct flo_update *update,
                             const struct flo_status *status);

/* Does the request say what an update needs? (Not its namespace.) Status says what is missing. */
FLO_MUST_CHECK int flo_update_check(struct flo_core *core,
                                    const FloApi__UpdateWorkflowExecutionRequest *request,
                                    struct flo_status *status);
/* Send the checked update of an ExecuteMultiOperation, which is answered when it is as far as it
 * asks for; started: its start made the run. Else status says why not. */
FLO_MUST_CHECK int flo_update_ask_with_start(struct flo_core *core,
                                             const struct flo_core_call_info *info,
                                             const struct flo_core_run_ref *run,
                                             const FloApi__UpdateWorkflowExecutionRequest *request,
                                             bool started, struct flo_status *status);
/* Has the run, open, closed or only stored, an update of that id? 0, or status. */
FLO_MUST_CHECK int flo_update_is_known(struct flo_core *core, const struct flo_core_run_ref *run,
                                       const char *id, bool *out, struct flo_status *status);

/* ---- runs that are only stored (update_stored.c) ---- */

/* An update that the run accepted; *out: its outcome, in scratch, or NULL when the run closed
 * before there was one. 0; FLO_ENOENT; with status: FLO_ENOMEM, FLO_EDATA, FLO_EIO. */
FLO_MUST_CHECK int flo_update_find_stored(struct flo_core *core, const struct flo_core_run_ref *run,
                                          const char *update_id, FloApi__Outcome **out,
                                          struct flo_status *status);

/* ---- what workers say (update_message.c) ---- */

/* The sentence and cause of a refusal: NULL = fine. */
struct flo_update_fault {
    const char *message; /* scratch */
    bool terminate;      /* the message is too large */
};
/* Decode the messages of a completion, before its commands are looked at. 0; FLO_ERPC: INVALID
 * ARGUMENT (too many, an id too long, no body), nothing happens to the task; FLO_ENOMEM. Without
 * messages it costs nothing. */
FLO_MUST_CHECK int flo_update_read(struct flo_core *core, struct flo_execution *execution,
                                   const FloApi__RespondWorkflowTaskCompletedRequest *request,
                                   struct flo_status *status);
/* A PROTOCOL_MESSAGE command: may its message be applied? */
struct flo_update_fault flo_update_check_command(struct flo_core *core,
                                                 struct flo_execution *execution,
                                                 const FloApi__Command *command);
/* The same for the messages that no command names, after all commands. */
struct flo_update_fault flo_update_check_rest(struct flo_core *core,
                                              struct flo_execution *execution);
/* The completion is refused: updates that came back with it, which the engine had lost, are gone
 * again. Nobody waits for them, and a worker must not fill the engine's memory with them. */
void flo_update_take_back(struct flo_core *core, struct flo_execution *execution);
/* Are all messages of the completion rejections? */
bool flo_update_only_rejections(const struct flo_execution *execution);
/* Apply the message of a PROTOCOL_MESSAGE command; the messages that none named. */
void flo_update_apply_command(struct flo_core *core, struct flo_execution *execution,
                              const FloApi__Command *command);
void flo_update_apply_rest(struct flo_core *core, struct flo_execution *execution);
/* The completion is over, taken or refused. */
void flo_update_forget_messages(struct flo_execution *execution);

#endif
