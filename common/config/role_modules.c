/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_modules.c - file names in a worker's configuration: its modules.
 *
 * A relative name means: relative to the YAML file's folder when the file said it, else relative
 * to the current folder, as with any command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/internal.h"
#include "config/process.h"
#include "config/role_internal.h"

/* Where modules named without a slash are looked for: module_path, or beside the executable. */
static const char *module_folder(struct flo_arena *arena, const char *module_path, const char *file)
{
    char dir[PATH_MAX];
    if (module_path && *module_path)
        return module_path;
    if (flo_process_exe_dir(dir, sizeof dir, NULL))
        return ".";
    const char *installed = flo_arena_printf(arena, "%s/../lib/flotilla/modules", dir);
    const char *path = installed ? flo_arena_printf(arena, "%s/%s", installed, file) : NULL;
    if (path && access(path, F_OK) == 0)
        return installed;
    return flo_arena_printf(arena, "%s/../modules", dir);
}

const char *flo_config_module_file(struct flo_arena *arena, enum flo_role role,
                                   const char *module_path, const char *name)
{
    size_t len = strlen(name);
    bool whole = len > 3 && strcmp(name + len - 3, ".so") == 0;
    const char *file = whole ? name : flo_arena_printf(arena, "%s.so", name);
    const char *folder = file ? module_folder(arena, module_path, file) : NULL;
    const char *split = folder && !whole && role == FLO_ROLE_WORKFLOW
                            ? flo_arena_printf(arena, "%s/%s.workflows.so", folder, name)
                            : NULL;
    if (split && access(split, F_OK) == 0)
        return split;
    return folder ? flo_arena_printf(arena, "%s/%s", folder, file) : NULL;
}

static int finish_module(struct flo_role_config *config, struct flo_module_config *module,
                         struct flo_err *err)
{
    const char *path = module->path;
    if (!strchr(path, '/'))
        path =
            flo_config_module_file(&config->config.arena, config->role, config->module_path, path);
    else if (*path != '/')
        path = flo_arena_printf(&config->config.arena, "%s/%s", config->config.dir, path);
    if (!path)
        return flo_fail(err, FLO_ENOMEM, "no memory for a module's name");
    module->path = path;
    if (config->role == FLO_ROLE_WORKFLOW)
        return 0;
    /* What the module's own settings say wins. */
    json_t *database =
        json_pack("{s:I,s:I}", "db_pool_size", (json_int_t)config->database.pool_size,
                  "db_max_overflow", (json_int_t)config->database.max_overflow);
    int failed = !database || json_object_update_missing(module->settings, database);
    json_decref(database);
    return failed ? flo_fail(err, FLO_ENOMEM, "no memory for a module's settings") : 0;
}

int flo_role_finish_modules(struct flo_role_config *config, struct flo_err *err)
{
    struct flo_module_config *modules = config->modules.items;
    for (size_t i = 0; i < config->modules.count; i++) {
        int rc = finish_module(config, &modules[i], err);
        if (rc)
            return rc;
    }
    return 0;
}
