/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - folders and small files.
 */
#ifndef FLO_BASE_FILE_H
#define FLO_BASE_FILE_H

#include <stddef.h>

#include "flotilla/error.h"

/* Make path and the folders above it that are missing, each 0700; those that exist stay as they
 * are. FLO_EINVAL: too long; FLO_EPERM; FLO_ESYS. */
FLO_MUST_CHECK int flo_file_make_folders(const char *path, struct flo_err *err);

/*
 * The first line of a file that only its owner may read (where root owns it, its group may, too:
 * so Kubernetes mounts Secrets), without its end; nothing but that line may be in it. what names it
 * in sentences: "the token". FLO_ENOENT; FLO_EPERM: not readable, or readable by others;
 * FLO_ECONFIG: no regular file, empty, more than one line or longer than size - 1.
 */
FLO_MUST_CHECK int flo_file_read_secret(const char *path, const char *what, char *out, size_t size,
                                        struct flo_err *err);
/* Make path, 0600, with text and the end of a line; on the disk when it returns. FLO_EEXIST: it is
 * there; FLO_EPERM; FLO_ESYS. */
FLO_MUST_CHECK int flo_file_write_secret(const char *path, const char *what, const char *text,
                                         struct flo_err *err);

#endif
