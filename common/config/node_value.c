/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_value.c - what stands in the file, put into the struct: scalars, lists, maps, and lists of
 * maps with a table of their own; and the check that every key is known.
 */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

#define KEY_PATH_MAX 192
#define LIST_MAX 64 /* elements of a list of maps */
#define NAMES_MAX 96

static void where_of(const struct flo_yaml *yaml, int line, int column, char *out, size_t size)
{
    snprintf(out, size, "%s:%d:%d", yaml->file, line, column);
}

static int wrong_kind(const struct flo_setting *row, const struct flo_yaml *yaml,
                      const struct flo_yaml_node *node, const char *key, struct flo_err *err)
{
    static const char *const kinds[] = {"a single value", "a map", "a list"};
    struct flo_buf allowed;
    flo_buf_init(&allowed, 512);
    flo_value_print_allowed(row, &allowed);
    int rc = flo_fail(err, FLO_ECONFIG, "%s:%d:%d: %s: this is %s; %s is allowed", yaml->file,
                      node->line, node->column, key, kinds[node->kind], flo_buf_cstr(&allowed));
    flo_buf_fini(&allowed);
    return rc;
}

/* ---- maps of anything ---- */

static int to_json(const struct flo_yaml *yaml, struct flo_arena *arena,
                   const struct flo_yaml_node *node, const char *key, json_t **out,
                   struct flo_err *err);

