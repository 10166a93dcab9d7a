/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - `flotilla load`: the same workflow many times, with every result checked and counted. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/batch.h"
#include "cli/each.h"
#include "cli/output.h"
#include "cli/tasks.h"
#include "cli/usage.h"
#include "wire/payload.h"

#define INPUT_BYTES_MAX 2000000 /* Temporal takes 2 MiB in one payload */
#define COUNT_MAX 100000000     /* each has a latency in memory */
#define DELAY_MAX_MS 86400000

struct load {
    json_t *input;
    json_t *expected;       /* NULL = any result is right */
    struct cli_tasks tasks; /* without types: plain workflows */
    char first_error[600];
};

static json_t *input_of(void *ctx, size_t index)
{
    (void)index;
    return json_incref(((struct load *)ctx)->input);
}

static bool is_right(void *ctx, size_t index, const json_t *result, struct flo_buf *why)
{
    const struct load *load = ctx;
    (void)index;
    (void)why;
    return !load->expected || json_equal(load->expected, result);
}

static void on_outcome(void *ctx, const struct cli_outcome *outcome)
{
    struct load *load = ctx;
    if (outcome->error && !*load->first_error)
        snprintf(load->first_error, sizeof load->first_error, "%s", outcome->error);
}

/* A JSON text of so many bytes; NULL when there is no memory for it. */
static json_t *text_of(size_t bytes)
{
    char *text = flo_malloc(bytes + 1);
    if (!text)
        return NULL;
    memset(text, 'x', bytes);
    json_t *value = json_stringn(text, bytes);
    flo_free(text);
    return value;
}

/* What the options give as input; NULL stays: nothing. 0 or an exit code. */
static int given_input(const struct cli_options *options, json_t **out_input)
{
    if (options->input_bytes < 0)
        return cli_read_input(options, out_input);
    *out_input = text_of((size_t)options->input_bytes);
    if (*out_input)
        return 0;
    fprintf(stderr, "flotilla load: no memory for the input\n");
    return FLO_EXIT_INTERNAL;
}

/* Input and expected result: 0 or an exit code. An echo gives its input back. */
static int load_values(struct load *load, const struct cli_options *options, const char *type)
{
    int rc = given_input(options, &load->input);
    if (rc)
        return rc;
    if (!load->input)
        load->input = json_string("hello");
    struct flo_err err;
    if (options->expect &&
        flo_json_parse(options->expect, strlen(options->expect), &load->expected, &err)) {
        fprintf(stderr, "flotilla load: --expect is not JSON: %s\n", err.message);
        return FLO_EXIT_USAGE;
    }
    if (!options->expect && strcmp(type, "EchoWorkflow") == 0)
        load->expected = json_incref(load->input);
    return 0;
}

static int load_usage(const char *text)
{
    fprintf(stderr, "flotilla load: %s\n", text);
    return FLO_EXIT_USAGE;
}

/* `--each`: calls, not workflows, are counted. */
static int load_each(const struct cli_options *options, const struct cli_batch_options *batch)
{
    struct cli_session session;
    json_t *input = NULL;
    if (!cli_each_known(options->each))
        return load_usage("--each is start, signal or terminate");
    if (options->rate > 0 || options->expect || options->signals > 0)
        return load_usage("--each goes without --rate, --expect and --signals");
    int rc = given_input(options, &input);
    if (rc == 0)
        rc = cli_session_open_probed(&session, options);
    if (rc == 0) {
        const struct cli_each_options each = {
            .what = options->each,
            .type = batch->type,
            .task_queue = batch->task_queue,
            .signal = options->name ? options->name : "ping",
            .id_prefix = batch->id_prefix,
            .input = input,
            .count = batch->count,
            .concurrency = batch->concurrency,
            .timeout_ms = batch->timeout_ms,
            .json = options->json,
            .progress = batch->progress,
            .progress_every_ms = batch->progress_every_ms,
            .server_timeout_ms = batch->server_timeout_ms,
        };
        rc = cli_each_run(&session, &each);
        cli_session_close(&session);
    }
    json_decref(input);
    return rc;
}

