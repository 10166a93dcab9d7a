/* SPDX-License-Identifier: Apache-2.0 */
/* env.c - an environment: making and freeing it, its problem, what it keeps for the test. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "testing/kit.h"
#include "wire/payload.h"

#define START_MS INT64_C(1893456000000) /* 2030-01-01 */
#define LIMIT_MS (INT64_C(10) * 365 * 24 * 3600 * 1000)

int kit_problem(struct flo_test_env *env, int code, const char *fmt, ...)
{
    char text[sizeof env->problem.message];
    va_list args;
    if (env->problem.code)
        return code;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return flo_fail(&env->problem, code, "%s", text);
}

const char *flo_test_problem(const struct flo_test_env *env)
{
    return env->problem.code ? env->problem.message : "";
}

json_t *kit_keep(struct flo_test_env *env, json_t *value)
{
    if (value && json_array_append_new(env->kept, value)) {
        kit_problem(env, FLO_ENOMEM, "no memory for a value");
        return NULL;
    }
    return value;
}

char *kit_text(struct flo_test_env *env, const char *text)
{
    char *copy = flo_arena_strdup(&env->arena, text);
    if (!copy)
        kit_problem(env, FLO_ENOMEM, "no memory for a text");
    return copy ? copy : KIT_TEXT("");
}

json_t *flo_test_json(struct flo_test_env *env, const char *text)
{
    struct flo_err err = {0};
    json_t *value = NULL;
    if (flo_json_parse(text, strlen(text), &value, &err)) {
        kit_problem(env, err.code, "the JSON text %s does not parse: %s", text, err.message);
        return json_null();
    }
    return kit_keep(env, value);
}

/* ---- modules ---- */

/* all, ended by NULL, with one more; in the environment's memory. NULL: no memory. */
static const void **longer(struct flo_test_env *env, const void *all_ended, const void *one)
{
    const void *const *all = all_ended;
    size_t count = 0;
    while (all && all[count])
        count++;
    const void **made = flo_arena_calloc(&env->arena, count + 2, sizeof *made);
    if (!made)
        return NULL;
    if (count)
        memcpy(made, all, count * sizeof *made);
    made[count] = one;
    return made;
}

/* Its workflow types, for messages, its workflow interceptors and the keys of headers that travel.
 */
static int put_into_runs(struct flo_test_env *env, const struct flo_module *module)
{
    struct flo_run_env *to = &env->run_env;
    const struct flo_workflow_interceptor *by = module->workflow_interceptors;
    for (const struct flo_workflow_entry *e = module->workflows; e && e->type; e++) {
        const void **all = longer(env, to->workflow_types, e->type);
        if (!all)
            return FLO_ENOMEM;
        to->workflow_types = (const char *const *)all;
    }
    for (; by && (by->inbound || by->outbound); by++) {
        const void **all = longer(env, to->interceptors, by);
        if (!all)
            return FLO_ENOMEM;
        to->interceptors = (const struct flo_workflow_interceptor *const *)all;
    }
    for (const char *const *key = module->propagate; key && *key; key++) {
        const void **all = longer(env, to->propagate, *key);
        if (!all)
            return FLO_ENOMEM;
        to->propagate = (const char *const *)all;
    }
    env->quiet_env.workflow_types = to->workflow_types;
    env->quiet_env.interceptors = to->interceptors;
    env->quiet_env.propagate = to->propagate;
    return 0;
}

void flo_test_env_add(struct flo_test_env *env, const struct flo_module *module)
{
    struct kit_module *entry = flo_calloc(1, sizeof *entry);
    if (!entry) {
        kit_problem(env, FLO_ENOMEM, "no memory for a module");
        return;
    }
    if (module->abi != FLO_MODULE_ABI)
        kit_problem(env, FLO_EINVAL, "the module %s was built for ABI %u, this is %u", module->name,
                    (unsigned)module->abi, (unsigned)FLO_MODULE_ABI);
    entry->module = module;
    flo_list_push_back(&env->modules, &entry->node);
    if (put_into_runs(env, module))
        kit_problem(env, FLO_ENOMEM, "no memory for a module");
}

flo_workflow_fn kit_find_workflow(void *ctx, const char *type)
{
    const struct flo_test_env *env = ctx;
    FLO_LIST_FOREACH(node, &env->modules)
    {
        const struct flo_workflow_entry *entry =
            flo_container(node, struct kit_module, node)->module->workflows;
        for (; entry && entry->type; entry++)
            if (strcmp(entry->type, type) == 0)
                return entry->run;
    }
    return NULL;
}

const struct flo_activity_entry *kit_find_activity(struct flo_test_env *env, const char *type,
                                                   struct kit_module **out_module)
{
    FLO_LIST_FOREACH(node, &env->modules)
    {
        struct kit_module *module = flo_container(node, struct kit_module, node);
        const struct flo_activity_entry *entry = module->module->activities;
        for (; entry && entry->type; entry++) {
            if (strcmp(entry->type, type) == 0) {
                *out_module = module;
                return entry;
            }
        }
    }
    return NULL;
}

/* ---- the core ---- */

static int store_find(void *ctx, const char *namespace_id, const char *workflow_id,
                      const char *run_id, struct flo_core_stored_run *out)
{
    (void)ctx, (void)namespace_id, (void)workflow_id, (void)run_id, (void)out;
    return FLO_ENOENT; /* all runs are in the core's memory */
}

static int store_history(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                         bool (*batch)(void *batch_ctx, int64_t first_event_id,
                                       uint32_t event_count, const uint8_t *events, size_t len),
                         void *batch_ctx)
{
    (void)ctx, (void)key, (void)first_event_id, (void)reverse, (void)batch, (void)batch_ctx;
    return 0;
}

