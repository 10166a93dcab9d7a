/* SPDX-License-Identifier: Apache-2.0 */
/* scale_known.c - see scale_known.h. */
#include "supervisor/scaling/scale_known.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "config/role_config.h"

void flo_scale_known_init(struct flo_scale_known *known)
{
    flo_list_init(&known->queues);
    known->of = NULL;
}

void flo_scale_known_fini(struct flo_scale_known *known)
{
    while (known->queues.count) {
        struct flo_scale_known_queue *queue =
            flo_container(flo_list_pop_front(&known->queues), struct flo_scale_known_queue, node);
        flo_free(queue->name);
        flo_free(queue->name_space);
        flo_free(queue->worker);
        flo_free(queue);
    }
}

static int know(struct flo_scale_known *known, const char *worker, enum flo_fleet_role role,
                const char *name)
{
    struct flo_scale_known_queue *queue = flo_calloc(1, sizeof *queue);
    if (!queue)
        return FLO_ENOMEM;
    queue->name = flo_strdup(name);
    queue->name_space = flo_strdup(known->of->server.name_space);
    queue->worker = flo_strdup(worker);
    queue->role = role;
    flo_list_push_back(&known->queues, &queue->node);
    return queue->name && queue->name_space && queue->worker ? 0 : FLO_ENOMEM;
}

/* The settings that fleet.yaml gives the worker over those of its file. */
static void add_sets(struct flo_cmdline *cmdline, const struct flo_fleet_worker *worker,
                     struct flo_arena *arena)
{
    const char *key;
    json_t *value;
    json_object_foreach(worker->set, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        const char *plain = json_is_string(value) ? json_string_value(value) : text;
        char *set = plain ? flo_arena_printf(arena, "%s=%s", key, plain) : NULL;
        if (set && cmdline->set_count < FLO_CMDLINE_SETS_MAX)
            cmdline->sets[cmdline->set_count++] = set;
        free(text); /* jansson's */
    }
}

static int know_worker(struct flo_scale_known *known, const struct flo_fleet_worker *worker)
{
    struct flo_cmdline cmdline = {.program = worker->program,
                                  .config = *worker->config ? worker->config : NULL};
    struct flo_role_config *config = NULL;
    struct flo_arena arena;
    enum flo_role role;
    int rc = 0;
    if (!flo_fleet_worker_role(worker, &role))
        return 0;
    flo_arena_init(&arena, 0);
    add_sets(&cmdline, worker, &arena);
    if (flo_role_config_load(role, &cmdline, &config, NULL) == 0) {
        for (size_t i = 0; i < config->polled.count && !rc; i++)
            rc = know(known, worker->name, (enum flo_fleet_role)role,
                      flo_role_config_queue(config, i)->name);
        flo_role_config_destroy(&config);
    }
    flo_arena_fini(&arena);
    return rc;
}

int flo_scale_known_read(struct flo_scale_known *known, const struct flo_fleet_config *config,
                         bool with_workers)
{
    const struct flo_fleet_queue *queues = config->scaling.queues.items;
    int rc = 0;
    flo_scale_known_fini(known);
    known->of = config;
    for (size_t i = 0; i < config->scaling.queues.count && !rc; i++)
        rc = know(known, "", (enum flo_fleet_role)queues[i].role, queues[i].name);
    for (size_t i = 0; with_workers && i < config->workers.count && !rc; i++)
        rc = know_worker(known, flo_fleet_config_worker(config, i));
    return rc;
}
