/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - the beginning and the end of each activity; see tasks.h. */
#include <string.h>
#include <time.h>

#include "loadtest/tasks.h"

static int64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int loadtest_begin(struct loadtest_task *task, struct flo_activity_context *ctx, json_t *input)
{
    const struct loadtest_type *type = loadtest_type(flo_activity_info(ctx)->activity_type);
    struct flo_err err = {0};
    *task = (struct loadtest_task){.ctx = ctx, .began_ns = mono_ns()};
    int rc = loadtest_fill(type, input, &task->parameters, &err);
    if (rc == FLO_EINVAL)
        return flo_activity_fail(ctx, "InvalidParameters", true, NULL, "%s", err.message);
    task->counts = json_object();
    task->checks = json_object();
    return rc;
}

void loadtest_count(struct loadtest_task *task, const char *name, int64_t value)
{
    json_object_set_new(task->counts, name, json_integer(value));
}

void loadtest_check(struct loadtest_task *task, const char *name, bool good)
{
    if (good && json_is_false(json_object_get(task->checks, name)))
        return;
    json_object_set_new(task->checks, name, json_boolean(good));
}

int64_t loadtest_elapsed_ms(const struct loadtest_task *task)
{
    return (mono_ns() - task->began_ns) / 1000000;
}

int64_t loadtest_of(const struct loadtest_task *task, const char *name)
{
    return loadtest_number(task->parameters, name);
}

int loadtest_end(struct loadtest_task *task, int rc, json_t **out_result)
{
    const struct flo_activity_info *info = flo_activity_info(task->ctx);
    if (rc == 0) {
        *out_result = json_pack(
            "{s:s, s:s, s:I, s:i, s:s, s:O, s:{s:f}, s:O, s:O}", "status", "completed", "type",
            info->activity_type, "index", (json_int_t)loadtest_of(task, "index"), "attempt",
            (int)info->attempt, "worker", info->worker_identity, "parameters", task->parameters,
            "timings", "elapsed_ms", (double)(mono_ns() - task->began_ns) / 1e6, "counts",
            task->counts, "checks", task->checks);
        rc = *out_result ? 0 : FLO_ENOMEM;
    }
    /* The worker's clock may be ahead of the server's, which would say the same. */
    if (rc == FLO_ECANCELLED && strcmp(flo_activity_cancel_reason(task->ctx), "timed_out") == 0)
        rc = flo_activity_fail(task->ctx, loadtest_failure_type(LOADTEST_FAILURE_TIMEOUT), false,
                               NULL, "the time of the attempt is over");
    json_decref(task->parameters);
    json_decref(task->counts);
    json_decref(task->checks);
    return rc;
}
