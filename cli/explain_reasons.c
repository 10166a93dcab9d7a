/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_reasons.c - facts in, sentences out. Activities of one type that wait for the same thing
 * in one queue are one sentence: a fan-out of a thousand is not a thousand lines.
 */
#include "cli/explain_facts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SENTENCE_MAX 4096
#define TIMERS_MAX 3   /* said one by one, the rest as a number */
#define CHILDREN_MAX 3 /* the same */
/* Servers remember pollers for five minutes, and a poll takes one: who has not come back for this
 * long is busy, quiet or gone. So is, much sooner, who leaves a task in the queue. */
#define SILENT_MS 90000
#define SILENT_WITH_TASKS_MS 2000

/* ---- words ---- */

struct cli_explain_text cli_explain_duration(int64_t ms)
{
    struct cli_explain_text out;
    const int64_t seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60;
    if (ms < 0)
        ms = 0;
    if (ms < 1000)
        snprintf(out.text, sizeof out.text, "%" PRId64 " ms", ms);
    else if (seconds < 120)
        snprintf(out.text, sizeof out.text, "%" PRId64 " s", seconds);
    else if (minutes < 120)
        snprintf(out.text, sizeof out.text, "%" PRId64 " min", minutes);
    else if (hours < 48)
        snprintf(out.text, sizeof out.text, "%" PRId64 " h %" PRId64 " min", hours, minutes % 60);
    else
        snprintf(out.text, sizeof out.text, "%" PRId64 " days", hours / 24);
    return out;
}

struct cli_explain_text cli_explain_clock(int64_t wall_ms, int64_t now_ms)
{
    struct cli_explain_text out;
    const time_t then = (time_t)(wall_ms / 1000), now = (time_t)(now_ms / 1000);
    struct tm a, b;
    localtime_r(&then, &a);
    localtime_r(&now, &b);
    const bool today = a.tm_year == b.tm_year && a.tm_yday == b.tm_yday;
    if (!strftime(out.text, sizeof out.text, today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &a))
        out.text[0] = '\0';
    return out;
}

#define DURATION(ms) (cli_explain_duration(ms).text)
#define CLOCK(ms) (cli_explain_clock((ms), f->now_ms).text)

static bool said(const char *text)
{
    return text && *text;
}

static const char * or (const char *text, const char *otherwise)
{
    return said(text) ? text : otherwise;
}

/* A sentence that is put together in parts; what does not fit is cut. */
struct sentence {
    char text[SENTENCE_MAX];
    size_t len;
};

static void add(struct sentence *sentence, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct sentence *sentence, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n =
        vsnprintf(sentence->text + sentence->len, sizeof sentence->text - sentence->len, fmt, args);
    va_end(args);
    if (n > 0)
        sentence->len += (size_t)n;
    if (sentence->len >= sizeof sentence->text)
        sentence->len = sizeof sentence->text - 1;
}

/* A cut may fall into a character: then it is left out. */
static void give(json_t *out, const char *kind, const struct sentence *sentence)
{
    size_t len = sentence->len;
    json_t *text = json_stringn(sentence->text, len);
    while (!text && len > 0)
        text = json_stringn(sentence->text, --len);
    (void)json_array_append_new(out, json_pack("{s:s, s:o}", "kind", kind, "text", text));
}

