/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - the JSON of a record: made, changed, checked. See record.h. */
#include "quarantine/record.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "quarantine/id.h"

#define VERSION 1
#define TEXT_MAX 4096 /* of one text member */

void flo_quarantine_cause(int signal, int exit_status, char *out, size_t size)
{
    const char *abbreviation = signal ? sigabbrev_np(signal) : NULL;

    if (signal)
        snprintf(out, size, "signal %d (SIG%s)", signal, abbreviation ? abbreviation : "?");
    else
        snprintf(out, size, "exit status %d", exit_status);
}

/* ---- making ---- */

static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool put_text(json_t *object, const char *key, const char *text)
{
    size_t len = text ? flo_utf8_cut(text, strlen(text), TEXT_MAX) : 0;

    /* Not UTF-8: then it is left out. */
    return put(object, key, json_stringn(text ? text : "", len)) ||
           put(object, key, json_string(""));
}

static bool put_number(json_t *object, const char *key, int64_t number)
{
    return put(object, key, json_integer(number));
}

static json_t *attempt_new(const struct flo_quarantine_attempt *attempt, bool crashed)
{
    json_t *element = json_object();
    bool good = element && put_text(element, "workflowId", attempt->workflow_id) &&
                put_text(element, "runId", attempt->run_id) &&
                put_text(element, "workflowType", attempt->workflow_type) &&
                put_text(element, "activityId", attempt->activity_id) &&
                put_text(element, "worker", attempt->identity) &&
                put_number(element, "attempt", attempt->attempt) &&
                put_number(element, "atMs", attempt->at_ms) &&
                put(element, "crashed", json_boolean(crashed));

    if (!good) {
        json_decref(element);
        return NULL;
    }
    return element;
}

/* At the end of the record's list, whose oldest element goes. */
static bool add_attempt(json_t *record, const struct flo_quarantine_attempt *attempt, bool crashed)
{
    json_t *met = json_object_get(record, "met");

    if (!json_is_array(met)) {
        met = json_array();
        if (!met || json_object_set_new(record, "met", met))
            return false;
    }
    while (json_array_size(met) >= FLO_QUARANTINE_MET_MAX)
        json_array_remove(met, 0);
    return json_array_append_new(met, attempt_new(attempt, crashed)) == 0;
}

/* Bytes of value as compact JSON, SIZE_MAX without memory. */
static size_t json_bytes(const json_t *value)
{
    return json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
}

static bool put_bounded(json_t *record, const char *key, json_t *value, size_t max)
{
    json_object_del(record, key);
    return !value || json_bytes(value) > max || json_object_set(record, key, value) == 0;
}

static bool put_stack(json_t *record, const char *stack_trace)
{
    json_t *value = stack_trace && *stack_trace ? json_string(stack_trace) : NULL;
    bool good = put_bounded(record, "stackTrace", value, FLO_QUARANTINE_DETAILS_MAX);

    json_decref(value);
    return good;
}

static bool fill_crash(json_t *record, const char *id, const struct flo_quarantine_limits *limits,
                       const struct flo_quarantine_crash *crash, int64_t crashes, int64_t first_ms,
                       int64_t parked_ms)
{
    int64_t now_ms = crash->attempt.at_ms;
    bool parks = parked_ms || crashes >= limits->crashes;

    return put_number(record, "version", VERSION) && put_text(record, "id", id) &&
           put_text(record, "namespace", crash->name_space) &&
           put_text(record, "activityType", crash->activity_type) &&
           put_text(record, "taskQueue", crash->task_queue) &&
           put_text(record, "state", parks ? "parked" : "counting") &&
           put_number(record, "crashes", crashes) && put_number(record, "limit", limits->crashes) &&
           put_number(record, "firstMs", first_ms) && put_number(record, "lastMs", now_ms) &&
           put_number(record, "parkedMs", parks && !parked_ms ? now_ms : parked_ms) &&
           put_number(record, "changedMs", now_ms) && put_number(record, "signal", crash->signal) &&
           put_number(record, "exitStatus", crash->exit_status) &&
           put_text(record, "message", crash->message) &&
           put_number(record, "inputBytes", (int64_t)crash->input_bytes) &&
           put_bounded(record, "details", crash->details, FLO_QUARANTINE_DETAILS_MAX) &&
           put_stack(record, crash->stack_trace) &&
           put_bounded(record, "input", crash->input, FLO_QUARANTINE_INPUT_MAX) &&
           add_attempt(record, &crash->attempt, true);
}

json_t *flo_quarantine_after_crash(const json_t *before, const char *id,
                                   const struct flo_quarantine_limits *limits,
                                   const struct flo_quarantine_crash *crash)
{
    struct flo_quarantine_view view;
    int64_t now_ms = crash->attempt.at_ms, crashes = 1, first_ms = now_ms;
    int64_t lifted = 0, parked_ms = 0;
    bool known = before && flo_quarantine_view(before, id, &view, NULL) == 0;
    json_t *record = known ? json_deep_copy(before) : json_object();

    if (known) {
        lifted = view.lifted;
        parked_ms = view.parked ? view.parked_ms : 0;
        if (view.crashes > 0 && (view.parked || now_ms - view.last_ms <= limits->window_ms)) {
            crashes = view.crashes < INT32_MAX ? view.crashes + 1 : view.crashes;
            first_ms = view.first_ms;
        }
    }
    if (record && put_number(record, "lifted", lifted) &&
        fill_crash(record, id, limits, crash, crashes, first_ms, parked_ms))
        return record;
    json_decref(record);
    return NULL;
}

