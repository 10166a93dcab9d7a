/* SPDX-License-Identifier: Apache-2.0 */
/* story_words.c - commands to words. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/story_internal.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/names.h"

void story_say_payloads(struct flo_buf *out, const char *key, const FloApi__Payloads *payloads)
{
    if (!payloads || payloads->n_payloads == 0)
        return;
    flo_buf_printf(out, " %s=", key);
    const ProtobufCBinaryData *data = &payloads->payloads[0]->data;
    if (data->len == 0)
        flo_buf_append_str(out, "null");
    for (size_t i = 0; i < data->len; i++)
        flo_buf_printf(out, "%c", data->data[i] == '"' ? '\'' : data->data[i]);
}

void story_say_ms(struct flo_buf *out, const char *key, const Google__Protobuf__Duration *d)
{
    if (d)
        flo_buf_printf(out, " %s=%lld", key, (long long)(flo_duration_ns(d) / FLO_NS_PER_MS));
}

static void say_failure(struct flo_buf *out, const FloApi__Failure *failure)
{
    flo_buf_append_str(out, " ");
    flo_failure_describe(failure, out);
}

static void say_activity(struct flo_buf *out,
                         const FloApi__ScheduleActivityTaskCommandAttributes *a)
{
    flo_buf_printf(out, "ScheduleActivity id=%s type=%s queue=%s", a->activity_id,
                   a->activity_type->name, a->task_queue->name);
    story_say_ms(out, "s2c", a->schedule_to_close_timeout);
    story_say_ms(out, "s2s", a->schedule_to_start_timeout);
    story_say_ms(out, "stc", a->start_to_close_timeout);
    story_say_ms(out, "hb", a->heartbeat_timeout);
    if (a->retry_policy)
        flo_buf_printf(out, " attempts=%d", a->retry_policy->maximum_attempts);
    story_say_payloads(out, "input", a->input);
    story_say_header(out, a->header);
}

static void say_marker(struct flo_buf *out, const FloApi__RecordMarkerCommandAttributes *a)
{
    flo_buf_printf(out, "Marker %s", a->marker_name);
    for (size_t i = 0; i < a->n_details; i++)
        story_say_payloads(out, a->details[i]->key, a->details[i]->value);
    if (a->failure)
        say_failure(out, a->failure);
}

static void say_command(struct flo_buf *out, const FloApi__Command *c)
{
    switch (c->command_type) {
    case FLO_COMMAND(SCHEDULE_ACTIVITY_TASK):
        say_activity(out, c->schedule_activity_task_command_attributes);
        break;
    case FLO_COMMAND(REQUEST_CANCEL_ACTIVITY_TASK):
        flo_buf_printf(
            out, "RequestCancelActivity scheduled=%lld",
            (long long)c->request_cancel_activity_task_command_attributes->scheduled_event_id);
        break;
    case FLO_COMMAND(START_TIMER):
        flo_buf_printf(out, "StartTimer id=%s", c->start_timer_command_attributes->timer_id);
        story_say_ms(out, "ms", c->start_timer_command_attributes->start_to_fire_timeout);
        break;
    case FLO_COMMAND(CANCEL_TIMER):
        flo_buf_printf(out, "CancelTimer id=%s", c->cancel_timer_command_attributes->timer_id);
        break;
    case FLO_COMMAND(COMPLETE_WORKFLOW_EXECUTION):
        flo_buf_append_str(out, "Complete");
        story_say_payloads(out, "result",
                           c->complete_workflow_execution_command_attributes->result);
        break;
    case FLO_COMMAND(FAIL_WORKFLOW_EXECUTION):
        flo_buf_append_str(out, "Fail");
        say_failure(out, c->fail_workflow_execution_command_attributes->failure);
        break;
    case FLO_COMMAND(CANCEL_WORKFLOW_EXECUTION):
        flo_buf_append_str(out, "Cancel");
        break;
    case FLO_COMMAND(RECORD_MARKER):
        say_marker(out, c->record_marker_command_attributes);
        break;
    case FLO_COMMAND(PROTOCOL_MESSAGE):
        flo_buf_printf(out, "ProtocolMessage %s",
                       c->protocol_message_command_attributes->message_id);
        break;
    default:
        if (!story_entity_command(out, c))
            flo_buf_append_str(out, flo_command_name(c->command_type));
    }
}

static const ProtobufCMessage *body_of(struct story *s, const FloApi__Message *message,
                                       const char *type,
                                       const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *body = NULL;
    const char *url = strrchr(message->body->type_url, '.');
    if (!url || strcmp(url + 1, type) != 0)
        return NULL;
    assert_int_equal(flo_wire_decode(descriptor, message->body->value.data,
                                     message->body->value.len, &s->arena, &body, NULL),
                     0);
    return body;
}

static void say_message(struct story *s, struct flo_buf *out, const FloApi__Message *message)
{
    const FloApi__Rejection *rejection = (const FloApi__Rejection *)body_of(
        s, message, "Rejection", &flo_api__rejection__descriptor);
    const FloApi__Acceptance *acceptance = (const FloApi__Acceptance *)body_of(
        s, message, "Acceptance", &flo_api__acceptance__descriptor);
    const FloApi__Response *response =
        (const FloApi__Response *)body_of(s, message, "Response", &flo_api__response__descriptor);
    flo_buf_printf(out, "%smessage %s", out->len ? "\n" : "", message->id);
    if (rejection) {
        flo_buf_printf(out, " to %s behind %lld:", rejection->rejected_request_message_id,
                       (long long)rejection->rejected_request_sequencing_event_id);
        say_failure(out, rejection->failure);
    }
    if (acceptance)
        flo_buf_printf(out, " to %s behind %lld", acceptance->accepted_request_message_id,
                       (long long)acceptance->accepted_request_sequencing_event_id);
    if (response && response->outcome->value_case == FLO_API__OUTCOME__VALUE_FAILURE)
        say_failure(out, response->outcome->failure);
    else if (response)
        story_say_payloads(out, "result", response->outcome->success);
    assert_true(rejection || acceptance || response);
    assert_string_equal(rejection    ? rejection->rejected_request->meta->update_id
                        : acceptance ? acceptance->accepted_request->meta->update_id
                                     : response->meta->update_id,
                        message->protocol_instance_id);
}

static void say_query(struct flo_buf *out, const char *key, const FloApi__Payloads *answer,
                      const char *error)
{
    flo_buf_printf(out, "%squery%s%s", out->len ? "\n" : "", *key ? " " : "", key);
    if (answer)
        story_say_payloads(out, "result", answer);
    else
        flo_buf_printf(out, " failed: %s", error);
}

static void say_start(struct story *s, struct flo_buf *out, const struct flo_local_start *start)
{
    ProtobufCMessage *message = NULL;
    assert_int_equal(flo_wire_decode(&flo_api__poll_activity_task_queue_response__descriptor,
                                     start->task, start->task_len, &s->arena, &message, NULL),
                     0);
    const FloApi__PollActivityTaskQueueResponse *task =
        (const FloApi__PollActivityTaskQueueResponse *)message;
    flo_buf_printf(out, "StartLocal seq=%llu id=%s type=%s attempt=%d",
                   (unsigned long long)start->seq, start->activity_id, task->activity_type->name,
                   start->attempt);
    story_say_ms(out, "s2c", task->schedule_to_close_timeout);
    story_say_ms(out, "stc", task->start_to_close_timeout);
    if (task->retry_policy)
        flo_buf_printf(out, " attempts=%d", task->retry_policy->maximum_attempts);
    story_say_payloads(out, "input", task->input);
    story_say_header(out, task->header);
    if (start->cancelled)
        flo_buf_append_str(out, " cancelled");
}

/* What the worker is to do, and whether the task stays open. */
static void say_locals(struct story *s, struct flo_buf *out, const struct flo_activation *answer)
{
    for (size_t i = 0; i < answer->local_start_count; i++) {
        flo_buf_append_str(out, out->len ? "\n" : "");
        say_start(s, out, &answer->local_starts[i]);
    }
    for (size_t i = 0; i < answer->local_cancel_count; i++)
        flo_buf_printf(out, "%s%s seq=%llu", out->len ? "\n" : "",
                       answer->local_cancels[i].forget ? "ForgetLocal" : "CancelLocal",
                       (unsigned long long)answer->local_cancels[i].seq);
    if (answer->outcome == FLO_ACTIVATION_OPEN)
        flo_buf_printf(out, "%sopen", out->len ? "\n" : "");
    if (answer->more)
        flo_buf_printf(out, "%smore", out->len ? "\n" : "");
}

