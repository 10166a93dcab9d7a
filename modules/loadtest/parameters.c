/* SPDX-License-Identifier: Apache-2.0 */
/* parameters.c - the tables of parameters.h, and how values are checked against them. */
#include "loadtest/parameters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (INT64_C(8) << 30)
#define NUMBER(N, INITIAL, MIN, MAX, HELP)                                                         \
    {                                                                                              \
        .name = N, .kind = LOADTEST_NUMBER, .initial = INITIAL, .min = MIN, .max = MAX,            \
        .help = HELP                                                                               \
    }
#define CHOICE(N, KIND, INITIAL, CHOICES, HELP)                                                    \
    {                                                                                              \
        .name = N, .kind = LOADTEST_##KIND, .initial = INITIAL, .choices = CHOICES, .help = HELP   \
    }
/* Those that every type has. */
#define COMMON(TIMEOUT_MS, ATTEMPTS)                                                               \
    {.name = "queue",                                                                              \
     .kind = LOADTEST_TEXT,                                                                        \
     .initial = "",                                                                                \
     .max = 1000,                                                                                  \
     .help = "task queue of the activity; empty: the workflow's, for a CPU worker with -cpu"},     \
        NUMBER("timeout_ms", TIMEOUT_MS, 1, 86400000, "time of one attempt"),                      \
        NUMBER("attempts", ATTEMPTS, 1, 1000, "most attempts of a task"),                          \
        NUMBER("retry_ms", "50", 1, 3600000,                                                       \
               "wait before the second attempt, then twice as long"),                              \
        NUMBER("seed", "1", 0, INT64_MAX, "the same seed gives the same run"),                     \
        NUMBER("index", "0", 0, INT64_MAX, "number of the task, set by the driver"),               \
        {.name = "run",                                                                            \
         .kind = LOADTEST_TEXT,                                                                    \
         .initial = "",                                                                            \
         .max = 100,                                                                               \
         .help = "name of the run, set by the driver"},                                            \
    {                                                                                              \
        .name = NULL                                                                               \
    }

static const struct loadtest_parameter io[] = {
    NUMBER("operations", "10", 1, 100000, "operations of a task"),
    NUMBER("concurrent", "5", 1, 256, "of them at once"),
    NUMBER("delay_ms", "10", 0, 3600000, "wait of each, as for a remote service"),
    NUMBER("bytes", "4096", 0, 1 << 20, "written and read back by each"),
    CHOICE("io", CHOICE, "mixed", "mixed|wait|file|socket", "what each does after its wait"),
    COMMON("60000", "3")};

static const struct loadtest_parameter cpu[] = {
    NUMBER("fibonacci", "24", 0, 45, "this Fibonacci number, the slow way; 0: not"),
    NUMBER("primes", "100000", 0, 100000000, "count the primes up to it; 0: not"),
    NUMBER("sort", "50000", 0, 50000000, "sort so many numbers; 0: not"),
    NUMBER("hash", "200000", 0, INT64_C(10000000000), "so many rounds of a hash; 0: not"),
    NUMBER("rounds", "1", 1, 1000000, "all of it so often"),
    COMMON("60000", "3")};

static const struct loadtest_parameter memory[] = {
    NUMBER("bytes", "16777216", 8, BYTES_MAX, "allocated by a task in all"),
    NUMBER("chunks", "16", 1, 65536, "in so many blocks"),
    CHOICE("pattern", CHOICE, "sequential", "sequential|random|stride", "order of reading"),
    NUMBER("passes", "1", 1, 100000, "read so often"), COMMON("60000", "3")};

static const struct loadtest_parameter failing[] = {
    {.name = "failure_rate",
     .kind = LOADTEST_FRACTION,
     .initial = "0.3",
     .help = "share of the attempts that fail"},
    CHOICE("kinds", LIST, "runtime_error,timeout,value_error,non_retryable",
           "runtime_error|timeout|value_error|non_retryable|crash", "how they fail"),
    NUMBER("delay_ms", "10", 0, 3600000, "work before the end of an attempt"),
    COMMON("1000", "5")};

static const struct loadtest_type types[] = {
    {"io_simulation", false, "waits, small files and sockets, many at once", io},
    {"cpu_intensive", true, "Fibonacci numbers, primes, sorting, hashing", cpu},
    {"memory_operations", true, "allocates, fills and reads memory", memory},
    {"failure_testing", false, "attempts that fail, by a seed", failing},
    {.name = NULL}};

const struct loadtest_type *loadtest_types(void)
{
    return types;
}

const struct loadtest_type *loadtest_type(const char *name)
{
    for (const struct loadtest_type *type = types; type->name; type++)
        if (strcmp(type->name, name) == 0)
            return type;
    return NULL;
}

