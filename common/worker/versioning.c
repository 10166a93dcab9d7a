/* SPDX-License-Identifier: Apache-2.0 */
/*
 * versioning.c - which build of the code a worker is, for the server: `build_id`, `deployment`,
 * and how runs of its workflow types go from one build to the next.
 *
 *   a build id alone             is told to the server, which shows it in histories
 *   a deployment, unversioned    the server also knows the worker as one of the deployment's
 *   a deployment, versioned      the server gives each run to the build that is to have it: pinned
 *                                runs stay with theirs, those that auto-upgrade go to the current
 *                                one
 */
#include <string.h>

#include "worker/worker.h"

static const FloApi__VersioningBehavior BEHAVIORS[] = {
    [FLO_VERSIONING_UNSPECIFIED] = FLO_API__VERSIONING_BEHAVIOR__VERSIONING_BEHAVIOR_UNSPECIFIED,
    [FLO_VERSIONING_PINNED] = FLO_API__VERSIONING_BEHAVIOR__VERSIONING_BEHAVIOR_PINNED,
    [FLO_VERSIONING_AUTO_UPGRADE] = FLO_API__VERSIONING_BEHAVIOR__VERSIONING_BEHAVIOR_AUTO_UPGRADE,
};

void flo_versioning_init(struct flo_worker *worker)
{
    const struct flo_role_config *config = worker->config;
    struct flo_versioning *v = &worker->versioning;
    char *build_id = (char *)(uintptr_t)config->build_id;

    flo_api__worker_deployment_options__init(&v->deployment);
    flo_api__worker_version_capabilities__init(&v->capabilities);
    flo_api__worker_version_stamp__init(&v->stamp);
    v->deployment.deployment_name = (char *)(uintptr_t)config->deployment.name;
    v->deployment.build_id = v->capabilities.build_id = v->stamp.build_id = build_id;
    v->deployment.worker_versioning_mode =
        config->deployment.versioned
            ? FLO_API__WORKER_VERSIONING_MODE__WORKER_VERSIONING_MODE_VERSIONED
            : FLO_API__WORKER_VERSIONING_MODE__WORKER_VERSIONING_MODE_UNVERSIONED;
    v->deployed = config->deployment.name[0] != '\0';
    v->named = build_id[0] != '\0';
}

FloApi__WorkerDeploymentOptions *flo_versioning_deployment(struct flo_worker *worker)
{
    return worker->versioning.deployed ? &worker->versioning.deployment : NULL;
}

FloApi__WorkerVersionCapabilities *flo_versioning_capabilities(struct flo_worker *worker)
{
    const struct flo_versioning *v = &worker->versioning;

    return v->named && !v->deployed ? &worker->versioning.capabilities : NULL;
}

FloApi__WorkerVersionStamp *flo_versioning_stamp(struct flo_worker *worker)
{
    const struct flo_versioning *v = &worker->versioning;

    return v->named && !v->deployed ? &worker->versioning.stamp : NULL;
}

FloApi__VersioningBehavior flo_versioning_behavior(const struct flo_worker *worker,
                                                   const char *type)
{
    const struct flo_role_config *config = worker->config;
    enum flo_versioning_behavior behavior = FLO_VERSIONING_UNSPECIFIED;

    if (!config->deployment.versioned) /* the server refuses one then */
        return BEHAVIORS[FLO_VERSIONING_UNSPECIFIED];
    behavior = flo_registry_versioning(worker->registry, type);
    if (behavior == FLO_VERSIONING_UNSPECIFIED)
        behavior = (enum flo_versioning_behavior)config->deployment.versioning_behavior;
    return BEHAVIORS[behavior];
}
