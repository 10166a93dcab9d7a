/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - whole reads and writes on a socket between two processes. */
#include "executor/frame.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t flo_frame_send(int fd, const struct flo_frame *head, const void *body, size_t skip)
{
    struct iovec parts[2] = {
        {.iov_base = (uint8_t *)(uintptr_t)head, .iov_len = sizeof *head},
        {.iov_base = (uint8_t *)(uintptr_t)(body ? body : head), .iov_len = head->body_len},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;

    for (int i = 0; i < 2; i++) {
        size_t gone = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        parts[i].iov_base = (uint8_t *)parts[i].iov_base + gone;
        parts[i].iov_len -= gone;
        skip -= gone;
    }
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

int flo_frame_write(int fd, const struct flo_frame *head, const void *body)
{
    for (size_t sent = 0; sent < sizeof *head + head->body_len;) {
        ssize_t n = flo_frame_send(fd, head, body, sent);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        } else {
            return FLO_ECLOSED;
        }
    }
    return 0;
}

int flo_frame_read(int fd, void *out, size_t len, int timeout_ms)
{
    uint8_t *at = out;

    while (len > 0) {
        ssize_t n = recv(fd, at, len, timeout_ms < 0 ? MSG_WAITALL : MSG_DONTWAIT);
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
