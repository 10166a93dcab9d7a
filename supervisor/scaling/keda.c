/* SPDX-License-Identifier: Apache-2.0 */
/* keda.c - see keda.h. */
#include "supervisor/scaling/keda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "grpc/server.h"
#include "wire/api.h"
#include "wire/decode.h"

#define SERVICE "/externalscaler.ExternalScaler/"
#define REQUEST_MAX ((size_t)64 * 1024)
#define CONNECTIONS_MAX 128
#define WARMING "the supervisor has just started: its workers may not all have reported"
#define KEY_MAX 1024 /* bytes of one value of the metadata */

/* What a trigger asks for; texts are the request's. */
struct ask {
    struct flo_scale_filter filter;
    bool backlog;  /* metric: backlog */
    double target; /* 0: the policy's */
};

/* An open StreamIsActive. */
struct watcher {
    struct flo_node node;
    struct flo_keda *keda;
    struct flo_grpc_server_call *call;
    bool told, active; /* what was said last */
    char *role, *worker, *queue;
};

struct flo_keda {
    struct flo_keda_options options;
    struct flo_grpc_server *server;
    struct flo_list watchers;
};

/* ---- metadata ---- */

/* Keys that KEDA itself reads. */
static bool is_kedas(const char *key)
{
    static const char *const keys[] = {"scalerAddress", "tlsCertFile", "tlsClientCert",
                                       "tlsClientKey",  "caCert",      "enableTLS",
                                       "unsafeSsl"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static int read_metric(struct ask *ask, const char *value, struct flo_err *err)
{
    ask->backlog = strcmp(value, "backlog") == 0;
    if (ask->backlog || strcmp(value, "replicas") == 0)
        return 0;
    return flo_fail(err, FLO_EINVAL, "metric: \"%.60s\"; replicas and backlog are allowed", value);
}

static int read_target(struct ask *ask, const char *value, struct flo_err *err)
{
    char *end = NULL;
    ask->target = strtod(value, &end);
    if (end != value && !*end && isfinite(ask->target) && ask->target > 0)
        return 0;
    return flo_fail(err, FLO_EINVAL, "target: \"%.60s\"; a number above 0 is allowed", value);
}

static int read_ask(const FloKeda__ScaledObjectRef *object, struct ask *out, struct flo_err *err)
{
    int rc = 0;
    *out = (struct ask){.target = 0};
    for (size_t i = 0; object && i < object->n_scalermetadata && !rc; i++) {
        const char *key = object->scalermetadata[i]->key, *value = object->scalermetadata[i]->value;
        if (strlen(value) > KEY_MAX)
            rc = flo_fail(err, FLO_EINVAL, "%.60s: the value is too long", key);
        else if (strcmp(key, "role") == 0)
            out->filter.role = value;
        else if (strcmp(key, "worker") == 0)
            out->filter.worker = value;
        else if (strcmp(key, "queue") == 0)
            out->filter.queue = value;
        else if (strcmp(key, "metric") == 0)
            rc = read_metric(out, value, err);
        else if (strcmp(key, "target") == 0)
            rc = read_target(out, value, err);
        else if (!is_kedas(key))
            rc = flo_fail(err, FLO_EINVAL,
                          "unknown key \"%.60s\"; role, worker, queue, metric and target are "
                          "allowed",
                          key);
    }
    return rc;
}

/* The group that is asked for. */
static int look(struct flo_keda *keda, const FloKeda__ScaledObjectRef *object, struct ask *out_ask,
                struct flo_scale_view *out, struct flo_err *err)
{
    int rc = read_ask(object, out_ask, err);
    return rc ? rc : flo_scale_get(keda->options.scale, &out_ask->filter, out, err);
}

/* ---- answers ---- */

static void refuse(struct flo_grpc_server_call *call, int rc, const struct flo_err *err)
{
    int code = rc == FLO_EINVAL || rc == FLO_EPROTO ? FLO_GRPC_INVALID_ARGUMENT
               : rc == FLO_ENOENT                   ? FLO_GRPC_NOT_FOUND
                                                    : FLO_GRPC_RESOURCE_EXHAUSTED;
    flo_grpc_respond_error(call, code, err->message, NULL, 0, NULL, 0);
}

/* Not 0: an error makes the autoscaler leave the count as it is. */
static void not_now(struct flo_grpc_server_call *call, const char *why)
{
    flo_grpc_respond_error(call, FLO_GRPC_UNAVAILABLE, why, NULL, 0, NULL, 0);
}

static void answer(struct flo_grpc_server_call *call, const ProtobufCMessage *message)
{
    struct flo_buf body;
    flo_buf_init(&body, 0);
    if (flo_wire_encode(message, &body))
        flo_grpc_respond_error(call, FLO_GRPC_RESOURCE_EXHAUSTED, "no memory", NULL, 0, NULL, 0);
    else
        flo_grpc_respond(call, body.data, body.len);
    flo_buf_fini(&body);
}

static void is_active(struct flo_keda *keda, struct flo_grpc_server_call *call,
                      const ProtobufCMessage *request)
{
    FloKeda__IsActiveResponse response = FLO_KEDA__IS_ACTIVE_RESPONSE__INIT;
    struct flo_scale_view view;
    struct flo_err err = {0};
    struct ask ask;
    int rc = look(keda, (const FloKeda__ScaledObjectRef *)request, &ask, &view, &err);
    if (rc) {
        refuse(call, rc, &err);
        return;
    }
    if (view.warming) {
        not_now(call, WARMING);
        return;
    }
    response.result = flo_scale_active(&view);
    answer(call, &response.base);
}

/* "flotilla-workflow-replicas"; the part behind is the worker's or the role's name. */
static void metric_name(const struct ask *ask, const struct flo_scale_view *view, char *out,
                        size_t size)
{
    snprintf(out, size, "flotilla-%.80s-%s", *view->worker ? view->worker : view->role,
             ask->backlog ? "backlog" : "replicas");
}

static void get_metric_spec(struct flo_keda *keda, struct flo_grpc_server_call *call,
                            const ProtobufCMessage *request)
{
    FloKeda__GetMetricSpecResponse response = FLO_KEDA__GET_METRIC_SPEC_RESPONSE__INIT;
    FloKeda__MetricSpec spec = FLO_KEDA__METRIC_SPEC__INIT, *specs[] = {&spec};
    struct flo_scale_view view;
    struct flo_err err = {0};
    struct ask ask;
    char name[128];
    int rc = look(keda, (const FloKeda__ScaledObjectRef *)request, &ask, &view, &err);
    if (rc) {
        refuse(call, rc, &err);
        return;
    }
    double target = ask.backlog ? (double)view.limits.up_backlog : 1;
    if (ask.target > 0)
        target = ask.target;
    metric_name(&ask, &view, name, sizeof name);
    spec.metricname = name;
    spec.targetsizefloat = target;
    spec.targetsize = target < 1 ? 1 : target > 1e15 ? (int64_t)1e15 : (int64_t)llround(target);
    response.metricspecs = specs;
    response.n_metricspecs = 1;
    answer(call, &response.base);
}

static void get_metrics(struct flo_keda *keda, struct flo_grpc_server_call *call,
                        const ProtobufCMessage *message)
{
    const FloKeda__GetMetricsRequest *request = (const FloKeda__GetMetricsRequest *)message;
    FloKeda__GetMetricsResponse response = FLO_KEDA__GET_METRICS_RESPONSE__INIT;
    FloKeda__MetricValue value = FLO_KEDA__METRIC_VALUE__INIT, *values[] = {&value};
    struct flo_scale_view view;
    struct flo_err err = {0};
    struct ask ask;
    char name[128];
    int rc = look(keda, request->scaledobjectref, &ask, &view, &err);
    if (rc) {
        refuse(call, rc, &err);
        return;
    }
    if (view.warming || (ask.backlog && !view.sample.known)) {
        not_now(call, view.warming ? WARMING : "how much waits is not known now");
        return;
    }
    metric_name(&ask, &view, name, sizeof name);
    value.metricname = *request->metricname ? request->metricname : name;
    value.metricvalue =
        ask.backlog ? view.sample.backlog + view.sample.in_flight : view.decision.desired;
    value.metricvaluefloat = (double)value.metricvalue;
    response.metricvalues = values;
    response.n_metricvalues = 1;
    answer(call, &response.base);
}

static void check_health(struct flo_keda *keda, struct flo_grpc_server_call *call,
                         const ProtobufCMessage *message)
{
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const Grpc__Health__V1__HealthCheckRequest *)message;
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    (void)keda;
    if (*request->service && strcmp(request->service, "externalscaler.ExternalScaler") != 0) {
        flo_grpc_respond_error(call, FLO_GRPC_NOT_FOUND, "unknown service", NULL, 0, NULL, 0);
        return;
    }
    response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    answer(call, &response.base);
}

/* ---- the stream ---- */

static void forget(struct watcher *watcher)
{
    flo_list_remove(&watcher->keda->watchers, &watcher->node);
    flo_free(watcher->role);
    flo_free(watcher->worker);
    flo_free(watcher->queue);
    flo_free(watcher);
}

/* Say it when it is news. May forget the watcher. */
static void tell(struct watcher *watcher)
{
    FloKeda__IsActiveResponse response = FLO_KEDA__IS_ACTIVE_RESPONSE__INIT;
    const struct flo_scale_filter filter = {watcher->role, watcher->worker, watcher->queue};
    uint8_t body[16];
    struct flo_scale_view view;
    struct flo_err err = {0};
    int rc = flo_scale_get(watcher->keda->options.scale, &filter, &view, &err);
    if (rc) { /* its worker has gone from fleet.yaml */
        refuse(watcher->call, rc, &err);
        forget(watcher);
        return;
    }
    bool active = flo_scale_active(&view);
    if (view.warming && !active)
        return; /* nobody knows yet that it is not */
    if (watcher->told && watcher->active == active)
        return;
    response.result = active;
    size_t len = flo_wire_size(&response.base); /* 0 for false, 2 for true */
    flo_wire_pack(&response.base, body, len);
    rc = flo_grpc_stream(watcher->call, body, len);
    if (rc == FLO_EFULL)
        return; /* it does not read: it hears the newest when it does */
    if (rc) {
        forget(watcher);
        return;
    }
    watcher->told = true;
    watcher->active = active;
}

static void on_round(void *ctx)
{
    struct flo_keda *keda = ctx;
    FLO_LIST_FOREACH_SAFE(node, &keda->watchers)
    tell(flo_container(node, struct watcher, node));
}

static void stream_is_active(struct flo_keda *keda, struct flo_grpc_server_call *call,
                             const ProtobufCMessage *request)
{
    struct flo_scale_view view;
    struct flo_err err = {0};
    struct ask ask;
    int rc = look(keda, (const FloKeda__ScaledObjectRef *)request, &ask, &view, &err);
    if (!rc && keda->watchers.count >= FLO_KEDA_STREAMS_MAX)
        rc = flo_fail(&err, FLO_EFULL, "too many streams are open");
    struct watcher *watcher = rc ? NULL : flo_calloc(1, sizeof *watcher);
    if (!rc && !watcher)
        rc = flo_fail(&err, FLO_ENOMEM, "no memory");
    if (rc) {
        refuse(call, rc, &err);
        return;
    }
    watcher->keda = keda;
    watcher->call = call;
    watcher->role = flo_strdup(ask.filter.role ? ask.filter.role : "");
    watcher->worker = flo_strdup(ask.filter.worker ? ask.filter.worker : "");
    watcher->queue = flo_strdup(ask.filter.queue ? ask.filter.queue : "");
    flo_list_push_back(&keda->watchers, &watcher->node);
    if (!watcher->role || !watcher->worker || !watcher->queue) {
        (void)flo_fail(&err, FLO_ENOMEM, "no memory");
        refuse(call, FLO_ENOMEM, &err);
        forget(watcher);
        return;
    }
    flo_grpc_server_call_set_user(call, (uint64_t)(uintptr_t)watcher);
    tell(watcher);
}

/* ---- calls ---- */

static const struct {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    void (*serve)(struct flo_keda *keda, struct flo_grpc_server_call *call,
                  const ProtobufCMessage *request);
} methods[] = {
    {SERVICE "IsActive", &flo_keda__scaled_object_ref__descriptor, is_active},
    {SERVICE "StreamIsActive", &flo_keda__scaled_object_ref__descriptor, stream_is_active},
    {SERVICE "GetMetricSpec", &flo_keda__scaled_object_ref__descriptor, get_metric_spec},
    {SERVICE "GetMetrics", &flo_keda__get_metrics_request__descriptor, get_metrics},
    {"/grpc.health.v1.Health/Check", &grpc__health__v1__health_check_request__descriptor,
     check_health},
};

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    struct flo_keda *keda = ctx;
    struct flo_arena arena;
    struct flo_err err = {0};
    ProtobufCMessage *request = NULL;
    size_t i = 0, count = sizeof methods / sizeof methods[0];
    while (i < count && strcmp(methods[i].path, path) != 0)
        i++;
    if (i == count) {
        flo_grpc_respond_error(call, FLO_GRPC_UNIMPLEMENTED, "there is no such call here", NULL, 0,
                               NULL, 0);
        return;
    }
    flo_arena_init(&arena, flo_wire_budget(len));
    int rc = flo_wire_decode(methods[i].request, body, len, &arena, &request, &err);
    if (rc)
        refuse(call, rc, &err);
    else
        methods[i].serve(keda, call, request);
    flo_arena_fini(&arena);
}

