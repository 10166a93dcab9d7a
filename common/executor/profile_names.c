/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile_names.c - a profile's stacks with names, made by a fork of the worker: what libdw loads
 * and how long it takes is then no matter of the worker's. glibc lets the child of a process with
 * threads allocate and load libraries; the child does nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "executor/dwarf.h"
#include "executor/profile.h"
#include "executor/thread_stack.h"

#define SECONDS 20
#define FUNCTION_MAX 120

struct namer {
    struct flo_dwarf dw;
    struct flo_map names;   /* address -> its name, kept for ever */
    struct flo_map modules; /* bias -> itself: those that libdw was told of */
    char program[PATH_MAX];
};

static void add_module(struct namer *namer, uint64_t pc)
{
    struct dl_find_object found;
    const char *file;

    if (_dl_find_object((void *)(uintptr_t)pc, &found) < 0)
        return;
    if (flo_map_get(&namer->modules, &found.dlfo_link_map->l_addr, sizeof(uintptr_t)))
        return;
    file = found.dlfo_link_map->l_name[0] ? found.dlfo_link_map->l_name : namer->program;
    flo_dwarf_module(&namer->dw, file, found.dlfo_link_map->l_addr);
    (void)!flo_map_put(&namer->modules, &found.dlfo_link_map->l_addr, sizeof(uintptr_t), namer,
                       NULL);
}

/* Semicolons and blanks have a meaning in folded stacks; what may be no UTF-8 has none in JSON. */
static char *clean(const char *name)
{
    char *copy = flo_strdup(name);

    for (char *c = copy; c && *c; c++)
        if (*c == ';' || *c <= ' ' || *c >= 0x7f)
            *c = '_';
    if (copy && strlen(copy) > FUNCTION_MAX)
        copy[FUNCTION_MAX] = '\0';
    return copy;
}

static char *look_up(const struct namer *namer, uint64_t pc)
{
    struct flo_crash_symbol symbol = {0};
    struct dl_find_object found;
    char text[PATH_MAX + 32];

    if (_dl_find_object((void *)(uintptr_t)pc, &found) < 0)
        return clean("[unknown]");
    flo_dwarf_find(&namer->dw, pc, &symbol);
    if (!symbol.function)
        flo_linker_find(pc, found.dlfo_link_map->l_addr, &symbol);
    if (symbol.function)
        return clean(symbol.function);
    snprintf(text, sizeof text, "%s+0x%llx",
             flo_crash_base_name(found.dlfo_link_map->l_name[0] ? found.dlfo_link_map->l_name
                                                                : namer->program),
             (unsigned long long)(pc - found.dlfo_link_map->l_addr));
    return clean(text);
}

static const char *name_of(struct namer *namer, uint64_t pc)
{
    char *name = flo_map_get(&namer->names, &pc, sizeof pc);

    if (name)
        return name;
    name = look_up(namer, pc);
    if (!name || flo_map_put(&namer->names, &pc, sizeof pc, name, NULL))
        return "[unknown]";
    return name;
}

/* Of the frame's instruction: all but the innermost return behind a call. */
static uint64_t place_of(const struct flo_profile_sample *sample, uint64_t frame)
{
    return sample->pc[frame] - (frame > 0 && sample->pc[frame] > 0);
}

/* The stack as a line without its count; NULL without memory. */
static char *line_of(struct namer *namer, const struct flo_profile_sample *sample)
{
    struct flo_buf line;
    char *thread = clean(sample->thread), *text;

    flo_buf_init(&line, 0);
    flo_buf_append_str(&line, thread && *thread ? thread : "thread");
    for (uint64_t i = sample->depth; i > 0; i--)
        flo_buf_printf(&line, ";%s", name_of(namer, place_of(sample, i - 1)));
    text = line.failed ? NULL : flo_strndup((const char *)line.data, line.len);
    flo_buf_fini(&line);
    flo_free(thread);
    return text;
}

struct line {
    char *text;
    uint64_t count;
};

