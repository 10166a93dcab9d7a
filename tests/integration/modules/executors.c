/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executors.c - workflows that hold their thread, and workflows that want to go on meanwhile.
 *
 * SpinWorkflow ROUNDS computes so many rounds without ever yielding (a billion: seconds); 0: for
 * ever. AddWorkflow N waits for N signals `add` with a number each and returns the sum.
 * NapWorkflow N sleeps N times for 20 ms, and says how often. AskedWorkflow is AddWorkflow with a
 * query `spin`, whose answer never comes.
 */
#include <flotilla/worker.h>

static volatile long sink;

__attribute__((noinline)) static long spin_the_wheel(json_int_t rounds)
{
    for (json_int_t i = 0; rounds == 0 || i < rounds; i++)
        sink = sink + 1;
    return sink;
}

static int spin_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf;
    *out_result = json_boolean(spin_the_wheel(json_integer_value(input)) > 0);
    return 0;
}

static int add_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t sum = 0;

    for (json_int_t i = 0; i < json_integer_value(input); i++) {
        json_t *value = NULL;
        int rc = flo_signal_await(wf, "add", -1, &value);
        if (rc)
            return rc;
        sum += json_integer_value(value);
        json_decref(value);
    }
    *out_result = json_integer(sum);
    return 0;
}

static int spin_query(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    (void)message;
    (void)ctx;
    return spin_workflow(wf, NULL, out_result);
}

static int asked_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_query_handle(wf, "spin", spin_query, NULL, NULL);

    return rc ? rc : add_workflow(wf, input, out_result);
}

static int nap_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t naps = 0;

    for (; naps < json_integer_value(input); naps++) {
        int rc = flo_sleep(wf, 20);
        if (rc)
            return rc;
    }
    *out_result = json_integer(naps);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "executors",
    .workflows = FLO_WORKFLOWS({"SpinWorkflow", spin_workflow}, {"AddWorkflow", add_workflow},
                               {"NapWorkflow", nap_workflow}, {"AskedWorkflow", asked_workflow}),
};
