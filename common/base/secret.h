/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - what counts as a secret, for everything that prints settings or hands an environment
 * on: by its name, or as the password inside a URL.
 */
#ifndef FLO_BASE_SECRET_H
#define FLO_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* What is shown instead. */
#define FLO_SECRET_MASK "***"

/* Does a name (a setting's, an environment variable's; len bytes) say that its value is secret?
 * Upper and lower case are the same. */
bool flo_secret_name(const char *name, size_t len);

/*
 * Append text with the secrets of a URL masked: "postgresql://u:***@host/db?password=***". What
 * stands before "@" without a colon is taken for a token and masked whole. Text that is no URL is
 * appended as it is. When out is full or memory is out, out->failed says so.
 */
void flo_secret_append_masked(struct flo_buf *out, const char *text);

#endif
