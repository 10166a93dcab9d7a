/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - entries by boot id, in the order of their last news, bounded per role. */
#include "supervisor/fleet/fleet.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/fleet/fleet_frame.h"
#include "supervisor/fleet/fleet_store.h"

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

int flo_fleet_role_by_name(const char *name)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++)
        if (strcmp(name, flo_fleet_role_name((enum flo_fleet_role)i)) == 0)
            return i;
    return FLO_FLEET_ANY_ROLE;
}

void flo_fleet_init(struct flo_fleet *fleet, struct flo_metrics *metrics)
{
    *fleet = (struct flo_fleet){.metrics = metrics};
    for (int i = 0; i < FLO_FLEET_ROLES; i++)
        flo_list_init(&fleet->entries[i]);
    flo_map_init(&fleet->by_boot);
}

static void free_entry(struct flo_fleet *fleet, struct flo_fleet_entry *entry)
{
    flo_fleet_store_release(fleet, entry);
    flo_free(entry->texts);
    flo_free(entry);
}

void flo_fleet_forget(struct flo_fleet *fleet, struct flo_fleet_entry *entry)
{
    flo_list_remove(&fleet->entries[entry->role], &entry->node);
    flo_map_remove_str(&fleet->by_boot, entry->boot);
    free_entry(fleet, entry);
}

void flo_fleet_fini(struct flo_fleet *fleet)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++)
        FLO_LIST_FOREACH_SAFE(node, &fleet->entries[i])
    flo_fleet_forget(fleet, FLO_FLEET_ENTRY(node));
    flo_map_fini(&fleet->by_boot);
    flo_fleet_store_destroy(&fleet->store);
}

static void count(struct flo_fleet *fleet, enum flo_metric metric, enum flo_fleet_role role,
                  double amount)
{
    flo_series_add(flo_metrics_get(fleet->metrics, metric, flo_fleet_role_name(role), NULL),
                   amount);
}

void flo_fleet_count_bad(struct flo_fleet *fleet, enum flo_frame_verdict verdict)
{
    flo_series_inc(flo_metrics_get(fleet->metrics, FLO_METRIC_FLEET_BAD_FRAMES,
                                   flo_frame_verdict_name(verdict), NULL));
}

/* ---- states ---- */

static bool is_lost(const struct flo_fleet_entry *entry, int64_t now_ms)
{
    int64_t silent_ms = now_ms - entry->last_seen_ms;
    if (entry->ended_ms || silent_ms >= FLO_FLEET_LOST_MS)
        return true;
    return entry->closed_ms && now_ms - entry->closed_ms >= FLO_FLEET_CLOSED_MS;
}

bool flo_fleet_entry_live(const struct flo_fleet_entry *entry, int64_t now_ms)
{
    return entry->said != FLO_SAID_STOPPED && !is_lost(entry, now_ms);
}

const char *flo_fleet_entry_state(const struct flo_fleet_entry *entry, int64_t now_ms)
{
    static const char *const names[] = {"running", "quiet", "draining", "stopped"};
    if (entry->said != FLO_SAID_STOPPED && is_lost(entry, now_ms))
        return "lost";
    return names[entry->said];
}

void flo_fleet_entry_reason(const struct flo_fleet_entry *entry, int64_t now_ms, char *out,
                            size_t size)
{
    *out = '\0';
    if (entry->said == FLO_SAID_STOPPED)
        snprintf(out, size, "it said that it stops%s%s", *entry->ended ? ": " : "", entry->ended);
    else if (entry->ended_ms)
        snprintf(out, size, "it ended: %s", entry->ended);
    else if (!is_lost(entry, now_ms))
        snprintf(out, size, "%s",
                 entry->said == FLO_SAID_QUIET      ? "told to take no new tasks"
                 : entry->said == FLO_SAID_DRAINING ? "it is stopping"
                                                    : "");
    else if (entry->closed_ms)
        snprintf(out, size, "its connection closed without a word");
    else
        snprintf(out, size, "no report for %lld s",
                 (long long)((now_ms - entry->last_seen_ms) / 1000));
}

enum flo_frame_verdict flo_fleet_leave(struct flo_fleet *fleet, const char *boot,
                                       uint64_t connection)
{
    struct flo_fleet_entry *entry = flo_fleet_by_boot(fleet, boot);
    if (!entry || entry->connection != connection)
        return FLO_FRAME_PEER;
    entry->leaving = true;
    return FLO_FRAME_TAKEN;
}

void flo_fleet_closed(struct flo_fleet *fleet, struct flo_fleet_entry *entry, int64_t now_ms)
{
    (void)fleet;
    entry->closed_ms = now_ms > 0 ? now_ms : 1;
    entry->connection = 0;
}

