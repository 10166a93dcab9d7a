/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuning.c - resource-based slots: samples of the machine go to the tuner (tuner/tuner.h), and
 * what it says becomes the capacity of each kind of tasks. A worker with fixed slots has none of
 * this.
 *
 * A sample costs a few reads of /proc and of the cgroup, some 50 µs. So it is taken ten times a
 * second while tasks run, once a second while levels still fall back to their minimum or memory
 * is above the watermark, and not at all when neither is the case: an idle worker sleeps. The
 * first task after that brings the next sample, in the same turn of the loop.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tuner/reader.h"
#include "worker/control.h"

#define BUSY_MS 100
#define SETTLING_MS 1000
#define LOG_NS (10 * FLO_NS_PER_S)      /* between two lines about a kind */
#define LOG_LARGE_NS (1 * FLO_NS_PER_S) /* if the slots halved, doubled, or stopped */

_Static_assert((int)FLO_SLOT_WORKFLOW == FLO_TUNER_WORKFLOW &&
                   (int)FLO_SLOT_ACTIVITY == FLO_TUNER_ACTIVITY &&
                   (int)FLO_SLOT_LOCAL_ACTIVITY == FLO_TUNER_LOCAL_ACTIVITY,
               "the worker and the tuner count the same kinds");

/* One kind of slots. */
struct tuned {
    size_t slots;  /* the capacity that was set last */
    size_t logged; /* what the log knows */
    int64_t logged_ns;
    struct flo_series *series; /* gauge: slots */
};

struct flo_tuning {
    struct flo_tuner tuner;
    struct flo_reader reader;
    struct tuned tuned[FLO_TUNER_KINDS];
    struct event *timer;
    int64_t looked_ns; /* when reads was made */
    char reads[FLO_READER_PATH_MAX * 2 + 128];
    struct flo_series *cpu_usage, *memory_usage, *cpu_output, *memory_output;
};

static const char *const KIND_NAMES[FLO_TUNER_KINDS] = {"WorkflowWorker", "ActivityWorker",
                                                        "LocalActivityWorker"};

static void schedule(struct flo_tuning *tuning, int64_t ms)
{
    const struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(tuning->timer, &delay);
}

/* ---- telling ---- */

static void tell_reads(struct flo_tuning *tuning)
{
    char reads[sizeof tuning->reads];

    if (tuning->looked_ns == tuning->reader.looked_ns)
        return;
    tuning->looked_ns = tuning->reader.looked_ns;
    flo_reader_describe(&tuning->reader, reads, sizeof reads);
    if (strcmp(reads, tuning->reads) == 0)
        return;
    memcpy(tuning->reads, reads, sizeof reads);
    flo_log(FLO_LOG_INFO, "tuner.reads", "Tuner reads other limits now", "reads", reads, NULL);
}

/* Not each move is worth a line. */
static bool worth_a_line(const struct tuned *tuned, int64_t now_ns)
{
    size_t less = tuned->slots < tuned->logged ? tuned->slots : tuned->logged;
    size_t more = tuned->slots < tuned->logged ? tuned->logged : tuned->slots;
    bool large = less == 0 || more >= 2 * less;

    return more != less && (tuned->logged_ns == 0 || now_ns - tuned->logged_ns >= LOG_NS ||
                            (large && now_ns - tuned->logged_ns >= LOG_LARGE_NS));
}

static void tell_slots(struct flo_worker *worker, int kind, int64_t now_ns,
                       enum flo_tuner_reason reason)
{
    struct flo_tuning *tuning = worker->tuning;
    struct tuned *tuned = &tuning->tuned[kind];

    flo_log(tuned->slots == 0 ? FLO_LOG_WARN : FLO_LOG_INFO, "tuner.adjusted",
            "Tuner adjusted slots", "kind", KIND_NAMES[kind], "#from", FLO_NUM(tuned->logged),
            "#to", FLO_NUM(tuned->slots), "reason", flo_tuner_reason_name(reason), "#running",
            FLO_NUM(worker->capacity[kind].running), "#cpu", FLO_NUM_F(tuning->tuner.cpu),
            "#memory", FLO_NUM_F(tuning->tuner.memory), "#target_cpu",
            FLO_NUM_F(worker->config->tuner.target_cpu), "#target_memory",
            FLO_NUM_F(worker->config->tuner.target_memory), NULL);
    flo_tell(worker, tuned->slots == 0 ? FLO_LOG_WARN : FLO_LOG_INFO, "tuner.moved",
             "Tuner adjusted slots", "kind", KIND_NAMES[kind], "#from", FLO_NUM(tuned->logged),
             "#to", FLO_NUM(tuned->slots), "reason", flo_tuner_reason_name(reason), "#running",
             FLO_NUM(worker->capacity[kind].running), "#cpu", FLO_NUM_F(tuning->tuner.cpu),
             "#memory", FLO_NUM_F(tuning->tuner.memory), NULL);
    tuned->logged = tuned->slots;
    tuned->logged_ns = now_ns;
}

