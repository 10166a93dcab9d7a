/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the parts of the configuration loader share. */
#ifndef FLO_CONFIG_INTERNAL_H
#define FLO_CONFIG_INTERNAL_H

#include "config/schema.h"

/* A value's text on its way into the struct. */
struct flo_value_text {
    const char *text;
    bool quoted;       /* in quotes: text, never a number */
    const char *where; /* "file:3:5", "environment variable X", "--set": begins the error line */
    const char *key;   /* full key path */
};

/*
 * Check one scalar by its row and store it at field (in the arena what it points to). The error
 * is the whole line: where: key: what is wrong; what is allowed.
 */
FLO_MUST_CHECK int flo_value_parse(const struct flo_setting *row,
                                   const struct flo_value_text *value, struct flo_arena *arena,
                                   void *field, struct flo_err *err);

/* Are two values of a row the same? */
bool flo_setting_same(const struct flo_setting *row, const void *a, const void *b);
/* The value in field, in the file's notation; a secret as ***. */
void flo_value_print(const struct flo_setting *row, const void *field, struct flo_buf *out);
/* What is allowed, for errors and the reference: "an integer from 1 to 10000". */
void flo_value_print_allowed(const struct flo_setting *row, struct flo_buf *out);

/*
 * text with ${VAR}, ${VAR:-default} and $$ replaced, in the arena (text itself when it holds no
 * dollar). FLO_ECONFIG: where: key: an unset variable, a bad reference, or a value with control
 * characters; names variables, never shows their values.
 */
FLO_MUST_CHECK int flo_expand(const struct flo_value_text *value, struct flo_arena *arena,
                              const char **out, struct flo_err *err);

/* Store what stands at node (scalar, list or map) by its row. key is the full path. A relative name
 * of a FLO_SETTING_PATH gets the file's folder in front. */
FLO_MUST_CHECK int flo_node_store(struct flo_config *config, const struct flo_setting *row,
                                  const struct flo_yaml *yaml, const struct flo_yaml_node *node,
                                  const char *key, void *field, struct flo_err *err);
/* Refuse a member that no row of the table knows. prefix is "" or "server."; role 0: all rows. */
FLO_MUST_CHECK int flo_node_check_keys(const struct flo_setting *table, size_t count, unsigned role,
                                       const struct flo_yaml *yaml, const struct flo_yaml_node *map,
                                       const char *prefix, struct flo_err *err);
/* Put the row's default into field. */
FLO_MUST_CHECK int flo_store_default(struct flo_config *config, const struct flo_setting *row,
                                     void *field, struct flo_err *err);
/* An empty JSON object that lives as long as config. */
FLO_MUST_CHECK int flo_config_own_json(struct flo_config *config, json_t *json,
                                       struct flo_err *err);

/* "where: key: sentence" for a check made after loading: where is the value's source. */
int flo_config_refuse(const struct flo_config *config, const char *key, struct flo_err *err,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Is HOST:PORT an address of this machine alone? */
bool flo_config_is_loopback(const char *address);
/* Two settings that are given together or not at all. */
struct flo_file_pair {
    const char *keys[2];
    const char *files[2];
};
/*
 * The endpoint between workers and supervisor: the CURVE files are both there or neither is, and
 * a tcp:// endpoint that is not loopback needs them, or insecure, of which a warning tells.
 */
FLO_MUST_CHECK int flo_config_check_supervisor(struct flo_config *config, const char *endpoint,
                                               const struct flo_file_pair *curve, bool insecure,
                                               struct flo_err *err);
/* Add a warning; dropped without room or memory. */
void flo_config_warn(struct flo_config *config, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