const struct loadtest_parameter *loadtest_parameter(const struct loadtest_type *type,
                                                    const char *name)
{
    for (const struct loadtest_parameter *p = type->parameters; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

/* ---- checking ---- */

/* Is the word one of "a|b|c"? */
static bool is_choice(const char *choices, const char *word, size_t len)
{
    while (*choices) {
        size_t choice = strcspn(choices, "|");
        if (choice == len && memcmp(choices, word, len) == 0)
            return true;
        choices += choice + (choices[choice] == '|');
    }
    return false;
}

static bool all_choices(const char *choices, const char *list)
{
    for (;;) {
        size_t len = strcspn(list, ",");
        if (!is_choice(choices, list, len))
            return false;
        if (!list[len])
            return true;
        list += len + 1;
    }
}

static int check_value(const struct loadtest_parameter *p, const json_t *value, struct flo_err *err)
{
    const char *text = json_string_value(value);
    switch (p->kind) {
    case LOADTEST_NUMBER:
        if (json_is_integer(value) && json_integer_value(value) >= p->min &&
            json_integer_value(value) <= p->max)
            return 0;
        return flo_fail(err, FLO_EINVAL, "%s is a whole number from %lld to %lld", p->name,
                        (long long)p->min, (long long)p->max);
    case LOADTEST_FRACTION:
        if (json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) <= 1)
            return 0;
        return flo_fail(err, FLO_EINVAL, "%s is a number from 0 to 1", p->name);
    case LOADTEST_TEXT:
        if (text && json_string_length(value) <= (size_t)p->max)
            return 0;
        return flo_fail(err, FLO_EINVAL, "%s is a text of at most %lld bytes", p->name,
                        (long long)p->max);
    case LOADTEST_CHOICE:
        if (text && is_choice(p->choices, text, strlen(text)))
            return 0;
        return flo_fail(err, FLO_EINVAL, "%s is one of %s", p->name, p->choices);
    case LOADTEST_LIST:
        if (text && all_choices(p->choices, text))
            return 0;
        return flo_fail(err, FLO_EINVAL, "%s is a list, with commas, of %s", p->name, p->choices);
    }
    return FLO_EINVAL;
}

int loadtest_parse(const struct loadtest_parameter *p, const char *text, json_t **out,
                   struct flo_err *err)
{
    json_t *value = NULL;
    char *end = NULL;
    errno = 0;
    if (p->kind == LOADTEST_NUMBER) {
        long long number = strtoll(text, &end, 10);
        value = *text && !*end && !errno ? json_integer(number) : json_null();
    } else if (p->kind == LOADTEST_FRACTION) {
        double number = strtod(text, &end);
        value = *text && !*end && !errno ? json_real(number) : json_null();
    } else {
        value = json_string(text);
    }
    if (!value)
        return flo_fail(err, FLO_EINVAL, "%s is no UTF-8", p->name);
    int rc = check_value(p, value, err);
    if (rc)
        json_decref(value);
    else
        *out = value;
    return rc;
}

static int refuse_unknown(const struct loadtest_type *type, const char *name, struct flo_err *err)
{
    char names[320] = "";
    size_t len = 0;
    for (const struct loadtest_parameter *p = type->parameters; p->name && len < sizeof names; p++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", p->name);
    return flo_fail(err, FLO_EINVAL, "%s has no parameter %.60s; it has %s", type->name, name,
                    names);
}

int loadtest_fill(const struct loadtest_type *type, const json_t *given, json_t **out,
                  struct flo_err *err)
{
    const char *key;
    json_t *value;
    if (given && !json_is_object(given) && !json_is_null(given))
        return flo_fail(err, FLO_EINVAL, "the input of %s is an object of parameters", type->name);
    json_object_foreach((json_t *)(uintptr_t)given, key, value)
    {
        if (!loadtest_parameter(type, key))
            return refuse_unknown(type, key, err);
    }
    json_t *filled = json_object();
    int rc = filled ? 0 : flo_fail(err, FLO_ENOMEM, "out of memory");
    for (const struct loadtest_parameter *p = type->parameters; p->name && !rc; p++) {
        value = json_incref(json_object_get(given, p->name));
        rc = value ? check_value(p, value, err) : loadtest_parse(p, p->initial, &value, err);
        if (!rc && json_object_set(filled, p->name, value))
            rc = flo_fail(err, FLO_ENOMEM, "out of memory");
        json_decref(value);
    }
    if (rc)
        json_decref(filled);
    else
        *out = filled;
    return rc;
}

int64_t loadtest_number(const json_t *parameters, const char *name)
{
    return json_integer_value(json_object_get(parameters, name));
}

const char *loadtest_text(const json_t *parameters, const char *name)
{
    const char *text = json_string_value(json_object_get(parameters, name));
    return text ? text : "";
}

/* ---- what fails ---- */

static const struct {
    const char *name, *type;
} failures[] = {
#define LOADTEST_FAILURE_ROW(id, name, type) {name, type},
    LOADTEST_FAILURES(LOADTEST_FAILURE_ROW)
#undef LOADTEST_FAILURE_ROW
};
#define FAILURE_COUNT (sizeof failures / sizeof *failures)

uint64_t loadtest_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The element number pick of a list. */
static enum loadtest_failure nth_kind(const char *list, size_t pick)
{
    for (; pick > 0; pick--)
        list += strcspn(list, ",") + 1;
    size_t len = strcspn(list, ",");
    for (size_t i = 0; i < FAILURE_COUNT; i++)
        if (strlen(failures[i].name) == len && memcmp(failures[i].name, list, len) == 0)
            return (enum loadtest_failure)(i + 1);
    return LOADTEST_SUCCESS;
}

enum loadtest_failure loadtest_failure(const json_t *parameters, int64_t attempt)
{
    const char *kinds = loadtest_text(parameters, "kinds");
    double rate = json_number_value(json_object_get(parameters, "failure_rate"));
    uint64_t state = (uint64_t)loadtest_number(parameters, "seed");
    state = loadtest_random(&state) ^ (uint64_t)loadtest_number(parameters, "index");
    state = loadtest_random(&state) ^ (uint64_t)attempt;
    size_t count = 1;
    for (const char *p = kinds; *p; p++)
        count += *p == ',';
    double draw = (double)(loadtest_random(&state) >> 11) / (double)(UINT64_C(1) << 53);
    if (draw >= rate)
        return LOADTEST_SUCCESS;
    return nth_kind(kinds, loadtest_random(&state) % count);
}

const char *loadtest_failure_type(enum loadtest_failure failure)
{
    return failure == LOADTEST_SUCCESS ? "" : failures[failure - 1].type;
}

bool loadtest_may_crash(const json_t *parameters)
{
    return strstr(loadtest_text(parameters, "kinds"), "crash") != NULL;
}
