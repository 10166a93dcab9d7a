/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager_command.c - what is run, and how a process is seen to run something older.
 *
 * At the start of a process the digest of its command line, its added environment, its YAML file
 * and the identity of its program file is kept; later it is compared with what a start would take
 * now. Modules are seen in the kernel's list of what the process has mapped: a file that has been
 * replaced is called deleted there, one that was written in place has a newer time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "supervisor/processes/manager_internal.h"

#define ARGS_MAX 256
#define LISTEN_ARG 2 /* of the engine: its address */

/* ---- what to run ---- */

struct command {
    struct flo_arena arena;
    char *args[ARGS_MAX + 1];
    size_t arg_count;
    char *env[72];
    size_t env_count;
    bool failed;
};

static void add_arg(struct command *command, char *arg)
{
    if (!arg || command->arg_count == ARGS_MAX)
        command->failed = true;
    else
        command->args[command->arg_count++] = arg;
}

static void add_set(struct command *command, const char *key, const char *value)
{
    add_arg(command, flo_arena_strdup(&command->arena, "--set"));
    add_arg(command, flo_arena_printf(&command->arena, "%s=%s", key, value));
}

static void add_env(struct command *command, const char *key, const char *value)
{
    char *text = flo_arena_printf(&command->arena, "%s=%s", key, value);
    if (!text || command->env_count + 1 == sizeof command->env / sizeof command->env[0])
        command->failed = true;
    else
        command->env[command->env_count++] = text;
}

/* A single value of the YAML as --set or the environment want it. */
static const char *scalar_text(struct command *command, const json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    const char *text =
        json_is_integer(value)
            ? flo_arena_printf(&command->arena, "%lld", (long long)json_integer_value(value))
            : flo_arena_printf(&command->arena, "%g", json_number_value(value));
    command->failed = command->failed || !text;
    return text ? text : "";
}

void flo_manager_program_path(const struct flo_manager *manager, const char *program, char *out,
                              size_t size)
{
    if (strchr(program, '/'))
        snprintf(out, size, "%s", program);
    else
        snprintf(out, size, "%s/%s", manager->exe_dir, program);
}

static void add_program(struct command *command, const struct flo_manager *manager,
                        const char *program)
{
    char path[PATH_MAX + 256];
    flo_manager_program_path(manager, program, path, sizeof path);
    add_arg(command, flo_arena_strdup(&command->arena, path));
}

static void engine_command(const struct flo_manager *manager, struct command *command)
{
    const struct flo_fleet_config *config = manager->config;
    /* Started again, it must be where the workers look for it. */
    const char *listen = *manager->engine_address           ? manager->engine_address
                         : *manager->options.engine_address ? manager->options.engine_address
                                                            : config->engine.listen;
    add_program(command, manager, config->engine.program);
    add_arg(command, flo_arena_strdup(&command->arena, "--listen")); /* see LISTEN_ARG */
    add_arg(command, flo_arena_strdup(&command->arena, listen));
    if (*config->engine.db) {
        add_arg(command, flo_arena_strdup(&command->arena, "--db"));
        add_arg(command, *config->engine.db == '/'
                             ? flo_arena_strdup(&command->arena, config->engine.db)
                             : flo_arena_printf(&command->arena, "%s/%s",
                                                manager->options.state_dir, config->engine.db));
    }
    if (*config->engine.http) {
        add_arg(command, flo_arena_strdup(&command->arena, "--http"));
        add_arg(command, flo_arena_strdup(&command->arena, config->engine.http));
        /* The supervisor serves these, for all queues of the fleet. */
        add_arg(command, flo_arena_strdup(&command->arena, "--no-queue-depth"));
    }
    if (strcmp(config->server.name_space, "default") != 0) {
        add_arg(command, flo_arena_strdup(&command->arena, "--namespace"));
        add_arg(command, flo_arena_strdup(&command->arena, config->server.name_space));
    }
    for (size_t i = 0; i < config->engine.args.count; i++)
        add_arg(command, flo_arena_strdup(&command->arena, config->engine.args.items[i]));
}

static void worker_command(const struct flo_process *process, struct command *command)
{
    const struct flo_manager *manager = process->manager;
    const struct flo_fleet_worker *worker = process->worker->config;
    const char *key;
    json_t *value;
    add_program(command, manager, worker->program);
    if (*worker->config) {
        add_arg(command, flo_arena_strdup(&command->arena, "--config"));
        add_arg(command, flo_arena_strdup(&command->arena, worker->config));
    }
    add_set(command, "server.address",
            *manager->engine_address ? manager->engine_address : manager->config->server.address);
    add_set(command, "server.namespace", manager->config->server.name_space);
    add_set(command, "supervisor.endpoint", manager->options.endpoint);
    if (manager->config->supervisor.insecure)
        add_set(command, "supervisor.insecure", "true");
    if (worker->count > 1 || process->replica > 1) { /* they cannot share a port */
        add_set(command, "health.port", "0");
        add_set(command, "metrics.port", "0");
    }
    json_object_foreach(worker->set, key, value) add_set(command, key, scalar_text(command, value));
    json_object_foreach(worker->env, key, value) add_env(command, key, scalar_text(command, value));
}

/* ---- what it was run with ---- */

static void add_text(struct flo_sha256 *sha, const char *text)
{
    flo_sha256_add(sha, text, strlen(text) + 1);
}

