/* SPDX-License-Identifier: Apache-2.0 */
/* info.h - what the run was started with, for its code (flo_workflow_info). */
#ifndef FLO_WORKFLOW_INFO_H
#define FLO_WORKFLOW_INFO_H

#include "workflow/internal.h"

/* Fill run->info, the search attributes and the memo. What an ordinary run has costs one block;
 * the rest of it is made only where there is any. FLO_ENOMEM; FLO_EPERM with a
 * sentence: part of it is encrypted. */
FLO_MUST_CHECK int flo_info_start(struct flo_run *run, const FloApi__HistoryEvent *event,
                                  struct flo_err *err);

/* continue_as_new.c: the command, once code wants it (entities->next_run). FLO_ENOMEM. */
FLO_MUST_CHECK int flo_continue_issue(struct flo_run *run);

#endif
