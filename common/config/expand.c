/* SPDX-License-Identifier: Apache-2.0 */
/* expand.c - ${VAR} in values of the file. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/internal.h"

#define EXPANDED_MAX_BYTES 65536

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return len > 0 && len < 128;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static int bad_reference(const struct flo_value_text *value, struct flo_err *err)
{
    return flo_fail(err, FLO_ECONFIG,
                    "%s: %s: a bad reference; ${NAME} or ${NAME:-default} is allowed, $$ is a "
                    "dollar",
                    value->where, value->key);
}

/* Append the value of the reference whose inside is name[:-fallback]. */
static int append_reference(const struct flo_value_text *value, const char *inside, size_t len,
                            struct flo_buf *out, struct flo_err *err)
{
    const char *fallback = NULL;
    size_t name_len = len;
    for (size_t i = 0; i + 1 < len; i++) {
        if (inside[i] == ':' && inside[i + 1] == '-') {
            fallback = inside + i + 2;
            name_len = i;
            break;
        }
    }
    if (!is_name(inside, name_len))
        return bad_reference(value, err);
    char name[128];
    memcpy(name, inside, name_len);
    name[name_len] = '\0';
    const char *text = getenv(name);
    if (fallback && (!text || !*text)) {
        flo_buf_append(out, fallback, (size_t)(inside + len - fallback));
        return 0;
    }
    if (!text)
        return flo_fail(err, FLO_ECONFIG,
                        "%s: %s: the environment variable %s is not set; set it or write "
                        "${%s:-default}",
                        value->where, value->key, name, name);
    if (has_control(text))
        return flo_fail(err, FLO_ECONFIG,
                        "%s: %s: the environment variable %s holds a newline or control character; "
                        "one line of text is allowed",
                        value->where, value->key, name);
    flo_buf_append_str(out, text);
    return 0;
}

static int expand_into(const struct flo_value_text *value, struct flo_buf *out, struct flo_err *err)
{
    for (const char *p = value->text; *p;) {
        size_t plain = strcspn(p, "$");
        flo_buf_append(out, p, plain);
        p += plain;
        if (!*p)
            break;
        if (p[1] == '$') {
            flo_buf_append_str(out, "$");
            p += 2;
            continue;
        }
        const char *end = p[1] == '{' ? strchr(p, '}') : NULL;
        if (!end)
            return bad_reference(value, err);
        int rc = append_reference(value, p + 2, (size_t)(end - p - 2), out, err);
        if (rc)
            return rc;
        p = end + 1;
    }
    return 0;
}

int flo_expand(const struct flo_value_text *value, struct flo_arena *arena, const char **out,
               struct flo_err *err)
{
    if (!strchr(value->text, '$')) {
        *out = value->text;
        return 0;
    }
    struct flo_buf text;
    flo_buf_init(&text, EXPANDED_MAX_BYTES);
    int rc = expand_into(value, &text, err);
    if (!rc && text.failed)
        rc = flo_fail(err, FLO_ECONFIG, "%s: %s: too long once its variables are put in",
                      value->where, value->key);
    if (!rc) {
        const char *copy = flo_arena_strdup(arena, flo_buf_cstr(&text));
        if (copy)
            *out = copy;
        else
            rc = flo_fail(err, FLO_ENOMEM, "%s: no memory", value->where);
    }
    flo_buf_fini(&text);
    return rc;
}
