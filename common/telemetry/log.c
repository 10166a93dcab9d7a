/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - one write(2) a line, from a buffer on the stack, so that lines of threads and processes
 * that share stderr do not mix and logging needs no memory.
 *
 * The rate limit is a small open-addressed table of events with a window of one second each, under
 * one mutex that is held for a few instructions, never across the write. When the table is full,
 * unknown events share one entry.
 */
#include "telemetry/log.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 8192
#define VALUE_MAX_BYTES 1024
#define ID_MAX_BYTES 128
#define LINES_PER_SECOND 10
#define EVENTS 128 /* power of two */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    size_t start; /* behind the priority */
};

struct event_rate {
    char event[64];
    int64_t window_start_ns;
    uint32_t lines;      /* written in the window */
    uint32_t suppressed; /* since the last line written */
};

static struct {
    atomic_int own_level;
    atomic_int *level; /* own_level, or a page that processes share */
    atomic_int fd;
    enum flo_log_format format;
    bool journal; /* lines begin with a priority */
    const char *program;
    pthread_mutex_t mu;
    struct event_rate rates[EVENTS]; /* guarded by mu */
} logger = {.own_level = FLO_LOG_INFO,
            .level = &logger.own_level,
            .fd = STDERR_FILENO,
            .mu = PTHREAD_MUTEX_INITIALIZER};

/* The last warnings and errors. */
static struct {
    pthread_mutex_t mu;
    struct flo_log_trouble last[FLO_LOG_TROUBLES]; /* guarded by mu, as the rest */
    size_t count;                                  /* since the start */
} troubles = {.mu = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};

const char *flo_log_level_name(enum flo_log_level level)
{
    return level_names[level];
}

