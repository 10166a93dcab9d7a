/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor.c - see supervisor.h. */
#include "cli/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/http.h"

#define ANSWER_MAX_BYTES (64u << 20)
#define TOKEN_MAX 514
#define TOKEN_NAME "control.token"

/* "http://host:port/..." or "host:port". */
static void from_url(const char *url, char *out, size_t size)
{
    const char *at = strncmp(url, "http://", 7) == 0 ? url + 7 : url;
    snprintf(out, size, "%.*s", (int)strcspn(at, "/"), at);
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

int cli_supervisor_find(const char *command, const struct cli_options *options,
                        struct cli_supervisor *out, struct flo_err *err)
{
    const char *folder = environment("FLOTILLA_STATE_DIR"), *slash;
    const char *url = options->supervisor ? options->supervisor : options->url;
    char fleet_path[4100];

    *out = (struct cli_supervisor){.command = command};
    if (options->fleet)
        snprintf(fleet_path, sizeof fleet_path, "%s", options->fleet);
    else
        snprintf(fleet_path, sizeof fleet_path, "%.4000s/fleet.json",
                 folder ? folder : ".flotilla");
    slash = strrchr(fleet_path, '/');
    const char *token =
        options->token_file ? options->token_file : environment("FLOTILLA_TOKEN_FILE");
    if (token)
        snprintf(out->token_file, sizeof out->token_file, "%s", token);
    else
        snprintf(out->token_file, sizeof out->token_file, "%.*s" TOKEN_NAME,
                 slash ? (int)(slash + 1 - fleet_path) : 0, fleet_path);
    if (!url && !options->fleet)
        url = environment("FLOTILLA_SUPERVISOR_URL");
    if (url) {
        from_url(url, out->address, sizeof out->address);
        return 0;
    }
    json_t *fleet = json_load_file(fleet_path, 0, NULL);
    const char *http = json_string_value(json_object_get(fleet, "http"));
    const char *metrics = json_string_value(json_object_get(fleet, "metrics"));
    if (http)
        snprintf(out->address, sizeof out->address, "%s", http);
    if (metrics)
        snprintf(out->metrics, sizeof out->metrics, "%s", metrics);
    json_decref(fleet);
    if (out->address[0])
        return 0;
    return flo_fail(err, FLO_ENOENT,
                    "%s does not name a supervisor; is the fleet running? Give --supervisor "
                    "HOST:PORT of its page, or --fleet FILE",
                    fleet_path);
}

/* The body as JSON; of an error, its sentence. */
static int read_answer(const char *address, const char *path, int status, struct flo_buf *body,
                       json_t **out, struct flo_err *err)
{
    json_t *json = json_loadb((const char *)body->data, body->len, 0, NULL);
    const char *why = json_string_value(json_object_get(json, "error"));
    int rc = 0;

    if (status != 200) {
        const int code = status == 401 || status == 403 || status == 429 ? FLO_EPERM
                         : status == 404                                 ? FLO_ENOENT
                         : status == 503 || status == 504                ? FLO_ECONN
                                                                         : FLO_EINVAL;
        rc = why ? flo_fail(err, code, "%s", why)
                 : flo_fail(err, code, "http://%s%s: status %d", address, path, status);
    } else if (!json) {
        rc = flo_fail(err, FLO_EPROTO, "http://%s%s is no page of a supervisor", address, path);
    }
    if (rc)
        json_decref(json);
    else
        *out = json;
    return rc;
}

static int ask(const struct cli_http_request *request, json_t **out, struct flo_err *err)
{
    struct flo_buf body;
    int status = 0, rc;

    flo_buf_init(&body, ANSWER_MAX_BYTES);
    rc = cli_http_send(request, &body, &status, err);
    if (!rc)
        rc = read_answer(request->address, request->path, status, &body, out, err);
    flo_buf_fini(&body);
    return rc;
}

int cli_supervisor_get(const struct cli_supervisor *supervisor, const char *path, json_t **out,
                       struct flo_err *err)
{
    const struct cli_http_request request = {
        .address = supervisor->address, .path = path, .timeout_ms = supervisor->timeout_ms};
    return ask(&request, out, err);
}

int cli_supervisor_post(const struct cli_supervisor *supervisor, const char *path, json_t *body,
                        int64_t timeout_ms, json_t **out, struct flo_err *err)
{
    char token[TOKEN_MAX];
    struct flo_err why = {0};
    char *text = json_dumps(body, JSON_COMPACT);
    int rc = text ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the command");

    json_decref(body);
    if (!rc && flo_file_read_secret(supervisor->token_file, "the token", token, sizeof token, &why))
        rc =
            flo_fail(err, FLO_EPERM,
                     "%s; --token-file or FLOTILLA_TOKEN_FILE names the supervisor's", why.message);
    if (!rc) {
        const struct cli_http_request request = {.address = supervisor->address,
                                                 .path = path,
                                                 .token = token,
                                                 .json = text,
                                                 .timeout_ms = timeout_ms};
        rc = ask(&request, out, err);
    }
    explicit_bzero(token, sizeof token);
    free(text); /* jansson's */
    return rc;
}

int cli_supervisor_fail(const struct cli_supervisor *supervisor, const struct flo_err *err)
{
    fprintf(stderr, "flotilla %s: %s\n", supervisor->command, err->message);
    switch (err->code) {
    case FLO_ECONN:
        return FLO_EXIT_UNAVAILABLE;
    case FLO_EPERM:
        return FLO_EXIT_NO_PERMISSION;
    case FLO_ENOENT:
        return FLO_EXIT_NO_INPUT;
    default:
        return FLO_EXIT_REFUSED;
    }
}
