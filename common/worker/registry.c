/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c - loading modules and finding what they offer; see registry.h. */
#include "worker/registry.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "telemetry/log.h"
#include "worker/imports.h"

struct module {
    struct flo_node node; /* registry->modules */
    void *handle;         /* of dlopen; NULL for the linked table */
    const char *path;     /* the config's; NULL for the linked table */
    const struct flo_module *table;
    json_t *settings;                /* the config's, or an empty object of ours */
    const struct flo_strings *local; /* workflow role: the activities to run here; empty: all */
    void *shared;
    bool started;
};

struct type {
    const char *name; /* the table's */
    flo_workflow_fn workflow;
    flo_activity_fn activity;
    struct module *module;
    enum flo_versioning_behavior versioning;
};

struct flo_registry {
    struct flo_list modules;
    struct flo_map types; /* name -> struct type */
    const char **names;   /* sorted, ended by NULL; made by flo_registry_types */
    struct flo_activity_wrap *wraps;
    size_t wrap_count;
    /* Both ended by NULL; NULL: none. */
    const struct flo_workflow_interceptor **interceptors;
    const char **propagated;
    size_t interceptor_count, propagated_count;
};

int flo_registry_new(struct flo_registry **out, struct flo_err *err)
{
    struct flo_registry *registry = flo_calloc(1, sizeof *registry);

    if (!registry)
        return flo_fail(err, FLO_ENOMEM, "no memory for the module registry");
    flo_list_init(&registry->modules);
    flo_map_init(&registry->types);
    *out = registry;
    return 0;
}

static void module_free(struct module *module)
{
    if (module->handle)
        dlclose(module->handle);
    json_decref(module->settings);
    flo_free(module);
}

void flo_registry_destroy(struct flo_registry **registry)
{
    struct flo_registry *gone = *registry;
    struct flo_node *node;

    if (!gone)
        return;
    *registry = NULL;
    for (struct flo_map_entry *it = flo_map_first(&gone->types); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&gone->types);
    flo_free(gone->names);
    flo_free(gone->wraps);
    flo_free(gone->interceptors);
    flo_free(gone->propagated);
    while ((node = flo_list_pop_front(&gone->modules)))
        module_free(flo_container(node, struct module, node));
    flo_free(gone);
}

static bool listed(const struct flo_strings *only, const char *name)
{
    for (size_t i = 0; only && i < only->count; i++)
        if (strcmp(only->items[i], name) == 0)
            return true;
    return !only || only->count == 0;
}

static int register_type(struct flo_registry *registry, struct module *module, struct type type,
                         struct flo_err *err)
{
    const struct type *old = flo_map_get_str(&registry->types, type.name);
    struct type *copy;

    if (old)
        return flo_fail(err, FLO_ECONFIG, "module %s: type %s is already registered by module %s",
                        module->table->name, type.name, old->module->table->name);
    copy = flo_memdup(&type, sizeof type);
    if (!copy || flo_map_put_str(&registry->types, type.name, copy)) {
        flo_free(copy);
        return flo_fail(err, FLO_ENOMEM, "no memory for type %s", type.name);
    }
    return 0;
}

/* Every name in only must be one that the module has. */
static int check_list(const struct flo_registry *registry, const struct module *module,
                      const struct flo_strings *only, const char *kind, struct flo_err *err)
{
    for (size_t i = 0; only && i < only->count; i++) {
        const struct type *type = flo_map_get_str(&registry->types, only->items[i]);
        if (!type || type->module != module)
            return flo_fail(err, FLO_ECONFIG, "module %s has no %s of type %s",
                            module->path ? module->path : module->table->name, kind,
                            only->items[i]);
    }
    return 0;
}

/* The activity of a workflow worker's module, to be run there. They are looked up in the modules'
 * tables: most workflow workers never need one. */
static const struct flo_activity_entry *local_entry(const struct module *module, const char *name)
{
    for (const struct flo_activity_entry *entry = module->table->activities; entry && entry->type;
         entry++)
        if (strcmp(entry->type, name) == 0 && listed(module->local, name))
            return entry;
    return NULL;
}

static int check_local(const struct module *module, struct flo_err *err)
{
    for (size_t i = 0; module->local && i < module->local->count; i++)
        if (!local_entry(module, module->local->items[i]))
            return flo_fail(err, FLO_ECONFIG, "module %s has no activity of type %s", module->path,
                            module->local->items[i]);
    return 0;
}

