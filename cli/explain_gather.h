/* SPDX-License-Identifier: Apache-2.0 */
/* explain_gather.h - asks the server and the fleet for what explain_facts.h holds. Blocks. */
#ifndef FLO_CLI_EXPLAIN_GATHER_H
#define FLO_CLI_EXPLAIN_GATHER_H

#include "base/arena.h"
#include "cli/explain_facts.h"
#include "cli/options.h"
#include "cli/session.h"

#define CLI_EXPLAIN_QUEUES_MAX 16
#define CLI_EXPLAIN_WORKERS_MAX 4096

/* All texts of facts live in arena, and the arrays too. */
struct cli_explain_gather {
    struct cli_session *session;
    const struct cli_options *options;
    struct flo_arena *arena;
    struct cli_explain_facts *facts;
    json_t *fleet; /* what the supervisor said; facts point into it */
};

/* Fill facts from the server; a server that is away, or does not know the workflow, is a fact. */
void cli_explain_ask_server(struct cli_explain_gather *gather, const char *workflow_id,
                            const char *run_id);
/* Add what the fleet's supervisor knows, when there is one: silently nothing otherwise. */
void cli_explain_ask_fleet(struct cli_explain_gather *gather);
/* After the last use of the facts. */
void cli_explain_gather_fini(struct cli_explain_gather *gather);

#endif
