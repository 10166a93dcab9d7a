/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker.c - heartbeats of workers: noted, described, forgotten. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define DAY (24 * 3600 * FLO_NS_PER_S)

static int setup(void **state)
{
    *state = engine_new(1);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static FloApi__WorkerHeartbeat beat_of(const char *key, const char *queue)
{
    FloApi__WorkerHeartbeat heartbeat = FLO_API__WORKER_HEARTBEAT__INIT;
    heartbeat.worker_instance_key = (char *)key;
    heartbeat.task_queue = (char *)queue;
    return heartbeat;
}

static void record(struct engine *e, const char *key, const char *queue)
{
    FloApi__RecordWorkerHeartbeatRequest request = FLO_API__RECORD_WORKER_HEARTBEAT_REQUEST__INIT;
    FloApi__WorkerHeartbeat heartbeat = beat_of(key, queue);
    FloApi__WorkerHeartbeat *list[] = {&heartbeat};
    request.namespace_ = (char *)"default";
    request.worker_heartbeat = list;
    request.n_worker_heartbeat = 1;
    engine_do(e, "RecordWorkerHeartbeat", &request.base);
}

static FloApi__DescribeWorkerRequest describe_of(const char *key)
{
    FloApi__DescribeWorkerRequest request = FLO_API__DESCRIBE_WORKER_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.worker_instance_key = (char *)key;
    return request;
}

static void count_one(void *ctx, const uint8_t *heartbeat, size_t len)
{
    (void)heartbeat, (void)len;
    ++*(size_t *)ctx;
}

static size_t count(struct engine *e)
{
    size_t found = 0;
    flo_core_each_worker(e->core, flo_core_namespace_id(e->core, "default"), count_one, &found);
    return found;
}

/* The last heartbeat counts; another key is another worker. */
static void test_last_heartbeat_counts(void **state)
{
    struct engine *e = *state;
    record(e, "k", "old");
    record(e, "other", "q");
    record(e, "k", "new");
    assert_int_equal(count(e), 2);
    FloApi__DescribeWorkerRequest request = describe_of("k");
    FloApi__DescribeWorkerResponse *response = engine_do(e, "DescribeWorker", &request.base);
    assert_string_equal(response->worker_info->worker_heartbeat->task_queue, "new");
    request = describe_of("x");
    assert_string_equal(engine_try(e, "DescribeWorker", &request.base),
                        "NOT_FOUND | Worker x not found | NotFoundFailure");
}

/* The last word of a worker comes with its shutdown. */
static void test_shutdown_brings_a_heartbeat(void **state)
{
    struct engine *e = *state;
    FloApi__ShutdownWorkerRequest shutdown = FLO_API__SHUTDOWN_WORKER_REQUEST__INIT;
    FloApi__WorkerHeartbeat heartbeat = beat_of("k", "q");
    heartbeat.status = FLO_API__WORKER_STATUS__WORKER_STATUS_SHUTDOWN;
    shutdown.namespace_ = (char *)"default";
    shutdown.worker_heartbeat = &heartbeat;
    engine_do(e, "ShutdownWorker", &shutdown.base);
    FloApi__DescribeWorkerRequest request = describe_of("k");
    FloApi__DescribeWorkerResponse *response = engine_do(e, "DescribeWorker", &request.base);
    assert_int_equal(response->worker_info->worker_heartbeat->status,
                     FLO_API__WORKER_STATUS__WORKER_STATUS_SHUTDOWN);
}

/* A worker that is not heard of for a day is forgotten. */
static void test_silent_worker_is_forgotten(void **state)
{
    struct engine *e = *state;
    record(e, "silent", "q");
    engine_pass(e, DAY / 2);
    record(e, "k", "q");
    engine_pass(e, DAY / 2);
    assert_int_equal(count(e), 1);
    FloApi__DescribeWorkerRequest request = describe_of("silent");
    assert_string_equal(engine_try(e, "DescribeWorker", &request.base),
                        "NOT_FOUND | Worker silent not found | NotFoundFailure");
    record(e, "k", "q");
    assert_int_equal(count(e), 1);
}

/* However much workers say of themselves, what is kept is bounded; the newest words are there. */
static void test_much_is_said_little_is_kept(void **state)
{
    enum { WORKERS = 100, MANY_BYTES = 1 << 20 };
    struct engine *e = *state;
    char *long_name = calloc(1, MANY_BYTES + 1);
    assert_non_null(long_name);
    memset(long_name, 'q', MANY_BYTES);
    for (int i = 0; i < WORKERS; i++) {
        record(e, engine_format(e, "k%d", i), long_name);
        record(e, engine_format(e, "k%d", i), long_name);
    }
    free(long_name);
    assert_int_equal(count(e), 63);
    FloApi__DescribeWorkerRequest request = describe_of("k99");
    engine_do(e, "DescribeWorker", &request.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_last_heartbeat_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown_brings_a_heartbeat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_worker_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_much_is_said_little_is_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
