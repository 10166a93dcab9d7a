/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_metrics.c - the snapshots of all processes as one Prometheus page.
 *
 * Prometheus wants all series of a family together, under one TYPE line, so families are first
 * gathered by name over all processes. A process whose family has other labels or buckets than the
 * first one's (another version) is fine; another kind is left out.
 */
#include <string.h>

#include "base/alloc.h"
#include "supervisor/fleet/fleet_store.h"
#include "telemetry/metrics_page.h"

/* One process's share of a family. */
struct part {
    struct part *next;
    const struct flo_fleet_family *family;
    const double *values;
    const char *role, *identity;
};

struct family {
    struct part *first, *last;
};

struct gather {
    struct flo_map families; /* name to struct family, in order of appearance */
    struct flo_arena arena;  /* of the parts */
    bool failed;
};

static void gather_part(struct gather *gather, const struct part *part)
{
    struct family *family = flo_map_get_str(&gather->families, part->family->name);
    struct part *copy = flo_arena_memdup(&gather->arena, part, sizeof *part);
    if (copy && !family) {
        family = flo_arena_calloc(&gather->arena, 1, sizeof *family);
        if (family && flo_map_put_str(&gather->families, part->family->name, family))
            family = NULL;
    }
    if (!copy || !family) {
        gather->failed = true;
        return;
    }
    if (family->last)
        family->last->next = copy;
    else
        family->first = copy;
    family->last = copy;
}

static void gather_all(struct gather *gather, const struct flo_fleet_shape *shape,
                       const double *values, const char *role, const char *identity)
{
    for (size_t i = 0; shape && i < shape->family_count; i++) {
        const struct part part = {.family = &shape->families[i],
                                  .values = values + shape->families[i].first,
                                  .role = role,
                                  .identity = identity};
        if (!part.family->hidden && part.family->series_count)
            gather_part(gather, &part);
    }
}

static bool has_label(const struct flo_fleet_family *family, const char *name)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (strcmp(family->labels[i], name) == 0)
            return true;
    return false;
}

static void put_label(struct flo_page *page, const char *name, const char *value)
{
    flo_page_label(page, name, strlen(name), value);
}

static void put_labels(struct flo_page *page, const struct part *part, const char *const *values)
{
    for (size_t i = 0; i < part->family->label_count; i++)
        put_label(page, part->family->labels[i], values[i]);
    if (!has_label(part->family, "role"))
        put_label(page, "role", part->role);
    if (!has_label(part->family, "identity"))
        put_label(page, "identity", part->identity);
}

/* values: the sum, then what is in each bucket. */
static void put_histogram(struct flo_page *page, const struct flo_fleet_family *family,
                          const double *values)
{
    uint64_t counts[FLO_METRIC_BUCKETS_MAX + 1];
    size_t bounds = family->bound_count;
    for (size_t i = 0; i <= bounds; i++)
        counts[i] = (uint64_t)values[1 + i]; /* whole and below 2^63, checked */
    flo_page_histogram(page, family->bounds, bounds, counts, values[0]);
}

static void put_part(struct flo_page *page, const struct part *part)
{
    const struct flo_fleet_family *family = part->family;
    for (uint32_t i = 0; i < family->series_count; i++) {
        const double *values = part->values + (size_t)i * family->stride;
        put_labels(page, part, family->label_values + (size_t)i * family->label_count);
        if (family->kind == 'h')
            put_histogram(page, family, values);
        else
            flo_page_value(page, values[0]);
    }
}

static void put_family(struct flo_page *page, const char *name, const struct family *family)
{
    const char kind = family->first->family->kind;
    const struct flo_metric_desc *desc = flo_metric_desc_by_name(name);
    flo_page_family(page, name,
                    kind == 'c'   ? FLO_COUNTER
                    : kind == 'g' ? FLO_GAUGE
                                  : FLO_HISTOGRAM,
                    desc ? desc->help : "Counted by user code.");
    for (const struct part *part = family->first; part; part = part->next)
        if (part->family->kind == kind)
            put_part(page, part);
}

/* The supervisor's own registry in the form of a report. */
static struct flo_fleet_shape *own_shape(struct flo_metrics *own, double **out_values)
{
    struct flo_fleet_shape *shape = NULL;
    struct flo_buf text;
    size_t left = 0;
    flo_buf_init(&text, 0);
    if (own && flo_metrics_render_json(own, SIZE_MAX, &text, &left) == 0)
        shape = flo_fleet_shape_of((const char *)text.data, text.len, out_values);
    flo_buf_fini(&text);
    return shape;
}

int flo_fleet_render_metrics(struct flo_fleet *fleet, struct flo_metrics *own,
                             const char *own_identity, int64_t now_ms,
                             const struct flo_metrics_form *form, struct flo_buf *out)
{
    struct gather gather = {.failed = false};
    struct flo_page page;
    double *own_values = NULL;
    flo_map_init(&gather.families);
    flo_arena_init(&gather.arena, 0);
    flo_page_begin(&page, out, form);
    struct flo_fleet_shape *own_part = own_shape(own, &own_values);
    gather_all(&gather, own_part, own_values, "supervisor", own_identity);
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            const struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            /* Two processes with one identity would be one series twice: the boot id tells. */
            if (flo_fleet_entry_live(entry, now_ms))
                gather_all(&gather, entry->shape, entry->values,
                           flo_fleet_role_name((enum flo_fleet_role)i),
                           entry->duplicate ? entry->boot : entry->identity);
        }
    }
    for (struct flo_map_entry *it = flo_map_first(&gather.families); it; it = flo_map_next(it))
        put_family(&page, flo_map_key(it, NULL), flo_map_value(it));
    int rc = flo_page_end(&page);
    if (gather.failed)
        rc = FLO_ENOMEM;
    flo_map_fini(&gather.families);
    flo_arena_fini(&gather.arena);
    flo_fleet_shape_destroy(&own_part);
    flo_free(own_values);
    return rc;
}
