/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - loads a table of settings: for each row --set, else environment, else file, else
 * default, and remembers which it was.
 */
#include "config/schema.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

#define KEYS_MAX 160

static bool row_applies(const struct flo_setting *row, unsigned role)
{
    return !row->roles || !role || (row->roles & role);
}

static void *field_of(struct flo_config *config, const struct flo_setting *row)
{
    return (char *)config + row->offset; /* config is the struct's first member */
}

/* ---- --set ---- */

static const char *keep(struct flo_config *config, const char *text)
{
    return flo_arena_strdup(&config->arena, text);
}

/* The row of key, or -1. */
static int find_row(const struct flo_config *config, const char *key, size_t key_len)
{
    for (size_t i = 0; i < config->count; i++)
        if (row_applies(&config->table[i], config->role) &&
            strlen(config->table[i].key) == key_len &&
            strncmp(config->table[i].key, key, key_len) == 0)
            return (int)i;
    return -1;
}

static int unknown_set(const struct flo_config *config, const char *key, struct flo_err *err)
{
    const char *candidates[KEYS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < config->count && count < KEYS_MAX; i++)
        if (row_applies(&config->table[i], config->role))
            candidates[count++] = config->table[i].key;
    const char *meant = flo_did_you_mean(key, candidates, count);
    if (meant)
        return flo_fail(err, FLO_ECONFIG, "--set: %s: unknown setting; did you mean \"%s\"?", key,
                        meant);
    return flo_fail(err, FLO_ECONFIG, "--set: %s: unknown setting; see docs/configuration.md", key);
}

static int store_flag(struct flo_config *config, int i, const char *option, const char *text,
                      struct flo_err *err)
{
    const struct flo_setting *row = &config->table[i];
    const struct flo_value_text value = {.text = text, .where = option, .key = row->key};
    int rc = flo_value_parse(row, &value, &config->arena, field_of(config, row), err);
    if (!rc)
        config->sources[i] = (struct flo_source){.kind = FLO_FROM_FLAG};
    return rc;
}

static int store_set(struct flo_config *config, const char *set, struct flo_err *err)
{
    const char *equals = strchr(set, '=');
    if (!equals || equals == set)
        return flo_fail(err, FLO_EINVAL, "--set \"%.80s\": KEY=VALUE is expected", set);
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)(equals - set), set);
    int i = find_row(config, key, (size_t)(equals - set));
    if (i < 0)
        return unknown_set(config, key, err);
    const struct flo_setting *row = &config->table[i];
    if (row->flags & FLO_SETTING_SECRET)
        return flo_fail(err, FLO_EINVAL,
                        "--set: %s: a secret may not stand on the command line, where others can "
                        "read it; use the environment or a file",
                        key);
    if (row->type == FLO_SETTING_JSON || row->type == FLO_SETTING_LIST)
        return flo_fail(err, FLO_EINVAL, "--set: %s: only the file can hold this setting", key);
    return store_flag(config, i, "--set", equals + 1, err);
}

/* An option of its own: a setting that every program with a configuration has. */
static int store_option(struct flo_config *config, const char *option, const char *key,
                        const char *text, struct flo_err *err)
{
    int i = text ? find_row(config, key, strlen(key)) : -1;
    return i < 0 ? 0 : store_flag(config, i, option, text, err);
}

/* ---- environment ---- */

/* The first variable of the row that is set and not empty; its name goes to name. */
static const char *find_env(const struct flo_setting *row, char name[64])
{
    for (const char *p = row->env; p && *p;) {
        size_t len = strcspn(p, " ");
        snprintf(name, 64, "%.*s", (int)len, p);
        const char *text = getenv(name);
        if (text && *text)
            return text;
        p += len + strspn(p + len, " ");
    }
    return NULL;
}

static int store_env(struct flo_config *config, const struct flo_setting *row,
                     struct flo_source *source, struct flo_err *err)
{
    char name[64], where[96];
    const char *text = find_env(row, name);
    if (!text)
        return FLO_ENOENT;
    snprintf(where, sizeof where, "environment variable %s", name);
    const struct flo_value_text value = {.text = text, .where = where, .key = row->key};
    int rc = flo_value_parse(row, &value, &config->arena, field_of(config, row), err);
    if (!rc)
        *source = (struct flo_source){.kind = FLO_FROM_ENV, .name = keep(config, name)};
    return rc;
}

/* ---- file ---- */

static int store_file(struct flo_config *config, const struct flo_setting *row,
                      const struct flo_yaml *yaml, struct flo_source *source, struct flo_err *err)
{
    const struct flo_yaml_node *node = flo_yaml_find(yaml->root, row->key);
    if (!node)
        return FLO_ENOENT;
    int rc = flo_node_store(config, row, yaml, node, row->key, field_of(config, row), err);
    if (rc)
        return rc;
    *source = (struct flo_source){
        .kind = FLO_FROM_FILE, .name = config->file, .line = node->line, .column = node->column};
    if ((row->flags & FLO_SETTING_SECRET) && yaml->others_may_read)
        flo_config_warn(config,
                        "%s:%d: %s: the file that holds this secret can be read by others; "
                        "chmod 600 it",
                        yaml->file, node->line, row->key);
    return 0;
}

/* ---- defaults ---- */

