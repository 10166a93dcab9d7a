/* SPDX-License-Identifier: Apache-2.0 */
/* control_request.c - see control_request.h. */
#include "supervisor/pages/control_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- who ---- */

/* Every byte of both is looked at, whatever the first difference is. */
static bool equal(const char *a, const char *b, size_t len)
{
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < len; i++)
        difference = difference | (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

enum flo_control_verdict flo_control_check_token(const char *header, const char *token)
{
    static const char scheme[] = "Bearer ";
    size_t len = strlen(token);
    if (!header || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return FLO_CONTROL_NO_TOKEN;
    header += sizeof scheme - 1;
    header += strspn(header, " ");
    size_t given = strcspn(header, " \t");
    if (header[given + strspn(header + given, " \t")] != '\0' || given != len)
        return FLO_CONTROL_WRONG_TOKEN;
    return equal(header, token, len) ? FLO_CONTROL_ALLOWED : FLO_CONTROL_WRONG_TOKEN;
}

bool flo_control_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    if (!content_type || strncasecmp(content_type, json, sizeof json - 1) != 0)
        return false;
    content_type += sizeof json - 1;
    content_type += strspn(content_type, " \t");
    return *content_type == '\0' || *content_type == ';';
}

/* ---- what ---- */

/* An argument of a command. Texts have choices, numbers bounds. */
struct argument {
    const char *name;
    const char *choices; /* "a|b"; "": any text; NULL: a whole number */
    int64_t min, max;
};
#define ARGUMENTS_MAX 4

static const struct order {
    const char *name;
    struct argument arguments[ARGUMENTS_MAX];
} orders[] = {
    {"drain", {{0}}},
    {"quiet", {{0}}},
    {"resume", {{0}}},
    {"reload", {{0}}},
    {"dump", {{0}}},
    {"resize",
     {{"kind", "workflow|activity|local-activity", 0, 0},
      {"slots", NULL, 1, 100000},
      {"queue", "", 0, 0},
      {"executors", NULL, 1, 1024}}},
    {"pollers",
     {{"n", NULL, 1, 1000}, {"min", NULL, 1, 1000}, {"max", NULL, 1, 1000}, {"queue", "", 0, 0}}},
    {"loglevel", {{"level", "trace|debug|info|warn|error", 0, 0}}},
    {"profile", {{"seconds", NULL, 1, FLO_CONTROL_PROFILE_MAX_S}, {"hz", NULL, 1, 99}}},
};

/* Is text one of "a|b|c"? */
static bool is_choice(const char *text, const char *choices)
{
    size_t len = strlen(text);
    for (const char *at = choices; at && len; at = strchr(at, '|'), at += at != NULL)
        if (strcspn(at, "|") == len && strncmp(at, text, len) == 0)
            return true;
    return false;
}

static const struct argument *find_argument(const struct order *order, const char *name)
{
    for (size_t i = 0; i < ARGUMENTS_MAX && order->arguments[i].name; i++)
        if (strcmp(order->arguments[i].name, name) == 0)
            return &order->arguments[i];
    return NULL;
}

static int check_argument(const struct order *order, const char *name, const json_t *value,
                          struct flo_err *err)
{
    const struct argument *argument = find_argument(order, name);
    const char *text = json_string_value(value);
    if (!argument)
        return flo_fail(err, FLO_EINVAL, "%s has no argument \"%.40s\"", order->name, name);
    if (argument->choices && !*argument->choices)
        return text ? 0 : flo_fail(err, FLO_EINVAL, "%s of %s is a text", name, order->name);
    if (argument->choices)
        return text && is_choice(text, argument->choices)
                   ? 0
                   : flo_fail(err, FLO_EINVAL, "%s of %s is one of %s", name, order->name,
                              argument->choices);
    if (json_is_integer(value) && json_integer_value(value) >= argument->min &&
        json_integer_value(value) <= argument->max)
        return 0;
    return flo_fail(err, FLO_EINVAL, "%s of %s is a whole number from %lld to %lld", name,
                    order->name, (long long)argument->min, (long long)argument->max);
}

/* What must be there, and what only goes together. */
static int check_together(const struct order *order, const json_t *args, struct flo_err *err)
{
    const json_t *executors = json_object_get(args, "executors");
    const json_t *n = json_object_get(args, "n");
    const json_t *min = json_object_get(args, "min"), *max = json_object_get(args, "max");
    const size_t count = json_object_size(args);
    if (strcmp(order->name, "resize") == 0 && executors
            ? count != 1
            : !json_object_get(args, "slots") && strcmp(order->name, "resize") == 0)
        return flo_fail(err, FLO_EINVAL, "resize asks for slots (and perhaps kind), or executors");
    if (strcmp(order->name, "pollers") == 0) {
        if (n ? min || max : !min || !max)
            return flo_fail(err, FLO_EINVAL, "pollers asks for n, or for min and max");
        if (!n && json_integer_value(min) > json_integer_value(max))
            return flo_fail(err, FLO_EINVAL, "min of pollers is more than max");
    }
    if (strcmp(order->name, "loglevel") == 0 && !count)
        return flo_fail(err, FLO_EINVAL, "loglevel asks for level");
    return 0;
}

/* A JSON object that has no other members than those of names, which ends with NULL. */
static int read_object(const void *body, size_t len, const char *const *names, json_t **out,
                       struct flo_err *err)
{
    json_error_t error;
    const char *key;
    json_t *value, *object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
    int rc = 0;
    if (!object)
        return flo_fail(err, FLO_EINVAL, "the body is not JSON: line %d: %.100s", error.line,
                        error.text);
    if (!json_is_object(object))
        rc = flo_fail(err, FLO_EINVAL, "the body is not a JSON object");
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!rc && !names[i])
            rc = flo_fail(err, FLO_EINVAL, "unknown member \"%.40s\"", key);
    }
    if (rc)
        json_decref(object);
    else
        *out = object;
    return rc;
}