static int index_of(const char *text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

bool flo_log_level_parse(const char *text, enum flo_log_level *out)
{
    int i = index_of(text, level_names, (int)(sizeof level_names / sizeof level_names[0]));
    if (i >= 0)
        *out = (enum flo_log_level)i;
    return i >= 0;
}

bool flo_log_format_parse(const char *text, enum flo_log_format *out)
{
    static const char *const names[] = {"auto", "json", "text", "logfmt"};
    int i = index_of(text, names, (int)(sizeof names / sizeof names[0]));
    if (i >= 0)
        *out = (enum flo_log_format)i;
    return i >= 0;
}

/* Is stderr what JOURNAL_STREAM ("DEVICE:INODE") says is the journal's? A program that was given
 * the variable with an environment, and a stderr of its own, must not write priorities. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[64];
    if (!stream || fstat(STDERR_FILENO, &st))
        return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(stream, own) == 0;
}

void flo_log_share_level(void)
{
    void *page =
        mmap(NULL, sizeof *logger.level, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || logger.level != &logger.own_level)
        return;
    logger.level = page;
    atomic_init(logger.level, atomic_load(&logger.own_level));
}

void flo_log_open(enum flo_log_level level, enum flo_log_format format, const char *program)
{
    if (format == FLO_LOG_AUTO) {
        const char *auto_ = getenv("FLOTILLA_LOG_AUTO");
        const bool text = auto_ && strcmp(auto_, "text") == 0;
        format = text || isatty(STDERR_FILENO) ? FLO_LOG_TEXT : FLO_LOG_JSON;
    }
    logger.format = format;
    logger.journal = is_journal();
    logger.program = program;
    flo_log_set_level(level);
}

bool flo_log_is_text(void)
{
    return logger.format == FLO_LOG_TEXT;
}

void flo_log_set_level(enum flo_log_level level)
{
    atomic_store_explicit(logger.level, (int)level, memory_order_relaxed);
}

bool flo_log_enabled(enum flo_log_level level)
{
    return (int)level >= atomic_load_explicit(logger.level, memory_order_relaxed);
}

void flo_log_set_fd(int fd)
{
    atomic_store(&logger.fd, fd < 0 ? STDERR_FILENO : fd);
    pthread_mutex_lock(&logger.mu);
    memset(logger.rates, 0, sizeof logger.rates);
    pthread_mutex_unlock(&logger.mu);
}

struct flo_num_text flo_num_text_i64(int64_t value)
{
    struct flo_num_text num;
    snprintf(num.text, sizeof num.text, "%lld", (long long)value);
    return num;
}

struct flo_num_text flo_num_text_f64(double value)
{
    struct flo_num_text num;
    snprintf(num.text, sizeof num.text, "%.6g", isfinite(value) ? value : 0);
    return num;
}

/* May this line of event pass? *out_suppressed: lines held back before it. */
static bool rate_allows(const char *event, int64_t now_ns, uint32_t *out_suppressed)
{
    pthread_mutex_lock(&logger.mu);
    size_t len = strnlen(event, sizeof logger.rates[0].event - 1);
    size_t at = flo_hash(event, len) & (EVENTS - 1);
    for (size_t probes = 0; probes < 8; probes++, at = (at + 1) & (EVENTS - 1)) {
        struct event_rate *rate = &logger.rates[at];
        if (!rate->event[0]) {
            memcpy(rate->event, event, len);
            break;
        }
        if (strncmp(rate->event, event, len) == 0 && !rate->event[len])
            break;
    }
    struct event_rate *rate = &logger.rates[at];
    if (rate->lines == 0 || now_ns - rate->window_start_ns >= FLO_NS_PER_S) {
        rate->window_start_ns = now_ns;
        rate->lines = 0;
    }
    bool allowed = rate->lines < LINES_PER_SECOND;
    if (allowed) {
        rate->lines++;
        *out_suppressed = rate->suppressed;
        rate->suppressed = 0;
    } else {
        rate->suppressed++;
    }
    pthread_mutex_unlock(&logger.mu);
    return allowed;
}

/* Room is kept for the closing brace and newline. */
static void put(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof line->text - 2 - line->len;
    if (len > room)
        len = room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_str(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Escape as a JSON string's inside; bytes that are not UTF-8 become U+FFFD. */
static void put_cut(struct line *line, const char *text, size_t most)
{
    size_t len = strnlen(text, most + 4);
    if (len > most)
        len = flo_utf8_cut(text, len, most);
    bool valid = flo_utf8_valid(text, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            put(line, escape, 2);
        } else if (c == '\n' || c == '\t' || c == '\r') {
            put(line, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r", 2);
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            put_str(line, escape);
        } else if (c >= 0x80 && !valid) {
            put_str(line, "\xef\xbf\xbd");
        } else {
            put(line, (const char *)&text[i], 1);
        }
    }
}

static void put_escaped(struct line *line, const char *text)
{
    put_cut(line, text, VALUE_MAX_BYTES);
}

/* How much of the value of key is written. */
static size_t most_of(const char *key)
{
    const char *last = strrchr(key, '_');
    return last && (strcmp(last, "_id") == 0 || strcmp(last, "_identity") == 0) ? ID_MAX_BYTES
                                                                                : VALUE_MAX_BYTES;
}

static bool is_number(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len < 32 && strspn(text, "0123456789+-.e") == len &&
           (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
}

static void put_pair_json(struct line *line, const char *key, const char *value)
{
    size_t start = line->len;
    bool number = key[0] == '#';
    put_str(line, ",\"");
    put_escaped(line, key + number);
    put_str(line, "\":");
    if (!value) {
        put_str(line, "null");
    } else if (number && is_number(value)) {
        put_str(line, value);
    } else {
        put_str(line, "\"");
        put_cut(line, value, most_of(key));
        put_str(line, "\"");
    }
    if (line->len >= sizeof line->text - 2)
        line->len = start; /* full: left out whole, as half a pair would not be JSON */
}

static void put_pair_text(struct line *line, const char *key, const char *value)
{
    if (line->len > line->start)
        put_str(line, " ");
    put_escaped(line, key + (key[0] == '#'));
    put_str(line, "=");
    bool plain = value && value[0] && !strpbrk(value, " \"=\\\n\t\r");
    if (!plain)
        put_str(line, "\"");
    put_cut(line, value ? value : "", most_of(key));
    if (!plain)
        put_str(line, "\"");
}

/* What systemd takes off the front of a line: syslog's priorities. */
static void put_priority(struct line *line, enum flo_log_level level)
{
    static const char *const priorities[] = {"<7>", "<7>", "<6>", "<4>", "<3>"};
    if (logger.journal)
        put_str(line, priorities[level]);
    line->start = line->len;
}

static void put_pair(struct line *line, const char *key, const char *value)
{
    if (logger.format == FLO_LOG_TEXT || logger.format == FLO_LOG_LOGFMT)
        put_pair_text(line, key, value);
    else
        put_pair_json(line, key, value);
}

static void put_head(struct line *line, enum flo_log_level level, const char *event,
                     const char *message)
{
    char ts[32];
    put_priority(line, level);
    flo_clock_rfc3339(flo_clock_wall_ns(), ts, sizeof ts);
    if (logger.format == FLO_LOG_TEXT) {
        put_str(line, ts);
        char name[8];
        snprintf(name, sizeof name, " %-5s ", level_names[level]);
        put_str(line, name);
        put_escaped(line, message);
        put_pair_text(line, "event", event);
        return;
    }
    if (logger.format == FLO_LOG_LOGFMT) {
        put_str(line, "ts=");
        put_str(line, ts);
        put_pair_text(line, "level", level_names[level]);
    } else {
        put_str(line, "{\"ts\":\"");
        put_str(line, ts);
        put_str(line, "\",\"level\":\"");
        put_str(line, level_names[level]);
        put_str(line, "\"");
    }
    put_pair(line, "event", event);
    put_pair(line, "msg", message);
    if (logger.program)
        put_pair(line, "logger", logger.program);
}

static void write_line(struct line *line)
{
    if (logger.format != FLO_LOG_TEXT && logger.format != FLO_LOG_LOGFMT)
        line->text[line->len++] = '}';
    line->text[line->len++] = '\n';
    int fd = atomic_load_explicit(&logger.fd, memory_order_relaxed);
    size_t done = 0;
    while (done < line->len) {
        ssize_t n = write(fd, line->text + done, line->len - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            return; /* a full or closed pipe must not stop the program */
    }
}

static void log_line(enum flo_log_level level, const char *event, const char *message,
                     uint32_t suppressed, va_list pairs)
{
    int saved_errno = errno;
    struct line line;
    line.len = 0;
    put_head(&line, level, event, message);
    for (const char *key; (key = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        put_pair(&line, key, value);
    }
    if (suppressed)
        put_pair(&line, "#suppressed", FLO_NUM(suppressed));
    write_line(&line);
    errno = saved_errno;
}

static void copy_text(char *out, size_t size, const char *text)
{
    size_t len = text ? strnlen(text, size + 3) : 0;

    if (len >= size)
        len = flo_utf8_cut(text, len, size - 1);
    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
}

static void keep_trouble(enum flo_log_level level, const char *event, const char *message,
                         va_list pairs)
{
    const char *reason = NULL;
    for (const char *key; (key = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        if (strcmp(key, "reason") == 0)
            reason = value;
    }
    pthread_mutex_lock(&troubles.mu);
    struct flo_log_trouble *trouble = &troubles.last[troubles.count++ % FLO_LOG_TROUBLES];
    trouble->ts_ns = flo_clock_wall_ns();
    trouble->level = level;
    copy_text(trouble->event, sizeof trouble->event, event);
    copy_text(trouble->message, sizeof trouble->message, message);
    copy_text(trouble->reason, sizeof trouble->reason, reason);
    pthread_mutex_unlock(&troubles.mu);
}

size_t flo_log_troubles(struct flo_log_trouble *out, size_t room)
{
    pthread_mutex_lock(&troubles.mu);
    size_t kept = troubles.count < FLO_LOG_TROUBLES ? troubles.count : FLO_LOG_TROUBLES;
    if (kept > room)
        kept = room;
    for (size_t i = 0; i < kept; i++)
        out[i] = troubles.last[(troubles.count - 1 - i) % FLO_LOG_TROUBLES];
    pthread_mutex_unlock(&troubles.mu);
    return kept;
}

void flo_log(enum flo_log_level level, const char *event, const char *message, ...)
{
    uint32_t suppressed = 0;
    if (!flo_log_enabled(level) || !rate_allows(event, flo_clock_mono_ns(), &suppressed))
        return;
    va_list ap;
    if (level >= FLO_LOG_WARN) {
        va_start(ap, message);
        keep_trouble(level, event, message, ap);
        va_end(ap);
    }
    va_start(ap, message);
    log_line(level, event, message, suppressed, ap);
    va_end(ap);
}

void flo_log_last_words(const char *event, const char *message, ...)
{
    va_list ap;
    va_start(ap, message);
    log_line(FLO_LOG_ERROR, event, message, 0, ap);
    va_end(ap);
}