static json_t *scalar_to_json(const char *text, bool quoted)
{
    if (!quoted) {
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            return json_boolean(text[0] == 't');
        if (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
            return json_null();
        /* Whatever JSON would read as a number is one; all else is text. */
        json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
        if (json_is_number(number))
            return number;
        json_decref(number);
    }
    return json_string(text);
}

static int container_to_json(const struct flo_yaml *yaml, struct flo_arena *arena,
                             const struct flo_yaml_node *node, const char *key, json_t **out,
                             struct flo_err *err)
{
    bool map = node->kind == FLO_YAML_MAP;
    json_t *json = map ? json_object() : json_array();
    int rc = json ? 0 : FLO_ENOMEM;
    for (const struct flo_yaml_node *child = node->first; child && !rc; child = child->next) {
        json_t *value = NULL;
        rc = to_json(yaml, arena, child, key, &value, err);
        if (!rc && (map ? json_object_set_new(json, child->key, value)
                        : json_array_append_new(json, value)))
            rc = FLO_ENOMEM;
    }
    if (rc)
        json_decref(json);
    else
        *out = json;
    return rc;
}

static int to_json(const struct flo_yaml *yaml, struct flo_arena *arena,
                   const struct flo_yaml_node *node, const char *key, json_t **out,
                   struct flo_err *err)
{
    if (node->kind != FLO_YAML_SCALAR)
        return container_to_json(yaml, arena, node, key, out, err);
    char where[512];
    where_of(yaml, node->line, node->column, where, sizeof where);
    const struct flo_value_text value = {.text = node->text, .where = where, .key = key};
    const char *text;
    int rc = flo_expand(&value, arena, &text, err);
    if (rc)
        return rc;
    json_t *json = scalar_to_json(text, node->quoted);
    if (!json)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", where);
    *out = json;
    return 0;
}

int flo_config_own_json(struct flo_config *config, json_t *json, struct flo_err *err)
{
    if (json && config->json_count < sizeof config->json / sizeof config->json[0]) {
        config->json[config->json_count++] = json;
        return 0;
    }
    bool full = json != NULL;
    json_decref(json);
    return full ? flo_fail(err, FLO_ECONFIG, "too many maps in one configuration")
                : flo_fail(err, FLO_ENOMEM, "no memory for a map");
}

static int store_json(struct flo_config *config, const struct flo_setting *row,
                      const struct flo_yaml *yaml, const struct flo_yaml_node *node,
                      const char *key, json_t **field, struct flo_err *err)
{
    if (node->kind != FLO_YAML_MAP)
        return wrong_kind(row, yaml, node, key, err);
    json_t *json = NULL;
    int rc = to_json(yaml, &config->arena, node, key, &json, err);
    if (!rc)
        rc = flo_config_own_json(config, json, err);
    if (!rc)
        *field = json;
    return rc;
}

/* ---- lists ---- */

static int expand_scalar(struct flo_config *config, const struct flo_yaml *yaml,
                         const struct flo_yaml_node *node, const char *key, char where[512],
                         struct flo_value_text *out, struct flo_err *err)
{
    where_of(yaml, node->line, node->column, where, 512);
    *out = (struct flo_value_text){
        .text = node->text, .quoted = node->quoted, .where = where, .key = key};
    return flo_expand(out, &config->arena, &out->text, err);
}

static int store_strings(struct flo_config *config, const struct flo_setting *row,
                         const struct flo_yaml *yaml, const struct flo_yaml_node *node,
                         const char *key, struct flo_strings *field, struct flo_err *err)
{
    if (node->kind != FLO_YAML_LIST)
        return wrong_kind(row, yaml, node, key, err);
    const struct flo_setting element = {.type = FLO_SETTING_STRING, .min = 1, .max = 1024};
    struct flo_strings list = {
        .items = flo_arena_calloc(&config->arena, node->count + 1, sizeof *list.items)};
    if (!list.items)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", key);
    for (const struct flo_yaml_node *child = node->first; child; child = child->next) {
        char where[512];
        struct flo_value_text value;
        if (child->kind != FLO_YAML_SCALAR)
            return wrong_kind(&element, yaml, child, key, err);
        int rc = expand_scalar(config, yaml, child, key, where, &value, err);
        if (!rc)
            rc = flo_value_parse(&element, &value, &config->arena, &list.items[list.count], err);
        if (rc)
            return rc;
        list.count++;
    }
    *field = list;
    return 0;
}

static const struct flo_setting *shorthand_row(const struct flo_setting *row)
{
    for (size_t i = 0; row->item_shorthand && i < row->item_count; i++)
        if (strcmp(row->items[i].key, row->item_shorthand) == 0)
            return &row->items[i];
    return NULL;
}

/* One element of a list of maps; key is "modules[0]". */
static int store_item(struct flo_config *config, const struct flo_setting *row,
                      const struct flo_yaml *yaml, const struct flo_yaml_node *node,
                      const char *key, char *item, struct flo_err *err)
{
    const struct flo_setting *shorthand = shorthand_row(row);
    bool plain = node->kind == FLO_YAML_SCALAR && shorthand;
    if (!plain && node->kind != FLO_YAML_MAP)
        return wrong_kind(row, yaml, node, key, err);
    char prefix[KEY_PATH_MAX + 1];
    snprintf(prefix, sizeof prefix, "%s.", key);
    int rc =
        plain ? 0 : flo_node_check_keys(row->items, row->item_count, 0, yaml, node, prefix, err);
    for (size_t i = 0; i < row->item_count && !rc; i++) {
        const struct flo_setting *member = &row->items[i];
        const struct flo_yaml_node *child =
            plain ? (member == shorthand ? node : NULL) : flo_yaml_find(node, member->key);
        char path[KEY_PATH_MAX * 2];
        snprintf(path, sizeof path, "%s%s", prefix, member->key);
        if (child)
            rc = flo_node_store(config, member, yaml, child, path, item + member->offset, err);
        else if (member->flags & FLO_SETTING_REQUIRED)
            rc = flo_fail(err, FLO_ECONFIG, "%s:%d:%d: %s: is missing; it must be given",
                          yaml->file, node->line, node->column, path);
        else
            rc = flo_store_default(config, member, item + member->offset, err);
    }
    return rc;
}

static int store_list(struct flo_config *config, const struct flo_setting *row,
                      const struct flo_yaml *yaml, const struct flo_yaml_node *node,
                      const char *key, struct flo_list_value *field, struct flo_err *err)
{
    if (node->kind != FLO_YAML_LIST)
        return wrong_kind(row, yaml, node, key, err);
    if (node->count > LIST_MAX)
        return flo_fail(err, FLO_ECONFIG, "%s:%d:%d: %s: too many elements; at most %d are allowed",
                        yaml->file, node->line, node->column, key, LIST_MAX);
    struct flo_list_value list = {
        .items = flo_arena_calloc(&config->arena, node->count + 1, row->item_size)};
    if (!list.items)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory", key);
    for (const struct flo_yaml_node *child = node->first; child; child = child->next) {
        char path[KEY_PATH_MAX];
        snprintf(path, sizeof path, "%.160s[%zu]", key, list.count);
        int rc = store_item(config, row, yaml, child, path,
                            (char *)list.items + list.count * row->item_size, err);
        if (rc)
            return rc;
        list.count++;
    }
    *field = list;
    return 0;
}

/* A file may be moved with what it names beside it. */
static int resolve_file(struct flo_config *config, const char **path, struct flo_err *err)
{
    if (!**path || **path == '/')
        return 0;
    const char *full = flo_arena_printf(&config->arena, "%s/%s", config->dir, *path);
    if (!full)
        return flo_fail(err, FLO_ENOMEM, "no memory for a file name");
    *path = full;
    return 0;
}

int flo_node_store(struct flo_config *config, const struct flo_setting *row,
                   const struct flo_yaml *yaml, const struct flo_yaml_node *node, const char *key,
                   void *field, struct flo_err *err)
{
    if (row->type == FLO_SETTING_JSON)
        return store_json(config, row, yaml, node, key, field, err);
    if (row->type == FLO_SETTING_STRINGS)
        return store_strings(config, row, yaml, node, key, field, err);
    if (row->type == FLO_SETTING_LIST)
        return store_list(config, row, yaml, node, key, field, err);
    if (node->kind != FLO_YAML_SCALAR)
        return wrong_kind(row, yaml, node, key, err);
    char where[512];
    struct flo_value_text value;
    int rc = expand_scalar(config, yaml, node, key, where, &value, err);
    if (!rc)
        rc = flo_value_parse(row, &value, &config->arena, field, err);
    if (!rc && (row->flags & FLO_SETTING_PATH))
        rc = resolve_file(config, field, err);
    return rc;
}

/* ---- known keys ---- */

/* The names that may stand behind prefix, each once: first components of the rows' keys. */
static size_t names_below(const struct flo_setting *table, size_t count, unsigned role,
                          const char *prefix, char names[NAMES_MAX][48])
{
    size_t found = 0, prefix_len = strlen(prefix);
    for (size_t i = 0; i < count && found < NAMES_MAX; i++) {
        if (role && table[i].roles && !(table[i].roles & role))
            continue;
        if (strncmp(table[i].key, prefix, prefix_len) != 0)
            continue;
        snprintf(names[found], sizeof names[found], "%.*s",
                 (int)strcspn(table[i].key + prefix_len, "."), table[i].key + prefix_len);
        size_t twin = 0;
        while (strcmp(names[twin], names[found]) != 0)
            twin++;
        found += twin == found;
    }
    return found;
}

enum key_match { KEY_UNKNOWN, KEY_LEAF, KEY_SECTION };

static enum key_match match_key(const struct flo_setting *table, size_t count, unsigned role,
                                const char *key)
{
    size_t len = strlen(key);
    enum key_match match = KEY_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        if (role && table[i].roles && !(table[i].roles & role))
            continue;
        if (strncmp(table[i].key, key, len) != 0)
            continue;
        if (!table[i].key[len])
            return KEY_LEAF;
        if (table[i].key[len] == '.')
            match = KEY_SECTION;
    }
    return match;
}

