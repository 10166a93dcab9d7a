/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_crash.c - the real store on a disk that loses power (power.h):
 *
 *   store_simulation [--seed N] [--from N] [--count N] [--break I1]
 *
 * A seed commits batches of runs and histories, and checkpoints, until the power fails in the midst
 * of some write or sync; opens what is left, and goes on, some times. What is found must be all
 * that was acknowledged (I1), the batch that was under way wholly or not at all (I6), histories
 * without gaps and with their bytes (I5). At the end a byte of the log is changed: then all is
 * there, or the store says that something is not (I13). A failing seed is printed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "engine/store/store.h"
#include "simulation/power.h"

#define LIVES 5
#define COMMITS 40 /* in one life at most */
#define RUNS_MAX 64
#define ROWS_MAX 3
#define EVENT_BYTES_MAX 3000
#define COUNT 100

/* What must be there of a run. */
struct expected {
    unsigned version; /* of its state; 0 = it is not there */
    unsigned batches; /* of its history */
};

struct model {
    struct expected runs[RUNS_MAX];
};

struct crash {
    struct flo_rng rng;
    char folder[64], path[96];
    struct flo_store *store;
    struct model acknowledged, under_way;
    bool broken_sync; /* --break I1 */
    char failure[256];
};

static void fail(struct crash *c, const char *text)
{
    if (!*c->failure)
        snprintf(c->failure, sizeof c->failure, "%.255s", text);
}

/* ---- what is written follows from where it stands ---- */

static size_t batch_len(uint64_t key, unsigned batch)
{
    return 1 + (key * 7919 + (uint64_t)batch * 104729) % EVENT_BYTES_MAX;
}

static void fill(uint8_t *out, size_t len, uint64_t key, unsigned number)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(key * 31 + number * 17 + i * 13);
}

/* One batch for the store: new runs, and more of those that are there. */
struct batch {
    struct flo_core_batch batch;
    struct flo_core_namespace_row namespace;
    struct flo_core_run_row runs[ROWS_MAX];
    struct flo_core_history_row histories[ROWS_MAX];
    char ids[ROWS_MAX][24];
    uint8_t states[ROWS_MAX][64], events[ROWS_MAX][EVENT_BYTES_MAX + 1];
};

static void add_row(struct batch *b, struct model *model, uint64_t key)
{
    const size_t i = b->batch.run_count++;
    struct expected *run = &model->runs[key];
    run->version++;
    fill(b->states[i], sizeof b->states[i], key, run->version);
    snprintf(b->ids[i], sizeof b->ids[i], "run-%llu", (unsigned long long)key);
    b->runs[i] = (struct flo_core_run_row){
        .key = key,
        .namespace_id = "ns",
        .workflow_id = b->ids[i],
        .run_id = b->ids[i],
        .type = "T",
        .task_queue = "q",
        .start_request_id = "r",
        .first_run_id = b->ids[i],
        .parent_workflow_id = "",
        .parent_run_id = "",
        .root_workflow_id = b->ids[i],
        .root_run_id = b->ids[i],
        .status = 1,
        .start_ns = (int64_t)key,
        .execution_ns = (int64_t)key,
        .state = b->states[i],
        .state_len = sizeof b->states[i],
    };
    const size_t len = batch_len(key, run->batches);
    fill(b->events[i], len, key, run->batches);
    b->histories[b->batch.history_count++] = (struct flo_core_history_row){
        .key = key,
        .first_event_id = 1 + 2 * (int64_t)run->batches,
        .event_count = 2,
        .events = b->events[i],
        .len = len,
    };
    run->batches++;
}

static void make_batch(struct crash *c, struct batch *b)
{
    memset(b, 0, sizeof *b);
    b->namespace = (struct flo_core_namespace_row){
        .id = "ns", .name = "default", .state = (const uint8_t *)"x", .state_len = 1};
    b->batch.namespaces = &b->namespace;
    b->batch.namespace_count = 1;
    b->batch.runs = b->runs;
    b->batch.histories = b->histories;
    const size_t rows = 1 + flo_rng_below(&c->rng, ROWS_MAX);
    uint64_t key = flo_rng_below(&c->rng, RUNS_MAX);
    for (size_t i = 0; i < rows; i++, key++)
        add_row(b, &c->under_way, 1 + key % (RUNS_MAX - 1));
}

