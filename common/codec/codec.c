/* SPDX-License-Identifier: Apache-2.0 */
/* codec.c - a row of codecs, and what they write to. */
#include "codec/codec.h"

#include <string.h>

#include "base/alloc.h"
#include "codec/internal.h"
#include "wire/decode.h"
#include "wire/payload.h"

struct flo_codec_row {
    struct flo_codec *codecs; /* owned: added ones, then the built-in ones */
    size_t count, added;
    struct flo_codec zstd, aes; /* owned when they have a name */
};

/* ---- the row ---- */

/* Put codec at place at. */
static int insert(struct flo_codec_row *row, size_t at, const struct flo_codec *codec)
{
    struct flo_codec *codecs = flo_reallocarray(row->codecs, row->count + 1, sizeof *codecs);
    if (!codecs)
        return FLO_ENOMEM;
    memmove(&codecs[at + 1], &codecs[at], (row->count - at) * sizeof *codecs);
    codecs[at] = *codec;
    row->codecs = codecs;
    row->count++;
    return 0;
}

int flo_codec_row_add(struct flo_codec_row *row, const struct flo_codec *codec)
{
    int rc = insert(row, row->added, codec);
    row->added += rc == 0;
    return rc;
}

static int add_built_in(struct flo_codec_row *row, const struct flo_codec_options *options,
                        struct flo_err *err)
{
    bool encrypt = options->key_file && *options->key_file;
    int rc = 0;
    if (!encrypt && options->keys_dir && *options->keys_dir)
        return flo_fail(err, FLO_ECONFIG,
                        "codec.keys_dir is set, codec.key_file is not: name the key to write with");
    if (options->zstd || options->zstd_read || encrypt) {
        rc = flo_zstd_new(options->zstd ? options->zstd_level : 0, options->zstd_above, &row->zstd,
                          err);
        rc = rc ? rc : insert(row, row->count, &row->zstd);
    }
    if (rc == 0 && encrypt) {
        rc = flo_aes_new(options->key_file, options->keys_dir, &row->aes, err);
        rc = rc ? rc : insert(row, row->count, &row->aes);
    }
    return rc;
}

int flo_codec_row_new(const struct flo_codec_options *options, struct flo_codec_row **out_row,
                      struct flo_err *err)
{
    struct flo_codec_row *row = flo_calloc(1, sizeof *row);
    if (!row)
        return FLO_ENOMEM;
    int rc = options ? add_built_in(row, options, err) : 0;
    if (rc) {
        flo_codec_row_destroy(&row);
        return rc;
    }
    *out_row = row;
    return 0;
}

void flo_codec_row_destroy(struct flo_codec_row **row_ptr)
{
    struct flo_codec_row *row = *row_ptr;
    if (!row)
        return;
    *row_ptr = NULL;
    flo_zstd_free(&row->zstd);
    flo_aes_free(&row->aes);
    flo_free(row->codecs);
    flo_free(row);
}

bool flo_codec_row_empty(const struct flo_codec_row *row)
{
    return !row || row->count == 0;
}

/* ---- payloads through the row ---- */

struct pass {
    const struct flo_codec_row *row;
    struct flo_arena *arena;
    struct flo_err *err;
    bool encode;
    size_t decoded_bytes; /* that codecs have written so far */
};

static int count_decoded(struct pass *pass, const FloApi__Payload *payload)
{
    pass->decoded_bytes += payload->data.len;
    return pass->encode || pass->decoded_bytes <= FLO_CODEC_MESSAGE_MAX
               ? 0
               : flo_fail(pass->err, FLO_ELIMIT,
                          "the payloads of one message become more than %zu MiB",
                          FLO_CODEC_MESSAGE_MAX >> 20);
}

