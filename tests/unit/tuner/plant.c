/* SPDX-License-Identifier: Apache-2.0 */
/* plant.c - see plant.h. */
#include "plant.h"

#include <string.h>

#define TICK_S 0.01
#define TICKS_A_STEP 10

static double pick(struct plant *plant, const double range[2])
{
    return range[0] + (range[1] - range[0]) * flo_rng_unit(&plant->rng);
}

struct flo_tuner_options plant_options(size_t min, size_t max, int64_t ramp_ms)
{
    return (struct flo_tuner_options){
        .target_cpu = 0.9,
        .target_memory = 0.8,
        .cpu = flo_tuner_cpu_gains,
        .memory = flo_tuner_memory_gains,
        .max_cpu_pressure = 0.8,
        .max_memory_pressure = 0.1,
        .slots = {[FLO_TUNER_ACTIVITY] = {.min = min, .max = max, .ramp_ms = ramp_ms}}};
}

void plant_init(struct plant *plant, uint64_t seed, double cores, size_t min, size_t max,
                int64_t ramp_ms)
{
    const struct flo_tuner_options options = plant_options(min, max, ramp_ms);

    memset(plant, 0, sizeof *plant);
    flo_rng_seed(&plant->rng, seed);
    flo_tuner_init(&plant->tuner, &options, 0);
    plant->cores = cores;
    plant->base_memory = 0.05;
    plant->cpu_pressure = plant->memory_pressure = plant->throttled = -1;
    plant->backlog = true;
    plant->polls = 5;
    plant->slots = min;
    plant_measure_begin(plant);
}

static void start_tasks(struct plant *plant)
{
    for (size_t i = 0; i < PLANT_TASKS_MAX && plant->backlog && plant->running < plant->slots;
         i++) {
        struct plant_task *task = &plant->tasks[i];
        if (task->used)
            continue;
        *task = (struct plant_task){.used = true,
                                    .cpu_left_s = pick(plant, plant->work.cpu_s),
                                    .wait_left_s = pick(plant, plant->work.wait_s),
                                    .memory = pick(plant, plant->work.memory),
                                    .memory_at_s = pick(plant, plant->work.memory_after)};
        task->length_s = task->cpu_left_s + task->wait_left_s;
        if (!plant->work.memory_late_s)
            task->memory_at_s *= task->length_s;
        plant->places = i + 1 > plant->places ? i + 1 : plant->places;
        plant->running++;
        plant->peak = plant->running > plant->peak ? plant->running : plant->peak;
    }
}

static double tasks_memory(const struct plant *plant)
{
    double sum = 0;

    for (size_t i = 0; i < plant->places; i++)
        if (plant->tasks[i].used && plant->tasks[i].age_s >= plant->tasks[i].memory_at_s)
            sum += plant->tasks[i].memory;
    return sum;
}

double plant_memory(const struct plant *plant)
{
    double now = tasks_memory(plant), kept = plant->peak_tasks_memory * plant->retained;

    return plant->base_memory + (now > kept ? now : kept);
}

/* Each task waits first, then computes; who computes shares the cores, one core a task at most. */
static void tick(struct plant *plant)
{
    size_t computing = 0;
    double share, memory, cores = plant->cores - plant->others;

    start_tasks(plant);
    for (size_t i = 0; i < plant->places; i++)
        computing += plant->tasks[i].used && plant->tasks[i].wait_left_s <= 0;
    share = computing > 0 && (double)computing > cores ? cores / (double)computing : 1;
    for (size_t i = 0; i < plant->places; i++) {
        struct plant_task *task = &plant->tasks[i];
        if (!task->used)
            continue;
        task->age_s += TICK_S;
        if (task->wait_left_s > 0) {
            task->wait_left_s -= TICK_S;
        } else {
            double used = TICK_S * share;
            used = used < task->cpu_left_s ? used : task->cpu_left_s;
            task->cpu_left_s -= used;
            plant->busy_s += used;
        }
        if (task->wait_left_s <= 0 && task->cpu_left_s <= 1e-9) {
            task->used = false;
            plant->running--;
            plant->done++;
        }
    }
    plant->busy_s += plant->others * TICK_S;
    plant->now_s += TICK_S;
    memory = tasks_memory(plant);
    if (memory > plant->peak_tasks_memory)
        plant->peak_tasks_memory = memory;
    memory = plant_memory(plant);
    if (memory > plant->memory_max)
        plant->memory_max = memory;
}

static void steer(struct plant *plant)
{
    const struct flo_tuner_sample sample = {
        .cpu = (plant->busy_s - plant->sampled_busy_s) /
               ((plant->now_s - plant->sampled_at_s) * plant->cores),
        .memory = plant_memory(plant),
        .memory_shared = plant->shared,
        .cpu_pressure = plant->cpu_pressure,
        .memory_pressure = plant->memory_pressure,
        .throttled = plant->throttled};
    const struct flo_tuner_load load[FLO_TUNER_KINDS] = {
        [FLO_TUNER_ACTIVITY] = {
            .running = plant->running, .peak = plant->peak, .done = plant->done}};
    struct flo_tuner_verdict verdicts[FLO_TUNER_KINDS];
    size_t before = plant->slots;

    flo_tuner_step(&plant->tuner, (int64_t)(plant->now_s * 1e9), &sample, load, verdicts);
    plant->verdict = verdicts[FLO_TUNER_ACTIVITY];
    plant->slots = plant->verdict.slots;
    plant->peak = plant->running;
    plant->sampled_busy_s = plant->busy_s;
    plant->sampled_at_s = plant->now_s;
    if (plant->slots < plant->slots_min)
        plant->slots_min = plant->slots;
    if (plant->slots > plant->slots_max)
        plant->slots_max = plant->slots;
    if (plant->slots != before) {
        int direction = plant->slots > before ? 1 : -1;
        plant->turns += plant->direction && direction != plant->direction;
        plant->direction = direction;
    }
}

void plant_run(struct plant *plant, double seconds)
{
    int ticks = (int)(seconds / TICK_S + 0.5);

    for (int i = 1; i <= ticks; i++) {
        tick(plant);
        if (i % TICKS_A_STEP == 0)
            steer(plant);
    }
}

void plant_measure_begin(struct plant *plant)
{
    plant->measured_from_s = plant->now_s;
    plant->measured_busy_s = plant->busy_s;
    plant->memory_max = 0;
    plant->slots_min = plant->slots_max = plant->slots;
    plant->turns = 0;
    plant->direction = 0;
}

double plant_cpu(const struct plant *plant)
{
    return (plant->busy_s - plant->measured_busy_s) /
           ((plant->now_s - plant->measured_from_s) * plant->cores);
}