/* ---- what is found ---- */

struct found {
    struct model model;
    bool torn; /* a state or a history is not what was ever written */
};

static int find_run(void *ctx, const struct flo_core_stored_run *run,
                    const struct flo_core_history_batch *batches, size_t count, struct flo_err *err)
{
    struct found *found = ctx;
    uint8_t expected[EVENT_BYTES_MAX + 1];
    (void)err;
    if (run->key >= RUNS_MAX || run->state_len != 64) {
        found->torn = true;
        return 0;
    }
    struct expected *it = &found->model.runs[run->key];
    for (unsigned version = 1; version < 4096 && !it->version; version++) {
        fill(expected, 64, run->key, version);
        if (memcmp(expected, run->state, 64) == 0 && version >= count)
            it->version = version;
    }
    found->torn = found->torn || !it->version;
    it->batches = (unsigned)count;
    for (unsigned i = 0; i < count; i++) {
        const size_t len = batch_len(run->key, i);
        fill(expected, len, run->key, i);
        if (batches[i].first_event_id != 1 + 2 * (int64_t)i || batches[i].event_count != 2 ||
            batches[i].len != len || memcmp(batches[i].events, expected, len) != 0)
            found->torn = true;
    }
    return 0;
}

/* A state's bytes repeat after 256 versions: compare as far as they say. */
static bool same(const struct model *a, const struct model *b)
{
    for (size_t key = 0; key < RUNS_MAX; key++)
        if (a->runs[key].batches != b->runs[key].batches ||
            a->runs[key].version % 256 != b->runs[key].version % 256)
            return false;
    return true;
}

/* Is something missing that is in `less`? */
static bool lacks(const struct model *found, const struct model *less)
{
    for (size_t key = 0; key < RUNS_MAX; key++)
        if (found->runs[key].batches < less->runs[key].batches)
            return true;
    return false;
}

static int open_store(struct crash *c, struct flo_err *err)
{
    struct flo_store_options options = {.path = c->path};
    return flo_store_open(&options, &c->store, err);
}

/* Open what is left and look. */
static void look(struct crash *c)
{
    struct flo_err err = {0};
    struct found found = {0};
    int rc = open_store(c, &err);
    if (!rc)
        rc = flo_store_each_open_run(c->store, find_run, &found, &err);
    if (rc)
        fail(c, flo_error_text(rc)), fail(c, err.message);
    else if (lacks(&found.model, &c->acknowledged))
        fail(c, "I1: an acknowledged commit is lost");
    else if (found.torn)
        fail(c, "I5: a state or a history is damaged");
    else if (!same(&found.model, &c->acknowledged) && !same(&found.model, &c->under_way))
        fail(c, "I6: a commit is there in part");
    else
        c->acknowledged = c->under_way = found.model;
}

/* ---- lives and deaths ---- */

/* Commit until the power fails, or there is enough. */
static void live(struct crash *c)
{
    static struct batch batch;
    struct flo_err err = {0};
    power_fails_after((unsigned)flo_rng_below(&c->rng, 60));
    for (int i = 0; i < COMMITS && !power_is_off(); i++) {
        make_batch(c, &batch);
        int rc = flo_store_commit(c->store, &batch.batch, &err);
        if (!rc)
            c->acknowledged = c->under_way;
        if (!rc && flo_rng_below(&c->rng, 6) == 0)
            rc = flo_store_checkpoint(c->store, flo_rng_below(&c->rng, 2), &err);
        if (rc && !power_is_off())
            fail(c, err.message);
    }
}

/* The mark beside the database is written without a sync: a loss of power may bring an older one
 * back. */
