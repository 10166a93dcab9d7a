/* SPDX-License-Identifier: Apache-2.0 */
/* features.c - the features that take part; see feature.h. */
#include "simulation/feature.h"

#include <stdlib.h>

static const struct feature *const features[] = {
    &queries_feature, &readers_feature, &resets_feature,     &schedules_feature,
    &updates_feature, &batches_feature, &operations_feature,
};

#define COUNT (sizeof features / sizeof *features)
_Static_assert(COUNT <= FEATURES_MAX, "struct cast has room for their states");

void *feature_state(struct cast *cast, const struct feature *feature, size_t bytes)
{
    size_t i = 0;
    while (features[i] != feature)
        i++;
    if (!cast->feature_states[i])
        cast->feature_states[i] = flo_arena_calloc(&cast->world->arena, 1, bytes);
    if (!cast->feature_states[i])
        abort();
    return cast->feature_states[i];
}

void features_begin(struct cast *cast)
{
    for (size_t i = 0; i < COUNT; i++)
        features[i]->begin(cast);
}

bool features_done(struct cast *cast)
{
    for (size_t i = 0; i < COUNT; i++)
        if (features[i]->done && !features[i]->done(cast))
            return false;
    return true;
}

void features_check_durable(struct cast *cast)
{
    for (size_t i = 0; i < COUNT; i++)
        if (features[i]->check_durable)
            features[i]->check_durable(cast);
}

void features_check_end(struct cast *cast)
{
    for (size_t i = 0; i < COUNT; i++)
        if (features[i]->check_end)
            features[i]->check_end(cast);
}
