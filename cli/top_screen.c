/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_screen.c - `flotilla top` live: the supervisor's pages once a second, on a terminal by
 * ncurses. One thread: a page that does not come within two seconds is shown as an error and asked
 * for again, with what was read before still on the screen. Whatever ends it, the terminal is given
 * back as it was: signals only set a flag.
 */
#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/supervisor.h"
#include "cli/top.h"
#include "cli/top_table.h"

#define PERIOD_MS 1000
#define PAGE_TIMEOUT_MS 2000
#define COMMAND_TIMEOUT_MS 8000
#define EVENTS_KEPT 500
#define HEAD_ROWS 4 /* title, summary, views, columns */
#define FOOT_ROWS 2 /* detail, keys or messages */
#define FILTER_MAX 40

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

struct screen {
    struct cli_supervisor supervisor;
    json_t *fleet, *activities, *events;
    int64_t seq;       /* of the newest event */
    int64_t next_ms;   /* when to read again */
    char trouble[600]; /* why the pages are old; "" = they are not */
    char message[900]; /* the last command's outcome */
    enum top_view view;
    int sort[TOP_VIEWS];
    char filter[FILTER_MAX + 1];
    char selected[300]; /* id of the row */
    struct top_table table;
    size_t at, first; /* the selected row; the first one shown */
    bool help, quit;
};

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

/* ---- reading ---- */

static void read_events(struct screen *self)
{
    struct flo_err err;
    json_t *page = NULL, *event;
    char path[64];
    size_t i;
    snprintf(path, sizeof path, "/v1/events?after=%lld", (long long)self->seq);
    if (cli_supervisor_get(&self->supervisor, path, &page, &err))
        return;
    if (json_integer_value(json_object_get(page, "last")) < self->seq)
        self->seq = 0; /* a new supervisor counts anew; next time */
    json_array_foreach(json_object_get(page, "events"), i, event)
    {
        self->seq = json_integer_value(json_object_get(event, "seq"));
        json_array_append(self->events, event);
    }
    while (json_array_size(self->events) > EVENTS_KEPT)
        json_array_remove(self->events, 0);
    json_decref(page);
}

static void read_pages(struct screen *self)
{
    struct flo_err err;
    json_t *page = NULL;
    if (cli_supervisor_get(&self->supervisor, "/v1/fleet", &page, &err)) {
        snprintf(self->trouble, sizeof self->trouble, "%s", err.message);
        return;
    }
    json_decref(self->fleet);
    self->fleet = page;
    self->trouble[0] = '\0';
    page = NULL;
    if (cli_supervisor_get(&self->supervisor, "/v1/activities", &page, &err) == 0) {
        json_decref(self->activities);
        self->activities = page;
    }
    read_events(self);
}

/* The rows anew; the selection stays with its row, or near where it was. */
static void make_table(struct screen *self)
{
    const struct top_pages pages = {
        .fleet = self->fleet, .activities = self->activities, .events = self->events};
    struct flo_err err;
    struct top_table table;
    if (top_table_make(self->view, &pages, self->filter, self->sort[self->view], &table, &err)) {
        snprintf(self->trouble, sizeof self->trouble, "%s", err.message);
        return;
    }
    top_table_fini(&self->table);
    self->table = table;
    for (size_t i = 0; i < table.count; i++)
        if (strcmp(table.rows[i].id, self->selected) == 0)
            self->at = i;
    if (self->at >= table.count)
        self->at = table.count ? table.count - 1 : 0;
}

/* ---- painting ---- */

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

static void paint_head(const struct screen *self)
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

static void paint_rows(struct screen *self)
{
    const int shown = LINES - HEAD_ROWS - FOOT_ROWS;
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
            put_line(HEAD_ROWS + y, A_NORMAL, "%s",
                     i || !self->fleet ? ""
                     : *self->filter   ? "nothing matches"
                                       : "nothing yet");
            continue;
        }
        const struct top_row *row = &self->table.rows[i];
        for (size_t k = 0; k < count; k++)
            cells[k] = row->cells[k];
        put_cells(HEAD_ROWS + y, attributes(row->mood) | (i == self->at ? A_REVERSE : 0), columns,
                  count, cells);
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
    for (int i = 0; i < LINES - HEAD_ROWS - FOOT_ROWS; i++)
        put_line(HEAD_ROWS + i, A_NORMAL, "  %s",
                 (size_t)i < sizeof lines / sizeof *lines ? lines[i] : "");
}

static void paint(struct screen *self, const char *prompt)
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

/* ---- asking ---- */

/* A key, or ERR when the time is over or a signal came. */
static int read_key(int timeout_ms)
{
    timeout(timeout_ms);
    return getch();
}

/* Ask at the bottom for one key of keys: it, or 0 for any other. */
static int ask(struct screen *self, const char *keys, const char *question)
{
    int key;
    do {
        paint(self, question);
        key = read_key(PERIOD_MS);
    } while (!ended && (key == ERR || key == KEY_RESIZE));
    return key > 0 && key < 256 && strchr(keys, key) ? key : 0;
}

