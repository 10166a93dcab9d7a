/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_store.c - shapes by their text, numbers by process, all within a bound. */
#include "supervisor/fleet/fleet_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct flo_fleet_store {
    struct flo_map shapes; /* by text */
    struct flo_fleet_numbers numbers;
    struct flo_buf text; /* of the report that is being taken */
    size_t bytes;        /* of all shapes and numbers */
};

static struct flo_fleet_store *store_of(struct flo_fleet *fleet)
{
    if (fleet->store)
        return fleet->store;
    fleet->store = flo_calloc(1, sizeof *fleet->store);
    if (fleet->store) {
        flo_map_init(&fleet->store->shapes);
        flo_buf_init(&fleet->store->text, 0);
    }
    return fleet->store;
}

void flo_fleet_store_destroy(struct flo_fleet_store **store)
{
    struct flo_fleet_store *self = *store;
    if (!self)
        return;
    flo_map_fini(&self->shapes);
    flo_fleet_numbers_fini(&self->numbers);
    flo_buf_fini(&self->text);
    flo_free(self);
    *store = NULL;
}

size_t flo_fleet_store_bytes(const struct flo_fleet *fleet)
{
    return fleet->store ? fleet->store->bytes : 0;
}

static size_t values_size(const struct flo_fleet_shape *shape)
{
    return (shape->value_count + 1) * sizeof(double);
}

static void unref(struct flo_fleet_store *store, struct flo_fleet_shape *shape)
{
    if (--shape->refs)
        return;
    store->bytes -= shape->bytes;
    (void)flo_map_remove(&store->shapes, shape->text, shape->text_len);
    flo_fleet_shape_destroy(&shape);
}

void flo_fleet_store_release(struct flo_fleet *fleet, struct flo_fleet_entry *entry)
{
    if (!entry->shape)
        return;
    fleet->store->bytes -= values_size(entry->shape);
    flo_free(entry->values);
    unref(fleet->store, entry->shape);
    entry->values = NULL;
    entry->shape = NULL;
}

/* Give the entry this shape (which gets a reference) and room for its numbers; within the bound,
 * without which it has none. */
static bool adopt(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                  struct flo_fleet_shape *shape)
{
    struct flo_fleet_store *store = fleet->store;
    bool fits = store->bytes + values_size(shape) <= FLO_FLEET_METRICS_BYTES;
    double *values = fits ? flo_calloc(1, values_size(shape)) : NULL;
    shape->refs++;
    flo_fleet_store_release(fleet, entry);
    uint32_t dropped = shape->series_over;
    if (values) {
        entry->shape = shape;
        entry->values = values;
        store->bytes += values_size(shape);
    } else {
        dropped = 0;
        for (size_t i = 0; i < shape->family_count; i++)
            dropped += shape->families[i].series_count;
        unref(store, shape);
    }
    flo_series_add(flo_metrics_get(fleet->metrics, FLO_METRIC_FLEET_SERIES_DROPPED,
                                   flo_fleet_role_name(entry->role), NULL),
                   dropped);
    return values != NULL;
}

/* A shape for what was split, kept in the store. */
static enum flo_frame_verdict add_shape(struct flo_fleet_store *store, const char *text, size_t len,
                                        struct flo_fleet_shape **out)
{
    struct flo_fleet_shape *shape = NULL;
    enum flo_frame_verdict verdict = flo_fleet_shape_parse(text, len, &shape);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    shape->text_len = store->text.len;
    shape->text = flo_arena_memdup(&shape->arena, store->text.data, store->text.len + 1);
    if (!shape->text || flo_map_put(&store->shapes, shape->text, shape->text_len, shape, NULL)) {
        flo_fleet_shape_destroy(&shape);
        return FLO_FRAME_MEMORY;
    }
    shape->bytes = sizeof *shape + shape->arena.held_bytes + shape->text_len;
    store->bytes += shape->bytes;
    *out = shape;
    return FLO_FRAME_TAKEN;
}

/* The shape of a report that is not of its process's last shape. */
static enum flo_frame_verdict find_shape(struct flo_fleet_store *store, const char *text,
                                         size_t len, struct flo_fleet_shape **out)
{
    (void)flo_buf_cstr(&store->text); /* a NUL behind it, for the copy */
    struct flo_fleet_shape *shape = flo_map_get(&store->shapes, store->text.data, store->text.len);
    enum flo_frame_verdict verdict = shape ? FLO_FRAME_TAKEN : add_shape(store, text, len, &shape);
    if (verdict == FLO_FRAME_TAKEN)
        *out = shape;
    return verdict;
}

enum flo_frame_verdict flo_fleet_store_take(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                                            const char *text, size_t len)
{
    struct flo_fleet_store *store = store_of(fleet);
    struct flo_fleet_shape *shape = NULL;
    if (!store)
        return FLO_FRAME_MEMORY;
    if (!entry->shape || !flo_fleet_shape_match(entry->shape, text, len, &store->numbers)) {
        if (!flo_fleet_shape_split(text, len, &store->text, &store->numbers))
            return FLO_FRAME_METRICS;
        enum flo_frame_verdict verdict = find_shape(store, text, len, &shape);
        if (verdict != FLO_FRAME_TAKEN)
            return verdict;
        if (!flo_fleet_shape_accepts(shape, &store->numbers)) {
            shape->refs++;
            unref(store, shape); /* unless others have it */
            return FLO_FRAME_METRICS;
        }
        if (shape != entry->shape && !adopt(fleet, entry, shape))
            return FLO_FRAME_TAKEN; /* without metrics */
    }
    if (store->numbers.count) /* a report without metrics has no array */
        memcpy(entry->values, store->numbers.values, store->numbers.count * sizeof *entry->values);
    return FLO_FRAME_TAKEN;
}

struct flo_fleet_shape *flo_fleet_shape_of(const char *text, size_t len, double **out_values)
{
    struct flo_fleet_shape *shape = NULL;
    struct flo_fleet_numbers numbers = {0};
    struct flo_buf split;
    flo_buf_init(&split, 0);
    if (flo_fleet_shape_split(text, len, &split, &numbers) &&
        flo_fleet_shape_parse(text, len, &shape) == FLO_FRAME_TAKEN &&
        flo_fleet_shape_accepts(shape, &numbers)) {
        *out_values = numbers.values;
        numbers.values = NULL;
    } else {
        flo_fleet_shape_destroy(&shape);
    }
    flo_fleet_numbers_fini(&numbers);
    flo_buf_fini(&split);
    return shape;
}
