/* SPDX-License-Identifier: Apache-2.0 */
/* batch_report.c - what came of a batch: percentiles, errors by kind, as text and as JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/batch.h"

const char *cli_end_name(enum cli_end end)
{
    static const char *const names[] = {
#define CLI_END_NAME(id, name) name,
        CLI_ENDS(CLI_END_NAME)
#undef CLI_END_NAME
    };
    return names[end];
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The least value that at least permille of the values do not exceed; 0 of none. */
static int64_t percentile(const int64_t *sorted, size_t count, size_t permille)
{
    return count ? sorted[(count * permille + 999) / 1000 - 1] : 0;
}

void cli_batch_percentiles(int64_t *latencies_ns, size_t count, struct cli_batch_report *report)
{
    qsort(latencies_ns, count, sizeof *latencies_ns, by_value);
    report->p50_ns = percentile(latencies_ns, count, 500);
    report->p95_ns = percentile(latencies_ns, count, 950);
    report->p99_ns = percentile(latencies_ns, count, 990);
    report->p999_ns = percentile(latencies_ns, count, 999);
    report->max_ns = percentile(latencies_ns, count, 1000);
}

static double per_second(const struct cli_batch_report *r)
{
    return r->elapsed_ns ? (double)r->completed * FLO_NS_PER_S / (double)r->elapsed_ns : 0.0;
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

void cli_batch_print_ends(const struct cli_batch_report *r)
{
    for (unsigned end = CLI_END_COMPLETED + 1; end < CLI_END_COUNT; end++)
        if (r->ends[end])
            printf("not completed: %zu %s\n", r->ends[end], cli_end_name(end));
    if (r->not_started)
        printf("not started: %zu\n", r->not_started);
}

void cli_batch_print(const struct cli_batch_report *r)
{
    printf("%zu workflows in %.2f s: %.1f workflows/s, %zu failed\n", r->completed,
           (double)r->elapsed_ns / (double)FLO_NS_PER_S, per_second(r), r->failed);
    printf("latency: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms\n",
           ms(r->p50_ns), ms(r->p95_ns), ms(r->p99_ns), ms(r->p999_ns), ms(r->max_ns));
    cli_batch_print_ends(r);
}

json_t *cli_batch_json(const struct cli_batch_report *r)
{
    json_t *errors = json_object();
    for (unsigned end = CLI_END_COMPLETED + 1; end < CLI_END_COUNT; end++)
        if (r->ends[end])
            json_object_set_new(errors, cli_end_name(end), json_integer((json_int_t)r->ends[end]));
    return json_pack("{s:I, s:I, s:I, s:b, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "completed",
                     (json_int_t)r->completed, "failed", (json_int_t)r->failed, "notStarted",
                     (json_int_t)r->not_started, "interrupted", r->interrupted, "errors", errors,
                     "seconds", (double)r->elapsed_ns / (double)FLO_NS_PER_S, "workflowsPerSecond",
                     per_second(r), "p50Ms", ms(r->p50_ns), "p95Ms", ms(r->p95_ns), "p99Ms",
                     ms(r->p99_ns), "p999Ms", ms(r->p999_ns), "maxMs", ms(r->max_ns));
}
