/* SPDX-License-Identifier: Apache-2.0 */
/* raw.c - raw values (flotilla/payload.h): payloads that are no JSON, carried inside a json_t. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "flotilla/payload.h"
#include "wire/raw.h"

json_t *flo_raw_base64(const void *data, size_t len)
{
    if (len > SIZE_MAX / 2)
        return NULL;
    char *text = flo_malloc(FLO_BASE64_TEXT_MAX(len));
    if (!text)
        return NULL;
    json_t *value = json_stringn_nocheck(text, flo_base64_encode(data, len, true, text));
    flo_free(text);
    return value;
}

json_t *flo_raw_new(const char *encoding, const void *data, size_t len)
{
    json_t *content = json_object();
    json_t *value = json_object();
    if (!content || !value || json_object_set_new(content, "encoding", json_string(encoding)) ||
        json_object_set_new(content, "data", flo_raw_base64(data, len)) ||
        json_object_set(value, FLO_RAW_KEY, content)) {
        json_decref(value);
        value = NULL;
    }
    json_decref(content);
    return value;
}

json_t *flo_raw_content(const json_t *value)
{
    if (!json_is_object(value) || json_object_size(value) != 1)
        return NULL;
    json_t *content = json_object_get(value, FLO_RAW_KEY);
    if (!json_is_string(json_object_get(content, "encoding")) ||
        !json_is_string(json_object_get(content, "data")))
        return NULL;
    const json_t *metadata = json_object_get(content, "metadata");
    if (metadata && !json_is_object(metadata))
        return NULL;
    return json_object_size(content) == (metadata ? 3 : 2) ? content : NULL;
}

bool flo_raw_is(const json_t *value)
{
    return flo_raw_content(value) != NULL;
}

const char *flo_raw_encoding(const json_t *value)
{
    const json_t *content = flo_raw_content(value);
    return content ? json_string_value(json_object_get(content, "encoding")) : NULL;
}

int flo_raw_data(const json_t *value, void **out_data, size_t *out_len)
{
    const json_t *content = flo_raw_content(value);
    if (!content)
        return FLO_EINVAL;
    const json_t *text = json_object_get(content, "data");
    size_t text_len = json_string_length(text), len;
    uint8_t *data = malloc(FLO_BASE64_DATA_MAX(text_len)); /* the user's to free() */
    if (!data)
        return FLO_ENOMEM;
    if (flo_base64_decode(json_string_value(text), text_len, data, &len)) {
        free(data);
        return FLO_EINVAL;
    }
    *out_data = data;
    *out_len = len;
    return 0;
}
