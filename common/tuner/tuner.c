/* SPDX-License-Identifier: Apache-2.0 */
/* tuner.c - the controllers and the levels that they move; see tuner.h for the rules. */
#include "tuner/tuner.h"

#include <assert.h>

#include "base/clock.h"

/* Growth and shrinking, of a level, per second and unit of output. Half a second of smoothing and
 * some tenths until tasks show their effect make a loop that settles at this gain, and swings at
 * five times of it. */
#define RATE 0.15
#define MEMORY_SHRINK 10.0 /* times as fast: memory kills where CPU only slows down */
#define SMOOTHING_S 0.5    /* of CPU usage, which the kernel counts in ticks */
#define STEP_MAX_S 2.0     /* a longer gap says nothing more */
#define INTEGRAL_MAX 10.0
#define OUTPUT_MAX 100.0
#define SATURATED_PART 0.8  /* of the way from the target to all: how far over cannot be seen */
#define SATURATED_S 3.0     /* longer: shrink faster, */
#define SATURATED_BOOST 2.0 /* this much more each second, */
#define SATURATED_MAX 8.0   /* up to so many times */
#define USED_FADE_S 5.0
#define PER_TASK_FADE_S 1800.0
#define SHARED_FADE_S 60.0 /* others moved the memory, perhaps */
#define ROUND_NS (5 * FLO_NS_PER_S)
#define ROUND_LEAST_NS (200 * FLO_NS_PER_MS)
#define THROTTLED_PART 0.5
#define WATERMARK_RELEASE 0.02

const struct flo_tuner_gains flo_tuner_memory_gains = {.p = 5, .d = 1, .threshold = 0.25};
const struct flo_tuner_gains flo_tuner_cpu_gains = {.p = 5, .d = 1, .threshold = 0.05};

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

void flo_tuner_init(struct flo_tuner *tuner, const struct flo_tuner_options *options,
                    int64_t now_ns)
{
    *tuner = (struct flo_tuner){
        .cpu_pid = {.gains = options->cpu, .target = options->target_cpu},
        .memory_pid = {.gains = options->memory, .target = options->target_memory},
        .cpu = -1,
        .memory = -1,
        .watermark = least((1 + options->target_memory) / 2, 0.98),
        .max_cpu_pressure = options->max_cpu_pressure,
        .max_memory_pressure = options->max_memory_pressure,
        .last_ns = now_ns,
    };
    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++) {
        struct flo_tuner_level *level = &tuner->levels[kind];
        level->range = options->slots[kind];
        assert(level->range.max == 0 ||
               (level->range.min >= 1 && level->range.min <= level->range.max));
        level->level = (double)level->range.min;
        level->base = -1;
    }
}

static void pid_step(struct flo_tuner_pid *pid, double usage, double seconds)
{
    double error = pid->target - usage;
    double change = pid->begun ? usage - pid->last : 0;

    pid->integral = clamp(pid->integral + error * seconds, -INTEGRAL_MAX, INTEGRAL_MAX);
    pid->output = clamp(pid->gains.p * error + pid->gains.i * pid->integral - pid->gains.d * change,
                        -OUTPUT_MAX, OUTPUT_MAX);
    pid->last = usage;
    pid->begun = true;
}

/* ---- what is seen ---- */

static void see_cpu(struct flo_tuner *tuner, double usage, double seconds)
{
    double target = tuner->cpu_pid.target;

    if (usage < 0)
        return;
    if (tuner->cpu < 0)
        tuner->cpu = usage;
    else
        tuner->cpu += (usage - tuner->cpu) * seconds / (seconds + SMOOTHING_S);
    pid_step(&tuner->cpu_pid, tuner->cpu, seconds);
    if (target < 1 && tuner->cpu >= target + SATURATED_PART * (1 - target))
        tuner->saturated_s += seconds;
    else
        tuner->saturated_s = 0;
}

static void see_memory(struct flo_tuner *tuner, double usage, bool shared, double seconds)
{
    if (usage < 0)
        return;
    tuner->memory = usage;
    tuner->shared = shared;
    pid_step(&tuner->memory_pid, usage, seconds);
    tuner->stopped = usage >= tuner->watermark ||
                     (tuner->stopped && usage > tuner->watermark - WATERMARK_RELEASE);
}

/* Memory now, as the round's tasks and those that came since explain it. Young ones may not have
 * taken theirs yet: the most of a round counts. */
