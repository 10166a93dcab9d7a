/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - see http.h. HTTP/1.0: the answer ends with the connection. */
#include "cli/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net.h"

#define TIMEOUT_MS 10000

static int connect_to(const struct cli_http_request *request, struct flo_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const int64_t ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_MS;
    const struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    char host[FLO_NET_HOST_MAX], service[8];
    struct addrinfo *found = NULL;
    uint16_t port;
    int fd = -1, rc = flo_net_split(request->address, 80, host, &port, err);

    if (rc)
        return rc;
    snprintf(service, sizeof service, "%u", port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc)
        return flo_fail(err, FLO_ECONN, "cannot find %s: %s", host, gai_strerror(rc));
    for (struct addrinfo *it = found; it && fd < 0; it = it->ai_next) {
        fd = socket(it->ai_family, it->ai_socktype | SOCK_CLOEXEC, it->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        if (connect(fd, it->ai_addr, it->ai_addrlen) < 0) {
            rc = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        return flo_fail(err, FLO_ECONN, "cannot connect to %s: %s", request->address, strerror(rc));
    return fd;
}

static int send_request(int fd, const struct cli_http_request *request, struct flo_err *err)
{
    struct flo_buf text;
    int rc = 0;

    flo_buf_init(&text, 0);
    flo_buf_printf(&text, "%s %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n",
                   request->json ? "POST" : "GET", request->path, request->address);
    if (request->token)
        flo_buf_printf(&text, "Authorization: Bearer %s\r\n", request->token);
    if (request->json)
        flo_buf_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       strlen(request->json));
    flo_buf_printf(&text, "\r\n%s", request->json ? request->json : "");
    for (size_t sent = 0; !rc && sent < text.len;) {
        ssize_t n = send(fd, text.data + sent, text.len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (n < 0 && errno != EINTR)
            rc = flo_fail(err, FLO_ECONN, "cannot ask %s: %s", request->address, strerror(errno));
    }
    if (text.failed)
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the request");
    if (text.data)
        explicit_bzero(text.data, text.len); /* the token */
    flo_buf_fini(&text);
    return rc;
}

/* Read into out until the end. */
static int receive(int fd, const struct cli_http_request *request, struct flo_buf *out,
                   struct flo_err *err)
{
    char chunk[16384];
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof chunk, 0)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0 && flo_buf_append(out, chunk, (size_t)n))
            return flo_fail(err, FLO_ELIMIT, "the answer of %s is too large", request->address);
    }
    if (n < 0)
        return flo_fail(err, FLO_ECONN, "no answer from %s: %s", request->address,
                        errno == EAGAIN ? "it took too long" : strerror(errno));
    return 0;
}

/* Take the head off out. */
static int cut_head(const struct cli_http_request *request, struct flo_buf *out, int *out_status,
                    struct flo_err *err)
{
    const char *text = flo_buf_cstr(out), *body = strstr(text, "\r\n\r\n");

    if (!body || strncmp(text, "HTTP/1.", 7) != 0 || strlen(text) < 12)
        return flo_fail(err, FLO_EPROTO, "%s does not speak HTTP", request->address);
    *out_status = (int)strtol(text + 9, NULL, 10);
    flo_buf_consume(out, (size_t)(body + 4 - text));
    return 0;
}

static int not_good(const struct cli_http_request *request, int status, struct flo_err *err)
{
    return flo_fail(err, FLO_EPROTO, "http://%s%s: status %d", request->address, request->path,
                    status);
}

int cli_http_send(const struct cli_http_request *request, struct flo_buf *out, int *out_status,
                  struct flo_err *err)
{
    int fd = connect_to(request, err), rc;

    if (fd < 0)
        return fd;
    flo_buf_clear(out);
    rc = send_request(fd, request, err);
    if (!rc)
        rc = receive(fd, request, out, err);
    close(fd);
    return rc ? rc : cut_head(request, out, out_status, err);
}

int cli_http_get(const char *address, const char *path, struct flo_buf *out, struct flo_err *err)
{
    const struct cli_http_request request = {.address = address, .path = path};
    int status = 0, rc = cli_http_send(&request, out, &status, err);

    return rc || status == 200 ? rc : not_good(&request, status, err);
}
