/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pollers.h - why workflows do not end, as far as the server knows: it is asked who polls their
 * task queue and those of the activities that one of them waits for.
 */
#ifndef FLO_CLI_POLLERS_H
#define FLO_CLI_POLLERS_H

#include "cli/progress.h"

#define CLI_POLLERS_QUEUES_MAX 16

struct cli_pollers_queue {
    char name[256];
    bool activities;
    int state; /* what was found last: pollers.c */
};

struct cli_pollers {
    struct cli_session *session;
    struct cli_progress *progress; /* what is found is said here */
    struct cli_pollers_queue queues[CLI_POLLERS_QUEUES_MAX];
    size_t queue_count;
    size_t asked;                 /* the one whose answer is awaited */
    struct flo_client_call *call; /* or NULL */
    bool said_unknown;            /* that the server does not tell */
};

/* task_queue: of workflows; NULL: their histories will name it. */
void cli_pollers_init(struct cli_pollers *pollers, struct cli_session *session,
                      struct cli_progress *progress, const char *task_queue);
/*
 * Ask, unless an answer is still awaited, and say what is new: a queue that no worker polls, or
 * that one polls now. The workflow is one that does not end; NULL: only the queues that are
 * known are asked about.
 */
void cli_pollers_ask(struct cli_pollers *pollers, const char *workflow_id, const char *run_id);
/* Is there a queue that, when asked about last, no worker polled? */
bool cli_pollers_lacking(const struct cli_pollers *pollers);
void cli_pollers_fini(struct cli_pollers *pollers);

#endif
