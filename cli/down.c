/* SPDX-License-Identifier: Apache-2.0 */
/*
 * down.c - `flotilla down`: ends the fleet of a state folder, in order (workers, then the engine),
 * and waits until all of its processes are gone.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/place.h"

#define PROCESSES_MAX 1024
#define TELL_MS 5000 /* how often what is awaited is said */

/* A process of the fleet, held so that its number cannot come to mean another one. */
struct held {
    char name[80];
    int pidfd;
};

struct down {
    struct held processes[PROCESSES_MAX];
    size_t count;
};

static void hold(struct down *down, const char *name, long pid)
{
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
    if (fd < 0 || down->count == PROCESSES_MAX) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct held *held = &down->processes[down->count++];
    snprintf(held->name, sizeof held->name, "%s", name ? name : "?");
    held->pidfd = fd;
}

/* Those that fleet.json names: it is the running supervisor's, so they are its children. */
static void hold_all(struct down *down, const struct cli_place *place)
{
    json_t *fleet = json_load_file(place->fleet, 0, NULL), *process;
    size_t i;
    if (json_integer_value(json_object_get(fleet, "pid")) == place->supervisor)
        json_array_foreach(json_object_get(fleet, "processes"), i, process)
            hold(down, json_string_value(json_object_get(process, "name")),
                 (long)json_integer_value(json_object_get(process, "pid")));
    json_decref(fleet);
    hold(down, "flotilla-supervisor", place->supervisor);
}

static bool ended(const struct held *held)
{
    struct pollfd end = {.fd = held->pidfd, .events = POLLIN};
    return poll(&end, 1, 0) > 0;
}

/* The number of those that run, their names in out. */
static size_t running(const struct down *down, char *out, size_t size)
{
    size_t count = 0, len = 0;
    *out = '\0';
    for (size_t i = 0; i < down->count; i++) {
        if (ended(&down->processes[i]))
            continue;
        count++;
        if (len < size)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "",
                                    down->processes[i].name);
    }
    return count;
}

/* Until all ended, or the time is over: how many are left. */
static size_t await_all(const struct down *down, int64_t timeout_ms)
{
    const int64_t began = cli_now_ms();
    int64_t told = began;
    char names[512];
    size_t left;
    while ((left = running(down, names, sizeof names)) > 0) {
        const int64_t now = cli_now_ms();
        if (timeout_ms >= 0 && now - began >= timeout_ms)
            break;
        if (now - told >= TELL_MS) {
            fprintf(stderr, "flotilla down: still at work: %s\n", names);
            told = now;
        }
        for (size_t i = 0; i < down->count; i++) {
            struct pollfd end = {.fd = down->processes[i].pidfd, .events = POLLIN};
            if (poll(&end, 1, 0) == 0) { /* the first that runs is waited for */
                (void)poll(&end, 1, 200);
                break;
            }
        }
    }
    if (left)
        fprintf(stderr, "flotilla down: not ended in time: %s; --now ends them at once\n", names);
    return left;
}

static int tell_supervisor(const struct cli_place *place)
{
    return (int)syscall(SYS_pidfd_send_signal, place->pidfd, SIGTERM, NULL, 0);
}

/* A second signal ends at once; it counts only when the first has been taken. */
static void insist(const struct cli_place *place)
{
    const struct held supervisor = {.pidfd = place->pidfd};
    for (int i = 0; i < 100 && !ended(&supervisor); i++) {
        cli_pause_ms(50);
        (void)tell_supervisor(place);
    }
}

int cli_down(const struct cli_options *options)
{
    struct cli_place place;
    struct down down = {.count = 0};
    int exit_code = 0;
    cli_place_find(options, &place);
    if (!place.supervisor) {
        printf("no fleet runs in %s\n", place.dir);
        return 0;
    }
    hold_all(&down, &place);
    if (tell_supervisor(&place)) {
        fprintf(stderr, "flotilla down: process %d: %s\n", (int)place.supervisor, strerror(errno));
        exit_code = errno == EPERM ? FLO_EXIT_NO_PERMISSION : FLO_EXIT_SYSTEM;
    } else {
        if (options->now)
            insist(&place);
        if (await_all(&down, options->timeout_ms))
            exit_code = FLO_EXIT_ABANDONED;
        else
            printf("the fleet in %s has ended: %zu processes\n", place.dir, down.count);
    }
    for (size_t i = 0; i < down.count; i++)
        close(down.processes[i].pidfd);
    cli_place_fini(&place);
    return exit_code;
}
