/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - texts that many runs share: workflow types, task queues, sticky queues, builds. Each
 * is in memory once, however many runs have it.
 */
#ifndef FLO_ENGINE_CORE_NAMES_H
#define FLO_ENGINE_CORE_NAMES_H

#include "base/index.h"

/* All zero is an empty set. */
struct flo_names {
    struct flo_index index;
};

/* The shared copy of text, kept until flo_names_put; equal texts give equal pointers. NULL: memory
 * is out. */
const char *flo_names_get(struct flo_names *names, const char *text);
/* Give back what flo_names_get gave, and set the pointer to NULL. NULL is fine. */
void flo_names_put(struct flo_names *names, const char **name);
/* Free the set; all names have been given back. */
void flo_names_fini(struct flo_names *names);

#endif
