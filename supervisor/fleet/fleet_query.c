/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_query.c - sums, groups and histograms over the processes of a fleet. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/fleet/fleet_store.h"

/* ---- walking the series that a query wants ---- */

typedef bool (*series_fn)(void *ctx, const struct flo_fleet_family *family,
                          const char *const *label_values, const double *values);

/* Where the query's label stands among the family's; label_count: it has none. */
static size_t label_place(const struct flo_fleet_family *family, const char *label)
{
    size_t i = 0;
    while (i < family->label_count && strcmp(family->labels[i], label) != 0)
        i++;
    return i;
}

static bool walk_family(const struct flo_fleet_query *query, const struct flo_fleet_entry *entry,
                        const struct flo_fleet_family *family, series_fn fn, void *ctx)
{
    size_t places[FLO_FLEET_WHERE_MAX], wheres = 0;
    for (; wheres < FLO_FLEET_WHERE_MAX && query->where[wheres].label; wheres++) {
        places[wheres] = label_place(family, query->where[wheres].label);
        if (places[wheres] == family->label_count)
            return true;
    }
    for (uint32_t i = 0; i < family->series_count; i++) {
        const char *const *labels = family->label_values + (size_t)i * family->label_count;
        bool wanted = true;
        for (size_t j = 0; j < wheres && wanted; j++)
            wanted = strcmp(labels[places[j]], query->where[j].value) == 0;
        if (wanted &&
            !fn(ctx, family, labels, entry->values + family->first + (size_t)i * family->stride))
            return false;
    }
    return true;
}

static bool walk_entry(const struct flo_fleet_query *query, const struct flo_fleet_entry *entry,
                       series_fn fn, void *ctx)
{
    for (size_t i = 0; entry->shape && i < entry->shape->family_count; i++) {
        const struct flo_fleet_family *family = &entry->shape->families[i];
        if (!family->hidden && strcmp(family->name, query->metric) == 0 &&
            !walk_family(query, entry, family, fn, ctx))
            return false;
    }
    return true;
}

bool flo_fleet_polls(const struct flo_fleet_entry *entry, const char *task_queue)
{
    size_t len = strlen(task_queue);
    for (const char *p = entry->task_queue; *p;) {
        size_t name = strcspn(p, ",");
        if (name == len && memcmp(p, task_queue, len) == 0)
            return true;
        p += name;
        p += strspn(p, ", ");
    }
    return false;
}

/* Until fn returns false. */
static bool walk(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms,
                 series_fn fn, void *ctx)
{
    if (query->entry)
        return walk_entry(query, query->entry, fn, ctx);
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        if (query->of_role && (int)query->role != i)
            continue;
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            const struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (flo_fleet_entry_live(entry, now_ms) &&
                (!query->task_queue || flo_fleet_polls(entry, query->task_queue)) &&
                !walk_entry(query, entry, fn, ctx))
                return false;
        }
    }
    return true;
}

/* ---- sums ---- */

static double series_value(const struct flo_fleet_family *family, const double *values)
{
    double count = 0;
    if (family->kind != 'h')
        return values[0];
    for (uint32_t i = 1; i < family->stride; i++)
        count += values[i];
    return count;
}

static bool add_value(void *ctx, const struct flo_fleet_family *family,
                      const char *const *label_values, const double *values)
{
    (void)label_values;
    *(double *)ctx += series_value(family, values);
    return true;
}

double flo_fleet_sum(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms)
{
    double sum = 0;
    (void)walk(fleet, query, now_ms, add_value, &sum);
    return sum;
}

static bool raise_value(void *ctx, const struct flo_fleet_family *family,
                        const char *const *label_values, const double *values)
{
    double *most = ctx, value = series_value(family, values);
    (void)label_values;
    if (value > *most)
        *most = value;
    return true;
}

double flo_fleet_max(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms)
{
    double most = -INFINITY;
    (void)walk(fleet, query, now_ms, raise_value, &most);
    return isfinite(most) ? most : 0;
}

/* ---- histograms ---- */

static bool merge_series(void *ctx, const struct flo_fleet_family *family,
                         const char *const *label_values, const double *values)
{
    struct flo_fleet_histogram *out = ctx;
    (void)label_values;
    if (family->kind != 'h')
        return true;
    if (!out->bound_count) {
        out->bound_count = family->bound_count;
        memcpy(out->bounds, family->bounds, family->bound_count * sizeof *family->bounds);
    }
    bool same =
        out->bound_count == family->bound_count &&
        memcmp(out->bounds, family->bounds, family->bound_count * sizeof *family->bounds) == 0;
    out->sum += values[0];
    for (uint32_t i = 1; i < family->stride; i++) {
        out->count += values[i];
        if (same)
            out->counts[i - 1] += values[i];
    }
    return true;
}

