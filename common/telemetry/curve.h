/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve.h - key files for the encrypted connection between workers and the supervisor (CurveZMQ,
 * RFC 26 of ZeroMQ). A key is 32 bytes; a file holds its Z85 text (RFC 32), 40 characters and a
 * newline. The public half is computed from the secret one.
 */
#ifndef FLO_TELEMETRY_CURVE_H
#define FLO_TELEMETRY_CURVE_H

#include <stdint.h>

#include "flotilla/error.h"

#define FLO_CURVE_TEXT 41 /* Z85 and its NUL */
#define FLO_CURVE_BYTES 32

/* Read a public key. FLO_ENOENT, FLO_ECONFIG (no key in it). */
FLO_MUST_CHECK int flo_curve_read_public(const char *path, char out_text[FLO_CURVE_TEXT],
                                         struct flo_err *err);

/*
 * Read a secret key and its public half (NULL: not wanted). FLO_EPERM: others may read or write the
 * file (its group may read it when root owns it, as in a mounted Kubernetes Secret); else as above.
 * Wipe *out_secret with explicit_bzero after use.
 */
FLO_MUST_CHECK int flo_curve_read_secret(const char *path, char out_secret[FLO_CURVE_TEXT],
                                         char out_public[FLO_CURVE_TEXT], struct flo_err *err);

/* The 32 bytes of a key that was read. */
void flo_curve_bytes(const char text[FLO_CURVE_TEXT], uint8_t out[FLO_CURVE_BYTES]);

/*
 * Make a pair: DIR/NAME.secret (0400) and PUBLIC_DIR/NAME.public (0444). FLO_EEXIST: a file is
 * there already, and stays; FLO_EPERM, FLO_ESYS.
 */
FLO_MUST_CHECK int flo_curve_make_pair(const char *dir, const char *public_dir, const char *name,
                                       struct flo_err *err);

#endif
