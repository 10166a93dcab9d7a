/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - see place.h. */
#include "cli/place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/fleet_config.h"

#define DEFAULT_CONFIG "config/fleet.yaml"
#define DEFAULT_DIR ".flotilla"

int64_t cli_now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

void cli_pause_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * FLO_NS_PER_MS};
    nanosleep(&pause, NULL);
}

/* state_dir as the fleet's file says; false: there is none, or it does not load. */
static bool configured_dir(char *out, size_t size)
{
    const struct flo_cmdline cmdline = {.program = "flotilla", .config = DEFAULT_CONFIG};
    struct flo_fleet_config *config = NULL;
    struct flo_err err;
    if (access(DEFAULT_CONFIG, R_OK) || flo_fleet_config_load(&cmdline, &config, &err))
        return false;
    snprintf(out, size, "%s", config->state_dir);
    flo_fleet_config_destroy(&config);
    return true;
}

/* The process that holds the lock on the folder; 0: nobody does. */
static pid_t holder(const char *dir)
{
    char path[4112], text[32] = "";
    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    const bool held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    const bool named = read(fd, text, sizeof text - 1) > 0;
    close(fd);
    const long pid = held && named ? strtol(text, NULL, 10) : 0;
    return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

void cli_place_look(const char *dir, struct cli_place *out)
{
    *out = (struct cli_place){.pidfd = -1};
    snprintf(out->dir, sizeof out->dir, "%s", dir);
    snprintf(out->fleet, sizeof out->fleet, "%.4095s/fleet.json", dir);
    const pid_t pid = holder(dir);
    if (!pid)
        return;
    out->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (out->pidfd >= 0 && holder(dir) == pid) { /* still: so the descriptor is that process's */
        out->supervisor = pid;
        return;
    }
    cli_place_fini(out);
}

void cli_place_find(const struct cli_options *options, struct cli_place *out)
{
    const char *env = getenv("FLOTILLA_STATE_DIR");
    char dir[4096] = DEFAULT_DIR;
    if (options->state_dir)
        snprintf(dir, sizeof dir, "%s", options->state_dir);
    else if (env && *env)
        snprintf(dir, sizeof dir, "%s", env);
    else
        (void)configured_dir(dir, sizeof dir);
    cli_place_look(dir, out);
}

void cli_place_fini(struct cli_place *place)
{
    if (place->pidfd >= 0)
        close(place->pidfd);
    place->pidfd = -1;
}

int cli_place_nobody(const char *command, const struct cli_place *place)
{
    fprintf(stderr,
            "flotilla %s: no fleet runs in %s; 'flotilla up --detach' starts one, --state-dir "
            "names another folder\n",
            command, place->dir);
    return FLO_EXIT_UNAVAILABLE;
}

int cli_place_supervisor(const char *command, const struct cli_options *options,
                         struct cli_supervisor *out)
{
    struct cli_options copy = *options;
    struct cli_place place;
    struct flo_err err = {0};
    int exit_code = 0;
    cli_place_find(options, &place);
    copy.fleet = place.fleet;
    if (!place.supervisor)
        exit_code = cli_place_nobody(command, &place);
    else if (cli_supervisor_find(command, &copy, out, &err))
        exit_code = cli_supervisor_fail(out, &err);
    cli_place_fini(&place);
    return exit_code;
}
