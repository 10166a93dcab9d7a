/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_h2_server.c - any bytes from a client into the gRPC server: over a real socket, since the
 * connection's life (GOAWAY, lingering, resets) is part of what is tested. An even first byte
 * sends the client preface before the rest. Odd calls are parked and answered late or never. Calls
 * of /t/chat are streams: their messages come back, the first byte 'e' ends them, 'f' with an
 * error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "grpc/server.h"

enum { PARKED_MAX = 64 };

static struct event_base *base;
static struct flo_grpc_server *server;
static struct flo_grpc_server_call *parked[PARKED_MAX];
static size_t handed, gone;

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    (void)ctx;
    size_t slot = handed++ % PARKED_MAX;
    FUZZ_CHECK(path);
    (void)flo_grpc_server_call_header(call, "client-name");
    if (strcmp(path, "/t/fail") == 0)
        flo_grpc_respond_error(call, FLO_GRPC_NOT_FOUND, path, body, len, NULL, 0);
    else if (handed % 2 || parked[slot])
        flo_grpc_respond(call, body, len);
    else
        parked[slot] = call;
}

static bool on_stream(void *ctx, struct flo_grpc_server_call *call, const char *path)
{
    (void)ctx, (void)call;
    return strcmp(path, "/t/chat") == 0;
}

static void on_message(void *ctx, struct flo_grpc_server_call *call, const uint8_t *body,
                       size_t len)
{
    (void)ctx;
    if (len > 0 && body[0] == 'e')
        flo_grpc_stream_end(call);
    else if (len > 0 && body[0] == 'f')
        flo_grpc_respond_error(call, FLO_GRPC_NOT_FOUND, "f", body, len, NULL, 0);
    else
        FUZZ_CHECK(flo_grpc_stream(call, body, len) == 0); /* nothing waits */
}

static void on_half_close(void *ctx, struct flo_grpc_server_call *call)
{
    (void)ctx;
    flo_grpc_stream_end(call);
}

static void on_cancel(void *ctx, struct flo_grpc_server_call *call)
{
    (void)ctx;
    gone++;
    for (size_t i = 0; i < PARKED_MAX; i++)
        if (parked[i] == call)
            parked[i] = NULL;
}

static void start(void)
{
    struct flo_grpc_server_options opt = {.listen = "127.0.0.1:0",
                                          .max_receive_bytes = 64 * 1024,
                                          .on_call = on_call,
                                          .on_stream = on_stream,
                                          .on_message = on_message,
                                          .on_half_close = on_half_close,
                                          .on_cancel = on_cancel};
    base = event_base_new();
    FUZZ_CHECK(base && flo_grpc_server_new(base, &opt, &server, NULL) == 0);
}

static int connect_client(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT: a million of these in an hour */
    in.sin_port =
        htons((uint16_t)strtoul(strrchr(flo_grpc_server_address(server), ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof in) == 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        uint8_t sink[4096];
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* the server has had enough */
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
        event_base_loop(base, EVLOOP_NONBLOCK);
        while (recv(fd, sink, sizeof sink, 0) > 0)
            ;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!server)
        start();
    int fd = connect_client();
    if (data[0] % 2 == 0)
        send_all(fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    send_all(fd, data + 1, size - 1);
    for (int i = 0; i < 3; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    for (size_t i = 0; i < PARKED_MAX; i += 2) {
        struct flo_grpc_server_call *call = parked[i];
        parked[i] = NULL;
        if (call)
            flo_grpc_respond(call, data, size);
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
    close(fd);
    for (int i = 0; i < 50 && (i < 3 || flo_grpc_server_calls(server) > 0); i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    FUZZ_CHECK(flo_grpc_server_calls(server) == 0);
    return 0;
}
