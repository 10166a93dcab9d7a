/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - the commands that code issued and that history has not shown yet, first in first
 * out. While replaying, each command event must match the first one; live, they are sent, and
 * stay on the list until the next task's history shows their events.
 */
#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/marker.h"

static void command_free(struct flo_run *run, struct flo_command *command)
{
    flo_list_remove(&run->commands, &command->node);
    if (command->future)
        flo_future_unref(command->future);
    flo_heap_free(command);
}

static FloApi__Command *message_new(struct flo_run *run, FloApi__CommandType type)
{
    FloApi__Command *message = flo_arena_alloc(run->answer, sizeof *message);
    if (message) {
        flo_api__command__init(message);
        message->command_type = type;
    }
    return message;
}

struct flo_command *flo_command_issue(struct flo_run *run, const struct flo_command_ops *ops,
                                      struct flo_future *future)
{
    if (run->read_only && flo_read_only_check(run, "issues a command"))
        return NULL;
    struct flo_command *command = flo_heap_calloc(run->heap, sizeof *command);
    if (!command)
        return NULL;
    if (!run->replaying) {
        command->message = message_new(run, ops->type);
        if (!command->message) {
            flo_heap_free(command);
            flo_run_no_memory(run);
            return NULL;
        }
    }
    command->ops = ops;
    if (run->current)
        command->at = run->current->at;
    command->future = future;
    if (future)
        flo_future_ref(future);
    flo_list_push_back(&run->commands, &command->node);
    return command;
}

int flo_command_summarise(struct flo_run *run, struct flo_command *command, const char *summary)
{
    if (!command->message)
        return 0;
    FloApi__UserMetadata *metadata = flo_arena_alloc(run->answer, sizeof *metadata);
    json_t *text = json_string(summary);
    if (metadata && text) {
        flo_api__user_metadata__init(metadata);
        metadata->summary = flo_payload_from_json(run->answer, text);
        command->message->user_metadata = metadata;
    }
    json_decref(text);
    return metadata && text && metadata->summary ? 0 : FLO_ENOMEM;
}

void flo_command_withdraw(struct flo_run *run, const struct flo_command_ops *ops,
                          struct flo_future *future)
{
    FLO_LIST_FOREACH_SAFE(node, &run->commands)
    {
        struct flo_command *command = flo_container(node, struct flo_command, node);
        if (command->ops == ops && command->future == future)
            command_free(run, command);
    }
}

int flo_command_match(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const struct flo_event_kind *kind = flo_event_kind(event->event_type);
    struct flo_node *first = flo_list_first(&run->commands);
    struct flo_command *command = first ? flo_container(first, struct flo_command, node) : NULL;
    int rc;
    if (event->event_type == FLO_EVENT(MARKER_RECORDED) && flo_marker_is_local(event)) {
        rc = flo_local_recorded(run, event, err);
        if (rc != FLO_ENONDET || err->code)
            return rc;
        return event->worker_may_ignore ? 0 : flo_mismatch(run, event, command, err);
    }
    bool skip = false;
    rc = run->entities ? flo_patch_skips(run, event, command, &skip) : 0;
    if (rc || skip)
        return rc;
    if (!command || kind->command != command->ops->type)
        return event->worker_may_ignore ? 0 : flo_mismatch(run, event, command, err);
    rc = command->ops->recorded(command, event);
    if (rc == FLO_ENONDET)
        return event->worker_may_ignore ? 0 : flo_mismatch(run, event, command, err);
    if (rc == 0)
        command_free(run, command);
    return rc;
}

int flo_command_none_left(struct flo_run *run, const FloApi__HistoryEvent *before,
                          struct flo_err *err)
{
    struct flo_node *first = flo_list_first(&run->commands);
    return first ? flo_mismatch(run, before, flo_container(first, struct flo_command, node), err)
                 : 0;
}

static bool ends_run(FloApi__CommandType type)
{
    return type == FLO_COMMAND(COMPLETE_WORKFLOW_EXECUTION) ||
           type == FLO_COMMAND(FAIL_WORKFLOW_EXECUTION) ||
           type == FLO_COMMAND(CANCEL_WORKFLOW_EXECUTION) ||
           type == FLO_COMMAND(CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
}

int flo_command_collect(struct flo_run *run, struct flo_activation *out)
{
    struct flo_command *last = NULL;
    size_t count = 0;
    FloApi__Command **messages =
        flo_arena_calloc(run->answer, run->commands.count + 1, sizeof *messages);
    if (!messages)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH_SAFE(node, &run->commands)
    {
        struct flo_command *command = flo_container(node, struct flo_command, node);
        if (!ends_run(command->ops->type)) {
            messages[count++] = command->message;
            command->message = NULL;
        } else if (!last) {
            last = command;
        } else {
            command_free(run, command); /* only the first end counts */
        }
    }
    if (last) {
        messages[count++] = last->message;
        last->message = NULL;
        flo_list_remove(&run->commands, &last->node); /* its event comes last, too */
        flo_list_push_back(&run->commands, &last->node);
    }
    out->commands = messages;
    out->command_count = count;
    return 0;
}
