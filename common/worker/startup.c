/* SPDX-License-Identifier: Apache-2.0 */
/*
 * startup.c - what a worker asks the server before its first poll: GetSystemInfo (is it there?),
 * then DescribeNamespace (is the namespace there, and what can the server do?). A server that
 * cannot be reached is waited for, however long it takes; a namespace that does not exist is a
 * mistake in the configuration.
 */
#include <event2/event.h>

#include "config/exit_code.h"
#include "config/process.h"
#include "grpc/status.h"
#include "worker/control.h"

#define RETRY_MS 1000

static void begin(evutil_socket_t fd, short what, void *ctx);

static void try_later(struct flo_worker *worker)
{
    const struct timeval delay = {.tv_sec = RETRY_MS / 1000};

    event_add(worker->startup_retry, &delay);
}

static void say_started(struct flo_worker *worker)
{
    struct flo_buf types, queues;

    flo_buf_init(&types, 4096);
    flo_buf_init(&queues, 4096);
    flo_registry_names(worker->registry, &types);
    flo_queues_names(worker, &queues);
    flo_log(FLO_LOG_INFO, "worker.started", "Worker started", FLO_LOG_WHO(worker), "task_queue",
            flo_buf_cstr(&queues), "server", worker->config->server.address, "types",
            flo_buf_cstr(&types), "#slots",
            FLO_NUM(flo_capacity_total(worker, worker->queues[0].kind)), NULL);
    flo_tell(worker, FLO_LOG_INFO, "worker.ready", "Worker ready: it polls", "#slots",
             FLO_NUM(flo_capacity_total(worker, worker->queues[0].kind)), "types",
             flo_buf_cstr(&types), NULL);
    flo_service_ready(worker);
    flo_buf_fini(&queues);
    flo_buf_fini(&types);
    flo_process_trim();
}

static void on_namespace(void *ctx, const struct flo_grpc_status *status,
                         const ProtobufCMessage *response)
{
    const FloApi__DescribeNamespaceResponse *answer =
        (const FloApi__DescribeNamespaceResponse *)response;
    struct flo_worker *worker = ctx;

    if (worker->state != FLO_WORKER_STARTING)
        return;
    if (status->code == FLO_GRPC_NOT_FOUND) {
        flo_log(FLO_LOG_ERROR, "namespace.unknown",
                "The server has no such namespace: check server.namespace", "namespace",
                worker->config->server.name_space, "server", worker->config->server.address, NULL);
        flo_worker_stop(worker, FLO_EXIT_CONFIG);
        return;
    }
    if (status->code != FLO_GRPC_OK && status->code != FLO_GRPC_UNIMPLEMENTED) {
        if (worker->connected) /* else the connection has said it */
            flo_log(FLO_LOG_ERROR, "server.refused", "The server refuses to describe the namespace",
                    "code", flo_grpc_code_name(status->code), "reason", status->message, NULL);
        try_later(worker);
        return;
    }
    if (answer && answer->namespace_info && answer->namespace_info->capabilities)
        worker->complete_polls =
            answer->namespace_info->capabilities->worker_poll_complete_on_shutdown;
    worker->state = worker->quiet_at_start ? FLO_WORKER_QUIET : FLO_WORKER_RUNNING;
    worker->quiet_at_start = false;
    flo_health_set_ready(worker->health, "started", true, NULL);
    say_started(worker);
    flo_poll_fill(worker);
}

static void on_system_info(void *ctx, const struct flo_grpc_status *status,
                           const ProtobufCMessage *response)
{
    FloApi__DescribeNamespaceRequest request = FLO_API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    struct flo_worker *worker = ctx;

    (void)response;
    if (worker->state != FLO_WORKER_STARTING)
        return;
    if (status->code != FLO_GRPC_OK && status->code != FLO_GRPC_UNIMPLEMENTED) {
        if (worker->connected)
            flo_log(FLO_LOG_ERROR, "server.refused", "The server refuses the first call", "code",
                    flo_grpc_code_name(status->code), "reason", status->message, NULL);
        try_later(worker);
        return;
    }
    if (flo_client_describe_namespace(worker->client, &request, on_namespace, worker, NULL))
        try_later(worker);
}

static void begin(evutil_socket_t fd, short what, void *ctx)
{
    FloApi__GetSystemInfoRequest request = FLO_API__GET_SYSTEM_INFO_REQUEST__INIT;
    struct flo_worker *worker = ctx;

    (void)fd;
    (void)what;
    if (worker->state != FLO_WORKER_STARTING)
        return;
    if (flo_client_get_system_info(worker->client, &request, on_system_info, worker, NULL))
        try_later(worker);
}

void flo_startup_begin(struct flo_worker *worker)
{
    begin(-1, 0, worker);
}
