/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - bar or lines, and the server's absence. */
#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR 30
#define LINES_FROM 100 /* fewer: no line for each tenth */
#define REDRAW_NS (50 * FLO_NS_PER_MS)
/* A timer of the loop may be so early: its clock is coarse. */
#define EARLY_NS (20 * FLO_NS_PER_MS)
/* A connection that is replaced at once is not worth a line. */
#define BLINK_MS 1000

static void arm(struct event *timer, int64_t ms)
{
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    evtimer_add(timer, &tv);
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)FLO_NS_PER_S;
}

void cli_progress_say(struct cli_progress *progress, const char *format, ...)
{
    va_list args;
    if (progress->bar)
        fputc('\n', stderr);
    progress->bar = false;
    fputs("flotilla: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- how far it is ---- */

static void draw_bar(struct cli_progress *progress, int64_t now)
{
    const size_t total = progress->options.total, filled = progress->ended * BAR / total;
    char bar[BAR + 1];
    memset(bar, '.', BAR);
    memset(bar, '#', filled);
    bar[BAR] = '\0';
    progress->bar = progress->ended < total;
    progress->last_shown_ns = now;
    fprintf(stderr, "\r[%s] %zu/%zu  %.1f s %s", bar, progress->ended, total,
            seconds(now - progress->began_ns), progress->bar ? "" : "\n");
}

static void print_line(struct cli_progress *progress, int64_t now)
{
    const int64_t still_ns = now - progress->last_end_ns + EARLY_NS;
    fprintf(stderr, "%zu/%zu %s, %.1f s", progress->ended, progress->options.total,
            progress->options.what, seconds(now - progress->began_ns));
    if (still_ns / FLO_NS_PER_MS >= progress->options.every_ms)
        fprintf(stderr, ", none for %.1f s", seconds(still_ns - EARLY_NS));
    fputc('\n', stderr);
    progress->last_shown_ns = now;
}

void cli_progress_ended(struct cli_progress *progress)
{
    const size_t total = progress->options.total;
    const int64_t now = flo_clock_mono_ns();
    progress->ended++;
    progress->last_end_ns = now;
    if (!progress->options.show)
        return;
    if (progress->terminal) {
        if (progress->ended == total || now - progress->last_shown_ns >= REDRAW_NS)
            draw_bar(progress, now);
        return;
    }
    unsigned tenths = (unsigned)(progress->ended * 10 / total);
    if (tenths == progress->shown_tenths || (total < LINES_FROM && progress->ended < total))
        return;
    progress->shown_tenths = tenths;
    print_line(progress, now);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct cli_progress *progress = ctx;
    const struct cli_progress_options *options = &progress->options;
    const int64_t now = flo_clock_mono_ns(), half_ns = options->every_ms * FLO_NS_PER_MS / 2;
    const int64_t shown_ns = now - progress->last_shown_ns + EARLY_NS;
    (void)fd, (void)what;
    if (options->show && progress->terminal && progress->ended < options->total)
        draw_bar(progress, now);
    else if (options->show && !progress->terminal && shown_ns >= 2 * half_ns)
        print_line(progress, now);
    arm(progress->tick, (options->every_ms + 1) / 2);
    if (options->on_still && !progress->away_since_ns &&
        now - progress->last_end_ns + EARLY_NS >= half_ns)
        options->on_still(options->ctx);
}

/* ---- the server's absence ---- */

static void on_away(evutil_socket_t fd, short what, void *ctx)
{
    struct cli_progress *progress = ctx;
    const int64_t limit_ms = progress->options.away_ms;
    const int64_t past_ms = (flo_clock_mono_ns() - progress->away_since_ns) / FLO_NS_PER_MS;
    (void)fd, (void)what;
    if (!progress->said_away) {
        progress->said_away = true;
        cli_progress_say(progress, "the server at %s went away: %s; waiting up to %.1f s for it",
                         progress->session->address, progress->session->reason,
                         (double)limit_ms / 1000);
    }
    if (past_ms < limit_ms) {
        arm(progress->away, limit_ms - past_ms);
        return;
    }
    cli_progress_say(progress, "the server at %s has been away for %.1f s: giving up",
                     progress->session->address, (double)past_ms / 1000);
    if (progress->options.on_give_up)
        progress->options.on_give_up(progress->options.ctx);
}

static void on_state(void *ctx, bool connected)
{
    struct cli_progress *progress = ctx;
    const int64_t now = flo_clock_mono_ns(), limit_ms = progress->options.away_ms;
    if (!connected) {
        if (progress->away_since_ns)
            return;
        progress->away_since_ns = now;
        arm(progress->away, limit_ms < BLINK_MS ? limit_ms : BLINK_MS);
        return;
    }
    if (progress->said_away)
        cli_progress_say(progress, "the server at %s is back after %.1f s",
                         progress->session->address, seconds(now - progress->away_since_ns));
    progress->said_away = false;
    progress->away_since_ns = 0;
    evtimer_del(progress->away);
}

/* ---- making ---- */

bool cli_progress_init(struct cli_progress *progress, struct cli_session *session,
                       const struct cli_progress_options *options)
{
    const int64_t now = flo_clock_mono_ns();
    *progress = (struct cli_progress){.session = session,
                                      .options = *options,
                                      .began_ns = now,
                                      .last_end_ns = now,
                                      .last_shown_ns = now,
                                      .terminal = isatty(STDERR_FILENO)};
    if (progress->options.every_ms <= 0)
        progress->options.every_ms = CLI_PROGRESS_EVERY_MS;
    if (progress->options.away_ms < 0)
        progress->options.away_ms = CLI_PROGRESS_AWAY_MS;
    progress->tick = evtimer_new(session->base, on_tick, progress);
    progress->away = evtimer_new(session->base, on_away, progress);
    if (!progress->tick || !progress->away)
        return false;
    arm(progress->tick, (progress->options.every_ms + 1) / 2);
    session->on_state = on_state;
    session->on_state_ctx = progress;
    return true;
}

void cli_progress_fini(struct cli_progress *progress)
{
    if (!progress->session)
        return;
    if (progress->bar)
        fputc('\n', stderr);
    progress->bar = false;
    progress->session->on_state = NULL;
    if (progress->tick)
        event_free(progress->tick);
    if (progress->away)
        event_free(progress->away);
    progress->session = NULL;
}
