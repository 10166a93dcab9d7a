/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuned.c - activities whose cost is known, for tests of resource-based slots, and a workflow that
 * runs many of one: {"activity": "burn", "n": 100, "input": {...}}.
 */
#include <flotilla/worker.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static json_int_t number(const json_t *input, const char *key)
{
    return json_integer_value(json_object_get(input, key));
}

static int spread(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_activity_options options = {.start_to_close_ms = 120000};
    const char *activity = json_string_value(json_object_get(input, "activity"));
    struct flo_group *group = flo_group_new(wf);
    json_int_t n = number(input, "n");
    int rc;

    for (json_int_t i = 0; i < n; i++)
        flo_group_add(group, flo_activity_start(wf, activity ? activity : "",
                                                json_object_get(input, "input"), &options));
    rc = flo_group_await_all(group, NULL);
    if (rc == 0)
        *out_result = json_integer(n);
    return rc;
}

static int64_t thread_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_ms(json_int_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* "wait_ms" of waiting, then "ms" of CPU time. */
static int burn(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    int64_t end = thread_cpu_ns() + number(input, "ms") * 1000000;
    volatile unsigned sum = 0;

    (void)ctx;
    sleep_ms(number(input, "wait_ms"));
    while (thread_cpu_ns() < end)
        for (unsigned i = 0; i < 10000; i++)
            sum += i;
    *out_result = json_true();
    return 0;
}

/* "ms" of waiting. */
static int nap(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    sleep_ms(number(input, "ms"));
    *out_result = json_true();
    return 0;
}

/* "after_ms" of waiting, then "mb" of memory for "ms". */
static int hold(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    size_t bytes = (size_t)number(input, "mb") << 20;
    char *memory;

    (void)ctx;
    sleep_ms(number(input, "after_ms"));
    memory = malloc(bytes);
    if (memory)
        memset(memory, 1, bytes);
    sleep_ms(number(input, "ms"));
    *out_result = json_boolean(memory && memory[bytes / 2] == 1);
    free(memory);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "tuned",
    .workflows = FLO_WORKFLOWS({"SpreadWorkflow", spread}),
    .activities = FLO_ACTIVITIES({"burn", burn}, {"nap", nap}, {"hold", hold}),
};
