/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.h - runs jobs away from the loop thread: on a pool of threads (threads.c) or on
 * pre-forked, pinned processes (processes.c). It knows nothing of activities: a job is bytes in,
 * bytes out, with small messages up (progress) and a cancel flag down.
 *
 * The runner is called on the executor's side with a struct flo_job_io; everything else here is
 * called on the loop thread, and callbacks come on the loop thread.
 */
#ifndef FLO_EXECUTOR_EXECUTOR_H
#define FLO_EXECUTOR_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "flotilla/error.h"

struct event_base;
struct flo_executor; /* opaque: one of the two kinds */
struct flo_job_io;   /* opaque: the executor side of one running job */

/* Why a running job should stop. A graver reason replaces a lesser one (flo_job_graver). */
enum flo_job_cancel {
    FLO_JOB_RUNNING = 0,
    FLO_JOB_CANCEL_REQUESTED, /* the server asked */
    FLO_JOB_CANCEL_TIMED_OUT, /* its time is up: the answer will not be wanted */
    FLO_JOB_CANCEL_NOT_FOUND, /* the server no longer knows the task */
    FLO_JOB_CANCEL_SHUTDOWN,  /* the worker stops */
    FLO_JOB_CANCEL_PAUSED,    /* an operator paused the activity */
    FLO_JOB_CANCEL_RESET,     /* an operator let it begin again */
};
/* Does a say more than b? None < paused, reset < requested, shutdown < an answer is unwanted. */
bool flo_job_graver(enum flo_job_cancel a, enum flo_job_cancel b);

/* What a job was told, as one number: why it should stop (FLO_JOB_REASON), and: */
#define FLO_JOB_STOPPING 0x100u /* the worker begins to drain; the job may go on */
#define FLO_JOB_NUDGE 0x10000u  /* counts the calls of flo_job_wake */
#define FLO_JOB_REASON(told) ((enum flo_job_cancel)((told)&0xffu))

/*
 * Runs one job: request is borrowed; the reply goes to out_reply. Called on an executor thread or
 * in an executor process; may block. ctx is what runner_ctx was (in a process: a copy from before
 * the fork).
 */
typedef void (*flo_job_runner_fn)(void *ctx, struct flo_job_io *io, const uint8_t *request,
                                  size_t request_len, struct flo_buf *out_reply);

/* For runners, all from any thread while the job runs: */
/* Send a small message up (larger than FLO_JOB_PROGRESS_MAX: not sent); the newest wins when the
 * loop is slow. */
#define FLO_JOB_PROGRESS_MAX (64u << 10)
void flo_job_progress(struct flo_job_io *io, const uint8_t *data, size_t len);
/* Whether the job should stop, and why. Never waits. */
enum flo_job_cancel flo_job_cancelled(struct flo_job_io *io);
/* As above, but waits up to timeout_ms for a reason to stop. */
enum flo_job_cancel flo_job_wait_cancelled(struct flo_job_io *io, int64_t timeout_ms);
/* What it was told so far. Never waits. */
unsigned flo_job_told(struct flo_job_io *io);
/* As above, but waits up to timeout_ms (< 0: for ever) until it is something else than known. */
unsigned flo_job_wait_told(struct flo_job_io *io, unsigned known, int64_t timeout_ms);
/* The clock that these timeouts are of: monotonic, unless the job runs in played time. */
int64_t flo_job_now_ns(struct flo_job_io *io);
/* Before a thread waits for ever with flo_job_wait_told, which flo_job_wake (by another thread of
 * the job) ends each time. 0, FLO_ESYS. */
FLO_MUST_CHECK int flo_job_watch(struct flo_job_io *io);
void flo_job_wake(struct flo_job_io *io);
/*
 * Send bytes up that must not replace each other: on_note gets them in their order, those of
 * several notes perhaps at once, before on_done. FLO_EFULL: the loop is FLO_JOB_NOTES_MAX behind;
 * FLO_ENOMEM; FLO_ECLOSED.
 */
