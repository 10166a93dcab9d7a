/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - --check: what a worker would do, without doing it. The configuration has been read and
 * the modules loaded; here the server is asked for itself and for the namespace, within CHECK_MS.
 * Nothing is polled, and no module's start runs.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "config/exit_code.h"
#include "grpc/status.h"
#include "worker/worker.h"

#define CHECK_MS 5000
#define REASON_BYTES 512

struct check {
    struct flo_worker *worker;
    struct event_base *base;
    int exit_code;
    char version[64];
    char reason[REASON_BYTES]; /* why it is not good; or the last trouble with the connection */
};

static void end(struct check *check, int exit_code)
{
    check->exit_code = exit_code;
    event_base_loopbreak(check->base);
}

static int code_of(int status)
{
    switch (status) {
    case FLO_GRPC_NOT_FOUND:
        return FLO_EXIT_CONFIG;
    case FLO_GRPC_PERMISSION_DENIED:
    case FLO_GRPC_UNAUTHENTICATED:
        return FLO_EXIT_NO_PERMISSION;
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
        return FLO_EXIT_UNAVAILABLE;
    default:
        return FLO_EXIT_REFUSED;
    }
}

static void on_state(void *ctx, bool connected, const char *reason)
{
    struct check *check = ctx;

    if (!connected && reason)
        snprintf(check->reason, sizeof check->reason, "%s", reason);
}

/* A call was refused, or none could be made. */
static void refused(struct check *check, const struct flo_grpc_status *status)
{
    const struct flo_server_config *server = &check->worker->config->server;

    if (status->code == FLO_GRPC_NOT_FOUND)
        snprintf(check->reason, sizeof check->reason,
                 "the server %s has no namespace \"%s\": check server.namespace", server->address,
                 server->name_space);
    else
        snprintf(check->reason, sizeof check->reason, "the server %s: %s: %s", server->address,
                 flo_grpc_code_name(status->code), status->message);
    end(check, code_of(status->code));
}

static void on_namespace(void *ctx, const struct flo_grpc_status *status,
                         const ProtobufCMessage *response)
{
    (void)response;
    if (status->code != FLO_GRPC_OK && status->code != FLO_GRPC_UNIMPLEMENTED)
        refused(ctx, status);
    else
        end(ctx, FLO_EXIT_OK);
}

static void on_system_info(void *ctx, const struct flo_grpc_status *status,
                           const ProtobufCMessage *response)
{
    const FloApi__GetSystemInfoResponse *answer = (const FloApi__GetSystemInfoResponse *)response;
    FloApi__DescribeNamespaceRequest request = FLO_API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    struct check *check = ctx;

    if (status->code != FLO_GRPC_OK && status->code != FLO_GRPC_UNIMPLEMENTED) {
        refused(check, status);
        return;
    }
    if (answer)
        snprintf(check->version, sizeof check->version, "%s", answer->server_version);
    if (flo_client_describe_namespace(check->worker->client, &request, on_namespace, check, NULL))
        end(check, FLO_EXIT_INTERNAL);
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
    struct check *check = ctx;
    char why[REASON_BYTES / 2];

    (void)fd;
    (void)what;
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, check->reason);
    snprintf(check->reason, sizeof check->reason, "the server %s cannot be reached within %d s%s%s",
             check->worker->config->server.address, CHECK_MS / 1000, *why ? ": " : "", why);
    end(check, FLO_EXIT_UNAVAILABLE);
}

/* Ask, and wait for the answers. */
static int ask(struct check *check, struct flo_err *err)
{
    FloApi__GetSystemInfoRequest request = FLO_API__GET_SYSTEM_INFO_REQUEST__INIT;
    struct flo_client_options options = flo_worker_client_options(check->worker);
    const struct timeval limit = {.tv_sec = CHECK_MS / 1000};
    int rc;

    check->base = check->worker->base = event_base_new();
    if (!check->base)
        return flo_fail(err, FLO_ENOMEM, "cannot make an event loop");
    options.channel.on_state = on_state;
    options.channel.on_state_ctx = check;
    rc = flo_client_new(check->base, &options, &check->worker->client, err);
    if (rc)
        return rc;
    if (event_base_once(check->base, -1, EV_TIMEOUT, on_time, check, &limit) ||
        flo_client_get_system_info(check->worker->client, &request, on_system_info, check, NULL))
        return flo_fail(err, FLO_ENOMEM, "no memory to ask the server");
    event_base_dispatch(check->base);
    return 0;
}

/* ---- what it would do ---- */

static void print_queues(const struct flo_role_config *config)
{
    const struct flo_queue_config *queue = config->polled.items;

    if (config->role == FLO_ROLE_WORKFLOW)
        printf("  task queue   %s: %lld polls, %lld slots\n", config->task_queue,
               (long long)config->max_concurrent_workflow_task_polls,
               (long long)config->max_concurrent_workflow_tasks);
    for (size_t i = 0; config->role != FLO_ROLE_WORKFLOW && i < config->polled.count; i++)
        printf("  task queue   %s: %lld polls, %lld slots\n", queue[i].name,
               (long long)queue[i].max_concurrent_activity_task_polls,
               (long long)queue[i].max_concurrent_activities);
    printf("  slots        %s\n", config->tuner.kind == FLO_TUNER_FIXED
                                      ? "fixed"
                                      : "as many as the machine's load allows");
}

static void print_executor(const struct flo_role_config *config)
{
    bool processes = config->executor.isolation == FLO_ISOLATION_PROCESS;
    const char *kind = processes ? "processes" : "threads";
    const char *pinned = processes && config->executor.pin ? ", pinned" : "";

    if (config->role == FLO_ROLE_WORKFLOW)
        printf("  cached runs  at most %lld\n  local        %lld activities at once\n",
               (long long)config->sticky_cache.max_entries,
               (long long)config->max_concurrent_local_activities);
    else if (config->executor.workers > 0)
        printf("  executor     %lld %s%s\n", (long long)config->executor.workers, kind, pinned);
    else
        printf("  executor     %s, one a core%s\n", kind, pinned);
}

static void print_plan(const struct check *check)
{
    const struct flo_worker *worker = check->worker;
    const struct flo_role_config *config = worker->config;
    struct flo_buf types;

    flo_buf_init(&types, 0);
    flo_registry_names(worker->registry, &types);
    printf("%s: all good; it would run so:\n", worker->program);
    printf("  server       %s%s%s%s\n", config->server.address,
           config->server.tls.enabled ? " (TLS)" : "", *check->version ? ", version " : "",
           check->version);
    printf("  namespace    %s\n", config->server.name_space);
    printf("  identity     %s\n", worker->identity);
    print_queues(config);
    printf("  %s   %s\n", config->role == FLO_ROLE_WORKFLOW ? "workflows " : "activities",
           types.len > 0 ? flo_buf_cstr(&types) : "none");
    for (size_t i = 0; i < config->modules.count; i++)
        printf("  module       %s\n", flo_role_config_module(config, i)->path);
    print_executor(config);
    flo_buf_fini(&types);
}

int flo_check_run(struct flo_worker *worker)
{
    struct check check = {.worker = worker, .exit_code = FLO_EXIT_INTERNAL};
    struct flo_err err = {0};
    int rc = ask(&check, &err);

    if (rc)
        check.exit_code = flo_exit_code(rc);
    if (check.exit_code == FLO_EXIT_OK)
        print_plan(&check);
    else
        fprintf(stderr, "%s: %s\n", worker->program, rc ? err.message : check.reason);
    flo_client_destroy(&worker->client);
    return check.exit_code;
}
