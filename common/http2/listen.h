/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - listening sockets and connecting ones: what happens before there is a connection.
 *
 * Addresses are those of base/net.h; ":port" is every address of this host.
 */
#ifndef FLO_HTTP2_LISTEN_H
#define FLO_HTTP2_LISTEN_H

#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

struct event_base;
struct flo_h2_listener; /* opaque: listen.c */
struct flo_h2_dial;     /* opaque: dial.c */

/* A new connection: the callback owns fd (non-blocking, close-on-exec, TCP_NODELAY). */
typedef void (*flo_h2_accept_fn)(void *ctx, int fd);

/*
 * Bind, listen, accept from the loop. When the process is out of descriptors, accepting pauses for
 * 100 ms at a time instead of spinning. FLO_EINVAL (address), FLO_ECONN or FLO_EPERM (bind; the
 * sentence names the address), FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_h2_listen(struct event_base *base, const char *address,
                                 flo_h2_accept_fn on_accept, void *ctx,
                                 struct flo_h2_listener **out_listener, struct flo_err *err);
/* The bound address with the kernel's port. Borrowed. */
const char *flo_h2_listener_address(const struct flo_h2_listener *listener);
/* Close the socket, free, clear. NULL is fine. */
void flo_h2_listener_destroy(struct flo_h2_listener **listener);

/*
 * The end of a dial: a connected socket that the callback owns, or fd < 0 and why. The dial is
 * freed after this returns.
 */
typedef void (*flo_h2_dial_fn)(void *ctx, int fd, const char *reason);

/*
 * Connect to host and port: numeric addresses and "localhost" at once, others through DNS without
 * blocking the loop (the resolver's configuration is read anew each time). Each address is tried
 * in turn; timeout_ms bounds all of it. The callback comes from the loop, never from inside this
 * call. FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_h2_dial(struct event_base *base, const char *host, uint16_t port,
                               int64_t timeout_ms, flo_h2_dial_fn done, void *ctx,
                               struct flo_h2_dial **out_dial);
/* Give up without a callback. NULL is fine. */
void flo_h2_dial_cancel(struct flo_h2_dial **dial);

#endif
