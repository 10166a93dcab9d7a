/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.c - the samples of a profile (executor/profile.h) are taken out of their rings four times
 * a second and counted by stack; at the end a child process names them, while the loop goes on.
 */
#include "worker/profile.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/profile.h"
#include "worker/control.h"
#include "workflow/switch.h"

#define TICK_US 250000
#define STACKS_MAX 4096                     /* different ones; samples of more are lost */
#define NAMED_MAX 1024                      /* that are named, the most frequent */
#define FOLDED_MAX_BYTES ((size_t)56 << 10) /* of an answer of at most 64 KiB */
#define TEXT_MAX_BYTES ((size_t)8 << 20)    /* of all that are named */

struct counted {
    struct flo_profile_sample sample;
    uint64_t count;
};

struct flo_profile {
    struct flo_worker *worker;
    uint64_t id; /* of the command */
    unsigned seconds, hz;
    int64_t until_ns;              /* monotonic */
    struct flo_profile_ring *ring; /* of this process; mapped */
    struct flo_map stacks;         /* a sample's bytes -> struct counted, owned */
    struct flo_profile_stack *sorted;
    uint64_t samples, lost;
    struct event *tick, *readable;
    int fd; /* the child's pipe, or -1 */
    int pid;
    struct flo_buf text;
};

/* ---- counting ---- */

static void count(void *ctx, const struct flo_profile_sample *sample)
{
    struct flo_profile *profile = ctx;
    size_t len = offsetof(struct flo_profile_sample, pc) + sample->depth * sizeof sample->pc[0];
    struct counted *known = flo_map_get(&profile->stacks, sample, len);

    if (!known && sample->depth > 0 && profile->stacks.count < STACKS_MAX) {
        known = flo_calloc(1, sizeof *known);
        if (known) {
            known->sample = *sample;
            if (flo_map_put(&profile->stacks, sample, len, known, NULL)) {
                flo_free(known);
                known = NULL;
            }
        }
    }
    if (!known) {
        profile->lost++;
        return;
    }
    known->count++;
    profile->samples++;
}

static void take_all(struct flo_profile *profile)
{
    flo_profile_ring_drain(profile->ring, count, profile);
    flo_executor_profile_drain(profile->worker->executor, count, profile);
}

/* ---- the end ---- */

static void stop_sampling(struct flo_profile *profile)
{
    flo_profile_end();
    if (profile->worker->executor)
        flo_executor_profile(profile->worker->executor, 0);
}

