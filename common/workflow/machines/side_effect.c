/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side_effect.c - the life of a value from outside.
 *
 *   (code asks, live)      --> the function is called --> RecordMarker ISSUED --> RECORDED
 *   (code asks, replaying) --> the marker's value     --> RecordMarker ISSUED --> RECORDED
 *
 * The value must be there when the code asks, before its command is compared with history: the
 * markers behind a task are read before its code runs (flo_evolution_foresee), and wait in
 * entities->effects. A replay that asks for a value that history does not have can only be code
 * that does not match it: it is put aside, and the comparison says so.
 *
 * The markers have the names and details of those of the Go SDK, which tools show: SideEffect is
 * known by its number; MutableSideEffect by its id and by which call of that id it was, since only
 * calls whose value differed left one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/fill.h"

#define NAME "SideEffect"
#define MUTABLE_NAME "MutableSideEffect"
#define ID "side-effect-id"
#define DATA "data"
#define COUNTER "mutable-side-effect-call-counter"

enum state { ISSUED, RECORDED };

static const struct flo_machine_state states[] = {
    [ISSUED] = {"issued", FLO_STATE_BIT(RECORDED)},
    [RECORDED] = {"recorded", 0},
};

/* One marker, from its command until its event. */
struct flo_effect {
    struct flo_future future; /* first; never awaited: the command holds on to the effect by it */
    struct flo_machine machine;
    uint64_t number; /* of all side effects; or of the calls of this id */
    const char *id;  /* in text; NULL: not mutable */
    char text[];
};

/* All of one id's. */
struct flo_mutable {
    uint64_t calls;
    json_t *last; /* the value recorded last; NULL: none yet */
};

static struct flo_effect *effect_of(const struct flo_command *command)
{
    return flo_container(command->future, struct flo_effect, future);
}

/* ---- markers ---- */

int flo_marker_detail(const FloApi__HistoryEvent *event, const char *key, json_t **out_value,
                      struct flo_err *err)
{
    const FloApi__MarkerRecordedEventAttributes *a = event->marker_recorded_event_attributes;
    for (size_t i = 0; i < a->n_details; i++) {
        if (strcmp(a->details[i]->key, key) != 0)
            continue;
        int rc = flo_payloads_to_json(a->details[i]->value, false, out_value, err);
        if (rc == FLO_EPERM)
            flo_err_prefix(err, "the marker of event %" PRId64, event->event_id);
        return rc == FLO_EPROTO ? FLO_ENOENT : rc;
    }
    return FLO_ENOENT;
}

int flo_marker_command(struct flo_run *run, FloApi__Command *message, const char *name,
                       const struct flo_marker_detail *details, size_t count)
{
    struct flo_arena *arena = run->answer;
    FloApi__RecordMarkerCommandAttributes *a = flo_arena_alloc(arena, sizeof *a);
    FloApi__RecordMarkerCommandAttributes__DetailsEntry **entries =
        flo_arena_calloc(arena, count, sizeof *entries);
    if (!a || !entries)
        return FLO_ENOMEM;
    flo_api__record_marker_command_attributes__init(a);
    a->marker_name = (char *)(uintptr_t)name;
    a->details = entries;
    for (size_t i = 0; i < count; i++) {
        FloApi__RecordMarkerCommandAttributes__DetailsEntry *entry =
            flo_arena_alloc(arena, sizeof *entry);
        if (!entry)
            return FLO_ENOMEM;
        flo_api__record_marker_command_attributes__details_entry__init(entry);
        entry->key = (char *)(uintptr_t)details[i].key;
        entry->value = flo_payloads_from_json(arena, details[i].value);
        if (!entry->value)
            return FLO_ENOMEM;
        entries[a->n_details++] = entry;
    }
    message->attributes_case = FLO_API__COMMAND__ATTRIBUTES_RECORD_MARKER_COMMAND_ATTRIBUTES;
    message->record_marker_command_attributes = a;
    return 0;
}

/* Which side effect a marker is of. */
struct which {
    uint64_t number;
    json_t *id; /* owned; NULL: not mutable */
};

/* FLO_ENOENT: it is of none, or says not of which. */
static int decode(const FloApi__HistoryEvent *event, struct which *out, struct flo_err *err)
{
    const char *name = event->marker_recorded_event_attributes->marker_name;
    bool is_mutable = strcmp(name, MUTABLE_NAME) == 0;
    json_t *number = NULL, *id = NULL;
    if (!is_mutable && strcmp(name, NAME) != 0)
        return FLO_ENOENT;
    int rc = flo_marker_detail(event, is_mutable ? COUNTER : ID, &number, err);
    if (rc == 0 && is_mutable)
        rc = flo_marker_detail(event, ID, &id, err);
    if (rc == 0 && (!json_is_integer(number) || (is_mutable && !json_is_string(id))))
        rc = FLO_ENOENT;
    if (rc)
        json_decref(id);
    else
        *out = (struct which){(uint64_t)json_integer_value(number), id};
    json_decref(number);
    return rc;
}

