/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.c - key=value,... with percent-encoding. */
#include "base/pairs.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* text, trimmed and decoded. FLO_EINVAL, FLO_ENOMEM. */
static int decode(const char *text, size_t len, char **out)
{
    for (; len && is_space(*text); len--)
        text++;
    while (len && is_space(text[len - 1]))
        len--;
    char *copy = flo_malloc(len + 1), *to = copy;
    if (!copy)
        return FLO_ENOMEM;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < len ? flo_hex_digit(text[i + 1]) : -1;
            int low = high < 0 ? -1 : flo_hex_digit(text[i + 2]);
            c = low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f) { /* a percent sign that begins nothing, too */
            flo_free(copy);
            return FLO_EINVAL;
        }
        *to++ = (char)c;
    }
    *to = '\0';
    *out = copy;
    return 0;
}

/* RFC 9110's token: what the name of a header may be. */
static bool is_token(const char *name)
{
    size_t len = strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return name[len] == '\0';
}

static int read_pair(const char *text, size_t len, bool headers, struct flo_pair *out)
{
    const char *equals = memchr(text, '=', len);
    size_t key_len = equals ? (size_t)(equals - text) : len;
    int rc = equals ? decode(text, key_len, &out->key) : FLO_EINVAL;
    if (!rc)
        rc = decode(equals + 1, len - key_len - 1, &out->value);
    if (!rc && (!*out->key || (headers && !is_token(out->key))))
        rc = FLO_EINVAL;
    return rc;
}

int flo_pairs_parse(const char *text, bool headers, struct flo_pairs *out, struct flo_err *err)
{
    struct flo_pairs pairs = {0};
    size_t room = 1;
    int rc = 0;

    for (const char *p = text; p && *p; p++)
        room += *p == ',';
    pairs.items = flo_calloc(room, sizeof *pairs.items);
    if (!pairs.items)
        return flo_fail(err, FLO_ENOMEM, "no memory for %zu pairs", room);
    for (const char *p = text ? text : ""; *p && !rc;) {
        size_t len = strcspn(p, ",");
        if (strspn(p, " \t") < len) /* else nothing stands between two commas */
            rc = read_pair(p, len, headers, &pairs.items[pairs.count++]);
        p += len + (p[len] == ',');
    }
    if (rc == FLO_EINVAL)
        flo_fail(err, rc, "pair %zu of the list is no %s=value with percent-encoding", pairs.count,
                 headers ? "header" : "key");
    else if (rc)
        flo_fail(err, rc, "no memory for a pair");
    else
        *out = pairs;
    if (rc)
        flo_pairs_fini(&pairs);
    return rc;
}

void flo_pairs_fini(struct flo_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        flo_free(pairs->items[i].key);
        flo_free(pairs->items[i].value);
    }
    flo_free(pairs->items);
    *pairs = (struct flo_pairs){0};
}

const char *flo_pairs_get(const struct flo_pairs *pairs, const char *key)
{
    for (size_t i = pairs->count; i-- > 0;)
        if (strcmp(pairs->items[i].key, key) == 0)
            return pairs->items[i].value;
    return NULL;
}
