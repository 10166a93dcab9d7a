/* SPDX-License-Identifier: Apache-2.0 */
/* top.c - `flotilla top`: live on a terminal, once elsewhere. */
#include "cli/top.h"

#include <unistd.h>

int cli_top(const struct cli_options *options)
{
    struct cli_fleet_pages pages;
    int exit_code = cli_fleet_pages_find("top", options, &pages);
    if (exit_code)
        return exit_code;
    if (!options->once && !options->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)) {
        exit_code = cli_top_screen(options);
        if (exit_code >= 0)
            return exit_code;
    }
    return cli_top_plain(&pages, options->json);
}
