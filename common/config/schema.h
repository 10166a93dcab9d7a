/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - reads settings into a C struct by a table, and knows for each where it came from.
 *
 * A table row says: key path, type, where the value goes, default, bounds, environment variables,
 * help. From the same rows come the checks, --print-config and the reference in
 * docs/configuration.md. Precedence: --set, environment, file, default. The first environment
 * variable of a row that is set (and not empty) wins.
 *
 * Any value in the file may hold ${VAR} and ${VAR:-default}; "$$" is a dollar. An unset variable
 * without a default is an error that names it.
 *
 * Types in the file: true/false; decimal integers; decimal fractions; durations 250ms, 30s, 5m,
 * 1h; sizes 65536, 64KiB, 64Ki, 64MiB, 64Mi, 1GiB, 1Gi; one of a set of words; lists; maps.
 */
#ifndef FLO_CONFIG_SCHEMA_H
#define FLO_CONFIG_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/cmdline.h"
#include "config/yaml.h"
#include "flotilla/error.h"

/* The C type of each setting type, at its offset. */
enum flo_setting_type {
    FLO_SETTING_STRING,   /* const char *, never NULL; bounds are its length in bytes */
    FLO_SETTING_BOOL,     /* bool */
    FLO_SETTING_INT,      /* int64_t */
    FLO_SETTING_FLOAT,    /* double */
    FLO_SETTING_DURATION, /* int64_t, milliseconds */
    FLO_SETTING_SIZE,     /* int64_t, bytes */
    FLO_SETTING_ENUM,     /* int: index into choices */
    FLO_SETTING_STRINGS,  /* struct flo_strings */
    FLO_SETTING_JSON,     /* json_t *, an object, never NULL; owned by the config */
    FLO_SETTING_LIST,     /* struct flo_list_value: elements described by a table of their own */
};

struct flo_strings {
    const char **items;
    size_t count;
};

struct flo_list_value {
    void *items; /* count elements of the row's item_size */
    size_t count;
};

enum {
    FLO_SETTING_REQUIRED = 1, /* no default: must be given */
    FLO_SETTING_SECRET = 2,   /* shown as ***; refused on the command line */
    FLO_SETTING_OPEN_MIN = 4, /* min itself is not allowed (floats) */
    FLO_SETTING_PATH = 8,     /* relative file names are relative to the YAML file's folder */
};

struct flo_setting {
    const char *key; /* "server.address" */
    enum flo_setting_type type;
    size_t offset;       /* in the config struct */
    unsigned roles;      /* bit mask: which programs have it; 0: all */
    const char *initial; /* default in the file's notation; NULL: empty */
    double min, max;     /* in the type's unit; both 0: no bounds */
    const char *choices; /* ENUM: "auto|json|text" */
    const char *env;     /* "TEMPORAL_ADDRESS TEMPORAL_HOST", by precedence; NULL: none */
    unsigned flags;
    const struct flo_setting *items; /* LIST: the element's table */
    size_t item_count, item_size;
    const char *item_shorthand; /* LIST: key that a plain string element sets; NULL: maps only */
    const char *help;
};

/* Where a value came from. */
enum flo_source_kind {
    FLO_FROM_DEFAULT,
    FLO_FROM_FILE,
    FLO_FROM_ENV,
    FLO_FROM_FLAG,
    FLO_FROM_OTHER, /* another setting decides it, whatever was given */
};
struct flo_source {
    enum flo_source_kind kind;
    const char *name; /* file, variable, or the other setting; NULL otherwise */
    int line, column; /* in the file; 0 otherwise */
};

/* A loaded configuration: embedded as the first member of each config struct. */
struct flo_config {
    const struct flo_setting *table;
    size_t count;
    unsigned role;              /* bit */
    struct flo_source *sources; /* one a row */
    const char *file;           /* as given, NULL without one */
    const char *dir;            /* the file's folder, "." without one */
    struct flo_arena arena;     /* holds all strings and lists */
    json_t *json[160];          /* objects that belong to it */
    size_t json_count;
    const char *warnings[8]; /* sentences for the program to log (config.warning) */
    size_t warning_count;
};

/*
 * Fill config (and with it the struct around it) from cmdline's --set, the environment, and the
 * file (NULL: none). One sentence in err: FLO_ENOENT, FLO_EPERM (unreadable or writable by
 * everybody), FLO_EINVAL (a --set that is no key=value, or a secret), FLO_ECONFIG. After a failure
 * call flo_config_fini too.
 */
FLO_MUST_CHECK int flo_config_load(struct flo_config *config, const struct flo_setting *table,
                                   size_t count, unsigned role, const struct flo_cmdline *cmdline,
                                   struct flo_err *err);
void flo_config_fini(struct flo_config *config);

/* One line a value, `key.path: value  # source`, in the file's notation, secrets as ***.
 * FLO_ENOMEM. */
FLO_MUST_CHECK int flo_config_print(const struct flo_config *config, struct flo_buf *out);

/* The reference of a table as Markdown rows: | key | type | default | allowed | environment |
 * meaning |. What docs/configuration.md is checked against. */
FLO_MUST_CHECK int flo_config_document(const struct flo_setting *table, size_t count, unsigned role,
                                       struct flo_buf *out);

/* Are the values of row i the same in two loads of one table, for one role? Rows of other roles
 * are. What a finish step changed counts as it stands. */
bool flo_config_same(const struct flo_config *a, const struct flo_config *b, size_t i);
/* Take the value of row i, and where it came from, over from another load of the same table;
 * strings and lists are copied. FLO_ENOMEM: nothing has changed. */
FLO_MUST_CHECK int flo_config_adopt(struct flo_config *config, const struct flo_config *from,
                                    size_t i);
/* One row: its value as text, in the file's notation with secrets as ***, and "FILE:LINE",
 * "env NAME", "default", "flag" or "by OTHER". */
void flo_config_print_row(const struct flo_config *config, size_t i, struct flo_buf *out_value,
                          struct flo_buf *out_source);

/* The source of a key; NULL when there is no such key. */
const struct flo_source *flo_config_source(const struct flo_config *config, const char *key);
/* The value of key has been put there because of another setting, or its variable; other is kept
 * by address. */
void flo_config_follows(struct flo_config *config, const char *key, const char *other);

/*
 * The end of --check-config and --print-config: true when one of them was given (their output has
 * been written to stdout, *out_exit is set, the program ends).
 */
bool flo_config_main_end(const struct flo_config *config, const struct flo_cmdline *cmdline,
                         int *out_exit);

/* The candidate nearest to word by edit distance, when near enough to be meant; else NULL. */
const char *flo_did_you_mean(const char *word, const char *const *candidates, size_t count);
/* The same where other words than the candidates are right, too: at most so many slips. */
const char *flo_nearest_within(size_t most, const char *word, const char *const *candidates,
                               size_t count);

#endif