#define FLO_JOB_NOTES_MAX (64u << 10)
FLO_MUST_CHECK int flo_job_note(struct flo_job_io *io, const uint8_t *data, size_t len);

/*
 * How a job ended. CRASHED is the job's own doing and counts as a crash of it: a signal, an exit,
 * a kill from outside or by the kernel, a limit (enum flo_job_limit). KILLED is our decision and
 * says nothing bad of it but that it did not stop when told to: time-out, task gone.
 */
enum flo_job_end {
    FLO_JOB_DONE,    /* the runner returned; reply holds what it wrote */
    FLO_JOB_CRASHED, /* the executor process died: signal or exit status below */
    FLO_JOB_KILLED,  /* killed by us: past its deadline + grace */
};

/* The limit of struct flo_executor_limits that a job died of. */
enum flo_job_limit { FLO_JOB_LIMIT_NONE, FLO_JOB_LIMIT_CPU, FLO_JOB_LIMIT_MEMORY };

/* What is known of a death. Everything is borrowed during the callback. */
struct flo_job_crash {
    enum flo_job_limit limit;
    /* One sentence: "Activity executor died: signal 11 (SIGSEGV) at address 0x0". */
    const char *message;
    /*
     * A JSON object in UTF-8, bounded to 64 KiB:
     *   {"signal": "SIGSEGV", "signal_number": 11, "code": "SEGV_MAPERR", "address": "0x0",
     *    "exit_status": 3, "limit": "cpu", "output": ["last", "lines"], "backtrace":
     *    [{"function": "f", "file": "a.c", "line": 7, "module": "m.so", "offset": "0x1130"}]}
     * What is not known is left out; backtrace and output may be empty.
     */
    const char *details;
    size_t details_len;
    const char *stack_trace; /* the backtrace as text, a frame a line; "" = none */
};

/*
 * What a job used. A thread's job is charged with what its thread did, a process's with what its
 * process did (usage.h says how it is measured).
 *
 * I/O is storage I/O: bytes that had to come from a disk and bytes made dirty for one, in steps of
 * 512. What read(2) and write(2) moved besides (rchar, wchar: the page cache, sockets, pipes)
 * stands only in /proc, where asking costs more than many a job.
 */
struct flo_job_usage {
    int64_t user_ns, system_ns; /* CPU time */
    uint64_t max_rss_bytes;     /* the process's peak during the job; 0 = unknown, as for threads */
    uint64_t read_bytes, written_bytes;
    uint64_t voluntary_switches;   /* it waited */
    uint64_t involuntary_switches; /* it was pushed off its core */
};

struct flo_job_result {
    enum flo_job_end end;
    const uint8_t *reply; /* DONE: borrowed during the callback */
    size_t reply_len;
    int signal;                        /* CRASHED: the signal, 0 when it exited */
    int exit_status;                   /* CRASHED with signal 0 */
    const struct flo_job_crash *crash; /* CRASHED in a process; NULL = no more is known */
    struct flo_job_usage usage;        /* all 0 when unknown */
    bool lost; /* CRASHED because the template process died: the job did nothing */
};

/* What one executor process may use; 0 = no limit. Threads have none. */
struct flo_executor_limits {
    int64_t memory_bytes; /* of data, beyond what the process has when it is ready */
    int64_t cpu_ms;       /* CPU time of one job, in whole seconds, rounded up */
    int64_t open_files;   /* descriptors */
};

/*
 * When a process is replaced between two jobs, in order, because jobs left something behind in it:
 * never during one, and it is no crash. A job is not told; the next one meets a fresh process.
 */
struct flo_executor_recycling {
    int64_t max_jobs;         /* after so many; 0 = never */
    int64_t max_growth_bytes; /* when it keeps so much more memory than it had when it was ready;
                                 0 = never. Resident memory; with limits.memory_bytes what that
                                 counts, and half of that at most. */
};

