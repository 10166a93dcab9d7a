/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl.c - the functions of OpenSSL that io.c and tls.c call, under their own names, each
 * passing on to the real one, which is looked up at the first need.
 *
 * So the callers read as ordinary OpenSSL code and the compiler checks them against OpenSSL's
 * headers; a function that is missing here does not link. Rejected: a plug-in of our own with the
 * TLS code in it (one more file to install and find).
 */
#include "http2/openssl.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#define LIBSSL "libssl.so.3" /* needs libcrypto, whose functions are found through it */

/* X(result, name, (parameters), (arguments)) */
#define OPENSSL_FUNCTIONS(X)                                                                       \
    X(void, ERR_clear_error, (void), ())                                                           \
    X(unsigned long, ERR_get_error, (void), ())                                                    \
    X(unsigned long, ERR_peek_last_error, (void), ())                                              \
    X(const char *, ERR_reason_error_string, (unsigned long e), (e))                               \
    X(int, SSL_CTX_check_private_key, (const SSL_CTX *ctx), (ctx))                                 \
    X(long, SSL_CTX_ctrl, (SSL_CTX * ctx, int cmd, long larg, void *parg), (ctx, cmd, larg, parg)) \
    X(void, SSL_CTX_free, (SSL_CTX * ctx), (ctx))                                                  \
    X(int, SSL_CTX_load_verify_locations, (SSL_CTX * ctx, const char *file, const char *dir),      \
      (ctx, file, dir))                                                                            \
    X(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *method), (method))                                \
    X(int, SSL_CTX_set_alpn_protos, (SSL_CTX * ctx, const unsigned char *p, unsigned int len),     \
      (ctx, p, len))                                                                               \
    X(void, SSL_CTX_set_alpn_select_cb,                                                            \
      (SSL_CTX * ctx, SSL_CTX_alpn_select_cb_func select, void *arg), (ctx, select, arg))          \
    X(int, SSL_CTX_set_cipher_list, (SSL_CTX * ctx, const char *list), (ctx, list))                \
    X(int, SSL_CTX_set_default_verify_paths, (SSL_CTX * ctx), (ctx))                               \
    X(int, SSL_CTX_set_num_tickets, (SSL_CTX * ctx, size_t count), (ctx, count))                   \
    X(uint64_t, SSL_CTX_set_options, (SSL_CTX * ctx, uint64_t options), (ctx, options))            \
    X(void, SSL_CTX_set_verify, (SSL_CTX * ctx, int mode, SSL_verify_cb verify),                   \
      (ctx, mode, verify))                                                                         \
    X(int, SSL_CTX_use_PrivateKey_file, (SSL_CTX * ctx, const char *file, int type),               \
      (ctx, file, type))                                                                           \
    X(int, SSL_CTX_use_certificate_chain_file, (SSL_CTX * ctx, const char *file), (ctx, file))     \
    X(long, SSL_ctrl, (SSL * ssl, int cmd, long larg, void *parg), (ssl, cmd, larg, parg))         \
    X(int, SSL_do_handshake, (SSL * ssl), (ssl))                                                   \
    X(void, SSL_free, (SSL * ssl), (ssl))                                                          \
    X(void, SSL_get0_alpn_selected,                                                                \
      (const SSL *ssl, const unsigned char **data, unsigned int *len), (ssl, data, len))           \
    X(X509_VERIFY_PARAM *, SSL_get0_param, (SSL * ssl), (ssl))                                     \
    X(int, SSL_get_error, (const SSL *ssl, int rc), (ssl, rc))                                     \
    X(long, SSL_get_verify_result, (const SSL *ssl), (ssl))                                        \
    X(int, SSL_has_pending, (const SSL *ssl), (ssl))                                               \
    X(int, SSL_is_init_finished, (const SSL *ssl), (ssl))                                          \
    X(SSL *, SSL_new, (SSL_CTX * ctx), (ctx))                                                      \
    X(int, SSL_read, (SSL * ssl, void *data, int len), (ssl, data, len))                           \
    X(int, SSL_select_next_proto,                                                                  \
      (unsigned char **out, unsigned char *out_len, const unsigned char *server,                   \
       unsigned int server_len, const unsigned char *client, unsigned int client_len),             \
      (out, out_len, server, server_len, client, client_len))                                      \
    X(int, SSL_set1_host, (SSL * ssl, const char *name), (ssl, name))                              \
    X(void, SSL_set_accept_state, (SSL * ssl), (ssl))                                              \
    X(void, SSL_set_connect_state, (SSL * ssl), (ssl))                                             \
    X(int, SSL_set_fd, (SSL * ssl, int fd), (ssl, fd))                                             \
    X(void, SSL_set_read_ahead, (SSL * ssl, int yes), (ssl, yes))                                  \
    X(int, SSL_shutdown, (SSL * ssl), (ssl))                                                       \
    X(int, SSL_write, (SSL * ssl, const void *data, int len), (ssl, data, len))                    \
    X(const SSL_METHOD *, TLS_client_method, (void), ())                                           \
    X(const SSL_METHOD *, TLS_server_method, (void), ())                                           \
    X(int, X509_VERIFY_PARAM_set1_ip_asc, (X509_VERIFY_PARAM * param, const char *ip),             \
      (param, ip))                                                                                 \
    X(const char *, X509_verify_cert_error_string, (long code), (code))

static struct {
#define OPENSSL_POINTER(result, name, params, args) result(*name) params;
    OPENSSL_FUNCTIONS(OPENSSL_POINTER)
#undef OPENSSL_POINTER
} real;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct flo_err load_err; /* code 0: loaded */

static void load(void)
{
    void *handle = dlopen(LIBSSL, RTLD_NOW | RTLD_LOCAL);

    if (!handle) {
        flo_fail(&load_err, FLO_ESYS, "TLS is on, but OpenSSL does not load: %s", dlerror());
        return;
    }
#define OPENSSL_LOOK_UP(result, name, params, args)                                                \
    *(void **)(void *)&real.name = dlsym(handle, #name);                                           \
    if (!real.name)                                                                                \
        flo_fail(&load_err, FLO_ESYS, "TLS is on, but %s has no %s", LIBSSL, #name);
    OPENSSL_FUNCTIONS(OPENSSL_LOOK_UP)
#undef OPENSSL_LOOK_UP
}

int flo_openssl_load(struct flo_err *err)
{
    pthread_once(&once, load);
    if (load_err.code && err)
        *err = load_err;
    return load_err.code;
}

/* For a call that nobody prepared with flo_openssl_load: a mistake when it cannot be served. */
static void need(void)
{
    if (flo_openssl_load(NULL))
        abort();
}

#define OPENSSL_PASS_ON(result, name, params, args)                                                \
    result name params                                                                             \
    {                                                                                              \
        need();                                                                                    \
        return real.name args;                                                                     \
    }
OPENSSL_FUNCTIONS(OPENSSL_PASS_ON)
