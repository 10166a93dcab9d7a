/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip.h - a clock that skips: the test service of Temporal's API, and the jumps.
 *
 * A counter of locks: while there is one, time goes on at its usual pace. Without any, it jumps to
 * whatever is due next (a timer, a timeout, a retry, the end of a Sleep) whenever nothing is going
 * on: no workflow task and no attempt of an activity is ready or started, no query is open, all is
 * committed. With nothing to jump to it goes on as usual.
 */
#ifndef FLO_ENGINE_SKIP_H
#define FLO_ENGINE_SKIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "wire/api.h"

struct flo_shell; /* shell_internal.h */

struct flo_skip {
    bool on;                /* the service is there */
    unsigned locks;         /* 0: time may jump */
    struct flo_list sleeps; /* struct sleep, by their time (skip.c) */
    uint64_t clients_seen;  /* flo_calls.client_answers when the clock last waited for a client */
    int64_t quiet_until_ns; /* no jump before; monotonic */
};

#define FLO_TEST_SERVICE "temporal.api.testservice.v1.TestService"

void flo_skip_init(struct flo_skip *skip, bool on, unsigned locks);
/* Forget who sleeps, without answering. */
void flo_skip_fini(struct flo_skip *skip);

/* The request of a method of the test service, or NULL. */
const ProtobufCMessageDescriptor *flo_skip_method(const char *method);
/* Serve it: answers the call, now or later. */
void flo_skip_call(struct flo_shell *shell, uint64_t call, const char *method,
                   const ProtobufCMessage *request);
/* The caller is gone; fine when it does not sleep. Who slept without a lock takes it again. */
void flo_skip_cancel(struct flo_shell *shell, uint64_t call);
/* The end of a turn, when what was due has fired: wake who has slept enough, jump if time may.
 * Returns when to look again, on flo_shell_now's clock; INT64_MAX = no need. */
int64_t flo_skip_turn(struct flo_shell *shell, int64_t now_ns);

#endif
