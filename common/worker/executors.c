/* SPDX-License-Identifier: Apache-2.0 */
/* executors.c - how many executors there are, and of which kind. */
#include <stdio.h>

#include "executor/cores.h"
#include "worker/worker.h"

static bool isolated(const struct flo_worker *worker)
{
    return worker->config->executor.isolation == FLO_ISOLATION_PROCESS;
}

/* Settings that the machine cannot fulfil are obeyed, but not in silence. */
static void warn_of_crowd(const struct flo_cores *cores, int64_t workers)
{
    char message[200];

    if (workers <= (int64_t)flo_cores_fit(cores))
        return;
    if (cores->quota_milli > 0 && cores->quota_milli < (int64_t)cores->count * 1000)
        snprintf(message, sizeof message,
                 "executor.workers: %lld computing executors share a CPU quota of %.2f cores: "
                 "they will be stopped in between",
                 (long long)workers, (double)cores->quota_milli / 1000);
    else
        snprintf(message, sizeof message,
                 "executor.workers: %lld executors share %u cores: more than one is bound to the "
                 "same",
                 (long long)workers, cores->count);
    flo_log(FLO_LOG_WARN, "executor.crowded", message, NULL);
}

/* `executor.workers`; 0: as many as fit, and why not more; but each queue needs one to poll for. */
static unsigned count_of(const struct flo_worker *worker)
{
    int64_t workers = worker->config->executor.workers;
    unsigned queues = (unsigned)worker->config->queues.count, fit;
    struct flo_cores cores;

    if (workers > 0 && !(isolated(worker) && worker->config->executor.pin))
        return (unsigned)workers;
    flo_cores_read("", &cores);
    fit = flo_cores_fit(&cores);
    if (workers == 0 && fit < cores.count)
        flo_log(FLO_LOG_INFO, "executor.quota",
                "Fewer executors than cores: the cgroup's CPU quota is smaller", "#cores",
                FLO_NUM(cores.count), "#quota_millicores", FLO_NUM(cores.quota_milli), "#executors",
                FLO_NUM(fit), NULL);
    if (workers == 0)
        workers = queues > fit ? queues : fit;
    warn_of_crowd(&cores, workers);
    return (unsigned)workers;
}

int flo_worker_prepare_executors(struct flo_worker *worker, const char *name, struct flo_err *err)
{
    if (!isolated(worker))
        return 0;
    return flo_worker_fork_template(worker, name, count_of(worker), worker->config->executor.pin,
                                    err);
}

int flo_worker_start_executors(struct flo_worker *worker, const char *name, struct flo_err *err)
{
    if (isolated(worker))
        return flo_worker_use_processes(worker, err);
    return flo_worker_use_threads(worker, name, count_of(worker), err);
}
