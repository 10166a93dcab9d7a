/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c - the handlers of an executor process; see crash.h. They allocate nothing, take no lock
 * and call only what is safe in a signal handler: the unwinder of glibc 2.35 and later finds its
 * tables through _dl_find_object(), which is lock-free, and was loaded by flo_crash_warm_up().
 */
#include "executor/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "executor/family.h"
#include "executor/limits.h"
#include "executor/profile.h"

#define STACK_BYTES (128u << 10)
/* What backtrace() may return: the record's frames and the handler's own. */
#define RAW_FRAMES (FLO_CRASH_FRAMES + 8)

static struct {
    struct flo_crash_record *record;
    pid_t parent;
} guard;

/* In a slice, behind the record. */
#define RING_AT ((sizeof(struct flo_crash_record) + 63) / 64 * 64)

/* The runtimes of gcc's and clang's sanitizers have it; nothing else does. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* ---- the area ---- */

int flo_crash_area_init(struct flo_crash_area *area, unsigned count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *base;

    area->slice = (RING_AT + sizeof(struct flo_profile_ring) + page - 1) / page * page;
    area->count = count;
    base =
        mmap(NULL, area->slice * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    area->base = base == MAP_FAILED ? NULL : base;
    return area->base ? 0 : FLO_ENOMEM;
}

void flo_crash_area_fini(struct flo_crash_area *area)
{
    if (area->base)
        munmap(area->base, area->slice * area->count);
    area->base = NULL;
}

struct flo_crash_record *flo_crash_area_at(const struct flo_crash_area *area, unsigned index)
{
    return (struct flo_crash_record *)(void *)(area->base + area->slice * index);
}

struct flo_profile_ring *flo_crash_area_ring(const struct flo_crash_area *area, unsigned index)
{
    return (struct flo_profile_ring *)(void *)(area->base + area->slice * index + RING_AT);
}

/* ---- writing a record ---- */

/* The offset of name in the record's names, added when it is new; 0 when there is no room. */
static uint32_t keep_name(struct flo_crash_record *record, const char *name)
{
    size_t len = strlen(name) + 1;

    for (uint32_t at = 1; at < record->names_len;) {
        if (strcmp(record->names + at, name) == 0)
            return at;
        at += (uint32_t)strlen(record->names + at) + 1;
    }
    if (len > sizeof record->names - record->names_len)
        return 0;
    memcpy(record->names + record->names_len, name, len);
    record->names_len += (uint32_t)len;
    return record->names_len - (uint32_t)len;
}

static void keep_frame(struct flo_crash_record *record, uint32_t at, uint64_t pc, bool exact)
{
    struct flo_crash_frame *frame = &record->frame[at];
    struct dl_find_object found;

    *frame = (struct flo_crash_frame){.pc = pc, .exact = exact};
    /* A return address may lie behind the last byte of a function that does not return. */
    if (_dl_find_object((void *)(uintptr_t)(pc - !exact), &found) < 0)
        return;
    frame->bias = found.dlfo_link_map->l_addr;
    frame->name = keep_name(record, found.dlfo_link_map->l_name[0] ? found.dlfo_link_map->l_name
                                                                   : "/proc/self/exe");
}

/* Frames from the one at pc on, behind the kept ones that are there; pc 0: all but the first own.
 */
static __attribute__((noinline)) void keep_frames(struct flo_crash_record *record, uint64_t pc,
                                                  uint32_t kept, int own)
{
    void *raw[RAW_FRAMES];
    int count = backtrace(raw, RAW_FRAMES), first = own;

    for (int i = 0; pc && i < count; i++) {
        if ((uint64_t)(uintptr_t)raw[i] == pc) {
            first = i;
            break;
        }
    }
    for (int i = first; i < count && kept < FLO_CRASH_FRAMES; i++, kept++)
        keep_frame(record, kept, (uint64_t)(uintptr_t)raw[i], pc && i == first && kept == 0);
    __atomic_store_n(&record->frames, kept, __ATOMIC_RELEASE);
}

static void begin_record(struct flo_crash_record *record, enum flo_crash_kind kind, int error)
{
    record->frames = 0;
    record->names[0] = '\0';
    record->names_len = 1;
    record->error = error;
    __atomic_store_n(&record->kind, kind, __ATOMIC_RELEASE);
    record->data_bytes = flo_limits_data_used();
}

static uint64_t context_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/* Make context that of the caller, as if a function that had just been called returned. */
static void context_return(ucontext_t *context)
{
#if defined(__x86_64__)
    greg_t *registers = context->uc_mcontext.gregs;
    registers[REG_RIP] = *(const greg_t *)(uintptr_t)registers[REG_RSP];
    registers[REG_RSP] += (greg_t)sizeof(greg_t);
#elif defined(__aarch64__)
    context->uc_mcontext.pc = context->uc_mcontext.regs[30];
#else
    (void)context;
#endif
}

/*
 * The frames of an interrupted process. A call through a bad pointer is at an address that no
 * unwinder gets past (it would read there), so that frame is kept first, and its caller's context
 * is what the unwinder then finds; the process ends anyway.
 */
static void keep_frames_of(struct flo_crash_record *record, ucontext_t *context)
{
    uint64_t pc = context_pc(context);
    struct dl_find_object found;

    if (pc && _dl_find_object((void *)(uintptr_t)pc, &found) == 0) {
        keep_frames(record, pc, 0, 2);
        return;
    }
    keep_frame(record, 0, pc, true);
    __atomic_store_n(&record->frames, 1, __ATOMIC_RELEASE);
    context_return(context);
    keep_frames(record, context_pc(context), 1, 2);
}

/* ---- handlers ---- */

static void end_by(int signal_number)
{
    signal(signal_number, SIG_DFL);
    raise(signal_number); /* it is blocked here: it comes when the handler returns */
}

static void on_fatal(int signal_number, siginfo_t *info, void *context)
{
    int error = errno;

    /* An activity's fork that dies is no death of the executor; nor does a second thread that
     * crashes overwrite what the first one said. */
    if (flo_family_here() && guard.record->kind == FLO_CRASH_NONE) {
        struct flo_crash_record *record = guard.record;
        bool sent = info->si_code <= 0;
        record->signal = signal_number;
        record->code = info->si_code;
        record->sender = sent ? info->si_pid : 0;
        record->address = sent ? 0 : (uint64_t)(uintptr_t)info->si_addr;
        begin_record(record, FLO_CRASH_SIGNAL, error);
        keep_frames_of(record, context);
    }
    end_by(signal_number);
}

/* From the template: the job must go. From anybody else: a stop signal to the whole group or
 * container, which is for the worker, and it ends us in order. */
static void on_terminate(int signal_number, siginfo_t *info, void *context)
{
    if (info->si_pid == guard.parent)
        on_fatal(signal_number, info, context);
}

static __attribute__((noinline)) void record_here(enum flo_crash_kind kind)
{
    if (!flo_family_here() || guard.record->kind != FLO_CRASH_NONE)
        return;
    guard.record->signal = 0;
    begin_record(guard.record, kind, errno);
    keep_frames(guard.record, 0, 0, 3);
}

static void on_sanitizer(void)
{
    record_here(FLO_CRASH_SANITIZER);
}

static void on_exit_called(void)
{
    record_here(FLO_CRASH_EXIT);
}

void flo_crash_warm_up(void)
{
    void *one[1];

    (void)backtrace(one, 1);
}

static void use_own_stack(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *space = mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stack_t stack = {.ss_size = STACK_BYTES};

    if (space == MAP_FAILED)
        return;
    (void)mprotect(space, page, PROT_NONE);
    stack.ss_sp = space + page;
    (void)sigaltstack(&stack, NULL);
}

static void unmap_others(const struct flo_crash_area *area, unsigned index)
{
    uint8_t *own = area->base + area->slice * index;
    size_t behind = area->slice * (area->count - index - 1);

    if (index > 0)
        munmap(area->base, area->slice * index);
    if (behind > 0)
        munmap(own + area->slice, behind);
}

void flo_crash_guard(const struct flo_crash_area *area, unsigned index)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU};
    struct sigaction action = {.sa_sigaction = on_fatal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

    guard.record = flo_crash_area_at(area, index);
    guard.parent = getppid();
    unmap_others(area, index);
    use_own_stack();
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        sigaction(fatal[i], &action, NULL);
    action.sa_sigaction = on_terminate;
    sigaction(SIGTERM, &action, NULL);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(on_sanitizer);
    (void)atexit(on_exit_called);
}
