/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h - API keys: who may call, and for which namespace.
 *
 * A file of lines "NAMESPACE sha256:HEX [NAME]" (docs/engine.md): the hash of a key that may be
 * used for that namespace, or with "*" for all of them and for the engine itself. A namespace may
 * have any number of keys, so that a new one is handed out before the old one is taken away. Keys
 * are 256 random bits (flotilla keys api makes them): a fast hash without salt is enough for those.
 * A key is compared with every line's, and each comparison takes its whole length.
 */
#ifndef FLO_ENGINE_ACCESS_H
#define FLO_ENGINE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

struct flo_access; /* opaque: access.c */

#define FLO_ACCESS_ALL "*" /* the namespace of keys that may do everything */
#define FLO_ACCESS_KEYS_MAX 4096

/* Read the file. FLO_ENOENT, FLO_EPERM, FLO_ECONFIG (the sentence has the line), FLO_ENOMEM. */
FLO_MUST_CHECK int flo_access_new(const char *path, struct flo_access **out_access,
                                  struct flo_err *err);
void flo_access_destroy(struct flo_access **access);
/* Has the file another content, by its place, size and time, than when it was last read? */
bool flo_access_changed(const struct flo_access *access);
/* Read it again. When it cannot be taken, the keys of before stay. Errors as above. */
FLO_MUST_CHECK int flo_access_reload(struct flo_access *access, struct flo_err *err);
/* How many lines there are. */
size_t flo_access_count(const struct flo_access *access);

/* Whose key is it? authorization is the header's value or NULL. False: there is none, or nobody's.
 */
bool flo_access_identify(struct flo_access *access, const char *authorization);
/* May the key that was identified last be used for this namespace ("" and FLO_ACCESS_ALL: for what
 * is no namespace's)? */
bool flo_access_may(const struct flo_access *access, const char *namespace_name);

#endif
