/* SPDX-License-Identifier: Apache-2.0 */
/* parked.c - what is known, and seeing what others park and lift; see parked.h. */
#include "worker/parked.h"

#include <event2/event.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "quarantine/record.h"
#include "worker/quarantine.h"
#include "worker/worker.h"

/* ---- what is known ---- */

static void set_gauge(struct flo_poison *poison)
{
    flo_series_set(flo_metrics_get(poison->worker->metrics, FLO_METRIC_QUARANTINE_INPUTS, NULL),
                   (double)poison->parked);
}

static struct flo_parked_type *type_of(struct flo_poison *poison, const char *name)
{
    struct flo_parked_type *type = flo_map_get_str(&poison->types, name);
    size_t len = strlen(name);

    if (type)
        return type;
    type = flo_calloc(1, sizeof *type + len + 1);
    if (type)
        memcpy(type->name, name, len);
    if (type && flo_map_put_str(&poison->types, name, type)) {
        flo_free(type);
        type = NULL;
    }
    return type;
}

void flo_parked_forget(struct flo_poison *poison, const char *id)
{
    struct flo_parked_input *known = flo_map_remove_str(&poison->inputs, id);

    if (!known)
        return;
    known->type->parked -= known->parked;
    poison->parked -= known->parked;
    json_decref(known->record);
    flo_free(known);
    set_gauge(poison);
}

/* In memory only: the oldest that counts makes room. */
static bool have_room(struct flo_poison *poison)
{
    const int64_t max = poison->worker->config->quarantine.max_inputs;

    if (poison->inputs.count < (size_t)max)
        return true;
    for (struct flo_map_entry *it = flo_map_first(&poison->inputs); it; it = flo_map_next(it)) {
        const struct flo_parked_input *known = flo_map_value(it);
        if (!known->parked) {
            flo_parked_forget(poison, flo_map_key(it, NULL));
            return true;
        }
    }
    return false;
}

/* record: NULL when it stands in a file. */
void flo_parked_know(struct flo_poison *poison, const char *id, const char *type_name, bool parked,
                     json_t *record)
{
    struct flo_parked_input *known = flo_map_get_str(&poison->inputs, id);
    struct flo_parked_type *type = known ? known->type : type_of(poison, type_name);

    if (!type || (!known && !have_room(poison)))
        return;
    if (!known) {
        known = flo_calloc(1, sizeof *known);
        if (!known || flo_map_put_str(&poison->inputs, id, known)) {
            flo_free(known);
            return;
        }
        known->type = type;
    }
    known->type->parked += (size_t)parked - (size_t)known->parked;
    poison->parked += (size_t)parked - (size_t)known->parked;
    known->parked = parked;
    known->seen = poison->scan;
    json_incref(record);
    json_decref(known->record);
    known->record = record;
    set_gauge(poison);
}

/* What a file says now; NULL: there is none, or none that can be read. */
void flo_parked_learn(struct flo_poison *poison, const char *id, const json_t *record)
{
    struct flo_quarantine_view view;
    const struct flo_parked_input *known = flo_map_get_str(&poison->inputs, id);

    if (record && flo_quarantine_view(record, id, &view, NULL) == 0 && view.parked)
        flo_parked_know(poison, id, view.activity_type, true, NULL);
    else if (known && !known->record)
        flo_parked_forget(poison, id);
}
/* ---- the folder ---- */

static bool learn_file(void *ctx, const char *id, const json_t *record, const struct flo_err *err)
{
    if (!record)
        flo_log(FLO_LOG_WARN, "quarantine.damaged", err->message, "quarantine_id", id, NULL);
    flo_parked_learn(ctx, id, record);
    return true;
}

/* Forget what the last scan did not see, unless it stands in memory. */
static void sweep(struct flo_poison *poison)
{
    struct flo_map_entry *it = flo_map_first(&poison->inputs), *next;

    for (; it; it = next) {
        const struct flo_parked_input *known = flo_map_value(it);
        next = flo_map_next(it);
        if (!known->record && known->seen != poison->scan)
            flo_parked_forget(poison, flo_map_key(it, NULL));
    }
}

