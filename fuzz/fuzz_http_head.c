/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP requests: nothing outside the text is read, what is taken is within its bounds. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "telemetry/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = 0;
    char *text = malloc(size + 1); /* at least one byte, and none to spare after the head */
    if (!text)
        return 0;
    memcpy(text, data, size);
    if (flo_http_find_head(text, size, &len) == 0) {
        struct flo_http_head head;
        char *exact = malloc(len);
        if (exact) {
            memcpy(exact, text, len);
            if (flo_http_parse_head(exact, len, &head) == 0)
                FUZZ_CHECK(*head.method && strlen(head.path) <= len &&
                           head.field_count <= FLO_HTTP_FIELDS_MAX);
        }
        free(exact);
    }
    free(text);
    return 0;
}
