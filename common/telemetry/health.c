/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - the named checks behind /health and /ready. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "telemetry/health_internal.h"
#include "telemetry/json_text.h"

#define CHECKS_MAX 16

struct check {
    char name[48];
    char reason[160];
    bool ok;
    bool live; /* a live check, else a ready check */
};

struct flo_health {
    pthread_mutex_t mu;
    struct check checks[CHECKS_MAX]; /* guarded by mu */
    size_t count;                    /* guarded by mu */
};

int flo_health_new(struct flo_health **out, struct flo_err *err)
{
    struct flo_health *health = flo_calloc(1, sizeof *health);
    if (!health)
        return flo_fail(err, FLO_ENOMEM, "no memory for the health checks");
    pthread_mutex_init(&health->mu, NULL);
    *out = health;
    return 0;
}

void flo_health_destroy(struct flo_health **health)
{
    if (!*health)
        return;
    pthread_mutex_destroy(&(*health)->mu);
    flo_free(*health);
    *health = NULL;
}

static void set_check(struct flo_health *health, const char *name, bool live, bool ok,
                      const char *reason)
{
    pthread_mutex_lock(&health->mu);
    size_t i = 0;
    while (i < health->count && strcmp(health->checks[i].name, name) != 0)
        i++;
    if (i < CHECKS_MAX) {
        struct check *check = &health->checks[i];
        if (i == health->count)
            health->count++;
        snprintf(check->name, sizeof check->name, "%s", name);
        snprintf(check->reason, sizeof check->reason, "%s", ok || !reason ? "" : reason);
        check->ok = ok;
        check->live = live;
    }
    pthread_mutex_unlock(&health->mu);
}

void flo_health_set_ready(struct flo_health *health, const char *check, bool ok, const char *reason)
{
    set_check(health, check, false, ok, reason);
}

void flo_health_set_live(struct flo_health *health, const char *check, bool ok, const char *reason)
{
    set_check(health, check, true, ok, reason);
}

static void collect(void *ctx, struct flo_metrics *metrics)
{
    struct flo_health *health = ctx;
    pthread_mutex_lock(&health->mu);
    for (size_t i = 0; i < health->count; i++)
        flo_series_set(
            flo_metrics_get(metrics, FLO_METRIC_HEALTH_CHECK, health->checks[i].name, NULL),
            health->checks[i].ok);
    pthread_mutex_unlock(&health->mu);
}

int flo_health_export(struct flo_health *health, struct flo_metrics *metrics)
{
    return flo_metrics_on_collect(metrics, collect, health);
}

static bool counts(const struct check *check, enum flo_health_scope scope)
{
    return check->live || scope == FLO_HEALTH_READY ||
           (scope == FLO_HEALTH_STARTED && strcmp(check->name, "started") == 0);
}

static bool holds_locked(const struct flo_health *health, enum flo_health_scope scope)
{
    for (size_t i = 0; i < health->count; i++)
        if (!health->checks[i].ok && counts(&health->checks[i], scope))
            return false;
    return true;
}

static bool holds(struct flo_health *health, enum flo_health_scope scope)
{
    pthread_mutex_lock(&health->mu);
    bool ok = holds_locked(health, scope);
    pthread_mutex_unlock(&health->mu);
    return ok;
}

bool flo_health_is_ready(struct flo_health *health)
{
    return holds(health, FLO_HEALTH_READY);
}

bool flo_health_is_live(struct flo_health *health)
{
    return holds(health, FLO_HEALTH_LIVE);
}

static void put_checks_locked(const struct flo_health *health, enum flo_health_scope scope,
                              struct flo_buf *out)
{
    const char *separator = "";
    for (size_t i = 0; i < health->count; i++) {
        const struct check *check = &health->checks[i];
        if (!counts(check, scope))
            continue;
        flo_buf_append_str(out, separator);
        flo_json_append_string(out, check->name);
        flo_buf_printf(out, ":{\"ok\":%s", check->ok ? "true" : "false");
        if (!check->ok) {
            flo_buf_append_str(out, ",\"reason\":");
            flo_json_append_string(out, check->reason);
        }
        flo_buf_append_str(out, "}");
        separator = ",";
    }
}

bool flo_health_render(struct flo_health *health, enum flo_health_scope scope, struct flo_buf *out)
{
    if (!health) {
        flo_buf_append_str(out, "{\"status\":\"ok\",\"checks\":{}}\n");
        return true;
    }
    pthread_mutex_lock(&health->mu);
    bool ok = holds_locked(health, scope);
    flo_buf_printf(out, "{\"status\":\"%s\",\"checks\":{", ok ? "ok" : "unavailable");
    put_checks_locked(health, scope, out);
    pthread_mutex_unlock(&health->mu);
    flo_buf_append_str(out, "}}\n");
    return ok;
}

static void put_lines_locked(const struct flo_health *health, enum flo_health_scope scope,
                             struct flo_buf *out)
{
    for (size_t i = 0; i < health->count; i++) {
        const struct check *check = &health->checks[i];
        if (!counts(check, scope))
            continue;
        if (check->ok)
            flo_buf_printf(out, "[+]%s ok\n", check->name);
        else
            flo_buf_printf(out, "[-]%s failed: %s\n", check->name,
                           *check->reason ? check->reason : "no reason is known");
    }
}

bool flo_health_render_text(struct flo_health *health, enum flo_health_scope scope,
                            struct flo_buf *out)
{
    static const char *const NAMES[] = {[FLO_HEALTH_LIVE] = "health",
                                        [FLO_HEALTH_READY] = "ready",
                                        [FLO_HEALTH_STARTED] = "startup"};
    bool ok = true;
    if (health) {
        pthread_mutex_lock(&health->mu);
        ok = holds_locked(health, scope);
        put_lines_locked(health, scope, out);
        pthread_mutex_unlock(&health->mu);
    }
    flo_buf_printf(out, "%s check %s\n", NAMES[scope], ok ? "passed" : "failed");
    return ok;
}
