/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_tuner.c - fixed slots or resource-based ones: which of the two the settings ask for, and
 * what then becomes of the others. With resource-based slots the numbers of fixed ones become
 * their maxima, so that everything that is sized by them (queues, threads) fits.
 */
#include <stdio.h>

#include "config/internal.h"
#include "config/role_internal.h"

/* Any of these given asks for resource-based slots, as long as tuner.kind is auto. */
static const char *const TUNED[] = {"tuner.target_cpu",
                                    "tuner.target_memory",
                                    "tuner.workflow_slots.min",
                                    "tuner.workflow_slots.max",
                                    "tuner.activity_slots.min",
                                    "tuner.activity_slots.max",
                                    "tuner.local_activity_slots.min",
                                    "tuner.local_activity_slots.max"};

/* The source of a key that somebody gave a value; NULL when it has its default. */
static const struct flo_source *given(const struct flo_role_config *config, const char *key)
{
    const struct flo_source *source = flo_config_source(&config->config, key);

    return source && source->kind != FLO_FROM_DEFAULT ? source : NULL;
}

/* How people know it: by the variable, if it came from one. */
static const char *asked_by(const struct flo_source *source, const char *key)
{
    return source->kind == FLO_FROM_ENV && source->name ? source->name : key;
}

static void choose(struct flo_role_config *config)
{
    const struct flo_source *source = NULL;
    const char *key = NULL;

    for (size_t i = 0; i < sizeof TUNED / sizeof *TUNED && !source; i++) {
        key = TUNED[i];
        source = given(config, key);
    }
    config->tuner.why = "tuner.kind";
    if (config->tuner.kind == FLO_TUNER_AUTO) {
        config->tuner.kind = source ? FLO_TUNER_RESOURCE : FLO_TUNER_FIXED;
        if (source) {
            config->tuner.why = asked_by(source, key);
            flo_config_follows(&config->config, "tuner.kind", config->tuner.why);
        }
    } else if (config->tuner.kind == FLO_TUNER_FIXED && source) {
        flo_config_warn(&config->config, "%s: has no effect while tuner.kind is fixed",
                        asked_by(source, key));
    }
}

/* A default gives way to the other bound that was given. */
static int check_range(struct flo_role_config *config, const char *name,
                       struct flo_slots_range *range, struct flo_err *err)
{
    char min[64], max[64];

    snprintf(min, sizeof min, "tuner.%s.min", name);
    snprintf(max, sizeof max, "tuner.%s.max", name);
    if (range->min <= range->max)
        return 0;
    if (!given(config, min)) {
        range->min = range->max;
        return 0;
    }
    if (!given(config, max)) {
        range->max = range->min;
        return 0;
    }
    return flo_config_refuse(&config->config, min, err, "%lld is more than the maximum, %lld",
                             (long long)range->min, (long long)range->max);
}

/* The value of key, whoever gave it, gives way to the maximum of range. */
static void take_maximum(struct flo_role_config *config, const char *key, int64_t *value,
                         const struct flo_slots_range *range, const char *instead)
{
    const struct flo_source *source = given(config, key);

    if (source)
        flo_config_warn(&config->config,
                        "%s: has no effect while slots are resource-based (by %s); %s counts",
                        asked_by(source, key), config->tuner.why, instead);
    *value = range->max;
    flo_config_follows(&config->config, key, instead);
}

static int tune_workflows(struct flo_role_config *config, struct flo_err *err)
{
    struct flo_slots_range *range = &config->tuner.workflow_slots;

    if (range->min < 2 && config->sticky_cache.max_entries)
        return flo_config_refuse(&config->config, "tuner.workflow_slots.min", err,
                                 "1 slot cannot serve two queues; at least 2 are allowed while "
                                 "sticky_cache.max_entries is above 0");
    take_maximum(config, "max_concurrent_workflow_tasks", &config->max_concurrent_workflow_tasks,
                 range, "tuner.workflow_slots");
    take_maximum(config, "max_concurrent_local_activities",
                 &config->max_concurrent_local_activities, &config->tuner.local_activity_slots,
                 "tuner.local_activity_slots");
    return 0;
}

/* Threads of the IO worker come with the slots; processes, and what computes, are bound to cores
 * and bound the slots: when their number is not given, at the start (worker/tuning.c). */
static void tune_activities(struct flo_role_config *config)
{
    struct flo_slots_range *range = &config->tuner.activity_slots;
    int64_t workers = config->executor.workers;

    if (config->role == FLO_ROLE_IO_ACTIVITY &&
        config->executor.isolation == FLO_ISOLATION_THREAD) {
        take_maximum(config, "executor.workers", &config->executor.workers, range,
                     "tuner.activity_slots.max");
    } else if (workers > 0) {
        if (range->max > workers && given(config, "tuner.activity_slots.max"))
            flo_config_warn(&config->config,
                            "tuner.activity_slots.max: %lld is more than executor.workers and "
                            "counts as %lld",
                            (long long)range->max, (long long)workers);
        range->max = range->max < workers ? range->max : workers;
        range->min = range->min < range->max ? range->min : range->max;
    }
    take_maximum(config, "max_concurrent_activities", &config->max_concurrent_activities, range,
                 "tuner.activity_slots");
}

int flo_role_finish_tuner(struct flo_role_config *config, struct flo_err *err)
{
    int rc = check_range(config, "workflow_slots", &config->tuner.workflow_slots, err);

    if (!rc)
        rc = check_range(config, "activity_slots", &config->tuner.activity_slots, err);
    if (!rc)
        rc = check_range(config, "local_activity_slots", &config->tuner.local_activity_slots, err);
    if (rc)
        return rc;
    choose(config);
    if (config->tuner.kind != FLO_TUNER_RESOURCE)
        return 0;
    if (config->role == FLO_ROLE_WORKFLOW)
        return tune_workflows(config, err);
    tune_activities(config);
    return 0;
}
