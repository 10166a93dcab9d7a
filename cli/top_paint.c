/* SPDX-License-Identifier: Apache-2.0 */
/* top_paint.c - the screen of `flotilla top`, all of it each time: ncurses sends what has changed.
 */
#include <ncurses.h>
#include <stdarg.h>
#include <string.h>

#include "cli/top_screen.h"

static int attributes(enum top_mood mood)
{
    static const attr_t plain[] = {A_NORMAL, A_BOLD, A_BOLD | A_UNDERLINE};
    return has_colors() ? (int)COLOR_PAIR(mood + 1) : (int)plain[mood];
}

static void put_line(int row, int attribute, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A line, cut at the screen's end and blank behind its text. */
static void put_line(int row, int attribute, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (row < 0 || row >= LINES)
        return;
    attrset(attribute);
    mvaddnstr(row, 0, text, (int)top_cut(text, (size_t)COLS));
    for (int x = getcurx(stdscr); getcury(stdscr) == row && x < COLS; x++)
        addch(' ');
    attrset(A_NORMAL);
}

/* One row of cells, from column 0; widths are columns of the screen. */
static void put_cells(int y, int attribute, const struct top_column *columns, size_t count,
                      const char *const *cells)
{
    int x = 0;
    attrset(attribute);
    move(y, 0);
    clrtoeol();
    for (size_t i = 0; i < count && x < COLS; i++) {
        int width = i + 1 == count && !columns[i].right ? COLS - x : columns[i].width;
        if (width > COLS - x)
            width = COLS - x;
        if (columns[i].right) {
            const int len = (int)strlen(cells[i]);
            mvaddnstr(y, x + (len < width ? width - len : 0), cells[i], width);
        } else {
            mvaddnstr(y, x, cells[i], (int)top_cut(cells[i], (size_t)width));
        }
        x += width + 1;
    }
    if (attribute & A_REVERSE)
        mvchgat(y, 0, -1, attribute & (int)A_ATTRIBUTES & ~(int)A_COLOR,
                (short)PAIR_NUMBER(attribute), NULL);
    attrset(A_NORMAL);
}

static void paint_head(const struct top_screen *self)
{
    const struct top_column *columns;
    const size_t count = top_columns(self->view, &columns);
    const char *titles[TOP_COLUMNS_MAX] = {0};
    char summary[300], views[200] = "";
    size_t len = 0;
    const bool ready = json_is_true(json_object_get(self->fleet, "ready"));
    const char *reason = json_string_value(json_object_get(self->fleet, "reason"));
    put_line(0, A_BOLD, "flotilla top  %s  %s%s%s", self->supervisor.address,
             !self->fleet ? ""
             : ready      ? "ready"
                          : "not ready: ",
             self->fleet && !ready && reason ? reason : "", *self->trouble ? "  (old)" : "");
    top_summary(self->fleet, summary, sizeof summary);
    put_line(1, A_NORMAL, "%s", summary);
    for (int i = 0; i < TOP_VIEWS; i++)
        len += (size_t)snprintf(views + len, sizeof views - len,
                                i == (int)self->view ? "[%d %s] " : " %d %s  ", i + 1,
                                top_view_name((enum top_view)i));
    put_line(2, A_NORMAL, "%s %s%s", views, *self->filter ? "filter: " : "", self->filter);
    for (size_t i = 0; i < count; i++)
        titles[i] = columns[i].title;
    put_cells(3, A_REVERSE, columns, count, titles);
    if (self->sort[self->view] >= 0) {
        int x = 0;
        for (int i = 0; i < self->sort[self->view]; i++)
            x += columns[i].width + 1;
        mvchgat(3, x, columns[self->sort[self->view]].width, A_REVERSE | A_BOLD | A_UNDERLINE, 0,
                NULL);
    }
}

static void paint_rows(struct top_screen *self)
{
    const int shown = LINES - TOP_HEAD_ROWS - TOP_FOOT_ROWS;
    const struct top_column *columns;
    const size_t count = top_columns(self->view, &columns);
    if (shown <= 0)
        return;
    if (self->at < self->first)
        self->first = self->at;
    if (self->at >= self->first + (size_t)shown)
        self->first = self->at - (size_t)shown + 1;
    for (int y = 0; y < shown; y++) {
        const size_t i = self->first + (size_t)y;
        const char *cells[TOP_COLUMNS_MAX];
        if (i >= self->table.count) {
            put_line(TOP_HEAD_ROWS + y, A_NORMAL, "%s",
                     i || !self->fleet ? ""
                     : *self->filter   ? "nothing matches"
                                       : "nothing yet");
            continue;
        }
        const struct top_row *row = &self->table.rows[i];
        for (size_t k = 0; k < count; k++)
            cells[k] = row->cells[k];
        put_cells(TOP_HEAD_ROWS + y, attributes(row->mood) | (i == self->at ? A_REVERSE : 0),
                  columns, count, cells);
    }
}

static void paint_help(void)
{
    static const char *const lines[] = {
        "Tab 1 2 3 4   processes, queues, activities, events",
        "arrows j k    select; PgUp PgDn g G",
        "s             sort by the next column; S: as it comes",
        "/             show only rows with a text; Esc ends that",
        "d             drain: the process finishes what runs, then ends",
        "p             quiet: it takes no more tasks, but stays",
        "r             resume: it takes tasks again",
        "+ -           one slot more, or less",
        "l             its log level",
        "q             quit",
        "",
        "The colour, or bold and underlined, says what is not well; the line",
        "below says why. Commands ask before they are sent, and need the",
        "supervisor's token (--token-file).",
    };
    for (int i = 0; i < LINES - TOP_HEAD_ROWS - TOP_FOOT_ROWS; i++)
        put_line(TOP_HEAD_ROWS + i, A_NORMAL, "  %s",
                 (size_t)i < sizeof lines / sizeof *lines ? lines[i] : "");
}

void cli_top_paint(struct top_screen *self, const char *prompt)
{
    erase();
    paint_head(self);
    if (self->help)
        paint_help();
    else
        paint_rows(self);
    put_line(LINES - 2, A_NORMAL, "%s",
             *self->trouble                 ? self->trouble
             : *self->message               ? self->message
             : self->at < self->table.count ? self->table.rows[self->at].detail
                                            : "");
    put_line(LINES - 1, prompt ? A_BOLD : A_REVERSE, "%s",
             prompt ? prompt
                    : "q quit  Tab view  s sort  / filter  d drain  p quiet  r resume  ? help");
    refresh();
}
