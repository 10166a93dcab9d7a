/* SPDX-License-Identifier: Apache-2.0 */
/*
 * approval.c - an expense that a person has to decide on. The decision comes as an update: the
 * validator refuses what makes no sense, and whoever decided gets the answer at once. A reminder
 * goes out each day; after a week the expense is rejected.
 */
#include "approval.h"

#include <string.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define DAYS 7

struct expense {
    json_t *what;
    json_t *decision; /* {"by": ..., "approve": ...}; NULL before */
    int reminders;
};

static const struct flo_activity_options quick = {.start_to_close_ms = 30000};

/* Says no before anything is in the history. */
static int check_decision(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    const struct expense *expense = ctx;
    const char *by = json_string_value(json_object_get(message->input, "by"));
    const char *owner = json_string_value(json_object_get(expense->what, "owner"));
    if (expense->decision)
        return flo_workflow_fail(wf, "Decided", true, NULL, "it is decided already");
    if (!by || !json_is_boolean(json_object_get(message->input, "approve")))
        return flo_workflow_fail(wf, "BadDecision", true, NULL,
                                 "a decision is {\"by\": name, \"approve\": true or false}");
    if (owner && strcmp(by, owner) == 0)
        return flo_workflow_fail(wf, "OwnExpense", true, NULL, "nobody decides on their own");
    return 0;
}

static int decide(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                  json_t **out_result)
{
    struct expense *expense = ctx;
    expense->decision = json_incref(message->input);
    *out_result = json_sprintf("noted at %lld", (long long)flo_workflow_now_ms(wf));
    return 0;
}

static int get_status(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    const struct expense *expense = ctx;
    (void)wf, (void)message;
    *out_result = json_pack("{s:b, s:i}", "decided", expense->decision != NULL, "reminders",
                            expense->reminders);
    return 0;
}

static bool is_decided(void *ctx)
{
    const struct expense *expense = ctx;
    return expense->decision != NULL;
}

static int approval_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct expense *expense = flo_workflow_alloc(wf, sizeof *expense);
    if (!expense)
        return FLO_ENOMEM;
    expense->what = json_incref(input);
    flo_query_handle(wf, "status", get_status, expense, NULL);
    flo_update_handle(wf, "decide", check_decision, decide, expense,
                      &(struct flo_handler_options){.description = "approve or reject it"});
    for (int day = 0; day < DAYS; day++) {
        int rc = flo_await_condition(wf, is_decided, expense, DAY_MS);
        if (rc == 0)
            break;
        if (rc == FLO_ETIMEDOUT)
            rc = flo_activity(wf, "remind", input, &quick, NULL);
        if (rc)
            return rc;
        expense->reminders++;
    }
    int rc = flo_handlers_await(wf, -1); /* the decision's answer leaves before the end */
    if (rc)
        return rc;
    if (!json_is_true(json_object_get(expense->decision, "approve"))) {
        *out_result = json_string(expense->decision ? "rejected" : "rejected: nobody decided");
        return 0;
    }
    return flo_activity(wf, "pay", input, &quick, out_result);
}

/* ---- activities: stand-ins ---- */

static int remind(struct flo_activity_context *ctx, json_t *expense, json_t **out_result)
{
    (void)expense, (void)out_result;
    flo_activity_log(ctx, FLO_LOG_INFO, "an expense waits for a decision");
    return 0;
}

static int pay(struct flo_activity_context *ctx, json_t *expense, json_t **out_result)
{
    (void)ctx;
    *out_result = json_sprintf("paid %lld", json_integer_value(json_object_get(expense, "amount")));
    return 0;
}

const struct flo_module approval_module = {
    .abi = FLO_MODULE_ABI,
    .name = "approval",
    .workflows = FLO_WORKFLOWS({"Approval", approval_workflow}),
    .activities = FLO_ACTIVITIES({"remind", remind}, {"pay", pay}),
};
