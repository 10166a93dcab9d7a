/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - name to connected socket, without blocking the loop.
 *
 * Addresses are tried one after the other in the resolver's order, each with its share of the
 * time. The evdns base lives as long as the dial: most processes dial once in hours, so keeping it
 * (a socket, timers, parsed files) would cost more than making it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http2/listen.h"

enum {
    ADDRESSES_MAX = 16, /* of one name that are tried in one dial */
    TRY_MS_MIN = 1000,  /* the least time for one address */
};

struct flo_h2_dial {
    struct event_base *base;
    flo_h2_dial_fn done;
    void *ctx;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request; /* NULL: not resolving */
    bool orphan; /* given up while resolving: freed when evdns has let go of it */
    struct event *deadline;
    struct event *begin;    /* start from the loop */
    struct event *writable; /* the socket of the current try */
    int fd;                 /* of the current try; -1 = none */
    int64_t timeout_ms;
    uint16_t port;
    size_t count, next; /* addresses, and the one to try next */
    struct sockaddr_storage addrs[ADDRESSES_MAX];
    socklen_t addr_lens[ADDRESSES_MAX];
    char reason[160];
    char host[];
};

static void try_next(struct flo_h2_dial *dial);

static void dial_free(struct flo_h2_dial *dial)
{
    if (dial->dns)
        evdns_base_free(dial->dns, 0);
    if (dial->deadline)
        event_free(dial->deadline);
    if (dial->begin)
        event_free(dial->begin);
    if (dial->writable)
        event_free(dial->writable);
    if (dial->fd >= 0)
        close(dial->fd);
    flo_free(dial);
}

/*
 * Free the dial, but not under evdns: a cancelled request still gets its callback from the loop,
 * and that looks at the evdns base.
 */
static void dial_release(struct flo_h2_dial *dial)
{
    if (!dial->request) {
        dial_free(dial);
        return;
    }
    dial->orphan = true;
    event_del(dial->deadline);
    evdns_getaddrinfo_cancel(dial->request);
}

static void finish(struct flo_h2_dial *dial)
{
    int fd = dial->fd;
    dial->fd = -1;
    dial->done(dial->ctx, fd, dial->reason);
    dial_release(dial);
}

static void drop_try(struct flo_h2_dial *dial)
{
    if (dial->writable)
        event_free(dial->writable);
    dial->writable = NULL;
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

static void try_failed(struct flo_h2_dial *dial, int error)
{
    char address[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr *addr = (const struct sockaddr *)&dial->addrs[dial->next - 1];
    const void *raw = addr->sa_family == AF_INET6
                          ? (const void *)&((const struct sockaddr_in6 *)addr)->sin6_addr
                          : (const void *)&((const struct sockaddr_in *)addr)->sin_addr;
    inet_ntop(addr->sa_family, raw, address, sizeof address);
    snprintf(dial->reason, sizeof dial->reason, "connect to %s port %u: %s", address, dial->port,
             strerror(error));
    drop_try(dial);
    try_next(dial);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct flo_h2_dial *dial = arg;
    int error = 0;
    socklen_t len = sizeof error;
    if (what & EV_TIMEOUT)
        error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
        error = errno;
    if (error) {
        try_failed(dial, error);
        return;
    }
    event_free(dial->writable);
    dial->writable = NULL;
    finish(dial);
}

/* Start connecting to the next address; false when that failed at once with *out_error. */
static bool start_try(struct flo_h2_dial *dial, int *out_error)
{
    const struct sockaddr *addr = (const struct sockaddr *)&dial->addrs[dial->next];
    socklen_t len = dial->addr_lens[dial->next++];
    dial->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0) {
        *out_error = errno;
        return false;
    }
    int on = 1;
    setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(dial->fd, addr, len) && errno != EINPROGRESS) {
        *out_error = errno;
        return false;
    }
    int64_t share_ms = dial->timeout_ms / (int64_t)dial->count;
    if (share_ms < TRY_MS_MIN)
        share_ms = TRY_MS_MIN;
    struct timeval tv = {.tv_sec = share_ms / 1000, .tv_usec = share_ms % 1000 * 1000};
    dial->writable = event_new(dial->base, dial->fd, EV_WRITE, on_writable, dial);
    if (!dial->writable || event_add(dial->writable, &tv)) {
        *out_error = ENOMEM;
        return false;
    }
    return true;
}

