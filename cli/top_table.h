/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_table.h - what `flotilla top` shows, as rows of text: from the supervisor's pages, sorted and
 * filtered. Pure: knows no terminal.
 */
#ifndef FLO_CLI_TOP_TABLE_H
#define FLO_CLI_TOP_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

enum top_view { TOP_PROCESSES, TOP_QUEUES, TOP_ACTIVITIES, TOP_EVENTS, TOP_VIEWS };
const char *top_view_name(enum top_view view);

#define TOP_COLUMNS_MAX 10
#define TOP_CELL_MAX 200

struct top_column {
    const char *title;
    int width;  /* of its text; the last one takes what is left */
    bool right; /* numbers */
};
/* A view's columns; how many. */
size_t top_columns(enum top_view view, const struct top_column **out);

enum top_mood { TOP_GOOD, TOP_WAIT, TOP_BAD }; /* how a row is to be seen */

struct top_row {
    char cells[TOP_COLUMNS_MAX][TOP_CELL_MAX];
    double numbers[TOP_COLUMNS_MAX]; /* what right columns sort by; NaN: unknown */
    char id[300];                    /* stays the same from one reading to the next */
    char detail[600];                /* more of it, for one line */
    enum top_mood mood;
};

struct top_table {
    struct top_row *rows;
    size_t count;
};

/* The supervisor's pages, each as far as it has been read. */
struct top_pages {
    const json_t *fleet;      /* /v1/fleet */
    const json_t *activities; /* /v1/activities */
    const json_t *events;     /* a list of events, oldest first */
};

/*
 * The rows of a view: those that have filter ("" all) in one of their cells, in any case, by the
 * column sort (numbers: highest first, unknown last; text: from a), -1: as they come. Events are
 * newest first then. FLO_ENOMEM.
 */
FLO_MUST_CHECK int top_table_make(enum top_view view, const struct top_pages *pages,
                                  const char *filter, int sort, struct top_table *out,
                                  struct flo_err *err);
void top_table_fini(struct top_table *table);

/* The bytes of text's first so many characters (UTF-8). */
size_t top_cut(const char *text, size_t characters);
/* One line about the whole fleet. */
void top_summary(const json_t *fleet, char *out, size_t size);

#endif
