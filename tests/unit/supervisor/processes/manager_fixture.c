/* SPDX-License-Identifier: Apache-2.0 */
/* manager_fixture.c - see manager_fixture.h. */
#include "unit/supervisor/processes/manager_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
}

static void on_change(void *ctx)
{
    (void)ctx;
}

static void on_end(void *ctx, int exit_code)
{
    ((struct fixture *)ctx)->exit_code = exit_code;
}

static void on_event(void *ctx, const struct flo_manager_event *event)
{
    struct fixture *f = ctx;
    size_t len = strlen(f->events);
    snprintf(f->events + len, sizeof f->events - len, "%s %s\n", event->kind, event->name);
}

static bool report(void *ctx, pid_t pid, struct flo_process_report *out)
{
    const struct fixture *f = ctx;
    (void)pid;
    *out = (struct flo_process_report){.live = true, .ready = !f->unready, .reason = "not today"};
    return true;
}

static int load(void *ctx, struct flo_fleet_config **out, struct flo_err *err)
{
    const struct fixture *f = ctx;
    const struct flo_cmdline cmdline = {.program = "test", .config = f->yaml};
    return flo_fleet_config_load(&cmdline, out, err);
}

int manager_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct timeval often = {.tv_usec = 5000};
    snprintf(f->dir, sizeof f->dir, "/tmp/flo-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->yaml, sizeof f->yaml, "%s/fleet.yaml", f->dir);
    snprintf(f->log, sizeof f->log, "%s/log", f->dir);
    setenv("FAKE_LOG", f->log, 1);
    f->exit_code = -1;
    f->base = event_base_new();
    f->tick = event_new(f->base, -1, EV_PERSIST, on_tick, NULL);
    event_add(f->tick, &often);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int manager_teardown(void **state)
{
    struct fixture *f = *state;
    flo_manager_destroy(&f->manager);
    flo_fleet_config_destroy(&f->config);
    event_free(f->tick);
    event_base_free(f->base);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

void manager_write(struct fixture *f, const char *yaml)
{
    FILE *file = fopen(f->yaml, "w");
    fputs("restart: {min_backoff: 20ms, max_backoff: 100ms, stable_after: 10s}\n", file);
    fputs(yaml, file);
    fclose(file);
}

void manager_begin(struct fixture *f, const char *yaml)
{
    struct flo_err err = {0};
    manager_write(f, yaml);
    int rc = load(f, &f->config, &err);
    if (rc)
        fail_msg("%s", err.message);
    const struct flo_manager_options options = {.config = f->config,
                                                .engine_address = "",
                                                .again = f->again,
                                                .state_dir = f->dir,
                                                .endpoint = "ipc:///s",
                                                .report = report,
                                                .load = load,
                                                .on_change = on_change,
                                                .on_end = on_end,
                                                .on_event = on_event,
                                                .ctx = f};
    assert_int_equal(flo_manager_new(f->base, &options, &f->manager, &err), 0);
    flo_manager_start(f->manager);
}

enum flo_process_state manager_state(struct fixture *f, size_t i)
{
    struct flo_process_view view;
    flo_manager_view(f->manager, i, &view);
    return view.state;
}

bool manager_all_up(struct fixture *f)
{
    struct flo_process_view view;
    for (size_t i = 0; i < flo_manager_count(f->manager); i++) {
        flo_manager_view(f->manager, i, &view);
        if (!view.wanted || view.state != FLO_PROCESS_UP)
            return false;
    }
    return true;
}

const char *manager_notes(struct fixture *f)
{
    FILE *file = fopen(f->log, "r");
    size_t len = file ? fread(f->text, 1, sizeof f->text - 1, file) : 0;
    f->text[len] = '\0';
    if (file)
        fclose(file);
    return f->text;
}
