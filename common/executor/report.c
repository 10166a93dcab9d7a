/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the worker's side of a death: from record, output and symbols to texts. crash.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "executor/crash.h"

#define DETAILS_MAX (64u << 10)
#define OUTPUT_LINES 20

/* ---- JSON ---- */

/* A string; bytes that are no UTF-8 become '?'. */
static void json_string(struct flo_buf *out, const char *text, size_t len)
{
    (void)!flo_buf_append_str(out, "\"");
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = 1;
        if (c >= 0x80) {
            while (n < 4 && i + n < len && ((unsigned char)text[i + n] & 0xc0) == 0x80)
                n++;
            if (flo_utf8_valid(text + i, n))
                (void)!flo_buf_append(out, text + i, n);
            else
                (void)!flo_buf_append_str(out, "?");
        } else if (c == '"' || c == '\\') {
            (void)!flo_buf_printf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            (void)!flo_buf_printf(out, "\\u%04x", c);
        } else {
            (void)!flo_buf_append(out, text + i, 1);
        }
        i += n;
    }
    (void)!flo_buf_append_str(out, "\"");
}

static void json_key(struct flo_buf *out, const char *key)
{
    char last = out->len ? (char)out->data[out->len - 1] : '{';

    (void)!flo_buf_printf(out, "%s\"%s\": ", last == '{' ? "" : ", ", key);
}

static void json_text(struct flo_buf *out, const char *key, const char *value)
{
    json_key(out, key);
    json_string(out, value, strlen(value));
}

/* ---- frames ---- */

const char *flo_crash_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void flo_crash_symbol_print(const struct flo_crash_symbol *symbol, struct flo_buf *json,
                            struct flo_buf *text)
{
    (void)!flo_buf_append_str(json, json->len > 1 ? ", {" : "{");
    if (symbol->function)
        json_text(json, "function", symbol->function);
    if (symbol->file)
        json_text(json, "file", symbol->file);
    if (symbol->file && symbol->line > 0) {
        json_key(json, "line");
        (void)!flo_buf_printf(json, "%d", symbol->line);
    }
    if (symbol->module)
        json_text(json, "module", symbol->module);
    json_key(json, "offset");
    (void)!flo_buf_printf(json, "\"0x%" PRIx64 "\"}", symbol->offset);

    (void)!flo_buf_printf(text, "%s at ", symbol->function ? symbol->function : "?");
    if (symbol->file)
        (void)!flo_buf_printf(text, "%s:%d (%s)\n", symbol->file, symbol->line,
                              symbol->module ? symbol->module : "?");
    else
        (void)!flo_buf_printf(text, "%s+0x%" PRIx64 "\n", symbol->module ? symbol->module : "?",
                              symbol->offset);
}

void flo_crash_record_check(struct flo_crash_record *record)
{
    if (record->frames > FLO_CRASH_FRAMES)
        record->frames = FLO_CRASH_FRAMES;
    record->names[0] = '\0';
    record->names[sizeof record->names - 1] = '\0';
    for (uint32_t i = 0; i < record->frames; i++)
        if (record->frame[i].name >= sizeof record->names)
            record->frame[i].name = 0;
    if (record->signal < 0 || record->signal > SIGRTMAX)
        record->signal = 0;
}

/* Without a process that names them: module and offset. */
static void print_bare_frames(const struct flo_crash_record *record, struct flo_buf *json,
                              struct flo_buf *text)
{
    for (uint32_t i = 0; i < record->frames; i++) {
        const struct flo_crash_frame *frame = &record->frame[i];
        const char *name = record->names + frame->name;
        const struct flo_crash_symbol symbol = {.module = *name ? flo_crash_base_name(name) : NULL,
                                                .offset =
                                                    *name ? frame->pc - frame->bias : frame->pc};
        flo_crash_symbol_print(&symbol, json, text);
    }
}

static void print_backtrace(const struct flo_crash_facts *facts, struct flo_buf *details,
                            struct flo_buf *stack)
{
    const char *json = facts->symbols, *end = NULL, *text = NULL;
    struct flo_buf bare;

