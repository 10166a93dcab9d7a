/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c - what workflow code counts goes straight to whoever runs it; nothing is kept. */
#include <stdarg.h>

#include "workflow/internal.h"

/* The labels, into sample; false: too many of them, or one without a value. */
static bool take_labels(struct flo_run_sample *sample, va_list labels)
{
    const char *label;
    while ((label = va_arg(labels, const char *))) {
        const char *value = va_arg(labels, const char *);
        if (!value || sample->label_count == FLO_RUN_LABELS_MAX)
            return false;
        sample->label_names[sample->label_count] = label;
        sample->label_values[sample->label_count++] = value;
    }
    return true;
}

static void complain(struct flo_workflow *wf, const char *name, const char *why)
{
    if (wf->run->metric_refused)
        return;
    wf->run->metric_refused = true;
    flo_workflow_log(wf, FLO_LOG_WARN, "A metric is not counted (%.128s): %s", name ? name : "",
                     why);
}

static void add(struct flo_workflow *wf, enum flo_run_sample_kind kind, const char *name,
                double value, va_list labels)
{
    struct flo_run *run = wf->run;
    struct flo_run_sample sample = {.kind = kind, .name = name, .value = value};
    struct flo_err err = {0};
    if (run->replaying || !run->env.metric)
        return;
    if (value != value || (kind != FLO_RUN_GAUGE && value < 0))
        return; /* no number, or one that does not go up */
    if (!name || !take_labels(&sample, labels)) {
        complain(wf, name, "it has no name, a label without a value, or more than 4 labels");
        return;
    }
    struct flo_heap *heap = flo_heap_enter(NULL); /* what it allocates is not the run's */
    int rc = run->env.metric(run->env.log_ctx, &run->info, &sample, &err);
    flo_heap_enter(heap);
    if (rc)
        complain(wf, name, err.message);
}

void flo_workflow_counter(struct flo_workflow *wf, const char *name, double amount, ...)
{
    va_list labels;
    va_start(labels, amount);
    add(wf, FLO_RUN_COUNTER, name, amount, labels);
    va_end(labels);
}

void flo_workflow_gauge(struct flo_workflow *wf, const char *name, double value, ...)
{
    va_list labels;
    va_start(labels, value);
    add(wf, FLO_RUN_GAUGE, name, value, labels);
    va_end(labels);
}

void flo_workflow_histogram(struct flo_workflow *wf, const char *name, double value, ...)
{
    va_list labels;
    va_start(labels, value);
    add(wf, FLO_RUN_HISTOGRAM, name, value, labels);
    va_end(labels);
}
