/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aes.c - encryption with AES-256-GCM (NIST SP 800-38D) by libcrypto, which is loaded when a row
 * first needs it.
 *
 * Nonces are random, 96 bits: one key is good for 2^32 payloads (SP 800-38D, 8.3), then it is to be
 * changed. Each payload tells which key it was encrypted with, so keys can be changed while
 * histories are kept.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/file.h"
#include "base/utf8.h"
#include "codec/internal.h"

#define LIBRARY "libcrypto.so.3"
#define ENCODING "binary/encrypted"
#define KEY_ID "encryption-key-id"
#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define OVERHEAD (NONCE_BYTES + TAG_BYTES)
#define ID_MAX 200
#define KEY_LINE_MAX (ID_MAX + 80)

/* X(result, name, (parameters)) */
#define CRYPTO_FUNCTIONS(X)                                                                        \
    X(const EVP_CIPHER *, EVP_aes_256_gcm, (void))                                                 \
    X(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void))                                                \
    X(void, EVP_CIPHER_CTX_free, (EVP_CIPHER_CTX *))                                               \
    X(int, EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX *, int, int, void *))                              \
    X(int, EVP_CipherInit_ex,                                                                      \
      (EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const unsigned char *,                      \
       const unsigned char *, int))                                                                \
    X(int, EVP_CipherUpdate,                                                                       \
      (EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int))                      \
    X(int, EVP_CipherFinal_ex, (EVP_CIPHER_CTX *, unsigned char *, int *))

static struct {
#define CRYPTO_POINTER(result, name, params) result(*name) params;
    CRYPTO_FUNCTIONS(CRYPTO_POINTER)
#undef CRYPTO_POINTER
} crypto;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct flo_err load_err; /* code 0: loaded */

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        flo_fail(&load_err, FLO_ESYS, "codec.key_file is set, but OpenSSL does not load: %s",
                 dlerror());
        return;
    }
#define CRYPTO_LOOK_UP(result, name, params)                                                       \
    *(void **)(void *)&crypto.name = dlsym(library, #name);                                        \
    if (!crypto.name)                                                                              \
        flo_fail(&load_err, FLO_ESYS, "codec.key_file is set, but %s has no %s", LIBRARY, #name);
    CRYPTO_FUNCTIONS(CRYPTO_LOOK_UP)
#undef CRYPTO_LOOK_UP
}

/* ---- keys ---- */

struct key {
    char id[ID_MAX + 1];
    uint8_t bytes[KEY_BYTES];
};

struct keys {
    struct key *key; /* owned; the first one encrypts */
    size_t count;
};

/* "ID BASE64": FLO_ECONFIG when it is not. */
static int parse_key(const char *path, const char *line, struct key *out, struct flo_err *err)
{
    uint8_t bytes[FLO_BASE64_DATA_MAX(64)];
    size_t id_len = strcspn(line, " \t"), len = 0;
    const char *text = line + id_len + strspn(line + id_len, " \t");
    int rc = 0;
    if (id_len == 0 || id_len > ID_MAX || strlen(text) > 64 || !flo_utf8_valid(line, id_len) ||
        flo_base64_decode(text, strlen(text), bytes, &len) || len != KEY_BYTES) {
        rc = flo_fail(err, FLO_ECONFIG,
                      "%s holds no payload key: its first line must be a name, a space and 32 "
                      "bytes in base64 (`flotilla keys payload FILE` makes one)",
                      path);
    } else {
        memcpy(out->id, line, id_len);
        out->id[id_len] = '\0';
        memcpy(out->bytes, bytes, KEY_BYTES);
    }
    explicit_bzero(bytes, sizeof bytes);
    return rc;
}

static int read_key(const char *path, struct key *out, struct flo_err *err)
{
    char line[KEY_LINE_MAX];
    int rc = flo_file_read_secret(path, "the payload key", line, sizeof line, err);
    if (rc == 0)
        rc = parse_key(path, line, out, err);
    explicit_bzero(line, sizeof line);
    return rc == FLO_ENOENT || rc == FLO_EPERM ? FLO_ECONFIG : rc;
}

static const struct key *key_named(const struct keys *keys, const void *id, size_t len)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strlen(keys->key[i].id) == len && memcmp(keys->key[i].id, id, len) == 0)
            return &keys->key[i];
    }
    return NULL;
}

static void free_keys(struct keys *keys)
{
    if (keys->key)
        explicit_bzero(keys->key, keys->count * sizeof *keys->key);
    flo_free(keys->key);
}

static int add_key(struct keys *keys, const char *path, struct flo_err *err)
{
    struct key key;
    int rc = read_key(path, &key, err);
    const struct key *known = rc ? NULL : key_named(keys, key.id, strlen(key.id));
    if (known && memcmp(known->bytes, key.bytes, KEY_BYTES) != 0) {
        rc = flo_fail(err, FLO_ECONFIG,
                      "%s: there is another payload key with the name %.50s; each needs its own "
                      "(`flotilla keys payload FILE NAME`)",
                      path, key.id);
    } else if (rc == 0 && !known) {
        struct key *grown = flo_calloc(keys->count + 1, sizeof *grown); /* the old one is wiped */
        if (grown) {
            if (keys->count)
                memcpy(grown, keys->key, keys->count * sizeof *grown);
            free_keys(keys);
            keys->key = grown;
            keys->key[keys->count++] = key;
        }
        rc = grown ? 0 : FLO_ENOMEM;
    }
    explicit_bzero(&key, sizeof key);
    return rc;
}