static bool same_attempt(const json_t *element, const struct flo_quarantine_attempt *attempt)
{
    struct flo_quarantine_attempt met;
    bool crashed;

    flo_quarantine_met(element, &met, &crashed);
    return strcmp(met.run_id, attempt->run_id ? attempt->run_id : "") == 0 &&
           strcmp(met.activity_id, attempt->activity_id ? attempt->activity_id : "") == 0 &&
           !crashed;
}

json_t *flo_quarantine_after_refusal(const json_t *before,
                                     const struct flo_quarantine_attempt *attempt)
{
    const json_t *met = json_object_get(before, "met");
    json_t *element, *record;
    size_t i;

    if (json_array_size(met) >= FLO_QUARANTINE_MET_MAX)
        return NULL;
    json_array_foreach(met, i, element) if (same_attempt(element, attempt)) return NULL;
    record = json_deep_copy(before);
    if (record && put_number(record, "changedMs", attempt->at_ms) &&
        add_attempt(record, attempt, false))
        return record;
    json_decref(record);
    return NULL;
}

json_t *flo_quarantine_after_lift(const json_t *before, int64_t now_ms)
{
    json_t *record = json_deep_copy(before);
    int64_t lifted = json_integer_value(json_object_get(before, "lifted"));

    if (record && put_text(record, "state", "counting") && put_number(record, "crashes", 0) &&
        put_number(record, "parkedMs", 0) && put_number(record, "changedMs", now_ms) &&
        put_number(record, "lifted", lifted < INT32_MAX ? lifted + 1 : lifted))
        return record;
    json_decref(record);
    return NULL;
}

/* ---- reading ---- */

struct reader {
    const json_t *record;
    const char *wrong; /* the first member that is */
};

static const char *text(struct reader *in, const char *key)
{
    const json_t *value = json_object_get(in->record, key);

    if (!json_is_string(value) || json_string_length(value) > TEXT_MAX ||
        strlen(json_string_value(value)) != json_string_length(value)) {
        in->wrong = in->wrong ? in->wrong : key;
        return "";
    }
    return json_string_value(value);
}

static int64_t number(struct reader *in, const char *key, int64_t max)
{
    const json_t *value = json_object_get(in->record, key);
    int64_t n = json_integer_value(value);

    if (json_is_integer(value) && n >= 0 && n <= max)
        return n;
    in->wrong = in->wrong ? in->wrong : key;
    return 0;
}

static json_t *array(struct reader *in, const char *key, size_t max, bool required)
{
    json_t *value = json_object_get(in->record, key);

    if (!value && !required)
        return NULL;
    if (!json_is_array(value) || json_array_size(value) > max)
        in->wrong = in->wrong ? in->wrong : key;
    return value;
}

int flo_quarantine_view(const json_t *record, const char *id, struct flo_quarantine_view *out,
                        struct flo_err *err)
{
    struct reader in = {.record = record};
    struct flo_quarantine_view view = {0};
    const char *state = text(&in, "state");

    if (number(&in, "version", INT32_MAX) != VERSION)
        in.wrong = "version";
    view.id = text(&in, "id");
    view.name_space = text(&in, "namespace");
    view.activity_type = text(&in, "activityType");
    view.task_queue = text(&in, "taskQueue");
    view.message = text(&in, "message");
    view.parked = strcmp(state, "parked") == 0;
    view.crashes = number(&in, "crashes", INT32_MAX);
    view.limit = number(&in, "limit", INT32_MAX);
    view.lifted = number(&in, "lifted", INT32_MAX);
    view.first_ms = number(&in, "firstMs", INT64_MAX / 1000000);
    view.last_ms = number(&in, "lastMs", INT64_MAX / 1000000);
    view.parked_ms = number(&in, "parkedMs", INT64_MAX / 1000000);
    view.changed_ms = number(&in, "changedMs", INT64_MAX / 1000000);
    view.signal = (int)number(&in, "signal", 128);
    view.exit_status = (int)number(&in, "exitStatus", 255);
    view.input_bytes = number(&in, "inputBytes", INT64_MAX);
    view.input = array(&in, "input", SIZE_MAX, false);
    view.details = json_object_get(record, "details");
    view.stack_trace = json_string_value(json_object_get(record, "stackTrace"));
    view.stack_trace = view.stack_trace ? view.stack_trace : "";
    view.met = array(&in, "met", FLO_QUARANTINE_MET_MAX, true);
    if (!in.wrong && !view.parked && strcmp(state, "counting") != 0)
        in.wrong = "state";
    if (!in.wrong && strcmp(view.id, id) != 0)
        in.wrong = "id";
    if (in.wrong)
        return flo_fail(err, FLO_EDATA, "the record %s is damaged: its member \"%s\" is wrong", id,
                        in.wrong);
    *out = view;
    return 0;
}

static const char *met_text(const json_t *element, const char *key)
{
    const char *value = json_string_value(json_object_get(element, key));

    return value ? value : "";
}

void flo_quarantine_met(const json_t *element, struct flo_quarantine_attempt *out,
                        bool *out_crashed)
{
    json_int_t attempt = json_integer_value(json_object_get(element, "attempt"));
    json_int_t at_ms = json_integer_value(json_object_get(element, "atMs"));

    *out = (struct flo_quarantine_attempt){
        .workflow_id = met_text(element, "workflowId"),
        .run_id = met_text(element, "runId"),
        .workflow_type = met_text(element, "workflowType"),
        .activity_id = met_text(element, "activityId"),
        .identity = met_text(element, "worker"),
        .attempt = attempt > 0 && attempt <= INT32_MAX ? (int32_t)attempt : 0,
        .at_ms = at_ms > 0 && at_ms <= INT64_MAX / 1000000 ? at_ms : 0};
    *out_crashed = json_is_true(json_object_get(element, "crashed"));
}
