/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.c - JSON strings. */
#include "telemetry/json_text.h"

#include <string.h>

#include "base/utf8.h"

void flo_json_append_string(struct flo_buf *out, const char *text)
{
    if (!text) {
        flo_buf_append_str(out, "null");
        return;
    }
    bool valid = flo_utf8_valid(text, strlen(text));
    flo_buf_append(out, "\"", 1);
    for (const char *plain = text;; text++) {
        unsigned char c = (unsigned char)*text;
        bool mended = c >= 0x80 && !valid;
        if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\' && !mended)
            continue;
        flo_buf_append(out, plain, (size_t)(text - plain));
        plain = text + 1;
        if (c == '\0')
            break;
        if (mended)
            flo_buf_append(out, "?", 1);
        else
            flo_buf_printf(out, c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c);
    }
    flo_buf_append(out, "\"", 1);
}
