/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.c - failure_testing: attempts that fail as their seed, their number and the task's say.
 * Those that crash take their process along, and so need one of their own: a CPU worker's.
 */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "loadtest/tasks.h"

#define FOREVER_MS 3600000

/* No core file of a death that was meant. */
static void die(void)
{
    const struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none);
    raise(SIGSEGV);
}

static int fail(struct loadtest_task *task, enum loadtest_failure failure)
{
    const char *type = loadtest_failure_type(failure);
    int attempt = flo_activity_info(task->ctx)->attempt;
    const char *role = flo_activity_shared(task->ctx);
    switch (failure) {
    case LOADTEST_SUCCESS:
        break;
    case LOADTEST_FAILURE_TIMEOUT: /* until the worker says that it is too late */
        while (!flo_activity_wait_cancelled(task->ctx, FOREVER_MS))
            ;
        return FLO_ECANCELLED;
    case LOADTEST_FAILURE_CRASH:
        if (!role || strcmp(role, "cpu-activity") != 0)
            return flo_activity_fail(task->ctx, "NotIsolated", true, NULL,
                                     "a crash would end the whole worker here: such tasks are for "
                                     "a cpu-activity-worker");
        die();
        break;
    case LOADTEST_FAILURE_RUNTIME_ERROR:
    case LOADTEST_FAILURE_VALUE_ERROR:
    case LOADTEST_FAILURE_NON_RETRYABLE:
        return flo_activity_fail(task->ctx, type, failure == LOADTEST_FAILURE_NON_RETRYABLE, NULL,
                                 "attempt %d fails, as its seed says", attempt);
    }
    return 0;
}

int loadtest_failure_testing(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct loadtest_task task;
    int attempt = flo_activity_info(ctx)->attempt;
    int rc = loadtest_begin(&task, ctx, input);
    if (rc == 0 && flo_activity_wait_cancelled(ctx, loadtest_of(&task, "delay_ms")))
        rc = FLO_ECANCELLED;
    if (rc == 0)
        rc = fail(&task, loadtest_failure(task.parameters, attempt));
    if (rc == 0) {
        loadtest_count(&task, "failed_attempts", attempt - 1);
        loadtest_check(&task, "plan",
                       loadtest_failure(task.parameters, attempt) == LOADTEST_SUCCESS);
    }
    return loadtest_end(&task, rc, out_result);
}