static void see_round(struct flo_tuner_level *level, double memory, size_t running)
{
    double tasks = (double)(running > level->round_tasks ? running : level->round_tasks);

    level->round_memory = most(level->round_memory, memory);
    level->round_per_task = most(level->round_per_task, (memory - level->base) / tasks);
}

/* A round has ended. What a task takes is the most that one was seen to take. With fewer tasks than
 * before, what they do not explain is memory without tasks: a heap keeps what it once had. */
static void learn(struct flo_tuner_level *level, double seconds, bool shared)
{
    double fade = 1 - least(seconds / (shared ? SHARED_FADE_S : PER_TASK_FADE_S), 0.5);
    double explained = level->per_task * (double)level->round_tasks;

    if (level->round_tasks * 4 >= level->proven * 3)
        level->per_task = most(level->round_per_task, level->per_task * fade);
    else
        level->base = clamp(level->round_memory - explained, 0, level->round_memory);
    level->proven = level->round_tasks;
}

/* No task runs, so the memory there is has another reason: what was learned of tasks explains that
 * much less. */
static void see_none(struct flo_tuner_level *level, double memory)
{
    if (level->proven > 0 && memory > level->base)
        level->per_task = most(level->per_task - (memory - level->base) / (double)level->proven, 0);
    level->base = memory;
}

static void see_tasks(struct flo_tuner *tuner, struct flo_tuner_level *level, int64_t now_ns,
                      const struct flo_tuner_load *load, double seconds)
{
    size_t peak = load->peak > load->running ? load->peak : load->running;
    double memory = most(tuner->memory, 0);

    level->used = most((double)peak, level->used * (1 - least(seconds / USED_FADE_S, 1)));
    if (level->base < 0)
        level->base = memory;
    if (peak == 0) {
        see_none(level, memory);
        level->round_tasks = 0;
        if (level->used < 1) { /* another kind of tasks may come */
            level->proven = 0;
            level->per_task = 0;
        }
        return;
    }
    if (level->round_tasks > 0) {
        int64_t age_ns = now_ns - level->round_ns;
        see_round(level, memory, load->running);
        /* Twice as many ends as tasks: the quick ones may not speak for the slow ones. */
        if (age_ns < ROUND_NS &&
            (age_ns < ROUND_LEAST_NS || load->done - level->round_done < 2 * level->round_tasks))
            return;
        learn(level, (double)age_ns / FLO_NS_PER_S, tuner->shared);
    }
    level->round_ns = now_ns;
    level->round_done = load->done;
    level->round_tasks = peak;
    level->round_memory = memory;
    level->round_per_task = 0;
}

/* ---- what follows ---- */

/* What forbids to grow at all. STEADY: nothing does. */
static enum flo_tuner_reason forbidden(const struct flo_tuner *tuner,
                                       const struct flo_tuner_level *level,
                                       const struct flo_tuner_sample *sample)
{
    if (tuner->stopped)
        return FLO_TUNER_WATERMARK;
    if (level->level >= (double)level->range.max)
        return FLO_TUNER_MAX;
    if (sample->cpu < 0 || sample->memory < 0)
        return FLO_TUNER_UNKNOWN;
    if (tuner->memory_pid.output <= tuner->memory_pid.gains.threshold)
        return FLO_TUNER_MEMORY;
    if (tuner->cpu_pid.output <= tuner->cpu_pid.gains.threshold ||
        sample->throttled > THROTTLED_PART)
        return FLO_TUNER_CPU;
    if (sample->cpu_pressure > tuner->max_cpu_pressure ||
        sample->memory_pressure > tuner->max_memory_pressure)
        return FLO_TUNER_PSI;
    return FLO_TUNER_STEADY;
}

static enum flo_tuner_reason grow(const struct flo_tuner *tuner, struct flo_tuner_level *level,
                                  double seconds)
{
    double surplus = least(tuner->cpu_pid.output - tuner->cpu_pid.gains.threshold,
                           tuner->memory_pid.output - tuner->memory_pid.gains.threshold);
    double step = level->level * RATE * surplus * seconds;
    double limit = (double)level->range.max;
    enum flo_tuner_reason reason = FLO_TUNER_GREW;

    if (level->range.ramp_ms > 0)
        step = least(step, seconds * 1000 / (double)level->range.ramp_ms);
    if (2 * (double)level->proven < limit) {
        limit = 2 * (double)level->proven;
        reason = FLO_TUNER_RAMP;
    }
    if (level->per_task > 0) {
        double fit = (tuner->memory_pid.target - level->base) / level->per_task;
        if (fit < limit) {
            limit = fit;
            reason = FLO_TUNER_MEMORY;
        }
    }
    if (level->level >= limit)
        return reason;
    level->level = least(level->level + step, limit);
    return FLO_TUNER_GREW;
}

