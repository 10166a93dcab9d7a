/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve.h - key files for the encrypted connection between workers and the supervisor (CurveZMQ,
 * RFC 26 of ZeroMQ). A key is 32 bytes; a file holds its Z85 text (RFC 32), 40 characters and a
 * newline. The public half is computed from the secret one.
 */
#ifndef FLO_TELEMETRY_CURVE_H
#define FLO_TELEMETRY_CURVE_H

#include <stddef.h>
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

/* Is text the Z85 of a key? Copies it. FLO_EINVAL, FLO_ESYS. */
FLO_MUST_CHECK int flo_curve_parse(const char *text, char out_text[FLO_CURVE_TEXT],
                                   struct flo_err *err);

/*
 * Make a pair: DIR/NAME.secret (0400) and PUBLIC_DIR/NAME.public (0444). FLO_EEXIST: a file is
 * there already, and stays; FLO_EPERM, FLO_ESYS.
 */
FLO_MUST_CHECK int flo_curve_make_pair(const char *dir, const char *public_dir, const char *name,
                                       struct flo_err *err);

/* Make DIR/NAME.public (0444) of a public key's text. FLO_EEXIST, FLO_EPERM, FLO_ESYS. */
FLO_MUST_CHECK int flo_curve_write_public(const char *dir, const char *name, const char *text,
                                          struct flo_err *err);

/*
 * Make the keys of a fleet in dir, which is made when it is missing: supervisor.secret and
 * supervisor.public, and for each of names (count of them; NULL: the roles of workers) NAME.secret
 * and allowed/NAME.public. FLO_EEXIST: one of them is there already, and nothing was made.
 */
FLO_MUST_CHECK int flo_curve_make_fleet(const char *dir, const char *const *names, size_t count,
                                        struct flo_err *err);

/* Where the keys of peers lie in the folder of a fleet's keys. */
#define FLO_CURVE_ALLOWED "allowed"

#endif
