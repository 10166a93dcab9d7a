/* SPDX-License-Identifier: Apache-2.0 */
/* test_context.c - what activity code can ask and say, with a job that is not run anywhere: inputs,
 * results, failures, notices, metrics, interceptors. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "activity/note.h"
#include "activity/task.h"
#include "executor/core.h"
#include "wire/decode.h"
#include "wire/payload.h"

/* A job whose other side is the test. */
struct fake_io {
    struct flo_job_io io;
    pthread_mutex_t mu;
    pthread_cond_t telling;
    unsigned told; /* guarded by mu */
    struct flo_buf notes;
    int beats;
};

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

static void tell(struct fake_io *fake, unsigned add)
{
    pthread_mutex_lock(&fake->mu);
    fake->told += add;
    pthread_cond_broadcast(&fake->telling);
    pthread_mutex_unlock(&fake->mu);
}

static void fake_wake(struct flo_job_io *io)
{
    tell((struct fake_io *)io, FLO_JOB_NUDGE);
}

/* ---- one attempt of the function that a test names ---- */

struct attempt {
    struct fake_io fake;
    struct flo_arena arena;
    struct flo_buf reply;
    struct flo_outcome outcome;
    struct flo_activity_library library;
};

static flo_activity_fn under_test;
static struct fake_io *its_io; /* for what happens while it runs */

static bool find(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared)
{
    (void)type;
    *out_fn = under_test;
    *out_shared = ctx;
    return true;
}

static char logged[512];