static int core_new(struct flo_test_env *env)
{
    const struct flo_core_env core_env = {
        .ctx = env,
        .reply = kit_core_reply,
        .store = {.ctx = env, .find = store_find, .history = store_history},
        .seed = env->options.seed};
    const struct flo_core_options options = {.history_count_suggest =
                                                 env->options.suggest_continue_events};
    struct flo_core_batch *batch = NULL;
    int rc = flo_core_new(&core_env, &options, &env->core);
    if (rc)
        return rc;
    flo_core_begin(env->core, env->clock.now_ns);
    rc = flo_core_ensure_namespace(env->core, KIT_NAMESPACE, 0);
    if (rc == 0)
        rc = flo_core_take_batch(env->core, &batch); /* the one that is never confirmed */
    flo_core_batch_free(&batch);
    return rc;
}

/* ---- making and freeing ---- */

static void log_line(void *ctx, enum flo_log_level level, const char *workflow_id,
                     const char *run_id, const char *workflow_type, const char *traceparent,
                     const char *message)
{
    const struct flo_test_env *env = ctx;
    (void)level, (void)run_id, (void)traceparent;
    if (env->options.log)
        fprintf(stderr, "workflow %s (%s): %s\n", workflow_id, workflow_type, message);
}

static void take_options(struct flo_test_env *env, const struct flo_test_options *options)
{
    if (options)
        env->options = *options;
    if (!env->options.seed)
        env->options.seed = 1;
    if (env->options.start_ms <= 0)
        env->options.start_ms = START_MS;
    if (env->options.limit_ms <= 0)
        env->options.limit_ms = LIMIT_MS;
    env->options.task_queue =
        kit_text(env, env->options.task_queue ? env->options.task_queue : "test");
    env->options.settings = env->options.settings
                                ? kit_keep(env, json_incref(env->options.settings))
                                : kit_keep(env, json_object());
    env->clock.start_ns = env->clock.now_ns = env->options.start_ms * FLO_NS_PER_MS;
    flo_rng_seed(&env->rng, env->options.seed);
    env->run_env = (struct flo_run_env){
        .namespace_ = KIT_NAMESPACE, .identity = "test", .log = log_line, .log_ctx = env};
    env->quiet_env = env->run_env;
    env->quiet_env.log = NULL;
}

struct flo_test_env *flo_test_env_new(const struct flo_module *module,
                                      const struct flo_test_options *options)
{
    flo_workflow_jansson_install();
    struct flo_test_env *env = flo_calloc(1, sizeof *env);
    if (!env)
        return NULL;
    struct flo_list *lists[] = {&env->modules, &env->calls,    &env->queues,    &env->handles,
                                &env->updates, &env->attempts, &env->activities};
    struct flo_map *maps[] = {&env->mocks, &env->counts, &env->cache, &env->held, &env->replayed};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        flo_list_init(lists[i]);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        flo_map_init(maps[i]);
    flo_arena_init(&env->arena, 0);
    env->kept = json_array();
    take_options(env, options);
    if (!env->kept || core_new(env)) {
        flo_test_env_destroy(&env);
        return NULL;
    }
    if (module)
        flo_test_env_add(env, module);
    (void)kit_queue_know(env, env->options.task_queue);
    return env;
}

void flo_test_env_destroy(struct flo_test_env **env)
{
    struct flo_test_env *gone = *env;
    *env = NULL;
    if (!gone)
        return;
    kit_local_fini(gone); /* lets go of its attempts */
    kit_attempts_fini(gone);
    kit_worker_fini(gone);
    kit_calls_fini(gone);
    flo_core_destroy(&gone->core);
    kit_queues_fini(gone);
    kit_activity_fini(gone);
    kit_updates_fini(gone);
    kit_handles_fini(gone);
    flo_map_fini(&gone->replayed);
    flo_free(gone->clock.events);
    json_decref(gone->kept);
    flo_arena_fini(&gone->arena);
    flo_free(gone);
}

/* ---- time ---- */

int64_t flo_test_now_ms(const struct flo_test_env *env)
{
    return env->clock.now_ns / FLO_NS_PER_MS;
}

int64_t flo_test_elapsed_ms(const struct flo_test_env *env)
{
    return (env->clock.now_ns - env->clock.start_ns) / FLO_NS_PER_MS;
}

int flo_test_advance(struct flo_test_env *env, int64_t ms, struct flo_err *err)
{
    int64_t until_ns = env->clock.now_ns + ms * FLO_NS_PER_MS;
    if (env->inside)
        return flo_fail(err, FLO_EINVAL, "time cannot go by inside an activity");
    while (kit_step(env, until_ns)) {
    }
    if (env->problem.code)
        return flo_fail(err, env->problem.code, "%s", env->problem.message);
    kit_queues_stop(env);
    env->clock.now_ns = until_ns;
    flo_core_begin(env->core, until_ns);
    kit_queues_poll(env);
    return 0;
}

struct at {
    void (*fn)(struct flo_test_env *env, void *ctx);
    void *ctx;
};

static void at_due(struct flo_test_env *env, void *ctx, uint64_t arg)
{
    const struct at *at = ctx;
    (void)arg;
    at->fn(env, at->ctx);
}

void flo_test_at(struct flo_test_env *env, int64_t delay_ms,
                 void (*fn)(struct flo_test_env *env, void *ctx), void *ctx)
{
    struct at *at = flo_arena_calloc(&env->arena, 1, sizeof *at);
    if (!at) {
        kit_problem(env, FLO_ENOMEM, "no memory for an event");
        return;
    }
    *at = (struct at){fn, ctx};
    kit_after(env, delay_ms * FLO_NS_PER_MS, at_due, at, 0);
}
