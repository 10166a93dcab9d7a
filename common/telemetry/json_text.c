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
    flo_buf_append_str(out, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            flo_buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            flo_buf_printf(out, "\\u%04x", c);
        else
            flo_buf_append(out, c >= 0x80 && !valid ? "?" : text, 1);
    }
    flo_buf_append_str(out, "\"");
}
