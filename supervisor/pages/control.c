/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - see control.h: the token, who may, what is told of each request. The two APIs lie in
 * control_commands.c and control_processes.c. */
#include "supervisor/pages/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "supervisor/pages/control_internal.h"
#include "supervisor/pages/control_request.h"
#include "telemetry/log.h"

#define TOKEN_MIN 16
#define WHAT "the token"
#define PATH_COMMANDS "/v1/commands"
#define PATH_PROCESSES "/v1/processes"
/* Wrong tokens beyond so many in so long a time are not even looked at. */
#define WRONG_MAX 10
#define WRONG_WINDOW_MS 10000

/* ---- the token ---- */

static bool good_token(const char *token)
{
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return len >= TOKEN_MIN && len <= FLO_CONTROL_TOKEN_MAX;
}

static int make_token(const char *path, struct flo_err *err)
{
    unsigned char bytes[FLO_CONTROL_TOKEN_BYTES];
    char text[2 * sizeof bytes + 1];
    flo_random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    int rc = flo_file_write_secret(path, WHAT, text, err);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(text, sizeof text);
    return rc;
}

static int load_token(struct flo_control *control, struct flo_err *err)
{
    const struct flo_control_options *options = &control->options;
    const char *path = options->config->supervisor.token_file;
    char own[4200];
    int rc;
    if (!*path && !options->local)
        return 0;
    if (!*path) {
        snprintf(own, sizeof own, "%.4096s/" FLO_CONTROL_TOKEN_FILE, options->state_dir);
        path = own;
    }
    rc = flo_file_read_secret(path, WHAT, control->token, sizeof control->token, err);
    if (rc == FLO_ENOENT && path == own) {
        rc = make_token(path, err);
        if (!rc)
            rc = flo_file_read_secret(path, WHAT, control->token, sizeof control->token, err);
    }
    if (!rc && !good_token(control->token))
        rc = flo_fail(err, FLO_ECONFIG, WHAT " %s must be one line of %d to %d visible characters",
                      path, TOKEN_MIN, FLO_CONTROL_TOKEN_MAX);
    return rc;
}

/* ---- who may ---- */

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

static void deny(struct flo_control *control, const struct flo_http_request *request,
                 const char *reason)
{
    char remote[FLO_HTTP_ADDRESS_MAX];
    flo_http_remote(request, remote);
    flo_series_inc(
        flo_metrics_get(control->options.metrics, FLO_METRIC_CONTROL_DENIED, reason, NULL));
    flo_log(FLO_LOG_WARN, "control.denied", "A request to steer the fleet was refused", "path",
            request->path, "reason", reason, "remote", remote, NULL);
}

/* Are there too many wrong tokens in a short time? Counts one. */
static bool too_many_wrong(struct flo_control *control)
{
    const int64_t now = now_ms();
    if (now - control->wrong_since_ms > WRONG_WINDOW_MS) {
        control->wrong_since_ms = now;
        control->wrong = 0;
    }
    return ++control->wrong > WRONG_MAX;
}

bool flo_control_allowed(struct flo_control *control, const struct flo_http_request *request,
                         struct flo_http_reply *reply)
{
    if (!*control->token) {
        deny(control, request, "no_token_file");
        flo_http_error(reply, 403,
                       "nobody may steer this fleet: the supervisor has no token; set "
                       "supervisor.token_file (FLOTILLA_TOKEN_FILE)");
        return false;
    }
    switch (flo_control_check_token(flo_http_header(request, "Authorization"), control->token)) {
    case FLO_CONTROL_NO_TOKEN:
        deny(control, request, "no_token");
        flo_http_error(reply, 401, "the token is missing: Authorization: Bearer TOKEN");
        reply->challenge = "Bearer realm=\"flotilla\"";
        return false;
    case FLO_CONTROL_WRONG_TOKEN:
        deny(control, request, "wrong_token");
        if (too_many_wrong(control))
            flo_http_error(reply, 429, "too many wrong tokens; wait ten seconds");
        else
            flo_http_error(reply, 403, "that is not the token of this supervisor");
        return false;
    case FLO_CONTROL_ALLOWED:
        break;
    }
    if (flo_control_is_json(flo_http_header(request, "Content-Type")))
        return true;
    flo_http_error(reply, 415, "the body must be JSON: Content-Type: application/json");
    return false;
}

/* ---- what both APIs do ---- */

void flo_control_put_json(struct flo_http_reply *reply, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    if (text) {
        flo_buf_append_str(&reply->body, text);
        flo_buf_append_str(&reply->body, "\n");
    } else {
        flo_http_error(reply, 503, "no memory for the answer");
    }
    free(text); /* jansson's */
    json_decref(json);
}

void flo_control_tell(struct flo_control *control, const struct flo_http_request *request,
                      const char *message, const char *target, json_t *fields)
{
    char remote[FLO_HTTP_ADDRESS_MAX];
    const struct flo_event event = {.ts_ms = flo_clock_wall_ns() / FLO_NS_PER_MS,
                                    .level = FLO_LOG_INFO,
                                    .kind = "control.command",
                                    .message = message,
                                    .name = target,
                                    .fields = fields};
    flo_http_remote(request, remote);
    (void)json_object_set_new(fields, "remote", json_string(remote));
    char *text = json_dumps(fields, JSON_COMPACT);
    flo_log(FLO_LOG_INFO, "control.command", message, "remote", remote, "details", text, NULL);
    flo_events_add(control->options.events, &event);
    free(text); /* jansson's */
    json_decref(fields);
}

/* ---- making ---- */

int flo_control_new(const struct flo_control_options *options, struct flo_control **out,
                    struct flo_err *err)
{
    struct flo_control *control = flo_calloc(1, sizeof *control);
    if (!control)
        return flo_fail(err, FLO_ENOMEM, "no memory for the control API");
    control->options = *options;
    flo_list_init(&control->batches);
    int rc = load_token(control, err);
    if (rc)
        flo_control_destroy(&control);
    else
        *out = control;
    return rc;
}

bool flo_control_enabled(const struct flo_control *control)
{
    return *control->token != '\0';
}

static int trust_hosts(struct flo_http *http, const struct flo_fleet_config *config)
{
    int rc = flo_http_trust_host(http, config->health.host);
    if (!rc)
        rc = flo_http_trust_host(http, config->metrics.host);
    for (size_t i = 0; !rc && i < config->supervisor.allowed_hosts.count; i++)
        rc = flo_http_trust_host(http, config->supervisor.allowed_hosts.items[i]);
    return rc;
}

int flo_control_install(struct flo_control *control, struct flo_http *http)
{
    struct flo_http_route route = {.path = PATH_COMMANDS,
                                   .methods = FLO_HTTP_POST,
                                   .body_max = FLO_HTTP_BODY_MAX,
                                   .fn = flo_control_serve_commands,
                                   .ctx = control};
    int rc = trust_hosts(http, control->options.config);
    if (!rc)
        rc = flo_http_route(http, &route);
    route.path = PATH_PROCESSES;
    route.fn = flo_control_serve_processes;
    return rc ? rc : flo_http_route(http, &route);
}

void flo_control_destroy(struct flo_control **control)
{
    struct flo_control *self = *control;
    if (!self)
        return;
    flo_control_drop_batches(self);
    explicit_bzero(self->token, sizeof self->token);
    flo_free(self);
    *control = NULL;
}
