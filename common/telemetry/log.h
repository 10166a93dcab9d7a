/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the structured log: one line an event on stderr, JSON in containers, text on a terminal.
 *
 *   flo_log(FLO_LOG_INFO, "worker.started", "Worker started",
 *           "namespace", ns, "task_queue", queue, "#slots", FLO_NUM(slots), NULL);
 *
 * Each line has ts (RFC 3339, UTC, microseconds), level, event (a stable dotted name that alerts
 * may match), msg, then the given pairs. A key that begins with '#' carries a number, written
 * without quotes (and without the '#'). Values are escaped and cut at 1 KiB each, ids (keys that
 * end in "_id" or "_identity") at 128 bytes, the line at 8 KiB. When stderr is the journal's, as
 * JOURNAL_STREAM says, each line begins with its priority for systemd, as "<6>". Payloads, keys and
 * tokens are never logged. At most 10 lines a second for each event (errors too); the next line
 * that passes says how many were `suppressed`.
 *
 * Programs log; libraries return errors. Any thread may call flo_log.
 */
#ifndef FLO_TELEMETRY_LOG_H
#define FLO_TELEMETRY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/log.h"

enum flo_log_format {
    /* Text when stderr is a terminal, or is on its way to one, as whoever started us says by
     * FLOTILLA_LOG_AUTO=text; else JSON. */
    FLO_LOG_AUTO,
    FLO_LOG_JSON,
    FLO_LOG_TEXT,   /* for people: time, level, message, then key=value pairs */
    FLO_LOG_LOGFMT, /* key=value pairs only, those of JSON in the same order */
};

/* Choose level and format; before the first call: INFO, AUTO. program (borrowed for ever, may be
 * NULL) is put into each line as "logger". Call before threads start. */
void flo_log_open(enum flo_log_level level, enum flo_log_format format, const char *program);
/* Keep the level where processes that are forked from now on see its changes. Before they are. */
void flo_log_share_level(void);
/* Are lines text, since flo_log_open? */
bool flo_log_is_text(void);
/* Change the level while running. Any thread. */
void flo_log_set_level(enum flo_log_level level);
/* Would a line of this level be written? For skipping costly arguments. */
bool flo_log_enabled(enum flo_log_level level);

/* Write one line. Key/value pairs of C strings end with NULL; a NULL value is written as null. */
void flo_log(enum flo_log_level level, const char *event, const char *message, ...)
    __attribute__((sentinel));

/* The same as an error, for signal handlers of a process that dies: takes no lock, waits for
 * nobody, is never held back. Needs 10 KiB of stack. */
void flo_log_last_words(const char *event, const char *message, ...) __attribute__((sentinel));

/* "info"; and back: false when text names no level. */
const char *flo_log_level_name(enum flo_log_level level);
bool flo_log_level_parse(const char *text, enum flo_log_level *out);
/* "auto", "json", "text", "logfmt"; false: another. */
bool flo_log_format_parse(const char *text, enum flo_log_format *out);

/* A number as text that lives until the end of the full expression: for '#' keys. */
struct flo_num_text {
    char text[32];
};
struct flo_num_text flo_num_text_i64(int64_t value);
struct flo_num_text flo_num_text_f64(double value);
#define FLO_NUM(value) (flo_num_text_i64((int64_t)(value)).text)
#define FLO_NUM_F(value) (flo_num_text_f64(value).text)

/* The last warnings and errors, newest first: copies into out, at most room; how many. Any thread.
 */
struct flo_log_trouble {
    int64_t ts_ns; /* wall clock */
    enum flo_log_level level;
    char event[64], message[160], reason[160]; /* reason: of the line's key "reason", or "" */
};
#define FLO_LOG_TROUBLES 16
size_t flo_log_troubles(struct flo_log_trouble *out, size_t room);

/* Test seam: lines go to fd instead of stderr (-1: back to stderr). */
void flo_log_set_fd(int fd);

#endif
