/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.c - the activity "cook": ends as its input's "how" says (README.md). How it ends must
 * not depend on how many attempts were lost with their workers: what counts attempts ends well
 * from some attempt on.
 */
#include <string.h>

#include "kitchen.h"

#define FOREVER_MS 3600000

/* Until somebody says that it should stop. */
static void wait_for_stop(struct flo_activity_context *ctx, bool heartbeat)
{
    const int64_t turn_ms = flo_activity_info(ctx)->heartbeat_ms / 2;
    while (!flo_activity_wait_cancelled(ctx, heartbeat && turn_ms ? turn_ms : FOREVER_MS))
        if (heartbeat && flo_activity_heartbeat(ctx, NULL))
            break;
}

/* The first attempt leaves its progress behind, a later one finds it. */
static int resume(struct flo_activity_context *ctx, json_t *value, json_t **out_result)
{
    json_t *found = flo_activity_last_heartbeat(ctx);
    if (!found) {
        (void)flo_activity_heartbeat(ctx, value);
        return flo_activity_fail(ctx, "Halfway", false, NULL, "the next attempt goes on");
    }
    *out_result = json_incref(found);
    return 0;
}

static int fail_at_first(struct flo_activity_context *ctx, json_t *input)
{
    if (flo_activity_info(ctx)->attempt > kitchen_number(input, "times", 1))
        return 0;
    return flo_activity_fail(ctx, "Burnt", false, NULL, "attempt %d fails",
                             (int)flo_activity_info(ctx)->attempt);
}

int kitchen_cook(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const char *how = kitchen_text(input, "how", "ok");
    json_t *value = json_object_get(input, "value");
    int rc = 0;

    if (flo_activity_wait_cancelled(ctx, kitchen_number(input, "ms", 0)))
        return FLO_ECANCELLED;
    if (strcmp(how, "resume") == 0)
        return resume(ctx, value, out_result);
    if (strcmp(how, "retry") == 0)
        rc = fail_at_first(ctx, input);
    else if (strcmp(how, "fail") == 0)
        rc = flo_activity_fail(ctx, "Burnt", false, value, "it fails each time");
    else if (strcmp(how, "fatal") == 0)
        rc = flo_activity_fail(ctx, "Spoilt", true, value, "no further attempt");
    else if (strcmp(how, "silent") == 0)
        wait_for_stop(ctx, false);
    else if (strcmp(how, "hang") == 0 || strcmp(how, "finish") == 0)
        wait_for_stop(ctx, true);
    else if (strcmp(how, "ok") != 0)
        rc = flo_activity_fail(ctx, "BadStep", true, input, "no way to cook: %.100s", how);
    if (rc)
        return rc;
    if (strcmp(how, "silent") == 0 || strcmp(how, "hang") == 0)
        return FLO_ECANCELLED;
    *out_result = json_incref(value);
    return 0;
}
