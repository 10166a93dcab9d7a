/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.c - the life of a patch: one of an execution's ways through changed code.
 *
 *   UNKNOWN --(marker ahead, or in history)--> SEEN --(code asks)--> TAKEN
 *      |  |
 *      |  `--(code asks, live: it records a marker)--> TAKEN
 *      `-----(code asks, replaying: it passed here before the patch was in the code)--> NOT_TAKEN
 *
 * What code is told must be known before its command is compared with history, so the markers
 * behind a task are looked for before its code runs. They have the form of the official SDKs that
 * are built on Core, and behave as theirs:
 *
 *   in history             code has                  outcome
 *   not replaying          patched, or deprecate     a marker is recorded; true
 *   a marker               patched, or deprecate     true
 *   a marker               neither                   code does not match its history
 *   a deprecated marker    any, or neither           true; the marker is passed over
 *   replaying, no marker   patched, or deprecate     false
 *
 * A new marker is followed by an upsert of the search attribute TemporalChangeVersion, all ids of
 * the execution, unless that would be longer than the server takes (2 KiB). Whether one follows a
 * recorded marker is read off history, as executions exist whose worker did not do that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/fill.h"

#define MARKER_NAME "core_patch"
#define DATA "patch-data"
#define VERSION "TemporalChangeVersion"
#define VERSION_BYTES 2048

enum state { UNKNOWN, SEEN, TAKEN, NOT_TAKEN };

static const struct flo_machine_state states[] = {
    [UNKNOWN] = {"unknown", FLO_STATE_BIT(SEEN) | FLO_STATE_BIT(TAKEN) | FLO_STATE_BIT(NOT_TAKEN)},
    [SEEN] = {"seen", FLO_STATE_BIT(TAKEN)},
    [TAKEN] = {"taken", 0},
    [NOT_TAKEN] = {"not taken", 0},
};

struct flo_patch {
    struct flo_future future; /* first; never awaited: commands hold on to the patch by it */
    struct flo_machine machine;
    int64_t ahead_id; /* the last marker that was seen */
    bool upserted;    /* an upsert follows that one */
    char id[];
};

static struct flo_patch *patch_of(const struct flo_future *future)
{
    return flo_container(future, struct flo_patch, future);
}

/* ---- markers ---- */

/* The older form: two details of their own. */
static int decode_old(const FloApi__HistoryEvent *event, json_t **out_data)
{
    json_t *id = NULL, *deprecated = NULL;
    int rc = flo_marker_detail(event, "patch_id", &id, NULL);
    if (rc)
        return rc;
    rc = flo_marker_detail(event, "deprecated", &deprecated, NULL);
    if (rc == FLO_ENOMEM) {
        json_decref(id);
        return rc;
    }
    *out_data = json_pack("{s:o, s:b}", "id", id, "deprecated", json_is_true(deprecated));
    json_decref(deprecated);
    return *out_data ? 0 : FLO_ENOMEM;
}

int flo_patch_decode(const FloApi__HistoryEvent *event, const char **out_id, bool *out_deprecated,
                     json_t **out_data, struct flo_err *err)
{
    const FloApi__MarkerRecordedEventAttributes *a = event->marker_recorded_event_attributes;
    if (event->event_type != FLO_EVENT(MARKER_RECORDED) || strcmp(a->marker_name, MARKER_NAME) != 0)
        return FLO_ENOENT;
    json_t *data = NULL;
    int rc = flo_marker_detail(event, DATA, &data, err);
    if (rc == FLO_ENOENT)
        rc = decode_old(event, &data);
    if (rc)
        return rc;
    const char *id = json_string_value(json_object_get(data, "id"));
    if (!id) {
        json_decref(data);
        return FLO_ENOENT;
    }
    *out_id = id;
    *out_deprecated = json_is_true(json_object_get(data, "deprecated"));
    *out_data = data;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *flo_patch_ids(struct flo_run *run)
{
    const struct flo_map *patches = &run->entities->patches;
    size_t count = 0;
    const char **ids = flo_heap_alloc(run->heap, (patches->count + 1) * sizeof *ids);
    json_t *list = ids ? json_array() : NULL;
    if (!list) {
        flo_heap_free(ids);
        return NULL;
    }
    for (struct flo_map_entry *it = flo_map_first(patches); it; it = flo_map_next(it)) {
        const struct flo_patch *patch = flo_map_value(it);
        if (patch->machine.state == SEEN || patch->machine.state == TAKEN)
            ids[count++] = patch->id;
    }
    qsort(ids, count, sizeof *ids, compare);
    for (size_t i = 0; i < count && list; i++) {
        if (json_array_append_new(list, json_string(ids[i]))) {
            json_decref(list);
            list = NULL;
        }
    }
    flo_heap_free(ids);
    return list;
}

/* ---- commands ---- */

static int recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    const char *id;
    bool deprecated;
    json_t *data;
    int rc = flo_patch_decode(event, &id, &deprecated, &data, NULL);
    if (rc)
        return rc == FLO_ENOMEM ? rc : FLO_ENONDET;
    bool same = strcmp(id, patch_of(command->future)->id) == 0;
    json_decref(data);
    return same ? 0 : FLO_ENONDET;
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    snprintf(out_text, size, "patch %.100s", patch_of(command->future)->id);
}