/* The text of a member that must be there and not empty. */
static int read_text(const json_t *body, const char *name, const char **out, struct flo_err *err)
{
    const char *text = json_string_value(json_object_get(body, name));
    if (!text || !*text || json_string_length(json_object_get(body, name)) > 300)
        return flo_fail(err, FLO_EINVAL, "\"%s\" must be a text of 1 to 300 bytes", name);
    *out = text;
    return 0;
}

static const struct order *find_order(const char *name)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(orders[i].name, name) == 0)
            return &orders[i];
    return NULL;
}

static int fill_command(struct flo_control_command *out, struct flo_err *err)
{
    const char *name, *key;
    json_t *value;
    int rc = read_text(out->body, "target", &out->target, err);
    if (!rc)
        rc = read_text(out->body, "command", &name, err);
    if (rc)
        return rc;
    const struct order *order = find_order(name);
    if (!order)
        return flo_fail(err, FLO_EINVAL,
                        "unknown command \"%.40s\"; there are drain, quiet, resume, resize, "
                        "pollers, loglevel, reload, dump, profile",
                        name);
    out->command = order->name;
    out->args = json_object_get(out->body, "args");
    if (out->args && !json_is_object(out->args))
        return flo_fail(err, FLO_EINVAL, "\"args\" must be an object");
    json_object_foreach(out->args, key, value)
    {
        rc = check_argument(order, key, value, err);
        if (rc)
            return rc;
    }
    if (strcmp(order->name, "profile") == 0) {
        const json_t *seconds = json_object_get(out->args, "seconds");
        out->work_ms = seconds ? json_integer_value(seconds) * 1000 : 10000;
    }
    return check_together(order, out->args, err);
}

int flo_control_read_command(const void *body, size_t len, struct flo_control_command *out,
                             struct flo_err *err)
{
    static const char *const names[] = {"target", "command", "args", NULL};
    struct flo_control_command command = {0};
    int rc = read_object(body, len, names, &command.body, err);
    if (!rc)
        rc = fill_command(&command, err);
    if (rc)
        flo_control_command_fini(&command);
    else
        *out = command;
    return rc;
}

void flo_control_command_fini(struct flo_control_command *command)
{
    json_decref(command->body);
    *command = (struct flo_control_command){0};
}

static int fill_process(struct flo_control_process *out, struct flo_err *err)
{
    static const char *const actions[] = {"restart", "scale", "start", "stop", "reload"};
    const size_t count = sizeof actions / sizeof *actions;
    const json_t *replicas = json_object_get(out->body, "replicas");
    const char *action;
    size_t i = 0;
    int rc = read_text(out->body, "action", &action, err);
    if (rc)
        return rc;
    while (i < count && strcmp(actions[i], action) != 0)
        i++;
    if (i == count)
        return flo_fail(err, FLO_EINVAL,
                        "unknown action \"%.40s\"; there are restart, scale, start, stop, reload",
                        action);
    if (i == FLO_CONTROL_RELOAD && json_object_get(out->body, "name"))
        return flo_fail(err, FLO_EINVAL, "reload is of the whole fleet and has no name");
    if (i != FLO_CONTROL_RELOAD)
        rc = read_text(out->body, "name", &out->name, err);
    if (rc)
        return rc;
    out->action = (enum flo_control_action)i;
    out->action_name = actions[i];
    if (out->action != FLO_CONTROL_SCALE)
        return replicas ? flo_fail(err, FLO_EINVAL, "\"replicas\" goes with scale only") : 0;
    out->replicas = json_integer_value(replicas);
    if (!json_is_integer(replicas) || out->replicas < 0 || out->replicas > FLO_CONTROL_REPLICAS_MAX)
        return flo_fail(err, FLO_EINVAL, "\"replicas\" must be a whole number from 0 to %d",
                        FLO_CONTROL_REPLICAS_MAX);
    return 0;
}

int flo_control_read_process(const void *body, size_t len, struct flo_control_process *out,
                             struct flo_err *err)
{
    static const char *const names[] = {"action", "name", "replicas", NULL};
    struct flo_control_process process = {0};
    int rc = read_object(body, len, names, &process.body, err);
    if (!rc)
        rc = fill_process(&process, err);
    if (rc)
        flo_control_process_fini(&process);
    else
        *out = process;
    return rc;
}

void flo_control_process_fini(struct flo_control_process *process)
{
    json_decref(process->body);
    *process = (struct flo_control_process){0};
}

/* Is name word, a hyphen and a number? */
static bool is_one_of(const char *name, const char *word)
{
    size_t len = strlen(word);
    return strncmp(name, word, len) == 0 && name[len] == '-' && name[len + 1] &&
           name[len + 1 + strspn(name + len + 1, "0123456789")] == '\0';
}

int flo_control_names(const char *word, const char *boot, const char *identity, const char *name,
                      const char *role)
{
    if (strcmp(word, boot) == 0)
        return 5;
    if (strcmp(word, identity) == 0)
        return 4;
    if (strcmp(word, name) == 0)
        return 3;
    if (strcmp(word, role) == 0)
        return 2;
    return is_one_of(name, word) || strcmp(word, "all") == 0;
}
