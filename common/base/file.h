/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - folders and small files.
 */
#ifndef FLO_BASE_FILE_H
#define FLO_BASE_FILE_H

#include "flotilla/error.h"

/* Make path and the folders above it that are missing, each 0700; those that exist stay as they
 * are. FLO_EINVAL: too long; FLO_EPERM; FLO_ESYS. */
FLO_MUST_CHECK int flo_file_make_folders(const char *path, struct flo_err *err);

#endif
