/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - the error table and the error sentence. */
#include "flotilla/error.h"

#include <stdio.h>
#include <string.h>

int flo_fail(struct flo_err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
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
    if (n < 0)
        n = 0;
    if ((size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
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