/* A line of text at the bottom, shown as it grows; Esc empties it. */
static void ask_filter(struct screen *self)
{
    for (;;) {
        char prompt[FILTER_MAX + 40];
        size_t len = strlen(self->filter);
        make_table(self);
        snprintf(prompt, sizeof prompt, "filter: %s_", self->filter);
        paint(self, prompt);
        int key = read_key(PERIOD_MS);
        if (ended || key == '\n' || key == '\r' || key == KEY_ENTER)
            return;
        if (key == 27) {
            self->filter[0] = '\0';
            return;
        }
        if ((key == KEY_BACKSPACE || key == 127 || key == 8) && len)
            self->filter[len - 1] = '\0';
        else if (key >= ' ' && key < 127 && len < FILTER_MAX)
            snprintf(self->filter + len, sizeof self->filter - len, "%c", key);
    }
}

/* ---- commands ---- */

static const struct top_row *selected_process(struct screen *self)
{
    if (self->view == TOP_PROCESSES && self->at < self->table.count)
        return &self->table.rows[self->at];
    snprintf(self->message, sizeof self->message, "select a process first (1)");
    return NULL;
}

static void send_command(struct screen *self, const char *target, const char *command, json_t *args)
{
    struct flo_err err;
    json_t *answer = NULL, *body;
    char prompt[400];
    snprintf(prompt, sizeof prompt, "%s: %s ...", target, command);
    paint(self, prompt);
    body = args ? json_pack("{s:s, s:s, s:o}", "target", target, "command", command, "args", args)
                : json_pack("{s:s, s:s}", "target", target, "command", command);
    if (cli_supervisor_post(&self->supervisor, "/v1/commands", body, COMMAND_TIMEOUT_MS, &answer,
                            &err)) {
        snprintf(self->message, sizeof self->message, "%s", err.message);
        return;
    }
    const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
    const char *message = json_string_value(json_object_get(result, "message"));
    snprintf(self->message, sizeof self->message, "%s: %s %s%s%s", target, command,
             json_is_true(json_object_get(result, "ok")) ? "done" : "refused",
             message && *message ? ": " : "", message ? message : "");
    json_decref(answer);
    self->next_ms = 0;
}

static void command(struct screen *self, const char *name, const char *what)
{
    const struct top_row *row = selected_process(self);
    char target[300], question[400];
    if (!row)
        return;
    snprintf(target, sizeof target, "%s", row->id);
    snprintf(question, sizeof question, "%s %s (%s)? y/n", name, target, what);
    if (ask(self, "yY", question))
        send_command(self, target, name, NULL);
}

/* The slots that it has now, and the kind they are of: its first one. */
static void change_slots(struct screen *self, int change)
{
    const struct top_row *row = selected_process(self);
    char target[300], question[400];
    const json_t *processes = json_object_get(self->fleet, "processes"), *slot = NULL;
    size_t i;
    json_t *process;
    if (!row)
        return;
    snprintf(target, sizeof target, "%s", row->id);
    json_array_foreach(processes, i, process)
    {
        const char *name = json_string_value(json_object_get(process, "name"));
        const char *identity = json_string_value(json_object_get(process, "identity"));
        if ((name && strcmp(name, target) == 0) || (identity && strcmp(identity, target) == 0))
            slot = json_array_get(json_object_get(process, "slots"), 0);
    }
    const json_int_t slots = json_integer_value(json_object_get(slot, "total")) + change;
    if (!slot || slots < 1) {
        snprintf(self->message, sizeof self->message, "%s: no slots to change", target);
        return;
    }
    snprintf(question, sizeof question, "%s: %lld slots? y/n", target, (long long)slots);
    if (ask(self, "yY", question))
        send_command(self, target, "resize",
                     json_pack("{s:s?, s:I}", "kind",
                               json_string_value(json_object_get(slot, "kind")), "slots", slots));
}

static void change_level(struct screen *self)
{
    static const char keys[] = "tdiwe";
    static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};
    const struct top_row *row = selected_process(self);
    char target[300], question[400];
    if (!row)
        return;
    snprintf(target, sizeof target, "%s", row->id);
    snprintf(question, sizeof question,
             "log level of %s: t race, d ebug, i nfo, w arn, e rror; another key: none", target);
    int key = ask(self, keys, question);
    if (!key)
        return;
    const char *level = levels[strchr(keys, key) - keys];
    snprintf(question, sizeof question, "log level of %s: %s? y/n", target, level);
    if (ask(self, "yY", question))
        send_command(self, target, "loglevel", json_pack("{s:s}", "level", level));
}

/* ---- keys ---- */

static void go_to(struct screen *self, size_t at)
{
    self->at = at < self->table.count ? at : self->table.count ? self->table.count - 1 : 0;
    snprintf(self->selected, sizeof self->selected, "%s",
             self->table.count ? self->table.rows[self->at].id : "");
}