enum flo_recycle_reason {
    FLO_RECYCLE_NONE,
    FLO_RECYCLE_JOBS,
    FLO_RECYCLE_MEMORY,
    FLO_RECYCLE_DESCRIPTORS, /* half of those that were free, or 1024, stay open */
};
/* "jobs", "memory", "descriptors". */
const char *flo_recycle_reason_name(enum flo_recycle_reason reason);

struct flo_recycled {
    uint64_t job; /* the last one; its on_done follows */
    unsigned index;
    enum flo_recycle_reason reason;
    int64_t amount; /* jobs; bytes or descriptors more than it began with */
};

/*
 * A thread that does not come back: its job was told to stop (for any reason but SHUTDOWN) and is
 * still running, its grace and more later. A process would have been killed.
 */
struct flo_stuck_job {
    uint64_t job;
    enum flo_job_cancel reason; /* what it was told */
    int64_t told_ms;            /* how long ago that was */
    char unit[24];              /* its thread's name, as in /proc: "io-3" */
    /* What the kernel says that the thread does: "sleeping in futex_wait_queue, system call futex";
     * "" when it has returned or /proc does not say. */
    char doing[160];
};

/* A signal that a job's thread raised and that ends the process. */
struct flo_executor_fault {
    int signal;          /* SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT */
    bool stack_overflow; /* the thread's stack is full */
    size_t stack_bytes;  /* how large it is */
    const char *unit;    /* "io-3" */
    bool busy;           /* with: */
    uint64_t job;
};

struct flo_executor_options {
    unsigned workers;                        /* threads (at most, see below) or processes */
    const char *name;                        /* thread names and titles: "io", "cpu" */
    size_t max_reply_bytes;                  /* a larger reply counts as a crash; default 8 MiB */
    struct flo_executor_limits limits;       /* processes only */
    struct flo_executor_recycling recycling; /* the same */
    flo_job_runner_fn runner;
    void *runner_ctx;
    /* Called first on each executor thread or in each new process (again after a restart); may be
     * NULL. A failure makes the executor unusable: new fails with its sentence. */
    int (*worker_start)(void *ctx, struct flo_err *err);
    void (*worker_stop)(void *ctx);
    /* Loop side: */
    void (*on_progress)(void *ctx, uint64_t job, const uint8_t *data, size_t len);
    void (*on_note)(void *ctx, uint64_t job, const uint8_t *data, size_t len); /* may be NULL */
    void (*on_done)(void *ctx, uint64_t job, const struct flo_job_result *result);
    /* Nothing can be run any more (the template process died); may be NULL. After the on_done of
     * the jobs that it took down. */
    void (*on_broken)(void *ctx);
    /* A process died that had no job and was not asked to end; its number, and its status as
     * wait(2) tells it. Another takes its place. May be NULL. */
    void (*on_idle_death)(void *ctx, unsigned index, int status);
    /* A process is replaced; may be NULL. */
    void (*on_recycled)(void *ctx, const struct flo_recycled *recycled);
    /* Threads, all may be NULL: */
    /* The job is stuck; with ended: it was, and has returned (before its on_done). */
    void (*on_stuck)(void *ctx, const struct flo_stuck_job *stuck, bool ended);
    /* Something went wrong that the pool can live with: fewer threads than wanted. */
    void (*on_warning)(void *ctx, const char *message);
    /* The process is about to die of a signal. Called in the signal handler, on the thread that
     * raised it, on a stack of 24 KiB: only what is async-signal-safe. */
    void (*on_fault)(void *ctx, const struct flo_executor_fault *fault);
    void *ctx;
    size_t stack_bytes; /* of a thread, FLO_STACK_MIN_BYTES and more; 0 = FLO_STACK_BYTES */
    int64_t idle_ms;    /* threads that were not needed for as long end; 0 = a minute */
};

/* Address space of a thread's stack, a guard besides; memory is taken as it is touched. The deepest
 * JSON that is accepted (2048 levels) takes 620 KiB to write. */