/* "function (file.c:123)", as far as it is known. */
static void print_place(const struct namer *namer, uint64_t pc, FILE *out)
{
    struct flo_crash_symbol symbol = {0};
    char *function = look_up(namer, pc);

    flo_dwarf_find(&namer->dw, pc, &symbol);
    fprintf(out, "%s", function ? function : "[unknown]");
    flo_free(function);
    function = symbol.file ? clean(flo_crash_base_name(symbol.file)) : NULL;
    if (function)
        fprintf(out, " (%s:%d)", function, symbol.line);
    fprintf(out, "\n");
    flo_free(function);
}

/* Stacks that differ by places within the same functions are one line. */
static void print_all(struct namer *namer, const struct flo_profile_stack *stacks, size_t count,
                      FILE *out)
{
    struct line *lines = flo_calloc(count ? count : 1, sizeof *lines);
    struct flo_map by_text;
    size_t kept = 0;

    flo_map_init(&by_text);
    for (size_t i = 0; lines && i < count; i++) {
        char *text = line_of(namer, stacks[i].sample);
        struct line *line = text ? flo_map_get_str(&by_text, text) : NULL;

        if (!line && text) {
            line = &lines[kept++];
            line->text = text;
            (void)!flo_map_put_str(&by_text, text, line);
        } else {
            flo_free(text);
        }
        if (line)
            line->count += stacks[i].count;
    }
    for (size_t i = 0; i < kept; i++) {
        fprintf(out, "%s %llu\n", lines[i].text, (unsigned long long)lines[i].count);
        flo_free(lines[i].text);
    }
    flo_map_fini(&by_text);
    flo_free(lines);
}

static void bound_myself(void)
{
    const struct rlimit cpu = {SECONDS, SECONDS};
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int number = 1; number < 32; number++) /* the worker's handlers are not ours */
        signal(number, SIG_DFL);
    signal(SIGPROF, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(SECONDS);
    setrlimit(RLIMIT_CPU, &cpu);
    unsetenv("DEBUGINFOD_URLS"); /* no downloads */
}

/* What a child process is to name: stacks, or one stack with its places. */
struct order {
    const struct flo_profile_stack *stacks;
    size_t count;
    const uint64_t *pc;
    size_t depth;
};

static void add_modules(struct namer *namer, const struct order *order)
{
    for (size_t i = 0; i < order->count; i++)
        for (uint64_t j = 0; j < order->stacks[i].sample->depth; j++)
            add_module(namer, place_of(order->stacks[i].sample, j));
    for (size_t i = 0; i < order->depth; i++)
        add_module(namer, order->pc[i] - (i > 0));
}

static _Noreturn void names_main(const struct order *order, int fd)
{
    static struct namer namer;
    FILE *out = fdopen(fd, "w");
    ssize_t n;

    bound_myself();
    n = readlink("/proc/self/exe", namer.program, sizeof namer.program - 1);
    namer.program[n > 0 ? n : 0] = '\0';
    flo_map_init(&namer.names);
    flo_map_init(&namer.modules);
    flo_dwarf_open(&namer.dw);
    add_modules(&namer, order);
    flo_dwarf_ready(&namer.dw);
    if (out && order->count > 0)
        print_all(&namer, order->stacks, order->count, out);
    for (size_t i = 0; out && i < order->depth; i++)
        print_place(&namer, order->pc[i] - (i > 0), out); /* all but the first return there */
    _exit(out && fflush(out) == 0 ? 0 : 1);
}

static int launch(const struct order *order, int *out_fd, int *out_pid, struct flo_err *err)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return flo_fail(err, FLO_ESYS, "cannot open a pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0)
        names_main(order, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        int code = errno;
        close(ends[0]);
        return flo_fail(err, FLO_ESYS, "cannot fork: %s", strerror(code));
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *out_fd = ends[0];
    *out_pid = (int)pid;
    return 0;
}

int flo_profile_names(const struct flo_profile_stack *stacks, size_t count, int *out_fd,
                      int *out_pid, struct flo_err *err)
{
    const struct order order = {.stacks = stacks, .count = count};

    return launch(&order, out_fd, out_pid, err);
}

int flo_thread_stack_names(const uint64_t *pc, size_t depth, int *out_fd, int *out_pid,
                           struct flo_err *err)
{
    const struct order order = {.pc = pc, .depth = depth};

    return launch(&order, out_fd, out_pid, err);
}
