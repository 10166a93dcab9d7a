/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - a run's spans, for the files of this folder. A run without tracing has run->trace NULL,
 * and none of this is called.
 *
 *   StartWorkflow (the client's, in the header of WorkflowExecutionStarted; may be missing)
 *     RunWorkflow          the first workflow task
 *       StartActivity      each activity, local ones too; its context goes along in the header
 *         RunActivity      (the activity worker's)
 *       StartChildWorkflow   each child workflow, likewise
 *       HandleSignal       each signal, linked to who sent it
 *       CompleteWorkflow   the end
 *
 * All are points in the workflow's time. They are recorded only by code that runs for the first
 * time, never while replaying, and handed over with the answer of the task that they belong to: who
 * sends it exports them once the server has taken it. Their ids are derived from the run and from
 * what they stand for, so a context that was passed on before an eviction is the same after it, on
 * any worker.
 */
#ifndef FLO_WORKFLOW_TRACE_H
#define FLO_WORKFLOW_TRACE_H

#include "workflow/internal.h"

/* The run begins: only with env.tracing. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_trace_begin(struct flo_run *run,
                                   const FloApi__WorkflowExecutionStartedEventAttributes *started);
/* Code starts an activity of this type. What is to be passed on joins *header, in run->answer;
 * NULL: it is not asked for. Call it in replays, too: it counts. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_trace_activity(struct flo_run *run, const char *type,
                                      FloApi__Header **header);
/* The same for a child workflow. */
FLO_MUST_CHECK int flo_trace_child(struct flo_run *run, const char *type, FloApi__Header **header);
/* A signal is there. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_trace_signal(struct flo_run *run, const FloApi__HistoryEvent *event);
/* The run ends, with failure or (NULL) without. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_trace_end(struct flo_run *run, const FloApi__Failure *failure);

/* A new task: nothing of an earlier one is left. */
void flo_trace_forget(struct flo_run *run);
/* What was recorded since the last time, in the order of its recording. */
const struct flo_run_span *flo_trace_take(struct flo_run *run);

#endif
