/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backlogs, groups and KEDA's calls, with a server that says what the test wants it to say, and
 * workers that report what the test makes them report. All on one loop, over real sockets.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "grpc/server.h"
#include "supervisor/scaling/keda.h"
#include "support/cmocka_env.h"
#include "support/h2raw.h"
#include "wire/api.h"
#include "wire/decode.h"

#define KEDA "/externalscaler.ExternalScaler/"
#define STREAM 1

/* The end of one of the test's calls. */
struct outcome {
    bool done;
    int code;
    char message[200];
    struct flo_arena arena;
    const ProtobufCMessage *answer;
    const ProtobufCMessageDescriptor *type;
};

struct fixture {
    struct event_base *base;
    struct event *tick;
    struct flo_metrics *metrics;
    struct flo_fleet fleet;
    struct flo_fleet_config *config;
    struct flo_grpc_server *server; /* plays Temporal */
    int64_t count;                  /* what waits in every queue, as it says */
    int code;                       /* not 0: what it answers instead */
    bool silent;                    /* it answers nothing */
    int asked;                      /* questions that it has seen */
    int open, most_open;            /* questions that it has not answered */
    struct flo_events *events;
    struct flo_scale *scale;
    struct flo_keda *keda;
    struct flo_grpc_channel *channel; /* to keda */
    int seq;
};

/* ---- the server ---- */

static void on_describe(void *ctx, struct flo_grpc_server_call *call, const char *path,
                        const uint8_t *body, size_t len)
{
    struct fixture *f = ctx;
    FloApi__DescribeTaskQueueResponse answer = FLO_API__DESCRIBE_TASK_QUEUE_RESPONSE__INIT;
    FloApi__TaskQueueStats stats = FLO_API__TASK_QUEUE_STATS__INIT;
    struct flo_buf out;
    (void)body;
    (void)len;
    assert_string_equal(path, "/temporal.api.workflowservice.v1.WorkflowService/DescribeTaskQueue");
    f->asked++;
    f->open++;
    if (f->open > f->most_open)
        f->most_open = f->open;
    if (f->silent)
        return;
    f->open--;
    if (f->code) {
        flo_grpc_respond_error(call, f->code, "not today", NULL, 0, NULL, 0);
        return;
    }
    stats.approximate_backlog_count = f->count;
    answer.stats = &stats;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_wire_encode(&answer.base, &out), 0);
    flo_grpc_respond(call, out.data, out.len);
    flo_buf_fini(&out);
}

static void on_gone(void *ctx, struct flo_grpc_server_call *call)
{
    struct fixture *f = ctx;
    (void)call;
    f->open--;
}

static void serve(struct fixture *f)
{
    const struct flo_grpc_server_options options = {
        .listen = "127.0.0.1:0", .on_call = on_describe, .on_cancel = on_gone, .ctx = f};
    assert_int_equal(flo_grpc_server_new(f->base, &options, &f->server, NULL), 0);
}

/* ---- the fleet ---- */

static void report(struct fixture *f, const char *role, int number, int used, int slots)
{
    char frame[1000];
    struct flo_fleet_entry *entry;
    int len = snprintf(
        frame, sizeof frame,
        "{\"v\":1,\"type\":\"snapshot\",\"boot\":\"00000000-0000-4000-8000-%012d\",\"seq\":%d,"
        "\"role\":\"%s\",\"name\":\"\",\"identity\":\"w%d\",\"version\":\"1\",\"server\":\"\","
        "\"namespace\":\"default\",\"task_queue\":\"q\",\"http\":\"\",\"pid\":%d,\"started_ms\":1,"
        "\"cpu_ms\":1,\"rss_bytes\":1,\"threads\":1,\"done\":0,\"failed\":0,\"polls\":1,"
        "\"state\":\"running\",\"ready\":true,"
        "\"slots\":[{\"kind\":\"workflow\",\"used\":%d,\"total\":%d}],\"metrics\":[]}",
        number, ++f->seq, role, number, 1000 + number, used, slots);
    enum flo_frame_verdict verdict =
        flo_fleet_take(&f->fleet, frame, (size_t)len, (uint64_t)number,
                       flo_clock_mono_ns() / FLO_NS_PER_MS, &entry, NULL);
    assert_string_equal(flo_frame_verdict_name(verdict), "taken");
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
}

