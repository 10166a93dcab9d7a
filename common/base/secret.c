/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - names and URLs; see secret.h. */
#include "base/secret.h"

#include <string.h>
#include <strings.h>

bool flo_secret_name(const char *name, size_t len)
{
    static const char *const WORDS[] = {"key",        "secret",     "token", "passw",
                                        "passphrase", "credential", "dsn"};

    for (size_t w = 0; w < sizeof WORDS / sizeof *WORDS; w++)
        for (size_t i = 0, n = strlen(WORDS[w]); i + n <= len; i++)
            if (strncasecmp(name + i, WORDS[w], n) == 0)
                return true;
    return false;
}

/* From the "?" on: values of parameters whose name is secret. */
static void append_query(struct flo_buf *out, const char *text)
{
    while (*text) {
        size_t start = strspn(text, "?&#"), name = strcspn(text + start, "=?&#");
        const char *after = text + start + name;
        flo_buf_append(out, text, start + name);
        size_t value = *after == '=' ? 1 + strcspn(after + 1, "&#") : 0;
        if (value > 1 && flo_secret_name(text + start, name))
            flo_buf_append_str(out, "=" FLO_SECRET_MASK);
        else
            flo_buf_append(out, after, value);
        text = after + value;
    }
}

void flo_secret_append_masked(struct flo_buf *out, const char *text)
{
    const char *scheme = strstr(text, "://");

    if (!scheme) {
        flo_buf_append_str(out, text);
        return;
    }
    const char *authority = scheme + 3, *end = authority + strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', (size_t)(end - authority));
    const char *colon = memchr(authority, ':', (size_t)(end - authority));
    /* A password that was not encoded may hold what ends an authority: "u:pa/ss@host". */
    if (!at && colon && strspn(colon + 1, "0123456789") != (size_t)(end - colon - 1))
        at = strrchr(end, '@');
    flo_buf_append(out, text, (size_t)(authority - text));
    if (at) {
        if (colon && colon < at)
            flo_buf_append(out, authority, (size_t)(colon + 1 - authority));
        flo_buf_append_str(out, FLO_SECRET_MASK);
        authority = at;
    }
    size_t plain = strcspn(authority, "?");
    flo_buf_append(out, authority, plain);
    append_query(out, authority + plain);
}
