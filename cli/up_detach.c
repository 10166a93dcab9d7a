/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up_detach.c - `flotilla up --detach`: the keeper of the supervisor (up.c) goes on in a session of
 * its own; the command waits until the fleet is ready, or has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/place.h"
#include "cli/up.h"
#include "config/fleet_config.h"
#include "config/process.h"

#define DEFAULT_CONFIG "config/fleet.yaml"
#define DEFAULT_TIMEOUT "1m"
#define LOOK_MS 50
#define LAST_WORDS 20 /* lines that are shown when it did not start */

struct detach {
    const char *supervisor; /* its program */
    char **arguments;       /* as after "up" */
    struct flo_fleet_config *config;
    char log_path[4200];
    int64_t timeout_ms;
    pid_t keeper;
};

/* ---- the keeper ---- */

/* The supervisor's command line: ours without --detach and --timeout. The lines of the processes
 * are in their own logs; printed, they would be in the supervisor's a second time. */
static char **supervisor_argv(const struct detach *self)
{
    static char local[] = "--local", set[] = "--set", quiet[] = "logs.print=false";
    size_t count = 0, n = 0;
    while (self->arguments[count])
        count++;
    char **argv = flo_calloc(count + 5, sizeof *argv);
    if (!argv)
        return NULL;
    argv[n++] = (char *)(uintptr_t)self->supervisor;
    argv[n++] = local;
    argv[n++] = set;
    argv[n++] = quiet;
    for (size_t i = 0; i < count; i++) {
        const char *word = self->arguments[i];
        if (strcmp(word, "--timeout") == 0)
            i++;
        else if (strcmp(word, "--detach") != 0 && strcmp(word, "-d") != 0 &&
                 strncmp(word, "--timeout=", 10) != 0)
            argv[n++] = self->arguments[i];
    }
    return argv;
}

/* In the new process: never returns. */
static void be_keeper(struct detach *self)
{
    struct flo_line_log *log = NULL;
    struct flo_err err = {0};
    char **argv = supervisor_argv(self);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    const int64_t size = self->config->logs.max_size;
    if (!argv || flo_line_log_open(self->log_path, size ? size : INT64_MAX, self->config->logs.keep,
                                   &log, &err))
        _exit(FLO_EXIT_SYSTEM);
    _exit(cli_up_keep(argv, log));
}

/* ---- waiting ---- */

