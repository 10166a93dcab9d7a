/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - OpenSSL contexts with our one policy. */
#include "http2/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "http2/openssl.h"

static const unsigned char alpn_h2[] = {2, 'h', '2'};

/* Why a file was not taken: its first reason, in plain words where it is a common one, else
 * OpenSSL's. */
static const char *reason_of(unsigned long code, const char *file)
{
    if (file && access(file, R_OK))
        return strerror(errno);
    if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
        return "nothing of this kind is in it; PEM text is wanted";
    if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
        ERR_GET_REASON(code) == X509_R_NO_CERTIFICATE_OR_CRL_FOUND)
        return "no certificate is in it; PEM text is wanted";
    if (ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH)
        return "it is not the key of the certificate";
    if (ERR_GET_REASON(code) == ERR_R_UNSUPPORTED)
        return "no private key is in it; PEM text is wanted";
    return code ? ERR_reason_error_string(code) : NULL;
}

static int tls_fail(struct flo_err *err, const char *what, const char *file)
{
    const char *reason = reason_of(ERR_get_error(), file);
    ERR_clear_error();
    return flo_fail(err, FLO_EINVAL, "TLS: %s \"%s\": %s", what, file ? file : "",
                    reason ? reason : "cannot be used");
}

/* Take h2 when the client offers it, refuse the handshake otherwise. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, alpn_h2, sizeof alpn_h2, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int set_policy(SSL_CTX *tls, struct flo_err *err)
{
    SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(tls, 0) != 1 ||
        SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        return tls_fail(err, "policy", NULL);
    return 0;
}

static int load_own(SSL_CTX *tls, const struct flo_h2_tls_files *files, struct flo_err *err)
{
    if (!files->cert_file && !files->key_file)
        return 0;
    if (!files->cert_file || !files->key_file)
        return flo_fail(err, FLO_EINVAL,
                        "TLS: a certificate needs its key and a key its "
                        "certificate; one of the two files is missing");
    if (SSL_CTX_use_certificate_chain_file(tls, files->cert_file) != 1)
        return tls_fail(err, "certificate", files->cert_file);
    if (SSL_CTX_use_PrivateKey_file(tls, files->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls) != 1)
        return tls_fail(err, "key", files->key_file);
    return 0;
}

int flo_h2_tls_server(const struct flo_h2_tls_files *files, struct ssl_ctx_st **out_tls,
                      struct flo_err *err)
{
    SSL_CTX *tls;
    int rc = flo_openssl_load(err);
    if (rc)
        return rc;
    tls = SSL_CTX_new(TLS_server_method());
    if (!tls)
        return flo_fail(err, FLO_ENOMEM, "no memory for a TLS context");
    rc = set_policy(tls, err);
    if (!rc)
        rc = load_own(tls, files, err);
    if (rc)
        goto out;
    if (files->ca_file) {
        if (SSL_CTX_load_verify_locations(tls, files->ca_file, NULL) != 1) {
            rc = tls_fail(err, "client CA", files->ca_file);
            goto out;
        }
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    SSL_CTX_set_alpn_select_cb(tls, select_alpn, NULL);
    *out_tls = tls;
    tls = NULL;
out:
    SSL_CTX_free(tls);
    return rc;
}

int flo_h2_tls_client(const struct flo_h2_tls_files *files, bool skip_verify,
                      struct ssl_ctx_st **out_tls, struct flo_err *err)
{
    SSL_CTX *tls;
    int rc = flo_openssl_load(err);
    if (rc)
        return rc;
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        return flo_fail(err, FLO_ENOMEM, "no memory for a TLS context");
    rc = set_policy(tls, err);
    if (!rc)
        rc = load_own(tls, files, err);
    if (rc)
        goto out;
    if (files->ca_file) {
        if (SSL_CTX_load_verify_locations(tls, files->ca_file, NULL) != 1) {
            rc = tls_fail(err, "CA", files->ca_file);
            goto out;
        }
    } else if (!skip_verify && SSL_CTX_set_default_verify_paths(tls) != 1) {
        rc = tls_fail(err, "the system's CAs", NULL);
        goto out;
    }
    SSL_CTX_set_verify(tls, skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_alpn_protos(tls, alpn_h2, sizeof alpn_h2) != 0) {
        rc = tls_fail(err, "ALPN", NULL);
        goto out;
    }
    *out_tls = tls;
    tls = NULL;
out:
    SSL_CTX_free(tls);
    return rc;
}

void flo_h2_tls_free(struct ssl_ctx_st **tls)
{
    if (*tls)
        SSL_CTX_free(*tls);
    *tls = NULL;
}