/* The key in entities->effects. NULL: no memory. */
static char *key_of(struct flo_run *run, uint64_t number, const char *id)
{
    size_t size = 32 + (id ? strlen(id) : 0);
    char *key = flo_heap_alloc(run->heap, size);
    if (key)
        snprintf(key, size, "%" PRIu64 "%s%s", number, id ? " " : "", id ? id : "");
    return key;
}

int flo_side_effect_foresee(struct flo_run *run, const FloApi__HistoryEvent *event,
                            struct flo_err *err)
{
    struct which which;
    json_t *value = NULL;
    int rc = decode(event, &which, err);
    if (rc)
        return rc == FLO_ENOENT ? 0 : rc;
    struct flo_entities *e = flo_entities_of(run);
    char *key = e ? key_of(run, which.number, json_string_value(which.id)) : NULL;
    json_decref(which.id);
    rc = key ? flo_marker_detail(event, DATA, &value, err) : FLO_ENOMEM;
    if (rc == FLO_ENOENT)
        rc = flo_fail(err, FLO_EPROTO, "the marker of event %" PRId64 " has no value",
                      event->event_id);
    void *old = NULL;
    if (rc == 0)
        rc = flo_map_put(&e->effects, key, strlen(key), value, &old);
    if (rc)
        json_decref(value);
    json_decref(old);
    flo_heap_free(key);
    return rc;
}

bool flo_side_effect_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size)
{
    struct which which;
    if (decode(event, &which, NULL))
        return false;
    if (which.id)
        snprintf(out_text, size, " (mutable side effect %.80s, call %" PRIu64 ")",
                 json_string_value(which.id), which.number);
    else
        snprintf(out_text, size, " (side effect %" PRIu64 ")", which.number);
    json_decref(which.id);
    return true;
}

/* ---- commands ---- */

static int recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_effect *effect = effect_of(command);
    struct which which;
    int rc = decode(event, &which, NULL);
    if (rc)
        return rc == FLO_ENOMEM ? rc : FLO_ENONDET;
    const char *id = json_string_value(which.id);
    bool same = which.number == effect->number && !id == !effect->id &&
                (!id || strcmp(id, effect->id) == 0);
    json_decref(which.id);
    return same ? flo_machine_move(&effect->machine, RECORDED) : FLO_ENONDET;
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    const struct flo_effect *effect = effect_of(command);
    if (effect->id)
        snprintf(out_text, size, "mutable side effect %.80s, call %" PRIu64, effect->id,
                 effect->number);
    else
        snprintf(out_text, size, "side effect %" PRIu64, effect->number);
}

static const struct flo_command_ops ops = {FLO_COMMAND(RECORD_MARKER), recorded, describe};

static int fill(struct flo_run *run, const struct flo_effect *effect, const json_t *value,
                FloApi__Command *message)
{
    json_t *number = json_integer((json_int_t)effect->number);
    json_t *id = effect->id ? json_string(effect->id) : NULL;
    const struct flo_marker_detail details[] = {
        {ID, id ? id : number}, {DATA, value}, {COUNTER, number}};
    int rc = !number || (effect->id && !id)
                 ? FLO_ENOMEM
                 : flo_marker_command(run, message, id ? MUTABLE_NAME : NAME, details, id ? 3 : 2);
    json_decref(number);
    json_decref(id);
    return rc;
}

/* value is borrowed; only live it matters. */
static int issue(struct flo_run *run, uint64_t number, const char *id, const json_t *value)
{
    static const struct flo_future_ops no_ops = {NULL, NULL, NULL};
    size_t len = id ? strlen(id) + 1 : 0;
    struct flo_effect *effect = flo_heap_calloc(run->heap, sizeof *effect + len);
    if (!effect)
        return FLO_ENOMEM;
    flo_future_init(&effect->future, run, NULL, &no_ops);
    effect->future.ready = true;
    effect->machine = (struct flo_machine){states, ISSUED};
    effect->number = number;
    effect->id = id ? memcpy(effect->text, id, len) : NULL;
    struct flo_command *command = flo_command_issue(run, &ops, &effect->future);
    int rc = command ? 0 : FLO_ENOMEM;
    if (command && command->message)
        rc = fill(run, effect, value, command->message);
    flo_future_unref(&effect->future); /* now the command's */
    return rc;
}

