/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - parsing the command line by the table in options.h. */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/command.h"

#define KEY_FILE_VARIABLE "TEMPORAL_API_KEY_FILE"
enum { KEY_MAX_BYTES = 16385 };

enum kind { TEXT, FLAG, NUMBER, DURATION, LIST };

static const struct option {
    const char *name;
    char short_name;
    enum kind kind;
    const char *value, *help;
    size_t offset;
} table[] = {
#define CLI_OPTION_ROW(id, field, name, short_name, kind, value, help)                             \
    {name, short_name, kind, value, help, offsetof(struct cli_options, field)},
    CLI_OPTIONS(CLI_OPTION_ROW)
#undef CLI_OPTION_ROW
};
#define TABLE_COUNT (sizeof table / sizeof *table)

/* So long a beginning of a name is near it, however long the rest is. */
#define PREFIX_MIN 3

static size_t distance(const char *a, const char *b)
{
    size_t row[64], la = strlen(a), lb = strlen(b);
    if (lb >= 64)
        return 64;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count)
{
    size_t nearest = count;
    size_t least = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, names[i]);
        if (d < least) {
            least = d;
            nearest = i;
        }
    }
    size_t len = strlen(word);
    for (size_t i = 0; nearest == count && len >= PREFIX_MIN && i < count; i++)
        if (strncmp(names[i], word, len) == 0)
            nearest = i;
    return nearest < count ? names[nearest] : NULL;
}

static cli_option_set accepted(const struct cli_command *command)
{
    return command->accepts |
           (command->accepts & CLI_ASKS_NO_SERVER ? CLI_OPT(OUTPUT) : CLI_OPT_COMMON);
}

static void print_help(const struct cli_command *command)
{
    printf("flotilla %s - %s\n\nusage: flotilla %s [OPTION ...]%s%s\n\n", command->name,
           command->summary, command->name, *command->operands ? " " : "", command->operands);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (!(accepted(command) >> i & 1))
            continue;
        char left[64];
        char short_text[8] = "    ";
        if (table[i].short_name)
            snprintf(short_text, sizeof short_text, "-%c, ", table[i].short_name);
        const char *value = table[i].value;
        if (i == CLI_ID_OUTPUT && command->accepts & CLI_TAKES_YAML)
            value = "text|json|yaml";
        if (i == CLI_ID_OUTPUT && command->accepts & CLI_TAKES_JSONL)
            value = "text|json|jsonl";
        snprintf(left, sizeof left, "%s--%s %s", short_text, table[i].name, value);
        printf("  %-34s %s\n", left, table[i].help);
    }
    printf("      --help                         this text\n");
    if (command->run == cli_fleet)
        printf("\n%s", cli_fleet_help());
    if (command->run == cli_keys)
        printf("\n%s", cli_keys_help());
    if (command->run == cli_replay)
        printf("\n%s", cli_replay_help());
    if (command->run == cli_drain)
        printf("\nThe workers get quiet, by a signal. To end them after what runs: 'flotilla fleet "
               "drain'.\n");
}

static bool usage(const struct cli_command *command, int *out_exit, const char *what,
                  const char *word)
{
    fprintf(stderr, "flotilla %s: %s '%s'; 'flotilla %s --help' lists what there is\n",
            command->name, what, word, command->name);
    *out_exit = FLO_EXIT_USAGE;
    return false;
}

static bool unknown(const struct cli_command *command, int *out_exit, const char *word)
{
    const char *names[TABLE_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (accepted(command) >> i & 1)
            names[count++] = table[i].name;
    size_t len = strcspn(word, "=");
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)len - 2, word + 2);
    const char *near = strncmp(word, "--", 2) == 0 ? cli_nearest(name, names, count) : NULL;
    if (!near)
        return usage(command, out_exit, "unknown option", word);
    fprintf(stderr, "flotilla %s: unknown option '%s'; did you mean --%s?\n", command->name, word,
            near);
    *out_exit = FLO_EXIT_USAGE;
    return false;
}

/* The option that word names, or NULL; *out_value is what follows '=', or NULL. */
static const struct option *find(const struct cli_command *command, const char *word,
                                 const char **out_value)
{
    *out_value = NULL;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (!(accepted(command) >> i & 1))
            continue;
        size_t len = strlen(table[i].name);
        if (word[1] == table[i].short_name && table[i].short_name && !word[2])
            return &table[i];
        if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, table[i].name, len) == 0 &&
            (word[2 + len] == '\0' || word[2 + len] == '=')) {
            if (word[2 + len] == '=')
                *out_value = word + 2 + len + 1;
            return &table[i];
        }
    }
    return NULL;
}

static bool parse_number(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < 0)
        return false;
    *out = n;
    return true;
}

/* "30s", "250ms", "5m", "2h", "1d". */
static bool parse_duration(const char *text, int64_t *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    if (errno || end == text || !(n >= 0) || n > 1e9)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *out = (int64_t)(n * (double)units[i].ms);
            return true;
        }
    }
    return false;
}

static bool list_add(struct cli_words *list, const char *value)
{
    if (list->count == CLI_LIST_MAX)
        return false;
    list->items[list->count++] = value;
    return true;
}

static bool store(const struct option *option, const char *value, struct cli_options *out)
{
    void *field = (char *)out + option->offset;
    switch (option->kind) {
    case TEXT:
        *(cli_text *)field = value;
        return true;
    case FLAG:
        *(cli_flag *)field = true;
        return true;
    case NUMBER:
        return parse_number(value, field);
    case DURATION:
        return parse_duration(value, field);
    case LIST:
        return list_add(field, value);
    }
    return false;
}

