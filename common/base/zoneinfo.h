/* SPDX-License-Identifier: Apache-2.0 */
/* zoneinfo.h - the time zone files of this machine. */
#ifndef FLO_BASE_ZONEINFO_H
#define FLO_BASE_ZONEINFO_H

#include "base/buf.h"
#include "flotilla/error.h"

/*
 * Append the zone file of name ("Europe/Berlin"; "Local": this machine's zone) to out, from
 * /usr/share/zoneinfo (package tzdata) or the folder in the environment variable ZONEINFO. name is
 * checked by the caller: relative, without "..". ctx is not used. 0; FLO_ENOENT: no such zone, or
 * no zones at all; FLO_ENOMEM; FLO_ELIMIT: it is larger than out may grow; FLO_EIO. Blocks for one
 * small file.
 */
FLO_MUST_CHECK int flo_zoneinfo_read(void *ctx, const char *name, struct flo_buf *out);

#endif
