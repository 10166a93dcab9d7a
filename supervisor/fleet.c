/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - entries by boot id, in the order of their last news, bounded per role. */
#include "supervisor/fleet.h"

#include <string.h>

#include "base/alloc.h"
#include "telemetry/report.h"

const char *flo_frame_verdict_name(enum flo_frame_verdict verdict)
{
    static const char *const names[] = {
#define FLO_FRAME_NAME(id, name) name,
        FLO_FRAME_VERDICTS(FLO_FRAME_NAME)
#undef FLO_FRAME_NAME
    };
    return names[verdict];
}

const char *flo_fleet_role_name(enum flo_fleet_role role)
{
    static const char *const names[] = {"workflow", "io-activity", "cpu-activity", "engine"};
    return names[role];
}

void flo_fleet_init(struct flo_fleet *fleet, struct flo_metrics *metrics)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++)
        flo_list_init(&fleet->entries[i]);
    flo_map_init(&fleet->by_boot);
    fleet->metrics = metrics;
}

static struct flo_fleet_entry *entry_of(struct flo_node *node)
{
    return flo_container(node, struct flo_fleet_entry, node);
}

static void forget(struct flo_fleet *fleet, struct flo_fleet_entry *entry)
{
    flo_list_remove(&fleet->entries[entry->role], &entry->node);
    flo_map_remove_str(&fleet->by_boot, entry->boot);
    json_decref(entry->snapshot);
    flo_free(entry);
}

void flo_fleet_fini(struct flo_fleet *fleet)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++)
        FLO_LIST_FOREACH_SAFE(node, &fleet->entries[i])
    forget(fleet, entry_of(node));
    flo_map_fini(&fleet->by_boot);
}

static void count(struct flo_fleet *fleet, enum flo_metric metric, enum flo_fleet_role role,
                  double amount)
{
    flo_series_add(flo_metrics_get(fleet->metrics, metric, flo_fleet_role_name(role), NULL),
                   amount);
}

static struct flo_fleet_entry *add_entry(struct flo_fleet *fleet, enum flo_fleet_role role,
                                         const char *boot, int64_t now_ms)
{
    struct flo_list *list = &fleet->entries[role];
    if (list->count >= FLO_FLEET_PER_ROLE) {
        forget(fleet, entry_of(flo_list_first(list)));
        count(fleet, FLO_METRIC_FLEET_EVICTED, role, 1);
    }
    struct flo_fleet_entry *entry = flo_calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->role = role;
    entry->first_seen_ms = now_ms;
    memcpy(entry->boot, boot, strlen(boot) + 1); /* 36 bytes, checked */
    if (flo_map_put_str(&fleet->by_boot, boot, entry)) {
        flo_free(entry);
        return NULL;
    }
    flo_list_push_back(list, &entry->node);
    return entry;
}

bool flo_fleet_entry_live(const struct flo_fleet_entry *entry, int64_t now_ms)
{
    return !entry->stopped && now_ms - entry->last_seen_ms < FLO_FLEET_LOST_MS;
}

const char *flo_fleet_entry_state(const struct flo_fleet_entry *entry, int64_t now_ms)
{
    if (entry->stopped)
        return "stopped";
    if (!flo_fleet_entry_live(entry, now_ms))
        return "lost";
    return json_string_value(json_object_get(entry->snapshot, "state"));
}

/* Mark a new entry, and the live one that has the same identity, as duplicates. */
static bool find_duplicate(struct flo_fleet *fleet, struct flo_fleet_entry *entry, int64_t now_ms)
{
    const char *identity = json_string_value(json_object_get(entry->snapshot, "identity"));
    FLO_LIST_FOREACH(node, &fleet->entries[entry->role])
    {
        struct flo_fleet_entry *other = entry_of(node);
        if (other == entry || !flo_fleet_entry_live(other, now_ms) ||
            strcmp(json_string_value(json_object_get(other->snapshot, "identity")), identity) != 0)
            continue;
        other->duplicate = entry->duplicate = true;
        return true;
    }
    return false;
}

