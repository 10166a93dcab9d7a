/* SPDX-License-Identifier: Apache-2.0 */
/* tasks.c - reading what is asked, and judging what came back. */
#include "cli/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define NAMES_MAX 64
#define POISON "PoisonTask" /* the failure of an input that is parked */

/* ---- what is asked ---- */

/* Their names; returns how many. */
static size_t type_names(const char *names[NAMES_MAX])
{
    size_t count = 0;
    for (const struct loadtest_type *type = loadtest_types(); type->name; type++)
        names[count++] = type->name;
    return count;
}

static const char *near_type(const char *name)
{
    const char *names[NAMES_MAX];
    size_t count = type_names(names);
    return *name ? cli_nearest(name, names, count) : NULL;
}

bool cli_tasks_asked(const struct cli_options *options)
{
    const char *type = options->type ? options->type : "";
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(type, ","), type);
    if (loadtest_type(first) || strcmp(type, "all") == 0 || options->tasks >= 0 ||
        options->params.count > 0)
        return true;
    /* A slip would start workflows that no worker has, and wait for them. */
    return options->count < 0 && !options->each && near_type(first);
}

/* End the line that says what is wrong. */
static int say_types(const char *besides)
{
    const char *names[NAMES_MAX];
    size_t count = type_names(names);
    fprintf(stderr, "--type is one of ");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s, ", names[i]);
    fprintf(stderr, "several of them with commas between, or all%s\n", besides);
    return FLO_EXIT_USAGE;
}

static int unknown_type(const char *name, const char *besides)
{
    const char *near = near_type(name);
    fprintf(stderr, "flotilla load: unknown task type '%s'; ", name);
    if (near)
        fprintf(stderr, "did you mean %s? ", near);
    return say_types(besides);
}

static int add_type(struct cli_tasks *tasks, const char *name, const char *besides)
{
    const struct loadtest_type *type = loadtest_type(name);
    if (!type)
        return unknown_type(name, besides);
    for (size_t i = 0; i < tasks->type_count; i++)
        if (tasks->types[i].type == type)
            return 0;
    tasks->types[tasks->type_count++].type = type;
    return 0;
}

static int read_types(struct cli_tasks *tasks, const struct cli_options *options)
{
    const char *list = options->type ? options->type : "";
    const bool asked = options->tasks >= 0 || options->params.count > 0;
    const char *besides = asked ? "" : "; or a workflow type, with --count";
    int rc = 0;
    if (!*list) {
        fprintf(stderr, "flotilla load: --tasks and --param need a task type: ");
        return say_types("");
    }
    if (strcmp(list, "all") == 0) {
        for (const struct loadtest_type *type = loadtest_types(); type->name && !rc; type++)
            rc = add_type(tasks, type->name, "");
        return rc;
    }
    for (;;) {
        char name[64];
        size_t len = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)len, list);
        rc = add_type(tasks, name, besides);
        if (rc || !list[len])
            return rc;
        list += len + 1;
    }
}

static int unknown_parameter(const struct cli_tasks *tasks, const char *name)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < tasks->type_count; i++)
        for (const struct loadtest_parameter *p = tasks->types[i].type->parameters; p->name; p++)
            if (count < NAMES_MAX && strcmp(p->name, "index") != 0 && strcmp(p->name, "run") != 0)
                names[count++] = p->name;
    const char *near = cli_nearest(name, names, count);
    fprintf(stderr, "flotilla load: %s has no parameter '%s'; ",
            tasks->type_count == 1 ? tasks->types[0].type->name : "none of these types", name);
    if (near)
        fprintf(stderr, "did you mean %s? ", near);
    fprintf(stderr, "there %s", count ? "are" : "is none");
    for (size_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again = again || strcmp(names[k], names[i]) == 0;
        if (!again)
            fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    }
    fputc('\n', stderr);
    return FLO_EXIT_USAGE;
}

static int bad_value(const char *type, const struct flo_err *err)
{
    fprintf(stderr, "flotilla load: %s: %s\n", type, err->message);
    return FLO_EXIT_USAGE;
}

static bool is_ours(const char *name) /* each task has its own */
{
    return strcmp(name, "index") == 0 || strcmp(name, "run") == 0;
}

