/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parameters.h - the task types of load tests and what can be said about each: one table for the
 * workflow that runs a task, for the activity that is the task, and for `flotilla load`, which
 * refuses what does not fit before anything is started. Needs nothing but jansson and error.h.
 */
#ifndef LOADTEST_PARAMETERS_H
#define LOADTEST_PARAMETERS_H

#include <flotilla/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum loadtest_kind {
    LOADTEST_NUMBER,   /* a whole number */
    LOADTEST_FRACTION, /* a number from 0 to 1 */
    LOADTEST_TEXT,
    LOADTEST_CHOICE, /* one of choices */
    LOADTEST_LIST,   /* some of choices, with commas between */
};

struct loadtest_parameter {
    const char *name;
    enum loadtest_kind kind;
    const char *initial; /* as on a command line */
    int64_t min, max;    /* numbers; texts: of bytes */
    const char *choices; /* "a|b|c" */
    const char *help;
};

struct loadtest_type {
    const char *name; /* of the workflow and of its activity */
    bool computes;    /* its activity belongs to a CPU worker */
    const char *help;
    const struct loadtest_parameter *parameters; /* ended by one without a name */
};

/* The four types, ended by one without a name; one of them, or NULL. Static. */
const struct loadtest_type *loadtest_types(void);
const struct loadtest_type *loadtest_type(const char *name);
/* One parameter of a type, or NULL. */
const struct loadtest_parameter *loadtest_parameter(const struct loadtest_type *type,
                                                    const char *name);

/*
 * All parameters of a type: those of given (an object, or NULL or JSON null: none), checked, and
 * the initial values of the others; a new reference. FLO_EINVAL with a sentence that says what is
 * allowed; FLO_ENOMEM.
 */
int loadtest_fill(const struct loadtest_type *type, const json_t *given, json_t **out,
                  struct flo_err *err);
/* The value that text is for a parameter, checked; a new reference. As above. */
int loadtest_parse(const struct loadtest_parameter *parameter, const char *text, json_t **out,
                   struct flo_err *err);
/* Of filled parameters. */
int64_t loadtest_number(const json_t *parameters, const char *name);
const char *loadtest_text(const json_t *parameters, const char *name);

/* ---- failure_testing: what happens is a function of the parameters, so everybody can tell ---- */

/* LOADTEST_FAILURES(X): X(id, name in `kinds`, the failure's type). */
#define LOADTEST_FAILURES(X)                                                                       \
    X(RUNTIME_ERROR, "runtime_error", "RuntimeError")                                              \
    X(TIMEOUT, "timeout", "Timeout")                                                               \
    X(VALUE_ERROR, "value_error", "ValueError")                                                    \
    X(NON_RETRYABLE, "non_retryable", "NonRetryableError")                                         \
    X(CRASH, "crash", "ApplicationCrash")

enum loadtest_failure {
    LOADTEST_SUCCESS,
#define LOADTEST_FAILURE_ID(id, name, type) LOADTEST_FAILURE_##id,
    LOADTEST_FAILURES(LOADTEST_FAILURE_ID)
#undef LOADTEST_FAILURE_ID
};

/* How attempt (from 1) of the task with these filled parameters ends. */
enum loadtest_failure loadtest_failure(const json_t *parameters, int64_t attempt);
/* The type of its failure, as a workflow sees it. Static. */
const char *loadtest_failure_type(enum loadtest_failure failure);
/* Can one of the kinds kill the process? Such a task is for a CPU worker. */
bool loadtest_may_crash(const json_t *parameters);

/* Numbers that look random, from a state that anybody can make (splitmix64). */
uint64_t loadtest_random(uint64_t *state);

#endif