static void open_scale(struct fixture *f, int64_t warmup_ms)
{
    const struct flo_scale_options options = {.config = f->config,
                                              .fleet = &f->fleet,
                                              .metrics = f->metrics,
                                              .identity = "test",
                                              .events = f->events,
                                              .warmup_ms = warmup_ms};
    assert_int_equal(flo_scale_new(f->base, &options, &f->scale, NULL), 0);
    const struct flo_keda_options keda = {
        .listen = "127.0.0.1:0", .scale = f->scale, .metrics = f->metrics};
    assert_int_equal(flo_keda_new(f->base, &keda, &f->keda, NULL), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct timeval often = {.tv_usec = 5000};
    char address[100];
    f->base = event_base_new();
    f->tick = event_new(f->base, -1, EV_PERSIST, on_tick, NULL); /* the loop always turns */
    event_add(f->tick, &often);
    assert_int_equal(flo_metrics_new(&f->metrics, NULL), 0);
    assert_int_equal(flo_events_new(0, &f->events, NULL), 0);
    flo_fleet_init(&f->fleet, f->metrics);
    serve(f);
    snprintf(address, sizeof address, "server.address=%s", flo_grpc_server_address(f->server));
    const struct flo_cmdline cmdline = {.program = "test",
                                        .sets = {"engine.enabled=false", address,
                                                 "scaling.backlog_interval=100ms", "scaling.min=1"},
                                        .set_count = 4};
    struct flo_err err = {0};
    if (flo_fleet_config_load(&cmdline, &f->config, &err))
        fail_msg("%s", err.message);
    open_scale(f, 0);
    const struct flo_grpc_channel_options channel = {.address = flo_keda_address(f->keda)};
    assert_int_equal(flo_grpc_channel_new(f->base, &channel, &f->channel, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_grpc_channel_destroy(&f->channel);
    flo_keda_destroy(&f->keda);
    flo_scale_destroy(&f->scale);
    flo_grpc_server_destroy(&f->server);
    flo_fleet_fini(&f->fleet);
    flo_fleet_config_destroy(&f->config);
    flo_events_destroy(&f->events);
    flo_metrics_destroy(&f->metrics);
    event_free(f->tick);
    event_base_free(f->base);
    free(f);
    return 0;
}

#define UNTIL(f, cond)                                                                             \
    do {                                                                                           \
        int64_t give_up_ = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;                                \
        while (!(cond)) {                                                                          \
            if (flo_clock_mono_ns() > give_up_)                                                    \
                fail_msg("still waiting for: %s", #cond);                                          \
            event_base_loop((f)->base, EVLOOP_ONCE);                                               \
        }                                                                                          \
    } while (0)

static struct flo_scale_view view_of(struct fixture *f)
{
    struct flo_scale_view view;
    const struct flo_scale_filter filter = {.role = "workflow"};
    assert_int_equal(flo_scale_get(f->scale, &filter, &view, NULL), 0);
    return view;
}

static bool page_has(struct fixture *f, const char *text)
{
    const struct flo_metrics_form form = {.naming = FLO_NAMING_TALLY};
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_metrics_render(f->metrics, &form, &out), 0);
    bool found = strstr(flo_buf_cstr(&out), text) != NULL;
    flo_buf_fini(&out);
    return found;
}

/* ---- calls ---- */

static void on_done(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                    size_t len)
{
    struct outcome *out = ctx;
    ProtobufCMessage *answer = NULL;
    out->done = true;
    out->code = status->code;
    snprintf(out->message, sizeof out->message, "%s", status->message ? status->message : "");
    flo_arena_init(&out->arena, 0);
    if (status->code == FLO_GRPC_OK)
        assert_int_equal(flo_wire_decode(out->type, body, len, &out->arena, &answer, NULL), 0);
    out->answer = answer;
}

static void call(struct fixture *f, const char *path, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *type, struct outcome *out)
{
    struct flo_buf body;
    flo_buf_init(&body, 0);
    assert_int_equal(flo_wire_encode(request, &body), 0);
    *out = (struct outcome){.type = type};
    const struct flo_grpc_call_options options = {.path = path,
                                                  .body = body.data,
                                                  .body_len = body.len,
                                                  .timeout_ms = 10000,
                                                  .wait_for_ready = true,
                                                  .done = on_done,
                                                  .ctx = out};
    assert_int_equal(flo_grpc_call_start(f->channel, &options, NULL), 0);
    flo_buf_fini(&body);
    UNTIL(f, out->done);
}

/* A ScaledObject whose trigger has up to four keys. */
struct object {
    FloKeda__ScaledObjectRef ref;
    FloKeda__ScaledObjectRef__ScalerMetadataEntry entries[4], *list[4];
};

static FloKeda__ScaledObjectRef *object_of(struct object *object, const char *const *pairs)
{
    flo_keda__scaled_object_ref__init(&object->ref);
    object->ref.name = "workers";
    object->ref.namespace_ = "flotilla";
    object->ref.scalermetadata = object->list;
    for (size_t i = 0; pairs[i]; i += 2) {
        FloKeda__ScaledObjectRef__ScalerMetadataEntry *entry = &object->entries[i / 2];
        flo_keda__scaled_object_ref__scaler_metadata_entry__init(entry);
        entry->key = (char *)pairs[i];
        entry->value = (char *)pairs[i + 1];
        object->list[object->ref.n_scalermetadata++] = entry;
    }
    return &object->ref;
}

static const char *const workflow[] = {"role", "workflow", NULL};
static const char *const workflow_backlog[] = {"role",   "workflow", "metric", "backlog",
                                               "target", "7.5",      NULL};

static bool is_active(struct fixture *f, const char *const *pairs)
{
    struct object object;
    struct outcome out;
    call(f, KEDA "IsActive", &object_of(&object, pairs)->base,
         &flo_keda__is_active_response__descriptor, &out);
    assert_int_equal(out.code, FLO_GRPC_OK);
    bool active = ((const FloKeda__IsActiveResponse *)out.answer)->result;
    flo_arena_fini(&out.arena);
    return active;
}

/* ---- backlogs ---- */

/* The depth is what the server says, under the names that scalers ask for. */
static void test_depth_is_the_servers(void **state)
{
    struct fixture *f = *state;
    f->count = 7;
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, view_of(f).sample.known);
    assert_int_equal(view_of(f).sample.backlog, 7);
    assert_true(page_has(f, "temporal_workflow_task_queue_depth{namespace=\"default\",queue=\"q\","
                            "task_queue=\"q\"} 7\n"));
    f->count = 12;
    UNTIL(f, view_of(f).sample.backlog == 12);
    assert_int_equal(f->most_open, 1); /* one queue: one question at a time */
}

/* A server that fails, or is silent, or goes away: unknown, not 0; and known again after it. */
static void test_depth_becomes_unknown(void **state)
{
    struct fixture *f = *state;
    f->count = 7;
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, view_of(f).sample.known);
    f->code = FLO_GRPC_PERMISSION_DENIED;
    UNTIL(f, !view_of(f).sample.known);
    assert_false(page_has(f, "temporal_workflow_task_queue_depth{"));
    assert_int_equal(view_of(f).decision.desired, view_of(f).sample.replicas);
    f->code = 0;
    UNTIL(f, page_has(f, "temporal_workflow_task_queue_depth{"));
    flo_grpc_server_destroy(&f->server);
    UNTIL(f, !page_has(f, "temporal_workflow_task_queue_depth{"));
}

/* A server that says nonsense is taken for no more than can be summed up. */
static void test_depth_is_bounded(void **state)
{
    struct fixture *f = *state;
    f->count = INT64_MAX;
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, view_of(f).sample.known);
    assert_int_equal(view_of(f).sample.backlog, INT64_C(1000000000000));
    assert_int_equal(view_of(f).decision.desired, 20);
    f->count = INT64_MIN;
    UNTIL(f, view_of(f).sample.backlog == 0);
}

