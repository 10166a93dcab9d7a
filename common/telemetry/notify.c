/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - the protocol is newline-separated assignments in one datagram; a socket is opened for
 * each, since there are few, and so none has to be kept from what is forked.
 */
#include "telemetry/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "telemetry/http.h"

#define STATUS_MAX_BYTES 256
#define WATCHDOG_MAX_US (INT64_C(1000000) * 3600 * 24)

static struct {
    struct sockaddr_un address;
    socklen_t address_len; /* 0: nobody listens */
    int64_t watchdog_us;   /* 0: none */
    char status[STATUS_MAX_BYTES];
} manager;

/* ---- the environment ---- */

static void take_socket(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name ? strlen(name) : 0;

    manager.address_len = 0;
    if (len < 2 || len >= sizeof manager.address.sun_path || (name[0] != '/' && name[0] != '@'))
        return; /* none, or of a kind that is not spoken here */
    manager.address.sun_family = AF_UNIX;
    memcpy(manager.address.sun_path, name, len + 1);
    if (name[0] == '@')
        manager.address.sun_path[0] = '\0';
    manager.address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
                                      (name[0] == '/')); /* abstract names have no end */
}

/* A whole positive number; 0: it is none. */
static int64_t number_of(const char *text)
{
    char *end;
    long long value;

    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    value = strtoll(text, &end, 10);
    return *end || errno ? 0 : value;
}

static void take_watchdog(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    int64_t us = number_of(getenv("WATCHDOG_USEC"));

    manager.watchdog_us = 0;
    if (us > 0 && us <= WATCHDOG_MAX_US && (!pid || number_of(pid) == (int64_t)getpid()))
        manager.watchdog_us = us;
}

void flo_notify_init(void)
{
    take_socket();
    take_watchdog();
    manager.status[0] = '\0';
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

bool flo_notify_wanted(void)
{
    return manager.address_len > 0;
}

/* ---- sending ---- */

static void tell(const char *text)
{
    int fd;

    if (!flo_notify_wanted())
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&manager.address,
                  manager.address_len);
    close(fd);
}

void flo_notify_ready(void)
{
    tell("READY=1");
}

void flo_notify_reloading(void)
{
    char text[80];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)(flo_clock_mono_ns() / 1000));
    tell(text);
}

void flo_notify_stopping(void)
{
    tell("STOPPING=1");
}

void flo_notify_extend(int64_t ms)
{
    char text[64];

    snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%lld", (long long)ms * 1000);
    tell(text);
}

void flo_notify_status(const char *fmt, ...)
{
    char text[STATUS_MAX_BYTES + 8] = "STATUS=";
    const size_t head = strlen(text);
    va_list args;

    if (!flo_notify_wanted())
        return;
    va_start(args, fmt);
    vsnprintf(text + head, STATUS_MAX_BYTES, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c == '\n')
            *c = ' '; /* what follows would be another assignment */
    if (strcmp(text + head, manager.status) == 0)
        return;
    memcpy(manager.status, text + head, strlen(text + head) + 1);
    tell(text);
}

/* ---- the watchdog ---- */

static void on_feed(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_health *health = ctx;

    (void)fd;
    (void)what;
    if (flo_health_is_live(health))
        tell("WATCHDOG=1");
}

int flo_notify_feed(struct event_base *base, struct flo_health *health, struct event **out,
                    struct flo_err *err)
{
    int64_t half_us = manager.watchdog_us / 2;
    const struct timeval half = {.tv_sec = half_us / 1000000, .tv_usec = half_us % 1000000};

    *out = NULL;
    if (half_us <= 0 || !flo_notify_wanted())
        return 0;
    *out = event_new(base, -1, EV_PERSIST, on_feed, health);
    if (*out && event_add(*out, &half) == 0) {
        on_feed(-1, 0, health); /* the time of systemd's began at the start of the process */
        return 0;
    }
    if (*out)
        event_free(*out);
    *out = NULL;
    return flo_fail(err, FLO_ENOMEM, "no memory for the watchdog's timer");
}
