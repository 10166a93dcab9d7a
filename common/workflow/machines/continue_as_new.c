/* SPDX-License-Identifier: Apache-2.0 */
/*
 * continue_as_new.c - how a run ends with another that goes on.
 *
 * flo_continue_as_new makes the command's attributes at once, as they are then, and keeps them
 * packed: code may still wait and clean up before the workflow function returns the code, and by
 * then the memory of the task in which it was called is gone. The command itself is one of those
 * that end a run (execution.c).
 */
#include <string.h>

#include "wire/decode.h"
#include "workflow/entities.h"
#include "workflow/fill.h"
#include "workflow/info.h"
#include "workflow/intercept.h"

static int recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    (void)command;
    (void)event;
    return 0; /* the type is all that must match */
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    (void)command;
    *out_text = '\0';
    (void)size;
}

static const struct flo_command_ops ops = {FLO_COMMAND(CONTINUE_AS_NEW_WORKFLOW_EXECUTION),
                                           recorded, describe};

int flo_continue_issue(struct flo_run *run)
{
    struct flo_command *command = flo_command_issue(run, &ops, NULL);
    ProtobufCMessage *attributes = NULL;
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    if (flo_wire_decode(&flo_api__continue_as_new_workflow_execution_command_attributes__descriptor,
                        run->entities->next_run, run->entities->next_run_len, run->answer,
                        &attributes, NULL))
        return FLO_ENOMEM; /* we packed it: nothing else can fail */
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_CONTINUE_AS_NEW_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->message->continue_as_new_workflow_execution_command_attributes =
        (FloApi__ContinueAsNewWorkflowExecutionCommandAttributes *)(void *)attributes;
    return 0;
}

static int check(const struct flo_continue_options *o, struct flo_err *err)
{
    if (!flo_is_text(o->workflow_type) || !flo_is_text(o->task_queue))
        return flo_fail(err, FLO_EINVAL, "the next run's workflow type or task queue is not UTF-8");
    if (o->run_timeout_ms < 0 || o->task_timeout_ms < 0)
        return flo_fail(err, FLO_EINVAL, "a timeout of the next run is negative");
    if (!flo_is_fields(o->memo) || !flo_is_fields(o->headers))
        return flo_fail(err, FLO_EINVAL, "the next run's memo and headers are objects");
    int rc = flo_retry_check(o->retry, err);
    return rc ? rc : flo_attributes_check(o->attributes, err);
}

static bool named(const char *text)
{
    return text && *text;
}

static int pack(struct flo_run *run, json_t *input, const json_t *headers,
                const struct flo_continue_options *o, struct flo_arena *arena)
{
    struct flo_entities *e = flo_entities_of(run);
    const struct flo_workflow_info *info = &run->info;
    const char *type = named(o->workflow_type) ? o->workflow_type : info->type;
    const char *queue = named(o->task_queue) ? o->task_queue : info->task_queue;
    bool none = !e;
    FloApi__ContinueAsNewWorkflowExecutionCommandAttributes a;
    flo_api__continue_as_new_workflow_execution_command_attributes__init(&a);
    if (none)
        return FLO_ENOMEM;
    a.workflow_type = flo_fill_type(arena, type, &none);
    a.task_queue = flo_fill_queue(arena, queue, &none);
    a.input = flo_fill_input(arena, input, &none);
    a.workflow_run_timeout = flo_fill_duration(arena, o->run_timeout_ms, &none);
    a.workflow_task_timeout = flo_fill_duration(arena, o->task_timeout_ms, &none);
    a.retry_policy = flo_fill_retry(arena, o->retry ? o->retry : info->retry, &none);
    a.header = flo_fill_header(arena, headers, &none);
    a.memo = flo_fill_memo(arena, o->memo ? o->memo : e->memo, &none);
    a.search_attributes = o->attributes ? flo_fill_attributes(arena, o->attributes, &none)
                                        : flo_properties_attributes(run, arena, &none);
    a.inherit_build_id = strcmp(queue, info->task_queue) == 0;
    if (none)
        return FLO_ENOMEM;
    size_t len = flo_wire_size(&a.base);
    uint8_t *packed = flo_heap_alloc(run->heap, len + 1);
    if (!packed)
        return FLO_ENOMEM;
    flo_wire_pack(&a.base, packed, len);
    flo_heap_free(e->next_run);
    e->next_run = packed;
    e->next_run_len = len;
    return 0;
}

static int keep(struct flo_run *run, json_t *input, const json_t *headers,
                const struct flo_continue_options *o)
{
    struct flo_arena scratch;
    flo_arena_init(&scratch, 0);
    int rc = pack(run, input, headers, o, &scratch);
    flo_arena_fini(&scratch);
    return rc ? flo_run_no_memory(run) : FLO_ECONTINUE;
}

static int keep_intercepted(struct flo_workflow *wf, json_t *input,
                            const struct flo_continue_options *o)
{
    const struct flo_workflow_info *info = &wf->run->info;
    struct flo_outbound out = {
        .call = {.kind = FLO_OUTBOUND_CONTINUE,
                 .name = named(o->workflow_type) ? o->workflow_type : info->type,
                 .task_queue = named(o->task_queue) ? o->task_queue : info->task_queue,
                 .workflow_id = "",
                 .input = input,
                 .headers = o->headers}};
    int rc = flo_outbound_run(wf, &out);
    if (rc == 0)
        rc = keep(wf->run, out.call.input, out.call.headers, o);
    else if (rc == FLO_ENOMEM)
        flo_run_no_memory(wf->run);
    flo_outbound_fini(&out);
    return rc;
}

int flo_continue_as_new(struct flo_workflow *wf, json_t *input,
                        const struct flo_continue_options *options)
{
    static const struct flo_continue_options none = {0};
    const struct flo_continue_options *o = options ? options : &none;
    struct flo_err why = {0};
    int rc = flo_may_issue(wf->run, &why);
    if (rc == 0)
        rc = check(o, &why);
    if (rc)
        return flo_workflow_refuse_err(wf, &why);
    return wf->run->interception ? keep_intercepted(wf, input, o)
                                 : keep(wf->run, input, o->headers, o);
}
