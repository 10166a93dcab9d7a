/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zeromq.h - libzmq, brought in when the first report or key needs it: a worker that reports to
 * nobody does not pay for it and the twenty libraries that it brings along (0.3 MB of memory of its
 * own, 0.9 MB resident).
 */
#ifndef FLO_TELEMETRY_ZEROMQ_H
#define FLO_TELEMETRY_ZEROMQ_H

#include <zmq.h>

#include "flotilla/error.h"

#define FLO_ZEROMQ_FUNCTIONS(X)                                                                    \
    X(ctx_new)                                                                                     \
    X(ctx_term)                                                                                    \
    X(socket)                                                                                      \
    X(close)                                                                                       \
    X(setsockopt)                                                                                  \
    X(getsockopt)                                                                                  \
    X(connect)                                                                                     \
    X(send)                                                                                        \
    X(recv)                                                                                        \
    X(strerror)                                                                                    \
    X(z85_decode)                                                                                  \
    X(curve_keypair)                                                                               \
    X(curve_public)

/* The functions of <zmq.h> by their names without zmq_. */
struct flo_zeromq {
#define FLO_ZEROMQ_POINTER(name) __typeof__(zmq_##name) *(name);
    FLO_ZEROMQ_FUNCTIONS(FLO_ZEROMQ_POINTER)
#undef FLO_ZEROMQ_POINTER
};

/* Load the library, once; any thread. NULL and FLO_ESYS in err (may be NULL): it is not installed,
 * or older than what this was built for. */
const struct flo_zeromq *flo_zeromq(struct flo_err *err);

#endif
