/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - a token bucket and counts of open calls for each namespace. */
#include "engine/limits.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

#define BURST_RATIO 2.0
/* No namespace has a longer name: what is asked for under one is refused anyway, and not kept. */
enum { NAME_MAX_BYTES = 255 };

struct usage {
    double tokens;
    int64_t refilled_ns;
    unsigned open[FLO_LIMITS_LONG_COUNT];
};

struct flo_limits {
    struct flo_limits_options opt;
    double burst;
    struct flo_map namespaces; /* struct usage by name */
    struct usage others;       /* of those that have no entry */
};

int flo_limits_new(const struct flo_limits_options *options, struct flo_limits **out_limits)
{
    struct flo_limits *limits = flo_calloc(1, sizeof *limits);
    if (!limits)
        return FLO_ENOMEM;
    limits->opt = *options;
    limits->burst = options->rps * (options->burst_ratio > 0 ? options->burst_ratio : BURST_RATIO);
    if (limits->burst < 1)
        limits->burst = 1;
    limits->others.tokens = limits->burst;
    flo_map_init(&limits->namespaces);
    *out_limits = limits;
    return 0;
}

void flo_limits_destroy(struct flo_limits **limits)
{
    struct flo_limits *self = *limits;
    *limits = NULL;
    if (!self)
        return;
    for (struct flo_map_entry *it = flo_map_first(&self->namespaces); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&self->namespaces);
    flo_free(self);
}

enum flo_limits_long flo_limits_kind(const char *method)
{
    static const char *const names[] = {
#define FLO_LIMITS_NAME(name) #name,
        FLO_LIMITS_LONG(FLO_LIMITS_NAME)
#undef FLO_LIMITS_NAME
    };
    for (size_t i = 0; i < FLO_LIMITS_LONG_COUNT; i++)
        if (strcmp(names[i], method) == 0)
            return (enum flo_limits_long)i;
    return FLO_LIMITS_SHORT;
}

static void refill(const struct flo_limits *limits, struct usage *usage, int64_t now_ns)
{
    usage->tokens += (double)(now_ns - usage->refilled_ns) / 1e9 * limits->opt.rps;
    usage->refilled_ns = now_ns;
    if (usage->tokens > limits->burst)
        usage->tokens = limits->burst;
}

/* Is it as a new one would be? */
static bool is_idle(const struct flo_limits *limits, struct usage *usage, int64_t now_ns)
{
    refill(limits, usage, now_ns);
    for (size_t i = 0; i < FLO_LIMITS_LONG_COUNT; i++)
        if (usage->open[i])
            return false;
    return limits->opt.rps <= 0 || usage->tokens >= limits->burst;
}

/* Forget who is idle: names are the callers' and cost them nothing. */
static void make_room(struct flo_limits *limits, int64_t now_ns)
{
    struct flo_map_entry *next;
    for (struct flo_map_entry *it = flo_map_first(&limits->namespaces); it; it = next) {
        next = flo_map_next(it);
        size_t len;
        const char *name = flo_map_key(it, &len);
        if (is_idle(limits, flo_map_value(it), now_ns))
            flo_free(flo_map_remove(&limits->namespaces, name, len));
    }
}

static struct usage *usage_of(struct flo_limits *limits, const char *name, int64_t now_ns)
{
    if (strnlen(name, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES)
        return &limits->others;
    struct usage *usage = flo_map_get_str(&limits->namespaces, name);
    if (usage)
        return usage;
    if (limits->namespaces.count == FLO_LIMITS_NAMESPACES_MAX)
        make_room(limits, now_ns);
    if (limits->namespaces.count < FLO_LIMITS_NAMESPACES_MAX)
        usage = flo_calloc(1, sizeof *usage);
    if (!usage)
        return &limits->others;
    *usage = (struct usage){.tokens = limits->burst, .refilled_ns = now_ns};
    if (flo_map_put_str(&limits->namespaces, name, usage)) {
        flo_free(usage);
        return &limits->others;
    }
    return usage;
}

static bool take_token(const struct flo_limits *limits, struct usage *usage, int64_t now_ns)
{
    refill(limits, usage, now_ns);
    if (usage->tokens < 1)
        return false;
    usage->tokens -= 1;
    return true;
}

enum flo_limits_verdict flo_limits_begin(struct flo_limits *limits, const char *namespace_name,
                                         enum flo_limits_long kind, int64_t now_ns,
                                         unsigned **out_open)
{
    struct usage *usage = usage_of(limits, namespace_name, now_ns);
    *out_open = NULL;
    if (kind >= 0 && limits->opt.concurrent && usage->open[kind] >= limits->opt.concurrent)
        return FLO_LIMITS_CONCURRENT;
    if (limits->opt.rps > 0 && !take_token(limits, usage, now_ns))
        return FLO_LIMITS_RATE;
    if (kind >= 0) {
        usage->open[kind]++;
        *out_open = &usage->open[kind];
    }
    return FLO_LIMITS_SERVE;
}
