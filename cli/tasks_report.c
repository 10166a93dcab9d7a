/* SPDX-License-Identifier: Apache-2.0 */
/* tasks_report.c - what came of a run of tasks, by type. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/tasks.h"

static double per_second(size_t count, const struct cli_batch_report *report)
{
    return report->elapsed_ns > 0 ? (double)count * FLO_NS_PER_S / (double)report->elapsed_ns : 0;
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static struct cli_batch_report latencies(struct cli_task_type *own)
{
    struct cli_batch_report report = {0};
    cli_batch_percentiles(own->latencies_ns, own->completed + own->failed, &report);
    return report;
}

void cli_tasks_print(struct cli_tasks *tasks, const struct cli_batch_report *report)
{
    printf("%-18s %7s %9s %7s %7s %6s %9s %9s %9s %9s\n", "task type", "tasks", "completed",
           "failed", "retried", "wrong", "tasks/s", "p50 ms", "p95 ms", "p99 ms");
    for (size_t i = 0; i < tasks->type_count; i++) {
        struct cli_task_type *own = &tasks->types[i];
        struct cli_batch_report part = latencies(own);
        printf("%-18s %7zu %9zu %7zu %7zu %6zu %9.1f %9.1f %9.1f %9.1f\n", own->type->name,
               own->tasks, own->completed, own->failed, own->retried, own->wrong,
               per_second(own->tasks, report), ms(part.p50_ns), ms(part.p95_ns), ms(part.p99_ns));
    }
    for (size_t i = 0; i < tasks->type_count; i++) {
        const char *type;
        json_t *count;
        json_object_foreach(tasks->types[i].errors, type, count)
            printf("%s: %lld ended with %s\n", tasks->types[i].type->name,
                   (long long)json_integer_value(count), type);
    }
    printf("%zu tasks in %.2f s\n", report->completed + report->failed,
           (double)report->elapsed_ns / (double)FLO_NS_PER_S);
    cli_batch_print_ends(report);
}

json_t *cli_tasks_json(struct cli_tasks *tasks, const struct cli_batch_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tasks->type_count; i++) {
        struct cli_task_type *own = &tasks->types[i];
        struct cli_batch_report part = latencies(own);
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:O, s:O}", "type",
                            own->type->name, "tasks", (json_int_t)own->tasks, "completed",
                            (json_int_t)own->completed, "failed", (json_int_t)own->failed,
                            "retried", (json_int_t)own->retried, "wrong", (json_int_t)own->wrong,
                            "tasksPerSecond", per_second(own->tasks, report), "p50Ms",
                            ms(part.p50_ns), "p95Ms", ms(part.p95_ns), "p99Ms", ms(part.p99_ns),
                            "errors", own->errors, "parameters", own->parameters));
    }
    return list;
}