/* Strangers may ask for any queue: one that is polled is still found, and roles are. */
static void test_groups_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct flo_scale_view view;
    struct flo_scale_filter filter = {.role = "workflow"};
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, view_of(f).sample.ready == 1);
    for (int i = 0; i < 10 * FLO_SCALE_GROUPS_MAX; i++) {
        char queue[30];
        snprintf(queue, sizeof queue, "nobodys-%d", i);
        filter.queue = queue;
        assert_int_equal(flo_scale_get(f->scale, &filter, &view, NULL), 0);
        assert_int_equal(view.queue_count, 0);
    }
    filter.queue = "q";
    assert_int_equal(flo_scale_get(f->scale, &filter, &view, NULL), 0);
    assert_int_equal(view.queue_count, 1);
    filter = (struct flo_scale_filter){.role = "cpu-activity"};
    assert_int_equal(flo_scale_get(f->scale, &filter, &view, NULL), 0);
}

/* ---- KEDA ---- */

/* Just started, when workers may not have reported yet: no count, so that nothing is taken away. */
static void test_no_count_before_workers_report(void **state)
{
    struct fixture *f = *state;
    struct object object;
    struct outcome out;
    FloKeda__GetMetricsRequest request = FLO_KEDA__GET_METRICS_REQUEST__INIT;
    request.scaledobjectref = object_of(&object, workflow);
    flo_grpc_channel_destroy(&f->channel);
    flo_keda_destroy(&f->keda);
    flo_scale_destroy(&f->scale);
    open_scale(f, 1500);
    const struct flo_grpc_channel_options channel = {.address = flo_keda_address(f->keda)};
    assert_int_equal(flo_grpc_channel_new(f->base, &channel, &f->channel, NULL), 0);

    call(f, KEDA "GetMetrics", &request.base, &flo_keda__get_metrics_response__descriptor, &out);
    assert_int_equal(out.code, FLO_GRPC_UNAVAILABLE);
    assert_non_null(strstr(out.message, "just started"));
    flo_arena_fini(&out.arena);
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, !view_of(f).warming);
    call(f, KEDA "GetMetrics", &request.base, &flo_keda__get_metrics_response__descriptor, &out);
    assert_int_equal(out.code, FLO_GRPC_OK);
    flo_arena_fini(&out.arena);
}

