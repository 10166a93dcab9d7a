/* SPDX-License-Identifier: Apache-2.0 */
/* top.h - what the files of `flotilla top` share. */
#ifndef FLO_CLI_TOP_H
#define FLO_CLI_TOP_H

#include "cli/command.h"
#include "cli/fleet_pages.h"

/* top_plain.c: the tables once, as text or JSON; the exit code. */
int cli_top_plain(const struct cli_fleet_pages *pages, bool json);
/* top_screen.c: live on the terminal, until q or a signal; the exit code. -1: the terminal cannot
 * do it. */
int cli_top_screen(const struct cli_options *options);
/* top_terminal.c: is there a description of the terminal that TERM names? */
bool cli_top_terminal_known(void);

#endif