static int unknown_key(const struct flo_setting *table, size_t count, unsigned role,
                       const struct flo_yaml *yaml, const struct flo_yaml_node *node,
                       const char *shown, const char *prefix, struct flo_err *err)
{
    if (role && match_key(table, count, 0, shown) != KEY_UNKNOWN)
        return flo_fail(err, FLO_ECONFIG,
                        "%s:%d:%d: %s: this kind of worker has no such setting; it belongs to "
                        "another role (see docs/configuration.md)",
                        yaml->file, node->key_line, node->key_column, shown);
    char names[NAMES_MAX][48];
    const char *candidates[NAMES_MAX];
    size_t found = names_below(table, count, role, prefix, names);
    char allowed[300] = "";
    size_t len = 0;
    for (size_t i = 0; i < found; i++) {
        candidates[i] = names[i];
        if (len < sizeof allowed)
            len += (size_t)snprintf(allowed + len, sizeof allowed - len, "%s%s", i ? ", " : "",
                                    names[i]);
    }
    const char *meant = flo_did_you_mean(node->key, candidates, found);
    if (meant)
        return flo_fail(err, FLO_ECONFIG, "%s:%d:%d: %s: unknown setting; did you mean \"%s\"?",
                        yaml->file, node->key_line, node->key_column, shown, meant);
    return flo_fail(err, FLO_ECONFIG, "%s:%d:%d: %s: unknown setting; allowed here: %s", yaml->file,
                    node->key_line, node->key_column, shown, allowed);
}

/* inner: the path inside the table; shown_prefix: what stands before it in messages. */
static int check_keys(const struct flo_setting *table, size_t count, unsigned role,
                      const struct flo_yaml *yaml, const struct flo_yaml_node *map,
                      const char *inner, const char *shown_prefix, struct flo_err *err)
{
    for (const struct flo_yaml_node *node = map->first; node; node = node->next) {
        char key[KEY_PATH_MAX * 2], shown[KEY_PATH_MAX * 3];
        snprintf(key, sizeof key, "%s%s", inner, node->key);
        snprintf(shown, sizeof shown, "%s%s", shown_prefix, key);
        enum key_match match = match_key(table, count, role, key);
        int rc = 0;
        if (match == KEY_UNKNOWN)
            rc = unknown_key(table, count, role, yaml, node, shown, inner, err);
        else if (match == KEY_SECTION && node->kind != FLO_YAML_MAP)
            rc = flo_fail(err, FLO_ECONFIG,
                          "%s:%d:%d: %s: this is a single value; a map of settings is allowed",
                          yaml->file, node->line, node->column, shown);
        else if (match == KEY_SECTION) {
            char deeper[KEY_PATH_MAX * 2 + 1];
            snprintf(deeper, sizeof deeper, "%.380s.", key);
            rc = check_keys(table, count, role, yaml, node, deeper, shown_prefix, err);
        }
        if (rc)
            return rc;
    }
    return 0;
}

int flo_node_check_keys(const struct flo_setting *table, size_t count, unsigned role,
                        const struct flo_yaml *yaml, const struct flo_yaml_node *map,
                        const char *prefix, struct flo_err *err)
{
    return check_keys(table, count, role, yaml, map, "", prefix, err);
}
