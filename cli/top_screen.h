/* SPDX-License-Identifier: Apache-2.0 */
/* top_screen.h - the state of `flotilla top` on a terminal, and how it is painted. */
#ifndef FLO_CLI_TOP_SCREEN_H
#define FLO_CLI_TOP_SCREEN_H

#include <stdint.h>

#include "cli/supervisor.h"
#include "cli/top.h"
#include "cli/top_table.h"

#define TOP_HEAD_ROWS 4 /* title, summary, views, columns */
#define TOP_FOOT_ROWS 2 /* detail, keys or messages */
#define TOP_FILTER_MAX 40

struct top_screen {
    struct cli_supervisor supervisor;
    json_t *fleet, *activities, *events;
    int64_t seq;       /* of the newest event */
    int64_t next_ms;   /* when to read again */
    char trouble[600]; /* why the pages are old; "" = they are not */
    char message[900]; /* the last command's outcome */
    enum top_view view;
    int sort[TOP_VIEWS];
    char filter[TOP_FILTER_MAX + 1];
    char selected[300]; /* id of the row */
    struct top_table table;
    size_t at, first; /* the selected row; the first one shown */
    bool help, quit;
};

/* top_paint.c: the whole screen; prompt is shown at the bottom instead of the keys, unless NULL. */
void cli_top_paint(struct top_screen *self, const char *prompt);

#endif
