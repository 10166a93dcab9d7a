/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up.c - `flotilla up`: becomes the supervisor in local mode, which starts the engine and the
 * workers of config/fleet.yaml and keeps them running. Everything after "up" is the supervisor's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/command.h"
#include "config/process.h"

int cli_up(const struct cli_options *options)
{
    char dir[4096], path[4200];
    struct flo_err err;
    size_t count = 0;
    while (options->rest[count])
        count++;
    if (flo_process_exe_dir(dir, sizeof dir, &err)) {
        fprintf(stderr, "flotilla up: %s\n", err.message);
        return CLI_EXIT_INTERNAL;
    }
    snprintf(path, sizeof path, "%s/flotilla-supervisor", dir);
    char **argv = flo_calloc(count + 3, sizeof *argv);
    if (!argv) {
        fprintf(stderr, "flotilla up: out of memory\n");
        return CLI_EXIT_INTERNAL;
    }
    argv[0] = path;
    argv[1] = "--local";
    memcpy(argv + 2, options->rest, count * sizeof *argv);
    execv(path, argv);
    fprintf(stderr, "flotilla up: cannot run %s: %s\n", path, strerror(errno));
    flo_free(argv);
    return CLI_EXIT_INTERNAL;
}