/* Active while something waits or runs; a queue that nobody polls has nothing. */
static void test_is_active(void **state)
{
    struct fixture *f = *state;
    const char *const other[] = {"role", "workflow", "queue", "other", NULL};
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, view_of(f).sample.known);
    assert_false(is_active(f, workflow));
    f->count = 1;
    UNTIL(f, view_of(f).sample.backlog == 1);
    assert_true(is_active(f, workflow));
    assert_false(is_active(f, other));
    f->count = 0;
    report(f, "workflow", 1, 2, 3);
    UNTIL(f, view_of(f).sample.backlog == 0 && view_of(f).sample.in_flight == 2);
    assert_true(is_active(f, workflow)); /* never to zero while work is in flight */
}

/* Both forms of a target and of a value are filled, for old and new releases of KEDA. */
static void test_metrics(void **state)
{
    struct fixture *f = *state;
    struct object object;
    struct outcome out;
    f->count = 40;
    report(f, "workflow", 1, 2, 3);
    UNTIL(f, view_of(f).sample.backlog == 40 && view_of(f).sample.in_flight == 2);

    call(f, KEDA "GetMetricSpec", &object_of(&object, workflow)->base,
         &flo_keda__get_metric_spec_response__descriptor, &out);
    const FloKeda__GetMetricSpecResponse *specs =
        (const FloKeda__GetMetricSpecResponse *)out.answer;
    assert_int_equal(specs->n_metricspecs, 1);
    assert_string_equal(specs->metricspecs[0]->metricname, "flotilla-workflow-replicas");
    assert_int_equal(specs->metricspecs[0]->targetsize, 1);
    assert_true(specs->metricspecs[0]->targetsizefloat == 1);
    flo_arena_fini(&out.arena);

    call(f, KEDA "GetMetricSpec", &object_of(&object, workflow_backlog)->base,
         &flo_keda__get_metric_spec_response__descriptor, &out);
    specs = (const FloKeda__GetMetricSpecResponse *)out.answer;
    assert_int_equal(specs->metricspecs[0]->targetsize, 8);
    assert_true(specs->metricspecs[0]->targetsizefloat == 7.5);
    flo_arena_fini(&out.arena);

    FloKeda__GetMetricsRequest request = FLO_KEDA__GET_METRICS_REQUEST__INIT;
    request.scaledobjectref = object_of(&object, workflow);
    request.metricname = (char *)"s0-flotilla";
    call(f, KEDA "GetMetrics", &request.base, &flo_keda__get_metrics_response__descriptor, &out);
    const FloKeda__GetMetricsResponse *values = (const FloKeda__GetMetricsResponse *)out.answer;
    assert_int_equal(values->n_metricvalues, 1);
    assert_string_equal(values->metricvalues[0]->metricname, "s0-flotilla");
    assert_int_equal(values->metricvalues[0]->metricvalue, 4); /* 40 / 10 */
    assert_true(values->metricvalues[0]->metricvaluefloat == 4);
    flo_arena_fini(&out.arena);

    request.scaledobjectref = object_of(&object, workflow_backlog);
    call(f, KEDA "GetMetrics", &request.base, &flo_keda__get_metrics_response__descriptor, &out);
    values = (const FloKeda__GetMetricsResponse *)out.answer;
    assert_int_equal(values->metricvalues[0]->metricvalue, 42);
    flo_arena_fini(&out.arena);

    f->code = FLO_GRPC_PERMISSION_DENIED; /* not known: an error, on which KEDA holds the count */
    UNTIL(f, !view_of(f).sample.known);
    call(f, KEDA "GetMetrics", &request.base, &flo_keda__get_metrics_response__descriptor, &out);
    assert_int_equal(out.code, FLO_GRPC_UNAVAILABLE);
    flo_arena_fini(&out.arena);
}

