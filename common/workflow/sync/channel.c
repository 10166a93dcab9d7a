/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c - JSON values from coroutine to coroutine. */
#include "workflow/sync/channel.h"

#include "workflow/internal.h"

struct value {
    struct flo_node node; /* on channel->values */
    json_t *json;         /* owned */
};

struct flo_channel {
    struct flo_run *run;
    size_t capacity;
    struct flo_list values;             /* at most capacity */
    struct flo_list senders, receivers; /* offers; of receivers only while there are no values */
    bool closed;
};

struct flo_channel *flo_channel_new(struct flo_workflow *wf, size_t capacity)
{
    struct flo_channel *channel = flo_workflow_take(wf, sizeof *channel);
    if (!channel)
        return NULL;
    channel->run = wf->run;
    channel->capacity = capacity;
    flo_list_init(&channel->values);
    flo_list_init(&channel->senders);
    flo_list_init(&channel->receivers);
    return channel;
}

static struct flo_offer *first_offer(const struct flo_list *list)
{
    struct flo_node *node = flo_list_first(list);
    return node ? flo_container(node, struct flo_offer, node) : NULL;
}

static const struct flo_case *case_of(const struct flo_offer *offer)
{
    return &offer->select->cases[offer - offer->select->offers];
}

static bool keep(struct flo_channel *channel, json_t *json)
{
    struct value *value = flo_heap_calloc(channel->run->heap, sizeof *value);
    if (!value)
        return false; /* the code stops at its next wait: the run is without memory */
    value->json = json_incref(json);
    flo_list_push_back(&channel->values, &value->node);
    return true;
}

static json_t *take_kept(struct flo_channel *channel)
{
    struct flo_node *node = flo_list_pop_front(&channel->values);
    if (!node)
        return NULL;
    struct value *value = flo_container(node, struct value, node);
    json_t *json = value->json;
    flo_heap_free(value);
    return json;
}

static bool try_receive(struct flo_channel *channel, int *out_rc, json_t **out_value)
{
    struct flo_offer *sender = first_offer(&channel->senders);
    json_t *json = take_kept(channel);
    *out_rc = 0;
    if (json && sender) { /* there is room now for what waits longest */
        keep(channel, case_of(sender)->value);
        flo_select_decide(sender->select, sender, 0, NULL);
    } else if (sender) {
        json = json_incref(case_of(sender)->value);
        flo_select_decide(sender->select, sender, 0, NULL);
    }
    if (!json && !channel->closed)
        return false;
    if (!json)
        *out_rc = FLO_ECLOSED;
    *out_value = json;
    return true;
}

static bool try_send(struct flo_channel *channel, json_t *json, int *out_rc)
{
    const struct flo_offer *receiver = first_offer(&channel->receivers);
    *out_rc = channel->closed ? FLO_ECLOSED : 0;
    if (channel->closed)
        return true;
    if (receiver)
        flo_select_decide(receiver->select, receiver, 0, json_incref(json));
    else if (channel->values.count < channel->capacity)
        keep(channel, json);
    else
        return false;
    return true;
}

bool flo_channel_try(struct flo_channel *channel, const struct flo_case *cs, int *out_rc,
                     json_t **out_value)
{
    return cs->kind == FLO_CASE_SEND ? try_send(channel, cs->value, out_rc)
                                     : try_receive(channel, out_rc, out_value);
}

void flo_channel_offer(struct flo_channel *channel, const struct flo_case *cs,
                       struct flo_offer *offer)
{
    offer->list = cs->kind == FLO_CASE_SEND ? &channel->senders : &channel->receivers;
    flo_list_push_back(offer->list, &offer->node);
}

/* ---- the calls of workflow code ---- */

int flo_channel_send(struct flo_workflow *wf, struct flo_channel *channel, json_t *value)
{
    const struct flo_case send = {.kind = FLO_CASE_SEND, .channel = channel, .value = value};
    size_t index;
    return flo_select(wf, &send, 1, -1, &index);
}

int flo_channel_receive(struct flo_workflow *wf, struct flo_channel *channel, json_t **out_value)
{
    const struct flo_case receive = {
        .kind = FLO_CASE_RECEIVE, .channel = channel, .out_value = out_value};
    size_t index;
    return flo_select(wf, &receive, 1, -1, &index);
}

int flo_channel_try_send(struct flo_workflow *wf, struct flo_channel *channel, json_t *value)
{
    int rc = flo_read_only_check(wf->run, "sends to a channel");
    if (rc)
        return rc;
    if (!value)
        return flo_workflow_refuse(wf, FLO_EINVAL, "a channel is sent a value, not NULL");
    return try_send(channel, value, &rc) ? rc : FLO_EFULL;
}

int flo_channel_try_receive(struct flo_workflow *wf, struct flo_channel *channel,
                            json_t **out_value)
{
    int rc = flo_read_only_check(wf->run, "receives from a channel");
    json_t *json = NULL;
    if (rc)
        return rc;
    if (!try_receive(channel, &rc, &json))
        return FLO_ENOENT;
    if (rc == 0 && out_value)
        *out_value = json;
    else
        json_decref(json);
    return rc;
}

void flo_channel_close(struct flo_workflow *wf, struct flo_channel *channel)
{
    struct flo_offer *offer;
    if (flo_read_only_check(wf->run, "closes a channel"))
        return;
    channel->closed = true;
    while ((offer = first_offer(&channel->senders)) || (offer = first_offer(&channel->receivers)))
        flo_select_decide(offer->select, offer, FLO_ECLOSED, NULL);
}

size_t flo_channel_count(const struct flo_channel *channel)
{
    return channel->values.count;
}
