/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.c - see attempt.h. */
#include "attempt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/decode.h"
#include "wire/payload.h"

static void fake_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    ((struct fake_io *)io)->beats++;
}

static int fake_note(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    return flo_buf_append(&((struct fake_io *)io)->notes, data, len);
}

static unsigned fake_wait(struct flo_job_io *io, unsigned known, int64_t timeout_ms)
{
    struct fake_io *fake = (struct fake_io *)io;
    unsigned told;

    pthread_mutex_lock(&fake->mu);
    while (timeout_ms < 0 && fake->told == known)
        pthread_cond_wait(&fake->telling, &fake->mu);
    told = fake->told;
    pthread_mutex_unlock(&fake->mu);
    return told;
}

void attempt_tell(struct fake_io *fake, unsigned add)
{
    pthread_mutex_lock(&fake->mu);
    fake->told += add;
    pthread_cond_broadcast(&fake->telling);
    pthread_mutex_unlock(&fake->mu);
}

static void fake_wake(struct flo_job_io *io)
{
    attempt_tell((struct fake_io *)io, FLO_JOB_NUDGE);
}

static flo_activity_fn under_test;
struct fake_io *attempt_io;

static bool find(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared)
{
    (void)type;
    *out_fn = under_test;
    *out_shared = ctx;
    return true;
}

char attempt_logged[512];

static void keep_log(void *ctx, enum flo_log_level level, const struct flo_activity_info *info,
                     const char *message)
{
    (void)ctx;
    (void)level;
    (void)info;
    snprintf(attempt_logged, sizeof attempt_logged, "%s", message);
}

static FloApi__Payload *bytes(struct flo_arena *arena, const char *encoding, const char *text)
{
    return flo_payload_from_bytes(arena, encoding, text, strlen(text));
}

/* Two arguments (JSON and bytes), a broken third, a header, a retry policy, a priority. */
static void fill(struct flo_arena *arena, FloApi__PollActivityTaskQueueResponse *task)
{
    FloApi__Header__FieldsEntry *field = flo_arena_calloc(arena, 1, sizeof *field);
    FloApi__Payload **list = flo_arena_calloc(arena, 3, sizeof *list);

    flo_api__poll_activity_task_queue_response__init(task);
    task->task_token.data = flo_arena_memdup(arena, "\x01\xff\x02", 3);
    task->task_token.len = 3;
    task->activity_id = flo_arena_strdup(arena, "7");
    task->input = flo_arena_calloc(arena, 1, sizeof *task->input);
    flo_api__payloads__init(task->input);
    list[0] = bytes(arena, "json/plain", "{\"n\":1}");
    list[1] = bytes(arena, "binary/plain", "raw");
    list[2] = bytes(arena, "json/plain", "{broken");
    task->input->payloads = list;
    task->input->n_payloads = 3;
    flo_api__header__fields_entry__init(field);
    field->key = flo_arena_strdup(arena, "tenant");
    field->value = bytes(arena, "json/plain", "\"acme\"");
    task->header = flo_arena_calloc(arena, 1, sizeof *task->header);
    flo_api__header__init(task->header);
    task->header->fields = flo_arena_memdup(arena, &field, sizeof field);
    task->header->n_fields = 1;
    task->retry_policy = flo_arena_calloc(arena, 1, sizeof *task->retry_policy);
    flo_api__retry_policy__init(task->retry_policy);
    task->retry_policy->maximum_attempts = 4;
    task->priority = flo_arena_calloc(arena, 1, sizeof *task->priority);
    flo_api__priority__init(task->priority);
    task->priority->priority_key = 2;
}

void attempt_run_told(struct attempt *a, flo_activity_fn fn, unsigned told)
{
    FloApi__PollActivityTaskQueueResponse task;
    const void *message = &task;

    under_test = fn;
    attempt_io = &a->fake;
    a->fake.io = (struct flo_job_io){
        .progress = fake_progress, .note = fake_note, .wait = fake_wait, .wake = fake_wake};
    a->fake.told = told;
    pthread_mutex_init(&a->fake.mu, NULL);
    pthread_cond_init(&a->fake.telling, NULL);
    flo_buf_init(&a->fake.notes, 0);
    flo_arena_init(&a->arena, 0);
    flo_buf_init(&a->reply, 0);
    a->library.find = find;
    a->library.log = keep_log;
    a->library.identity = a->library.task_queue = "q";
    fill(&a->arena, &task);
    flo_activity_task_run_shared(&a->library, &a->fake.io, (const uint8_t *)&message,
                                 sizeof message, &a->reply);
    assert_int_equal(flo_outcome_decode(a->reply.data, a->reply.len, &a->outcome), 0);
}

void attempt_run(struct attempt *a, flo_activity_fn fn)
{
    attempt_run_told(a, fn, 0);
}

void attempt_end(struct attempt *a)
{
    flo_arena_fini(&a->arena);
    flo_buf_fini(&a->reply);
    flo_buf_fini(&a->fake.notes);
    pthread_cond_destroy(&a->fake.telling);
    pthread_mutex_destroy(&a->fake.mu);
}

const void *attempt_body(struct attempt *a, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message;

    assert_int_equal(
        flo_wire_decode(type, a->outcome.body, a->outcome.body_len, &a->arena, &message, NULL), 0);
    return message;
}

const FloApi__Payload *attempt_first_payload(struct attempt *a)
{
    const FloApi__Payloads *payloads = attempt_body(a, &flo_api__payloads__descriptor);

    assert_int_equal(payloads->n_payloads, 1);
    return payloads->payloads[0];
}