static const char *from_env(const char *value, const char *name, const char *fallback)
{
    if (value)
        return value;
    value = getenv(name);
    return value && *value ? value : fallback;
}

static void fill_defaults(struct cli_options *out)
{
    out->address = from_env(out->address, "TEMPORAL_ADDRESS", NULL);
    out->namespace_ = from_env(out->namespace_, "TEMPORAL_NAMESPACE", "default");
    out->tls_ca = from_env(out->tls_ca, "TEMPORAL_TLS_SERVER_CA_CERT_PATH", NULL);
    out->tls_cert = from_env(out->tls_cert, "TEMPORAL_TLS_CLIENT_CERT_PATH", NULL);
    out->tls_key = from_env(out->tls_key, "TEMPORAL_TLS_CLIENT_KEY_PATH", NULL);
    out->tls_server_name = from_env(out->tls_server_name, "TEMPORAL_TLS_SERVER_NAME", NULL);
    out->codec_key = from_env(out->codec_key, "FLOTILLA_CODEC_KEY_FILE", NULL);
    out->codec_keys = from_env(out->codec_keys, "FLOTILLA_CODEC_KEYS_DIR", NULL);
    out->api_key = from_env(out->api_key, "TEMPORAL_API_KEY", NULL);
    const char *tls = from_env(NULL, "TEMPORAL_TLS", "");
    const bool off = strcmp(tls, "false") == 0 || strcmp(tls, "0") == 0;
    const bool key = out->api_key || from_env(NULL, KEY_FILE_VARIABLE, NULL);
    out->tls = out->tls || strcmp(tls, "true") == 0 || strcmp(tls, "1") == 0 || (key && !off) ||
               out->tls_ca || out->tls_cert;
}

/* The API key out of the file that the environment names. False, with a message: it cannot be. */
static bool read_key_file(const struct cli_command *command, struct cli_options *out)
{
    static char key[KEY_MAX_BYTES];
    const char *path = from_env(NULL, KEY_FILE_VARIABLE, NULL);
    struct flo_err err = {0};
    if (out->api_key || !path || command->accepts & CLI_ASKS_NO_SERVER)
        return true;
    if (flo_file_read_secret(path, "the API key", key, sizeof key, &err)) {
        fprintf(stderr, "flotilla: " KEY_FILE_VARIABLE ": %s\n", err.message);
        return false;
    }
    out->api_key = key;
    return true;
}

static bool good_output(const struct cli_command *command, const char *output)
{
    return !output || strcmp(output, "text") == 0 || strcmp(output, "json") == 0 ||
           (command->accepts & CLI_TAKES_YAML && strcmp(output, "yaml") == 0) ||
           (command->accepts & CLI_TAKES_JSONL && strcmp(output, "jsonl") == 0);
}

bool cli_options_parse(const struct cli_command *command, char **argv, struct cli_options *out,
                       int *out_exit)
{
    struct cli_options parsed = {.rest = argv};
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (table[i].kind == NUMBER || table[i].kind == DURATION)
            *(int64_t *)(void *)((char *)&parsed + table[i].offset) = -1;
    char **operand = argv; /* operands move to the front */
    bool only_operands = false;
    for (char **arg = argv; *arg; arg++) {
        const char *value;
        if (only_operands || (*arg)[0] != '-' || strcmp(*arg, "-") == 0) {
            *operand++ = *arg;
            continue;
        }
        if (strcmp(*arg, "--") == 0) {
            only_operands = true;
            continue;
        }
        if (strcmp(*arg, "--help") == 0 || strcmp(*arg, "-h") == 0) {
            print_help(command);
            *out_exit = 0;
            return false;
        }
        const struct option *option = find(command, *arg, &value);
        if (!option)
            return unknown(command, out_exit, *arg);
        if (option->kind == FLAG && value)
            return usage(command, out_exit, "no value goes with", *arg);
        if (option->kind != FLAG && !value) {
            if (!arg[1])
                return usage(command, out_exit, "a value is missing after", *arg);
            value = *++arg;
        }
        if (!store(option, value, &parsed))
            return usage(command, out_exit,
                         option->kind == NUMBER ? "not a whole number:"
                         : option->kind == LIST ? "more than 32 of them, from"
                                                : "not a time like 30s, 5m or 1h:",
                         value);
    }
    parsed.operands = argv;
    parsed.operand_count = (int)(operand - argv);
    if (parsed.operand_count && !*command->operands)
        return usage(command, out_exit, "unexpected argument", argv[0]);
    fill_defaults(&parsed);
    if (!read_key_file(command, &parsed)) {
        *out_exit = FLO_EXIT_CONFIG;
        return false;
    }
    if (!good_output(command, parsed.output))
        return usage(command, out_exit,
                     command->accepts & CLI_TAKES_YAML    ? "--output is text, json or yaml, not"
                     : command->accepts & CLI_TAKES_JSONL ? "--output is text, json or jsonl, not"
                                                          : "--output is text or json, not",
                     parsed.output);
    parsed.jsonl = parsed.output && strcmp(parsed.output, "jsonl") == 0;
    parsed.json = parsed.jsonl || (parsed.output && strcmp(parsed.output, "json") == 0);
    *out = parsed;
    return true;
}
