/* SPDX-License-Identifier: Apache-2.0 */
/* id.c - the name of an input; see id.h. */
#include "quarantine/id.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "base/sha256.h"

typedef FloApi__Payload__MetadataEntry metadata_entry;

/* The same on every machine. */
static void add_number(struct flo_sha256 *sha, uint64_t number)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    flo_sha256_add(sha, bytes, sizeof bytes);
}

/* Length first: "ab" and "c" are not "a" and "bc". */
static void add(struct flo_sha256 *sha, const void *data, size_t len)
{
    add_number(sha, len);
    flo_sha256_add(sha, data, len);
}

static int by_key(const void *a, const void *b)
{
    const metadata_entry *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

/* A map comes in any order. Without memory to sort it: in the order that it came in, so that the
 * input may be counted under two names. */
static void add_payload(struct flo_sha256 *sha, const FloApi__Payload *payload)
{
    size_t count = payload->n_metadata;
    metadata_entry **sorted =
        count > 1 ? flo_memdup(payload->metadata, count * sizeof(metadata_entry *)) : NULL;
    metadata_entry *const *entries = sorted ? sorted : payload->metadata;

    if (sorted)
        qsort(sorted, count, sizeof(metadata_entry *), by_key);
    add_number(sha, count);
    for (size_t i = 0; i < count; i++) {
        add(sha, entries[i]->key, strlen(entries[i]->key));
        add(sha, entries[i]->value.data, entries[i]->value.len);
    }
    add(sha, payload->data.data, payload->data.len);
    flo_free(sorted);
}

void flo_quarantine_id(const char *name_space, const char *activity_type,
                       const FloApi__Payloads *input, char out_id[FLO_QUARANTINE_ID_LEN + 1])
{
    struct flo_sha256 sha;
    uint8_t digest[FLO_SHA256_BYTES];

    flo_sha256_init(&sha);
    add(&sha, name_space, strlen(name_space));
    add(&sha, activity_type, strlen(activity_type));
    for (size_t i = 0; input && i < input->n_payloads; i++)
        add_payload(&sha, input->payloads[i]);
    flo_sha256_final(&sha, digest);
    flo_hex_write(digest, sizeof digest, out_id);
}

bool flo_quarantine_id_digits(const char *text, size_t len)
{
    return len <= FLO_QUARANTINE_ID_LEN && strspn(text, "0123456789abcdef") >= len;
}