static void scan(struct flo_poison *poison)
{
    struct flo_err err = {0};

    poison->scan++;
    poison->changed_ns = flo_quarantine_store_changed_ns(poison->store); /* before what it says */
    if (flo_quarantine_store_walk(poison->store, learn_file, poison, &err))
        flo_log(FLO_LOG_WARN, "quarantine.unreadable", err.message, NULL);
    else
        sweep(poison);
}

void flo_parked_close(struct flo_poison *poison)
{
    if (poison->watch)
        event_free(poison->watch);
    poison->watch = NULL;
    if (poison->inotify >= 0)
        close(poison->inotify);
    poison->inotify = -1;
    flo_quarantine_store_close(&poison->store);
}

static void on_change(evutil_socket_t fd, short what, void *ctx);

/* Without a watch, flo_poison_look() sees changes, later. */
static void watch_folder(struct flo_poison *poison)
{
    poison->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (poison->inotify < 0 ||
        inotify_add_watch(poison->inotify, poison->path,
                          IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |
                              IN_ONLYDIR) < 0)
        return;
    poison->watch =
        event_new(poison->worker->base, poison->inotify, EV_READ | EV_PERSIST, on_change, poison);
    if (poison->watch)
        event_add(poison->watch, NULL);
}

bool flo_parked_open(struct flo_poison *poison, bool create, struct flo_err *err)
{
    if (!poison->path) {
        flo_fail(err, FLO_ENOENT,
                 "there is no folder for the quarantine: neither quarantine.directory nor "
                 "FLOTILLA_STATE_DIR, XDG_STATE_HOME or HOME is set");
        return false;
    }
    if (flo_quarantine_store_open(poison->path, create, &poison->store, err))
        return false;
    watch_folder(poison); /* first: what changes while it is read is read again */
    scan(poison);
    return true;
}

static void on_event(struct flo_poison *poison, const struct inotify_event *event, bool *gone)
{
    char id[FLO_QUARANTINE_ID_LEN + 1];
    json_t *record = NULL;

    if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
        *gone = true;
    } else if (event->mask & IN_Q_OVERFLOW) {
        scan(poison);
    } else if (event->len && flo_quarantine_store_file_id(event->name, id)) {
        (void)!flo_quarantine_store_read(poison->store, id, &record, NULL);
        flo_parked_learn(poison, id, record);
        json_decref(record);
    }
}

static void on_change(evutil_socket_t fd, short what, void *ctx)
{
    _Alignas(struct inotify_event) char events[4096];
    struct flo_poison *poison = ctx;
    bool gone = false;
    ssize_t len;

    (void)what;
    poison->changed_ns = flo_quarantine_store_changed_ns(poison->store);
    while ((len = read(fd, events, sizeof events)) > 0) {
        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *event = (const void *)(events + at);
            at += (ssize_t)(sizeof *event + event->len);
            on_event(poison, event, &gone);
        }
    }
    if (gone) { /* somebody removed it: nothing is parked, and it is made again when needed */
        flo_parked_close(poison);
        poison->scan++;
        sweep(poison);
    }
}

void flo_poison_look(struct flo_worker *worker)
{
    struct flo_poison *poison = worker->poison;

    if (!poison)
        return;
    if (!poison->store)
        (void)flo_parked_open(poison, false, NULL); /* another one may have made it */
    else if (flo_quarantine_store_changed_ns(poison->store) != poison->changed_ns)
        scan(poison);
}

void flo_parked_fini(struct flo_poison *poison)
{
    for (struct flo_map_entry *it = flo_map_first(&poison->inputs); it; it = flo_map_next(it)) {
        struct flo_parked_input *known = flo_map_value(it);
        json_decref(known->record);
        flo_free(known);
    }
    for (struct flo_map_entry *it = flo_map_first(&poison->types); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&poison->inputs);
    flo_map_fini(&poison->types);
}
