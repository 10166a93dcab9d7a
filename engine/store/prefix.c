/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefix.c - what an index has that begins with some text. Case does not count in such a condition
 * but it does in an index: so this seeks from one spelling that is there to the next one. Usually
 * there is one.
 */
#include <string.h>

#include "engine/store/internal.h"

#define SEEKS_MAX 200

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static void copy_upper(char *out, const char *text)
{
    while ((*out++ = upper(*text++)))
        continue;
}

static bool begins_with(const char *text, const char *prefix)
{
    for (; *prefix; text++, prefix++)
        if (lower(*text) != lower(*prefix))
            return false;
    return true;
}

/* The first spelling of prefix, in bytes' order, that comes after text, which does not begin with
 * one. False: there is none. out has room for the prefix. */
static bool next_spelling(const char *prefix, const char *text, char *out)
{
    size_t at = 0, later = 0; /* later: one more than where a small letter can still be taken */
    for (; prefix[at]; at++) {
        const unsigned char c = (unsigned char)text[at], up = (unsigned char)upper(prefix[at]),
                            low = (unsigned char)lower(prefix[at]);
        if (c != up && c != low) {
            if (c > low)
                break;
            out[at] = (char)(c < up ? up : low);
            copy_upper(out + at + 1, prefix + at + 1);
            return true;
        }
        out[at] = (char)c;
        if (c < low)
            later = at + 1;
    }
    if (!later)
        return false;
    out[later - 1] = lower(prefix[later - 1]);
    copy_upper(out + later, prefix + later);
    return true;
}

/* The first text behind all that begin with the len bytes of text. */
static char *behind(struct flo_arena *arena, const char *text, size_t len)
{
    char *out = flo_arena_strndup(arena, text, len);
    if (out)
        out[len - 1] = (char)((unsigned char)out[len - 1] + 1);
    return out;
}

/* The first text of the index from on; *out NULL: none is left. */
static int seek(struct flo_store *store, const char *namespace_id, const char *attribute,
                const char *from, struct flo_arena *arena, char **out, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(store->reader,
                               attribute ? FLO_STORE_SQL_SEEK_VALUE : FLO_STORE_SQL_SEEK_WORKFLOW,
                               &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_text(statement, 1, namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, from, -1, SQLITE_STATIC);
    if (attribute)
        sqlite3_bind_text(statement, 3, attribute, -1, SQLITE_STATIC);
    const int step = sqlite3_step(statement);
    *out = NULL;
    if (step == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        *out = flo_arena_strdup(arena, text ? text : "");
        if (!*out)
            rc = flo_fail(err, FLO_ENOMEM, "no memory for a query");
    } else {
        rc = flo_store_query_error(store, step, "cannot read the runs", err);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return rc;
}

/* Note one that begins with the prefix; *out_from: where to look on. */
static bool note(const struct flo_store_filter *filter, const char *found, struct flo_arena *arena,
                 struct flo_store_prefix *out, char **out_from)
{
    const size_t len = strlen(filter->prefix);
    if (!out->from)
        out->from = found;
    out->to = behind(arena, found, len);
    *out_from = filter->prefix_of ? flo_arena_printf(arena, "%s\x01", found)
                                  : flo_arena_strdup(arena, out->to ? out->to : "");
    if (out->value_count < FLO_STORE_PREFIX_VALUES)
        out->values[out->value_count] = found;
    out->value_count++;
    return out->to && *out_from;
}

int flo_store_find_prefix(struct flo_store *store, const char *namespace_id,
                          const struct flo_store_filter *filter, struct flo_arena *arena,
                          struct flo_store_prefix *out, struct flo_err *err)
{
    const size_t len = strlen(filter->prefix);
    char *from = flo_arena_strdup(arena, filter->prefix), *found;
    bool enough_memory = from != NULL;
    *out = (struct flo_store_prefix){.from = NULL};
    if (from)
        copy_upper(from, filter->prefix);
    for (int i = 0; enough_memory; i++) {
        if (i == SEEKS_MAX || out->value_count > FLO_STORE_PREFIX_VALUES) {
            /* Too many to name them: up to the last spelling that there can be. */
            out->value_count = FLO_STORE_PREFIX_VALUES + 1;
            if (!out->from) {
                copy_upper(from, filter->prefix);
                out->from = flo_arena_strdup(arena, from);
            }
            for (size_t at = 0; at < len; at++)
                from[at] = lower(filter->prefix[at]);
            out->to = behind(arena, from, len);
            enough_memory = out->from && out->to;
            break;
        }
        int rc = seek(store, namespace_id, filter->prefix_of, from, arena, &found, err);
        if (rc)
            return rc;
        if (!found)
            break;
        if (begins_with(found, filter->prefix))
            enough_memory = note(filter, found, arena, out, &from);
        else if (!next_spelling(filter->prefix, found, from))
            break;
    }
    return enough_memory ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for a query");
}
