/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - printing statuses, times, results. */
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/command.h"
#include "flotilla/payload.h"
#include "wire/failure.h"
#include "wire/json.h"
#include "wire/payload.h"

const char *cli_status_name(FloApi__WorkflowExecutionStatus status)
{
    static const char *const names[] = {"Unspecified",    "Running",  "Completed",
                                        "Failed",         "Canceled", "Terminated",
                                        "ContinuedAsNew", "TimedOut", "Paused"};
    size_t i = (size_t)status;
    return i < sizeof names / sizeof *names ? names[i] : "Unknown";
}

void cli_print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(value);
}

void cli_print_message(const ProtobufCMessage *message)
{
    cli_print_json(flo_wire_to_json(message));
}

void cli_format_time(const Google__Protobuf__Timestamp *timestamp, char out[32])
{
    char text[40];
    if (!timestamp || flo_timestamp_ns(timestamp) <= 0) {
        snprintf(out, 32, "-");
        return;
    }
    flo_clock_rfc3339(flo_timestamp_ns(timestamp), text, sizeof text);
    snprintf(out, 32, "%.19sZ", text);
}

/* json/protobuf is JSON, which people want to read and code must pass on as it is: *value, when it
 * is such a raw value, becomes what its bytes say. */
static void show_protobuf_json(const FloApi__Payload *payload, json_t **value)
{
    json_t *shown;
    if (!flo_payload_encoded_as(flo_payload_veil(payload), "json/protobuf") ||
        flo_json_parse((const char *)payload->data.data, payload->data.len, &shown, NULL))
        return;
    json_decref(*value);
    *value = shown;
}

int cli_print_result(const FloApi__Payloads *payloads)
{
    json_t *value = NULL;
    struct flo_err err;
    if (flo_payloads_show(payloads, true, &value, &err)) {
        fprintf(stderr, "flotilla: the result cannot be shown: %s\n", err.message);
        return FLO_EXIT_REFUSED;
    }
    if (payloads && payloads->n_payloads == 1)
        show_protobuf_json(payloads->payloads[0], &value);
    for (size_t i = 0; payloads && payloads->n_payloads > 1 && i < payloads->n_payloads; i++) {
        json_t *item = json_incref(json_array_get(value, i));
        show_protobuf_json(payloads->payloads[i], &item);
        (void)json_array_set_new(value, i, item);
    }
    cli_print_json(value);
    return 0;
}

static int print_failure(const char *status, const FloApi__Failure *failure, bool json)
{
    struct flo_buf text;
    if (json && failure) {
        cli_print_message(&failure->base);
        return FLO_EXIT_REFUSED;
    }
    flo_buf_init(&text, 0);
    if (failure)
        flo_failure_describe(failure, &text);
    fprintf(stderr, "flotilla: the workflow ended as %s%s%s\n", status, failure ? ": " : "",
            flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return FLO_EXIT_REFUSED;
}

static const char *next(const char *run_id)
{
    return run_id && *run_id ? run_id : NULL;
}

int cli_print_close(const FloApi__HistoryEvent *event, bool json, const char **out_next_run)
{
    *out_next_run = NULL;
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: {
        const FloApi__WorkflowExecutionCompletedEventAttributes *a =
            event->workflow_execution_completed_event_attributes;
        *out_next_run = next(a->new_execution_run_id);
        return *out_next_run ? 0 : cli_print_result(a->result);
    }
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: {
        const FloApi__WorkflowExecutionFailedEventAttributes *a =
            event->workflow_execution_failed_event_attributes;
        *out_next_run = next(a->new_execution_run_id);
        return *out_next_run ? 0 : print_failure("Failed", a->failure, json);
    }
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        *out_next_run =
            next(event->workflow_execution_timed_out_event_attributes->new_execution_run_id);
        return *out_next_run ? 0 : print_failure("TimedOut", NULL, json);
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        *out_next_run =
            next(event->workflow_execution_continued_as_new_event_attributes->new_execution_run_id);
        return 0;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        return print_failure("Canceled", NULL, json);
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: {
        const char *reason = event->workflow_execution_terminated_event_attributes->reason;
        fprintf(stderr, "flotilla: the workflow ended as Terminated: %s\n",
                *reason ? reason : "no reason was given");
        return FLO_EXIT_REFUSED;
    }
    default:
        fprintf(stderr, "flotilla: unexpected last event %d\n", (int)event->event_type);
        return FLO_EXIT_INTERNAL;
    }
}
