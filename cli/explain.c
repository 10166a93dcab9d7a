/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - `flotilla explain`: why a workflow does not move, in sentences. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/explain_gather.h"
#include "cli/output.h"

static void put_text(const struct cli_explain_facts *f, const json_t *reasons)
{
    size_t i;
    json_t *reason;
    if (f->trouble == CLI_EXPLAIN_FOUND) {
        printf("%s (%s, run %s): %s", f->workflow_id, f->type, f->run_id,
               cli_status_name((FloApi__WorkflowExecutionStatus)f->status));
        if (f->status == CLI_EXPLAIN_OPEN && f->started_ms)
            printf(" for %s", cli_explain_duration(f->now_ms - f->started_ms).text);
        printf("\n");
    }
    json_array_foreach(reasons, i, reason)
        printf("%s\n", json_string_value(json_object_get(reason, "text")));
}

static json_t *time_json(int64_t wall_ms)
{
    char text[40];
    if (wall_ms <= 0)
        return json_null();
    flo_clock_rfc3339(wall_ms * FLO_NS_PER_MS, text, sizeof text);
    return json_string(text);
}

static void put_json(const struct cli_explain_facts *f, json_t *reasons)
{
    json_t *out = json_pack("{s:s}", "workflowId", f->workflow_id);
    if (f->trouble == CLI_EXPLAIN_FOUND) {
        json_object_set_new(out, "runId", json_string(f->run_id));
        json_object_set_new(out, "type", json_string(f->type));
        json_object_set_new(
            out, "status",
            json_string(cli_status_name((FloApi__WorkflowExecutionStatus)f->status)));
        json_object_set_new(out, "taskQueue", json_string(f->queue));
        json_object_set_new(out, "startTime", time_json(f->started_ms));
        json_object_set_new(out, "closeTime", time_json(f->closed_ms));
        json_object_set_new(out, "askedFleet", json_boolean(f->fleet));
    }
    json_object_set(out, "reasons", reasons);
    cli_print_json(out);
}

static int exit_code(const struct cli_explain_facts *facts)
{
    switch (facts->trouble) {
    case CLI_EXPLAIN_FOUND:
        return 0;
    case CLI_EXPLAIN_SERVER_AWAY:
        return FLO_EXIT_UNAVAILABLE;
    default:
        return FLO_EXIT_REFUSED;
    }
}

int cli_explain(const struct cli_options *options)
{
    const char *workflow_id = cli_workflow_id(options, "explain");
    struct cli_explain_facts facts = {0};
    struct cli_session session;
    struct flo_arena arena;
    if (!workflow_id)
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    flo_arena_init(&arena, 0);
    struct cli_explain_gather gather = {
        .session = &session, .options = options, .arena = &arena, .facts = &facts};
    cli_explain_ask_server(&gather, workflow_id, options->run_id);
    cli_explain_ask_fleet(&gather);
    json_t *reasons = cli_explain_reasons(&facts);
    if (options->json)
        put_json(&facts, reasons);
    else
        put_text(&facts, reasons);
    json_decref(reasons);
    cli_explain_gather_fini(&gather);
    flo_arena_fini(&arena);
    cli_session_close(&session);
    return exit_code(&facts);
}
