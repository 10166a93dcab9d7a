/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json_payload.c - JSON from outside, and payloads: what parses must come back equal through a
 * payload, whatever encoding the payload claims. The first byte picks the encoding.
 */
#include <string.h>

#include "flotilla/payload.h"
#include "fuzz.h"
#include "wire/payload.h"

static void check_payload(const char *encoding, const uint8_t *data, size_t size)
{
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    char key[] = "encoding";
    FloApi__Payload__MetadataEntry entry;
    flo_api__payload__metadata_entry__init(&entry);
    entry.key = key;
    entry.value.len = strlen(encoding);
    entry.value.data = flo_arena_memdup(&arena, encoding, entry.value.len);
    FloApi__Payload__MetadataEntry *metadata[] = {&entry};
    FloApi__Payload payload;
    flo_api__payload__init(&payload);
    payload.metadata = metadata;
    payload.n_metadata = 1;
    payload.data.data = flo_arena_memdup(&arena, data, size);
    payload.data.len = size;

    struct flo_err err = {0};
    json_t *value = NULL, *again = NULL;
    int rc = flo_payload_show(&payload, &value, &err);
    if (rc == 0) {
        FloApi__Payload *second = flo_payload_from_json(&arena, value);
        FUZZ_CHECK(second);
        if (flo_raw_is(value)) {
            FUZZ_CHECK(second->data.len == size && !memcmp(second->data.data, data, size));
            FUZZ_CHECK(strcmp(flo_raw_encoding(value), encoding) == 0);
        }
        FUZZ_CHECK(flo_payload_show(second, &again, &err) == 0);
        FUZZ_CHECK(json_equal(value, again));
    } else {
        FUZZ_CHECK(rc == FLO_EPROTO && err.message[0]);
    }
    json_decref(value);
    json_decref(again);
    flo_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const encodings[] = {"json/plain", "binary/null", "binary/plain", "other"};
    if (size == 0)
        return 0;
    check_payload(encodings[data[0] % 4], data + 1, size - 1);
    return 0;
}
