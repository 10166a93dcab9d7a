/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - `flotilla load`: the same workflow many times, with every result counted. */
#include <stdio.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/usage.h"

struct load {
    json_t *input;
    char first_error[600];
};

static json_t *input_of(void *ctx, size_t index)
{
    (void)index;
    return json_incref(((struct load *)ctx)->input);
}

static void on_outcome(void *ctx, const struct cli_outcome *outcome)
{
    struct load *load = ctx;
    if (outcome->error && !*load->first_error)
        snprintf(load->first_error, sizeof load->first_error, "%s", outcome->error);
}

int cli_load(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_batch_report report;
    struct cli_usage before, after;
    struct load load = {0};
    const struct cli_batch_options batch = {
        .type = options->type ? options->type : "EchoWorkflow",
        .task_queue = options->task_queue ? options->task_queue : "benchmark",
        .id_prefix = "load",
        .count = options->count > 0 ? (size_t)options->count : 1000,
        .concurrency = options->concurrency > 0 ? (size_t)options->concurrency : 50,
        .timeout_ms = options->timeout_ms,
        .progress = !options->json,
        .input = input_of,
        .on_outcome = on_outcome,
        .ctx = &load,
    };
    int rc = cli_read_input(options, &load.input);
    if (rc == 0 && !load.input)
        load.input = json_string("hello");
    if (rc == 0)
        rc = cli_session_open(&session, options, true);
    if (rc == 0) {
        cli_usage_read(options->fleet, &before);
        rc = cli_batch_run(&session, &batch, &report);
        cli_usage_read(options->fleet, &after);
        if (options->json) {
            json_t *answer = cli_batch_json(&report);
            json_object_set_new(answer, "processes", cli_usage_json(&before, &after));
            json_dumpf(answer, stdout, JSON_INDENT(2));
            putchar('\n');
            json_decref(answer);
        } else {
            cli_batch_print(&report);
            cli_usage_print(&before, &after);
        }
        if (*load.first_error)
            fprintf(stderr, "flotilla load: first failure: %s\n", load.first_error);
        cli_session_close(&session);
    }
    json_decref(load.input);
    return rc;
}
