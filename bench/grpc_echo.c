/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_echo.c - what one unary call costs: `grpc_echo server` prints its address and echoes until
 * SIGTERM; `grpc_echo client ADDRESS IN_FLIGHT SECONDS [BYTES [CALLS]]` keeps so many calls in
 * flight, for so long or for so many calls (what an instruction or system call count is made of).
 * Both print their CPU time a call at the end.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "grpc/client.h"
#include "grpc/server.h"

struct bench {
    struct event_base *base;
    struct flo_grpc_channel *channel;
    uint8_t body[65536];
    size_t body_len;
    uint64_t calls, failed;
    int64_t stop_ns;
    uint64_t started, most; /* calls; most 0 = until stop_ns */
    size_t open;
};

static void report(const char *who, uint64_t calls, double seconds)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu_us = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
                    (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    double n = calls ? (double)calls : 1;
    printf("%s: %llu calls", who, (unsigned long long)calls);
    if (seconds > 0)
        printf(", %.0f calls/s", n / seconds);
    printf(", %.2f us CPU a call, %ld KiB resident at most\n", cpu_us / n, use.ru_maxrss);
    fflush(stdout);
}

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    struct bench *bench = ctx;
    (void)path;
    bench->calls++;
    flo_grpc_respond(call, body, len);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(arg);
}

static int serve(struct bench *bench)
{
    struct flo_grpc_server_options opt = {
        .listen = "127.0.0.1:0", .on_call = on_call, .ctx = bench};
    struct flo_grpc_server *server = NULL;
    struct flo_err err = {0};
    if (flo_grpc_server_new(bench->base, &opt, &server, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    struct event *term = evsignal_new(bench->base, SIGTERM, on_signal, bench->base);
    event_add(term, NULL);
    printf("%s\n", flo_grpc_server_address(server));
    fflush(stdout);
    event_base_dispatch(bench->base);
    report("server", bench->calls, 0);
    event_free(term);
    flo_grpc_server_destroy(&server);
    return 0;
}

static void start_call(struct bench *bench);

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                    size_t len)
{
    (void)body;
    struct bench *bench = ctx;
    bench->calls++;
    bench->open--;
    if (status->code != FLO_GRPC_OK || len != bench->body_len)
        bench->failed++;
    if (bench->most ? bench->started < bench->most : flo_clock_mono_ns() < bench->stop_ns)
        start_call(bench);
    else if (bench->open == 0)
        event_base_loopbreak(bench->base);
}

static void start_call(struct bench *bench)
{
    struct flo_grpc_call_options opt = {
        .path = "/temporal.api.workflowservice.v1.WorkflowService/RespondWorkflowTaskCompleted",
        .body = bench->body,
        .body_len = bench->body_len,
        .timeout_ms = 30000,
        .wait_for_ready = true,
        .done = on_done,
        .ctx = bench,
    };
    if (flo_grpc_call_start(bench->channel, &opt, NULL))
        return;
    bench->open++;
    bench->started++;
}

static int load(struct bench *bench, int argc, char **argv)
{
    const struct flo_grpc_header headers[] = {{"client-name", "bench", 5},
                                              {"client-version", "0.1.0", 5},
                                              {"temporal-namespace", "default", 7}};
    struct flo_grpc_channel_options opt = {
        .address = argv[2], .headers = headers, .header_count = 3};
    struct flo_err err = {0};
    long in_flight = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    long seconds = argc > 4 ? strtol(argv[4], NULL, 10) : 3;
    bench->body_len = argc > 5 ? strtoul(argv[5], NULL, 10) : 200;
    bench->most = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
    if (bench->body_len > sizeof bench->body)
        bench->body_len = sizeof bench->body;
    if (flo_grpc_channel_new(bench->base, &opt, &bench->channel, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int64_t begun_ns = flo_clock_mono_ns();
    bench->stop_ns = begun_ns + seconds * FLO_NS_PER_S;
    for (long i = 0; i < in_flight; i++)
        start_call(bench);
    event_base_dispatch(bench->base);
    report("client", bench->calls, (double)(flo_clock_mono_ns() - begun_ns) / 1e9);
    if (bench->failed)
        printf("failed: %llu\n", (unsigned long long)bench->failed);
    flo_grpc_channel_destroy(&bench->channel);
    return bench->failed != 0;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    bench.base = event_base_new();
    int rc = 64;
    if (argc > 1 && strcmp(argv[1], "server") == 0)
        rc = serve(&bench);
    else if (argc > 2 && strcmp(argv[1], "client") == 0)
        rc = load(&bench, argc, argv);
    else
        fprintf(stderr, "usage: grpc_echo server | "
                        "client ADDRESS [IN_FLIGHT [SECONDS [BYTES [CALLS]]]]\n");
    event_base_free(bench.base);
    return rc;
}
