/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - `flotilla server start-dev` and `flotilla engine ...`: the engine's program, which
 * stands beside ours, takes over with the arguments as they are.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/command.h"
#include "config/process.h"

/* Become flotilla-engine; before: an argument that goes first, or NULL. Returns on failure only. */
static int become_engine(const char *before, char **rest)
{
    struct flo_err err;
    char dir[PATH_MAX], path[PATH_MAX + 32];
    size_t count = 0, at = 0;
    if (flo_process_exe_dir(dir, sizeof dir, &err)) {
        fprintf(stderr, "flotilla: %s\n", err.message);
        return FLO_EXIT_INTERNAL;
    }
    snprintf(path, sizeof path, "%s/flotilla-engine", dir);
    while (rest[count])
        count++;
    const char **argv = flo_calloc(count + 3, sizeof *argv);
    if (!argv)
        return FLO_EXIT_INTERNAL;
    argv[at++] = path;
    if (before)
        argv[at++] = before;
    memcpy(argv + at, rest, count * sizeof *argv);
    execv(path, (char *const *)(uintptr_t)argv);
    fprintf(stderr, "flotilla: cannot run %s: %s\n", path, strerror(errno));
    flo_free(argv);
    return FLO_EXIT_INTERNAL;
}

int cli_server(const struct cli_options *options)
{
    if (!options->rest[0] || strcmp(options->rest[0], "start-dev") != 0) {
        const bool help = options->rest[0] && (strcmp(options->rest[0], "--help") == 0 ||
                                               strcmp(options->rest[0], "-h") == 0);
        fprintf(help ? stdout : stderr,
                "usage: flotilla server start-dev [OPTION ...]: an engine on this machine; "
                "--help behind it lists the options\n");
        return help ? 0 : FLO_EXIT_USAGE;
    }
    return become_engine("server", options->rest);
}

int cli_engine(const struct cli_options *options)
{
    if (!options->rest[0]) {
        fprintf(stderr, "usage: flotilla engine backup DATABASE COPY | check DATABASE | compact "
                        "DATABASE,\n"
                        "       or an engine's options, to run one (--help lists them); "
                        "`flotilla server start-dev`\n"
                        "       needs none\n");
        return FLO_EXIT_USAGE;
    }
    return become_engine(NULL, options->rest);
}