/* Share of the level that goes in a second. */
static double shrinking(const struct flo_tuner *tuner)
{
    double rate = 0;

    if (tuner->cpu_pid.begun && tuner->cpu_pid.output < 0) {
        double over = tuner->saturated_s - SATURATED_S;
        rate = -tuner->cpu_pid.output * RATE *
               (over > 0 ? least(1 + over * SATURATED_BOOST, SATURATED_MAX) : 1);
    }
    if (tuner->memory_pid.begun && tuner->memory_pid.output < 0)
        rate = most(rate, -tuner->memory_pid.output * RATE * MEMORY_SHRINK);
    return rate;
}

static enum flo_tuner_reason shrink(const struct flo_tuner *tuner, struct flo_tuner_level *level,
                                    const struct flo_tuner_load *load, double seconds)
{
    double floor = most((double)level->range.min, (double)load->running / 2);
    double next = level->level * (1 - least(shrinking(tuner) * seconds, 0.5));

    if (level->level > floor)
        level->level = most(next, floor);
    return tuner->memory_pid.output < 0 ? FLO_TUNER_MEMORY : FLO_TUNER_CPU;
}

static void level_step(const struct flo_tuner *tuner, struct flo_tuner_level *level,
                       const struct flo_tuner_sample *sample, const struct flo_tuner_load *load,
                       double seconds, struct flo_tuner_verdict *verdict)
{
    size_t before = (size_t)level->level;
    size_t peak = load->peak > load->running ? load->peak : load->running;
    bool wanted = peak > 0 && peak >= before;
    double enough = most((double)level->range.min, level->used + 1);
    enum flo_tuner_reason reason = FLO_TUNER_STEADY;

    if (shrinking(tuner) > 0) {
        reason = shrink(tuner, level, load, seconds);
    } else if (wanted) {
        reason = forbidden(tuner, level, sample);
        if (reason == FLO_TUNER_STEADY)
            reason = grow(tuner, level, seconds);
    }
    if (level->level > enough) {
        level->level = enough;
        reason = reason == FLO_TUNER_STEADY ? FLO_TUNER_UNUSED : reason;
    }
    if (tuner->stopped)
        reason = FLO_TUNER_WATERMARK;
    verdict->slots = tuner->stopped ? 0 : (size_t)level->level;
    verdict->refused = wanted && reason != FLO_TUNER_GREW;
    /* Without anybody who wants more there is no refusal, only a move or none. */
    if (!verdict->refused && verdict->slots == before && reason != FLO_TUNER_GREW)
        reason = FLO_TUNER_STEADY;
    verdict->reason = reason;
}

void flo_tuner_step(struct flo_tuner *tuner, int64_t now_ns, const struct flo_tuner_sample *sample,
                    const struct flo_tuner_load load[FLO_TUNER_KINDS],
                    struct flo_tuner_verdict verdicts[FLO_TUNER_KINDS])
{
    double seconds = clamp((double)(now_ns - tuner->last_ns) / FLO_NS_PER_S, 0, STEP_MAX_S);

    tuner->last_ns = now_ns;
    see_cpu(tuner, sample->cpu, seconds);
    see_memory(tuner, sample->memory, sample->memory_shared, seconds);
    for (int kind = 0; kind < FLO_TUNER_KINDS; kind++) {
        struct flo_tuner_level *level = &tuner->levels[kind];
        verdicts[kind] = (struct flo_tuner_verdict){0};
        if (level->range.max == 0)
            continue;
        see_tasks(tuner, level, now_ns, &load[kind], seconds);
        level_step(tuner, level, sample, &load[kind], seconds, &verdicts[kind]);
    }
}

const char *flo_tuner_reason_name(enum flo_tuner_reason reason)
{
    static const char *const NAMES[FLO_TUNER_REASONS] = {
        [FLO_TUNER_STEADY] = "steady",       [FLO_TUNER_GREW] = "headroom",
        [FLO_TUNER_UNUSED] = "unused",       [FLO_TUNER_CPU] = "cpu",
        [FLO_TUNER_MEMORY] = "memory",       [FLO_TUNER_PSI] = "psi",
        [FLO_TUNER_RAMP] = "ramp",           [FLO_TUNER_MAX] = "max",
        [FLO_TUNER_WATERMARK] = "watermark", [FLO_TUNER_UNKNOWN] = "unknown"};
    return NAMES[reason];
}
