/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - addresses in text and listening TCP sockets, for every part that opens a port.
 */
#ifndef FLO_BASE_NET_H
#define FLO_BASE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"

#define FLO_NET_HOST_MAX 256   /* a host name and its NUL */
#define FLO_NET_ADDRESS_MAX 80 /* "[v6]:port" in numbers and its NUL */

/*
 * Split "host:port", "[v6]:port" or a host alone (then default_port). The host loses its brackets
 * and may be empty (":80": all addresses). FLO_EINVAL: anything else.
 */
FLO_MUST_CHECK int flo_net_split(const char *address, uint16_t default_port,
                                 char out_host[FLO_NET_HOST_MAX], uint16_t *out_port,
                                 struct flo_err *err);

/* Only this machine reaches host: 127.x.y.z, ::1 or "localhost". No name is looked up. */
bool flo_net_is_loopback(const char *host);

/*
 * Bind and listen on the first address of host ("": all) that works; may look a name up, so it is
 * for the start of a program. *out_fd is non-blocking, close-on-exec and the caller's. FLO_EINVAL:
 * no such host; FLO_EPERM: not allowed; FLO_ECONN: taken or not this machine's.
 */
FLO_MUST_CHECK int flo_net_listen(const char *host, uint16_t port, int backlog, int *out_fd,
                                  struct flo_err *err);

/* Where the socket fd is bound, in numbers: "127.0.0.1:80", "[::1]:80"; "?:0" when unknown. */
void flo_net_local_address(int fd, char out[FLO_NET_ADDRESS_MAX]);
/* The other end of a connected socket, in the same form. */
void flo_net_peer_address(int fd, char out[FLO_NET_ADDRESS_MAX]);

#endif