static void on_cancel(void *ctx, struct flo_grpc_server_call *call)
{
    struct watcher *watcher = (struct watcher *)(uintptr_t)flo_grpc_server_call_user(call);
    (void)ctx;
    if (watcher)
        forget(watcher);
}

static void on_reject(void *ctx, const char *reason)
{
    struct flo_keda *keda = ctx;
    flo_series_inc(flo_metrics_get(keda->options.metrics, FLO_METRIC_REJECTS, reason, NULL));
}

/* ---- life ---- */

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

int flo_keda_new(struct event_base *base, const struct flo_keda_options *options,
                 struct flo_keda **out, struct flo_err *err)
{
    struct flo_keda *keda = flo_calloc(1, sizeof *keda);
    if (!keda)
        return flo_fail(err, FLO_ENOMEM, "no memory for the external scaler");
    keda->options = *options;
    flo_list_init(&keda->watchers);
    const struct flo_grpc_server_options server = {.listen = options->listen,
                                                   .tls_cert_file = or_null(options->cert_file),
                                                   .tls_key_file = or_null(options->key_file),
                                                   .tls_client_ca_file =
                                                       or_null(options->client_ca_file),
                                                   .max_receive_bytes = REQUEST_MAX,
                                                   .max_connections = CONNECTIONS_MAX,
                                                   .max_streams = FLO_KEDA_STREAMS_MAX,
                                                   .max_buffered_bytes = 16 * REQUEST_MAX,
                                                   .on_call = on_call,
                                                   .on_cancel = on_cancel,
                                                   .on_reject = on_reject,
                                                   .ctx = keda};
    int rc = flo_grpc_server_new(base, &server, &keda->server, err);
    if (rc) {
        flo_free(keda);
        return rc;
    }
    flo_scale_listen(options->scale, on_round, keda);
    *out = keda;
    return 0;
}

void flo_keda_destroy(struct flo_keda **keda)
{
    struct flo_keda *self = *keda;
    if (!self)
        return;
    *keda = NULL;
    flo_scale_listen(self->options.scale, NULL, NULL);
    flo_grpc_server_destroy(&self->server);
    flo_free(self);
}

const char *flo_keda_address(const struct flo_keda *keda)
{
    return flo_grpc_server_address(keda->server);
}