static void try_next(struct flo_h2_dial *dial)
{
    int error;
    if (dial->next >= dial->count)
        finish(dial);
    else if (!start_try(dial, &error))
        try_failed(dial, error); /* at most ADDRESSES_MAX deep */
}

static void add_addresses(struct flo_h2_dial *dial, const struct evutil_addrinfo *list)
{
    for (const struct evutil_addrinfo *ai = list; ai && dial->count < ADDRESSES_MAX;
         ai = ai->ai_next) {
        if (ai->ai_addrlen > sizeof dial->addrs[0] ||
            (ai->ai_family != AF_INET && ai->ai_family != AF_INET6))
            continue;
        memcpy(&dial->addrs[dial->count], ai->ai_addr, ai->ai_addrlen);
        dial->addr_lens[dial->count++] = (socklen_t)ai->ai_addrlen;
    }
}

static void on_resolved(int result, struct evutil_addrinfo *list, void *arg)
{
    struct flo_h2_dial *dial = arg;
    dial->request = NULL;
    if (result == 0)
        add_addresses(dial, list);
    if (list)
        evutil_freeaddrinfo(list);
    if (dial->count == 0)
        snprintf(dial->reason, sizeof dial->reason, "resolve \"%.60s\": %s", dial->host,
                 result ? evutil_gai_strerror(result) : "no address");
    event_active(dial->begin, EV_TIMEOUT, 1); /* out of evdns's stack: finish() frees it */
}

/* Numeric addresses and localhost need no resolver. */
static bool resolve_numeric(struct flo_h2_dial *dial, const char *host, int family)
{
    struct addrinfo hints = {.ai_family = family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", dial->port);
    if (getaddrinfo(host, port, &hints, &list))
        return false;
    add_addresses(dial, list);
    freeaddrinfo(list);
    return dial->count > 0;
}

static void resolve(struct flo_h2_dial *dial)
{
    if (strcmp(dial->host, "localhost") == 0 || dial->host[0] == '\0') {
        resolve_numeric(dial, "127.0.0.1", AF_INET);
        resolve_numeric(dial, "::1", AF_INET6);
        return;
    }
    if (resolve_numeric(dial, dial->host, AF_UNSPEC))
        return;
    dial->dns = evdns_base_new(dial->base, EVDNS_BASE_INITIALIZE_NAMESERVERS);
    if (!dial->dns) {
        snprintf(dial->reason, sizeof dial->reason, "resolve \"%.60s\": no name server",
                 dial->host);
        return;
    }
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_ADDRCONFIG};
    char port[8];
    snprintf(port, sizeof port, "%u", dial->port);
    dial->request = evdns_getaddrinfo(dial->dns, dial->host, port, &hints, on_resolved, dial);
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_h2_dial *dial = arg;
    if (dial->orphan)
        dial_free(dial);
    else
        try_next(dial);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_h2_dial *dial = arg;
    snprintf(dial->reason, sizeof dial->reason, "%s \"%.60s\": timed out",
             dial->request ? "resolve" : "connect to", dial->host);
    drop_try(dial);
    finish(dial);
}

int flo_h2_dial(struct event_base *base, const char *host, uint16_t port, int64_t timeout_ms,
                flo_h2_dial_fn done, void *ctx, struct flo_h2_dial **out_dial)
{
    size_t host_len = strlen(host);
    struct flo_h2_dial *dial = flo_calloc(1, sizeof *dial + host_len + 1);
    if (!dial)
        return FLO_ENOMEM;
    dial->base = base;
    dial->done = done;
    dial->ctx = ctx;
    dial->fd = -1;
    dial->port = port;
    dial->timeout_ms = timeout_ms;
    memcpy(dial->host, host, host_len + 1);
    dial->begin = event_new(base, -1, 0, on_begin, dial);
    dial->deadline = event_new(base, -1, 0, on_deadline, dial);
    struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (!dial->begin || !dial->deadline || event_add(dial->deadline, &tv)) {
        dial_free(dial);
        return FLO_ENOMEM;
    }
    *out_dial = dial;
    resolve(dial);
    if (!dial->request)
        event_active(dial->begin, EV_TIMEOUT, 1);
    return 0;
}

void flo_h2_dial_cancel(struct flo_h2_dial **dial)
{
    struct flo_h2_dial *self = *dial;
    *dial = NULL;
    if (self)
        dial_release(self);
}
