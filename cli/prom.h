/* SPDX-License-Identifier: Apache-2.0 */
/* prom.h - reads metrics in Prometheus' text form. Pure. */
#ifndef FLO_CLI_PROM_H
#define FLO_CLI_PROM_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_PROM_LABELS_MAX 16

/* One sample. The texts are borrowed for the callback. */
struct cli_prom_sample {
    const char *name;
    struct {
        const char *name, *value;
    } labels[CLI_PROM_LABELS_MAX];
    size_t label_count;
    double value;
};
typedef void (*cli_prom_fn)(void *ctx, const struct cli_prom_sample *sample);

/*
 * Call fn for each sample of text, which is taken apart in place. False: a line that is none was
 * found; those before it have been told.
 */
bool cli_prom_read(char *text, cli_prom_fn fn, void *ctx);
/* The label's value, "" without such a label. Borrowed as the sample's texts. */
const char *cli_prom_label(const struct cli_prom_sample *sample, const char *name);

#endif
