/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.c - waiting for the first of several things.
 *
 * Futures, signals and time are asked about, as every waiting call does. Channels are different:
 * a value must go to one receiver alone, so their cases are offers that others take up
 * (sync/channel.h).
 */
#include <stdio.h>
#include <string.h>

#include "workflow/internal.h"
#include "workflow/sync/channel.h"

#define FEW 4 /* cases whose offers need no allocation */

static bool is_channel(const struct flo_case *cs)
{
    return cs->kind == FLO_CASE_RECEIVE || cs->kind == FLO_CASE_SEND;
}

static bool is_whole(const struct flo_case *cs)
{
    switch (cs->kind) {
    case FLO_CASE_FUTURE:
        return cs->future;
    case FLO_CASE_RECEIVE:
        return cs->channel;
    case FLO_CASE_SEND:
        return cs->channel && cs->value;
    case FLO_CASE_SIGNAL:
        return cs->signal;
    default:
        return false;
    }
}

/* Do this case if it can be done now. */
static bool try_case(struct flo_workflow *wf, const struct flo_case *cs, int *out_rc,
                     json_t **out_value)
{
    *out_rc = 0;
    *out_value = NULL;
    if (is_channel(cs))
        return flo_channel_try(cs->channel, cs, out_rc, out_value);
    if (cs->kind == FLO_CASE_SIGNAL)
        return flo_signal_take(wf, cs->signal, out_value);
    return cs->future->ready;
}

static bool try_all(struct flo_select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        if (try_case(select->wf, &select->cases[i], &select->rc, &select->value)) {
            select->index = i;
            return true;
        }
    }
    return false;
}

static void withdraw(struct flo_select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        struct flo_offer *offer = &select->offers[i];
        if (flo_node_linked(&offer->node))
            flo_list_remove(offer->list, &offer->node);
    }
}

void flo_select_decide(struct flo_select *select, const struct flo_offer *offer, int rc,
                       json_t *value)
{
    select->decided = true;
    select->index = (size_t)(offer - select->offers);
    select->rc = rc;
    select->value = value;
    withdraw(select);
}

static bool ready(void *ctx)
{
    const struct flo_select *select = ctx;
    if (select->decided || flo_workflow_cancelled(select->wf) ||
        (select->timer && select->timer->ready))
        return true;
    for (size_t i = 0; i < select->count; i++) {
        const struct flo_case *cs = &select->cases[i];
        if (cs->kind == FLO_CASE_FUTURE && cs->future->ready)
            return true;
        if (cs->kind == FLO_CASE_SIGNAL && flo_signal_count(select->wf, cs->signal) > 0)
            return true;
    }
    return false;
}

static void describe_case(const struct flo_case *cs, char *out_text, size_t size)
{
    if (cs->kind == FLO_CASE_FUTURE)
        flo_future_describe(cs->future, out_text, size);
    else if (cs->kind == FLO_CASE_SIGNAL)
        snprintf(out_text, size, "signal %.60s", cs->signal);
    else
        snprintf(out_text, size,
                 cs->kind == FLO_CASE_SEND ? "room in a channel" : "a value from a channel");
}

static void describe(void *ctx, char *out_text, size_t size)
{
    const struct flo_select *select = ctx;
    size_t used = 0;
    for (size_t i = 0; i < select->count && used + 8 < size; i++) {
        char one[120];
        describe_case(&select->cases[i], one, sizeof one);
        int n = snprintf(out_text + used, size - used, "%s%s", i ? " or " : "", one);
        used += n > 0 ? (size_t)n : 0;
    }
    if (select->timer && used + 8 < size) {
        char one[64];
        flo_future_describe(select->timer, one, sizeof one);
        snprintf(out_text + used, size - used, "%s%s", used ? " or " : "", one);
    }
}

static int wait_for(struct flo_select *select)
{
    static const struct flo_wait wait = {ready, describe};
    struct flo_workflow *wf = select->wf;
    for (size_t i = 0; i < select->count; i++) {
        select->offers[i] = (struct flo_offer){.select = select};
        if (is_channel(&select->cases[i]))
            flo_channel_offer(select->cases[i].channel, &select->cases[i], &select->offers[i]);
    }
    int rc = flo_workflow_wait(wf, &wait, select);
    if (!select->decided)
        withdraw(select);
    if (rc || select->decided)
        return rc;
    if (flo_workflow_cancelled(wf)) /* what is ready now is so because it was cancelled */
        return flo_workflow_set_cancelled(wf);
    if (try_all(select))
        return 0;
    return select->timer->rc ? select->timer->rc : FLO_ETIMEDOUT;
}

static int wait_until(struct flo_select *select, int64_t timeout_ms)
{
    struct flo_workflow *wf = select->wf;
    struct flo_offer few[FEW];
    struct flo_future *timer = timeout_ms > 0 ? flo_timer_start(wf, timeout_ms) : NULL;
    select->timer = timer;
    select->offers =
        select->count <= FEW ? few : flo_workflow_take(wf, select->count * sizeof *select->offers);
    int rc = select->offers ? wait_for(select) : FLO_ENOMEM;
    if (select->offers != few)
        flo_heap_free(select->offers);
    if (timer)
        flo_future_cancel(wf, timer);
    flo_future_unref(timer);
    return rc;
}

int flo_select(struct flo_workflow *wf, const struct flo_case *cases, size_t count,
               int64_t timeout_ms, size_t *out_index)
{
    struct flo_select select = {.wf = wf, .cases = cases, .count = count};
    if (flo_read_only_check(wf->run, "waits"))
        return FLO_ESTATE;
    for (size_t i = 0; i < count; i++) {
        if (!is_whole(&cases[i]))
            return flo_workflow_refuse(wf, FLO_EINVAL,
                                       "a case of flo_select lacks its future, channel, value or "
                                       "signal");
    }
    if (!try_all(&select)) {
        if (flo_workflow_cancelled(wf))
            return flo_workflow_set_cancelled(wf);
        if (timeout_ms == 0)
            return FLO_ETIMEDOUT;
        int rc = wait_until(&select, timeout_ms);
        if (rc)
            return rc;
    }
    const struct flo_case *done = &cases[select.index];
    *out_index = select.index;
    if (select.rc == 0 && done->out_value && done->kind != FLO_CASE_FUTURE &&
        done->kind != FLO_CASE_SEND)
        *done->out_value = select.value;
    else
        json_decref(select.value);
    return select.rc;
}