static void update(struct flo_fleet *fleet, struct flo_fleet_entry *entry, json_t *snapshot,
                   uint64_t seq, int64_t now_ms)
{
    double counters = flo_snapshot_counters(snapshot);
    if (entry->snapshot && seq > entry->seq + 1) {
        entry->gaps += seq - entry->seq - 1;
        count(fleet, FLO_METRIC_FLEET_SEQ_GAPS, entry->role, (double)(seq - entry->seq - 1));
    }
    if (entry->snapshot && counters < entry->counters)
        count(fleet, FLO_METRIC_FLEET_RESETS, entry->role, 1);
    json_decref(entry->snapshot);
    entry->snapshot = snapshot;
    entry->seq = seq;
    entry->counters = counters;
    entry->last_seen_ms = now_ms;
    entry->stopped = strcmp(json_string_value(json_object_get(snapshot, "state")), "stopped") == 0;
    struct flo_list *list = &fleet->entries[entry->role];
    flo_list_remove(list, &entry->node);
    flo_list_push_back(list, &entry->node);
    count(fleet, FLO_METRIC_FLEET_SNAPSHOTS, entry->role, 1);
}

static enum flo_frame_verdict take_snapshot(struct flo_fleet *fleet, json_t *snapshot,
                                            int64_t now_ms, struct flo_fleet_entry **out_entry,
                                            bool *out_new_duplicate)
{
    enum flo_fleet_role role;
    enum flo_frame_verdict verdict = flo_snapshot_check(snapshot, &role);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    const char *boot = json_string_value(json_object_get(snapshot, "boot"));
    uint64_t seq = (uint64_t)json_integer_value(json_object_get(snapshot, "seq"));
    struct flo_fleet_entry *entry = flo_map_get_str(&fleet->by_boot, boot);
    if (entry && (entry->role != role || seq <= entry->seq))
        return FLO_FRAME_OLD;
    bool is_new = !entry;
    if (is_new)
        entry = add_entry(fleet, role, boot, now_ms);
    if (!entry)
        return FLO_FRAME_MEMORY;
    update(fleet, entry, json_incref(snapshot), seq, now_ms);
    *out_new_duplicate = is_new && find_duplicate(fleet, entry, now_ms);
    *out_entry = entry;
    return FLO_FRAME_TAKEN;
}

enum flo_frame_verdict flo_fleet_take(struct flo_fleet *fleet, const void *frame, size_t len,
                                      int64_t now_ms, struct flo_fleet_entry **out_entry,
                                      bool *out_new_duplicate)
{
    struct flo_fleet_entry *entry = NULL;
    bool new_duplicate = false;
    enum flo_frame_verdict verdict = FLO_FRAME_SIZE;
    if (len > 0 && len <= FLO_REPORT_MAX_BYTES) {
        json_t *snapshot = json_loadb(frame, len, JSON_REJECT_DUPLICATES, NULL);
        verdict = FLO_FRAME_JSON;
        if (snapshot)
            verdict = take_snapshot(fleet, snapshot, now_ms, &entry, &new_duplicate);
        json_decref(snapshot);
    }
    if (verdict != FLO_FRAME_TAKEN)
        flo_series_inc(flo_metrics_get(fleet->metrics, FLO_METRIC_FLEET_BAD_FRAMES,
                                       flo_frame_verdict_name(verdict), NULL));
    if (out_entry)
        *out_entry = entry;
    if (out_new_duplicate)
        *out_new_duplicate = new_duplicate;
    return verdict;
}

void flo_fleet_expire(struct flo_fleet *fleet, int64_t now_ms)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH_SAFE(node, &fleet->entries[i])
        {
            struct flo_fleet_entry *entry = entry_of(node);
            if (now_ms - entry->last_seen_ms < FLO_FLEET_FORGET_MS)
                break; /* oldest news first */
            forget(fleet, entry);
        }
    }
}

struct flo_fleet_entry *flo_fleet_by_pid(struct flo_fleet *fleet, int64_t pid, int64_t now_ms)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            struct flo_fleet_entry *entry = entry_of(node);
            if (flo_fleet_entry_live(entry, now_ms) &&
                json_integer_value(json_object_get(entry->snapshot, "pid")) == pid)
                return entry;
        }
    }
    return NULL;
}