static int register_interceptors(struct flo_registry *registry, struct module *module,
                                 struct flo_err *err)
{
    for (const struct flo_activity_interceptor *by = module->table->interceptors;
         by && (by->execute || by->heartbeat); by++) {
        struct flo_activity_wrap *wraps =
            flo_reallocarray(registry->wraps, registry->wrap_count + 1, sizeof *wraps);
        if (!wraps)
            return flo_fail(err, FLO_ENOMEM, "no memory for the interceptors of module %s",
                            module->table->name);
        wraps[registry->wrap_count++] =
            (struct flo_activity_wrap){.by = by, .shared = &module->shared};
        registry->wraps = wraps;
    }
    return 0;
}

static int register_workflow_interceptors(struct flo_registry *registry,
                                          const struct module *module, struct flo_err *err)
{
    for (const struct flo_workflow_interceptor *by = module->table->workflow_interceptors;
         by && (by->inbound || by->outbound); by++) {
        const struct flo_workflow_interceptor **all =
            flo_reallocarray(registry->interceptors, registry->interceptor_count + 2, sizeof *all);
        if (!all)
            return flo_fail(err, FLO_ENOMEM, "no memory for the interceptors of module %s",
                            module->table->name);
        all[registry->interceptor_count++] = by;
        all[registry->interceptor_count] = NULL;
        registry->interceptors = all;
    }
    return 0;
}

int flo_registry_propagate(struct flo_registry *registry, const char *key, struct flo_err *err)
{
    const char **all;

    for (size_t i = 0; i < registry->propagated_count; i++)
        if (strcmp(registry->propagated[i], key) == 0)
            return 0;
    all = flo_reallocarray(registry->propagated, registry->propagated_count + 2, sizeof *all);
    if (!all)
        return flo_fail(err, FLO_ENOMEM, "no memory for a header that travels");
    all[registry->propagated_count++] = key;
    all[registry->propagated_count] = NULL;
    registry->propagated = all;
    return 0;
}

static int register_propagated(struct flo_registry *registry, const struct module *module,
                               struct flo_err *err)
{
    int rc = 0;

    for (const char *const *key = module->table->propagate; key && *key && !rc; key++)
        rc = flo_registry_propagate(registry, *key, err);
    return rc;
}

static enum flo_versioning_behavior versioning_of(const struct module *module, const char *type)
{
    for (const struct flo_workflow_versioning *of = module->table->versioning; of && of->type; of++)
        if (strcmp(of->type, type) == 0)
            return of->behavior;
    return FLO_VERSIONING_UNSPECIFIED;
}

/* Rows about types that the module does not have, or with what is no behaviour, are mistakes. */
static int check_versioning(const struct module *module, struct flo_err *err)
{
    for (const struct flo_workflow_versioning *of = module->table->versioning; of && of->type;
         of++) {
        const struct flo_workflow_entry *entry = module->table->workflows;
        while (entry && entry->type && strcmp(entry->type, of->type) != 0)
            entry++;
        if (!entry || !entry->type)
            return flo_fail(err, FLO_ECONFIG,
                            "module %s: .versioning names %s, which is no "
                            "workflow type of it",
                            module->table->name, of->type);
        if ((unsigned)of->behavior > FLO_VERSIONING_AUTO_UPGRADE)
            return flo_fail(err, FLO_ECONFIG, "module %s: .versioning of %s is %d",
                            module->table->name, of->type, (int)of->behavior);
    }
    return 0;
}

static int register_module(struct flo_registry *registry, enum flo_role role, struct module *module,
                           const struct flo_strings *only, struct flo_err *err)
{
    bool workflows = role == FLO_ROLE_WORKFLOW;
    int rc = 0;

    flo_list_push_back(&registry->modules, &module->node);
    for (const struct flo_workflow_entry *entry = module->table->workflows;
         workflows && entry && entry->type && !rc; entry++)
        if (listed(only, entry->type))
            rc = register_type(registry, module,
                               (struct type){.name = entry->type,
                                             .workflow = entry->run,
                                             .module = module,
                                             .versioning = versioning_of(module, entry->type)},
                               err);
    for (const struct flo_activity_entry *entry = module->table->activities;
         !workflows && entry && entry->type && !rc; entry++)
        if (listed(only, entry->type))
            rc = register_type(
                registry, module,
                (struct type){.name = entry->type, .activity = entry->run, .module = module}, err);
    if (!rc)
        rc = register_interceptors(registry, module, err);
    if (!rc && workflows)
        rc = register_workflow_interceptors(registry, module, err);
    if (!rc && workflows)
        rc = register_propagated(registry, module, err);
    if (!rc && workflows)
        rc = check_local(module, err);
    if (!rc && workflows)
        rc = check_versioning(module, err);
    return rc ? rc : check_list(registry, module, only, workflows ? "workflow" : "activity", err);
}

