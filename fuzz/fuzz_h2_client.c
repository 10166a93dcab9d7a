/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_h2_client.c - any bytes from a server into the gRPC channel, over a real socket. Each call
 * ends exactly once, whatever the server says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "grpc/client.h"

enum { CALLS = 3 };

static struct event_base *base;
static int listen_fd = -1;
static char address[32];

static void start(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    base = event_base_new();
    listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    FUZZ_CHECK(base && bind(listen_fd, (struct sockaddr *)&in, sizeof in) == 0 &&
               listen(listen_fd, 64) == 0);
    FUZZ_CHECK(getsockname(listen_fd, (struct sockaddr *)&in, &len) == 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
}

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                    size_t len)
{
    int *runs = ctx;
    ++*runs;
    FUZZ_CHECK(status->message && (body || len == 0));
}

static void send_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        uint8_t sink[4096];
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
        event_base_loop(base, EVLOOP_NONBLOCK);
        while (recv(fd, sink, sizeof sink, 0) > 0)
            ;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t settings[9] = {0, 0, 0, 4};
    struct flo_grpc_channel *channel = NULL;
    int runs[CALLS] = {0};
    if (!base)
        start();
    struct flo_grpc_channel_options opt = {.address = address, .max_receive_bytes = 64 * 1024};
    FUZZ_CHECK(flo_grpc_channel_new(base, &opt, &channel, NULL) == 0);
    event_base_loop(base, EVLOOP_NONBLOCK);
    int fd = accept(listen_fd, NULL, NULL);
    struct linger reset = {.l_onoff = 1};
    FUZZ_CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < CALLS; i++) {
        struct flo_grpc_call_options call = {.path = "/t/x",
                                             .timeout_ms = 60000,
                                             .wait_for_ready = i > 0,
                                             .done = on_done,
                                             .ctx = &runs[i]};
        FUZZ_CHECK(flo_grpc_call_start(channel, &call, NULL) == 0);
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
    send_all(fd, settings, sizeof settings);
    send_all(fd, data, size);
    for (int i = 0; i < 4; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    close(fd);
    event_base_loop(base, EVLOOP_NONBLOCK);
    flo_grpc_channel_destroy(&channel);
    event_base_loop(base, EVLOOP_NONBLOCK);
    for (int i = 0; i < CALLS; i++)
        FUZZ_CHECK(runs[i] == 1);
    return 0;
}