static void go_by(struct screen *self, int rows)
{
    go_to(self, rows < 0 && (size_t)-rows > self->at ? 0 : self->at + (size_t)rows);
}

static void show(struct screen *self, enum top_view view)
{
    self->view = view;
    self->help = false;
    self->at = self->first = 0;
    self->selected[0] = '\0';
}

static void sort_next(struct screen *self)
{
    const struct top_column *columns;
    const int count = (int)top_columns(self->view, &columns);
    int *sort = &self->sort[self->view];
    *sort = *sort + 1 < count ? *sort + 1 : -1;
}

static void move_key(struct screen *self, int key)
{
    const int page = LINES > HEAD_ROWS + FOOT_ROWS + 1 ? LINES - HEAD_ROWS - FOOT_ROWS - 1 : 1;
    switch (key) {
    case 'j':
    case KEY_DOWN:
        go_by(self, 1);
        break;
    case 'k':
    case KEY_UP:
        go_by(self, -1);
        break;
    case KEY_NPAGE:
    case ' ':
        go_by(self, page);
        break;
    case KEY_PPAGE:
        go_by(self, -page);
        break;
    case 'g':
    case KEY_HOME:
        go_to(self, 0);
        break;
    case 'G':
    case KEY_END:
        go_to(self, self->table.count);
        break;
    default:
        break;
    }
}

static void act(struct screen *self, int key)
{
    self->message[0] = '\0';
    switch (key) {
    case 'q':
    case 'Q':
        self->quit = true;
        break;
    case '\t':
    case KEY_RIGHT:
        show(self, (enum top_view)((self->view + 1) % TOP_VIEWS));
        break;
    case KEY_BTAB:
    case KEY_LEFT:
        show(self, (enum top_view)((self->view + TOP_VIEWS - 1) % TOP_VIEWS));
        break;
    case '1':
    case '2':
    case '3':
    case '4':
        show(self, (enum top_view)(key - '1'));
        break;
    case 's':
        sort_next(self);
        break;
    case 'S':
        self->sort[self->view] = -1;
        break;
    case '/':
        ask_filter(self);
        break;
    case 27:
        self->filter[0] = '\0';
        self->help = false;
        break;
    case '?':
    case 'h':
        self->help = !self->help;
        break;
    case 'd':
        command(self, "drain", "it finishes what runs, then ends");
        break;
    case 'p':
        command(self, "quiet", "it takes no more tasks");
        break;
    case 'r':
        command(self, "resume", "it takes tasks again");
        break;
    case '+':
    case '=':
        change_slots(self, 1);
        break;
    case '-':
        change_slots(self, -1);
        break;
    case 'l':
        change_level(self);
        break;
    default:
        move_key(self, key);
    }
}

/* ---- the terminal ---- */

static SCREEN *open_terminal(void)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* not restarted: getch ends */
    if (!cli_top_terminal_known())
        return NULL; /* newterm would keep memory when it says so */
    setlocale(LC_CTYPE, "");
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (!terminal)
        return NULL;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    set_escdelay(50);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    const char *no_color = getenv("NO_COLOR");
    if (has_colors() && !(no_color && *no_color)) {
        start_color();
        use_default_colors();
        init_pair(TOP_GOOD + 1, -1, -1);
        init_pair(TOP_WAIT + 1, COLOR_YELLOW, -1);
        init_pair(TOP_BAD + 1, COLOR_RED, -1);
    }
    return terminal;
}

/* The terminal is gone, and no signal said so. */
static bool hung_up(void)
{
    struct pollfd input = {.fd = STDIN_FILENO};
    return poll(&input, 1, 0) > 0 && input.revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void run(struct screen *self)
{
    while (!ended && !self->quit) {
        if (now_ms() >= self->next_ms) {
            read_pages(self);
            self->next_ms = now_ms() + PERIOD_MS;
        }
        make_table(self);
        paint(self, NULL);
        const int64_t left_ms = self->next_ms - now_ms();
        const int key = read_key(left_ms > 0 ? (int)left_ms : 0);
        if (key != ERR && key != KEY_RESIZE)
            act(self, key);
        else if (key == ERR && hung_up())
            return;
    }
}

int cli_top_screen(const struct cli_options *options)
{
    struct screen self = {.view = TOP_PROCESSES};
    struct flo_err err;
    if (cli_supervisor_find("top", options, &self.supervisor, &err))
        return cli_supervisor_fail(&self.supervisor, &err);
    self.supervisor.timeout_ms = PAGE_TIMEOUT_MS;
    for (int i = 0; i < TOP_VIEWS; i++)
        self.sort[i] = -1;
    SCREEN *terminal = open_terminal();
    if (!terminal)
        return -1;
    self.events = json_array();
    run(&self);
    endwin();
    delscreen(terminal);
    top_table_fini(&self.table);
    json_decref(self.fleet);
    json_decref(self.activities);
    json_decref(self.events);
    return 0;
}