/* A bare name is looked for among the installed modules; one of the same name may lie right here.
 */
static int fail_absent(const char *path, int error, struct flo_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    if (error == ENOENT && slash && access(name, F_OK) == 0)
        return flo_fail(err, FLO_ECONFIG, "module %s: %s; did you mean \"./%s\"?", path,
                        strerror(error), name);
    return flo_fail(err, FLO_ECONFIG, "module %s: %s", path, strerror(error));
}

/* What dlopen would say less clearly. */
static int check_file(const char *path, struct flo_err *err)
{
    unsigned char magic[SELFMAG] = {0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = 0;

    if (fd < 0)
        return fail_absent(path, errno, err);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = flo_fail(err, FLO_ECONFIG, "module %s: not a regular file", path);
    else if (st.st_mode & S_IWOTH)
        rc = flo_fail(err, FLO_ECONFIG, "module %s: writable by everybody (chmod o-w it)", path);
    else if (read(fd, magic, sizeof magic) != SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
        rc = flo_fail(err, FLO_ECONFIG, "module %s: not a shared object (no ELF header)", path);
    close(fd);
    return rc;
}

static int module_open(struct module *module, const struct flo_module_config *config,
                       struct flo_err *err)
{
    int rc = check_file(config->path, err);

    if (rc)
        return rc;
    module->handle = dlopen(config->path, RTLD_NOW | RTLD_LOCAL);
    if (!module->handle)
        return flo_fail(err, FLO_ECONFIG, "module does not load: %s", dlerror());
    module->table = dlsym(module->handle, "flo_module");
    if (!module->table)
        return flo_fail(err, FLO_ECONFIG,
                        "module %s: no symbol flo_module (is the table exported and not static?)",
                        config->path);
    if (module->table->abi == 0)
        return flo_fail(err, FLO_ECONFIG,
                        "module %s: its table has no .abi: set .abi = FLO_MODULE_ABI",
                        config->path);
    if (module->table->abi != FLO_MODULE_ABI)
        return flo_fail(err, FLO_ECONFIG,
                        "module %s: built for module ABI %u, this program has %u (build it again)",
                        config->path, module->table->abi, FLO_MODULE_ABI);
    if (!module->table->name)
        return flo_fail(err, FLO_ECONFIG, "module %s: its table has no name", config->path);
    return 0;
}

/* Of a workflow worker's module: does it import what workflows may not use? */
static int check_imports(const struct module *module, const struct flo_module_config *config,
                         struct flo_err *err)
{
    const struct flo_module *table = module->table;
    bool mixed = table->activities && table->activities->type;
    struct flo_err why = {0};

    if (!table->workflows || !table->workflows->type)
        return 0;
    if (!flo_imports_check(module->handle, config->path, mixed, &why))
        return 0;
    if (!config->unchecked)
        return flo_fail(err, why.code, "%s", why.message);
    flo_log(FLO_LOG_WARN, "module.unchecked", "Workflows are loaded unchecked", "module",
            config->path, "reason", why.message, NULL);
    return 0;
}

int flo_registry_load(struct flo_registry *registry, enum flo_role role,
                      const struct flo_module_config *config, struct flo_err *err)
{
    struct module *module = flo_calloc(1, sizeof *module);
    int rc;

    if (!module)
        return flo_fail(err, FLO_ENOMEM, "no memory for module %s", config->path);
    module->path = config->path;
    module->local = &config->activities;
    module->settings = json_incref(config->settings);
    rc = module_open(module, config, err);
    if (!rc && role == FLO_ROLE_WORKFLOW)
        rc = check_imports(module, config, err);
    if (rc) {
        module_free(module);
        return rc;
    }
    return register_module(registry, role, module,
                           role == FLO_ROLE_WORKFLOW ? &config->workflows : &config->activities,
                           err);
}

int flo_registry_add(struct flo_registry *registry, enum flo_role role,
                     const struct flo_module *table, struct flo_err *err)
{
    struct module *module;

    if (table->abi != FLO_MODULE_ABI)
        return flo_fail(err, FLO_ECONFIG, "module %s: .abi is %u, not FLO_MODULE_ABI (%u)",
                        table->name ? table->name : "(without a name)", table->abi, FLO_MODULE_ABI);
    module = flo_calloc(1, sizeof *module);
    if (!module)
        return flo_fail(err, FLO_ENOMEM, "no memory for module %s", table->name);
    module->table = table;
    return register_module(registry, role, module, NULL, err);
}

int flo_registry_start(struct flo_registry *registry, const char *role, const char *identity,
                       struct flo_err *err)
{
    FLO_LIST_FOREACH(node, &registry->modules)
    {
        struct module *module = flo_container(node, struct module, node);
        struct flo_module_env env = {.role = role, .identity = identity};
        int rc;
        if (!module->settings)
            module->settings = json_object();
        env.settings = module->settings;
        rc = module->table->start ? module->table->start(&env, &module->shared, err) : 0;
        if (rc) {
            if (err && err->code == 0)
                flo_fail(err, rc, "%s", flo_error_text(rc));
            flo_err_prefix(err, "module %s does not start", module->table->name);
            flo_registry_stop(registry); /* those before it */
            return rc;
        }
        module->started = true;
    }
    return 0;
}

void flo_registry_stop(struct flo_registry *registry)
{
    FLO_LIST_FOREACH(node, &registry->modules)
    {
        struct module *module = flo_container(node, struct module, node);
        if (module->started && module->table->stop)
            module->table->stop(module->shared);
        module->started = false;
        module->shared = NULL;
    }
}

flo_workflow_fn flo_registry_workflow(const struct flo_registry *registry, const char *name)
{
    const struct type *type = flo_map_get_str(&registry->types, name);

    return type ? type->workflow : NULL;
}

enum flo_versioning_behavior flo_registry_versioning(const struct flo_registry *registry,
                                                     const char *type)
{
    const struct type *found = flo_map_get_str(&registry->types, type);

    return found ? found->versioning : FLO_VERSIONING_UNSPECIFIED;
}

bool flo_registry_activity(const struct flo_registry *registry, const char *name,
                           flo_activity_fn *out_fn, void **out_shared)
{
    const struct type *type = flo_map_get_str(&registry->types, name);

    if (!type || !type->activity)
        return false;
    *out_fn = type->activity;
    *out_shared = type->module->shared;
    return true;
}

bool flo_registry_local(const struct flo_registry *registry, const char *name,
                        flo_activity_fn *out_fn, void **out_shared)
{
    FLO_LIST_FOREACH(node, &registry->modules)
    {
        const struct module *module = flo_container(node, struct module, node);
        const struct flo_activity_entry *entry = local_entry(module, name);
        if (!entry)
            continue;
        *out_fn = entry->run;
        *out_shared = module->shared;
        return true;
    }
    return false;
}

void flo_registry_local_names(const struct flo_registry *registry, struct flo_buf *out)
{
    FLO_LIST_FOREACH(node, &registry->modules)
    {
        const struct module *module = flo_container(node, struct module, node);
        for (const struct flo_activity_entry *entry = module->table->activities;
             entry && entry->type; entry++)
            if (listed(module->local, entry->type))
                (void)!flo_buf_printf(out, "%s%s", out->len ? ", " : "", entry->type);
    }
}

const struct flo_activity_wrap *flo_registry_wraps(const struct flo_registry *registry,
                                                   size_t *out_count)
{
    *out_count = registry->wrap_count;
    return registry->wraps;
}

void flo_registry_around(const struct flo_registry *registry, struct flo_run_env *out_env)
{
    out_env->interceptors = registry->interceptors;
    out_env->propagate = registry->propagated;
}

int flo_registry_codecs(const struct flo_registry *registry, struct flo_codec_row *row)
{
    int rc = 0;

    FLO_LIST_FOREACH(node, &registry->modules)
    {
        const struct module *module = flo_container(node, struct module, node);
        for (const struct flo_codec *codec = module->table->codecs; codec && codec->name && !rc;
             codec++)
            rc = flo_codec_row_add(row, codec);
    }
    return rc;
}

size_t flo_registry_count(const struct flo_registry *registry)
{
    return registry->types.count;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *flo_registry_types(struct flo_registry *registry)
{
    const char **names = flo_calloc(registry->types.count + 1, sizeof *names);
    size_t count = 0;

    if (!names)
        return NULL;
    for (const struct flo_map_entry *it = flo_map_first(&registry->types); it;
         it = flo_map_next(it))
        names[count++] = ((const struct type *)flo_map_value(it))->name;
    qsort(names, count, sizeof *names, by_name);
    flo_free(registry->names);
    registry->names = names;
    return names;
}

void flo_registry_names(const struct flo_registry *registry, struct flo_buf *out)
{
    for (size_t i = 0; registry->names && registry->names[i]; i++)
        (void)!flo_buf_printf(out, "%s%s", i ? ", " : "", registry->names[i]);
}
