/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - assertions: say what was expected and what there is, then end the test. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing/kit.h"
#include "wire/payload.h"

/* cmocka's way to end a test, when the program has cmocka. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): its name */
extern void _fail(const char *const file, const int line) __attribute__((weak));

static void end_test(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void end_test(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    if (_fail)
        _fail(file, line);
    exit(1);
}

static char *text_of(struct flo_test_env *env, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *copy = kit_text(env, text ? text : "nothing");
    free(text);
    return copy;
}

/* Does found equal the JSON text? A number is what it is worth, 1 = 1.0. */
static void compare(struct flo_test_env *env, const char *what, const char *expected,
                    const json_t *found, const char *file, int line)
{
    json_t *value = NULL;
    struct flo_err err = {0};
    if (flo_json_parse(expected, strlen(expected), &value, &err))
        end_test(file, line, "the expected JSON %s does not parse: %s", expected, err.message);
    (void)kit_keep(env, value);
    if (!json_equal(value, found))
        end_test(file, line, "%s: expected %s, found %s", what, text_of(env, value),
                 text_of(env, found));
}

void flo_test_check_completed(struct flo_test_workflow *workflow, const char *result,
                              const char *file, int line)
{
    struct flo_err err = {0};
    json_t *found = NULL;
    if (flo_test_result(workflow, &found, &err))
        end_test(file, line, "expected that the workflow %s completes, but %s",
                 workflow->workflow_id, err.message);
    if (result)
        compare(workflow->env, "the result", result, found, file, line);
}

/* Is text the type or the message of failure or of one of its causes? */
static bool failed_with(const json_t *failure, const char *text)
{
    for (; failure; failure = json_object_get(failure, "cause")) {
        const char *message = json_string_value(json_object_get(failure, "message"));
        const char *type = json_string_value(
            json_object_get(json_object_get(failure, "applicationFailureInfo"), "type"));
        if ((message && strcmp(message, text) == 0) || (type && strcmp(type, text) == 0))
            return true;
    }
    return false;
}

void flo_test_check_ended(struct flo_test_workflow *workflow, enum flo_test_status status,
                          const char *failure, const char *file, int line)
{
    struct flo_err err = {0};
    int rc = flo_test_result(workflow, NULL, &err);
    const char *why = rc ? err.message : "it completed";
    if (workflow->status != status || *flo_test_problem(workflow->env))
        end_test(file, line, "expected that the workflow %s is %s, but %s", workflow->workflow_id,
                 flo_test_status_name(status), why);
    if (failure && !failed_with(workflow->failure, failure))
        end_test(file, line, "expected a failure with the type or message \"%s\", but %s", failure,
                 why);
}

void flo_test_check_query(struct flo_test_workflow *workflow, const char *name, const char *answer,
                          const char *file, int line)
{
    struct flo_err err = {0};
    json_t *found = NULL;
    if (flo_test_query(workflow, name, NULL, &found, &err))
        end_test(file, line, "expected an answer to the query %s, but %s", name, err.message);
    compare(workflow->env, name, answer, found, file, line);
}

static void compare_count(const char *what, const char *name, unsigned expected, unsigned found,
                          const char *file, int line)
{
    if (expected != found)
        end_test(file, line, "%s %s: expected %u, found %u", what, name, expected, found);
}

void flo_test_check_attempts(const struct flo_test_env *env, const char *type, unsigned count,
                             const char *file, int line)
{
    compare_count("attempts of", type, count, flo_test_attempts(env, type), file, line);
}

void flo_test_check_activities(const struct flo_test_env *env, const char *type, unsigned count,
                               const char *file, int line)
{
    compare_count("activities of type", type, count, flo_test_activities(env, type), file, line);
}

void flo_test_check_events(struct flo_test_workflow *workflow, const char *kind, unsigned count,
                           const char *file, int line)
{
    compare_count("events of kind", kind, count, flo_test_event_count(workflow, kind), file, line);
}

void flo_test_check_story(struct flo_test_workflow *workflow, const char *story, const char *file,
                          int line)
{
    const char *found = flo_test_story(workflow);
    if (strcmp(found, story) != 0)
        end_test(file, line, "the story of %s: expected\n%s\nfound\n%s", workflow->workflow_id,
                 story, found);
}

void flo_test_check_ok(int rc, const struct flo_err *err, const char *call, const char *file,
                       int line)
{
    if (rc)
        end_test(file, line, "%s: %s (%s)", call, err && err->code ? err->message : "it failed",
                 flo_error_name(rc));
}
