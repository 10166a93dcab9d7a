/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_snapshot.c - is a frame a snapshot (docs/supervisor-protocol.md)? Everything that pages and
 * metrics will show is checked here once, so that the rest may rely on it.
 */
#include <math.h>
#include <string.h>

#include "supervisor/fleet.h"
#include "telemetry/report.h"

#define TEXT_MAX 1024
#define LABEL_MAX 256

static bool is_text(const json_t *json, size_t min, size_t max)
{
    if (!json_is_string(json))
        return false;
    size_t len = json_string_length(json);
    return len >= min && len <= max && strlen(json_string_value(json)) == len;
}

static bool is_count(const json_t *json)
{
    return json_is_integer(json) && json_integer_value(json) >= 0;
}

static bool is_number(const json_t *json)
{
    return json_is_number(json) && isfinite(json_number_value(json));
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*; labels without the colon. */
static bool is_name(const json_t *json, bool label)
{
    if (!is_text(json, 1, 128))
        return false;
    for (const char *p = json_string_value(json); *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                      (*p == ':' && !label);
        if (!letter && !(*p >= '0' && *p <= '9' && p != json_string_value(json)))
            return false;
    }
    return true;
}

static bool check_series(const json_t *series, char kind, size_t labels, size_t bounds)
{
    if (!json_is_array(series) || json_array_size(series) != (kind == 'h' ? 3 : 2))
        return false;
    const json_t *values = json_array_get(series, 0), *number = json_array_get(series, 1);
    if (!json_is_array(values) || json_array_size(values) != labels || !is_number(number))
        return false;
    if (kind == 'c' && json_number_value(number) < 0)
        return false;
    for (size_t i = 0; i < labels; i++)
        if (!is_text(json_array_get(values, i), 0, LABEL_MAX))
            return false;
    if (kind != 'h')
        return true;
    const json_t *counts = json_array_get(series, 2);
    if (!json_is_array(counts) || json_array_size(counts) != bounds + 1)
        return false;
    for (size_t i = 0; i <= bounds; i++)
        if (!is_count(json_array_get(counts, i)))
            return false;
    return true;
}

static bool check_bounds(const json_t *bounds)
{
    if (!json_is_array(bounds) || !json_array_size(bounds) ||
        json_array_size(bounds) > FLO_METRIC_BUCKETS_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(bounds); i++) {
        const json_t *bound = json_array_get(bounds, i);
        if (!is_number(bound) ||
            (i && json_number_value(bound) <= json_number_value(json_array_get(bounds, i - 1))))
            return false;
    }
    return true;
}

static bool check_family(const json_t *family)
{
    const json_t *kind = json_object_get(family, "k");
    const json_t *labels = json_object_get(family, "l");
    const json_t *series = json_object_get(family, "s");
    if (!is_name(json_object_get(family, "n"), false) || !is_text(kind, 1, 1) ||
        !strchr("cgh", json_string_value(kind)[0]) || !json_is_array(labels) ||
        json_array_size(labels) > FLO_METRIC_LABELS_MAX || !json_is_array(series))
        return false;
    char k = json_string_value(kind)[0];
    for (size_t i = 0; i < json_array_size(labels); i++)
        if (!is_name(json_array_get(labels, i), true))
            return false;
    const json_t *bounds = json_object_get(family, "b");
    if (k == 'h' && !check_bounds(bounds))
        return false;
    for (size_t i = 0; i < json_array_size(series); i++)
        if (!check_series(json_array_get(series, i), k, json_array_size(labels),
                          json_array_size(bounds)))
            return false;
    return true;
}

static bool check_metrics(const json_t *metrics)
{
    if (!json_is_array(metrics))
        return false;
    for (size_t i = 0; i < json_array_size(metrics); i++)
        if (!check_family(json_array_get(metrics, i)))
            return false;
    return true;
}

static bool check_slots(const json_t *slots)
{
    if (!json_is_array(slots) || json_array_size(slots) > FLO_REPORT_SLOT_KINDS)
        return false;
    for (size_t i = 0; i < json_array_size(slots); i++) {
        const json_t *slot = json_array_get(slots, i);
        if (!is_text(json_object_get(slot, "kind"), 1, 32) ||
            !is_count(json_object_get(slot, "used")) || !is_count(json_object_get(slot, "total")))
            return false;
    }
    return true;
}

static bool check_fields(const json_t *snapshot)
{
    static const char *const texts[] = {"name",      "version",    "server",
                                        "namespace", "task_queue", "http"};
    static const char *const counts[] = {"seq",     "pid",  "started_ms", "cpu_ms", "rss_bytes",
                                         "threads", "done", "failed",     "polls"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!is_text(json_object_get(snapshot, texts[i]), 0, TEXT_MAX))
            return false;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (!is_count(json_object_get(snapshot, counts[i])))
            return false;
    const json_t *state = json_object_get(snapshot, "state");
    if (!is_text(state, 1, 16) || (strcmp(json_string_value(state), "running") != 0 &&
                                   strcmp(json_string_value(state), "quiet") != 0 &&
                                   strcmp(json_string_value(state), "draining") != 0 &&
                                   strcmp(json_string_value(state), "stopped") != 0))
        return false;
    return is_text(json_object_get(snapshot, "boot"), 36, 36) &&
           is_text(json_object_get(snapshot, "identity"), 1, 255) &&
           json_is_boolean(json_object_get(snapshot, "ready")) &&
           check_slots(json_object_get(snapshot, "slots"));
}

static bool find_role(const json_t *role, enum flo_fleet_role *out)
{
    for (int i = 0; is_text(role, 1, 32) && i < FLO_FLEET_ROLES; i++) {
        if (strcmp(json_string_value(role), flo_fleet_role_name((enum flo_fleet_role)i)) == 0) {
            *out = (enum flo_fleet_role)i;
            return true;
        }
    }
    return false;
}

enum flo_frame_verdict flo_snapshot_check(const json_t *snapshot, enum flo_fleet_role *out_role)
{
    if (!json_is_object(snapshot))
        return FLO_FRAME_JSON;
    const json_t *version = json_object_get(snapshot, "v");
    const json_t *type = json_object_get(snapshot, "type");
    if (!json_is_integer(version) || json_integer_value(version) != FLO_REPORT_VERSION)
        return FLO_FRAME_VERSION;
    if (!is_text(type, 1, 32) || strcmp(json_string_value(type), "snapshot") != 0)
        return FLO_FRAME_TYPE;
    if (!find_role(json_object_get(snapshot, "role"), out_role))
        return FLO_FRAME_ROLE;
    if (!check_fields(snapshot))
        return FLO_FRAME_FIELD;
    return check_metrics(json_object_get(snapshot, "metrics")) ? FLO_FRAME_TAKEN
                                                               : FLO_FRAME_METRICS;
}

double flo_snapshot_counters(const json_t *snapshot)
{
    double sum = 0;
    const json_t *metrics = json_object_get(snapshot, "metrics");
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const json_t *family = json_array_get(metrics, i);
        const json_t *series = json_object_get(family, "s");
        if (json_string_value(json_object_get(family, "k"))[0] != 'c')
            continue;
        for (size_t j = 0; j < json_array_size(series); j++)
            sum += json_number_value(json_array_get(json_array_get(series, j), 1));
    }
    return sum;
}