static void keep_log(void *ctx, enum flo_log_level level, const struct flo_activity_info *info,
                     const char *message)
{
    (void)ctx;
    (void)level;
    (void)info;
    snprintf(logged, sizeof logged, "%s", message);
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

static void run_told(struct attempt *a, flo_activity_fn fn, unsigned told)
{
    FloApi__PollActivityTaskQueueResponse task;
    const void *message = &task;

    under_test = fn;
    its_io = &a->fake;
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

static void run(struct attempt *a, flo_activity_fn fn)
{
    run_told(a, fn, 0);
}

static void end(struct attempt *a)
{
    flo_arena_fini(&a->arena);
    flo_buf_fini(&a->reply);
    flo_buf_fini(&a->fake.notes);
    pthread_cond_destroy(&a->fake.telling);
    pthread_mutex_destroy(&a->fake.mu);
}

static const void *body(struct attempt *a, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message;

    assert_int_equal(
        flo_wire_decode(type, a->outcome.body, a->outcome.body_len, &a->arena, &message, NULL), 0);
    return message;
}

static const FloApi__Payload *first_payload(struct attempt *a)
{
    const FloApi__Payloads *payloads = body(a, &flo_api__payloads__descriptor);

    assert_int_equal(payloads->n_payloads, 1);
    return payloads->payloads[0];
}

/* ---- inputs and results ---- */

static int look(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_payload *raw = flo_activity_argument_payload(ctx, 1);
    json_t *header = NULL;
    size_t len;

    assert_int_equal(flo_activity_argument_count(ctx), 3);
    assert_ptr_equal(flo_activity_argument(ctx, 0), input);
    assert_true(flo_raw_is(flo_activity_argument(ctx, 1)));
    assert_ptr_equal(flo_activity_argument(ctx, 1), flo_activity_argument(ctx, 1));
    assert_null(flo_activity_argument(ctx, 2)); /* does not parse */
    assert_null(flo_activity_argument(ctx, 3));
    assert_null(flo_activity_argument_payload(ctx, 3));
    assert_true(flo_payload_encoded_as(raw, "binary/plain"));
    assert_false(flo_payload_encoded_as(raw, "binary"));
    assert_memory_equal(flo_payload_data(raw, &len), "raw", 3);
    assert_int_equal(len, 3);
    assert_null(flo_payload_metadata(raw, "nothing", &len));
    assert_null(flo_activity_header(ctx, "nobody"));
    assert_int_equal(flo_payload_json(flo_activity_header(ctx, "tenant"), &header, NULL), 0);
    assert_string_equal(json_string_value(header), "acme");
    json_decref(header);
    assert_int_equal(flo_activity_info(ctx)->retry.maximum_attempts, 4);
    assert_null(flo_activity_info(ctx)->retry.non_retryable_types);
    assert_int_equal(flo_activity_info(ctx)->priority_key, 2);
    assert_string_equal(flo_activity_info(ctx)->fairness_key, "");
    assert_string_equal(flo_activity_token(ctx), "Af8C");
    assert_ptr_equal(flo_activity_token(ctx), flo_activity_token(ctx));
    (void)out_result;
    return flo_activity_result_bytes(ctx, "binary/plain", "\0\1", 2);
}

/* Arguments, header, policy and token are what came; bytes go out as they are. */
static void test_inputs_are_what_came(void **state)
{
    struct attempt a = {0};
    const FloApi__Payload *result;

    (void)state;
    run(&a, look);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    result = first_payload(&a);
    assert_int_equal(result->data.len, 2);
    assert_memory_equal(result->data.data, "\0\1", 2);
    assert_memory_equal(result->metadata[0]->value.data, "binary/plain", 12);
    end(&a);
}

static int too_many_bytes(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    char *large = calloc(1, FLO_ACTIVITY_RESULT_MAX + 1);
    int rc = flo_activity_result_bytes(ctx, "binary/plain", large, FLO_ACTIVITY_RESULT_MAX + 1);

    free(large);
    (void)input;
    *out_result = json_integer(rc);
    return 0;
}

/* More than the server takes is refused at once, not sent. */
static void test_result_bytes_too_many_refused(void **state)
{
    struct attempt a = {0};
    char text[8];

    (void)state;
    run(&a, too_many_bytes);
    snprintf(text, sizeof text, "%d", FLO_ELIMIT);
    assert_memory_equal(first_payload(&a)->data.data, text, strlen(text));
    end(&a);
}

/* ---- how it ends ---- */

static int fail_chained(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_failure inner = {.type = "Inner", .message = "in"};
    json_t *details[] = {input, input};
    const struct flo_failure outer = {.type = "Outer",
                                      .message = "out",
                                      .benign = true,
                                      .details = details,
                                      .detail_count = 2,
                                      .cause = &inner};

    (void)out_result;
    (void)flo_activity_fail(ctx, "Earlier", true, NULL, "replaced");
    flo_activity_next_retry_delay(ctx, 2500);
    return flo_activity_fail_with(ctx, &outer);
}

/* The last failure counts, with its details, cause, category and the delay that was asked for. */
static void test_fail_with_everything(void **state)
{
    struct attempt a = {0};
    const FloApi__Failure *failure;
    const FloApi__ApplicationFailureInfo *info;

    (void)state;
    run(&a, fail_chained);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    failure = body(&a, &flo_api__failure__descriptor);
    info = failure->application_failure_info;
    assert_string_equal(failure->message, "out");
    assert_string_equal(info->type, "Outer");
    assert_false(info->non_retryable);
    assert_int_equal(info->category, 1);
    assert_int_equal(info->details->n_payloads, 2);
    assert_int_equal(flo_duration_ns(info->next_retry_delay), INT64_C(2500000000));
    assert_string_equal(failure->cause->application_failure_info->type, "Inner");
    assert_null(failure->cause->cause);
    end(&a);
}

static int fail_circular(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct flo_failure ring = {.type = "Ring"};

    (void)input;
    (void)out_result;
    ring.cause = &ring;
    return flo_activity_fail_with(ctx, &ring);
}

/* A chain without end fails the attempt, and nothing else. */
static void test_fail_with_endless_causes_fails(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, fail_circular);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_FAILED);
    end(&a);
}

static int pending(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    return flo_activity_complete_async(ctx);
}

/* An attempt that is finished later has no body. */
static void test_complete_async_is_pending(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, pending);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_PENDING);
    assert_int_equal(a.outcome.body_len, 0);
    end(&a);
}

static int stop_with_details(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)out_result;
    assert_int_equal(flo_activity_cancel_code(ctx), FLO_ACTIVITY_PAUSED);
    assert_string_equal(flo_activity_cancel_reason(ctx), "paused");
    flo_activity_cancel_details(ctx, input);
    return FLO_ECANCELLED;
}

/* Details of an accepted cancellation are in its outcome. */
static void test_cancel_details_are_reported(void **state)
{
    struct attempt a = {0};

    (void)state;
    run_told(&a, stop_with_details, FLO_JOB_CANCEL_PAUSED);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_CANCELLED);
    assert_memory_equal(first_payload(&a)->data.data, "{\"n\":1}", 7);
    end(&a);
}

/* ---- notices ---- */

struct heard {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int cancels, stops; /* guarded by mu */
};

