/* SPDX-License-Identifier: Apache-2.0 */
/* waiting.c - when to ask why a workflow does not move, and whether the answer is news. */
#include "cli/waiting.h"

#include <stdio.h>

#include "cli/explain_gather.h"

enum cli_why cli_why(struct cli_session *session, const struct cli_options *options,
                     const char *workflow_id, const char *run_id, struct flo_buf *out)
{
    struct cli_explain_facts facts = {0};
    struct flo_arena arena;
    enum cli_why why = CLI_WHY_UNKNOWN;
    flo_arena_init(&arena, 0);
    struct cli_explain_gather gather = {
        .session = session, .options = options, .arena = &arena, .facts = &facts};
    cli_explain_ask_server(&gather, workflow_id, run_id);
    if (facts.trouble == CLI_EXPLAIN_FOUND) {
        cli_explain_ask_fleet(&gather);
        const bool closed =
            facts.status >= CLI_EXPLAIN_COMPLETED && facts.status <= CLI_EXPLAIN_TIMED_OUT;
        json_t *reasons = cli_explain_reasons(&facts), *reason;
        size_t i;
        json_array_foreach(reasons, i, reason) flo_buf_printf(
            out, "%s%s", i ? " " : "", json_string_value(json_object_get(reason, "text")));
        json_decref(reasons);
        why = closed ? CLI_WHY_CLOSED : CLI_WHY_OPEN;
    }
    cli_explain_gather_fini(&gather);
    flo_arena_fini(&arena);
    return why;
}

/* Soon at first, then once a minute: it may take days. */
static void on_still(void *ctx)
{
    struct cli_waiting *waiting = ctx;
    const unsigned minute = 60000 * 2 / CLI_PROGRESS_EVERY_MS;
    const unsigned times = ++waiting->times;
    if ((times & (times - 1)) == 0 || times % minute == 0)
        waiting->due = true;
}

/* The loop has turned, and may be run from here. */
static void on_turn(void *ctx)
{
    struct cli_waiting *waiting = ctx;
    struct flo_buf now;
    if (!waiting->due)
        return;
    waiting->due = false;
    flo_buf_init(&now, 0);
    if (cli_why(waiting->progress.session, waiting->options, waiting->workflow_id, waiting->run_id,
                &now) == CLI_WHY_OPEN &&
        !cli_explain_same(flo_buf_cstr(&waiting->said), flo_buf_cstr(&now))) {
        cli_progress_say(&waiting->progress, "still waiting: %s", flo_buf_cstr(&now));
        flo_buf_clear(&waiting->said);
        flo_buf_append_str(&waiting->said, flo_buf_cstr(&now));
    }
    flo_buf_fini(&now);
}

bool cli_waiting_init(struct cli_waiting *waiting, struct cli_session *session,
                      const struct cli_options *options, const char *workflow_id,
                      const char *run_id, const char *what)
{
    const struct cli_progress_options progress = {
        .what = what, .total = 1, .away_ms = -1, .on_still = on_still, .ctx = waiting};
    *waiting =
        (struct cli_waiting){.options = options, .workflow_id = workflow_id, .run_id = run_id};
    flo_buf_init(&waiting->said, 0);
    session->on_turn = on_turn;
    session->on_turn_ctx = waiting;
    return cli_progress_init(&waiting->progress, session, &progress);
}

void cli_waiting_fini(struct cli_waiting *waiting)
{
    if (waiting->progress.session)
        waiting->progress.session->on_turn = NULL;
    cli_progress_fini(&waiting->progress);
    flo_buf_fini(&waiting->said);
}
