/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_screen.c - `flotilla top` live: the supervisor's pages once a second, on a terminal by
 * ncurses. One thread: a page that does not come within two seconds is shown as an error and asked
 * for again, with what was read before still on the screen. Whatever ends it, the terminal is given
 * back as it was: signals only set a flag.
 */
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/top_screen.h"

#define PERIOD_MS 1000
#define PAGE_TIMEOUT_MS 2000
#define COMMAND_TIMEOUT_MS 8000
#define EVENTS_KEPT 500

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

/* ---- reading ---- */

static void read_events(struct top_screen *self)
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

static void read_pages(struct top_screen *self)
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
static void make_table(struct top_screen *self)
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

/* ---- asking ---- */

/* A key, or ERR when the time is over or a signal came. */
static int read_key(int timeout_ms)
{
    timeout(timeout_ms);
    return getch();
}

/* Ask at the bottom for one key of keys: it, or 0 for any other. */
static int ask(struct top_screen *self, const char *keys, const char *question)
{
    int key;
    do {
        cli_top_paint(self, question);
        key = read_key(PERIOD_MS);
    } while (!ended && (key == ERR || key == KEY_RESIZE));
    return key > 0 && key < 256 && strchr(keys, key) ? key : 0;
}

/* A line of text at the bottom, shown as it grows; Esc empties it. */
static void ask_filter(struct top_screen *self)
{
    for (;;) {
        char prompt[TOP_FILTER_MAX + 40];
        size_t len = strlen(self->filter);
        make_table(self);
        snprintf(prompt, sizeof prompt, "filter: %s_", self->filter);
        cli_top_paint(self, prompt);
        int key = read_key(PERIOD_MS);
        if (ended || key == '\n' || key == '\r' || key == KEY_ENTER)
            return;
        if (key == 27) {
            self->filter[0] = '\0';
            return;
        }
        if ((key == KEY_BACKSPACE || key == 127 || key == 8) && len)
            self->filter[len - 1] = '\0';
        else if (key >= ' ' && key < 127 && len < TOP_FILTER_MAX)
            snprintf(self->filter + len, sizeof self->filter - len, "%c", key);
    }
}

/* ---- commands ---- */

static const struct top_row *selected_process(struct top_screen *self)
{
    if (self->view == TOP_PROCESSES && self->at < self->table.count)
        return &self->table.rows[self->at];
    snprintf(self->message, sizeof self->message, "select a process first (1)");
    return NULL;
}

static void send_command(struct top_screen *self, const char *target, const char *command,
                         json_t *args)
{
    struct flo_err err;
    json_t *answer = NULL, *body;
    char prompt[400];
    snprintf(prompt, sizeof prompt, "%s: %s ...", target, command);
    cli_top_paint(self, prompt);
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

static void command(struct top_screen *self, const char *name, const char *what)
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
static void change_slots(struct top_screen *self, int change)
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

static void change_level(struct top_screen *self)
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

static void go_to(struct top_screen *self, size_t at)
{
    self->at = at < self->table.count ? at : self->table.count ? self->table.count - 1 : 0;
    snprintf(self->selected, sizeof self->selected, "%s",
             self->table.count ? self->table.rows[self->at].id : "");
}

static void go_by(struct top_screen *self, int rows)
{
    go_to(self, rows < 0 && (size_t)-rows > self->at ? 0 : self->at + (size_t)rows);
}

static void show(struct top_screen *self, enum top_view view)
{
    self->view = view;
    self->help = false;
    self->at = self->first = 0;
    self->selected[0] = '\0';
}

static void sort_next(struct top_screen *self)
{
    const struct top_column *columns;
    const int count = (int)top_columns(self->view, &columns);
    int *sort = &self->sort[self->view];
    *sort = *sort + 1 < count ? *sort + 1 : -1;
}

static void move_key(struct top_screen *self, int key)
{
    const int page =
        LINES > TOP_HEAD_ROWS + TOP_FOOT_ROWS + 1 ? LINES - TOP_HEAD_ROWS - TOP_FOOT_ROWS - 1 : 1;
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

static void act(struct top_screen *self, int key)
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

static void run(struct top_screen *self)
{
    while (!ended && !self->quit) {
        if (now_ms() >= self->next_ms) {
            read_pages(self);
            self->next_ms = now_ms() + PERIOD_MS;
        }
        make_table(self);
        cli_top_paint(self, NULL);
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
    struct top_screen self = {.view = TOP_PROCESSES};
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