static void on_cancel(struct flo_activity_context *ctx, void *arg)
{
    struct heard *heard = arg;

    assert_true(flo_activity_cancelled(ctx));
    pthread_mutex_lock(&heard->mu);
    heard->cancels++;
    pthread_cond_signal(&heard->changed);
    pthread_mutex_unlock(&heard->mu);
}

static void on_stopping(struct flo_activity_context *ctx, void *arg)
{
    struct heard *heard = arg;

    flo_activity_off(ctx, on_stopping, arg); /* of itself: does not wait */
    pthread_mutex_lock(&heard->mu);
    heard->stops++;
    pthread_cond_signal(&heard->changed);
    pthread_mutex_unlock(&heard->mu);
}

static void wait_count(struct heard *heard, const int *count, int value)
{
    pthread_mutex_lock(&heard->mu);
    while (*count < value)
        pthread_cond_wait(&heard->changed, &heard->mu);
    pthread_mutex_unlock(&heard->mu);
}

static int hear(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct heard heard = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    (void)input;
    (void)out_result;
    assert_int_equal(flo_activity_on_stopping(ctx, on_stopping, &heard), 0);
    assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard), 0);
    assert_false(flo_activity_worker_stopping(ctx));
    tell(its_io, FLO_JOB_STOPPING);
    wait_count(&heard, &heard.stops, 1);
    assert_true(flo_activity_worker_stopping(ctx));
    assert_true(flo_activity_wait_stopping(ctx, 1000));
    assert_int_equal(flo_activity_on_stopping(ctx, on_stopping, &heard), 0); /* late: at once */
    wait_count(&heard, &heard.stops, 2);
    flo_activity_off(ctx, on_cancel, &heard);
    tell(its_io, FLO_JOB_CANCEL_REQUESTED);
    assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard), 0);
    wait_count(&heard, &heard.cancels, 1); /* not the one that was taken back */
    flo_activity_off(ctx, on_cancel, &heard);
    assert_int_equal(heard.cancels, 1);
    return 0;
}

/* Callbacks run once each, also when what they wait for has been, and not after they were taken
 * back. */
static void test_notices_run_once(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, hear);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    end(&a);
}

struct look {
    sem_t done;
    sigset_t mask;
};

static void look_at_mask(struct flo_activity_context *ctx, void *arg)
{
    struct look *look = arg;

    (void)ctx;
    pthread_sigmask(SIG_SETMASK, NULL, &look->mask);
    sem_post(&look->done);
}

static int register_look(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct look look;

    (void)input;
    (void)out_result;
    sem_init(&look.done, 0, 0);
    tell(its_io, FLO_JOB_CANCEL_REQUESTED);
    assert_int_equal(flo_activity_on_cancel(ctx, look_at_mask, &look), 0);
    while (sem_wait(&look.done) < 0)
        ;
    assert_int_equal(sigismember(&look.mask, SIGSEGV), 0);
    assert_int_equal(sigismember(&look.mask, SIGABRT), 0);
    assert_int_equal(sigismember(&look.mask, SIGTERM), 1);
    sem_destroy(&look.done);
    return 0;
}

/* A callback that faults is told of like any other code; signals to the process are not its. */
static void test_notices_do_not_block_faults(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, register_look);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    end(&a);
}

static int register_many(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    static struct heard heard[17];

    (void)input;
    (void)out_result;
    for (int i = 0; i < 16; i++)
        assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard[i]), 0);
    assert_int_equal(flo_activity_on_cancel(ctx, on_cancel, &heard[16]), FLO_EFULL);
    return 0; /* with callbacks that never ran */
}

/* There is a bound, and an attempt that ends takes its callbacks along. */
static void test_notices_bounded(void **state)
{
    struct attempt a = {0};

    (void)state;
    run(&a, register_many);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    end(&a);
}

/* ---- metrics ---- */

static int measure(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    for (int i = 0; i < 10; i++)
        flo_activity_counter(ctx, "things", 1.5, "kind", "a", NULL);
    flo_activity_counter(ctx, "things", 1, "kind", "b", NULL);
    flo_activity_counter(ctx, "things", -1, "kind", "b", NULL); /* does not go down */
    flo_activity_gauge(ctx, "level", 3, NULL);
    flo_activity_gauge(ctx, "level", -4, NULL);
    flo_activity_histogram(ctx, "seconds", 0.002, NULL);
    flo_activity_histogram(ctx, "seconds", 1e9, NULL);
    flo_activity_counter(ctx, "no name", 1, NULL);
    flo_activity_counter(ctx, "many", 1, "a", "", "b", "", "c", "", "d", "", "e", "", NULL);
    return 0;
}

