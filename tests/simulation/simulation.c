/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulation.c - run seeds:  engine_simulation [--seed N] [--count N] [--from N] [--early 1]
 *
 * Without options: the seeds of SEEDS (each once made a simulation fail, or is there from the
 * start), then COUNT seeds from the operating system's randomness. Each seed runs twice and must
 * give the same hash. A failing seed is printed as FLO_SIM_SEED=N; add it to the list when it is
 * mended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "simulation/actors.h"

#define CLIENTS 12
#define FAULTS (60 * SECOND)
/* All must have ended this long after the last fault: timeouts and retry intervals are seconds, but
 * a retried activity may by then wait up to 100 s for its next attempt. */
#define PATIENCE (600 * SECOND)
#define COUNT 300

/* More events than this at one moment are a loop. */
#define AT_ONCE_MAX 100000

static const uint64_t SEEDS[] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 42, 96, 253, 349, 1729, 65537, 200092, 1776331938129718569};

struct outcome {
    uint64_t hash;
    unsigned deaths;
    int64_t virtual_ns;
    size_t events;
    char failure[256];
};

static bool early_answers;

static void run_seed(uint64_t seed, struct outcome *out)
{
    static struct world world;
    static struct cast cast;
    unsigned deaths = 0;
    size_t at_once = 0;
    int64_t before_ns = 0;
    world_init(&world, seed, FAULTS);
    world.early_answers = early_answers;
    int64_t begun = world.now_ns;
    cast_init(&cast, &world, CLIENTS);
    *out = (struct outcome){0};
    while (!world.failure && cast.ended < cast.client_count && world_step(&world)) {
        out->events++;
        at_once = world.now_ns == before_ns ? at_once + 1 : 0;
        before_ns = world.now_ns;
        if (at_once > AT_ONCE_MAX)
            world_fail(&world, "time stands still: the engine wakes up again and again");
        if (world.deaths != deaths)
            cast_check_durable(&cast);
        deaths = world.deaths;
        if (world.now_ns > world.faults_end_ns + PATIENCE)
            world_fail(&world, "I12: %u of %u workflows have not ended",
                       cast.client_count - cast.ended, cast.client_count);
    }
    if (!world.failure)
        cast_check_histories(&cast);
    out->hash = world.hash;
    out->deaths = world.deaths;
    out->virtual_ns = world.now_ns - begun;
    if (world.failure)
        snprintf(out->failure, sizeof out->failure, "%s", world.failure);
    world_fini(&world);
    cast_fini(&cast);
}

/* Run a seed twice. True when all held. */
static bool check_seed(uint64_t seed, struct outcome *total)
{
    struct outcome first, second;
    run_seed(seed, &first);
    run_seed(seed, &second);
    total->deaths += first.deaths;
    total->events += first.events;
    total->virtual_ns += first.virtual_ns;
    if (!*first.failure && first.hash == second.hash)
        return true;
    printf("FLO_SIM_SEED=%llu: %s\n", (unsigned long long)seed,
           *first.failure ? first.failure : "a second run went another way");
    return false;
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    struct outcome total = {0};
    unsigned ran = 0, failed = 0;
    const char *seed = option(argc, argv, "--seed"), *count = option(argc, argv, "--count");
    const char *from = option(argc, argv, "--from");
    int64_t begun = flo_clock_mono_ns();
    early_answers = option(argc, argv, "--early") != NULL;

    if (seed) {
        failed += !check_seed(strtoull(seed, NULL, 10), &total);
        ran++;
    } else {
        for (size_t i = 0; i < sizeof SEEDS / sizeof *SEEDS && !from; i++, ran++)
            failed += !check_seed(SEEDS[i], &total);
        long more = count ? strtol(count, NULL, 10) : COUNT;
        uint64_t base = from ? strtoull(from, NULL, 10) : flo_random_u64() >> 1;
        for (long i = 0; i < more; i++, ran++)
            failed += !check_seed(base + (uint64_t)i, &total);
    }
    printf("%u seeds twice, %u failed: %u deaths, %zu events, %lld s of virtual time in %.1f s\n",
           ran, failed, total.deaths, total.events, (long long)(total.virtual_ns / SECOND),
           (double)(flo_clock_mono_ns() - begun) / 1e9);
    return failed ? 1 : 0;
}
