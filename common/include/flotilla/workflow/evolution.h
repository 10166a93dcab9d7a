/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow/evolution.h - changing workflow code while executions of it are under way, and taking in
 * values that differ from run to run. Include flotilla/workflow.h.
 *
 * An execution is replayed from its history, so new code must do what the old code did wherever an
 * execution has passed already. flo_patched tells the two apart:
 *
 *     if (flo_patched(wf, "charge-before-shipping"))
 *         rc = charge_then_ship(wf, order);
 *     else
 *         rc = ship_then_charge(wf, order);
 *
 * Three releases later, when no execution is left that went the old way: flo_patch_deprecate in the
 * place of the if. When no execution is left whose history has the mark, that goes, too.
 */
#ifndef FLOTILLA_WORKFLOW_EVOLUTION_H
#define FLOTILLA_WORKFLOW_EVOLUTION_H

#include <jansson.h>
#include <stdbool.h>

#include "flotilla/error.h"
#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Does this execution go the new way? True when it gets here for the first time (which a marker in
 * its history records), and whenever it is replayed with that marker; false when it had passed here
 * before this call was in the code. An id gives the same answer everywhere in one execution. The
 * ids of an execution are its search attribute TemporalChangeVersion, so that executions that went
 * an old way can be looked for.
 */
FLO_API bool flo_patched(struct flo_workflow *wf, const char *id);

/*
 * Only the new way is left in the code: histories that have the marker of flo_patched still fit,
 * and so do those that have none because they began before. What this records itself lets code
 * without any call for this id replay it.
 */
FLO_API void flo_patch_deprecate(struct flo_workflow *wf, const char *id);

/*
 * Gives a value that may differ from call to call: a random number of another source, a setting.
 * Returns a new reference; NULL counts as JSON null. It runs on the coroutine's stack, must not
 * call any function of this runtime and must not block.
 */
typedef json_t *(*flo_side_effect_fn)(void *ctx);

/*
 * Call fn(ctx) once in the life of this execution and record what it returns; replays get the
 * recorded value. *out_value is a new reference. For values that are there at once: what takes
 * time, or may fail, is a local activity.
 *
 *     static json_t *pick_region(void *ctx)
 *     {
 *         return json_string(settings_region(ctx));
 *     }
 *     ...
 *     json_t *region;
 *     rc = flo_side_effect(wf, pick_region, settings, &region);
 *
 * 0; FLO_EINVAL with a failure on wf: fn is NULL.
 */
FLO_API int flo_side_effect(struct flo_workflow *wf, flo_side_effect_fn fn, void *ctx,
                            json_t **out_value);

/*
 * The same for a value that is asked for again and again, under one id: fn is called each time
 * (never in a replay), but recorded is only a value that differs from the last one. equal NULL
 * compares as JSON; last and current are borrowed. *out_value: the last recorded one, a new
 * reference.
 *
 *     rc = flo_mutable_side_effect(wf, "limit", read_limit, settings, NULL, &limit);
 *
 * 0; FLO_EINVAL with a failure on wf: no id or no fn.
 */
FLO_API int flo_mutable_side_effect(struct flo_workflow *wf, const char *id, flo_side_effect_fn fn,
                                    void *ctx,
                                    bool (*equal)(const json_t *last, const json_t *current),
                                    json_t **out_value);

#ifndef FLO_NO_CALL_SITES
#define flo_patched(wf, ...) flo_patched(FLO_HERE(wf), __VA_ARGS__)
#define flo_patch_deprecate(wf, ...) flo_patch_deprecate(FLO_HERE(wf), __VA_ARGS__)
#define flo_side_effect(wf, ...) flo_side_effect(FLO_HERE(wf), __VA_ARGS__)
#define flo_mutable_side_effect(wf, ...) flo_mutable_side_effect(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