static bool is_ready(const struct cli_supervisor *supervisor, json_t **out_fleet)
{
    struct flo_err err = {0};
    if (cli_supervisor_get(supervisor, "/v1/fleet", out_fleet, &err))
        return false;
    if (json_is_true(json_object_get(*out_fleet, "ready")))
        return true;
    return false;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void print_ready(const struct detach *self, const json_t *fleet)
{
    const json_t *supervisor = json_object_get(fleet, "supervisor");
    printf("the fleet is ready: %zu processes, state in %s\n",
           json_array_size(json_object_get(fleet, "processes")) + 1, self->config->state_dir);
    printf("  server     %s\n", text_of(fleet, "server"));
    printf("  dashboard  http://%s/\n", text_of(supervisor, "http"));
    printf("  metrics    http://%s/metrics\n", text_of(supervisor, "metrics"));
    printf("'flotilla ps' shows it, 'flotilla logs -f' what it says, 'flotilla down' ends it\n");
}

/* It has ended before it was ready. */
static int tell_end(const struct detach *self, int status)
{
    const struct cli_options last_words = {.state_dir = self->config->state_dir,
                                           .lines = LAST_WORDS};
    (void)cli_logs(&last_words);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(stderr, "flotilla up: the fleet has ended (exit code %d); 'flotilla logs' shows more\n",
            code);
    return code ? code : FLO_EXIT_REFUSED;
}

static int await_ready(const struct detach *self)
{
    const int64_t began = cli_now_ms();
    char reason[300] = "it has not said where it listens";
    for (int status = 0;;) {
        struct cli_supervisor supervisor;
        struct cli_place place;
        struct flo_err err = {0};
        json_t *fleet = NULL;
        cli_pause_ms(LOOK_MS);
        if (waitpid(self->keeper, &status, WNOHANG) == self->keeper)
            return tell_end(self, status);
        cli_place_look(self->config->state_dir, &place);
        const struct cli_options options = {.fleet = place.fleet};
        bool ready = place.supervisor && !cli_supervisor_find("up", &options, &supervisor, &err) &&
                     is_ready(&supervisor, &fleet);
        cli_place_fini(&place);
        if (ready)
            print_ready(self, fleet);
        else if (fleet)
            snprintf(reason, sizeof reason, "%s", text_of(fleet, "reason"));
        json_decref(fleet);
        if (ready)
            return 0;
        if (cli_now_ms() - began >= self->timeout_ms) {
            fprintf(stderr,
                    "flotilla up: the fleet runs, but is not ready: %s; 'flotilla ps' shows more, "
                    "'flotilla down' ends it\n",
                    reason);
            return FLO_EXIT_ABANDONED;
        }
    }
}

/* ---- the command ---- */

static int start(struct detach *self)
{
    char folder[4150];
    struct cli_place place;
    struct flo_err err = {0};
    cli_place_look(self->config->state_dir, &place);
    cli_place_fini(&place);
    if (place.supervisor) {
        fprintf(stderr,
                "flotilla up: a fleet runs in %s already (process %d); 'flotilla ps' shows it, "
                "'flotilla down' ends it\n",
                place.dir, (int)place.supervisor);
        return FLO_EXIT_CANNOT_OPEN;
    }
    snprintf(folder, sizeof folder, "%s/logs", self->config->state_dir);
    if (flo_file_make_folders(folder, &err)) {
        fprintf(stderr, "flotilla up: %s\n", err.message);
        return flo_exit_code(err.code);
    }
    snprintf(self->log_path, sizeof self->log_path, "%s/supervisor.log", folder);
    self->keeper = fork();
    if (self->keeper == 0)
        be_keeper(self);
    if (self->keeper < 0) {
        fprintf(stderr, "flotilla up: cannot start a process: %s\n", strerror(errno));
        return FLO_EXIT_SYSTEM;
    }
    return await_ready(self);
}

/* "90s", "2m"; -1: neither. */
static int64_t parse_timeout(const char *text)
{
    char *unit;
    const double n = strtod(text, &unit);
    const double ms = strcmp(unit, "ms") == 0  ? 1
                      : strcmp(unit, "s") == 0 ? 1e3
                      : strcmp(unit, "m") == 0 ? 6e4
                      : strcmp(unit, "h") == 0 ? 3.6e6
                                               : -1;
    return unit == text || ms < 0 || !(n >= 0) || n > 1e6 ? -1 : (int64_t)(n * ms);
}

int cli_up_detach(char **arguments, const char *supervisor)
{
    struct detach self = {.supervisor = supervisor, .arguments = arguments};
    const char *timeout = DEFAULT_TIMEOUT;
    bool detach = false;
    const struct flo_cmdline_option options[] = {
        {"--detach", NULL, "return when the fleet is ready", NULL, &detach},
        {"-d", NULL, "the same", NULL, &detach},
        {"--timeout", "TIME", "wait no longer than this", &timeout, NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    const struct flo_cmdline_spec spec = {.program = "flotilla up",
                                          .summary = "Starts a fleet on this machine.",
                                          .config_options = true,
                                          .options = options};
    struct flo_cmdline cmdline;
    struct flo_err err = {0};
    int exit_code = 0, argc = 0;
    while (arguments[argc])
        argc++;
    /* The word before the arguments stands for the program's name. */
    if (!flo_cmdline_parse(&spec, argc + 1, arguments - 1, &cmdline, &exit_code))
        return exit_code;
    if (!cmdline.config && access(DEFAULT_CONFIG, F_OK) == 0)
        cmdline.config = DEFAULT_CONFIG;
    self.timeout_ms = parse_timeout(timeout);
    if (self.timeout_ms < 0) {
        fprintf(stderr, "flotilla up: not a time like 30s, 5m or 1h: '%s'\n", timeout);
        return FLO_EXIT_USAGE;
    }
    if (flo_fleet_config_load(&cmdline, &self.config, &err)) {
        fprintf(stderr, "flotilla up: %s\n", err.message);
        return flo_exit_code(err.code);
    }
    if (!flo_config_main_end(&self.config->config, &cmdline, &exit_code))
        exit_code = start(&self);
    flo_fleet_config_destroy(&self.config);
    return exit_code;
}
