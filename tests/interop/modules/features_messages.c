/* SPDX-License-Identifier: Apache-2.0 */
/* features_messages.c - signals, queries and updates: every kind of handler, and without one. */
#include <flotilla/worker.h>

static const struct flo_activity_options plain = {.start_to_close_ms = 30000};

struct board {
    json_t *notes;
    bool done;
};

static struct board *board_new(struct flo_workflow *wf)
{
    struct board *board = flo_workflow_alloc(wf, sizeof *board);
    board->notes = json_array();
    return board;
}

static bool is_done(void *ctx)
{
    return ((struct board *)ctx)->done;
}

static int get_notes(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                     json_t **out_result)
{
    (void)wf, (void)m;
    *out_result = json_incref(((struct board *)ctx)->notes);
    return 0;
}

/* ---- signals ---- */

/* Works while the workflow waits. */
static int on_note(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct board *board = ctx;
    json_t *echoed;
    int rc = flo_activity(wf, "echo", m->input, &plain, &echoed);
    return rc ? rc : json_array_append_new(board->notes, echoed);
}

static int on_done(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)wf, (void)m;
    ((struct board *)ctx)->done = true;
    return 0;
}

static int on_any(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)wf;
    return json_array_append_new(((struct board *)ctx)->notes,
                                 json_pack("[s,O]", m->name, m->args));
}

/* Buffered ones, some taken without a handler; then handlers by name and for all others. */
static int signals(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct board *board = board_new(wf);
    json_t *first, *second, *third;
    (void)input;
    flo_query_handle(wf, "notes", get_notes, board, NULL);
    int rc = flo_signal_await(wf, "begin", -1, &first);
    if (rc)
        return rc;
    size_t waiting = flo_signal_count(wf, "taken");
    bool taken = flo_signal_take(wf, "taken", &second);
    rc = flo_signal_await(wf, "taken", 60000, &third);
    int late = flo_signal_await(wf, "taken", 20, NULL);
    flo_signal_handle(wf, "note", on_note, board, NULL);
    flo_signal_handle(wf, "done", on_done, board, NULL);
    flo_signal_handle(wf, NULL, on_any, board, NULL);
    if (rc == 0)
        rc = flo_await_condition(wf, is_done, board, -1);
    if (rc == 0)
        rc = flo_handlers_await(wf, -1);
    if (rc)
        return rc;
    *out_result = json_pack("[o,i,b,o,o,i,O]", first, (int)waiting, (int)taken, second, third, late,
                            board->notes);
    return 0;
}

/* ---- queries ---- */

static int get_args(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                    json_t **out_result)
{
    (void)ctx;
    *out_result =
        json_pack("[s,O,O,s]", m->name, m->input, m->args, flo_workflow_info(wf)->workflow_id);
    return 0;
}

static int get_failure(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                       json_t **out_result)
{
    (void)ctx, (void)out_result;
    return flo_workflow_fail(wf, "NoAnswer", true, m->input, "there is no answer to %s", m->name);
}

static int get_activity(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                        json_t **out_result)
{
    (void)ctx;
    return flo_activity(wf, "echo", m->input, &plain, out_result);
}

static int waits_beside(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)out_result;
    return flo_await_condition(wf, is_done, arg, -1);
}

static int queries(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_handler_options described = {.description = "what it is asked with"};
    struct board *board = board_new(wf);
    (void)input;
    flo_signal_handle(wf, "done", on_done, board,
                      &(struct flo_handler_options){.description = "ends it"});
    flo_query_handle(wf, "args", get_args, board, &described);
    flo_query_handle(wf, "failure", get_failure, board, NULL);
    flo_query_handle(wf, "activity", get_activity, board, NULL);
    flo_query_handle(wf, NULL, get_args, board, NULL);
    flo_workflow_set_details(wf, "answers **queries**");
    struct flo_future *beside = flo_spawn(wf, "beside", waits_beside, board);
    int rc = flo_await(wf, beside, NULL);
    flo_workflow_set_details(wf, "ended");
    *out_result = json_string("answered");
    return rc;
}

/* ---- updates ---- */

static int check_number(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)ctx;
    if (!json_is_integer(m->input))
        return flo_workflow_fail(wf, "NoNumber", true, m->input, "that is no number");
    return 0;
}

/* At once: how many there are then. */
static int add(struct flo_workflow *wf, const struct flo_message *m, void *ctx, json_t **out_result)
{
    struct board *board = ctx;
    (void)wf;
    json_array_append(board->notes, m->input);
    *out_result = json_integer((json_int_t)json_array_size(board->notes));
    return 0;
}

/* Later: after an activity and a timer, while the workflow and others wait. */
static int add_later(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                     json_t **out_result)
{
    int rc = flo_activity(wf, "echo", m->input, &plain, NULL);
    if (rc == 0)
        rc = flo_sleep(wf, 30);
    return rc ? rc : add(wf, m, ctx, out_result);
}

static int add_broken(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                      json_t **out_result)
{
    (void)ctx, (void)out_result;
    return flo_activity(wf, "broke", m->input, &plain, NULL);
}

static int any_update(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                      json_t **out_result)
{
    (void)wf, (void)ctx;
    *out_result = json_pack("[s,s,O]", m->name, m->id, m->args);
    return 0;
}

static int finish(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                  json_t **out_result)
{
    (void)m;
    ((struct board *)ctx)->done = true;
    *out_result = json_boolean(flo_all_handlers_finished(wf));
    return 0;
}

static int updates(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct board *board = board_new(wf);
    (void)input;
    flo_query_handle(wf, "notes", get_notes, board, NULL);
    flo_update_handle(wf, "add", check_number, add, board, NULL);
    flo_update_handle(wf, "add_later", check_number, add_later, board, NULL);
    flo_update_handle(wf, "add_broken", NULL, add_broken, board, NULL);
    flo_update_handle(wf, "finish", NULL, finish, board, NULL);
    flo_update_handle(wf, NULL, NULL, any_update, board, NULL);
    int rc = flo_await_condition(wf, is_done, board, -1);
    if (rc == 0)
        rc = flo_handlers_await(wf, -1);
    *out_result = json_incref(board->notes);
    return rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_messages",
    .workflows = FLO_WORKFLOWS({"Signals", signals}, {"Queries", queries}, {"Updates", updates}),
};
