/* SPDX-License-Identifier: Apache-2.0 */
/* child_command.h - a child's options: may they be, and what the command says of them. */
#ifndef FLO_WORKFLOW_MACHINES_CHILD_COMMAND_H
#define FLO_WORKFLOW_MACHINES_CHILD_COMMAND_H

#include "workflow/internal.h"

/* What is settled of a child beside its options; borrowed. */
struct flo_child_call {
    const char *namespace_, *workflow_id, *type;
    json_t *input;         /* NULL: no argument */
    const json_t *headers; /* an object; NULL: none */
};

/* Options that cannot be: FLO_EINVAL, a sentence. */
FLO_MUST_CHECK int flo_child_check(const char *type, const struct flo_child_options *options,
                                   struct flo_err *err);
/* The attributes of message, in run->answer. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_child_fill(struct flo_run *run, const struct flo_child_call *call,
                                  const struct flo_child_options *options,
                                  FloApi__Command *message);

#endif
