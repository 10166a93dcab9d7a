/* SPDX-License-Identifier: Apache-2.0 */
/*
 * micro.h - one hot part of the project as a loop that can be counted. A part prepares itself,
 * runs its loop and cleans up; main.c warms it up and marks where counting begins and ends.
 *
 * Counts repeat only when the part does: no time, no randomness (main.c fixes the hash key), no
 * dependence on addresses, and no thread that is not waited for within an iteration.
 */
#ifndef MICRO_H
#define MICRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct micro_part {
    const char *name;
    const char *unit;     /* what is counted: "call", "event" */
    unsigned units;       /* of them in one iteration */
    unsigned warm, times; /* iterations before counting, and counted */
    /* times: iterations to come, both kinds. May be NULL. */
    void (*setup)(unsigned times);
    void (*run)(unsigned times);
    void (*teardown)(void); /* may be NULL */
};

extern const struct micro_part micro_grpc_call, micro_grpc_calls;       /* grpc.c */
extern const struct micro_part micro_decode_task, micro_decode_history; /* wire.c */
extern const struct micro_part micro_decode_answer, micro_pack;         /* wire.c */
extern const struct micro_part micro_replay, micro_workflow_echo, micro_workflow_traced,
    micro_coroutine;                                                /* workflow.c */
extern const struct micro_part micro_span;                          /* span.c */
extern const struct micro_part micro_core_echo, micro_store_commit; /* engine.c */
extern const struct micro_part micro_executor_job;                  /* executor.c */

/* rc is what a function of the project returned: end the program with a sentence unless it is 0. */
void micro_check(int rc, const char *what);

/* The test program's history: made once, kept until the program ends (history.c). */
#define MICRO_HISTORY_EVENTS 10000u
/* Packed as the engine sends it: a History of `events` events (3 + 6 a step), one activity a step,
 * with the fields that a server fills. *out_data is borrowed. */
void micro_history(size_t events, const uint8_t **out_data, size_t *out_len);

#endif
