/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - the error table and the error sentence. */
#include "flotilla/error.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Drop a character that the end of the buffer cut in two. */
static void trim_cut_character(char *text)
{
    size_t len = strlen(text), lead = len;
    while (lead > 0 && len - lead < 3 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead > 0 && (unsigned char)text[lead - 1] >= 0xC0 &&
        !flo_utf8_valid(text + lead - 1, len - lead + 1))
        text[lead - 1] = '\0';
}

#undef flo_fail /* the analyser's */
int flo_fail(struct flo_err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    err->code = code;
    if (n >= (int)sizeof err->message)
        trim_cut_character(err->message);
    if (n <= 0)
        snprintf(err->message, sizeof err->message, "%s", flo_error_text(code));
    return code;
}

void flo_err_prefix(struct flo_err *err, const char *fmt, ...)
{
    if (!err)
        return;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : strlen(err->message);
    const char *parts[] = {": ", old};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(parts[i]), room = sizeof err->message - 1 - used;
        len = len < room ? len : room;
        memcpy(err->message + used, parts[i], len);
        used += len;
    }
    err->message[used] = '\0';
    trim_cut_character(err->message);
}

const char *flo_error_name(int code)
{
    switch (code) {
    case 0:
        return "FLO_OK";
#define FLO_ERROR_NAME(name, value, text)                                                          \
    case name:                                                                                     \
        return #name;
        FLO_ERRORS(FLO_ERROR_NAME)
#undef FLO_ERROR_NAME
    default:
        return "FLO_E?";
    }
}

const char *flo_error_text(int code)
{
    switch (code) {
    case 0:
        return "ok";
#define FLO_ERROR_TEXT(name, value, text)                                                          \
    case name:                                                                                     \
        return text;
        FLO_ERRORS(FLO_ERROR_TEXT)
#undef FLO_ERROR_TEXT
    default:
        return "unknown error";
    }
}
