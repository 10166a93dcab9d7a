/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - see history.h. */
#include "supervisor/fleet/history.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

struct queue {
    char name[FLO_HISTORY_NAME_MAX]; /* "": unused */
    bool activity;
    uint64_t seen; /* number of the point that it was last set in */
    float depth[FLO_HISTORY_POINTS];
};

struct flo_history {
    uint64_t begun; /* points ever; the newest is at (begun - 1) % FLO_HISTORY_POINTS */
    int64_t times[FLO_HISTORY_POINTS];
    struct flo_history_figures roles[FLO_HISTORY_ROLES][FLO_HISTORY_POINTS];
    struct queue queues[FLO_HISTORY_QUEUES];
};

static const struct flo_history_figures unknown = {
#define FLO_HISTORY_NAN(name) .name = NAN,
    FLO_HISTORY_FIGURES(FLO_HISTORY_NAN)
#undef FLO_HISTORY_NAN
};

int flo_history_new(struct flo_history **out)
{
    struct flo_history *history = flo_calloc(1, sizeof *history);
    if (!history)
        return FLO_ENOMEM;
    *out = history;
    return 0;
}

void flo_history_destroy(struct flo_history **history)
{
    flo_free(*history);
    *history = NULL;
}

static size_t newest(const struct flo_history *history)
{
    return (size_t)((history->begun - 1) % FLO_HISTORY_POINTS);
}

size_t flo_history_points(const struct flo_history *history)
{
    return history->begun < FLO_HISTORY_POINTS ? (size_t)history->begun : FLO_HISTORY_POINTS;
}

void flo_history_begin(struct flo_history *history, int64_t wall_ms)
{
    history->begun++;
    size_t at = newest(history);
    history->times[at] = wall_ms;
    for (int role = 0; role < FLO_HISTORY_ROLES; role++)
        history->roles[role][at] = unknown;
    for (size_t i = 0; i < FLO_HISTORY_QUEUES; i++) {
        struct queue *queue = &history->queues[i];
        if (!*queue->name)
            continue;
        queue->depth[at] = NAN;
        if (history->begun - queue->seen > FLO_HISTORY_POINTS)
            queue->name[0] = '\0'; /* its last figure has left the hour */
    }
}

void flo_history_role(struct flo_history *history, int role,
                      const struct flo_history_figures *figures)
{
    history->roles[role][newest(history)] = *figures;
}

static struct queue *find_queue(struct flo_history *history, const char *name, bool activity)
{
    struct queue *oldest = &history->queues[0];
    for (size_t i = 0; i < FLO_HISTORY_QUEUES; i++) {
        struct queue *queue = &history->queues[i];
        if (queue->activity == activity && strcmp(queue->name, name) == 0)
            return queue;
        bool older =
            !*queue->name ? *oldest->name != '\0' : *oldest->name && queue->seen < oldest->seen;
        if (older)
            oldest = queue;
    }
    snprintf(oldest->name, sizeof oldest->name, "%s", name);
    oldest->activity = activity;
    for (size_t i = 0; i < FLO_HISTORY_POINTS; i++)
        oldest->depth[i] = NAN;
    return oldest;
}

void flo_history_queue(struct flo_history *history, const char *name, bool activity, double depth)
{
    char cut[FLO_HISTORY_NAME_MAX];
    size_t len = flo_utf8_cut(name, strlen(name), sizeof cut - 1);
    if (!len)
        return;
    memcpy(cut, name, len);
    cut[len] = '\0';
    struct queue *queue = find_queue(history, cut, activity);
    queue->seen = history->begun;
    queue->depth[newest(history)] = (float)depth;
}

/* ---- as JSON ---- */

/* A number of at most four significant digits after the point, or null. */
static json_t *number(double value)
{
    if (!isfinite(value))
        return json_null();
    if (value == floor(value) && fabs(value) < 1e15)
        return json_integer((json_int_t)value);
    return json_real(fabs(value) < 1 ? round(value * 1e6) / 1e6 : round(value * 1e3) / 1e3);
}

/* The points first..begun of one figure, `stride` bytes apart. */
static json_t *series(const struct flo_history *history, uint64_t first, const float *figure,
                      size_t stride, bool *out_any)
{
    json_t *list = json_array();
    for (uint64_t i = first; i < history->begun; i++) {
        const char *at = (const char *)figure + (size_t)(i % FLO_HISTORY_POINTS) * stride;
        float value;
        memcpy(&value, at, sizeof value);
        *out_any = *out_any || isfinite(value);
        (void)json_array_append_new(list, number((double)value));
    }
    return list;
}

static json_t *role_json(const struct flo_history *history, uint64_t first, int role)
{
    const struct flo_history_figures *figures = history->roles[role];
    const size_t stride = sizeof *figures;
    json_t *out = json_object();
    bool any = false;
#define FLO_HISTORY_SERIES(name)                                                                   \
    (void)json_object_set_new(out, #name, series(history, first, &figures[0].name, stride, &any));
    FLO_HISTORY_FIGURES(FLO_HISTORY_SERIES)
#undef FLO_HISTORY_SERIES
    if (any)
        return out;
    json_decref(out);
    return NULL;
}

static json_t *queues_json(const struct flo_history *history, uint64_t first)
{
    json_t *list = json_array();
    for (size_t i = 0; i < FLO_HISTORY_QUEUES; i++) {
        const struct queue *queue = &history->queues[i];
        bool any = false;
        if (!*queue->name)
            continue;
        json_t *depth = series(history, first, queue->depth, sizeof *queue->depth, &any);
        if (any)
            (void)json_array_append_new(
                list, json_pack("{s:s, s:s, s:o}", "queue", queue->name, "kind",
                                queue->activity ? "activity" : "workflow", "depth", depth));
        else
            json_decref(depth);
    }
    return list;
}

json_t *flo_history_json(const struct flo_history *history, int64_t seconds,
                         const char *(*role_name)(int role))
{
    uint64_t kept = flo_history_points(history);
    uint64_t wanted = seconds > 0 ? (uint64_t)seconds * 1000 / FLO_HISTORY_STEP_MS : 0;
    uint64_t first = history->begun - (wanted < kept ? wanted : kept);
    json_t *times = json_array(), *roles = json_object();
    for (uint64_t i = first; i < history->begun; i++)
        (void)json_array_append_new(times, json_integer(history->times[i % FLO_HISTORY_POINTS]));
    for (int role = 0; role < FLO_HISTORY_ROLES; role++) {
        json_t *figures = role_json(history, first, role);
        if (figures)
            (void)json_object_set_new(roles, role_name(role), figures);
    }
    return json_pack("{s:i, s:i, s:o, s:o, s:o}", "v", 1, "step_ms", FLO_HISTORY_STEP_MS, "times",
                     times, "roles", roles, "queues", queues_json(history, first));
}