static void show(struct flo_worker *worker)
{
    struct flo_tuning *tuning = worker->tuning;
    const struct flo_tuner *tuner = &tuning->tuner;

    /* In percent, as the Temporal SDKs have it. */
    flo_series_set(tuning->cpu_usage, tuner->cpu < 0 ? 0 : tuner->cpu * 100);
    flo_series_set(tuning->memory_usage, tuner->memory < 0 ? 0 : tuner->memory * 100);
    flo_series_set(tuning->cpu_output, tuner->cpu_pid.output);
    flo_series_set(tuning->memory_output, tuner->memory_pid.output);
}

/* ---- steps ---- */

static void apply(struct flo_worker *worker, int kind, const struct flo_tuner_verdict *verdict,
                  int64_t now_ns)
{
    struct tuned *tuned = &worker->tuning->tuned[kind];

    if (verdict->refused)
        flo_series_inc(FLO_METRIC(worker->queues, TUNER_REFUSALS, KIND_NAMES[kind],
                                  flo_tuner_reason_name(verdict->reason)));
    if (verdict->slots != tuned->slots) {
        tuned->slots = verdict->slots;
        flo_series_set(tuned->series, (double)tuned->slots);
        flo_capacity_set(worker, (enum flo_slot_kind)kind, tuned->slots);
    }
    if (worth_a_line(tuned, now_ns))
        tell_slots(worker, kind, now_ns, verdict->reason);
}

/* Does anything still move, or might it? */
static int64_t pace_ms(const struct flo_worker *worker, const struct flo_tuner_load *load)
{
    const struct flo_tuning *tuning = worker->tuning;
    bool settled = !tuning->tuner.stopped;

    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++) {
        if (load[kind].peak > 0 || worker->capacity[kind].running > 0)
            return BUSY_MS;
        settled = settled && tuning->tuned[kind].slots == tuning->tuner.levels[kind].range.min;
    }
    return settled ? 0 : SETTLING_MS;
}

static void step(struct flo_worker *worker)
{
    struct flo_tuning *tuning = worker->tuning;
    struct flo_tuner_verdict verdicts[FLO_TUNER_KINDS];
    struct flo_tuner_load load[FLO_TUNER_KINDS];
    struct flo_tuner_sample sample;
    int64_t now_ns = flo_clock_mono_ns(), pace;

    flo_reader_sample(&tuning->reader, now_ns, &sample);
    tell_reads(tuning);
    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++) {
        struct flo_slots *slots = &worker->capacity[kind];
        load[kind] = (struct flo_tuner_load){
            .running = slots->running, .peak = slots->peak, .done = slots->ended};
        slots->peak = slots->running;
    }
    flo_tuner_step(&tuning->tuner, now_ns, &sample, load, verdicts);
    show(worker);
    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++)
        apply(worker, kind, &verdicts[kind], now_ns);
    pace = pace_ms(worker, load);
    if (pace > 0) {
        schedule(tuning, pace);
        return;
    }
    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++) /* the last word, before it is quiet */
        if (tuning->tuned[kind].slots != tuning->tuned[kind].logged)
            tell_slots(worker, kind, now_ns, verdicts[kind].reason);
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_worker *worker = ctx;

    (void)fd;
    (void)what;
    if (worker->state < FLO_WORKER_DRAINING) /* then no slot is given any more */
        step(worker);
}

void flo_tuning_wake(struct flo_worker *worker)
{
    if (!evtimer_pending(worker->tuning->timer, NULL))
        schedule(worker->tuning, 0);
}

/* ---- start and end ---- */

static struct flo_tuner_range range_of(const struct flo_slots_range *range)
{
    return (struct flo_tuner_range){
        .min = (size_t)range->min, .max = (size_t)range->max, .ramp_ms = range->ramp_throttle_ms};
}

/* No more slots than executors: a task is fetched only when it can run at once. */
static struct flo_tuner_range range_within(const struct flo_slots_range *range, size_t executors)
{
    struct flo_tuner_range within = range_of(range);

    within.max = within.max < executors ? within.max : executors;
    within.min = within.min < within.max ? within.min : within.max;
    return within;
}

static struct flo_tuner_gains gains_of(const struct flo_pid_config *pid)
{
    return (struct flo_tuner_gains){
        .p = pid->p, .i = pid->i, .d = pid->d, .threshold = pid->threshold};
}