void flo_fleet_process_ended(struct flo_fleet *fleet, int64_t pid, const char *how, int64_t now_ms)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (entry->pid != pid || entry->ended_ms || is_lost(entry, now_ms))
                continue;
            snprintf(entry->ended, sizeof entry->ended, "%s", how);
            entry->ended_ms = now_ms > 0 ? now_ms : 1;
        }
    }
}

struct flo_fleet_entry *flo_fleet_by_pid(struct flo_fleet *fleet, int64_t pid, int64_t now_ms)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH(node, &fleet->entries[i])
        {
            struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (entry->pid == pid && flo_fleet_entry_live(entry, now_ms))
                return entry;
        }
    }
    return NULL;
}

struct flo_fleet_entry *flo_fleet_by_boot(struct flo_fleet *fleet, const char *boot)
{
    return flo_map_get_str(&fleet->by_boot, boot);
}

/* ---- taking ---- */

static struct flo_fleet_entry *add_entry(struct flo_fleet *fleet, struct flo_fleet_entry *entry)
{
    struct flo_list *list = &fleet->entries[entry->role];
    if (list->count >= FLO_FLEET_PER_ROLE) {
        flo_fleet_forget(fleet, FLO_FLEET_ENTRY(flo_list_first(list)));
        count(fleet, FLO_METRIC_FLEET_EVICTED, entry->role, 1);
    }
    if (flo_map_put_str(&fleet->by_boot, entry->boot, entry))
        return NULL;
    flo_list_push_back(list, &entry->node);
    return entry;
}

/* Mark a new entry, and the live one that has the same identity, as duplicates. */
static bool find_duplicate(struct flo_fleet *fleet, struct flo_fleet_entry *entry, int64_t now_ms)
{
    FLO_LIST_FOREACH(node, &fleet->entries[entry->role])
    {
        struct flo_fleet_entry *other = FLO_FLEET_ENTRY(node);
        if (other == entry || !flo_fleet_entry_live(other, now_ms) ||
            strcmp(other->identity, entry->identity) != 0)
            continue;
        other->duplicate = entry->duplicate = true;
        return true;
    }
    return false;
}

static double sum_counters(const struct flo_fleet_entry *entry)
{
    double sum = 0;
    for (size_t i = 0; entry->shape && i < entry->shape->value_count; i++)
        sum += entry->shape->kinds[i] == 'c' ? entry->values[i] : 0;
    return sum;
}

/* What came since the last snapshot; all of it, when that is nothing that a counter can do. */
static double increase(uint64_t before, uint64_t now)
{
    return (double)(now >= before ? now - before : now);
}

/* May this connection speak for the entry? A run has one; a new one may follow when the old one is
 * closed, has said that it leaves, or has gone silent. */
static bool may_speak(const struct flo_fleet_entry *entry, uint64_t connection, int64_t now_ms)
{
    return !connection || !entry->connection || entry->connection == connection || entry->leaving ||
           now_ms - entry->last_seen_ms >= FLO_FLEET_CLOSED_MS;
}

/* A snapshot into the entry. What is refused changes nothing, so it goes into a copy first. */
static enum flo_frame_verdict update(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                                     const struct flo_frame *frame, uint64_t seq, bool is_new,
                                     int64_t now_ms)
{
    const uint64_t done = entry->done, failed = entry->failed;
    struct flo_fleet_entry news = *entry;
    enum flo_frame_verdict verdict = flo_fleet_frame_fill(frame, &news);
    if (verdict == FLO_FRAME_TAKEN && !frame->metrics)
        verdict = FLO_FRAME_METRICS;
    if (verdict == FLO_FRAME_TAKEN)
        verdict = flo_fleet_store_take(fleet, &news, frame->metrics, frame->metrics_len);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    verdict = flo_fleet_frame_fill_texts(frame, &news);
    *entry = news;
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    double counters = sum_counters(entry);
    if (!is_new) {
        fleet->totals[entry->role].done += increase(done, entry->done);
        fleet->totals[entry->role].failed += increase(failed, entry->failed);
        if (seq > entry->seq + 1) {
            entry->gaps += seq - entry->seq - 1;
            count(fleet, FLO_METRIC_FLEET_SEQ_GAPS, entry->role, (double)(seq - entry->seq - 1));
        }
        if (counters < entry->counters)
            count(fleet, FLO_METRIC_FLEET_RESETS, entry->role, 1);
    }
    entry->seq = seq;
    entry->counters = counters;
    entry->last_seen_ms = now_ms;
    entry->closed_ms = 0;
    entry->ended_ms = 0; /* another process had its number */
    entry->lost_told = false;
    return FLO_FRAME_TAKEN;
}

