/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - two loads of the same table: what differs, and taking a value over. */
#include <string.h>

#include "base/alloc.h"
#include "config/internal.h"

static bool same_strings(const struct flo_strings *a, const struct flo_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_list(const struct flo_setting *row, const struct flo_list_value *a,
                      const struct flo_list_value *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const char *left = (const char *)a->items + i * row->item_size;
        const char *right = (const char *)b->items + i * row->item_size;
        for (size_t j = 0; j < row->item_count; j++)
            if (!flo_setting_same(&row->items[j], left + row->items[j].offset,
                                  right + row->items[j].offset))
                return false;
    }
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): tables of tables are two deep */
bool flo_setting_same(const struct flo_setting *row, const void *a, const void *b)
{
    switch (row->type) {
    case FLO_SETTING_STRING:
        return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
    case FLO_SETTING_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case FLO_SETTING_INT:
    case FLO_SETTING_DURATION:
    case FLO_SETTING_SIZE:
        return *(const int64_t *)a == *(const int64_t *)b;
    case FLO_SETTING_FLOAT:
        return *(const double *)a == *(const double *)b;
    case FLO_SETTING_ENUM:
        return *(const int *)a == *(const int *)b;
    case FLO_SETTING_STRINGS:
        return same_strings(a, b);
    case FLO_SETTING_JSON:
        return json_equal(*(json_t *const *)a, *(json_t *const *)b);
    case FLO_SETTING_LIST:
        return same_list(row, a, b);
    }
    return false;
}

bool flo_config_same(const struct flo_config *a, const struct flo_config *b, size_t i)
{
    const struct flo_setting *row = &a->table[i];

    if (row->roles && a->role && !(row->roles & a->role))
        return true;
    return flo_setting_same(row, (const char *)a + row->offset, (const char *)b + row->offset);
}

/* ---- taking over ---- */

static int copy_strings(struct flo_config *config, struct flo_strings *to,
                        const struct flo_strings *from)
{
    struct flo_strings copy = {.count = from->count};

    copy.items = flo_arena_calloc(&config->arena, from->count + 1, sizeof *copy.items);
    if (!copy.items)
        return FLO_ENOMEM;
    for (size_t i = 0; i < from->count; i++) {
        copy.items[i] = flo_arena_strdup(&config->arena, from->items[i]);
        if (!copy.items[i])
            return FLO_ENOMEM;
    }
    *to = copy;
    return 0;
}

static int copy_value(struct flo_config *config, const struct flo_setting *row, void *to,
                      const void *from);

/* NOLINTNEXTLINE(misc-no-recursion): tables of tables are two deep */
static int copy_list(struct flo_config *config, const struct flo_setting *row,
                     struct flo_list_value *to, const struct flo_list_value *from)
{
    struct flo_list_value copy = {.count = from->count};
    int rc = 0;

    copy.items = flo_arena_calloc(&config->arena, from->count + 1, row->item_size);
    if (!copy.items)
        return FLO_ENOMEM;
    for (size_t i = 0; i < from->count * row->item_count && !rc; i++) {
        const struct flo_setting *item = &row->items[i % row->item_count];
        size_t at = i / row->item_count * row->item_size + item->offset;
        rc = copy_value(config, item, (char *)copy.items + at, (const char *)from->items + at);
    }
    if (!rc)
        *to = copy;
    return rc;
}

static int copy_text(struct flo_config *config, const char **to, const char *from)
{
    const char *copy = flo_arena_strdup(&config->arena, from);

    if (copy)
        *to = copy;
    return copy ? 0 : FLO_ENOMEM;
}

/* NOLINTNEXTLINE(misc-no-recursion): tables of tables are two deep */
static int copy_value(struct flo_config *config, const struct flo_setting *row, void *to,
                      const void *from)
{
    switch (row->type) {
    case FLO_SETTING_STRING:
        return copy_text(config, to, *(const char *const *)from);
    case FLO_SETTING_BOOL:
        *(bool *)to = *(const bool *)from;
        return 0;
    case FLO_SETTING_INT:
    case FLO_SETTING_DURATION:
    case FLO_SETTING_SIZE:
        *(int64_t *)to = *(const int64_t *)from;
        return 0;
    case FLO_SETTING_FLOAT:
        *(double *)to = *(const double *)from;
        return 0;
    case FLO_SETTING_ENUM:
        *(int *)to = *(const int *)from;
        return 0;
    case FLO_SETTING_STRINGS:
        return copy_strings(config, to, from);
    case FLO_SETTING_JSON:
        if (flo_config_own_json(config, json_incref(*(json_t *const *)from), NULL))
            return FLO_ENOMEM;
        *(json_t **)to = *(json_t *const *)from;
        return 0;
    case FLO_SETTING_LIST:
        return copy_list(config, row, to, from);
    }
    return FLO_EINVAL;
}

int flo_config_adopt(struct flo_config *config, const struct flo_config *from, size_t i)
{
    const struct flo_setting *row = &config->table[i];
    struct flo_source source = from->sources[i];
    int rc = 0;

    if (source.name)
        rc = copy_text(config, &source.name, source.name);
    if (!rc)
        rc =
            copy_value(config, row, (char *)config + row->offset, (const char *)from + row->offset);
    if (!rc)
        config->sources[i] = source;
    return rc;
}
