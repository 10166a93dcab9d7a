/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline.c - the shared command line. */
#include "config/cmdline.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "config/process.h"
#include "config/schema.h"

#define ARG_MAX_BYTES 65536

static const struct flo_cmdline_option config_options[] = {
    {"--config", "FILE", "the YAML file to read (short: -c)", NULL, NULL},
    {"--set", "KEY=VALUE", "override one setting; may be given again", NULL, NULL},
    {"--log-level", "LEVEL", "trace, debug, info, warn or error", NULL, NULL},
    {"--log-format", "FORMAT", "auto, json, text or logfmt", NULL, NULL},
    {"--check-config", NULL, "check the configuration and end", NULL, NULL},
    {"--print-config", NULL, "print every setting and where it came from, and end", NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static const struct flo_cmdline_option common_options[] = {
    {"--help", NULL, "print this and end", NULL, NULL},
    {"--version", NULL, "print the version and end", NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static void print_options(const struct flo_cmdline_option *options)
{
    for (; options && options->name; options++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", options->name, options->arg ? " " : "",
                 options->arg ? options->arg : "");
        printf("  %-28s %s\n", left, options->help);
    }
}

static void print_help(const struct flo_cmdline_spec *spec)
{
    printf("Usage: %s [OPTION ...]%s%s\n%s\n\n", spec->program, spec->positional ? " " : "",
           spec->positional ? spec->positional : "", spec->summary);
    if (spec->config_options)
        print_options(config_options);
    print_options(spec->options);
    print_options(common_options);
    if (spec->epilog)
        printf("\n%s\n", spec->epilog);
}

/* One line about the mistake; returns false for the caller to return. */
static bool misuse(const struct flo_cmdline_spec *spec, int *out_exit, const char *what,
                   const char *argument)
{
    fprintf(stderr, "%s: %s%.160s; usage: %s [OPTION ...]%s%s (--help lists the options)\n",
            spec->program, what, argument, spec->program, spec->positional ? " " : "",
            spec->positional ? spec->positional : "");
    *out_exit = FLO_EXIT_USAGE;
    return false;
}

/* Does argument name this option, in its short form or the long one? *out_value: what stands
 * behind '=', or NULL. */
static bool names_option(const char *argument, const char *name, const char **out_value)
{
    for (size_t len; *name; name += len + strspn(name + len, ", ")) {
        len = strcspn(name, ",");
        if (strncmp(argument, name, len) != 0 || (argument[len] && argument[len] != '='))
            continue;
        *out_value = argument[len] ? argument + len + 1 : NULL;
        return true;
    }
    return false;
}

#define NAMES_MAX 128

/* The option that was probably meant, without its dashes, or NULL. */
static const char *meant(const struct flo_cmdline_spec *spec, const char *argument)
{
    const struct flo_cmdline_option *const lists[] = {spec->config_options ? config_options : NULL,
                                                      spec->options, common_options};
    const char *names[NAMES_MAX];
    char word[64];
    size_t count = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct flo_cmdline_option *o = lists[i]; o && o->name && count < NAMES_MAX;
             o++) {
            const char *longer = strstr(o->name, "--");
            names[count++] = longer ? longer + 2 : o->name;
        }
    argument += strspn(argument, "-");
    snprintf(word, sizeof word, "%.*s", (int)strcspn(argument, "="), argument);
    return flo_did_you_mean(word, names, count);
}

/* An option that nobody knows; returns false for the caller to return. */
static bool unknown(const struct flo_cmdline_spec *spec, int *out_exit, const char *argument)
{
    char text[256];
    const char *near = meant(spec, argument);
    snprintf(text, sizeof text, "%.100s%s%s%s", argument, near ? "; did you mean --" : "",
             near ? near : "", near ? "?" : "");
    return misuse(spec, out_exit, "unknown option: ", text);
}

struct cursor {
    int argc, at;
    char **argv;
};

enum taken { TAKEN, NOT_MINE, MISUSED };

/* The option's value: behind '=', or the next argument. */
static const char *take_value(struct cursor *cursor, const char *value)
{
    if (value)
        return value;
    return cursor->at + 1 < cursor->argc ? cursor->argv[++cursor->at] : NULL;
}

/* The next argument is there, and is no option. */
static bool next_is_value(const struct cursor *cursor)
{
    return cursor->at + 1 < cursor->argc && cursor->argv[cursor->at + 1][0] != '-';
}

static enum taken take_config_option(const struct flo_cmdline_spec *spec, struct cursor *cursor,
                                     struct flo_cmdline *out, int *out_exit)
{
    const char *argument = cursor->argv[cursor->at], *value = NULL;
    if (names_option(argument, "--check-config", &value) && !value) {
        out->check_config = true;
        return TAKEN;
    }
    if (names_option(argument, "--print-config", &value) && !value) {
        out->print_config = true;
        return TAKEN;
    }
    const char **log = names_option(argument, "--log-level", &value)    ? &out->log_level
                       : names_option(argument, "--log-format", &value) ? &out->log_format
                                                                        : NULL;
    bool config =
        !log && (names_option(argument, "--config", &value) || strcmp(argument, "-c") == 0);
    if (!log && !config && !names_option(argument, "--set", &value))
        return NOT_MINE;
    value = take_value(cursor, value);
    if (!value || !*value) {
        misuse(spec, out_exit, "no value for ", argument);
        return MISUSED;
    }
    if (log) {
        *log = value;
    } else if (config) {
        out->config = value;
    } else if (out->set_count < FLO_CMDLINE_SETS_MAX) {
        out->sets[out->set_count++] = value;
    } else {
        misuse(spec, out_exit, "too many --set", "");
        return MISUSED;
    }
    return TAKEN;
}

static enum taken take_own_option(const struct flo_cmdline_spec *spec, struct cursor *cursor,
                                  struct flo_cmdline *out, int *out_exit)
{
    const char *argument = cursor->argv[cursor->at], *value = NULL;
    for (const struct flo_cmdline_option *o = spec->options; o && o->name; o++) {
        if (!names_option(argument, o->name, &value))
            continue;
        if (!o->arg && value) {
            misuse(spec, out_exit, "no value is allowed: ", argument);
            return MISUSED;
        }
        if (out->given_count == FLO_CMDLINE_GIVEN_MAX) {
            misuse(spec, out_exit, "too many options", "");
            return MISUSED;
        }
        if (o->flag)
            *o->flag = true;
        const bool has_value = o->arg && (!o->flag || value || next_is_value(cursor));
        if (has_value) {
            value = take_value(cursor, value);
            if (!value) {
                misuse(spec, out_exit, "no value for ", argument);
                return MISUSED;
            }
            if (o->value)
                *o->value = value;
        }
        out->given[out->given_count++] =
            (struct flo_cmdline_given){.option = o, .value = has_value ? value : NULL};
        return TAKEN;
    }
    return NOT_MINE;
}

static bool check_encoding(const struct flo_cmdline_spec *spec, int argc, char **argv,
                           int *out_exit)
{
    for (int i = 1; i < argc; i++) {
        size_t len = strnlen(argv[i], ARG_MAX_BYTES + 1);
        if (len > ARG_MAX_BYTES)
            return misuse(spec, out_exit, "an argument is too long", "");
        if (!flo_utf8_valid(argv[i], len))
            return misuse(spec, out_exit, "an argument is not UTF-8", "");
    }
    return true;
}

bool flo_cmdline_parse(const struct flo_cmdline_spec *spec, int argc, char **argv,
                       struct flo_cmdline *out, int *out_exit)
{
    *out = (struct flo_cmdline){.program = spec->program};
    *out_exit = 0;
    if (!check_encoding(spec, argc, argv, out_exit))
        return false;
    struct cursor cursor = {.argc = argc, .at = 1, .argv = argv};
    for (; cursor.at < argc; cursor.at++) {
        const char *argument = argv[cursor.at];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            print_help(spec);
            return false;
        }
        if (strcmp(argument, "--version") == 0) {
            printf("%s %s\n", spec->program, flo_version());
            return false;
        }
        bool end = strcmp(argument, "--") == 0;
        if (end || argument[0] != '-' || !argument[1]) {
            if (!spec->positional)
                return misuse(spec, out_exit, "unexpected argument: ", argument);
            out->operands = argv + cursor.at + end;
            out->operand_count = argc - cursor.at - end;
            return true;
        }
        enum taken taken =
            spec->config_options ? take_config_option(spec, &cursor, out, out_exit) : NOT_MINE;
        if (taken == NOT_MINE)
            taken = take_own_option(spec, &cursor, out, out_exit);
        if (taken == MISUSED)
            return false;
        if (taken == NOT_MINE)
            return unknown(spec, out_exit, argument);
    }
    return true;
}

int flo_exit_code(int error)
{
    switch (error) {
    case 0:
        return FLO_EXIT_OK;
#define FLO_EXIT_CASE(code, name)                                                                  \
    case code:                                                                                     \
        return FLO_EXIT_##name;
        /* NOLINTNEXTLINE(bugprone-branch-clone): two errors may end alike */
        FLO_EXIT_OF_ERROR(FLO_EXIT_CASE)
#undef FLO_EXIT_CASE
    default:
        return FLO_EXIT_INTERNAL;
    }
}