static bool has_version(const FloApi__HistoryEvent *event)
{
    const FloApi__SearchAttributes *attributes =
        event->upsert_workflow_search_attributes_event_attributes->search_attributes;
    for (size_t i = 0; attributes && i < attributes->n_indexed_fields; i++) {
        if (strcmp(attributes->indexed_fields[i]->key, VERSION) == 0)
            return true;
    }
    return false;
}

static int version_recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    (void)command;
    return has_version(event) ? 0 : FLO_ENONDET;
}

static void version_describe(const struct flo_command *command, char *out_text, size_t size)
{
    snprintf(out_text, size, VERSION ", for patch %.100s", patch_of(command->future)->id);
}

static const struct flo_command_ops marker_ops = {FLO_COMMAND(RECORD_MARKER), recorded, describe};
static const struct flo_command_ops version_ops = {FLO_COMMAND(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES),
                                                   version_recorded, version_describe};

static int issue_marker(struct flo_run *run, struct flo_patch *patch, bool deprecated)
{
    struct flo_command *command = flo_command_issue(run, &marker_ops, &patch->future);
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    json_t *data = json_pack("{s:s, s:b}", "id", patch->id, "deprecated", (int)deprecated);
    const struct flo_marker_detail detail = {DATA, data};
    int rc = data ? flo_marker_command(run, command->message, MARKER_NAME, &detail, 1) : FLO_ENOMEM;
    json_decref(data);
    return rc;
}

/* The payload of VERSION, or NULL: it would be too long, or *no_memory. */
static FloApi__Payload *version_payload(struct flo_run *run, bool *no_memory)
{
    static char key[] = "type";
    static uint8_t kind[] = "KeywordList";
    json_t *ids = flo_patch_ids(run);
    FloApi__Payload *payload = ids ? flo_payload_from_json(run->answer, ids) : NULL;
    json_decref(ids);
    if (payload && payload->data.len >= VERSION_BYTES)
        return NULL;
    FloApi__Payload__MetadataEntry **entries = flo_arena_calloc(run->answer, 2, sizeof *entries);
    FloApi__Payload__MetadataEntry *type = flo_arena_alloc(run->answer, sizeof *type);
    if (!payload || !entries || !type) {
        *no_memory = true;
        return NULL;
    }
    flo_api__payload__metadata_entry__init(type);
    type->key = key;
    type->value = (ProtobufCBinaryData){sizeof kind - 1, kind};
    entries[0] = payload->metadata[0];
    entries[1] = type;
    payload->metadata = entries;
    payload->n_metadata = 2;
    return payload;
}

static int fill_version(struct flo_run *run, FloApi__Payload *value, FloApi__Command *message)
{
    static char name[] = VERSION;
    FloApi__UpsertWorkflowSearchAttributesCommandAttributes *a =
        flo_arena_alloc(run->answer, sizeof *a);
    FloApi__SearchAttributes *map = flo_arena_alloc(run->answer, sizeof *map);
    FloApi__SearchAttributes__IndexedFieldsEntry *entry =
        flo_arena_alloc(run->answer, sizeof *entry);
    FloApi__SearchAttributes__IndexedFieldsEntry **entries =
        flo_arena_alloc(run->answer, sizeof(void *));
    if (!a || !map || !entry || !entries)
        return FLO_ENOMEM;
    flo_api__upsert_workflow_search_attributes_command_attributes__init(a);
    flo_api__search_attributes__init(map);
    flo_api__search_attributes__indexed_fields_entry__init(entry);
    entry->key = name;
    entry->value = value;
    entries[0] = entry;
    map->indexed_fields = entries;
    map->n_indexed_fields = 1;
    a->search_attributes = map;
    message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES_COMMAND_ATTRIBUTES;
    message->upsert_workflow_search_attributes_command_attributes = a;
    return 0;
}

/* Behind a new marker, or as history has it. */
static int issue_version(struct flo_run *run, struct flo_patch *patch)
{
    bool no_memory = false;
    FloApi__Payload *value = NULL;
    if (run->replaying)
        return patch->upserted && !flo_command_issue(run, &version_ops, &patch->future) ? FLO_ENOMEM
                                                                                        : 0;
    run->entities->flag_patch = true;
    value = version_payload(run, &no_memory);
    if (!value)
        return no_memory ? FLO_ENOMEM : 0;
    struct flo_command *command = flo_command_issue(run, &version_ops, &patch->future);
    return command ? fill_version(run, value, command->message) : FLO_ENOMEM;
}

/* ---- what code calls ---- */

