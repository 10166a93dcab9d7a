/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols.c - names for the addresses of a crash record, in a process that lives for this only:
 * what elfutils' libdw takes, and what a hostile record might make it do, ends with the process.
 * libdw is loaded here and nowhere else; without it the dynamic linker's names have to do, and
 * where it knows none, module and offset.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "executor/dwarf.h"
#include "executor/frame.h"

#define TEXT_MAX (32u << 10)
#define SECONDS 5
#define MEMORY_MAX (1024ul << 20)
#define FUNCTION_MAX 200

struct symbols {
    struct flo_crash_record record;
    struct flo_buf json, text;
    char program[PATH_MAX]; /* the file behind /proc/self/exe */
};

static const char *module_file(const struct symbols *all, const struct flo_crash_frame *frame)
{
    const char *name = all->record.names + frame->name;

    return strcmp(name, "/proc/self/exe") == 0 ? all->program : name;
}

/* The address to look up: of the call, not of where it returns to, which may be another line. */
static uint64_t place_of(const struct flo_crash_frame *frame)
{
    return frame->exact || frame->pc == 0 ? frame->pc : frame->pc - 1;
}

/* Tell the session of the modules that the record has frames in. */
static void open_modules(struct flo_dwarf *dw, const struct symbols *all)
{
    flo_dwarf_open(dw);
    for (uint32_t i = 0; i < all->record.frames; i++) {
        const struct flo_crash_frame *frame = &all->record.frame[i];
        bool new = frame->name != 0;
        for (uint32_t j = 0; j < i && new; j++)
            new = all->record.frame[j].name != frame->name;
        if (new)
            flo_dwarf_module(dw, module_file(all, frame), frame->bias);
    }
    flo_dwarf_ready(dw);
}

/* ---- the process ---- */

/* The function that calls the activities' runner: what is above it says nothing of an activity. */
static const char OUTERMOST[] = "flo_executor_child_run";

/* False when the frame is the first that is ours and not the activity's. */
static bool print_frame(struct symbols *all, struct flo_dwarf *dw,
                        const struct flo_crash_frame *frame)
{
    char function[FUNCTION_MAX];
    struct flo_crash_symbol symbol = {.offset = frame->pc};

    if (frame->name) {
        symbol.module = flo_crash_base_name(module_file(all, frame));
        symbol.offset = frame->pc - frame->bias;
        flo_dwarf_find(dw, place_of(frame), &symbol);
        if (!symbol.function) /* this process has the executors' mappings, but for what their
                               * activities loaded */
            flo_linker_find(place_of(frame), frame->bias, &symbol);
    }
    if (symbol.function && strcmp(symbol.function, OUTERMOST) == 0)
        return false;
    if (symbol.function && strlen(symbol.function) >= sizeof function) {
        memcpy(function, symbol.function, sizeof function - 1);
        function[sizeof function - 1] = '\0';
        symbol.function = function;
    }
    flo_crash_symbol_print(&symbol, &all->json, &all->text);
    return true;
}

static void bound_myself(void)
{
    const struct rlimit cpu = {SECONDS, SECONDS}, memory = {MEMORY_MAX, MEMORY_MAX};
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    alarm(SECONDS);
    setrlimit(RLIMIT_CPU, &cpu);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    setrlimit(RLIMIT_DATA, &memory); /* a sanitizer's shadow counts as data */
#else
    (void)memory;
#endif
    unsetenv("DEBUGINFOD_URLS"); /* no downloads */
}

static void send_all(int fd, const void *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const uint8_t *)data + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(1);
        sent += (size_t)n;
    }
}

_Noreturn void flo_symbols_main(int fd)
{
    static struct symbols all;
    struct flo_dwarf dw = {0};
    ssize_t n;

    bound_myself();
    if (flo_frame_read(fd, &all.record, sizeof all.record, -1))
        _exit(1);
    flo_crash_record_check(&all.record);
    n = readlink("/proc/self/exe", all.program, sizeof all.program - 1);
    all.program[n > 0 ? n : 0] = '\0';
    flo_buf_init(&all.json, TEXT_MAX);
    flo_buf_init(&all.text, TEXT_MAX);
    (void)!flo_buf_append_str(&all.json, "[");
    open_modules(&dw, &all);
    for (uint32_t i = 0; i < all.record.frames; i++)
        if (!print_frame(&all, &dw, &all.record.frame[i]))
            break;
    (void)!flo_buf_append_str(&all.json, "]");
    if (all.json.failed || all.text.failed)
        _exit(1);
    send_all(fd, all.json.data, all.json.len);
    send_all(fd, "", 1);
    send_all(fd, all.text.data, all.text.len);
    send_all(fd, "", 1);
    _exit(0);
}
