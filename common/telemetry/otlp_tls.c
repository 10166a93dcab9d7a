/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp_tls.c - https to the collector: libevent's OpenSSL bufferevents, loaded with OpenSSL when an
 * https address is configured, so that nobody else pays the megabytes that they take.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>

#include "base/alloc.h"
#include "telemetry/otlp_internal.h"

#define LIBEVENT_OPENSSL "libevent_openssl-2.1.so.7"
#define LIBSSL "libssl.so.3"

/* The functions that are used: X(result, name, parameters). */
#define TLS_FUNCTIONS(X)                                                                           \
    X(struct bufferevent *, bufferevent_openssl_socket_new,                                        \
      (struct event_base *, evutil_socket_t, SSL *, enum bufferevent_ssl_state, int))              \
    X(void, bufferevent_openssl_set_allow_dirty_shutdown, (struct bufferevent *, int))             \
    X(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *))                                                \
    X(const SSL_METHOD *, TLS_client_method, (void))                                               \
    X(void, SSL_CTX_free, (SSL_CTX *))                                                             \
    X(long, SSL_CTX_ctrl, (SSL_CTX *, int, long, void *))                                          \
    X(int, SSL_CTX_load_verify_locations, (SSL_CTX *, const char *, const char *))                 \
    X(int, SSL_CTX_set_default_verify_paths, (SSL_CTX *))                                          \
    X(void, SSL_CTX_set_verify, (SSL_CTX *, int, SSL_verify_cb))                                   \
    X(SSL *, SSL_new, (SSL_CTX *))                                                                 \
    X(void, SSL_free, (SSL *))                                                                     \
    X(long, SSL_ctrl, (SSL *, int, long, void *))                                                  \
    X(int, SSL_set1_host, (SSL *, const char *))                                                   \
    X(X509_VERIFY_PARAM *, SSL_get0_param, (SSL *))                                                \
    X(int, X509_VERIFY_PARAM_set1_ip_asc, (X509_VERIFY_PARAM *, const char *))

struct flo_otlp_tls {
    void *openssl, *libevent; /* handles; the libraries stay loaded */
    SSL_CTX *context;
#define TLS_POINTER(result, name, params) result(*name) params;
    TLS_FUNCTIONS(TLS_POINTER)
#undef TLS_POINTER
};

static int load(struct flo_otlp_tls *tls, struct flo_err *err)
{
    tls->openssl = dlopen(LIBSSL, RTLD_NOW | RTLD_LOCAL);
    tls->libevent = tls->openssl ? dlopen(LIBEVENT_OPENSSL, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!tls->libevent)
        return flo_fail(err, FLO_ESYS, "an https endpoint is configured, but %s", dlerror());
#define TLS_LOOK_UP(result, name, params)                                                          \
    *(void **)(void *)&tls->name = dlsym(tls->openssl, #name);                                     \
    if (!tls->name)                                                                                \
        *(void **)(void *)&tls->name = dlsym(tls->libevent, #name);                                \
    if (!tls->name)                                                                                \
        return flo_fail(err, FLO_ESYS, "an https endpoint is configured, but there is no %s",      \
                        #name);
    TLS_FUNCTIONS(TLS_LOOK_UP)
#undef TLS_LOOK_UP
    return 0;
}

int flo_otlp_tls_new(const char *ca_file, struct flo_otlp_tls **out, struct flo_err *err)
{
    struct flo_otlp_tls *tls = flo_calloc(1, sizeof *tls);
    bool own_ca = ca_file && *ca_file;
    int rc;

    if (!tls)
        return flo_fail(err, FLO_ENOMEM, "no memory for TLS");
    rc = load(tls, err);
    if (rc)
        goto out;
    tls->context = tls->SSL_CTX_new(tls->TLS_client_method());
    if (!tls->context) {
        rc = flo_fail(err, FLO_ENOMEM, "no memory for a TLS context");
        goto out;
    }
    tls->SSL_CTX_ctrl(tls->context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    if (own_ca ? tls->SSL_CTX_load_verify_locations(tls->context, ca_file, NULL) != 1
               : tls->SSL_CTX_set_default_verify_paths(tls->context) != 1) {
        rc = flo_fail(err, FLO_EINVAL, "certificate authorities cannot be read from %s",
                      own_ca ? ca_file : "the system's folder");
        goto out;
    }
    tls->SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    *out = tls;
    tls = NULL;
out:
    flo_otlp_tls_free(&tls);
    return rc;
}

void flo_otlp_tls_free(struct flo_otlp_tls **tls)
{
    if (!*tls)
        return;
    if ((*tls)->context)
        (*tls)->SSL_CTX_free((*tls)->context);
    flo_free(*tls);
    *tls = NULL;
}

struct bufferevent *flo_otlp_tls_bufferevent(struct flo_otlp_tls *tls, struct event_base *base,
                                             const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    struct bufferevent *bev = NULL;
    SSL *ssl = tls->SSL_new(tls->context);
    int named;

    if (!ssl)
        return NULL;
    named = is_address ? tls->X509_VERIFY_PARAM_set1_ip_asc(tls->SSL_get0_param(ssl), host)
                       : tls->SSL_set1_host(ssl, host);
    if (!is_address)
        tls->SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                      (void *)(uintptr_t)host);
    if (named == 1)
        bev = tls->bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                                  BEV_OPT_CLOSE_ON_FREE);
    if (bev) /* who answered and closes without a close_notify has answered */
        tls->bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    else
        tls->SSL_free(ssl);
    return bev;
}
