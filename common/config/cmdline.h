/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmdline.h - the command line that all long-running programs share:
 * --config FILE, --set KEY=VALUE (repeatable), --log-level LEVEL, --log-format FORMAT,
 * --check-config, --print-config, --help, --version, and whatever options a program adds. Both
 * "--config FILE" and "--config=FILE" work, -c is short for --config. Exit codes are those of
 * sysexits.h: 64 usage, 66 no such file, 77 permission, 78 bad configuration.
 */
#ifndef FLO_CONFIG_CMDLINE_H
#define FLO_CONFIG_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/exit_code.h"
#include "flotilla/error.h"

#define FLO_CMDLINE_SETS_MAX 128

#define FLO_CMDLINE_GIVEN_MAX 256

/* An option of the program's own: with a value, or a flag, or with both, which is a flag that may
 * have a value (the next argument, unless that begins with a dash, or behind '='). */
struct flo_cmdline_option {
    const char *name;   /* "--listen"; with a short form "-p, --port" */
    const char *arg;    /* what --help calls its value, "HOST:PORT", "[DIR]"; NULL for a flag */
    const char *help;   /* one line */
    const char **value; /* set to the value (from argv, borrowed); the last one wins */
    bool *flag;         /* set to true */
};

struct flo_cmdline_spec {
    const char *program; /* "io-activity-worker" */
    const char *summary; /* one line for --help */
    bool config_options; /* --config, --set, --log-*, --check-config, --print-config are understood
                          */
    const struct flo_cmdline_option *options; /* ends with a NULL name; may be NULL */
    const char *positional; /* what operands are called, "FILE ..."; NULL: none allowed */
    const char *epilog;     /* more text for --help, or NULL */
};

struct flo_cmdline {
    const char *program;
    const char *config;                     /* --config, or NULL */
    const char *sets[FLO_CMDLINE_SETS_MAX]; /* "key=value" */
    size_t set_count;
    const char *log_level, *log_format; /* --log-level, --log-format: as --set, or NULL */
    bool check_config, print_config;
    /* The program's own options as they were given, for those that may be given more than once. */
    struct flo_cmdline_given {
        const struct flo_cmdline_option *option;
        const char *value; /* NULL: a flag */
    } given[FLO_CMDLINE_GIVEN_MAX];
    size_t given_count;
    char **operands; /* points into argv */
    int operand_count;
};

/*
 * Parse argv. True: go on. False: the program ends with *out_exit; --help and --version have been
 * written to stdout (0), or one line about the mistake to stderr (64). Safe with argc 0.
 */
FLO_MUST_CHECK bool flo_cmdline_parse(const struct flo_cmdline_spec *spec, int argc, char **argv,
                                      struct flo_cmdline *out, int *out_exit);

#endif