/* ---- what code calls ---- */

/* The value that history has for this one, a reference of the caller's; NULL: none. */
static json_t *take(struct flo_run *run, uint64_t number, const char *id)
{
    char *key = key_of(run, number, id);
    json_t *value = key ? flo_map_remove_str(&run->entities->effects, key) : NULL;
    flo_heap_free(key);
    return value;
}

static json_t *call(struct flo_run *run, flo_side_effect_fn fn, void *ctx)
{
    const struct flo_read_only guard = {.what = "a side effect", .name = ""};
    const struct flo_read_only *outer = run->read_only;
    run->read_only = &guard;
    json_t *value = fn(ctx);
    run->read_only = outer;
    return value ? value : json_null();
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* History has no value for what the code asks: it does not match, and the comparison with history
 * will say so. Until then the code must not go on. */
static int put_aside(struct flo_workflow *wf)
{
    static const struct flo_wait wait = {never, NULL};
    int rc;
    do
        rc = flo_workflow_wait(wf, &wait, NULL);
    while (rc == 0);
    return rc;
}

static int refuse(struct flo_workflow *wf, const char *id, flo_side_effect_fn fn)
{
    struct flo_err why = {0};
    int rc = flo_may_issue(wf->run, &why);
    if (rc == 0 && !fn)
        rc = flo_fail(&why, FLO_EINVAL, "a side effect needs a function");
    if (rc == 0 && (!id || !*id || !flo_is_text(id)))
        rc = flo_fail(&why, FLO_EINVAL, "a mutable side effect needs an id in UTF-8");
    return rc ? flo_workflow_refuse_err(wf, &why) : 0;
}

int flo_side_effect(struct flo_workflow *wf, flo_side_effect_fn fn, void *ctx, json_t **out_value)
{
    struct flo_run *run = wf->run;
    int rc = refuse(wf, "-", fn);
    if (rc)
        return rc;
    struct flo_entities *e = flo_entities_of(run);
    if (!e)
        return FLO_ENOMEM;
    uint64_t number = ++e->effect_count;
    json_t *value = run->replaying ? take(run, number, NULL) : call(run, fn, ctx);
    if (issue(run, number, NULL, value)) {
        json_decref(value);
        return flo_run_no_memory(run);
    }
    if (!value)
        return put_aside(wf);
    if (out_value)
        *out_value = value;
    else
        json_decref(value);
    return 0;
}

static struct flo_mutable *mutable_of(struct flo_run *run, const char *id)
{
    struct flo_entities *e = flo_entities_of(run);
    struct flo_mutable *found = e ? flo_map_get_str(&e->mutables, id) : NULL;
    if (!e || found)
        return found;
    found = flo_heap_calloc(run->heap, sizeof *found);
    return found && flo_map_put_str(&e->mutables, id, found) == 0 ? found : NULL;
}

/* A value to be recorded, a reference of the caller's; NULL: the last one stands. */
static json_t *changed(struct flo_run *run, const struct flo_mutable *m, json_t *current,
                       bool (*equal)(const json_t *last, const json_t *current))
{
    bool same = false;
    if (m->last) {
        const struct flo_read_only guard = {.what = "a comparison", .name = ""};
        const struct flo_read_only *outer = run->read_only;
        run->read_only = &guard;
        same = equal ? equal(m->last, current) : json_equal(m->last, current);
        run->read_only = outer;
    }
    if (!same)
        return current;
    json_decref(current);
    return NULL;
}

int flo_mutable_side_effect(struct flo_workflow *wf, const char *id, flo_side_effect_fn fn,
                            void *ctx, bool (*equal)(const json_t *last, const json_t *current),
                            json_t **out_value)
{
    struct flo_run *run = wf->run;
    int rc = refuse(wf, id, fn);
    if (rc)
        return rc;
    struct flo_mutable *m = mutable_of(run, id);
    if (!m)
        return flo_run_no_memory(run);
    uint64_t number = m->calls++;
    json_t *value =
        run->replaying ? take(run, number, id) : changed(run, m, call(run, fn, ctx), equal);
    if (value || !m->last)
        rc = issue(run, number, id, value);
    if (rc) {
        json_decref(value);
        return flo_run_no_memory(run);
    }
    if (!value && !m->last)
        return put_aside(wf);
    if (value) {
        json_decref(m->last);
        m->last = json_deep_copy(value); /* code may go on to change what it returned */
        json_decref(value);
    }
    if (!m->last)
        return flo_run_no_memory(run);
    json_t *copy = out_value ? json_deep_copy(m->last) : NULL;
    if (out_value && !copy)
        return flo_run_no_memory(run);
    if (out_value)
        *out_value = copy;
    return 0;
}
