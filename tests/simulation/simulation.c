/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulation.c - run seeds:
 *
 *   engine_simulation [--seed N] [--from N] [--count N] [--hashes 1] [--trace 1] [--break I1]
 *
 * Without options: the seeds of SEEDS (each once made a simulation fail, or is there from the
 * start), then COUNT seeds from the operating system's randomness. Each seed runs twice and must
 * give the same hash. A failing seed is printed with how to repeat it; add it to the list when it
 * is mended. --seed runs one, --count so many, --from N those from N on, the listed ones not;
 * --hashes prints what each came to, --trace all that happens, --break breaks a promise (check.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "simulation/feature.h"

#define CLIENTS 12
#define FAULTS (60 * SECOND)
/* All must have ended this long after the last fault: timeouts and retry intervals are seconds, but
 * a retried activity may by then wait up to 100 s for its next attempt. */
#define PATIENCE (600 * SECOND)
#define COUNT 300

/* More events than this at one moment are a loop. */
#define AT_ONCE_MAX 100000

static const uint64_t SEEDS[] = {1,
                                 2,
                                 3,
                                 4,
                                 5,
                                 6,
                                 18,
                                 42,
                                 96,
                                 253,
                                 349,
                                 1729,
                                 65537,
                                 100148,
                                 101317,
                                 102088,
                                 102607,
                                 133,
                                 274,
                                 200092,
                                 1776331938129718569,
                                 5925268983173791659,
                                 9220074768199695721U};

struct outcome {
    uint64_t hash;
    unsigned deaths;
    int64_t virtual_ns;
    size_t events;
    char failure[256];
};

/* How the seeds are run. */
static struct {
    const char *program;
    const char *breaks; /* as it was given, or NULL */
    enum broken broken;
    bool traced, hashes;
} mode;

static bool all_ended(struct cast *cast)
{
    return cast->ended == cast->client_count && features_done(cast);
}

static void run_seed(uint64_t seed, bool traced, struct outcome *out)
{
    static struct world world;
    static struct cast cast;
    unsigned deaths = 0;
    size_t at_once = 0;
    int64_t before_ns = 0;
    world_init(&world, seed, FAULTS, mode.broken, traced);
    int64_t begun = world.now_ns;
    cast_init(&cast, &world, CLIENTS);
    *out = (struct outcome){0};
    while (!world.failure && !all_ended(&cast) && world_step(&world)) {
        out->events++;
        at_once = world.now_ns == before_ns ? at_once + 1 : 0;
        before_ns = world.now_ns;
        if (at_once > AT_ONCE_MAX)
            world_fail(&world, "time stands still: the engine wakes up again and again");
        if (world.deaths != deaths) {
            cast_check_durable(&cast);
            features_check_durable(&cast);
        }
        deaths = world.deaths;
        if (world.now_ns > world.faults_end_ns + PATIENCE)
            world_fail(&world, "I12: %u of %u workflows have not ended%s",
                       cast.client_count - cast.ended, cast.client_count,
                       features_done(&cast) ? "" : ", a feature is not done");
    }
    if (!world.failure && !all_ended(&cast))
        world_fail(&world, "I12: nothing more happens, and %u of %u workflows have not ended",
                   cast.client_count - cast.ended, cast.client_count);
    if (!world.failure) {
        cast_check_histories(&cast);
        features_check_end(&cast);
    }
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
    run_seed(seed, mode.traced, &first);
    run_seed(seed, false, &second);
    total->deaths += first.deaths;
    total->events += first.events;
    total->virtual_ns += first.virtual_ns;
    if (mode.hashes)
        printf("seed %llu: %016llx\n", (unsigned long long)seed, (unsigned long long)first.hash);
    if (!*first.failure && first.hash == second.hash)
        return true;
    printf("FLO_SIM_SEED=%llu: %s\n  again: %s --seed %llu%s%s (and --trace 1)\n",
           (unsigned long long)seed,
           *first.failure ? first.failure : "a second run went another way", mode.program,
           (unsigned long long)seed, mode.breaks ? " --break " : "",
           mode.breaks ? mode.breaks : "");
    fflush(stdout);
    return false;
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static void read_mode(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum broken broken;
    } promises[] = {{"I1", BROKEN_I1}, {"I2", BROKEN_I2}, {"I3", BROKEN_I3},   {"I4", BROKEN_I4},
                    {"I5", BROKEN_I5}, {"I6", BROKEN_I6}, {"I12", BROKEN_I12}, {"I13", BROKEN_I13}};
    mode.program = argv[0];
    mode.traced = option(argc, argv, "--trace") != NULL;
    mode.hashes = option(argc, argv, "--hashes") != NULL;
    mode.breaks = option(argc, argv, "--break");
    for (size_t i = 0; mode.breaks && i < sizeof promises / sizeof *promises; i++)
        if (strcmp(promises[i].name, mode.breaks) == 0)
            mode.broken = promises[i].broken;
    if (mode.breaks && !mode.broken) {
        fprintf(stderr, "--break I1, I2, I3, I4, I5, I6, I12 or I13\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct outcome total = {0};
    unsigned ran = 0, failed = 0;
    const char *seed = option(argc, argv, "--seed"), *count = option(argc, argv, "--count");
    const char *from = option(argc, argv, "--from");
    int64_t begun = flo_clock_mono_ns();

    read_mode(argc, argv);
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