/* "name=value" for each type that has it. given[i] are those of type i. */
static int read_parameter(struct cli_tasks *tasks, json_t **given, const char *text)
{
    char name[64];
    size_t len = strcspn(text, "=");
    bool known = false;
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    if (!text[len]) {
        fprintf(stderr, "flotilla load: --param is NAME=VALUE, not '%s'\n", text);
        return FLO_EXIT_USAGE;
    }
    for (size_t i = 0; i < tasks->type_count && !is_ours(name); i++) {
        const struct loadtest_parameter *p = loadtest_parameter(tasks->types[i].type, name);
        struct flo_err err;
        json_t *value = NULL;
        if (!p)
            continue;
        if (loadtest_parse(p, text + len + 1, &value, &err))
            return bad_value(tasks->types[i].type->name, &err);
        json_object_set_new(given[i], name, value);
        known = true;
    }
    return known ? 0 : unknown_parameter(tasks, name);
}

/* An object of --input, for each type what it has of it. */
static int read_object(struct cli_tasks *tasks, json_t **given, const json_t *input)
{
    const char *name;
    json_t *value;
    if (!json_is_object(input)) {
        fprintf(stderr, "flotilla load: the input of a task is an object of parameters\n");
        return FLO_EXIT_USAGE;
    }
    json_object_foreach((json_t *)(uintptr_t)input, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < tasks->type_count && !is_ours(name); i++) {
            if (!loadtest_parameter(tasks->types[i].type, name))
                continue;
            json_object_set(given[i], name, value);
            known = true;
        }
        if (!known)
            return unknown_parameter(tasks, name);
    }
    return 0;
}

static int read_parameters(struct cli_tasks *tasks, const struct cli_options *options)
{
    json_t *given[CLI_TASKS_TYPES_MAX], *input = NULL;
    int rc = cli_read_input(options, &input);
    for (size_t i = 0; i < CLI_TASKS_TYPES_MAX; i++)
        given[i] = json_object();
    if (rc == 0 && input)
        rc = read_object(tasks, given, input);
    for (size_t i = 0; i < options->params.count && rc == 0; i++)
        rc = read_parameter(tasks, given, options->params.items[i]);
    for (size_t i = 0; i < tasks->type_count && rc == 0; i++) {
        struct cli_task_type *own = &tasks->types[i];
        struct flo_err err;
        if (loadtest_fill(own->type, given[i], &own->parameters, &err))
            rc = bad_value(own->type->name, &err);
    }
    for (size_t i = 0; i < CLI_TASKS_TYPES_MAX; i++)
        json_decref(given[i]);
    json_decref(input);
    return rc;
}

int cli_tasks_init(const struct cli_options *options, size_t count, struct cli_tasks *out)
{
    *out = (struct cli_tasks){.count = count};
    cli_new_uuid(out->run);
    int rc = read_types(out, options);
    if (rc == 0)
        rc = read_parameters(out, options);
    for (size_t i = 0; i < out->type_count && rc == 0; i++) {
        out->types[i].errors = json_object();
        out->types[i].latencies_ns = flo_calloc(count / out->type_count + 1, sizeof(int64_t));
        if (!out->types[i].errors || !out->types[i].latencies_ns) {
            fprintf(stderr, "flotilla load: out of memory\n");
            rc = FLO_EXIT_INTERNAL;
        }
    }
    return rc;
}

void cli_tasks_fini(struct cli_tasks *tasks)
{
    for (size_t i = 0; i < tasks->type_count; i++) {
        json_decref(tasks->types[i].parameters);
        json_decref(tasks->types[i].errors);
        flo_free(tasks->types[i].latencies_ns);
    }
    tasks->type_count = 0;
}

/* ---- what is started: the types take turns ---- */

static struct cli_task_type *own_of(struct cli_tasks *tasks, size_t index)
{
    return &tasks->types[index % tasks->type_count];
}

const char *cli_tasks_type_of(void *ctx, size_t index)
{
    return own_of(ctx, index)->type->name;
}

json_t *cli_tasks_input(void *ctx, size_t index)
{
    struct cli_tasks *tasks = ctx;
    json_t *input = json_copy(own_of(tasks, index)->parameters);
    json_object_set_new(input, "index", json_integer((json_int_t)index));
    json_object_set_new(input, "run", json_string(tasks->run));
    return input;
}

/* ---- what came back ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* How failure_testing has to end: its last failure, or success, after so many attempts. */
static enum loadtest_failure foreseen(const json_t *input, int64_t *out_attempts, bool *out_crashes)
{
    int64_t attempts = loadtest_number(input, "attempts");
    enum loadtest_failure failure = LOADTEST_SUCCESS;
    *out_crashes = false;
    for (*out_attempts = 1;; ++*out_attempts) {
        failure = loadtest_failure(input, *out_attempts);
        *out_crashes = *out_crashes || failure == LOADTEST_FAILURE_CRASH;
        if (failure == LOADTEST_SUCCESS || failure == LOADTEST_FAILURE_NON_RETRYABLE ||
            *out_attempts >= attempts)
            return failure;
    }
}

