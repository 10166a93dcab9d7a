/* SPDX-License-Identifier: Apache-2.0 */
/* flame.h - a flame graph as SVG from folded stacks ("main;loop;poll 12", one a line). Pure. */
#ifndef FLO_CLI_FLAME_H
#define FLO_CLI_FLAME_H

#include <stddef.h>

#include "base/buf.h"
#include "flotilla/error.h"

/*
 * Draw folded (len bytes) into out: a page of its own that needs nothing else; each frame's title
 * has its name, samples and share. Lines that are no stacks are left out; frames deeper than 200
 * are cut off. FLO_EINVAL: there is no stack in it; FLO_ENOMEM.
 */
FLO_MUST_CHECK int cli_flame_draw(const char *folded, size_t len, const char *title,
                                  struct flo_buf *out, struct flo_err *err);

#endif