/* What cannot be is refused with a sentence. */
static void test_refusals(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *pairs[5];
        int code;
        const char *needle;
    } cases[] = {
        {{"role", "king", NULL}, FLO_GRPC_NOT_FOUND, "no role \"king\""},
        {{"worker", "io", NULL}, FLO_GRPC_NOT_FOUND, "no worker \"io\""},
        {{NULL}, FLO_GRPC_NOT_FOUND, "a role or a worker"},
        {{"rolle", "workflow", NULL}, FLO_GRPC_INVALID_ARGUMENT, "unknown key \"rolle\""},
        {{"role", "workflow", "metric", "x", NULL}, FLO_GRPC_INVALID_ARGUMENT, "metric"},
        {{"role", "workflow", "target", "0", NULL}, FLO_GRPC_INVALID_ARGUMENT, "target"},
        {{"role", "workflow", "target", "nan", NULL}, FLO_GRPC_INVALID_ARGUMENT, "target"},
        {{"role", "workflow", "scalerAddress", "x:1", NULL}, FLO_GRPC_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct object object;
        struct outcome out;
        call(f, KEDA "IsActive", &object_of(&object, cases[i].pairs)->base,
             &flo_keda__is_active_response__descriptor, &out);
        assert_int_equal(out.code, cases[i].code);
        assert_non_null(strstr(out.message, cases[i].needle));
        flo_arena_fini(&out.arena);
    }
    struct object object;
    struct outcome out;
    call(f, KEDA "StreamMetricSpec", &object_of(&object, workflow)->base,
         &flo_keda__is_active_response__descriptor, &out);
    assert_int_equal(out.code, FLO_GRPC_UNIMPLEMENTED);
    flo_arena_fini(&out.arena);
}

static void test_health(void **state)
{
    struct fixture *f = *state;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct outcome out;
    call(f, "/grpc.health.v1.Health/Check", &request.base,
         &grpc__health__v1__health_check_response__descriptor, &out);
    assert_int_equal(((const Grpc__Health__V1__HealthCheckResponse *)out.answer)->status,
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    flo_arena_fini(&out.arena);
    request.service = (char *)"other";
    call(f, "/grpc.health.v1.Health/Check", &request.base,
         &grpc__health__v1__health_check_response__descriptor, &out);
    assert_int_equal(out.code, FLO_GRPC_NOT_FOUND);
    flo_arena_fini(&out.arena);
}

/* A stream says at once what is, then each change: an empty message is false, two bytes are true.
 */
static void test_stream(void **state)
{
    struct fixture *f = *state;
    struct h2raw raw;
    struct object object;
    struct flo_buf body;
    report(f, "workflow", 1, 0, 3);
    UNTIL(f, view_of(f).sample.known);
    flo_buf_init(&body, 0);
    assert_int_equal(flo_wire_encode(&object_of(&object, workflow)->base, &body), 0);
    h2raw_open(&raw, f->base, flo_keda_address(f->keda));
    h2raw_preface(&raw);
    h2raw_request(&raw, STREAM, NGHTTP2_FLAG_END_HEADERS, KEDA "StreamIsActive", NULL);
    h2raw_message(&raw, STREAM, NGHTTP2_FLAG_END_STREAM, 0, (uint32_t)body.len, body.data,
                  body.len);
    H2RAW_UNTIL(&raw, h2raw_answer(&raw, STREAM)->data_bytes == 5);
    f->count = 3;
    H2RAW_UNTIL(&raw, h2raw_answer(&raw, STREAM)->data_bytes == 5 + 7);
    f->count = 0;
    H2RAW_UNTIL(&raw, h2raw_answer(&raw, STREAM)->data_bytes == 5 + 7 + 5);
    int asked = f->asked; /* rounds without news are told to nobody */
    H2RAW_UNTIL(&raw, f->asked > asked + 5);
    assert_int_equal(h2raw_answer(&raw, STREAM)->data_bytes, 17);
    assert_false(h2raw_answer(&raw, STREAM)->ended);
    h2raw_close(&raw);
    flo_buf_fini(&body);
    f->count = 9;
    UNTIL(f, view_of(f).sample.backlog == 9); /* nobody listens any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_depth_is_the_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth_becomes_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_count_before_workers_report, setup, teardown),
        cmocka_unit_test_setup_teardown(test_is_active, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
