/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - whole reads and writes on a socket between two processes. */
#include "executor/frame.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

int flo_frame_write(int fd, const struct flo_frame *head, const void *body)
{
    const uint8_t *parts[2] = {(const uint8_t *)head, body};
    const size_t sizes[2] = {sizeof *head, head->body_len};

    for (int i = 0; i < 2; i++) {
        for (size_t sent = 0; sent < sizes[i];) {
            ssize_t n = send(fd, parts[i] + sent, sizes[i] - sent, MSG_NOSIGNAL);
            if (n >= 0) {
                sent += (size_t)n;
            } else if (errno == EAGAIN) {
                struct pollfd room = {.fd = fd, .events = POLLOUT};
                (void)poll(&room, 1, -1);
            } else if (errno != EINTR) {
                return FLO_ECLOSED;
            }
        }
    }
    return 0;
}

int flo_frame_read(int fd, void *out, size_t len, int timeout_ms)
{
    uint8_t *at = out;

    while (len > 0) {
        ssize_t n = recv(fd, at, len, MSG_DONTWAIT);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return FLO_ECLOSED;
        } else {
            struct pollfd some = {.fd = fd, .events = POLLIN};
            if (poll(&some, 1, timeout_ms) == 0)
                return FLO_ETIMEDOUT;
        }
    }
    return 0;
}