/* A message without the line of the test that issued a command: " at test_history.c:12". */
static const char *without_place(struct story *s, const char *message)
{
    char *text = flo_arena_strdup(&s->arena, message);
    char *at = strstr(text, " at test_");
    if (at) {
        size_t len = strcspn(at + 1, ":") + 1;
        len += 1 + strspn(at + len + 1, "0123456789");
        memmove(at, at + len, strlen(at + len) + 1);
    }
    return text;
}

const char *story_words(struct story *s, int rc, const struct flo_activation *answer)
{
    if (rc)
        return flo_error_name(rc);
    if (answer->outcome == FLO_ACTIVATION_FAIL)
        return flo_arena_printf(&s->arena, "task failed (cause %d): %s", (int)answer->cause,
                                without_place(s, answer->failure->message));
    struct flo_buf out;
    flo_buf_init(&out, 0);
    if (answer->outcome == FLO_ACTIVATION_QUERY)
        say_query(&out, "", answer->query_answer, answer->query_error);
    for (size_t i = 0; i < answer->command_count; i++) {
        if (i)
            flo_buf_append_str(&out, "\n");
        say_command(&out, answer->commands[i]);
    }
    for (size_t i = 0; i < answer->message_count; i++)
        say_message(s, &out, answer->messages[i]);
    for (size_t i = 0; i < answer->query_result_count; i++)
        say_query(&out, answer->query_results[i]->key, answer->query_results[i]->value->answer,
                  answer->query_results[i]->value->error_message);
    say_locals(s, &out, answer);
    char *text = flo_arena_strdup(&s->arena, flo_buf_cstr(&out));
    flo_buf_fini(&out);
    return text;
}
