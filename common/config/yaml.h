/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - a strict reader for configuration files: the part of YAML that people write by hand,
 * as a tree that remembers where everything stood.
 *
 * Only regular files of at most 256 KiB; one document; no anchors, aliases or tags; no duplicate
 * keys; nesting at most 16, checked on the bytes before libyaml sees them (its scanner is
 * quadratic in unclosed brackets). UTF-8, with or without BOM; LF or CRLF; no tabs or other
 * control characters. Errors are one line: `file:line:column: what is wrong; what is allowed`.
 */
#ifndef FLO_CONFIG_YAML_H
#define FLO_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "flotilla/error.h"

#define FLO_YAML_MAX_BYTES ((size_t)256 * 1024)
#define FLO_YAML_MAX_DEPTH 16

enum flo_yaml_kind { FLO_YAML_SCALAR, FLO_YAML_MAP, FLO_YAML_LIST };

struct flo_yaml_node {
    enum flo_yaml_kind kind;
    int line, column; /* from 1 */
    bool quoted;      /* scalar in quotes or a block: always text, never a number */
    const char *text; /* scalar; NUL-terminated, holds no NUL */
    size_t len;
    const char *key; /* member of a map: its key; else NULL */
    int key_line, key_column;
    struct flo_yaml_node *next;  /* next member or element */
    struct flo_yaml_node *first; /* map, list: first child; NULL when empty */
    size_t count;                /* children */
};

struct flo_yaml {
    struct flo_arena arena;     /* holds the tree */
    const char *file;           /* name as given; in the arena */
    struct flo_yaml_node *root; /* a map */
    bool world_writable;        /* of the file: its mode */
    bool others_may_read;
};

/*
 * Read path into *out (to be given to flo_yaml_free also after a failure). FLO_ENOENT: absent;
 * FLO_EPERM: not readable; FLO_ECONFIG: everything else that is wrong with it; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_yaml_load(const char *path, struct flo_yaml *out, struct flo_err *err);
/* The same from memory; name is for messages. */
FLO_MUST_CHECK int flo_yaml_parse(const char *name, const char *text, size_t len,
                                  struct flo_yaml *out, struct flo_err *err);
void flo_yaml_free(struct flo_yaml *yaml);

/* The member of a map, or NULL. */
const struct flo_yaml_node *flo_yaml_get(const struct flo_yaml_node *map, const char *key);
/* The same by a path through maps, "tls.cert_file"; NULL when map is NULL, too. */
const struct flo_yaml_node *flo_yaml_find(const struct flo_yaml_node *map, const char *path);

#endif