static struct flo_patch *patch_get(struct flo_run *run, const char *id)
{
    struct flo_entities *e = flo_entities_of(run);
    struct flo_patch *patch = e ? flo_map_get_str(&e->patches, id) : NULL;
    if (!e || patch)
        return patch;
    size_t len = strlen(id) + 1;
    patch = flo_heap_calloc(run->heap, sizeof *patch + len);
    if (!patch)
        return NULL;
    static const struct flo_future_ops no_ops = {NULL, NULL, NULL};
    flo_future_init(&patch->future, run, NULL, &no_ops);
    patch->future.ready = true;
    patch->machine = (struct flo_machine){states, UNKNOWN};
    memcpy(patch->id, id, len);
    return flo_map_put_str(&e->patches, id, patch) ? NULL : patch;
}

/* Code asks for the first time, while the answer may be recorded. */
static int decide(struct flo_run *run, struct flo_patch *patch, bool deprecated)
{
    bool seen = patch->machine.state == SEEN;
    /* A marker that was passed over before is not there to be matched again. */
    bool marks = run->replaying ? seen && patch->ahead_id > run->processed_id : true;
    int rc = flo_machine_move(&patch->machine, seen || !run->replaying ? TAKEN : NOT_TAKEN);
    if (rc == 0 && marks)
        rc = issue_marker(run, patch, deprecated);
    if (rc == 0 && marks)
        rc = issue_version(run, patch);
    return rc;
}

static bool ask(struct flo_workflow *wf, const char *id, bool deprecated)
{
    struct flo_run *run = wf->run;
    if (!id || !flo_is_text(id))
        id = "";
    if (run->read_only) { /* what only looks decides nothing */
        const struct flo_patch *known =
            run->entities ? flo_map_get_str(&run->entities->patches, id) : NULL;
        return known && (known->machine.state == SEEN || known->machine.state == TAKEN);
    }
    struct flo_patch *patch = patch_get(run, id);
    if (!patch) {
        flo_run_no_memory(run);
        return false;
    }
    unsigned state = patch->machine.state;
    if ((state == UNKNOWN || state == SEEN) && decide(run, patch, deprecated))
        flo_run_no_memory(run);
    return patch->machine.state == TAKEN;
}

bool flo_patched(struct flo_workflow *wf, const char *id)
{
    return ask(wf, id, false);
}

void flo_patch_deprecate(struct flo_workflow *wf, const char *id)
{
    ask(wf, id, true);
}

/* ---- history ---- */

/* event, a marker at index i, tells of a patch that code may ask for. */
static int foresee(struct flo_run *run, FloApi__HistoryEvent *const *events, size_t i, size_t count,
                   struct flo_err *err)
{
    const char *id;
    bool deprecated;
    json_t *data;
    int rc = flo_patch_decode(events[i], &id, &deprecated, &data, err);
    if (rc)
        return rc == FLO_ENOENT ? 0 : rc;
    struct flo_patch *patch = patch_get(run, id);
    json_decref(data);
    if (!patch)
        return FLO_ENOMEM;
    patch->ahead_id = events[i]->event_id;
    patch->upserted = i + 1 < count &&
                      events[i + 1]->event_type == FLO_EVENT(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES) &&
                      has_version(events[i + 1]);
    if (patch->machine.state != UNKNOWN)
        return 0;
    if (run->env.observer)
        flo_observe_job(run, "notify_has_patch", events[i]);
    return flo_machine_move(&patch->machine, SEEN);
}

int flo_evolution_foresee(struct flo_run *run, FloApi__HistoryEvent *const *events, size_t count,
                          struct flo_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (flo_event_kind(events[i]->event_type)->class != FLO_EVENT_COMMAND)
            break;
        if (events[i]->event_type != FLO_EVENT(MARKER_RECORDED))
            continue;
        rc = foresee(run, events, i, count, err);
        if (rc == 0)
            rc = flo_side_effect_foresee(run, events[i], err);
    }
    return rc;
}

int flo_patch_skips(struct flo_run *run, const FloApi__HistoryEvent *event,
                    const struct flo_command *first, bool *out_skip)
{
    const char *id;
    bool deprecated;
    json_t *data;
    *out_skip = false;
    if (run->entities && run->entities->skip_version_upsert) {
        run->entities->skip_version_upsert = false;
        *out_skip =
            event->event_type == FLO_EVENT(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES) && has_version(event);
        return 0;
    }
    if (event->event_type != FLO_EVENT(MARKER_RECORDED))
        return 0;
    int rc = flo_patch_decode(event, &id, &deprecated, &data, NULL);
    if (rc)
        return rc == FLO_ENOENT ? 0 : rc;
    bool mine = first && first->ops == &marker_ops && strcmp(patch_of(first->future)->id, id) == 0;
    json_decref(data);
    if (mine || !deprecated)
        return 0;
    struct flo_entities *e = flo_entities_of(run);
    if (!e)
        return FLO_ENOMEM;
    *out_skip = e->skip_version_upsert = true;
    return 0;
}

bool flo_evolution_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size)
{
    const char *id;
    bool deprecated;
    json_t *data;
    if (flo_patch_decode(event, &id, &deprecated, &data, NULL))
        return flo_side_effect_describe(event, out_text, size);
    snprintf(out_text, size, " (patch %.100s%s)", id, deprecated ? ", deprecated" : "");
    json_decref(data);
    return true;
}
