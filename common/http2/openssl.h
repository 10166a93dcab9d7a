/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl.h - OpenSSL, brought in when the first TLS context is made: a process without TLS does
 * not pay the 1.7 MB that libssl and libcrypto take as soon as they are mapped.
 */
#ifndef FLO_HTTP2_OPENSSL_H
#define FLO_HTTP2_OPENSSL_H

#include "flotilla/error.h"

/* Load the libraries, once. FLO_ESYS: not installed, or older than what this was built for. */
FLO_MUST_CHECK int flo_openssl_load(struct flo_err *err);

#endif
