/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - the accept loop. */
#include "http2/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/net.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_A_TURN = 64, /* then others get their turn */
    PAUSE_MS = 100       /* without descriptors */
};

struct flo_h2_listener {
    int fd;
    struct event *accept; /* the socket is readable */
    struct event *resume; /* the pause is over */
    flo_h2_accept_fn on_accept;
    void *ctx;
    char address[FLO_NET_ADDRESS_MAX];
};

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_h2_listener *listener = arg;
    event_add(listener->accept, NULL);
}

static void pause_accepting(struct flo_h2_listener *listener)
{
    struct timeval tv = {.tv_usec = PAUSE_MS * 1000L};
    event_del(listener->accept);
    event_add(listener->resume, &tv);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct flo_h2_listener *listener = arg;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (conn >= 0) {
            int on = 1;
            setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            listener->on_accept(listener->ctx, conn);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener);
            return;
        }
        /* ECONNABORTED, EINTR and what else befalls one connection: look at the next one. */
    }
}

int flo_h2_listen(struct event_base *base, const char *address, flo_h2_accept_fn on_accept,
                  void *ctx, struct flo_h2_listener **out_listener, struct flo_err *err)
{
    char host[FLO_NET_HOST_MAX];
    uint16_t port = 0;
    struct flo_h2_listener *listener = flo_calloc(1, sizeof *listener);
    if (!listener)
        return flo_fail(err, FLO_ENOMEM, "no memory for a listener");
    listener->fd = -1;
    listener->on_accept = on_accept;
    listener->ctx = ctx;
    int rc = flo_net_split(address, 0, host, &port, err);
    if (!rc)
        rc = flo_net_listen(host, port, BACKLOG, &listener->fd, err);
    if (rc)
        goto out;
    flo_net_local_address(listener->fd, listener->address);
    listener->accept = event_new(base, listener->fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    listener->resume = event_new(base, -1, 0, on_resume, listener);
    if (!listener->accept || !listener->resume || event_add(listener->accept, NULL)) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for a listener");
        goto out;
    }
    *out_listener = listener;
    listener = NULL;
out:
    flo_h2_listener_destroy(&listener);
    return rc;
}

const char *flo_h2_listener_address(const struct flo_h2_listener *listener)
{
    return listener->address;
}

void flo_h2_listener_destroy(struct flo_h2_listener **listener)
{
    struct flo_h2_listener *self = *listener;
    *listener = NULL;
    if (!self)
        return;
    if (self->accept)
        event_free(self->accept);
    if (self->resume)
        event_free(self->resume);
    if (self->fd >= 0)
        close(self->fd);
    flo_free(self);
}
