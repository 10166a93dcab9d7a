/* SPDX-License-Identifier: Apache-2.0 */
/* payload_public.c - a payload as user code sees it (flotilla/payload.h): the generated struct
 * under another name. */
#include <string.h>

#include "flotilla/payload.h"
#include "wire/payload.h"

static const FloApi__Payload *unveil(const struct flo_payload *payload)
{
    return (const FloApi__Payload *)payload;
}

const struct flo_payload *flo_payload_veil(const FloApi__Payload *payload)
{
    return (const struct flo_payload *)payload;
}

const void *flo_payload_data(const struct flo_payload *payload, size_t *out_len)
{
    const ProtobufCBinaryData *data = &unveil(payload)->data;

    *out_len = data->len;
    return data->data ? data->data : (const void *)"";
}

const void *flo_payload_metadata(const struct flo_payload *payload, const char *key,
                                 size_t *out_len)
{
    const FloApi__Payload *p = unveil(payload);

    for (size_t i = 0; i < p->n_metadata; i++) {
        const ProtobufCBinaryData *value = &p->metadata[i]->value;
        if (strcmp(p->metadata[i]->key, key) != 0)
            continue;
        *out_len = value->len;
        return value->data ? value->data : (const void *)"";
    }
    return NULL;
}

bool flo_payload_encoded_as(const struct flo_payload *payload, const char *encoding)
{
    size_t len = 0;
    const void *value = flo_payload_metadata(payload, "encoding", &len);

    return value ? len == strlen(encoding) && memcmp(value, encoding, len) == 0 : !*encoding;
}

int flo_payload_json(const struct flo_payload *payload, json_t **out_value, struct flo_err *err)
{
    return flo_payload_to_json(unveil(payload), out_value, err);
}