    if (json && facts->symbols_len > 0 && json[facts->symbols_len - 1] == '\0') {
        end = memchr(json, '\0', facts->symbols_len);
        text = end + 1 < json + facts->symbols_len ? end + 1 : NULL;
    }
    json_key(details, "backtrace");
    if (text) {
        (void)!flo_buf_append(details, json, (size_t)(end - json));
        (void)!flo_buf_append_str(stack, text);
        return;
    }
    flo_buf_init(&bare, DETAILS_MAX);
    (void)!flo_buf_append_str(&bare, "[");
    print_bare_frames(facts->record, &bare, stack);
    (void)!flo_buf_append_str(&bare, "]");
    (void)!flo_buf_append(details, bare.failed ? (const void *)"[]" : bare.data,
                          bare.failed ? 2 : bare.len);
    flo_buf_fini(&bare);
}

/* ---- the rest ---- */

struct code_name {
    int signal, code;
    const char *name;
};

static const char *code_name(int signal, int code)
{
    static const struct code_name names[] = {
        {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR"},
        {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR"},
        {SIGBUS, BUS_ADRALN, "BUS_ADRALN"},
        {SIGBUS, BUS_ADRERR, "BUS_ADRERR"},
        {SIGBUS, BUS_OBJERR, "BUS_OBJERR"},
        {SIGILL, ILL_ILLOPC, "ILL_ILLOPC"},
        {SIGILL, ILL_ILLOPN, "ILL_ILLOPN"},
        {SIGILL, ILL_PRVOPC, "ILL_PRVOPC"},
        {SIGFPE, FPE_INTDIV, "FPE_INTDIV"},
        {SIGFPE, FPE_INTOVF, "FPE_INTOVF"},
        {SIGFPE, FPE_FLTDIV, "FPE_FLTDIV"},
        {SIGFPE, FPE_FLTINV, "FPE_FLTINV"},
        {SIGTRAP, TRAP_BRKPT, "TRAP_BRKPT"},
        {SIGTRAP, TRAP_TRACE, "TRAP_TRACE"},
        {0, SI_USER, "SI_USER"},
        {0, SI_TKILL, "SI_TKILL"},
        {0, SI_QUEUE, "SI_QUEUE"},
        {0, SI_KERNEL, "SI_KERNEL"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((names[i].signal == 0 || names[i].signal == signal) && names[i].code == code)
            return names[i].name;
    return NULL;
}

/*
 * The limit that it died of. A failed allocation kills nobody by itself: what tells is that the
 * last error was ENOMEM, or that nearly all of the limit is in use.
 */
static enum flo_job_limit limit_of(const struct flo_crash_facts *facts, int signal)
{
    const struct flo_crash_record *record = facts->record;
    int64_t memory = facts->limits->memory_bytes;

    if (signal == SIGXCPU && facts->limits->cpu_ms > 0)
        return FLO_JOB_LIMIT_CPU;
    if (memory > 0 && record->kind != FLO_CRASH_NONE && signal != SIGXCPU &&
        (record->error == ENOMEM || record->data_bytes > (uint64_t)memory / 100 * 95))
        return FLO_JOB_LIMIT_MEMORY;
    return FLO_JOB_LIMIT_NONE;
}

static void print_limit(const struct flo_crash_facts *facts, enum flo_job_limit limit,
                        struct flo_buf *out)
{
    if (limit == FLO_JOB_LIMIT_CPU)
        (void)!flo_buf_printf(out, ": it used up its CPU limit of %" PRId64 " s",
                              (facts->limits->cpu_ms + 999) / 1000);
    if (limit == FLO_JOB_LIMIT_MEMORY)
        (void)!flo_buf_printf(out,
                              ": an allocation failed under the memory limit of %" PRId64 " MiB",
                              (facts->limits->memory_bytes + (1 << 20) - 1) >> 20);
}

static void print_message(const struct flo_crash_facts *facts, int signal, enum flo_job_limit limit,
                          struct flo_buf *out)
{
    const struct flo_crash_record *record = facts->record;
    const char *abbreviation = signal ? sigabbrev_np(signal) : NULL;
    bool fault = record->kind == FLO_CRASH_SIGNAL && record->code > 0 && record->code != SI_KERNEL;

    (void)!flo_buf_append_str(out, "Activity executor died: ");
    if (signal) {
        (void)!flo_buf_printf(out, "signal %d (SIG%s)", signal, abbreviation ? abbreviation : "?");
        if (fault && (signal == SIGSEGV || signal == SIGBUS))
            (void)!flo_buf_printf(out, " at address 0x%" PRIx64, record->address);
        if (facts->garbled)
            (void)!flo_buf_append_str(out,
                                      ", for sending what is no answer: is its memory intact?");
        else if (signal == SIGKILL)
            (void)!flo_buf_append_str(out, ", from outside or by the system when out of memory");
    } else {
        (void)!flo_buf_printf(out, "it exited with status %d while the activity ran",
                              WEXITSTATUS(facts->status));
        if (record->kind == FLO_CRASH_SANITIZER)
            (void)!flo_buf_append_str(out, ", ended by a sanitizer");
    }
    print_limit(facts, limit, out);
}

/* The last lines, without a first one that was cut off. */
static void print_output(const char *text, size_t len, struct flo_buf *out)
{
    const char *end = text + len, *line;
    size_t lines = 0;
    bool first = true;

    while (end > text && end[-1] == '\n')
        end--;
    for (line = end; line > text; line--)
        if (line[-1] == '\n' && ++lines == OUTPUT_LINES)
            break;
    json_key(out, "output");
    (void)!flo_buf_append_str(out, "[");
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);
        if (!first)
            (void)!flo_buf_append_str(out, ", ");
        json_string(out, line, n);
        first = false;
        line += n + 1;
    }
    (void)!flo_buf_append_str(out, "]");
}

static void print_details(const struct flo_crash_facts *facts, int signal, enum flo_job_limit limit,
                          struct flo_crash_report *report)
{
    const struct flo_crash_record *record = facts->record;
    bool known = record->kind == FLO_CRASH_SIGNAL && signal == record->signal;
    const char *abbreviation = signal ? sigabbrev_np(signal) : NULL;
    struct flo_buf *out = &report->details;
    char text[40];

    (void)!flo_buf_append_str(out, "{");
    if (signal) {
        snprintf(text, sizeof text, "SIG%s", abbreviation ? abbreviation : "?");
        json_text(out, "signal", text);
        json_key(out, "signal_number");
        (void)!flo_buf_printf(out, "%d", signal);
        snprintf(text, sizeof text, "%d", record->code);
        if (known)
            json_text(out, "code",
                      code_name(signal, record->code) ? code_name(signal, record->code) : text);
        snprintf(text, sizeof text, "0x%" PRIx64, record->address);
        if (known && record->code > 0)
            json_text(out, "address", text);
    } else {
        json_key(out, "exit_status");
        (void)!flo_buf_printf(out, "%d", WEXITSTATUS(facts->status));
    }
    if (limit)
        json_text(out, "limit", limit == FLO_JOB_LIMIT_CPU ? "cpu" : "memory");
    print_backtrace(facts, out, &report->stack);
    print_output(facts->output, facts->output_len, out);
    (void)!flo_buf_append_str(out, "}");
}

void flo_crash_report_init(struct flo_crash_report *report, const struct flo_crash_facts *facts,
                           struct flo_job_crash *crash)
{
    /* A second fault, in the handler, would only say that the stack is broken. */
    int signal = !WIFSIGNALED(facts->status) ? 0
                 : facts->record->kind == FLO_CRASH_SIGNAL && WTERMSIG(facts->status) == SIGSEGV
                     ? facts->record->signal
                     : WTERMSIG(facts->status);

    flo_buf_init(&report->details, DETAILS_MAX);
    flo_buf_init(&report->stack, DETAILS_MAX / 2);
    flo_buf_init(&report->message, 1024);
    crash->limit = limit_of(facts, signal);
    print_message(facts, signal, crash->limit, &report->message);
    print_details(facts, signal, crash->limit, report);
    crash->message = flo_buf_cstr(&report->message);
    crash->stack_trace = flo_buf_cstr(&report->stack);
    crash->details = flo_buf_cstr(&report->details);
    crash->details_len = report->details.len;
    if (report->details.failed) {
        crash->details = "{}";
        crash->details_len = 2;
    }
    if (!*crash->message)
        crash->message = "Activity executor died";
}

void flo_crash_report_fini(struct flo_crash_report *report)
{
    flo_buf_fini(&report->details);
    flo_buf_fini(&report->stack);
    flo_buf_fini(&report->message);
}
