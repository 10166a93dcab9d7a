/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saga.c - an order in steps that lie in several systems: reserve, charge, ship. There is no
 * transaction around them, so each step that was done is undone, the last one first, when a later
 * one fails or when somebody cancels the order.
 */
#include "saga.h"

struct step {
    const char *act, *undo; /* activities; undo NULL: nothing is to be undone */
};

static const struct step steps[] = {
    {"reserve_stock", "release_stock"},
    {"charge_card", "refund_card"},
    {"ship", NULL},
};

#define STEPS (sizeof steps / sizeof *steps)

static const struct flo_retry_policy thrice = {.maximum_attempts = 3};
static const struct flo_activity_options acting = {.start_to_close_ms = 30000, .retry = &thrice};
/* Undoing is never given up. */
static const struct flo_activity_options undoing = {.start_to_close_ms = 30000};

/* Undo the first done steps, although the workflow may be cancelled: shielded from that. */
static int compensate(struct flo_workflow *wf, json_t *order, size_t done)
{
    struct flo_scope *scope = flo_scope_begin(wf, &(struct flo_scope_options){.shielded = true});
    int rc = 0;
    while (rc == 0 && done-- > 0) {
        if (steps[done].undo)
            rc = flo_activity(wf, steps[done].undo, order, &undoing, NULL);
    }
    flo_scope_end(wf, scope);
    return rc;
}

static int saga_workflow(struct flo_workflow *wf, json_t *order, json_t **out_result)
{
    json_t *receipts = json_array(), *receipt;
    for (size_t i = 0; i < STEPS; i++) {
        int rc = flo_activity(wf, steps[i].act, order, &acting, &receipt);
        if (rc) {
            json_t *why = json_string(flo_failure_message(wf));
            /* A step that failed may have been done all the same, its answer lost: undo it, too. */
            int undone = compensate(wf, order, i + 1);
            if (undone)
                return undone;
            if (rc == FLO_ECANCELLED)
                return rc;
            return flo_workflow_fail(wf, "OrderFailed", true, order, "%s failed: %s", steps[i].act,
                                     json_string_value(why));
        }
        json_array_append_new(receipts, receipt);
    }
    *out_result = receipts;
    return 0;
}

/* ---- activities: stand-ins, which only look at the order ---- */

static int done(struct flo_activity_context *ctx, json_t *order, json_t **out_result)
{
    const char *type = flo_activity_info(ctx)->activity_type;
    const char *id = json_string_value(json_object_get(order, "id"));
    *out_result = json_sprintf("%s %s", type, id ? id : "?");
    return 0;
}

static int charge_card(struct flo_activity_context *ctx, json_t *order, json_t **out_result)
{
    if (json_integer_value(json_object_get(order, "amount")) > 1000)
        return flo_activity_fail(ctx, "Declined", true, NULL, "the card has a limit of 1000");
    return done(ctx, order, out_result);
}

const struct flo_module saga_module = {
    .abi = FLO_MODULE_ABI,
    .name = "saga",
    .workflows = FLO_WORKFLOWS({"OrderSaga", saga_workflow}),
    .activities =
        FLO_ACTIVITIES({"reserve_stock", done}, {"release_stock", done},
                       {"charge_card", charge_card}, {"refund_card", done}, {"ship", done}),
};