static void profile_free(struct flo_profile *profile)
{
    for (struct flo_map_entry *it = flo_map_first(&profile->stacks); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&profile->stacks);
    if (profile->tick)
        event_free(profile->tick);
    if (profile->readable)
        event_free(profile->readable);
    if (profile->fd >= 0)
        close(profile->fd);
    if (profile->pid > 0) {
        kill(profile->pid, SIGKILL); /* our child, not waited for yet: nobody else's number */
        while (waitpid(profile->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    /* The ring stays mapped: a late signal may still look whether it is wanted. */
    flo_buf_fini(&profile->text);
    flo_free(profile->sorted);
    profile->worker->profile = NULL;
    flo_free(profile);
}

static void give_up(struct flo_profile *profile, const char *why)
{
    flo_log(FLO_LOG_WARN, "profile.failed", "A profile cannot be finished", "reason", why, NULL);
    flo_reporter_ack(profile->worker->reporter, profile->id, false, why, NULL);
    profile_free(profile);
}

/* The count at the end of a line. */
static uint64_t count_of(const char *line, size_t len)
{
    size_t at = len;

    while (at > 0 && line[at - 1] != ' ')
        at--;
    return strtoull(line + at, NULL, 10);
}

/* Cut the text to whole lines that fit; how many samples they are. */
static uint64_t fit(struct flo_profile *profile, size_t *out_len)
{
    const char *text = flo_buf_cstr(&profile->text);
    uint64_t samples = 0;

    *out_len = 0;
    for (const char *end; (end = strchr(text + *out_len, '\n'));) {
        size_t next = (size_t)(end + 1 - text);
        if (next > FOLDED_MAX_BYTES)
            break;
        samples += count_of(text + *out_len, (size_t)(end - text) - *out_len);
        *out_len = next;
    }
    return samples;
}

static void answer(struct flo_profile *profile)
{
    size_t len;
    uint64_t told = fit(profile, &len);
    char message[96];
    json_t *data = json_object();

    (void)!json_object_set_new(data, "folded", json_stringn(flo_buf_cstr(&profile->text), len));
    (void)!json_object_set_new(data, "samples", json_integer((json_int_t)profile->samples));
    (void)!json_object_set_new(data, "lost", json_integer((json_int_t)profile->lost));
    (void)!json_object_set_new(data, "left_out",
                               json_integer((json_int_t)(profile->samples - told)));
    (void)!json_object_set_new(data, "seconds", json_integer(profile->seconds));
    (void)!json_object_set_new(data, "hz", json_integer(profile->hz));
    snprintf(message, sizeof message, "%llu samples of CPU time in %u s",
             (unsigned long long)profile->samples, profile->seconds);
    flo_log(FLO_LOG_INFO, "profile.done", "A profile is done", "#samples",
            FLO_NUM(profile->samples), "#lost", FLO_NUM(profile->lost), NULL);
    flo_reporter_ack(profile->worker->reporter, profile->id, true, message, data);
    profile_free(profile);
}

static void on_names(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_profile *profile = ctx;
    uint8_t *room = flo_buf_reserve(&profile->text, 16384);
    ssize_t n;

    (void)what;
    if (!room) {
        give_up(profile, "the profile is too large");
        return;
    }
    n = read(fd, room, 16384);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        profile->text.len += (size_t)n;
        return;
    }
    if (profile->text.len == 0 && profile->samples > 0)
        give_up(profile, "the process that names addresses has died");
    else
        answer(profile);
}

static int by_count(const void *a, const void *b)
{
    uint64_t left = ((const struct flo_profile_stack *)a)->count;
    uint64_t right = ((const struct flo_profile_stack *)b)->count;

    return left < right ? 1 : left > right ? -1 : 0;
}

static void finish(struct flo_profile *profile)
{
    size_t stacks = profile->stacks.count, i = 0;
    struct flo_err err = {0};

    event_del(profile->tick);
    stop_sampling(profile);
    take_all(profile);
    profile->lost += atomic_load(&profile->ring->lost);
    if (profile->worker->executor)
        profile->lost += flo_executor_profile_lost(profile->worker->executor);
    profile->sorted = flo_calloc(stacks + 1, sizeof *profile->sorted);
    if (!profile->sorted) {
        give_up(profile, "no memory for the profile");
        return;
    }
    for (struct flo_map_entry *it = flo_map_first(&profile->stacks); it; it = flo_map_next(it)) {
        const struct counted *counted = flo_map_value(it);
        profile->sorted[i++] =
            (struct flo_profile_stack){.sample = &counted->sample, .count = counted->count};
    }
    qsort(profile->sorted, stacks, sizeof *profile->sorted, by_count);
    if (flo_profile_names(profile->sorted, stacks < NAMED_MAX ? stacks : NAMED_MAX, &profile->fd,
                          &profile->pid, &err)) {
        give_up(profile, err.message);
        return;
    }
    profile->readable =
        event_new(profile->worker->base, profile->fd, EV_READ | EV_PERSIST, on_names, profile);
    if (!profile->readable || event_add(profile->readable, NULL))
        give_up(profile, "no memory for the profile");
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_profile *profile = ctx;

    (void)fd;
    (void)what;
    take_all(profile);
    flo_profile_look();
    if (flo_clock_mono_ns() >= profile->until_ns)
        finish(profile);
}

/* ---- the start ---- */

/* One a process, kept for ever: 50 KiB of address space, touched when there are samples. */
static struct flo_profile_ring *ring_map(void)
{
    static struct flo_profile_ring *ring;
    void *map;

    if (ring)
        return ring;
    map = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ring = map == MAP_FAILED ? NULL : map;
    return ring;
}

int flo_profile_start(struct flo_worker *worker, uint64_t id, unsigned seconds, unsigned hz,
                      struct flo_err *err)
{
    const struct timeval tick = {.tv_usec = TICK_US};
    struct flo_profile *profile;
    int rc = 0;

    if (worker->profile)
        return flo_fail(err, FLO_EINVAL, "a profile is being made already");
    profile = flo_calloc(1, sizeof *profile);
    if (!profile)
        return flo_fail(err, FLO_ENOMEM, "no memory for a profile");
    *profile = (struct flo_profile){.worker = worker,
                                    .id = id,
                                    .seconds = seconds,
                                    .hz = hz,
                                    .until_ns = flo_clock_mono_ns() + seconds * FLO_NS_PER_S,
                                    .ring = ring_map(),
                                    .fd = -1};
    flo_map_init(&profile->stacks);
    flo_buf_init(&profile->text, TEXT_MAX_BYTES);
    profile->tick = event_new(worker->base, -1, EV_PERSIST, on_tick, profile);
    if (!profile->ring || !profile->tick || event_add(profile->tick, &tick))
        rc = flo_fail(err, FLO_ENOMEM, "no memory for a profile");
    if (!rc)
        rc = flo_profile_begin(profile->ring, hz, flo_context_switching, err);
    if (rc) {
        profile_free(profile);
        return rc;
    }
    worker->profile = profile;
    if (worker->executor)
        flo_executor_profile(worker->executor, hz);
    return 0;
}

void flo_profile_fini(struct flo_worker *worker)
{
    if (!worker->profile)
        return;
    stop_sampling(worker->profile);
    flo_reporter_ack(worker->reporter, worker->profile->id, false, "the worker has stopped", NULL);
    profile_free(worker->profile);
}
