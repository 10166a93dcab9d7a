/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.c - how the tasks of this process ended: counted once each, when the server has answered
 * (so that the counts are those of its histories), told by the summary line and by the last line.
 *
 * The summary line has the names that arq's has. It is written every log.summary_interval, but only
 * when there is something to say: a count has changed, something runs, or the worker was told to be
 * quiet. An idle worker writes none.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "worker/backlog.h"
#include "worker/worker.h"

struct flo_summary {
    struct flo_worker *worker;
    struct event *timer;
    struct flo_worker_counts said; /* as of the last line */
    struct flo_backlog backlog;
};

/* ---- counts ---- */

static void count(struct flo_worker *worker, bool *counted, enum flo_task_end end)
{
    worker->counts.ended[end] += !*counted;
    *counted = true;
}

void flo_count_activity(struct flo_activity_task *at, enum flo_task_end end)
{
    count(at->worker, &at->counted, end);
}

void flo_count_workflow(struct flo_workflow_task *wt, enum flo_task_end end)
{
    count(wt->worker, &wt->counted, end);
}

static const char *number(uint64_t value, struct flo_num_text *text)
{
    *text = flo_num_text_i64((int64_t)value);
    return text->text;
}

void flo_summary_last(struct flo_worker *worker)
{
    const uint64_t *ended = worker->counts.ended;
    struct flo_num_text text[9];

    FLO_LIST_FOREACH(node, &worker->activity_tasks)
    flo_count_activity(flo_container(node, struct flo_activity_task, node), FLO_END_ABANDONED);
    FLO_LIST_FOREACH(node, &worker->workflow_tasks)
    flo_count_workflow(flo_container(node, struct flo_workflow_task, node), FLO_END_ABANDONED);
    if (worker->exit_code == 0 && ended[FLO_END_ABANDONED] > 0)
        worker->exit_code = FLO_EXIT_ABANDONED;
    flo_log(FLO_LOG_INFO, "worker.stopped", "Worker stopped", FLO_LOG_WHO(worker), "#completed",
            number(ended[FLO_END_COMPLETED], &text[0]), "#failed",
            number(ended[FLO_END_FAILED], &text[1]), "#cancelled",
            number(ended[FLO_END_CANCELLED], &text[2]), "#cut",
            number(ended[FLO_END_CUT], &text[3]), "#pending",
            number(ended[FLO_END_PENDING], &text[8]), "#unwanted",
            number(ended[FLO_END_UNWANTED], &text[4]), "#unreported",
            number(ended[FLO_END_UNREPORTED], &text[5]), "#abandoned",
            number(ended[FLO_END_ABANDONED], &text[6]), "#retried",
            number(worker->counts.retried, &text[7]), NULL);
}

/* ---- the line once a minute ---- */

static void on_backlog(void *ctx, int64_t queued)
{
    struct flo_summary *summary = ctx;
    struct flo_worker *worker = summary->worker;
    const struct flo_worker_counts *counts = &worker->counts;
    size_t ongoing = flo_capacity_busy(worker);
    char queued_text[24] = "-", line[256];

    if (queued >= 0)
        snprintf(queued_text, sizeof queued_text, "%lld", (long long)queued);
    snprintf(line, sizeof line,
             "j_complete=%llu j_failed=%llu j_retried=%llu j_ongoing=%zu queued=%s",
             (unsigned long long)counts->ended[FLO_END_COMPLETED],
             (unsigned long long)counts->ended[FLO_END_FAILED], (unsigned long long)counts->retried,
             ongoing, queued_text);
    summary->said = *counts;
    flo_log(FLO_LOG_INFO, "worker.summary", line, FLO_LOG_WHO(worker), "state",
            flo_worker_state_name(worker->state), NULL);
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_summary *summary = ctx;
    struct flo_worker *worker = summary->worker;
    bool news = memcmp(&summary->said, &worker->counts, sizeof summary->said) != 0;

    (void)fd;
    (void)what;
    if (news || flo_capacity_busy(worker) > 0 || worker->state == FLO_WORKER_QUIET)
        flo_backlog_ask(&summary->backlog, worker, on_backlog, summary);
}

int flo_summary_start(struct flo_worker *worker, struct flo_err *err)
{
    int64_t interval_ms = worker->config->log.summary_interval_ms;
    struct timeval interval = {.tv_sec = interval_ms / 1000, .tv_usec = interval_ms % 1000 * 1000};
    struct flo_summary *summary;

    if (interval_ms == 0)
        return 0;
    summary = worker->summary = flo_calloc(1, sizeof *summary);
    if (summary) {
        summary->worker = worker;
        summary->timer = event_new(worker->base, -1, EV_PERSIST, on_time, summary);
    }
    if (!summary || !summary->timer || event_add(summary->timer, &interval))
        return flo_fail(err, FLO_ENOMEM, "no memory for the summary line");
    return 0;
}

void flo_summary_fini(struct flo_worker *worker)
{
    struct flo_summary *summary = worker->summary;

    if (!summary)
        return;
    worker->summary = NULL;
    if (summary->timer)
        event_free(summary->timer);
    flo_free(summary);
}