static void say(json_t *out, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(json_t *out, const char *kind, const char *fmt, ...)
{
    struct sentence sentence = {.len = 0};
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(sentence.text, sizeof sentence.text, fmt, args);
    va_end(args);
    sentence.len = n < 0 ? 0 : (size_t)n < sizeof sentence.text ? (size_t)n : SENTENCE_MAX - 1;
    give(out, kind, &sentence);
}

/* ---- it cannot be seen, or has ended ---- */

static void say_trouble(const struct cli_explain_facts *f, json_t *out)
{
    switch (f->trouble) {
    case CLI_EXPLAIN_NOT_FOUND:
        say(out, "not_found",
            "There is no workflow %s%s%s in namespace %s of %s: it was never started there, or its "
            "history has been deleted.",
            f->workflow_id, said(f->run_id) ? " with run " : "", or (f->run_id, ""), f->name_space,
            f->address);
        break;
    case CLI_EXPLAIN_NO_NAMESPACE:
        say(out, "no_namespace", "%s has no namespace %s; --namespace names another one.",
            f->address, f->name_space);
        break;
    case CLI_EXPLAIN_SERVER_AWAY:
        say(out, "server_away", "The server at %s cannot be reached: %s.", f->address,
            or (f->trouble_text, "no answer"));
        break;
    default:
        say(out, "refused", "The server at %s does not tell: %s.", f->address,
            or (f->trouble_text, "no reason was given"));
    }
}

static void say_poison(const struct cli_explain_facts *f, json_t *out)
{
    if (f->poison)
        say(out, "quarantined",
            "The input of an activity is parked: it killed its executor again and again, and is "
            "refused until it is lifted (flotilla quarantine list, then retry ID).");
}

static void say_closed(const struct cli_explain_facts *f, json_t *out)
{
    static const char *const kinds[] = {"",         "",           "completed",        "failed",
                                        "canceled", "terminated", "continued_as_new", "timed_out"};
    static const char *const words[] = {"",
                                        "",
                                        "completed",
                                        "failed",
                                        "was cancelled",
                                        "was terminated",
                                        "went on in a new run",
                                        "timed out"};
    struct sentence s = {.len = 0};
    add(&s, "It %s", words[f->status]);
    if (f->closed_ms)
        add(&s, " at %s, after %s", CLOCK(f->closed_ms), DURATION(f->closed_ms - f->started_ms));
    if (f->status == CLI_EXPLAIN_TERMINATED && said(f->closed_by))
        add(&s, ", by %s", f->closed_by);
    if (said(f->failure))
        add(&s, ": %s", f->failure);
    add(&s, ".");
    if (said(f->next_run))
        add(&s, " It goes on in run %s.", f->next_run);
    give(out, kinds[f->status], &s);
    say_poison(f, out);
}

/* ---- queues ---- */

static const struct cli_explain_queue *find_queue(const struct cli_explain_facts *f,
                                                  const char *name, bool activities)
{
    for (size_t i = 0; name && i < f->queue_count; i++)
        if (f->queues[i].activities == activities && strcmp(f->queues[i].name, name) == 0)
            return &f->queues[i];
    return NULL;
}

/* What the fleet's workers of a queue do, when that says why none takes a task. */
static void add_workers(const struct cli_explain_facts *f, const struct cli_explain_queue *queue,
                        struct sentence *s)
{
    size_t told = 0, more = 0;
    for (size_t i = 0; i < f->worker_count; i++) {
        const struct cli_explain_worker *w = &f->workers[i];
        if (w->activities != queue->activities || !w->queue || strcmp(w->queue, queue->name) != 0)
            continue;
        const bool busy = w->total > 0 && w->used >= w->total;
        const bool running = strcmp(w->state, "running") == 0;
        if (running && !busy)
            continue;
        if (told == 4) {
            more++;
            continue;
        }
        add(s, "%s", told++ ? ", " : "; ");
        if (running)
            add(s, "%s is busy (%" PRId64 " of %" PRId64 " slots)", w->name, w->used, w->total);
        else if (strcmp(w->state, "lost") == 0)
            add(s, "%s is lost (silent for %s)", w->name, DURATION(w->silent_ms));
        else
            add(s, "%s is %s", w->name, w->state);
    }
    if (more)
        add(s, " and %zu more are like them", more);
}

/* Who polls the queue that a task waits in since waits_ms, or does not. */
static void add_queue(const struct cli_explain_facts *f, const char *name, bool activities,
                      int64_t waits_ms, struct sentence *s)
{
    const struct cli_explain_queue *q = find_queue(f, name, activities);
    if (!q)
        return;
    if (q->refused) {
        add(s, "; the server does not say who polls it (%s)", q->refused);
        add_workers(f, q, s);
        return;
    }
    const int64_t ago_ms = q->last_poll_ms ? f->now_ms - q->last_poll_ms : 0;
    const bool waits = waits_ms > SILENT_WITH_TASKS_MS || q->backlog > 0;
    if (!q->pollers || !q->last_poll_ms) {
        if (q->gone_ms)
            add(s, "; no poller since %s (%s)", CLOCK(q->gone_ms), q->gone);
        else
            add(s, "; no worker polls it");
    } else if (ago_ms > (waits ? SILENT_WITH_TASKS_MS : SILENT_MS)) {
        add(s, "; no poller, the last poll began at %s (%s ago)", CLOCK(q->last_poll_ms),
            DURATION(ago_ms));
    } else {
        add(s, "; %zu worker%s it", q->pollers, q->pollers == 1 ? " polls" : "s poll");
    }
    if (q->backlog > 1)
        add(s, ", about %" PRId64 " tasks are before it or with it", q->backlog);
    if (q->backlog > 1 && q->backlog_age_ms >= 1000)
        add(s, ", the oldest for %s", DURATION(q->backlog_age_ms));
    add_workers(f, q, s);
}

/* What the fleet knows of the worker that has a task. */
static void add_identity(const struct cli_explain_facts *f, const char *identity,
                         struct sentence *s)
{
    if (!said(identity))
        return;
    add(s, " on %s", identity);
    for (size_t i = 0; i < f->worker_count; i++) {
        const struct cli_explain_worker *w = &f->workers[i];
        if (!w->identity || strcmp(w->identity, identity) != 0)
            continue;
        if (strcmp(w->state, "lost") == 0)
            add(s, " (which is lost: silent for %s)", DURATION(w->silent_ms));
        else if (strcmp(w->state, "running") != 0)
            add(s, " (which is %s)", w->state);
        return;
    }
}

/* ---- the workflow task ---- */

static void say_task_failing(const struct cli_explain_facts *f, json_t *out)
{
    const bool changed = strcmp(or (f->task_failure_cause, ""), "NON_DETERMINISTIC_ERROR") == 0;
    struct sentence s = {.len = 0};
    add(&s, "Its workflow task fails again and again (attempt %d): %s", f->task.attempt,
        or (f->task_failure, "no message"));
    if (said(f->task_failure_cause))
        add(&s, " (%s)", f->task_failure_cause);
    if (said(f->task_failure_identity))
        add(&s, ", on %s", f->task_failure_identity);
    add(&s, "; it is tried again until %s.",
        changed ? "the workflow code matches its history" : "it works");
    give(out, "workflow_task_failing", &s);
}

static void say_task(const struct cli_explain_facts *f, json_t *out)
{
    struct sentence s = {.len = 0};
    if (!f->task.pending)
        return;
    if (f->task.attempt > 1) {
        say_task_failing(f, out);
        if (f->task.started || f->task.scheduled_ms > f->now_ms)
            return; /* the worker has it and waits before it tries again, or the server does */
    }
    if (f->task.started) {
        add(&s, "Its workflow task has been running for %s",
            DURATION(f->now_ms - f->task.started_ms));
        add_identity(f, f->task.identity, &s);
        add(&s, ".");
        give(out, "workflow_task_running", &s);
        return;
    }
    if (f->first_task_ms > f->now_ms) {
        say(out, "start_delayed", "It starts at %s, in %s.", CLOCK(f->first_task_ms),
            DURATION(f->first_task_ms - f->now_ms));
        return;
    }
    const char *queue = or (f->task.queue, f->queue);
    const int64_t waits_ms = f->task.scheduled_ms ? f->now_ms - f->task.scheduled_ms : 0;
    add(&s, "Its workflow task waits for a worker on queue %s", queue);
    if (waits_ms > 0)
        add(&s, " since %s (%s)", CLOCK(f->task.scheduled_ms), DURATION(waits_ms));
    add_queue(f, f->queue, false, waits_ms, &s);
    add(&s, ".");
    give(out, "workflow_task_queued", &s);
}

/* ---- activities ---- */

static bool alike(const struct cli_explain_activity *a, const struct cli_explain_activity *b)
{
    return a->state == b->state && strcmp(or (a->type, ""), or (b->type, "")) == 0 &&
           strcmp(or (a->queue, ""), or (b->queue, "")) == 0;
}

/* Of two that wait alike, the one whose wait ends first, or that runs for longest. */
static bool goes_before(const struct cli_explain_activity *a, const struct cli_explain_activity *b)
{
    switch (a->state) {
    case CLI_EXPLAIN_BACKOFF:
        return a->next_attempt_ms < b->next_attempt_ms;
    case CLI_EXPLAIN_RUNNING:
    case CLI_EXPLAIN_CANCELLING:
        return a->started_ms < b->started_ms;
    default:
        return a->scheduled_ms < b->scheduled_ms;
    }
}

static void add_running(const struct cli_explain_facts *f, const struct cli_explain_activity *a,
                        struct sentence *s)
{
    add(s, ": running for %s", DURATION(f->now_ms - a->started_ms));
    add_identity(f, a->identity, s);
    if (a->attempt > 1)
        add(s, ", attempt %d", a->attempt);
    if (a->heartbeat_ms > a->started_ms)
        add(s, ", last heartbeat %s ago", DURATION(f->now_ms - a->heartbeat_ms));
    else
        add(s, ", no heartbeat");
    if (a->state == CLI_EXPLAIN_CANCELLING)
        add(s, "; it has been told to stop");
}

static void say_activity(const struct cli_explain_facts *f, const struct cli_explain_activity *a,
                         size_t count, json_t *out)
{
    static const char *const kinds[] = {"activity_queued", "activity_backoff", "activity_running",
                                        "activity_cancelling", "activity_paused"};
    const int64_t waits_ms = a->scheduled_ms ? f->now_ms - a->scheduled_ms : 0;
    struct sentence s = {.len = 0};
    if (count > 1)
        add(&s, "It waits for %zu activities %s", count, or (a->type, "?"));
    else
        add(&s, "It waits for activity %s", or (a->type, "?"));
    if (said(a->queue))
        add(&s, " on queue %s", a->queue);
    if (count > 1)
        add(&s, "; of %s", a->id);
    switch (a->state) {
    case CLI_EXPLAIN_BACKOFF:
        add(&s, ": attempt %d in %s", a->attempt, DURATION(a->next_attempt_ms - f->now_ms));
        break;
    case CLI_EXPLAIN_QUEUED:
        add(&s, ": attempt %d waits for a worker", a->attempt);
        if (waits_ms > 0)
            add(&s, " since %s (%s)", CLOCK(a->scheduled_ms), DURATION(waits_ms));
        break;
    case CLI_EXPLAIN_RUNNING:
    case CLI_EXPLAIN_CANCELLING:
        add_running(f, a, &s);
        break;
    case CLI_EXPLAIN_PAUSED:
        add(&s, ": paused before attempt %d, until somebody unpauses it", a->attempt);
    }
    if (a->attempts_max > 0 && a->attempt > 1)
        add(&s, " (of %d)", a->attempts_max);
    if (said(a->failure) && a->attempt > 1)
        add(&s, ", after \"%s\"", a->failure);
    if (a->state == CLI_EXPLAIN_QUEUED || a->state == CLI_EXPLAIN_BACKOFF)
        add_queue(f, a->queue, true, a->state == CLI_EXPLAIN_QUEUED ? waits_ms : 0, &s);
    add(&s, ".");
    give(out, kinds[a->state], &s);
}

static void say_activities(const struct cli_explain_facts *f, json_t *out)
{
    for (size_t i = 0; i < f->activity_count; i++) {
        const struct cli_explain_activity *first = &f->activities[i];
        size_t count = 0;
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = alike(&f->activities[k], first);
        for (size_t k = i; !seen && k < f->activity_count; k++) {
            if (!alike(&f->activities[k], &f->activities[i]))
                continue;
            count++;
            if (goes_before(&f->activities[k], first))
                first = &f->activities[k];
        }
        if (!seen)
            say_activity(f, first, count, out);
    }
}

/* ---- the rest ---- */

static void say_timers(const struct cli_explain_facts *f, json_t *out)
{
    struct sentence s = {.len = 0};
    if (!f->timer_count)
        return;
    add(&s, "It waits for %s", f->timer_count > 1 ? "timers" : "a timer");
    for (size_t i = 0; i < f->timer_count && i < TIMERS_MAX; i++) {
        const int64_t left_ms = f->timers[i].fires_ms - f->now_ms;
        add(&s, "%s %s", i ? "," : ":", f->timers[i].id);
        if (left_ms > 0)
            add(&s, " fires in %s (%s)", DURATION(left_ms), CLOCK(f->timers[i].fires_ms));
        else
            add(&s, " is due since %s", DURATION(-left_ms));
    }
    if (f->timer_count > TIMERS_MAX)
        add(&s, " and %zu more", f->timer_count - TIMERS_MAX);
    add(&s, ".");
    give(out, "timer", &s);
}

static void say_children(const struct cli_explain_facts *f, json_t *out)
{
    struct sentence s = {.len = 0};
    if (!f->child_count)
        return;
    add(&s, "It waits for %s:", f->child_count > 1 ? "child workflows" : "a child workflow");
    for (size_t i = 0; i < f->child_count && i < CHILDREN_MAX; i++)
        add(&s, "%s %s (%s)", i ? "," : "", f->children[i].workflow_id, f->children[i].type);
    if (f->child_count > CHILDREN_MAX)
        add(&s, " and %zu more", f->child_count - CHILDREN_MAX);
    add(&s, "; flotilla explain %s says why that one does not end.", f->children[0].workflow_id);
    give(out, "child", &s);
}

static void say_waits(const struct cli_explain_facts *f, json_t *out)
{
    say_task(f, out);
    say_activities(f, out);
    say_children(f, out);
    say_timers(f, out);
    if (f->external_count)
        say(out, "external",
            "It waits for the answer to %zu signal%s or cancel request%s that it sent to other "
            "workflows.",
            f->external_count, f->external_count > 1 ? "s" : "", f->external_count > 1 ? "s" : "");
}

json_t *cli_explain_reasons(const struct cli_explain_facts *f)
{
    json_t *out = json_array();
    if (f->trouble != CLI_EXPLAIN_FOUND) {
        say_trouble(f, out);
        return out;
    }
    if (f->status >= CLI_EXPLAIN_COMPLETED && f->status <= CLI_EXPLAIN_TIMED_OUT) {
        say_closed(f, out);
        return out;
    }
    if (f->status == CLI_EXPLAIN_WF_PAUSED)
        say(out, "paused", "It is paused, until somebody unpauses it.");
    say_waits(f, out);
    if (json_array_size(out) == 0)
        say(out, "signal",
            "Nothing is pending: it waits for a signal or an update from outside%s%s%s%s.",
            said(f->last_event) ? "; the newest event is " : "", or (f->last_event, ""),
            f->last_event_ms ? " at " : "", f->last_event_ms ? CLOCK(f->last_event_ms) : "");
    if (f->cancel_requested)
        say(out, "cancel_requested",
            "It has been asked to cancel and has not ended yet: its code decides how it does.");
    say_poison(f, out);
    return out;
}

/* ---- news ---- */

static bool is_unit(const char *word, size_t len)
{
    static const char *const units[] = {"ms", "s", "min", "h", "days"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strlen(units[i]) == len && strncmp(units[i], word, len) == 0)
            return true;
    return false;
}

/* The next word that is no number and no unit of one; *len 0 at the end. */
static const char *next_word(const char *text, size_t *len)
{
    static const char *const between = " ,;:.()";
    bool number = false;
    for (;; text += *len) {
        text += strspn(text, between);
        *len = strcspn(text, between);
        if (*len == 0 || !((*text >= '0' && *text <= '9') || (number && is_unit(text, *len))))
            return text;
        number = *text >= '0' && *text <= '9';
    }
}

bool cli_explain_same(const char *a, const char *b)
{
    size_t a_len, b_len;
    for (;; a += a_len, b += b_len) {
        a = next_word(a, &a_len);
        b = next_word(b, &b_len);
        if (a_len != b_len || strncmp(a, b, a_len) != 0)
            return false;
        if (a_len == 0)
            return true;
    }
}
