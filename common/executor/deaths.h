/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deaths.h - jobs whose process has died, until their report is complete (private to this folder).
 * The executor's replacement does not wait for it. Loop thread.
 */
#ifndef FLO_EXECUTOR_DEATHS_H
#define FLO_EXECUTOR_DEATHS_H

#include "executor/core.h"
#include "executor/template.h"

struct flo_deaths {
    struct event_base *base;
    struct flo_executor_template *tmpl; /* borrowed */
    const struct flo_executor_limits *limits;
    struct flo_list dying;
};

struct flo_death_facts {
    unsigned index;     /* the executor's: where its record is */
    int status;         /* as from waitpid */
    bool garbled;       /* killed for what it sent */
    const char *output; /* the last that the job printed */
    size_t output_len;
};

/*
 * Take over job (detached), whose process died: result is what on_done is told, with all that can
 * be found out as its crash. Bounded in time; the facts are copied, and the record is clear after.
 */
void flo_deaths_add(struct flo_deaths *deaths, struct flo_core_job *job,
                    const struct flo_job_result *result, const struct flo_death_facts *facts);
/* Wait for no more: tell what is known of each, or free without a word. */
void flo_deaths_end(struct flo_deaths *deaths, bool tell);

#endif
