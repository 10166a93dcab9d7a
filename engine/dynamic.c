/* SPDX-License-Identifier: Apache-2.0 */
/* dynamic.c - `--dynamic-config-value`: the keys of Temporal's dynamic configuration that the
 * engine has a setting for. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "config/schema.h"
#include "engine/options.h"

enum kind {
    NUMBER,   /* int64_t; at least 1, since 0 is the default */
    DURATION, /* int64_t of nanoseconds; "1m30s", or a number of seconds */
    DISABLES, /* bool that is set when the value is false */
    RATE,     /* double; more than 0, which is no limit */
    COUNT,    /* unsigned; at least 1, likewise */
};

static const struct key {
    const char *name;
    enum kind kind;
    size_t offset;
} keys[] = {
#define KEY(name, kind, member)                                                                    \
    {                                                                                              \
        name, kind, offsetof(struct flo_shell_options, member)                                     \
    }
    KEY("limit.blobSize.error", NUMBER, core.blob_size_limit),
    KEY("limit.historySize.error", NUMBER, core.history_size_limit),
    KEY("limit.historyCount.error", NUMBER, core.history_count_limit),
    KEY("limit.historySize.suggestContinueAsNew", NUMBER, core.history_size_suggest),
    KEY("limit.historyCount.suggestContinueAsNew", NUMBER, core.history_count_suggest),
    KEY("history.continueAsNewMinInterval", DURATION, core.continue_as_new_min_interval_ns),
    KEY("system.enableEagerWorkflowStart", DISABLES, core.no_eager_start),
    KEY("system.enableActivityEagerExecution", DISABLES, core.no_eager_activities),
    KEY("frontend.namespaceRPS", RATE, limits.rps),
    KEY("frontend.namespaceBurstRatio", RATE, limits.burst_ratio),
    KEY("frontend.namespaceCount", COUNT, limits.concurrent),
    KEY("frontend.MaxConcurrentBatchOperationPerNamespace", NUMBER, core.batch_jobs_limit),
#undef KEY
};

/* "1h30m", "250ms", "10" (seconds), "1.5s". */
static bool parse_duration(const char *text, int64_t *out_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                 {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
    double total = 0;
    if (!*text)
        return false;
    while (*text) {
        char *end;
        size_t i = 0;
        const double number = strtod(text, &end);
        const size_t len = strcspn(end, "0123456789.");
        if (end == text || number < 0)
            return false;
        if (len == 0 && !*end && total == 0) {
            total = number * 1e9;
            break;
        }
        while (i < sizeof units / sizeof *units &&
               (strlen(units[i].unit) != len || strncmp(units[i].unit, end, len) != 0))
            i++;
        if (i == sizeof units / sizeof *units)
            return false;
        total += number * units[i].ns;
        text = end + len;
    }
    if (!(total < 9e18))
        return false;
    *out_ns = (int64_t)total;
    return true;
}

/* A whole number, be it written as one, as 5e3 or in quotes. */
static bool read_number(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    const double real = json_is_real(value) ? json_real_value(value) : 0.5;
    if (real >= -9e18 && real <= 9e18 && (double)(int64_t)real == real) {
        *out = (int64_t)real;
        return true;
    }
    char *end = NULL;
    if (json_is_string(value))
        *out = strtoll(json_string_value(value), &end, 10);
    return end && end != json_string_value(value) && !*end;
}

static bool read_duration(const json_t *value, int64_t *out_ns)
{
    if (json_is_string(value))
        return parse_duration(json_string_value(value), out_ns);
    if (!json_is_number(value) || json_number_value(value) < 0 || json_number_value(value) > 9e9)
        return false;
    *out_ns = (int64_t)(json_number_value(value) * 1e9);
    return true;
}

static bool read_bool(const json_t *value, bool *out)
{
    const char *text = json_is_string(value) ? json_string_value(value) : NULL;
    *out = json_is_true(value) || (text && strcasecmp(text, "true") == 0);
    return *out || json_is_false(value) || (text && strcasecmp(text, "false") == 0);
}

static int set(struct flo_shell_options *options, const struct key *key, const json_t *value,
               struct flo_err *err)
{
    static const char *const wanted[] = {"a whole number", "a duration like \"10s\"",
                                         "true or false", "a number more than 0", "a whole number"};
    char *at = (char *)options + key->offset;
    int64_t number = 0;
    bool on = true;
    const double real = json_number_value(value);
    const bool ok = key->kind == NUMBER || key->kind == COUNT ? read_number(value, &number)
                    : key->kind == DURATION                   ? read_duration(value, &number)
                    : key->kind == RATE                       ? real > 0
                                                              : read_bool(value, &on);
    if (!ok)
        return flo_fail(err, FLO_EINVAL, "--dynamic-config-value %s wants %s", key->name,
                        wanted[key->kind]);
    if (key->kind == DISABLES) {
        on = !on;
        memcpy(at, &on, sizeof on);
    } else if (key->kind == RATE) {
        memcpy(at, &real, sizeof real);
    } else if (key->kind == COUNT) {
        const unsigned count = number < 1 ? 1 : number > INT32_MAX ? INT32_MAX : (unsigned)number;
        memcpy(at, &count, sizeof count);
    } else {
        if (number < 1)
            number = 1;
        memcpy(at, &number, sizeof number);
    }
    return 0;
}

int flo_engine_dynamic_value(struct flo_shell_options *options, const char *text, bool *out_known,
                             struct flo_err *err)
{
    const char *equals = strchr(text, '=');
    json_error_t wrong;
    int rc = 0;
    *out_known = false;
    if (!equals || equals == text)
        return flo_fail(err, FLO_EINVAL, "--dynamic-config-value wants KEY=JSON, not %s", text);
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong);
    const size_t len = (size_t)(equals - text);
    if (!value)
        return flo_fail(err, FLO_EINVAL,
                        "--dynamic-config-value %.*s: the value is no JSON (a text needs its "
                        "quotes): %s",
                        (int)len, text, wrong.text);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strlen(keys[i].name) != len || strncasecmp(keys[i].name, text, len) != 0)
            continue;
        *out_known = true;
        rc = set(options, &keys[i], value, err);
    }
    json_decref(value);
    return rc;
}

#define KEY_MAX 64
/* Further away is one of the hundreds of keys that the real server has, "...Size.warn" for one. */
#define SLIPS_MAX 3

const char *flo_engine_dynamic_near(const char *text)
{
    const char *names[sizeof keys / sizeof *keys];
    char word[KEY_MAX];
    const size_t len = strcspn(text, "=");
    if (len >= sizeof word)
        return NULL;
    snprintf(word, sizeof word, "%.*s", (int)len, text);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        names[i] = keys[i].name;
    return flo_nearest_within(SLIPS_MAX, word, names, sizeof names / sizeof *names);
}
