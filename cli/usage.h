/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h - what the processes of a local fleet use: CPU time and resident memory from /proc, the
 * processes from the supervisor's fleet.json.
 */
#ifndef FLO_CLI_USAGE_H
#define FLO_CLI_USAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_USAGE_MAX 64

struct cli_usage {
    size_t count;
    struct {
        char name[64];
        int pid;
        double cpu_seconds;     /* user + system, executors included */
        int64_t resident_bytes; /* executors included */
    } processes[CLI_USAGE_MAX];
    char dashboard[128]; /* URL of the supervisor's page, "" when unknown */
};

/* Read it now; path NULL or unreadable gives no processes. */
void cli_usage_read(const char *fleet_path, struct cli_usage *out);
/* A table of the CPU used between the two readings and the memory at the second. */
void cli_usage_print(const struct cli_usage *before, const struct cli_usage *after);
json_t *cli_usage_json(const struct cli_usage *before, const struct cli_usage *after);

#endif