/* Every file in dir that does not begin with a dot. */
static int add_keys_of(struct keys *keys, const char *dir, struct flo_err *err)
{
    DIR *folder = opendir(dir);
    struct dirent *entry;
    int rc = 0;
    if (!folder)
        return flo_fail(err, FLO_ECONFIG, "cannot read the folder of payload keys %s: %s", dir,
                        strerror(errno));
    while (rc == 0 && (entry = readdir(folder))) {
        char *path = *entry->d_name == '.' ? NULL : flo_asprintf("%s/%s", dir, entry->d_name);
        if (path)
            rc = add_key(keys, path, err);
        else if (*entry->d_name != '.')
            rc = FLO_ENOMEM;
        flo_free(path);
    }
    closedir(folder);
    return rc;
}

/* ---- the cipher ---- */

/* out holds len bytes. tag is written when encrypting and compared when not: false. */
static bool run_cipher(const struct key *key, bool encrypt, const uint8_t *nonce, const void *in,
                       size_t len, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *cipher = crypto.EVP_CIPHER_CTX_new();
    int done = 0, rest = 0;
    bool ok =
        cipher &&
        crypto.EVP_CipherInit_ex(cipher, crypto.EVP_aes_256_gcm(), NULL, key->bytes, nonce,
                                 encrypt) &&
        (encrypt || crypto.EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag)) &&
        crypto.EVP_CipherUpdate(cipher, out, &done, in, (int)len) &&
        crypto.EVP_CipherFinal_ex(cipher, out + done, &rest) > 0 &&
        (!encrypt || crypto.EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag));
    crypto.EVP_CIPHER_CTX_free(cipher);
    return ok && (size_t)done + (size_t)rest == len;
}

static int encode(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err)
{
    const struct keys *keys = ctx;
    const struct key *key = &keys->key[0];
    const void *plain;
    size_t len;
    int rc = flo_payload_pack(in, out, &plain, &len);
    if (rc)
        return rc;
    if (len > FLO_CODEC_PAYLOAD_MAX)
        return flo_fail(err, FLO_ELIMIT,
                        "a payload of %zu bytes is too large to encrypt: at most %zu MiB", len,
                        FLO_CODEC_PAYLOAD_MAX >> 20);
    uint8_t *to = flo_payload_write_room(out, len + OVERHEAD);
    if (!to)
        return FLO_ENOMEM;
    if (getrandom(to, NONCE_BYTES, 0) != NONCE_BYTES ||
        !run_cipher(key, true, to, plain, len, to + NONCE_BYTES, to + NONCE_BYTES + len))
        return flo_fail(err, FLO_ESYS, "OpenSSL does not encrypt");
    rc = flo_payload_write_metadata(out, "encoding", ENCODING, sizeof ENCODING - 1);
    return rc ? rc : flo_payload_write_metadata(out, KEY_ID, key->id, strlen(key->id));
}

/* The sentence goes back to the server: what it says the key is called is repeated when it is text,
 * and not cut inside a character. */
static int unknown_key(const void *id, size_t len, struct flo_err *err)
{
    if (!id || !flo_utf8_valid(id, len) || memchr(id, '\0', len))
        return flo_fail(err, FLO_EPERM,
                        "a payload is encrypted with a key whose name is %s, so it is none of "
                        "codec.key_file and codec.keys_dir",
                        id ? "no text" : "missing");
    return flo_fail(err, FLO_EPERM,
                    "a payload is encrypted with the key \"%.*s\", which is none of "
                    "codec.key_file and codec.keys_dir",
                    (int)flo_utf8_cut(id, len, 50), (const char *)id);
}

static int decode(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err)
{
    size_t id_len = 0, len;
    const void *id = flo_payload_metadata(in, KEY_ID, &id_len);
    if (!flo_payload_encoded_as(in, ENCODING))
        return FLO_CODEC_PASS;
    const uint8_t *data = flo_payload_data(in, &len);
    const struct key *key = key_named(ctx, id, id_len);
    if (!key)
        return unknown_key(id, id_len, err);
    if (len < OVERHEAD || len > FLO_CODEC_PAYLOAD_MAX + OVERHEAD)
        return flo_fail(err, FLO_EPROTO, "an encrypted payload cannot have %zu bytes", len);
    len -= OVERHEAD;
    uint8_t tag[TAG_BYTES];
    memcpy(tag, data + NONCE_BYTES + len, TAG_BYTES);
    uint8_t *plain = flo_payload_write_room(out, len);
    if (!plain)
        return FLO_ENOMEM;
    if (!run_cipher(key, false, data, data + NONCE_BYTES, len, plain, tag))
        return flo_fail(err, FLO_EPROTO,
                        "a payload encrypted with the key \"%s\" was changed, or that key is "
                        "another one under the same name",
                        key->id);
    return flo_payload_write_packed(out, plain, len, err);
}

int flo_aes_new(const char *key_file, const char *keys_dir, struct flo_codec *out_codec,
                struct flo_err *err)
{
    pthread_once(&once, load);
    if (load_err.code) {
        if (err)
            *err = load_err;
        return load_err.code;
    }
    struct keys *keys = flo_calloc(1, sizeof *keys);
    if (!keys)
        return FLO_ENOMEM;
    int rc = add_key(keys, key_file, err);
    if (rc == 0 && keys_dir && *keys_dir)
        rc = add_keys_of(keys, keys_dir, err);
    *out_codec = (struct flo_codec){"aes-256-gcm", encode, decode, keys};
    if (rc)
        flo_aes_free(out_codec);
    return rc;
}

void flo_aes_free(struct flo_codec *codec)
{
    if (codec->ctx)
        free_keys(codec->ctx);
    flo_free(codec->ctx);
    *codec = (struct flo_codec){0};
}
