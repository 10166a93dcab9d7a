/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_pages.c - see fleet_pages.h. HTTP/1.0: the answer ends with the connection. */
#include "cli/fleet_pages.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net.h"
#include "cli/command.h"

#define PAGE_MAX_BYTES (64u << 20)
#define TIMEOUT_S 10

static int connect_to(const char *address, struct flo_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    char host[FLO_NET_HOST_MAX], service[8];
    struct addrinfo *found = NULL;
    uint16_t port;
    int fd = -1, rc = flo_net_split(address, 80, host, &port, err);

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
        return flo_fail(err, FLO_ECONN, "cannot connect to %s: %s", address, strerror(rc));
    return fd;
}

static int exchange(int fd, const char *address, const char *path, struct flo_buf *out,
                    struct flo_err *err)
{
    char chunk[16384];
    ssize_t n;
    int len = snprintf(chunk, sizeof chunk,
                       "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", path, address);

    if (send(fd, chunk, (size_t)len, MSG_NOSIGNAL) != len)
        return flo_fail(err, FLO_ECONN, "cannot ask %s: %s", address, strerror(errno));
    while ((n = recv(fd, chunk, sizeof chunk, 0)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && flo_buf_append(out, chunk, (size_t)n))
            return flo_fail(err, FLO_ELIMIT, "the answer of %s is too large", address);
    if (n < 0)
        return flo_fail(err, FLO_ECONN, "no answer from %s: %s", address, strerror(errno));
    return 0;
}

int cli_http_get(const char *address, const char *path, struct flo_buf *out, struct flo_err *err)
{
    int fd = connect_to(address, err), rc;
    const char *text, *body;

    if (fd < 0)
        return fd;
    flo_buf_clear(out);
    rc = exchange(fd, address, path, out, err);
    close(fd);
    if (rc)
        return rc;
    text = flo_buf_cstr(out);
    body = strstr(text, "\r\n\r\n");
    if (!body || strncmp(text, "HTTP/1.", 7) != 0)
        return flo_fail(err, FLO_EPROTO, "%s does not speak HTTP", address);
    if (strncmp(text + 8, " 200", 4) != 0)
        return flo_fail(err, FLO_EPROTO, "http://%s%s: %.40s", address, path, text + 9);
    flo_buf_consume(out, (size_t)(body + 4 - text));
    return 0;
}

/* "http://host:port/..." or "host:port". */
static void from_url(const char *url, struct cli_fleet_pages *out)
{
    const char *at = strncmp(url, "http://", 7) == 0 ? url + 7 : url;

    snprintf(out->fleet, sizeof out->fleet, "%.*s", (int)strcspn(at, "/"), at);
    snprintf(out->metrics, sizeof out->metrics, "%s", out->fleet);
}

int cli_fleet_pages_find(const char *command, const struct cli_options *options,
                         struct cli_fleet_pages *out)
{
    const char *folder = getenv("FLOTILLA_STATE_DIR"), *http, *metrics;
    char path[4200];
    json_t *fleet;

    *out = (struct cli_fleet_pages){0};
    if (options->url) {
        from_url(options->url, out);
        return 0;
    }
    snprintf(path, sizeof path, "%s/fleet.json", folder && *folder ? folder : ".flotilla");
    fleet = json_load_file(options->fleet ? options->fleet : path, 0, NULL);
    http = json_string_value(json_object_get(fleet, "http"));
    metrics = json_string_value(json_object_get(fleet, "metrics"));
    if (http)
        snprintf(out->fleet, sizeof out->fleet, "%s", http);
    if (http)
        snprintf(out->metrics, sizeof out->metrics, "%s", metrics && *metrics ? metrics : http);
    json_decref(fleet);
    if (out->fleet[0])
        return 0;
    fprintf(stderr,
            "flotilla %s: %s does not name a supervisor; is the fleet running? Give --url "
            "HOST:PORT of its page, or --fleet FILE\n",
            command, options->fleet ? options->fleet : path);
    return FLO_EXIT_NO_INPUT;
}

int cli_fleet_pages_read(const struct cli_fleet_pages *pages, struct cli_costs *out,
                         struct flo_err *err)
{
    struct flo_buf fleet_text, metrics;
    json_t *fleet = NULL;
    int rc;

    flo_buf_init(&fleet_text, PAGE_MAX_BYTES);
    flo_buf_init(&metrics, PAGE_MAX_BYTES);
    rc = cli_http_get(pages->fleet, "/v1/fleet", &fleet_text, err);
    if (rc)
        goto out;
    rc = cli_http_get(pages->metrics, "/metrics", &metrics, err);
    if (rc)
        goto out;
    fleet = json_loadb((const char *)fleet_text.data, fleet_text.len, 0, NULL);
    rc = cli_costs_read(fleet, (char *)(uintptr_t)flo_buf_cstr(&metrics), out, err);
out:
    json_decref(fleet);
    flo_buf_fini(&fleet_text);
    flo_buf_fini(&metrics);
    return rc;
}