static enum flo_frame_verdict take_new(struct flo_fleet *fleet, const struct flo_frame *frame,
                                       enum flo_fleet_role role, uint64_t seq, int64_t now_ms,
                                       struct flo_fleet_entry **out)
{
    enum flo_frame_verdict verdict = FLO_FRAME_MEMORY;
    struct flo_fleet_entry *entry = flo_calloc(1, sizeof *entry);
    if (!entry)
        return verdict;
    entry->role = role;
    entry->first_seen_ms = now_ms;
    memcpy(entry->boot, frame->boot, strlen(frame->boot) + 1); /* 36 bytes, checked */
    verdict = update(fleet, entry, frame, seq, true, now_ms);
    if (verdict == FLO_FRAME_TAKEN && !add_entry(fleet, entry))
        verdict = FLO_FRAME_MEMORY;
    if (verdict == FLO_FRAME_TAKEN)
        *out = entry;
    else
        free_entry(fleet, entry);
    return verdict;
}

static enum flo_frame_verdict take_known(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                                         const struct flo_frame *frame, uint64_t seq,
                                         int64_t now_ms)
{
    enum flo_frame_verdict verdict = update(fleet, entry, frame, seq, false, now_ms);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    struct flo_list *list = &fleet->entries[entry->role];
    flo_list_remove(list, &entry->node);
    flo_list_push_back(list, &entry->node);
    return verdict;
}

enum flo_frame_verdict flo_fleet_take_snapshot(struct flo_fleet *fleet,
                                               const struct flo_frame *frame, uint64_t connection,
                                               int64_t now_ms, struct flo_fleet_entry **out_entry,
                                               bool *out_new_duplicate)
{
    enum flo_fleet_role role;
    uint64_t seq;
    enum flo_frame_verdict verdict = flo_fleet_frame_role(frame, &role, &seq);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    struct flo_fleet_entry *entry = flo_fleet_by_boot(fleet, frame->boot);
    bool is_new = !entry;
    if (entry && !may_speak(entry, connection, now_ms))
        return FLO_FRAME_PEER;
    if (entry && (entry->role != role || seq <= entry->seq || entry->said == FLO_SAID_STOPPED))
        return FLO_FRAME_OLD;
    verdict = is_new ? take_new(fleet, frame, role, seq, now_ms, &entry)
                     : take_known(fleet, entry, frame, seq, now_ms);
    if (verdict != FLO_FRAME_TAKEN)
        return verdict;
    entry->connection = connection;
    entry->leaving = false;
    count(fleet, FLO_METRIC_FLEET_SNAPSHOTS, role, 1);
    *out_new_duplicate = is_new && find_duplicate(fleet, entry, now_ms);
    *out_entry = entry;
    return FLO_FRAME_TAKEN;
}

enum flo_frame_verdict flo_fleet_take(struct flo_fleet *fleet, const void *data, size_t len,
                                      uint64_t connection, int64_t now_ms,
                                      struct flo_fleet_entry **out_entry, bool *out_new_duplicate)
{
    struct flo_fleet_entry *entry = NULL;
    bool new_duplicate = false;
    struct flo_frame frame;
    enum flo_frame_verdict verdict = flo_fleet_frame_read(data, len, &frame);
    if (verdict == FLO_FRAME_TAKEN && frame.type != FLO_FRAME_SNAPSHOT)
        verdict = FLO_FRAME_TYPE;
    if (verdict == FLO_FRAME_TAKEN)
        verdict =
            flo_fleet_take_snapshot(fleet, &frame, connection, now_ms, &entry, &new_duplicate);
    flo_fleet_frame_fini(&frame);
    if (verdict != FLO_FRAME_TAKEN)
        flo_fleet_count_bad(fleet, verdict);
    if (out_entry)
        *out_entry = entry;
    if (out_new_duplicate)
        *out_new_duplicate = new_duplicate;
    return verdict;
}

enum flo_frame_verdict flo_fleet_take_event(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                                            enum flo_fleet_role role, uint64_t seq)
{
    if (entry && seq <= entry->event_seq)
        return FLO_FRAME_OLD;
    if (entry && entry->event_seq && seq > entry->event_seq + 1) {
        entry->events_lost += seq - entry->event_seq - 1;
        count(fleet, FLO_METRIC_FLEET_EVENTS_LOST, role, (double)(seq - entry->event_seq - 1));
    }
    if (entry)
        entry->event_seq = seq;
    count(fleet, FLO_METRIC_FLEET_EVENTS, role, 1);
    return FLO_FRAME_TAKEN;
}

void flo_fleet_expire(struct flo_fleet *fleet, int64_t now_ms, flo_fleet_lost_fn lost, void *ctx)
{
    char reason[160];
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        FLO_LIST_FOREACH_SAFE(node, &fleet->entries[i])
        {
            struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (now_ms - entry->last_seen_ms >= FLO_FLEET_FORGET_MS) {
                flo_fleet_forget(fleet, entry);
                continue;
            }
            if (entry->lost_told || entry->said == FLO_SAID_STOPPED || !is_lost(entry, now_ms))
                continue;
            entry->lost_told = true;
            flo_fleet_entry_reason(entry, now_ms, reason, sizeof reason);
            if (lost)
                lost(ctx, entry, reason);
        }
    }
}
