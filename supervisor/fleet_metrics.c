/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_metrics.c - the snapshots of all processes as one Prometheus page.
 *
 * Prometheus wants all series of a family together, under one TYPE line, so families are first
 * gathered by name over all processes. A process whose family has another kind, or other buckets,
 * than the first one's (another version) is fine; another kind is left out.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/fleet.h"

/* One process's share of a family. */
struct part {
    struct part *next;
    const json_t *family;
    const char *role, *identity;
};

struct family {
    struct part *first, *last;
};

struct gather {
    struct flo_map families; /* name to struct family, in order of appearance */
    bool failed;
};

static void gather_part(struct gather *gather, const json_t *family_json, const char *role,
                        const char *identity)
{
    const char *name = json_string_value(json_object_get(family_json, "n"));
    struct family *family = flo_map_get_str(&gather->families, name);
    struct part *part = flo_calloc(1, sizeof *part);
    if (part && !family) {
        family = flo_calloc(1, sizeof *family);
        if (family && flo_map_put_str(&gather->families, name, family)) {
            flo_free(family);
            family = NULL;
        }
    }
    if (!part || !family) {
        flo_free(part);
        gather->failed = true;
        return;
    }
    *part = (struct part){.family = family_json, .role = role, .identity = identity};
    if (family->last)
        family->last->next = part;
    else
        family->first = part;
    family->last = part;
}

static void gather_all(struct gather *gather, const json_t *metrics, const char *role,
                       const char *identity)
{
    for (size_t i = 0; i < json_array_size(metrics); i++)
        gather_part(gather, json_array_get(metrics, i), role, identity);
}

static void gather_fini(struct gather *gather)
{
    for (struct flo_map_entry *it = flo_map_first(&gather->families); it; it = flo_map_next(it)) {
        struct family *family = flo_map_value(it);
        while (family->first) {
            struct part *next = family->first->next;
            flo_free(family->first);
            family->first = next;
        }
        flo_free(family);
    }
    flo_map_fini(&gather->families);
}

static bool has_label(const json_t *labels, const char *name)
{
    for (size_t i = 0; i < json_array_size(labels); i++)
        if (strcmp(json_string_value(json_array_get(labels, i)), name) == 0)
            return true;
    return false;
}

static void put_label(struct flo_buf *out, const char **separator, const char *name,
                      const char *value)
{
    flo_buf_printf(out, "%s%s=\"", *separator, name);
    flo_metrics_append_label_value(out, value);
    flo_buf_append_str(out, "\"");
    *separator = ",";
}

static void put_sample(struct flo_buf *out, const struct part *part, const char *suffix,
                       const json_t *values, const double *le, double value)
{
    const json_t *labels = json_object_get(part->family, "l");
    const char *separator = "{";
    flo_buf_printf(out, "%s%s", json_string_value(json_object_get(part->family, "n")), suffix);
    for (size_t i = 0; i < json_array_size(labels); i++)
        put_label(out, &separator, json_string_value(json_array_get(labels, i)),
                  json_string_value(json_array_get(values, i)));
    if (!has_label(labels, "role"))
        put_label(out, &separator, "role", part->role);
    if (!has_label(labels, "identity"))
        put_label(out, &separator, "identity", part->identity);
    if (le) {
        flo_buf_printf(out, "%sle=\"", separator);
        flo_metrics_append_number(out, *le);
        flo_buf_append_str(out, "\"");
    }
    flo_buf_append_str(out, "} ");
    flo_metrics_append_number(out, value);
    flo_buf_append_str(out, "\n");
}

static void put_histogram(struct flo_buf *out, const struct part *part, const json_t *series)
{
    const json_t *values = json_array_get(series, 0), *counts = json_array_get(series, 2);
    const json_t *bounds = json_object_get(part->family, "b");
    double cumulative = 0;
    for (size_t i = 0; i < json_array_size(counts); i++) {
        double le =
            i < json_array_size(bounds) ? json_number_value(json_array_get(bounds, i)) : INFINITY;
        cumulative += (double)json_integer_value(json_array_get(counts, i));
        put_sample(out, part, "_bucket", values, &le, cumulative);
    }
    put_sample(out, part, "_sum", values, NULL, json_number_value(json_array_get(series, 1)));
    put_sample(out, part, "_count", values, NULL, cumulative);
}

static void put_family(struct flo_buf *out, const char *name, const struct family *family)
{
    const char *kind = json_string_value(json_object_get(family->first->family, "k"));
    const struct flo_metric_desc *desc = flo_metric_desc_by_name(name);
    if (desc)
        flo_buf_printf(out, "# HELP %s %s\n", name, desc->help);
    flo_buf_printf(out, "# TYPE %s %s\n", name,
                   *kind == 'c'   ? "counter"
                   : *kind == 'g' ? "gauge"
                                  : "histogram");
    for (const struct part *part = family->first; part; part = part->next) {
        if (strcmp(json_string_value(json_object_get(part->family, "k")), kind) != 0)
            continue;
        const json_t *all = json_object_get(part->family, "s");
        for (size_t i = 0; i < json_array_size(all); i++) {
            const json_t *series = json_array_get(all, i);
            if (*kind == 'h')
                put_histogram(out, part, series);
            else
                put_sample(out, part, "", json_array_get(series, 0), NULL,
                           json_number_value(json_array_get(series, 1)));
        }
    }
}

/* The supervisor's own registry in the form of a report. */
static json_t *own_metrics(struct flo_metrics *own)
{
    struct flo_buf text;
    size_t left = 0;
    json_t *json = NULL;
    flo_buf_init(&text, 0);
    if (own && flo_metrics_render_json(own, SIZE_MAX, &text, &left) == 0)
        json = json_loadb((const char *)text.data, text.len, 0, NULL);
    flo_buf_fini(&text);
    return json;
}

int flo_fleet_render_metrics(struct flo_fleet *fleet, struct flo_metrics *own,
                             const char *own_identity, int64_t now_ms, struct flo_buf *out)
{
    struct gather gather = {.failed = false};
    flo_map_init(&gather.families);
    json_t *own_json = own_metrics(own);
    gather_all(&gather, own_json, "supervisor", own_identity);
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            const struct flo_fleet_entry *entry = flo_container(node, struct flo_fleet_entry, node);
            if (!flo_fleet_entry_live(entry, now_ms))
                continue;
            /* Two processes with one identity would be one series twice: the boot id tells. */
            gather_all(&gather, json_object_get(entry->snapshot, "metrics"),
                       flo_fleet_role_name((enum flo_fleet_role)i),
                       entry->duplicate
                           ? entry->boot
                           : json_string_value(json_object_get(entry->snapshot, "identity")));
        }
    }
    for (struct flo_map_entry *it = flo_map_first(&gather.families); it; it = flo_map_next(it))
        put_family(out, flo_map_key(it, NULL), flo_map_value(it));
    int rc = gather.failed || out->failed ? FLO_ENOMEM : 0;
    gather_fini(&gather);
    json_decref(own_json);
    return rc;
}
