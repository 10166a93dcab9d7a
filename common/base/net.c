/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - addresses and listening sockets. */
#include "base/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

int flo_net_split(const char *address, uint16_t default_port, char out_host[FLO_NET_HOST_MAX],
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
    if (host_len >= FLO_NET_HOST_MAX)
        return flo_fail(err, FLO_EINVAL, "address: the host is longer than %d characters",
                        FLO_NET_HOST_MAX - 1);
    uint16_t port = default_port;
    if (colon && parse_port(colon + 1, &port))
        return flo_fail(err, FLO_EINVAL, "address \"%s\": the port is no number up to 65535",
                        address);
    memcpy(out_host, host, host_len);
    out_host[host_len] = '\0';
    *out_port = port;
    return 0;
}

bool flo_net_is_loopback(const char *host)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

/* 0 and *out_fd, or the errno of the last address tried. */
static int listen_first(const struct addrinfo *list, int backlog, int *out_fd)
{
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        const int on = 1, off = 0;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (ai->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, backlog) == 0) {
            *out_fd = fd;
            return 0;
        }
        error = errno;
        close(fd);
    }
    return error;
}

int flo_net_listen(const char *host, uint16_t port, int backlog, int *out_fd, struct flo_err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int gai = getaddrinfo(*host ? host : NULL, service, &hints, &list);
    if (gai)
        return flo_fail(err, FLO_EINVAL, "cannot listen on \"%s\": %s", host, gai_strerror(gai));
    int error = listen_first(list, backlog, out_fd);
    freeaddrinfo(list);
    if (!error)
        return 0;
    return flo_fail(err, error == EACCES || error == EPERM ? FLO_EPERM : FLO_ECONN,
                    strchr(host, ':') ? "cannot listen on [%s]:%u: %s"
                                      : "cannot listen on %s:%u: %s",
                    host, port, strerror(error));
}

/* failed is what getsockname or getpeername said. */
static void put_address(int failed, const struct sockaddr_storage *address, socklen_t len,
                        char out[FLO_NET_ADDRESS_MAX])
{
    char host[64] = "?", service[8] = "0";
    if (!failed)
        (void)getnameinfo((const struct sockaddr *)address, len, host, sizeof host, service,
                          sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, FLO_NET_ADDRESS_MAX, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, service);
}

void flo_net_local_address(int fd, char out[FLO_NET_ADDRESS_MAX])
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    put_address(getsockname(fd, (struct sockaddr *)&address, &len), &address, len, out);
}

void flo_net_peer_address(int fd, char out[FLO_NET_ADDRESS_MAX])
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    put_address(getpeername(fd, (struct sockaddr *)&address, &len), &address, len, out);
}