static void add_identity(struct flo_sha256 *sha, const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return;
    const int64_t identity[] = {(int64_t)st.st_dev, (int64_t)st.st_ino, (int64_t)st.st_size,
                                (int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec};
    flo_sha256_add(sha, identity, sizeof identity);
}

static void add_content(struct flo_sha256 *sha, const char *path)
{
    char bytes[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    for (ssize_t n; fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0;)
        flo_sha256_add(sha, bytes, (size_t)n);
    if (fd >= 0)
        close(fd);
}

static void make_command(const struct flo_process *process, struct command *command)
{
    flo_arena_init(&command->arena, 0);
    if (process->worker)
        worker_command(process, command);
    else
        engine_command(process->manager, command);
}

static void make_print(const struct flo_process *process, const struct command *command,
                       uint8_t out[FLO_SHA256_BYTES])
{
    struct flo_sha256 sha;
    flo_sha256_init(&sha);
    /* Not where the engine listens: it goes on where it was. */
    for (size_t i = 0; i < command->arg_count; i++)
        if (process->worker || i != LISTEN_ARG)
            add_text(&sha, command->args[i]);
    for (size_t i = 0; i < command->env_count; i++)
        add_text(&sha, command->env[i]);
    if (command->arg_count)
        add_identity(&sha, command->args[0]);
    if (process->worker && *process->worker->config->config)
        add_content(&sha, process->worker->config->config);
    flo_sha256_final(&sha, out);
}

int flo_process_launch(struct flo_process *process, flo_child_process_line_fn on_line,
                       struct flo_err *err)
{
    struct flo_manager *manager = process->manager;
    struct command command = {.failed = false};
    make_command(process, &command);
    make_print(process, &command, process->print);
    add_env(&command, "FLOTILLA_PROCESS", process->name);
    add_env(&command, "FLOTILLA_STATE_DIR", manager->options.state_dir);
    if (flo_log_is_text()) /* its lines go where ours go */
        add_env(&command, "FLOTILLA_LOG_AUTO", "text");
    flo_free(process->program);
    process->program = flo_strdup(process->worker ? process->worker->config->program
                                                  : manager->config->engine.program);
    const struct flo_child_process_options options = {.name = process->name,
                                                      .argv = command.args,
                                                      .env = command.env,
                                                      .output = process->output,
                                                      .on_line = on_line,
                                                      .ctx = process};
    int rc = 0;
    if (!process->program)
        rc = flo_fail(err, FLO_ENOMEM, "no memory to start %s", process->name);
    else if (command.failed)
        rc = flo_fail(err, FLO_ENOMEM, "too many arguments for %s", process->name);
    else
        rc = flo_child_process_start(manager->base, &options, &process->child, err);
    flo_arena_fini(&command.arena);
    return rc;
}

/* ---- what it has loaded ---- */

/* A line of /proc/PID/maps that is a part of a file that is run: its path, and whether the file
 * that lies there is the mapped one still. (Device and inode are no help: overlayfs shows others.)
 */
static bool parse_mapping(char *line, const char **out_path, bool *out_same)
{
    int at = 0;
    struct stat st;
    char mode[5];
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%*s %4s %*s %*s %*s %n", mode, &at) < 1 || !at || mode[2] != 'x' ||
        line[at] != '/')
        return false;
    char *gone = strstr(line + at, " (deleted)");
    if (gone)
        *gone = '\0';
    if (stat(line + at, &st)) /* nothing new is there */
        return false;
    *out_path = line + at;
    *out_same = !gone;
    return true;
}

/* Where the C library lies: the system's own libraries, which are no business of ours. */
static void system_folder(FILE *maps, char *out, size_t size)
{
    char line[PATH_MAX + 128];
    *out = '\0';
    while (fgets(line, sizeof line, maps)) {
        char *path = strchr(line, '/'), *libc = strstr(line, "/libc.so");
        if (path && libc && libc >= path)
            snprintf(out, size, "%.*s/", (int)(libc - path), path);
    }
    rewind(maps);
}

void flo_process_each_mapped(pid_t pid, void (*fn)(void *ctx, const char *path, bool same),
                             void *ctx)
{
    char line[PATH_MAX + 128], file[64], folder[PATH_MAX];
    const char *path;
    bool same;
    snprintf(file, sizeof file, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(file, "re");
    if (!maps)
        return;
    system_folder(maps, folder, sizeof folder);
    while (fgets(line, sizeof line, maps)) {
        if (!parse_mapping(line, &path, &same))
            continue;
        const char *slash = strrchr(path, '/');
        size_t len = (size_t)(slash - path) + 1;
        if (strlen(folder) != len || strncmp(folder, path, len) != 0)
            fn(ctx, path, same);
    }
    fclose(maps);
}

struct comparison {
    int64_t started_wall_ns;
    bool changed;
};

static void compare_mapped(void *ctx, const char *path, bool same)
{
    struct comparison *comparison = ctx;
    struct stat st;
    if (!same)
        comparison->changed = true;
    else if (stat(path, &st) == 0)
        comparison->changed |= (int64_t)st.st_mtim.tv_sec * FLO_NS_PER_S + st.st_mtim.tv_nsec >
                               comparison->started_wall_ns;
}

bool flo_process_changed(const struct flo_process *process)
{
    struct command command = {.failed = false};
    struct comparison comparison = {.started_wall_ns = process->started_wall_ns};
    uint8_t print[FLO_SHA256_BYTES];
    make_command(process, &command);
    make_print(process, &command, print);
    flo_arena_fini(&command.arena);
    if (memcmp(print, process->print, sizeof print) != 0)
        return true;
    if (process->child)
        flo_process_each_mapped(flo_child_process_pid(process->child), compare_mapped, &comparison);
    return comparison.changed;
}
