/* SPDX-License-Identifier: Apache-2.0 */
/* zstd.c - compression (RFC 8878) by libzstd, which is loaded when a row first needs it. */
#include <dlfcn.h>
#include <pthread.h>

#include "base/alloc.h"
#include "codec/internal.h"

#define LIBRARY "libzstd.so.1"
#define ENCODING "binary/zstd"

/* The part of zstd.h that is used; stable since 1.3. */
static struct {
    size_t (*compress_bound)(size_t len);
    size_t (*compress)(void *to, size_t room, const void *from, size_t len, int level);
    size_t (*decompress)(void *to, size_t room, const void *from, size_t len);
    unsigned (*is_error)(size_t code);
    const char *(*error_name)(size_t code);
    unsigned long long (*content_size)(const void *frame, size_t len);
} zstd;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct flo_err load_err; /* code 0: loaded */

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        flo_fail(&load_err, FLO_ESYS,
                 "payloads are compressed, but zstd's library does not load: %s", dlerror());
        return;
    }
    *(void **)&zstd.compress_bound = dlsym(library, "ZSTD_compressBound");
    *(void **)&zstd.compress = dlsym(library, "ZSTD_compress");
    *(void **)&zstd.decompress = dlsym(library, "ZSTD_decompress");
    *(void **)&zstd.is_error = dlsym(library, "ZSTD_isError");
    *(void **)&zstd.error_name = dlsym(library, "ZSTD_getErrorName");
    *(void **)&zstd.content_size = dlsym(library, "ZSTD_getFrameContentSize");
    if (!zstd.compress_bound || !zstd.compress || !zstd.decompress || !zstd.is_error ||
        !zstd.error_name || !zstd.content_size)
        flo_fail(&load_err, FLO_ESYS, "payloads are compressed, but %s lacks functions", LIBRARY);
}

static int need(struct flo_err *err)
{
    pthread_once(&once, load);
    if (load_err.code && err)
        *err = load_err;
    return load_err.code;
}

struct settings {
    int level; /* 0: nothing is compressed */
    size_t above;
};

static int encode(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err)
{
    const struct settings *settings = ctx;
    const void *plain;
    size_t len;
    if (settings->level == 0)
        return FLO_CODEC_PASS;
    int rc = flo_payload_pack(in, out, &plain, &len);
    if (rc)
        return rc;
    if (len <= settings->above)
        return FLO_CODEC_PASS;
    size_t room = zstd.compress_bound(len);
    void *to = flo_payload_write_room(out, room);
    if (!to)
        return FLO_ENOMEM;
    size_t packed = zstd.compress(to, room, plain, len, settings->level);
    if (zstd.is_error(packed))
        return flo_fail(err, FLO_EDATA, "cannot compress %zu bytes: %s", len,
                        zstd.error_name(packed));
    if (packed >= len)
        return FLO_CODEC_PASS; /* it does not pay */
    flo_payload_write_shorten(out, packed);
    return flo_payload_write_metadata(out, "encoding", ENCODING, sizeof ENCODING - 1);
}

static int decode(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err)
{
    size_t len;
    const void *data;
    (void)ctx;
    if (!flo_payload_encoded_as(in, ENCODING))
        return FLO_CODEC_PASS;
    int rc = need(err);
    if (rc)
        return rc;
    data = flo_payload_data(in, &len);
    /* Unknown and broken sizes are the two largest numbers. */
    unsigned long long size = zstd.content_size(data, len);
    if (size > FLO_CODEC_PAYLOAD_MAX)
        return flo_fail(err, FLO_EPROTO,
                        "a %s payload of %zu bytes is no frame that says its size, or is larger "
                        "than %zu MiB",
                        ENCODING, len, FLO_CODEC_PAYLOAD_MAX >> 20);
    void *plain = flo_payload_write_room(out, (size_t)size);
    if (!plain)
        return FLO_ENOMEM;
    size_t got = zstd.decompress(plain, (size_t)size, data, len);
    if (zstd.is_error(got))
        return flo_fail(err, FLO_EPROTO, "a %s payload of %zu bytes is damaged: %s", ENCODING, len,
                        zstd.error_name(got));
    return flo_payload_write_packed(out, plain, got, err);
}

int flo_zstd_new(int level, size_t above, struct flo_codec *out_codec, struct flo_err *err)
{
    int rc = level ? need(err) : 0;
    if (rc)
        return rc;
    struct settings *settings = flo_calloc(1, sizeof *settings);
    if (!settings)
        return FLO_ENOMEM;
    *settings = (struct settings){level, above};
    *out_codec = (struct flo_codec){"zstd", encode, decode, settings};
    return 0;
}

void flo_zstd_free(struct flo_codec *codec)
{
    flo_free(codec->ctx);
    codec->ctx = NULL;
}