bool flo_fleet_merge(struct flo_fleet *fleet, const struct flo_fleet_query *query, int64_t now_ms,
                     struct flo_fleet_histogram *out)
{
    *out = (struct flo_fleet_histogram){.bound_count = 0};
    (void)walk(fleet, query, now_ms, merge_series, out);
    return out->count > 0;
}

double flo_fleet_quantile(const struct flo_fleet_histogram *histogram, double q)
{
    double total = 0, below = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++)
        total += histogram->counts[i];
    if (!histogram->bound_count || total <= 0 || isnan(q))
        return NAN;
    double rank = (q < 0 ? 0 : q > 1 ? 1 : q) * total;
    size_t i = 0;
    while (i < histogram->bound_count && below + histogram->counts[i] < rank)
        below += histogram->counts[i++];
    if (i == histogram->bound_count)
        return histogram->bounds[i - 1]; /* +Inf's: all that is known is that it is above */
    double lower = i ? histogram->bounds[i - 1] : 0, upper = histogram->bounds[i];
    if ((i == 0 && upper <= 0) || histogram->counts[i] <= 0)
        return upper;
    return lower + (upper - lower) * (rank - below) / histogram->counts[i];
}

void flo_fleet_histogram_since(const struct flo_fleet_histogram *later,
                               const struct flo_fleet_histogram *earlier,
                               struct flo_fleet_histogram *out)
{
    struct flo_fleet_histogram since = *later;
    bool same =
        later->bound_count == earlier->bound_count &&
        memcmp(later->bounds, earlier->bounds, later->bound_count * sizeof *later->bounds) == 0 &&
        later->count >= earlier->count;
    for (size_t i = 0; same && i <= later->bound_count; i++) {
        since.counts[i] -= earlier->counts[i];
        same = since.counts[i] >= 0;
    }
    since.sum -= earlier->sum;
    since.count -= earlier->count;
    *out = same ? since : *later;
}

/* ---- groups ---- */

struct grouping {
    const char *label;
    struct flo_map groups; /* value to struct flo_fleet_group */
};

static bool group_series(void *ctx, const struct flo_fleet_family *family,
                         const char *const *label_values, const double *values)
{
    struct grouping *grouping = ctx;
    size_t place = label_place(family, grouping->label);
    if (place == family->label_count)
        return true;
    struct flo_fleet_group *group = flo_map_get_str(&grouping->groups, label_values[place]);
    if (!group) {
        group = flo_calloc(1, sizeof *group);
        if (!group || flo_map_put_str(&grouping->groups, label_values[place], group)) {
            flo_free(group);
            return false;
        }
        group->value = label_values[place];
    }
    group->sum += series_value(family, values);
    return merge_series(&group->histogram, family, label_values, values);
}

int flo_fleet_group(struct flo_fleet *fleet, const struct flo_fleet_query *query, const char *label,
                    int64_t now_ms, flo_fleet_group_fn fn, void *ctx)
{
    struct grouping grouping = {.label = label};
    flo_map_init(&grouping.groups);
    int rc = walk(fleet, query, now_ms, group_series, &grouping) ? 0 : FLO_ENOMEM;
    for (struct flo_map_entry *it = flo_map_first(&grouping.groups); it; it = flo_map_next(it)) {
        if (!rc)
            fn(ctx, flo_map_value(it));
        flo_free(flo_map_value(it));
    }
    flo_map_fini(&grouping.groups);
    return rc;
}

void flo_fleet_slots(struct flo_fleet *fleet, int role, const char *task_queue, const char *kind,
                     int64_t now_ms, uint64_t *out_used, uint64_t *out_total)
{
    *out_used = *out_total = 0;
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        if (role != FLO_FLEET_ANY_ROLE && role != i)
            continue;
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            const struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (!flo_fleet_entry_live(entry, now_ms) ||
                (task_queue && !flo_fleet_polls(entry, task_queue)))
                continue;
            for (unsigned j = 0; j < entry->slot_count; j++) {
                if (kind && strcmp(entry->slots[j].kind, kind) != 0)
                    continue;
                *out_used += entry->slots[j].used;
                *out_total += entry->slots[j].total;
            }
        }
    }
}