static const struct flo_user_sample *find_sample(const struct flo_note *notes, size_t count,
                                                 const char *name, const char *label)
{
    for (size_t i = 0; i < count; i++) {
        const struct flo_user_sample *sample = &notes[i].sample;
        if (strcmp(sample->name, name) == 0 &&
            (!label || strcmp(sample->label_values[0], label) == 0))
            return sample;
    }
    fail_msg("no sample of %s", name);
    return NULL;
}

/* What an attempt counts is summed up and sent once; what cannot be counted is said once. */
static void test_metrics_are_summed_up(void **state)
{
    struct attempt a = {0};
    struct flo_note notes[8];
    const uint8_t *at;
    size_t count = 0;

    (void)state;
    run(&a, measure);
    at = a.fake.notes.data;
    while (count < 8 && flo_note_get(&at, a.fake.notes.data + a.fake.notes.len, 4, &notes[count]))
        count++;
    assert_int_equal(count, 4);
    assert_true(find_sample(notes, count, "things", "a")->value == 15);
    assert_true(find_sample(notes, count, "things", "b")->value == 1);
    assert_true(find_sample(notes, count, "level", NULL)->value == -4);
    assert_int_equal(find_sample(notes, count, "seconds", NULL)->counts[1], 1);
    assert_int_equal(find_sample(notes, count, "seconds", NULL)->counts[FLO_USER_BUCKETS], 1);
    assert_non_null(strstr(logged, "'no name'"));
    end(&a);
}

/* ---- interceptors ---- */

static char trace[128];

static void note_trace(const char *what, void *shared)
{
    size_t len = strlen(trace);

    snprintf(trace + len, sizeof trace - len, "%s%s ", what, (const char *)shared);
}

static int wrap_twice(struct flo_activity_context *ctx, void *shared, json_t *input,
                      json_t **out_result)
{
    int rc;

    note_trace("in-", shared);
    rc = flo_activity_proceed(ctx, input, out_result);
    if (rc == FLO_EIO) /* once more, by itself */
        rc = flo_activity_proceed(ctx, input, out_result);
    note_trace("out-", shared);
    return rc;
}

static int wrap_beat(struct flo_activity_context *ctx, void *shared, json_t *details)
{
    note_trace("beat-", shared);
    return flo_activity_proceed_heartbeat(ctx, details);
}

static int second_time(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    static int times;

    (void)input;
    (void)out_result;
    note_trace("run", (void *)(uintptr_t) "");
    assert_int_equal(flo_activity_heartbeat(ctx, NULL), 0);
    return ++times == 1 ? FLO_EIO : 0;
}

/* The first interceptor is the outermost; one may run what is inside again; heartbeats pass them
 * in the same order. */
static void test_interceptors_nest(void **state)
{
    static const struct flo_activity_interceptor both = {wrap_twice, wrap_beat},
                                                 beats = {NULL, wrap_beat};
    void *names[] = {"A", "B", "C"};
    const struct flo_activity_wrap wraps[] = {
        {&both, &names[0]}, {&beats, &names[1]}, {&both, &names[2]}};
    struct attempt a = {.library = {.wraps = wraps, .wrap_count = 3}};

    (void)state;
    trace[0] = '\0';
    run(&a, second_time);
    assert_int_equal(a.outcome.kind, FLO_OUTCOME_COMPLETED);
    assert_string_equal(trace, "in-A in-C run beat-A beat-B beat-C run beat-A beat-B beat-C "
                               "out-C out-A ");
    assert_int_equal(a.fake.beats, 2);
    end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs_are_what_came),
        cmocka_unit_test(test_result_bytes_too_many_refused),
        cmocka_unit_test(test_fail_with_everything),
        cmocka_unit_test(test_fail_with_endless_causes_fails),
        cmocka_unit_test(test_complete_async_is_pending),
        cmocka_unit_test(test_cancel_details_are_reported),
        cmocka_unit_test(test_notices_run_once),
        cmocka_unit_test(test_notices_do_not_block_faults),
        cmocka_unit_test(test_notices_bounded),
        cmocka_unit_test(test_metrics_are_summed_up),
        cmocka_unit_test(test_interceptors_nest),
    };

    return cmocka_run_group_tests_name("activity/context", tests, NULL, NULL);
}
