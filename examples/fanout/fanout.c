/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanout.c - many items, a few at a time: coroutines take items out of a channel, have each one
 * counted by an activity, and the workflow adds it all up. An item that cannot be counted is left
 * out and named; the others go on.
 */
#include "fanout.h"

#define COUNTERS 4 /* items at a time */

struct job {
    struct flo_channel *items;
    json_int_t total;
    json_t *failed; /* the items that could not be counted */
};

/* One of several: until the channel is closed and empty. */
static int counter(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    static const struct flo_retry_policy twice = {.maximum_attempts = 2};
    static const struct flo_activity_options options = {.start_to_close_ms = 60000,
                                                        .retry = &twice};
    struct job *job = arg;
    json_t *item, *words;
    int rc;
    (void)out_result;
    while ((rc = flo_channel_receive(wf, job->items, &item)) == 0) {
        rc = flo_activity(wf, "count_words", item, &options, &words);
        if (rc == FLO_EFAILED) {
            flo_failure_clear(wf);
            json_array_append(job->failed, item);
            continue;
        }
        if (rc)
            return rc;
        job->total += json_integer_value(words);
    }
    return rc == FLO_ECLOSED ? 0 : rc;
}

static int fanout_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct job *job = flo_workflow_alloc(wf, sizeof *job);
    struct flo_group *counters = flo_group_new(wf);
    json_t *item;
    size_t i;
    if (!json_is_array(input))
        return flo_workflow_fail(wf, "BadInput", true, NULL, "the input must be a list of texts");
    job->items = flo_channel_new(wf, 0); /* no room: an item is handed over when somebody is free */
    job->failed = json_array();
    for (i = 0; i < COUNTERS; i++)
        flo_group_add(counters, flo_spawn(wf, "counter", counter, job));
    json_array_foreach(input, i, item)
    {
        int rc = flo_channel_send(wf, job->items, item);
        if (rc)
            return rc;
    }
    flo_channel_close(wf, job->items);
    int rc = flo_group_await_all(counters, NULL);
    if (rc == 0)
        *out_result = json_pack("{s:I, s:o}", "words", job->total, "failed", job->failed);
    return rc;
}

static int count_words(struct flo_activity_context *ctx, json_t *text, json_t **out_result)
{
    const char *at = json_string_value(text);
    json_int_t words = 0;
    bool inside = false;
    if (!at)
        return flo_activity_fail(ctx, "BadItem", true, NULL, "an item must be a text");
    for (; *at; at++) {
        words += *at != ' ' && !inside;
        inside = *at != ' ';
    }
    *out_result = json_integer(words);
    return 0;
}

const struct flo_module fanout_module = {
    .abi = FLO_MODULE_ABI,
    .name = "fanout",
    .workflows = FLO_WORKFLOWS({"CountWords", fanout_workflow}),
    .activities = FLO_ACTIVITIES({"count_words", count_words}),
};