static void make_series(struct flo_worker *worker)
{
    struct flo_tuning *tuning = worker->tuning;

    tuning->cpu_usage = FLO_METRIC(worker->queues, RESOURCE_CPU_USAGE);
    tuning->memory_usage = FLO_METRIC(worker->queues, RESOURCE_MEM_USAGE);
    tuning->cpu_output = FLO_METRIC(worker->queues, RESOURCE_CPU_OUTPUT);
    tuning->memory_output = FLO_METRIC(worker->queues, RESOURCE_MEM_OUTPUT);
}

/* Every kind begins with its minimum. */
static void begin(struct flo_worker *worker, int kind, const struct flo_tuner_range *range)
{
    struct tuned *tuned = &worker->tuning->tuned[kind];

    if (range->max == 0)
        return;
    tuned->slots = tuned->logged = range->min;
    tuned->series = FLO_METRIC(worker->queues, TUNER_SLOTS, KIND_NAMES[kind]);
    flo_series_set(tuned->series, (double)range->min);
    flo_capacity_set(worker, (enum flo_slot_kind)kind, range->min);
    flo_log(FLO_LOG_INFO, "tuner.started", "Slots follow CPU and memory", "kind", KIND_NAMES[kind],
            "#min", FLO_NUM(range->min), "#max", FLO_NUM(range->max), "#target_cpu",
            FLO_NUM_F(worker->config->tuner.target_cpu), "#target_memory",
            FLO_NUM_F(worker->config->tuner.target_memory), "because", worker->config->tuner.why,
            "reads", worker->tuning->reads, NULL);
}

int flo_tuning_start(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    struct flo_tuner_options options = {.target_cpu = config->tuner.target_cpu,
                                        .max_cpu_pressure = config->tuner.max_cpu_pressure,
                                        .max_memory_pressure = config->tuner.max_memory_pressure,
                                        .target_memory = config->tuner.target_memory,
                                        .cpu = gains_of(&config->tuner.cpu_pid),
                                        .memory = gains_of(&config->tuner.memory_pid)};
    int64_t now_ns = flo_clock_mono_ns();
    const char *proc = getenv("FLOTILLA_PROC"); /* see docs/tuning.md */
    const struct flo_reader_paths paths = {.proc = proc, .root = ""};
    struct flo_tuning *tuning;

    if (config->tuner.kind != FLO_TUNER_RESOURCE)
        return 0;
    tuning = flo_calloc(1, sizeof *tuning);
    if (!tuning)
        return flo_fail(err, FLO_ENOMEM, "no memory for the tuner");
    worker->tuning = tuning;
    tuning->timer = evtimer_new(worker->base, on_time, worker);
    if (!tuning->timer)
        return flo_fail(err, FLO_ENOMEM, "no memory for the tuner's timer");
    if (worker->role->role == FLO_ROLE_WORKFLOW) {
        options.slots[FLO_TUNER_WORKFLOW] = range_of(&config->tuner.workflow_slots);
        options.slots[FLO_TUNER_LOCAL_ACTIVITY] = range_of(&config->tuner.local_activity_slots);
    } else {
        options.slots[FLO_TUNER_ACTIVITY] =
            range_within(&config->tuner.activity_slots, worker->executor_jobs);
    }
    flo_tuner_init(&tuning->tuner, &options, now_ns);
    flo_reader_init(&tuning->reader, proc ? &paths : NULL, now_ns);
    tuning->looked_ns = tuning->reader.looked_ns;
    flo_reader_describe(&tuning->reader, tuning->reads, sizeof tuning->reads);
    make_series(worker);
    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++)
        begin(worker, kind, &options.slots[kind]);
    return 0;
}

void flo_tuning_range(struct flo_worker *worker, enum flo_slot_kind kind, size_t min, size_t max)
{
    struct flo_tuning *tuning = worker->tuning;
    struct flo_tuner_level *level = &tuning->tuner.levels[kind];
    struct tuned *tuned = &tuning->tuned[kind];

    if (level->range.max == 0)
        return;
    level->range.min = min;
    level->range.max = max;
    if (level->level > (double)max)
        level->level = (double)max;
    if (level->level < (double)min)
        level->level = (double)min;
    if (tuned->slots > max) { /* else the next step gives what there may be */
        tuned->slots = max;
        flo_series_set(tuned->series, (double)max);
        flo_capacity_set(worker, kind, max);
    }
    flo_tuning_wake(worker);
}

void flo_tuning_fini(struct flo_worker *worker)
{
    if (!worker->tuning)
        return;
    if (worker->tuning->timer)
        event_free(worker->tuning->timer);
    flo_free(worker->tuning);
    worker->tuning = NULL;
}