static int apply(struct pass *pass, const struct flo_codec *codec, FloApi__Payload **place)
{
    struct flo_payload_writer out = {pass->arena,
                                     flo_arena_alloc(pass->arena, sizeof(FloApi__Payload))};
    if (!out.payload)
        return FLO_ENOMEM;
    flo_api__payload__init(out.payload);
    if (pass->err)
        pass->err->code = 0; /* it may hold anything: what is there afterwards is this codec's */
    int rc = (pass->encode ? codec->encode : codec->decode)(codec->ctx, flo_payload_veil(*place),
                                                            &out, pass->err);
    if (rc == FLO_CODEC_PASS)
        return 0;
    if (rc == 0) {
        *place = out.payload;
        return count_decoded(pass, out.payload);
    }
    if (rc != FLO_ENOMEM && pass->err && pass->err->code)
        flo_err_prefix(pass->err, "codec %.50s", codec->name);
    else if (rc != FLO_ENOMEM)
        rc = flo_fail(pass->err, rc < 0 ? rc : FLO_EINVAL, "codec %.50s: %s", codec->name,
                      rc < 0 ? flo_error_text(rc) : "returned what is no error code");
    return rc;
}

static int pass_through(void *ctx, FloApi__Payload **place)
{
    struct pass *pass = ctx;
    int rc = 0;
    for (size_t i = 0; i < pass->row->count && rc == 0; i++) {
        size_t at = pass->encode ? i : pass->row->count - 1 - i;
        rc = apply(pass, &pass->row->codecs[at], place);
    }
    return rc;
}

int flo_codec_encode(const struct flo_codec_row *row, ProtobufCMessage *message,
                     struct flo_arena *arena, struct flo_err *err)
{
    struct pass pass = {.row = row, .arena = arena, .err = err, .encode = true};
    return flo_codec_row_empty(row) ? 0 : flo_payload_visit(message, arena, pass_through, &pass);
}

int flo_codec_decode(const struct flo_codec_row *row, ProtobufCMessage *message,
                     struct flo_arena *arena, struct flo_err *err)
{
    struct pass pass = {.row = row, .arena = arena, .err = err};
    return flo_codec_row_empty(row) ? 0 : flo_payload_visit(message, arena, pass_through, &pass);
}

/* ---- writing ---- */

void *flo_payload_write_room(struct flo_payload_writer *out, size_t len)
{
    out->payload->data.data = flo_arena_alloc_bytes(out->arena, len ? len : 1);
    out->payload->data.len = out->payload->data.data ? len : 0;
    return out->payload->data.data;
}

void flo_payload_write_shorten(struct flo_payload_writer *out, size_t len)
{
    if (len < out->payload->data.len)
        out->payload->data.len = len;
}

int flo_payload_write_data(struct flo_payload_writer *out, const void *data, size_t len)
{
    void *room = flo_payload_write_room(out, len);
    if (!room)
        return FLO_ENOMEM;
    if (len)
        memcpy(room, data, len);
    return 0;
}

int flo_payload_write_metadata(struct flo_payload_writer *out, const char *key, const void *value,
                               size_t len)
{
    FloApi__Payload *payload = out->payload;
    FloApi__Payload__MetadataEntry *entry = flo_arena_alloc(out->arena, sizeof *entry);
    FloApi__Payload__MetadataEntry **entries =
        flo_arena_calloc(out->arena, payload->n_metadata + 1, sizeof(void *));
    char *name = flo_arena_strdup(out->arena, key);
    uint8_t *bytes = flo_arena_memdup(out->arena, value, len);
    if (!entry || !entries || !name || !bytes)
        return FLO_ENOMEM;
    flo_api__payload__metadata_entry__init(entry);
    entry->key = name;
    entry->value = (ProtobufCBinaryData){len, bytes};
    if (payload->n_metadata)
        memcpy(entries, payload->metadata, payload->n_metadata * sizeof *entries);
    entries[payload->n_metadata++] = entry;
    payload->metadata = entries;
    return 0;
}

int flo_payload_pack(const struct flo_payload *payload, struct flo_payload_writer *out,
                     const void **out_data, size_t *out_len)
{
    uint8_t *data = NULL;
    int rc = flo_wire_encode_arena(&((const FloApi__Payload *)payload)->base, out->arena, &data,
                                   out_len);
    *out_data = data;
    return rc;
}

int flo_payload_write_packed(struct flo_payload_writer *out, const void *data, size_t len,
                             struct flo_err *err)
{
    ProtobufCMessage *message = NULL;
    int rc = flo_wire_decode(&flo_api__payload__descriptor, data, len, out->arena, &message, err);
    if (rc == 0)
        out->payload = (FloApi__Payload *)message;
    return rc == FLO_ELIMIT ? FLO_ENOMEM : rc;
}
