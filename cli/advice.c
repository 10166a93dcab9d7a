/* SPDX-License-Identifier: Apache-2.0 */
/* advice.c - see advice.h. */
#include "cli/advice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CPU_HEADROOM 1.2
#define CPU_STEP_MILLI 10
#define CPU_LEAST_MILLI 20
/* CPU tasks that compute for less of their time are worth a word. */
#define COMPUTING_SHARE 0.5
#define MEMORY_HEADROOM 1.25
#define MEMORY_LIMIT_FACTOR 2
#define MEMORY_STEP_MIB 8
#define MEMORY_LEAST_MIB 16
#define MEMORY_LIMIT_LEAST_MIB 32 /* above the request */
#define MIB 1048576.0

static int64_t steps(double value, int64_t step, int64_t least)
{
    int64_t whole = (int64_t)ceil(value / (double)step - 1e-9) * step;

    return whole < least ? least : whole;
}

static void advise_cpu(const struct cli_role_load *load, bool whole_cores, struct cli_advice *out)
{
    const double a_slot = load->cpu_seconds / load->task_seconds;
    const double own = fmax(0, load->cpu_seconds - load->tasks_cpu_seconds) / load->task_seconds;
    const double loop = fmin(1, own * load->slots * CPU_HEADROOM); /* one thread */
    double cores = loop + load->tasks_cpu_seconds / load->task_seconds * load->slots * CPU_HEADROOM;
    const char *more = ", and a fifth more";
    int n = snprintf(out->cpu_reason, sizeof out->cpu_reason,
                     "%.0f tasks took %.3g s and %.3g s of CPU: %.2g cores a busy slot, %.0f slots",
                     load->tasks, load->task_seconds, load->cpu_seconds, a_slot, load->slots);

    if (whole_cores) {
        cores = ceil(load->slots);
        out->cpu_max_milli = (int64_t)cores * 1000;
        more = a_slot < COMPUTING_SHARE
                   ? "; a core each (they wait, or share cores: are they IO tasks?)"
                   : "; a core each";
    } else if (loop == 1) {
        more = "; the worker's own part is one thread";
    }
    out->cpu_milli =
        whole_cores ? out->cpu_max_milli : steps(cores * 1000, CPU_STEP_MILLI, CPU_LEAST_MILLI);
    if (n > 0 && (size_t)n < sizeof out->cpu_reason)
        snprintf(out->cpu_reason + n, sizeof out->cpu_reason - (size_t)n, "%s", more);
}

static void advise_memory(const struct cli_role_load *load, bool whole_cores,
                          struct cli_advice *out)
{
    const double executors = load->executor_peak_bytes * load->slots;
    const double mib = (load->peak_bytes + executors) / MIB;

    out->memory_mib = steps(mib * MEMORY_HEADROOM, MEMORY_STEP_MIB, MEMORY_LEAST_MIB);
    out->memory_max_mib = whole_cores ? out->memory_mib
                                      : steps(mib * MEMORY_LIMIT_FACTOR, MEMORY_STEP_MIB,
                                              out->memory_mib + MEMORY_LIMIT_LEAST_MIB);
    if (executors > 0)
        snprintf(out->memory_reason, sizeof out->memory_reason,
                 "%.1f MiB at most, and %.0f executors of %.1f MiB at most, and a quarter more",
                 load->peak_bytes / MIB, load->slots, load->executor_peak_bytes / MIB);
    else
        snprintf(out->memory_reason, sizeof out->memory_reason,
                 "%.1f MiB at most so far, and a quarter more; limit: %s", mib,
                 whole_cores ? "the same" : "twice the peak, or 32 MiB more");
}

void cli_advise(const struct cli_role_load *load, struct cli_advice *out)
{
    const bool whole_cores = strcmp(load->role, "cpu-activity") == 0;

    *out = (struct cli_advice){0};
    if (load->up_seconds > 0 && load->slots > 0)
        out->busy = fmin(1, load->task_seconds / (load->up_seconds * load->slots));
    if (load->tasks < CLI_ADVICE_TASKS_MIN)
        snprintf(out->missing, sizeof out->missing, "%.0f tasks have ended, %d are needed",
                 load->tasks, CLI_ADVICE_TASKS_MIN);
    else if (load->cpu_seconds < CLI_ADVICE_CPU_SECONDS_MIN || load->task_seconds <= 0)
        snprintf(out->missing, sizeof out->missing,
                 "%.2f s of CPU were used, %.1f s are needed for a figure that is worth something",
                 load->cpu_seconds, CLI_ADVICE_CPU_SECONDS_MIN);
    else if (load->slots <= 0 || load->peak_bytes <= 0)
        snprintf(out->missing, sizeof out->missing,
                 "the workers report no slots or no memory: older than this program?");
    out->enough = !out->missing[0];
    if (!out->enough)
        return;
    advise_cpu(load, whole_cores, out);
    advise_memory(load, whole_cores, out);
}