static bool is_failing(const struct cli_task_type *own)
{
    return strcmp(own->type->name, "failure_testing") == 0;
}

/* Crashes may park the input before its attempts are over. */
static bool right_failure(const struct cli_task_type *own, const json_t *input,
                          const json_t *result, struct flo_buf *why)
{
    const json_t *error = json_object_get(result, "error");
    const char *type = text_of(error, "type"), *expected = "success";
    if (is_failing(own)) {
        int64_t attempts;
        bool crashes;
        enum loadtest_failure failure = foreseen(input, &attempts, &crashes);
        if (failure != LOADTEST_SUCCESS)
            expected = loadtest_failure_type(failure);
        if (strcmp(type, expected) == 0 || (crashes && strcmp(type, POISON) == 0))
            return true;
    }
    flo_buf_printf(why, "the task failed with %s instead of %s: %s", type, expected,
                   text_of(error, "message"));
    return false;
}

static bool checks_hold(const json_t *result, struct flo_buf *why)
{
    json_t *checks = json_object_get(result, "checks"), *value;
    const char *name;
    json_object_foreach(checks, name, value)
    {
        if (!json_is_true(value)) {
            flo_buf_printf(why, "the check \"%s\" does not hold", name);
            return false;
        }
    }
    return true;
}

static bool right_success(const struct cli_task_type *own, const json_t *input,
                          const json_t *result, struct flo_buf *why)
{
    int64_t attempts = 0;
    bool crashes = false;
    if (!is_failing(own))
        return checks_hold(result, why);
    if (foreseen(input, &attempts, &crashes) != LOADTEST_SUCCESS) {
        flo_buf_printf(why, "the task completed, but its seed says that it fails");
        return false;
    }
    if (json_integer_value(json_object_get(result, "attempt")) != attempts) {
        flo_buf_printf(why, "attempt %lld completed, but its seed says %lld",
                       (long long)json_integer_value(json_object_get(result, "attempt")),
                       (long long)attempts);
        return false;
    }
    return checks_hold(result, why);
}

bool cli_tasks_accept(void *ctx, size_t index, const json_t *result, struct flo_buf *why)
{
    struct cli_task_type *own = own_of(ctx, index);
    json_t *input = cli_tasks_input(ctx, index);
    bool failed = strcmp(text_of(result, "status"), "failed") == 0, right = false;
    if (strcmp(text_of(result, "type"), own->type->name) != 0 ||
        json_integer_value(json_object_get(result, "index")) != (json_int_t)index ||
        !json_equal(json_object_get(result, "parameters"), input))
        flo_buf_printf(why, "the result is that of another task");
    else if (failed)
        right = right_failure(own, input, result, why);
    else if (strcmp(text_of(result, "status"), "completed") != 0)
        flo_buf_printf(why, "the result has no status");
    else
        right = right_success(own, input, result, why);
    json_decref(input);
    return right;
}

static void count_error(struct cli_task_type *own, const char *type)
{
    json_int_t before = json_integer_value(json_object_get(own->errors, type));
    json_object_set_new(own->errors, type, json_integer(before + 1));
}

void cli_tasks_on_outcome(void *ctx, const struct cli_outcome *outcome)
{
    struct cli_task_type *own = own_of(ctx, outcome->index);
    const json_t *result = outcome->result;
    bool failed = strcmp(text_of(result, "status"), "failed") == 0;
    own->tasks++;
    if (failed)
        count_error(own, text_of(json_object_get(result, "error"), "type"));
    else if (outcome->end != CLI_END_COMPLETED)
        count_error(own, cli_end_name(outcome->end));
    if (outcome->end != CLI_END_COMPLETED) {
        own->wrong++;
        return;
    }
    own->latencies_ns[own->completed + own->failed] = outcome->latency_ns;
    if (failed) {
        json_t *input = cli_tasks_input(ctx, outcome->index);
        int64_t attempts;
        bool crashes;
        foreseen(input, &attempts, &crashes);
        own->failed++;
        /* A parked input ends sooner than its seed says. */
        if (strcmp(text_of(json_object_get(result, "error"), "type"), POISON) != 0)
            own->retried += (size_t)attempts - 1;
        json_decref(input);
    } else {
        json_int_t attempt = json_integer_value(json_object_get(result, "attempt"));
        own->completed++;
        own->retried += attempt > 1 ? (size_t)attempt - 1 : 0;
    }
}