#define FLO_STACK_BYTES (1u << 20)
#define FLO_STACK_MIN_BYTES (128u << 10)
#define FLO_EXECUTOR_THREADS_MAX 4096

/*
 * Threads. The first is made here, the others when jobs need them, at most options.workers; those
 * that were not needed for a while end. FLO_ESYS when the first cannot be made, FLO_EINVAL for
 * more than FLO_EXECUTOR_THREADS_MAX.
 */
FLO_MUST_CHECK int flo_executor_threads_new(struct event_base *base,
                                            const struct flo_executor_options *options,
                                            struct flo_executor **out, struct flo_err *err);
/*
 * One process per worker, forked from a small template process that flo_executor_template_start
 * made before this process had threads, sockets or a ZeroMQ context; pinned to the cores that this
 * process may use when pin. A process that dies is replaced at once; its job ends CRASHED.
 */
struct flo_executor_template; /* opaque */
FLO_MUST_CHECK int flo_executor_template_start(const struct flo_executor_options *options, bool pin,
                                               struct flo_executor_template **out,
                                               struct flo_err *err);
FLO_MUST_CHECK int flo_executor_processes_new(struct event_base *base,
                                              const struct flo_executor_options *options,
                                              struct flo_executor_template **tmpl,
                                              struct flo_executor **out, struct flo_err *err);

/* End a template that no executor took over. Clears the pointer. NULL is fine. */
void flo_executor_template_end(struct flo_executor_template **tmpl);

/*
 * Hand in a job (request is copied) under an id of the caller's. deadline_ms from now, 0 = none:
 * then it is told CANCEL_TIMED_OUT, and a process that does not end within grace_ms more is
 * killed (a thread cannot be: its slot stays taken, on_done comes when it returns).
 * FLO_EFULL: no free worker and the queue (one job per worker) is full; FLO_ECLOSED; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_executor_submit(struct flo_executor *executor, uint64_t job,
                                       const uint8_t *request, size_t len, int64_t deadline_ms,
                                       int64_t grace_ms);
/* Tell a job to stop; nothing when it has ended. A process whose job is no longer wanted
 * (TIMED_OUT, NOT_FOUND) is killed when it has not ended grace_ms later. */
void flo_executor_cancel(struct flo_executor *executor, uint64_t job, enum flo_job_cancel reason);
/* The worker begins to drain: tell all jobs (FLO_JOB_STOPPING), also those that come yet. */
void flo_executor_notice_stopping(struct flo_executor *executor);
size_t flo_executor_running(const struct flo_executor *executor);
/*
 * Another number of workers: at once when it is larger; when it is smaller, running jobs go on and
 * none is begun before fewer than that run. FLO_EINVAL for none or too many, FLO_EUNIMPL for
 * processes, FLO_ECLOSED.
 */
FLO_MUST_CHECK int flo_executor_resize(struct flo_executor *executor, unsigned workers);
/* How many threads are stuck, and what is known of the first `room` of them, those first whose
 * answer nobody wants. Reads /proc for these: with room 0 it costs nothing. */
size_t flo_executor_stuck(const struct flo_executor *executor, struct flo_stuck_job *out,
                          size_t room);
/*
 * How many processes neither run nor have started or ended for limit_ms: they do not come up (what
 * starts in them fails), or were killed and are still there (they wait in the kernel). By looks: a
 * process counts from the first call that finds it so. *out_first is the first one's number. 0 for
 * threads.
 */
size_t flo_executor_down(struct flo_executor *executor, int64_t limit_ms, unsigned *out_first);
/*
 * Stop: no new jobs; running ones are told SHUTDOWN and get grace_ms, then processes are killed.
 * Threads that are still busy then are left behind, and counted in the result: with any of those
 * the process must end by _exit. Jobs that still ran get no callback. Clears the pointer. NULL is
 * fine.
 */
size_t flo_executor_destroy(struct flo_executor **executor, int64_t grace_ms);

#endif