/* Does what the options say go together? 0 or an exit code. */
static int check(const struct cli_options *options)
{
    if (options->rate == 0 || options->rate > CLI_BATCH_RATE_MAX)
        return load_usage("--rate is a whole number from 1 to 1000000");
    if ((options->rate > 0) + (options->concurrency >= 0) + (options->batch_size >= 0) > 1)
        return load_usage("give one of --rate, --concurrency and --batch-size");
    if (options->batch_size == 0)
        return load_usage("--batch-size is a whole number from 1");
    if (options->delay_ms >= 0 && options->batch_size < 0)
        return load_usage("--delay-ms goes with --batch-size");
    if (options->delay_ms > DELAY_MAX_MS)
        return load_usage("--delay-ms is a whole number up to 86400000");
    if (options->count == 0 || options->count > COUNT_MAX)
        return load_usage("--count is a whole number from 1 to 100000000");
    if (options->tasks == 0 || options->tasks > COUNT_MAX)
        return load_usage("--tasks is a whole number from 1 to 100000000");
    if (options->tasks > 0 && options->count > 0)
        return load_usage("give --tasks or --count, not both");
    if (options->input_bytes > INPUT_BYTES_MAX)
        return load_usage("--input-bytes is a whole number up to 2000000");
    if (options->input_bytes >= 0 && (options->input || options->input_file))
        return load_usage("give --input-bytes, --input or --input-file, not two of them");
    if (options->progress_every_ms == 0)
        return load_usage("--progress-every is a time above 0");
    if (options->concurrency == 0)
        return load_usage("--concurrency is a whole number from 1");
    if (cli_tasks_asked(options) &&
        (options->each || options->expect || options->signals > 0 || options->input_bytes >= 0))
        return load_usage("tasks go without --each, --expect, --signals and --input-bytes");
    return 0;
}

static void on_task_outcome(void *ctx, const struct cli_outcome *outcome)
{
    struct load *load = ctx;
    on_outcome(load, outcome);
    cli_tasks_on_outcome(&load->tasks, outcome);
}

static const char *task_type(void *ctx, size_t index)
{
    return cli_tasks_type_of(&((struct load *)ctx)->tasks, index);
}

static json_t *task_input(void *ctx, size_t index)
{
    return cli_tasks_input(&((struct load *)ctx)->tasks, index);
}

static bool task_accept(void *ctx, size_t index, const json_t *result, struct flo_buf *why)
{
    return cli_tasks_accept(&((struct load *)ctx)->tasks, index, result, why);
}

static void print_report(struct load *load, const struct cli_options *options,
                         const struct cli_batch_report *report, const struct cli_usage *before,
                         const struct cli_usage *after)
{
    bool tasks = load->tasks.type_count > 0;
    if (options->json) {
        json_t *answer = cli_batch_json(report);
        if (tasks)
            json_object_set_new(answer, "types", cli_tasks_json(&load->tasks, report));
        json_object_set_new(answer, "processes", cli_usage_json(before, after));
        cli_print_json(answer);
    } else {
        if (tasks)
            cli_tasks_print(&load->tasks, report);
        else
            cli_batch_print(report);
        cli_usage_print(before, after);
    }
    if (*load->first_error)
        fprintf(stderr, "flotilla load: first failure: %s\n", load->first_error);
}

static int run(struct load *load, const struct cli_options *options,
               const struct cli_batch_options *batch)
{
    struct cli_session session;
    struct cli_batch_report report;
    struct cli_usage before, after;
    int rc = cli_session_open_probed(&session, options);
    if (rc)
        return rc;
    cli_usage_read(options->fleet, &before);
    rc = cli_batch_run(&session, batch, &report);
    cli_usage_read(options->fleet, &after);
    if (rc != FLO_EXIT_INTERNAL) /* else nothing was started */
        print_report(load, options, &report, &before, &after);
    cli_session_close(&session);
    return rc;
}

static size_t or_else(int64_t given, size_t otherwise)
{
    return given > 0 ? (size_t)given : otherwise;
}

int cli_load(const struct cli_options *options)
{
    struct load load = {0};
    const bool tasks = cli_tasks_asked(options);
    struct cli_batch_options batch = {
        .type = options->type ? options->type : "EchoWorkflow",
        .task_queue = options->task_queue ? options->task_queue : "benchmark",
        .id_prefix = options->id_prefix ? options->id_prefix : "load",
        .count = or_else(options->count, tasks ? or_else(options->tasks, 10) : 1000),
        .concurrency = or_else(options->concurrency, 50),
        .rate = or_else(options->rate, 0),
        .batch_size = or_else(options->batch_size, 0),
        .delay_ms = options->delay_ms >= 0 ? options->delay_ms : 1000,
        .signals = or_else(options->signals, 0),
        .signal_name = options->name ? options->name : "ping",
        .timeout_ms = options->timeout_ms,
        .progress = !options->json && !options->quiet,
        .progress_every_ms = options->progress_every_ms,
        .server_timeout_ms = options->server_timeout_ms,
        .input = input_of,
        .accept = is_right,
        .on_outcome = on_outcome,
        .ctx = &load,
    };
    int rc = check(options);
    if (rc)
        return rc;
    if (options->each)
        return load_each(options, &batch);
    if (tasks) {
        batch.type_of = task_type;
        batch.input = task_input;
        batch.accept = task_accept;
        batch.on_outcome = on_task_outcome;
        rc = cli_tasks_init(options, batch.count, &load.tasks);
    } else {
        rc = load_values(&load, options, batch.type);
    }
    if (rc == 0)
        rc = run(&load, options, &batch);
    cli_tasks_fini(&load.tasks);
    json_decref(load.input);
    json_decref(load.expected);
    return rc;
}
