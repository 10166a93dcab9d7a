/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_user.c - families that user code names while the program runs. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "telemetry/metrics_internal.h"

#define NAME_MAX_BYTES ((size_t)128)
#define LABELS_MAX_BYTES (FLO_METRIC_LABELS_MAX * (NAME_MAX_BYTES + 1))

struct user_family {
    struct flo_metric_desc desc; /* its name and labels are below */
    struct flo_family family;
    char name[NAME_MAX_BYTES + 8]; /* with "_total" */
    char labels[];
};

struct flo_user_families {
    struct user_family *items[FLO_USER_METRICS_MAX];
    size_t count;
};

static const double BOUNDS[FLO_USER_BUCKETS + 1] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,  1,    2.5,
    5,     10,     25,    50,   100,   250,  500, 1000, 2500, 5000, 10000};

const double *flo_user_metric_bounds(void)
{
    return BOUNDS;
}

bool flo_metric_name_ok(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_BYTES + 1);

    if (len == 0 || len > NAME_MAX_BYTES || isdigit((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

/* Would the family, or a sample of it, be called other, on one of the two kinds of pages? In
 * OpenMetrics a counter's family has no _total. */
static bool claims(const char *name, enum flo_metric_kind kind, const char *other)
{
    static const char *const SUFFIXES[][5] = {
        [FLO_COUNTER] = {"", "_total", "_created", NULL},
        [FLO_GAUGE] = {"", NULL},
        [FLO_HISTOGRAM] = {"", "_bucket", "_count", "_sum", "_created"},
    };
    size_t len = strlen(name);

    if (kind == FLO_COUNTER && len > 6 && strcmp(name + len - 6, "_total") == 0)
        len -= 6;
    if (strncmp(other, name, len) != 0)
        return false;
    for (size_t i = 0; i < 5 && SUFFIXES[kind][i]; i++)
        if (strcmp(other + len, SUFFIXES[kind][i]) == 0)
            return true;
    return false;
}

/* Can they not stand on one page? */
static bool meet(const struct flo_metric_desc *known, const char *name, enum flo_metric_kind kind)
{
    return claims(known->name, known->kind, name) || claims(name, kind, known->name);
}

/* Is it one of the program's, or looks like one? */
static bool reserved(const char *name, enum flo_metric_kind kind)
{
    static const char *const PREFIXES[] = {"temporal_", "flotilla_", "process_"};

    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++)
        if (strncmp(name, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    for (int i = 0; i < FLO_METRIC_COUNT; i++)
        if (meet(flo_metric_desc((enum flo_metric)i), name, kind))
            return true;
    return false;
}

/* The name as it is shown: what counts ends in _total. */
static void full_name(const struct flo_user_sample *sample, char out[NAME_MAX_BYTES + 8])
{
    size_t len = strlen(sample->name);
    bool add =
        sample->kind == FLO_COUNTER && (len < 6 || strcmp(sample->name + len - 6, "_total") != 0);

    snprintf(out, NAME_MAX_BYTES + 8, "%s%s", sample->name, add ? "_total" : "");
}

static void join_labels(const struct flo_user_sample *sample, char out[LABELS_MAX_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sample->label_count; i++)
        len += (size_t)snprintf(out + len, LABELS_MAX_BYTES - len, "%s%s", i ? "," : "",
                                sample->label_names[i]);
}

/* Labels that the page's readers give a meaning of their own: with these nothing on it would be
 * read. */
static bool label_reserved(const char *name)
{
    return strcmp(name, "le") == 0 || strncmp(name, "__", 2) == 0;
}

static int check_label(const struct flo_user_sample *sample, size_t i, struct flo_err *err)
{
    const char *name = sample->label_names[i], *value = sample->label_values[i];

    if (!flo_metric_name_ok(name) || label_reserved(name))
        return flo_fail(err, FLO_EINVAL, "metric %s: '%.128s' is no name for a label", sample->name,
                        name);
    if (!flo_utf8_valid(value, strlen(value)))
        return flo_fail(err, FLO_EINVAL, "metric %s: the value of label %s is not UTF-8",
                        sample->name, name);
    for (size_t j = 0; j < i; j++)
        if (strcmp(name, sample->label_names[j]) == 0)
            return flo_fail(err, FLO_EINVAL, "metric %s has the label %s twice", sample->name,
                            name);
    return 0;
}

static int check(const struct flo_user_sample *sample, struct flo_err *err)
{
    int rc = 0;

    if (!flo_metric_name_ok(sample->name))
        return flo_fail(err, FLO_EINVAL, "'%.128s' is no name for a metric", sample->name);
    for (size_t i = 0; i < sample->label_count && !rc; i++)
        rc = check_label(sample, i, err);
    return rc;
}

static struct user_family *family_new(const struct flo_user_sample *sample, const char *name,
                                      const char *labels)
{
    struct user_family *made = flo_calloc(1, sizeof *made + strlen(labels) + 1);

    if (!made)
        return NULL;
    memcpy(made->labels, labels, strlen(labels) + 1);
    snprintf(made->name, sizeof made->name, "%s", name);
    made->desc = (struct flo_metric_desc){.name = made->name,
                                          .help = "Counted by user code.",
                                          .labels = made->labels,
                                          .buckets = sample->kind == FLO_HISTOGRAM ? BOUNDS : NULL,
                                          .kind = sample->kind};
    made->family.label_count = (unsigned)sample->label_count;
    flo_map_init(&made->family.by_labels);
    return made;
}

/* May the page have a new family of that name? */
static int check_new(const struct flo_user_families *all, const char *name,
                     enum flo_metric_kind kind, struct flo_err *err)
{
    if (reserved(name, kind))
        return flo_fail(err, FLO_EINVAL, "the metric %s is the worker's own", name);
    for (size_t i = 0; i < all->count; i++)
        if (meet(&all->items[i]->desc, name, kind))
            return flo_fail(err, FLO_EINVAL, "the metrics %s and %s have a name in common", name,
                            all->items[i]->name);
    if (all->count == FLO_USER_METRICS_MAX)
        return flo_fail(err, FLO_EFULL, "metric %s is one more than %d", name,
                        FLO_USER_METRICS_MAX);
    return 0;
}

static int find_locked(struct flo_metrics *metrics, const struct flo_user_sample *sample,
                       struct user_family **out, struct flo_err *err)
{
    char name[NAME_MAX_BYTES + 8], labels[LABELS_MAX_BYTES];
    struct flo_user_families *all = metrics->user;
    int rc;

    full_name(sample, name);
    join_labels(sample, labels);
    if (!all)
        all = metrics->user = flo_calloc(1, sizeof *all);
    if (!all)
        return flo_fail(err, FLO_ENOMEM, "no memory for a metric");
    for (size_t i = 0; i < all->count; i++) {
        struct user_family *known = all->items[i];
        if (strcmp(known->name, name) != 0)
            continue;
        if (known->desc.kind != sample->kind || strcmp(known->labels, labels) != 0)
            return flo_fail(err, FLO_EINVAL,
                            "metric %s was first used as another kind or with other labels (%s)",
                            name, known->labels);
        *out = known;
        return 0;
    }
    rc = check_new(all, name, sample->kind, err);
    if (rc)
        return rc;
    *out = all->items[all->count] = family_new(sample, name, labels);
    if (!*out)
        return flo_fail(err, FLO_ENOMEM, "no memory for a metric");
    all->count++;
    return 0;
}

static void add(struct flo_series *series, const struct flo_user_sample *sample)
{
    if (!series)
        return;
    if (sample->kind == FLO_GAUGE) {
        flo_series_set(series, sample->value);
        return;
    }
    for (size_t i = 0; sample->kind == FLO_HISTOGRAM && i <= FLO_USER_BUCKETS; i++)
        if (sample->counts[i])
            atomic_fetch_add_explicit(&series->counts[i], sample->counts[i], memory_order_relaxed);
    flo_series_add(series, sample->value);
}

int flo_metrics_user_add(struct flo_metrics *metrics, const struct flo_user_sample *sample,
                         struct flo_err *err)
{
    struct user_family *family = NULL;
    struct flo_series *series = NULL;
    bool tell = false;
    int rc = check(sample, err);

    if (rc || !metrics)
        return rc;
    pthread_mutex_lock(&metrics->mu);
    rc = find_locked(metrics, sample, &family, err);
    if (!rc) {
        series =
            flo_family_get_locked(metrics, &family->family, &family->desc, sample->label_values);
        tell = family->family.full && !family->family.told;
    }
    pthread_mutex_unlock(&metrics->mu);
    if (tell)
        flo_metrics_tell_full(metrics, &family->family, &family->desc);
    add(series, sample);
    return rc;
}

int flo_metrics_user_walk_locked(struct flo_metrics *metrics, flo_metrics_walk_fn fn, void *ctx)
{
    int rc = 0;

    for (size_t i = 0; metrics->user && i < metrics->user->count && !rc; i++)
        rc = fn(ctx, &metrics->user->items[i]->desc, &metrics->user->items[i]->family.by_labels);
    return rc;
}

void flo_metrics_user_fini(struct flo_metrics *metrics)
{
    for (size_t i = 0; metrics->user && i < metrics->user->count; i++) {
        flo_family_fini(&metrics->user->items[i]->family);
        flo_free(metrics->user->items[i]);
    }
    flo_free(metrics->user);
}
