/* SPDX-License-Identifier: Apache-2.0 */
/* sync.c - steps in which coroutines meet: channels, mutexes, semaphores, wait-groups. */
#include "kitchen.h"

/* What the coroutines of one step share. */
struct meeting {
    struct flo_channel *channel;
    struct flo_mutex *mutex;
    struct flo_semaphore *semaphore;
    struct flo_wait_group *group;
    int64_t each, ms;
    int64_t inside, most; /* at once */
    int64_t begun, done, sum;
};

static struct meeting *new_meeting(struct flo_workflow *wf, const json_t *step)
{
    struct meeting *m = flo_workflow_alloc(wf, sizeof *m);
    if (m) {
        m->each = kitchen_number(step, "each", 1);
        m->ms = kitchen_number(step, "ms", 1);
    }
    return m;
}

static int spawn_many(struct flo_workflow *wf, struct meeting *m, const char *name,
                      flo_coroutine_fn fn, int64_t count, struct flo_future ***out_futures)
{
    struct flo_future **futures = flo_workflow_alloc(wf, ((size_t)count + 1) * sizeof(void *));
    if (!futures)
        return FLO_ENOMEM;
    for (int64_t i = 0; i < count; i++)
        futures[i] = flo_spawn(wf, name, fn, m);
    *out_futures = futures;
    return 0;
}

static int join(struct flo_workflow *wf, struct flo_future **futures, int64_t count)
{
    int first = 0;
    for (int64_t i = 0; i < count; i++) {
        int rc = flo_await(wf, futures[i], NULL);
        if (!first)
            first = rc;
    }
    return first;
}

static int spawn_and_join(struct flo_workflow *wf, struct meeting *m, const char *name,
                          flo_coroutine_fn fn, int64_t count)
{
    struct flo_future **futures;
    int rc = spawn_many(wf, m, name, fn, count, &futures);
    return rc ? rc : join(wf, futures, count);
}

/* ---- channel ---- */

static int send_some(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    const int64_t me = m->begun++;
    int rc = 0;
    (void)out_result;
    for (int64_t i = 0; rc == 0 && i < m->each; i++) {
        json_t *value = json_integer(me * m->each + i);
        rc = flo_channel_send(wf, m->channel, value);
        json_decref(value);
        if (rc == 0 && i == 0)
            rc = flo_sleep(wf, m->ms);
    }
    return rc;
}

static int receive_all(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    json_t *value = NULL;
    int rc;
    (void)out_result;
    while ((rc = flo_channel_receive(wf, m->channel, &value)) == 0) {
        m->sum += json_integer_value(value);
        m->done++;
        json_decref(value);
    }
    return rc == FLO_ECLOSED ? 0 : rc;
}

int kitchen_run_channel(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const int64_t senders = kitchen_number(step, "senders", 1),
                  receivers = kitchen_number(step, "receivers", 1);
    struct meeting *m = new_meeting(wf, step);
    struct flo_future **sending = NULL, **receiving = NULL;
    (void)k;
    if (!m)
        return FLO_ENOMEM;
    m->channel = flo_channel_new(wf, (size_t)kitchen_number(step, "capacity", 0));
    int rc = spawn_many(wf, m, "receiver", receive_all, receivers, &receiving);
    if (rc == 0)
        rc = spawn_many(wf, m, "sender", send_some, senders, &sending);
    if (rc == 0)
        rc = join(wf, sending, senders);
    flo_channel_close(wf, m->channel);
    if (rc == 0)
        rc = join(wf, receiving, receivers);
    if (rc == 0)
        *out = json_pack("{s:I, s:I}", "received", (json_int_t)m->done, "sum", (json_int_t)m->sum);
    return rc;
}

/* ---- one at a time, and some at a time ---- */

static int stay(struct flo_workflow *wf, struct meeting *m)
{
    m->inside++;
    if (m->inside > m->most)
        m->most = m->inside;
    int rc = flo_sleep(wf, m->ms);
    m->inside--;
    m->done++;
    return rc;
}

static int stay_alone(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    int rc = flo_mutex_lock(wf, m->mutex);
    (void)out_result;
    if (rc)
        return rc;
    rc = stay(wf, m);
    int unlocked = flo_mutex_unlock(wf, m->mutex);
    return rc ? rc : unlocked;
}

int kitchen_run_mutex(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    struct meeting *m = new_meeting(wf, step);
    (void)k;
    if (!m)
        return FLO_ENOMEM;
    m->mutex = flo_mutex_new(wf);
    int rc = spawn_and_join(wf, m, "alone", stay_alone, kitchen_number(step, "count", 1));
    if (rc == 0)
        *out = json_pack("{s:I, s:b}", "done", (json_int_t)m->done, "alone", m->most == 1);
    return rc;
}

static int stay_among(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    int rc = flo_semaphore_acquire(wf, m->semaphore, 1);
    (void)out_result;
    if (rc)
        return rc;
    rc = stay(wf, m);
    int released = flo_semaphore_release(wf, m->semaphore, 1);
    return rc ? rc : released;
}

int kitchen_run_semaphore(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const int64_t permits = kitchen_number(step, "permits", 1);
    struct meeting *m = new_meeting(wf, step);
    (void)k;
    if (!m)
        return FLO_ENOMEM;
    m->semaphore = flo_semaphore_new(wf, (size_t)permits);
    int rc = spawn_and_join(wf, m, "among", stay_among, kitchen_number(step, "count", 1));
    if (rc == 0)
        *out = json_pack("{s:I, s:b}", "done", (json_int_t)m->done, "fits", m->most <= permits);
    return rc;
}

/* ---- wait-group ---- */

static int stay_counted(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct meeting *m = arg;
    int rc = stay(wf, m);
    int counted = flo_wait_group_done(wf, m->group);
    (void)out_result;
    return rc ? rc : counted;
}

int kitchen_run_wait_group(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    const int64_t count = kitchen_number(step, "count", 1);
    struct meeting *m = new_meeting(wf, step);
    struct flo_future **futures;
    (void)k;
    if (!m)
        return FLO_ENOMEM;
    m->group = flo_wait_group_new(wf);
    flo_wait_group_add(wf, m->group, (size_t)count);
    int rc = spawn_many(wf, m, "counted", stay_counted, count, &futures);
    if (rc == 0)
        rc = flo_wait_group_wait(wf, m->group);
    if (rc == 0)
        rc = join(wf, futures, count);
    if (rc == 0)
        *out = json_pack("{s:I}", "done", (json_int_t)m->done);
    return rc;
}
