/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - addresses and the accept loop. */
#include "http2/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

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
    char address[FLO_H2_ADDRESS_MAX];
};

static int parse_port(const char *text, uint16_t *out_port)
{
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text < '0' || *text > '9' || port > UINT16_MAX)
        return FLO_EINVAL;
    *out_port = (uint16_t)port;
    return 0;
}

int flo_h2_split_address(const char *address, uint16_t default_port, char *out_host,
                         uint16_t *out_port, struct flo_err *err)
{
    const char *host = address, *colon;
    size_t host_len;
    if (*address == '[') {
        const char *end = strchr(address, ']');
        if (!end || (end[1] && end[1] != ':'))
            return flo_fail(err, FLO_EINVAL, "address \"%s\": no \"[host]:port\"", address);
        host = address + 1;
        host_len = (size_t)(end - host);
        colon = end[1] ? end + 1 : NULL;
    } else {
        colon = strrchr(address, ':');
        if (colon && strchr(address, ':') != colon)
            return flo_fail(err, FLO_EINVAL, "address \"%s\": put an IPv6 address into brackets",
                            address);
        host_len = colon ? (size_t)(colon - address) : strlen(address);
    }
    if (host_len >= FLO_H2_HOST_MAX)
        return flo_fail(err, FLO_EINVAL, "address: the host is longer than %d characters",
                        FLO_H2_HOST_MAX - 1);
    uint16_t port = default_port;
    if (colon && parse_port(colon + 1, &port))
        return flo_fail(err, FLO_EINVAL, "address \"%s\": the port is no number up to 65535",
                        address);
    memcpy(out_host, host, host_len);
    out_host[host_len] = '\0';
    *out_port = port;
    return 0;
}

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

static int bind_first(const struct addrinfo *list, int *out_fd)
{
    int saved = EADDRNOTAVAIL;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            saved = errno;
            continue;
        }
        int on = 1, off = 0;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (ai->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
            *out_fd = fd;
            return 0;
        }
        saved = errno;
        close(fd);
    }
    return saved;
}

static int bind_address(const char *address, int *out_fd, struct flo_err *err)
{
    char host[FLO_H2_HOST_MAX], port_text[8];
    uint16_t port = 0;
    int rc = flo_h2_split_address(address, 0, host, &port, err);
    if (rc)
        return rc;
    snprintf(port_text, sizeof port_text, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int gai = getaddrinfo(host[0] ? host : NULL, port_text, &hints, &list);
    if (gai)
        return flo_fail(err, FLO_ESYS, "cannot listen on %s: %s", address, gai_strerror(gai));
    int error = bind_first(list, out_fd);
    freeaddrinfo(list);
    return error ? flo_fail(err, FLO_ESYS, "cannot listen on %s: %s", address, strerror(error)) : 0;
}

static void read_bound_address(struct flo_h2_listener *listener)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    char text[INET6_ADDRSTRLEN] = "";
    if (getsockname(listener->fd, (struct sockaddr *)&addr, &len))
        return;
    if (addr.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &addr, sizeof in6);
        inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
        snprintf(listener->address, sizeof listener->address, "[%s]:%u", text,
                 ntohs(in6.sin6_port));
    } else {
        struct sockaddr_in in;
        memcpy(&in, &addr, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
        snprintf(listener->address, sizeof listener->address, "%s:%u", text, ntohs(in.sin_port));
    }
}

int flo_h2_listen(struct event_base *base, const char *address, flo_h2_accept_fn on_accept,
                  void *ctx, struct flo_h2_listener **out_listener, struct flo_err *err)
{
    struct flo_h2_listener *listener = flo_calloc(1, sizeof *listener);
    if (!listener)
        return flo_fail(err, FLO_ENOMEM, "no memory for a listener");
    listener->fd = -1;
    listener->on_accept = on_accept;
    listener->ctx = ctx;
    int rc = bind_address(address, &listener->fd, err);
    if (rc)
        goto out;
    read_bound_address(listener);
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
