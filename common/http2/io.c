/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c - bytes of one connection: the socket itself, or OpenSSL on the socket. Everything is
 * non-blocking; one call here is one system call: OpenSSL reads ahead, instead of a record's five
 * bytes of header and then its body, and what it holds is asked for by flo_h2_io_pending.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http2/conn_internal.h"

/* The name to check: an IP address is compared with the certificate's addresses, without SNI. */
static int set_peer_name(SSL *ssl, const char *name, bool skip_verify)
{
    unsigned char addr[16];
    bool numeric = inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1;
    if (!numeric && SSL_set_tlsext_host_name(ssl, name) != 1)
        return -1;
    if (skip_verify)
        return 0;
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 ? 0 : -1;
    return SSL_set1_host(ssl, name) == 1 ? 0 : -1;
}

int flo_h2_io_start_tls(struct flo_h2_conn *conn, struct flo_err *err)
{
    conn->ssl = SSL_new(conn->opt.tls);
    if (!conn->ssl || SSL_set_fd(conn->ssl, conn->fd) != 1)
        return flo_fail(err, FLO_ENOMEM, "no memory for a TLS connection");
    SSL_set_mode(conn->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
    SSL_set_read_ahead(conn->ssl, 1);
    if (conn->opt.server) {
        SSL_set_accept_state(conn->ssl);
        return 0;
    }
    SSL_set_connect_state(conn->ssl);
    const char *name = conn->opt.server_name;
    if (name && set_peer_name(conn->ssl, name, conn->opt.insecure_skip_verify))
        return flo_fail(err, FLO_EINVAL, "TLS: \"%s\" is no server name", name);
    return 0;
}

static void tls_reason(struct flo_h2_conn *conn, const char *doing)
{
    unsigned long code = ERR_get_error();
    long verify = SSL_get_verify_result(conn->ssl);
    const char *detail = NULL;
    if (verify != X509_V_OK)
        detail = X509_verify_cert_error_string(verify);
    else if (code)
        detail = ERR_reason_error_string(code);
    else if (errno)
        detail = strerror(errno);
    snprintf(conn->reason, sizeof conn->reason, "TLS %s: %s", doing,
             detail ? detail : "the peer closed the connection");
    ERR_clear_error();
}

int flo_h2_io_handshake(struct flo_h2_conn *conn, bool *out_want_write)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(conn->ssl);
    if (rc != 1) {
        int why = SSL_get_error(conn->ssl, rc);
        *out_want_write = why == SSL_ERROR_WANT_WRITE;
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            return FLO_H2_AGAIN;
        tls_reason(conn, "handshake");
        return -1;
    }
    const unsigned char *alpn = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(conn->ssl, &alpn, &len);
    if (len != 2 || memcmp(alpn, "h2", 2) != 0) {
        snprintf(conn->reason, sizeof conn->reason, "TLS: the peer did not agree on ALPN \"h2\"");
        return -1;
    }
    return 1;
}

/* The result of an SSL_read or SSL_write that moved nothing. */
static ssize_t tls_result(struct flo_h2_conn *conn, int rc, const char *doing)
{
    switch (SSL_get_error(conn->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return FLO_H2_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        tls_reason(conn, doing);
        return -1;
    }
}

ssize_t flo_h2_io_read(struct flo_h2_conn *conn, uint8_t *data, size_t len)
{
    if (conn->ssl) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_read(conn->ssl, data, (int)len);
        return rc > 0 ? rc : tls_result(conn, rc, "read");
    }
    ssize_t n;
    do
        n = recv(conn->fd, data, len, 0);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return FLO_H2_AGAIN;
    snprintf(conn->reason, sizeof conn->reason, "read: %s", strerror(errno));
    return -1;
}

bool flo_h2_io_pending(const struct flo_h2_conn *conn)
{
    return conn->ssl && SSL_has_pending(conn->ssl);
}

ssize_t flo_h2_io_write(struct flo_h2_conn *conn, const uint8_t *data, size_t len)
{
    if (conn->ssl) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_write(conn->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);
        if (rc > 0)
            return rc;
        ssize_t n = tls_result(conn, rc, "write");
        return n == 0 ? -1 : n;
    }
    ssize_t n;
    do
        n = send(conn->fd, data, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return FLO_H2_AGAIN;
    snprintf(conn->reason, sizeof conn->reason, "write: %s", strerror(errno));
    return -1;
}

void flo_h2_io_shutdown(struct flo_h2_conn *conn)
{
    if (conn->ssl && SSL_is_init_finished(conn->ssl)) {
        ERR_clear_error();
        SSL_shutdown(conn->ssl);
    }
    shutdown(conn->fd, SHUT_WR);
}

void flo_h2_io_close(struct flo_h2_conn *conn)
{
    if (conn->ssl) {
        SSL_free(conn->ssl);
        ERR_clear_error();
    }
    conn->ssl = NULL;
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
}