int flo_store_default(struct flo_config *config, const struct flo_setting *row, void *field,
                      struct flo_err *err)
{
    if (row->type == FLO_SETTING_JSON) {
        json_t *json = json_object();
        int rc = flo_config_own_json(config, json, err);
        if (!rc)
            *(json_t **)field = json;
        return rc;
    }
    if (row->type == FLO_SETTING_LIST || (row->type == FLO_SETTING_STRINGS && !row->initial))
        return 0; /* zeroed: empty */
    if (row->type == FLO_SETTING_STRING && !row->initial) {
        *(const char **)field = "";
        return 0;
    }
    struct flo_setting unbounded = *row;
    unbounded.min = unbounded.max = 0; /* "" or 0 may stand for "none" outside the bounds */
    const struct flo_value_text value = {.text = row->initial ? row->initial : "0",
                                         .quoted = row->type == FLO_SETTING_STRING,
                                         .where = "default",
                                         .key = row->key};
    return flo_value_parse(&unbounded, &value, &config->arena, field, err);
}

static int store_row(struct flo_config *config, size_t i, const struct flo_yaml *yaml,
                     struct flo_err *err)
{
    const struct flo_setting *row = &config->table[i];
    struct flo_source *source = &config->sources[i];
    if (!row_applies(row, config->role) || source->kind == FLO_FROM_FLAG)
        return 0;
    int rc = store_env(config, row, source, err);
    if (rc == FLO_ENOENT)
        rc = store_file(config, row, yaml, source, err);
    if (rc == FLO_ENOENT && (row->flags & FLO_SETTING_REQUIRED)) {
        struct flo_buf allowed;
        flo_buf_init(&allowed, 256);
        flo_value_print_allowed(row, &allowed);
        rc = flo_fail(
            err, FLO_ECONFIG, "%s: %s: is missing; %s must be given in the file%s%s or by --set",
            config->file ? config->file : "configuration", row->key, flo_buf_cstr(&allowed),
            row->env ? ", by the environment variable " : "", row->env ? row->env : "");
        flo_buf_fini(&allowed);
        return rc;
    }
    if (rc == FLO_ENOENT)
        rc = flo_store_default(config, row, field_of(config, row), err);
    return rc;
}

/* ---- loading ---- */

static int load_file(struct flo_config *config, const char *path, struct flo_yaml *yaml,
                     struct flo_err *err)
{
    config->file = keep(config, path);
    char *dir = flo_arena_strdup(&config->arena, path);
    if (!config->file || !dir)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory for the configuration", path);
    char *slash = strrchr(dir, '/');
    if (slash) {
        slash[slash == dir] = '\0';
        config->dir = dir;
    }
    int rc = flo_yaml_load(path, yaml, err);
    if (rc)
        return rc;
    if (yaml->world_writable)
        return flo_fail(err, FLO_EPERM,
                        "%s: everybody may write this file, so it is not trusted; chmod o-w it",
                        path);
    return flo_node_check_keys(config->table, config->count, config->role, yaml, yaml->root, "",
                               err);
}

int flo_config_load(struct flo_config *config, const struct flo_setting *table, size_t count,
                    unsigned role, const struct flo_cmdline *cmdline, struct flo_err *err)
{
    config->table = table;
    config->count = count;
    config->role = role;
    config->dir = ".";
    flo_arena_init(&config->arena, 0);
    config->sources = flo_arena_calloc(&config->arena, count, sizeof *config->sources);
    if (!config->sources)
        return flo_fail(err, FLO_ENOMEM, "no memory for the configuration");
    struct flo_yaml yaml = {0};
    int rc = cmdline->config ? load_file(config, cmdline->config, &yaml, err) : 0;
    for (size_t i = 0; i < cmdline->set_count && !rc; i++)
        rc = store_set(config, cmdline->sets[i], err);
    if (!rc)
        rc = store_option(config, "--log-level", "log.level", cmdline->log_level, err);
    if (!rc)
        rc = store_option(config, "--log-format", "log.format", cmdline->log_format, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = store_row(config, i, &yaml, err);
    flo_yaml_free(&yaml);
    return rc;
}

void flo_config_fini(struct flo_config *config)
{
    for (size_t i = 0; i < config->json_count; i++)
        json_decref(config->json[i]);
    config->json_count = 0;
    flo_arena_fini(&config->arena);
}

const struct flo_source *flo_config_source(const struct flo_config *config, const char *key)
{
    int i = find_row(config, key, strlen(key));
    return i < 0 ? NULL : &config->sources[i];
}

void flo_config_follows(struct flo_config *config, const char *key, const char *other)
{
    int i = find_row(config, key, strlen(key));
    if (i >= 0)
        config->sources[i] = (struct flo_source){.kind = FLO_FROM_OTHER, .name = other};
}

int flo_config_refuse(const struct flo_config *config, const char *key, struct flo_err *err,
                      const char *fmt, ...)
{
    char sentence[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    const struct flo_source *source = flo_config_source(config, key);
    if (source && source->kind == FLO_FROM_FILE)
        return flo_fail(err, FLO_ECONFIG, "%s:%d:%d: %s: %s", source->name, source->line,
                        source->column, key, sentence);
    if (source && source->kind == FLO_FROM_ENV)
        return flo_fail(err, FLO_ECONFIG, "environment variable %s: %s: %s", source->name, key,
                        sentence);
    return flo_fail(err, FLO_ECONFIG, "%s: %s: %s",
                    source && source->kind == FLO_FROM_FLAG ? "--set" : "configuration", key,
                    sentence);
}

void flo_config_warn(struct flo_config *config, const char *fmt, ...)
{
    char sentence[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    if (config->warning_count == sizeof config->warnings / sizeof config->warnings[0])
        return;
    const char *copy = keep(config, sentence);
    if (copy)
        config->warnings[config->warning_count++] = copy;
}
