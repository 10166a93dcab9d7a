/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager_watch.c - restart_on_change: a change of fleet.yaml, of a worker's YAML file, program or
 * module has the same effect as SIGHUP, once the files have been quiet for a moment.
 *
 * Folders are watched, not files: a linker or an editor puts a new file in the old one's place. The
 * list is made anew whenever a process has become ready, as only then its modules are known.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/processes/manager_internal.h"

#define SETTLE_MS 500 /* after the last change: a build writes several files */
#define FILES_MAX 1024
#define FILE_EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO)

struct watched_file {
    int wd; /* of its folder */
    char *path;
    const char *name; /* in path */
};

struct flo_manager_watch {
    struct flo_manager *manager;
    int fd;
    struct event *readable, *settled;
    struct watched_file files[FILES_MAX];
    size_t count;
};

static void forget_files(struct flo_manager_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        flo_free(watch->files[i].path);
    watch->count = 0;
}

static void add_file(struct flo_manager_watch *watch, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (watch->count == FILES_MAX)
        return;
    for (size_t i = 0; i < watch->count; i++)
        if (strcmp(watch->files[i].path, path) == 0)
            return;
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        snprintf(folder, sizeof folder, ".");
    /* A folder that is watched already gives its descriptor again. */
    int wd = inotify_add_watch(watch->fd, folder, FILE_EVENTS | IN_ONLYDIR);
    char *copy = wd >= 0 ? flo_strdup(path) : NULL;
    if (!copy) {
        flo_log(FLO_LOG_WARN, "fleet.not_watched", "A file is not watched", "file", path, "reason",
                wd < 0 ? strerror(errno) : "out of memory", NULL);
        return;
    }
    slash = strrchr(copy, '/');
    watch->files[watch->count++] =
        (struct watched_file){.wd = wd, .path = copy, .name = slash ? slash + 1 : copy};
}

static void add_mapped(void *ctx, const char *path, bool same)
{
    (void)same;
    add_file(ctx, path);
}

static void add_program(struct flo_manager_watch *watch, const char *program)
{
    char path[PATH_MAX + 256];
    flo_manager_program_path(watch->manager, program, path, sizeof path);
    add_file(watch, path);
}

static void find_files(struct flo_manager_watch *watch)
{
    const struct flo_fleet_config *config = watch->manager->config;
    forget_files(watch);
    if (config->config.file)
        add_file(watch, config->config.file);
    if (config->engine.enabled)
        add_program(watch, config->engine.program);
    for (size_t i = 0; i < config->workers.count; i++) {
        const struct flo_fleet_worker *worker = flo_fleet_config_worker(config, i);
        add_program(watch, worker->program);
        if (*worker->config)
            add_file(watch, worker->config);
    }
    FLO_LIST_FOREACH(node, &watch->manager->processes)
    {
        const struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->child && !process->leaving)
            flo_process_each_mapped(flo_child_process_pid(process->child), add_mapped, watch);
    }
}

static bool is_ours(const struct flo_manager_watch *watch, const struct inotify_event *event)
{
    for (size_t i = 0; event->len && i < watch->count; i++)
        if (watch->files[i].wd == event->wd && strcmp(watch->files[i].name, event->name) == 0)
            return true;
    return false;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager_watch *watch = ctx;
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    ssize_t n;
    (void)what;
    while ((n = read(fd, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(buffer.bytes + at);
            if (is_ours(watch, event) || (event->mask & IN_Q_OVERFLOW))
                flo_manager_arm(watch->settled, SETTLE_MS);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

static void on_settled(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_manager_watch *watch = ctx;
    struct flo_err err = {0};
    (void)fd;
    (void)what;
    if (flo_manager_reload(watch->manager, &err))
        return; /* it has been told what is wrong */
}

void flo_manager_watch_update(struct flo_manager *manager)
{
    struct flo_manager_watch *watch = manager->watch;
    if (!manager->config->restart_on_change || manager->stopping) {
        flo_manager_watch_destroy(manager);
        return;
    }
    if (!watch) {
        watch = flo_calloc(1, sizeof *watch);
        if (!watch)
            return;
        manager->watch = watch;
        *watch = (struct flo_manager_watch){.manager = manager,
                                            .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
        watch->settled = event_new(manager->base, -1, 0, on_settled, watch);
        if (watch->fd >= 0)
            watch->readable =
                event_new(manager->base, watch->fd, EV_READ | EV_PERSIST, on_readable, watch);
        if (!watch->settled || !watch->readable || event_add(watch->readable, NULL)) {
            flo_log(FLO_LOG_ERROR, "fleet.not_watched", "Files are not watched", "reason",
                    watch->fd < 0 ? strerror(errno) : "out of memory", NULL);
            flo_manager_watch_destroy(manager);
            return;
        }
    }
    find_files(watch);
}

void flo_manager_watch_ready(struct flo_process *process)
{
    flo_manager_watch_update(process->manager);
    if (process->manager->watch && flo_process_changed(process)) /* before it was watched */
        flo_manager_arm(process->manager->watch->settled, SETTLE_MS);
}

void flo_manager_watch_destroy(struct flo_manager *manager)
{
    struct flo_manager_watch *watch = manager->watch;
    if (!watch)
        return;
    if (watch->readable)
        event_free(watch->readable);
    if (watch->settled)
        event_free(watch->settled);
    if (watch->fd >= 0)
        close(watch->fd);
    forget_files(watch);
    flo_free(watch);
    manager->watch = NULL;
}
