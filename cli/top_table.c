/* SPDX-License-Identifier: Apache-2.0 */
/* top_table.c - see top_table.h. */
#include "cli/top_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/alloc.h"
#include "cli/event_text.h"

const char *top_view_name(enum top_view view)
{
    static const char *const names[] = {"processes", "queues", "activities", "events"};
    return names[view];
}

size_t top_columns(enum top_view view, const struct top_column **out)
{
    static const struct top_column processes[] = {
        {"NAME", 18, false}, {"ROLE", 12, false},  {"STATE", 8, false},
        {"SLOTS", 7, true},  {"TASKS/S", 7, true}, {"FAIL/S", 6, true},
        {"CPU %", 6, true},  {"MEM", 6, true},     {"WHY", 20, false}};
    static const struct top_column queues[] = {
        {"QUEUE", 26, false}, {"KIND", 8, false},   {"DEPTH", 7, true},  {"OLDEST", 7, true},
        {"ADDED/S", 8, true}, {"TAKEN/S", 8, true}, {"POLLERS", 8, true}};
    static const struct top_column activities[] = {
        {"TYPE", 19, false}, {"DONE", 8, true},   {"FAILED", 7, true}, {"TASKS/S", 7, true},
        {"P50", 6, true},    {"P99", 6, true},    {"CPU/T", 6, true},  {"PEAK", 6, true},
        {"READ/T", 6, true}, {"WRITE/T", 7, true}};
    static const struct top_column events[] = {{"TIME", 8, false},
                                               {"LEVEL", 5, false},
                                               {"WHO", 18, false},
                                               {"KIND", 18, false},
                                               {"WHAT", 40, false}};
    static const struct {
        const struct top_column *columns;
        size_t count;
    } all[] = {{processes, sizeof processes / sizeof *processes},
               {queues, sizeof queues / sizeof *queues},
               {activities, sizeof activities / sizeof *activities},
               {events, sizeof events / sizeof *events}};
    *out = all[view].columns;
    return all[view].count;
}