static void copy_mark(const struct crash *c, bool save)
{
    static uint8_t kept[16];
    static ssize_t kept_len;
    char path[112];
    snprintf(path, sizeof path, "%s.mark", c->path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    if (save)
        kept_len = pread(fd, kept, sizeof kept, 0);
    else if (kept_len >= 0 &&
             (pwrite(fd, kept, (size_t)kept_len, 0) != kept_len || ftruncate(fd, kept_len)))
        abort();
    close(fd);
}

static void die(struct crash *c)
{
    flo_store_close(&c->store);
    power_restore(&c->rng);
    if (c->broken_sync || flo_rng_below(&c->rng, 3) == 0)
        copy_mark(c, false);
}

/* Change a byte of the log: loud, or harmless. */
static void damage(struct crash *c)
{
    char path[112];
    uint8_t byte;
    struct flo_err err = {0};
    struct found found = {0};
    flo_store_close(&c->store);
    snprintf(path, sizeof path, "%s-wal", c->path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (size > 0) {
        const off_t at = (off_t)flo_rng_below(&c->rng, (uint64_t)size);
        if (pread(fd, &byte, 1, at) != 1)
            abort();
        byte ^= (uint8_t)(1u << flo_rng_below(&c->rng, 8));
        if (pwrite(fd, &byte, 1, at) != 1)
            abort();
    }
    if (fd >= 0)
        close(fd);
    if (c->broken_sync)
        return;
    int rc = open_store(c, &err);
    if (!rc)
        rc = flo_store_each_open_run(c->store, find_run, &found, &err);
    if (!rc && (found.torn || !same(&found.model, &c->acknowledged)))
        fail(c, "I13: damage of the log went unseen");
}

static void remove_files(const struct crash *c)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", ".mark"};
    char name[112];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", c->path, ends[i]);
        unlink(name);
    }
    rmdir(c->folder);
}

/* True when all held. */
static bool run_seed(uint64_t seed, bool broken_sync, const char *program)
{
    static struct crash crash;
    struct crash *c = &crash;
    struct flo_err err = {0};
    memset(c, 0, sizeof *c);
    flo_rng_seed(&c->rng, seed);
    c->broken_sync = broken_sync;
    snprintf(c->folder, sizeof c->folder, "%s/flo-crash-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(c->folder))
        abort();
    snprintf(c->path, sizeof c->path, "%.63s/engine.db", c->folder);
    if (open_store(c, &err))
        fail(c, err.message);
    for (int life = 0; life < LIVES && !*c->failure; life++) {
        power_sync_lies(broken_sync);
        copy_mark(c, true);
        live(c);
        die(c);
        if (!*c->failure)
            look(c);
    }
    if (!*c->failure)
        damage(c);
    flo_store_close(&c->store);
    remove_files(c);
    power_forget();
    if (*c->failure)
        printf("FLO_SIM_SEED=%llu: %s\n  again: %s --seed %llu%s\n", (unsigned long long)seed,
               c->failure, program, (unsigned long long)seed, broken_sync ? " --break I1" : "");
    return !*c->failure;
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
    const char *seed = option(argc, argv, "--seed"), *from = option(argc, argv, "--from");
    const char *count = option(argc, argv, "--count");
    const bool broken_sync = option(argc, argv, "--break") != NULL;
    const int64_t begun = flo_clock_mono_ns();
    uint64_t base = flo_random_u64() >> 1;
    long seeds = count ? strtol(count, NULL, 10) : COUNT, failed = 0;
    if (from || seed)
        base = strtoull(from ? from : seed, NULL, 10);
    if (seed)
        seeds = 1;
    power_install();
    for (long i = 0; i < seeds; i++)
        failed += !run_seed(base + (uint64_t)i, broken_sync, argv[0]);
    printf("%ld seeds, %ld failed: %d losses of power each, in %.1f s\n", seeds, failed, LIVES,
           (double)(flo_clock_mono_ns() - begun) / 1e9);
    return failed ? 1 : 0;
}
