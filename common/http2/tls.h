/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - OpenSSL contexts for HTTP/2: TLS 1.2 or newer, ECDHE with AEAD only, ALPN "h2" required
 * on both sides (RFC 9113, 9.2), no tickets, no compression, no renegotiation. OpenSSL initialises
 * itself with the first context, so a process without TLS never pays for it.
 */
#ifndef FLO_HTTP2_TLS_H
#define FLO_HTTP2_TLS_H

#include <stdbool.h>

#include "flotilla/error.h"

struct ssl_ctx_st;

/* All files are PEM. */
struct flo_h2_tls_files {
    const char *ca_file; /* whom to trust; client: NULL = the system's; server: NULL = ask no one */
    const char *cert_file; /* own chain; client: NULL = none */
    const char *key_file;  /* own key */
};

/* Server context; with ca_file a client must show a certificate that it signed. FLO_EINVAL. */
FLO_MUST_CHECK int flo_h2_tls_server(const struct flo_h2_tls_files *files,
                                     struct ssl_ctx_st **out_tls, struct flo_err *err);
/* Client context. skip_verify accepts any server. FLO_EINVAL. */
FLO_MUST_CHECK int flo_h2_tls_client(const struct flo_h2_tls_files *files, bool skip_verify,
                                     struct ssl_ctx_st **out_tls, struct flo_err *err);
void flo_h2_tls_free(struct ssl_ctx_st **tls);

#endif