/* ---- cells ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* NaN when it is unknown. */
static double number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A byte of UTF-8 that no character begins with. */
static bool is_middle(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

size_t top_cut(const char *text, size_t characters)
{
    size_t len = 0;
    for (; text[len]; len++)
        if (!is_middle(text[len]) && characters-- == 0)
            break;
    return len;
}

/* Bytes that would move the cursor, or worse, are no part of a name. */
static void put_text(struct top_row *row, int column, const char *text)
{
    char *out = row->cells[column];
    size_t len = 0;
    for (; *text && len < TOP_CELL_MAX - 1; text++)
        out[len++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
    if (is_middle(*text)) { /* cut within a character: leave it out */
        while (len > 0 && is_middle(out[len - 1]))
            len--;
        len -= len > 0;
    }
    out[len] = '\0';
    row->numbers[column] = NAN;
}

static void put(struct top_row *row, int column, double number, int decimals)
{
    row->numbers[column] = number;
    if (isfinite(number))
        snprintf(row->cells[column], TOP_CELL_MAX, "%.*f", decimals, number);
    else
        snprintf(row->cells[column], TOP_CELL_MAX, "-");
}

static void put_rate(struct top_row *row, int column, double rate)
{
    put(row, column, rate, rate > 0 && rate < 10 ? 2 : 0);
}

static void put_count(struct top_row *row, int column, double count)
{
    static const char units[] = " kMGT";
    size_t unit = 0;
    double shown = count;
    while (shown >= 100000 && unit < 4) {
        shown /= 1000;
        unit++;
    }
    put(row, column, count, 0);
    if (unit)
        snprintf(row->cells[column], TOP_CELL_MAX, "%.0f%c", shown, units[unit]);
}

static void put_bytes(struct top_row *row, int column, double bytes)
{
    static const char *const units[] = {"B", "K", "M", "G", "T"};
    size_t unit = 0;
    double shown = bytes;
    while (shown >= 1000 && unit < 4) {
        shown /= 1024;
        unit++;
    }
    put(row, column, bytes, 0);
    if (isfinite(bytes))
        snprintf(row->cells[column], TOP_CELL_MAX, shown < 10 && unit ? "%.1f%s" : "%.0f%s", shown,
                 units[unit]);
}

static void put_seconds(struct top_row *row, int column, double seconds)
{
    put(row, column, seconds, 0);
    if (!isfinite(seconds))
        return;
    if (seconds < 0.001)
        snprintf(row->cells[column], TOP_CELL_MAX, "%.0fus", seconds * 1e6);
    else if (seconds < 1)
        snprintf(row->cells[column], TOP_CELL_MAX, "%.3gms", seconds * 1e3);
    else if (seconds < 600)
        snprintf(row->cells[column], TOP_CELL_MAX, "%.3gs", seconds);
    else
        snprintf(row->cells[column], TOP_CELL_MAX, "%.0fm", seconds / 60);
}

/* ---- rows ---- */

static void add_slots(const json_t *process, double *used, double *total)
{
    size_t i;
    json_t *slot;
    json_array_foreach(json_object_get(process, "slots"), i, slot)
    {
        *used += number_of(slot, "used");
        *total += number_of(slot, "total");
    }
}

/* What it does, as it says itself; of a process that has not reported, what its parent says. */
static const char *state_of(const json_t *process)
{
    const char *report = text_of(process, "report"), *state = text_of(process, "state");
    return *report && strcmp(state, "stopping") != 0 ? report : state;
}

static enum top_mood mood_of(const json_t *process)
{
    const char *health = text_of(process, "health");
    return strcmp(health, "bad") == 0 ? TOP_BAD : strcmp(health, "wait") == 0 ? TOP_WAIT : TOP_GOOD;
}

static void fill_process(const json_t *p, struct top_row *row)
{
    const char *name = text_of(p, "name"), *identity = text_of(p, "identity");
    double used = 0, total = 0;
    add_slots(p, &used, &total);
    put_text(row, 0, *name ? name : identity);
    put_text(row, 1, text_of(p, "role"));
    put_text(row, 2, state_of(p));
    put(row, 3, total > 0 ? used / total : NAN, 0);
    if (total > 0)
        snprintf(row->cells[3], TOP_CELL_MAX, "%.0f/%.0f", used, total);
    put_rate(row, 4, number_of(p, "tasks_s"));
    put_rate(row, 5, number_of(p, "failures_s"));
    put(row, 6, number_of(p, "cpu") * 100, 1);
    put_bytes(row, 7, number_of(p, "rss_bytes"));
    put_text(row, 8, text_of(p, "why"));
    row->mood = mood_of(p);
    snprintf(row->id, sizeof row->id, "%s", *name ? name : identity);
    snprintf(row->detail, sizeof row->detail, "%s  queue %s  %.0f done, %.0f failed%s%s", identity,
             text_of(p, "task_queue"), number_of(p, "done"), number_of(p, "failed"),
             *text_of(p, "why") ? ": " : "", text_of(p, "why"));
    if (!*identity)
        snprintf(row->detail, sizeof row->detail, "%s  %s", text_of(p, "program"),
                 text_of(p, "why"));
}

static void fill_queue(const json_t *q, struct top_row *row)
{
    const double depth = number_of(q, "depth"), pollers = number_of(q, "pollers");
    put_text(row, 0, text_of(q, "queue"));
    put_text(row, 1, text_of(q, "kind"));
    put_count(row, 2, depth);
    put_seconds(row, 3, depth > 0 ? number_of(q, "age_s") : NAN);
    put_rate(row, 4, number_of(q, "added_s"));
    put_rate(row, 5, number_of(q, "started_s"));
    put_count(row, 6, pollers);
    row->mood = pollers == 0 && depth > 0 ? TOP_BAD : depth > 0 ? TOP_WAIT : TOP_GOOD;
    snprintf(row->id, sizeof row->id, "%s %s", text_of(q, "queue"), text_of(q, "kind"));
    snprintf(row->detail, sizeof row->detail, "namespace %s%s", text_of(q, "namespace"),
             row->mood == TOP_BAD ? ": no worker polls it" : "");
}

/* A share of each attempt. */
static double each(double sum, double attempts)
{
    return attempts > 0 ? sum / attempts : NAN;
}

static void fill_activity(const json_t *a, struct top_row *row)
{
    const double attempts = number_of(a, "attempts"), failed = number_of(a, "failed");
    put_text(row, 0, text_of(a, "type"));
    put_count(row, 1, attempts);
    put_count(row, 2, failed);
    put_rate(row, 3, number_of(a, "attempts_s"));
    put_seconds(row, 4, number_of(a, "p50_s"));
    put_seconds(row, 5, number_of(a, "p99_s"));
    put_seconds(row, 6, each(number_of(a, "cpu_s"), attempts));
    put_bytes(row, 7, number_of(a, "max_rss_bytes"));
    put_bytes(row, 8, each(number_of(a, "read_bytes"), attempts));
    put_bytes(row, 9, each(number_of(a, "written_bytes"), attempts));
    row->mood = number_of(a, "failures_s") > 0 ? TOP_BAD : TOP_GOOD;
    snprintf(row->id, sizeof row->id, "%s%s", text_of(a, "type"),
             json_is_true(json_object_get(a, "local")) ? " local" : "");
    snprintf(row->detail, sizeof row->detail, "%s%s: %.0f cancelled, %.0f crashed, mean %.3g s",
             text_of(a, "type"), json_is_true(json_object_get(a, "local")) ? " (local)" : "",
             number_of(a, "cancelled"), number_of(a, "crashed"),
             isfinite(number_of(a, "mean_s")) ? number_of(a, "mean_s") : 0);
}

static void fill_event(const json_t *e, struct top_row *row)
{
    const time_t when = (time_t)(number_of(e, "ts_ms") / 1000);
    const char *name = text_of(e, "name"), *level = text_of(e, "level");
    char clock[16] = "-";
    struct tm local;
    if (localtime_r(&when, &local))
        (void)strftime(clock, sizeof clock, "%H:%M:%S", &local);
    put_text(row, 0, clock);
    put_text(row, 1, level);
    put_text(row, 2, *name ? name : text_of(e, "identity"));
    put_text(row, 3, text_of(e, "kind"));
    cli_event_text(e, row->detail, sizeof row->detail);
    put_text(row, 4, row->detail);
    row->mood = strcmp(level, "error") == 0  ? TOP_BAD
                : strcmp(level, "warn") == 0 ? TOP_WAIT
                                             : TOP_GOOD;
    snprintf(row->id, sizeof row->id, "%.0f", number_of(e, "seq"));
}

/* ---- the table ---- */

static bool contains(const char *text, const char *part)
{
    const size_t len = strlen(part);
    for (; *text; text++)
        if (strncasecmp(text, part, len) == 0)
            return true;
    return false;
}

static bool matches(const struct top_row *row, const char *filter)
{
    if (!*filter)
        return true;
    for (int i = 0; i < TOP_COLUMNS_MAX; i++)
        if (contains(row->cells[i], filter))
            return true;
    return contains(row->detail, filter);
}

struct order {
    int column;
    bool right;
};

static int compare(const void *a, const void *b, void *ctx)
{
    const struct top_row *x = a, *y = b;
    const struct order *order = ctx;
    const double p = x->numbers[order->column], q = y->numbers[order->column];
    int result = 0;
    if (!order->right)
        result = strcasecmp(x->cells[order->column], y->cells[order->column]);
    else if (isfinite(p) != isfinite(q))
        result = isfinite(q) - isfinite(p);
    else if (isfinite(p))
        result = (q > p) - (q < p);
    return result ? result : strcmp(x->id, y->id);
}

static const json_t *list_of(enum top_view view, const struct top_pages *pages)
{
    switch (view) {
    case TOP_PROCESSES:
        return json_object_get(pages->fleet, "processes");
    case TOP_QUEUES:
        return json_object_get(pages->fleet, "queues");
    case TOP_ACTIVITIES:
        return json_object_get(pages->activities, "activities");
    default:
        return pages->events;
    }
}

int top_table_make(enum top_view view, const struct top_pages *pages, const char *filter, int sort,
                   struct top_table *out, struct flo_err *err)
{
    static void (*const fill[])(const json_t *, struct top_row *) = {fill_process, fill_queue,
                                                                     fill_activity, fill_event};
    const struct top_column *columns;
    const size_t column_count = top_columns(view, &columns);
    const json_t *list = list_of(view, pages);
    const size_t count = json_array_size(list);
    *out = (struct top_table){0};
    struct top_row *rows = flo_calloc(count + 1, sizeof *rows);
    if (!rows)
        return flo_fail(err, FLO_ENOMEM, "no memory for the table");
    for (size_t i = 0; i < count; i++) {
        struct top_row *row = &rows[out->count];
        *row = (struct top_row){.mood = TOP_GOOD};
        fill[view](json_array_get(list, view == TOP_EVENTS ? count - 1 - i : i), row);
        out->count += matches(row, filter);
    }
    if (sort >= 0 && (size_t)sort < column_count) {
        struct order order = {.column = sort, .right = columns[sort].right};
        qsort_r(rows, out->count, sizeof *rows, compare, &order);
    }
    out->rows = rows;
    return 0;
}

void top_table_fini(struct top_table *table)
{
    flo_free(table->rows);
    *table = (struct top_table){0};
}

void top_summary(const json_t *fleet, char *out, size_t size)
{
    double used = 0, total = 0, tasks_s = 0, failures_s = 0, cpu = 0, bytes = 0;
    size_t i, count = 0, good = 0;
    json_t *process;
    struct top_row row = {.mood = TOP_GOOD};
    json_array_foreach(json_object_get(fleet, "processes"), i, process)
    {
        const double rates[] = {number_of(process, "tasks_s"), number_of(process, "failures_s"),
                                number_of(process, "cpu"), number_of(process, "rss_bytes")};
        double *const sums[] = {&tasks_s, &failures_s, &cpu, &bytes};
        for (size_t k = 0; k < 4; k++)
            *sums[k] += isfinite(rates[k]) ? rates[k] : 0;
        add_slots(process, &used, &total);
        count++;
        good += mood_of(process) == TOP_GOOD;
    }
    put_bytes(&row, 0, bytes);
    snprintf(out, size,
             "%zu processes, %zu well  slots %.0f/%.0f  %.1f tasks/s, %.1f failed/s  "
             "CPU %.0f %%  %s",
             count, good, used, total, tasks_s, failures_s, cpu * 100, row.cells[0]);
}
