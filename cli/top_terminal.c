/* SPDX-License-Identifier: Apache-2.0 */
/* top_terminal.c - alone with term.h, which makes macros of many words. */
#include "cli/top.h"

#include <unistd.h>

/* clang-format off: in this order */
#include <curses.h>
#include <term.h>
/* clang-format on */

bool cli_top_terminal_known(void)
{
    int error;
    if (setupterm(NULL, STDOUT_FILENO, &error) == ERR)
        return false;
    (void)del_curterm(cur_term);
    return true;
}
