/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept.c - interceptors and the context of a run.
 *
 * What comes in is nested: each interceptor is a frame on the coroutine's stack around the next, so
 * that it can look at what came of it. What goes out is a row that the call passes: there is
 * nothing to go around, as the result comes later, by the future. An outbound interceptor runs as
 * code that only looks, so that it cannot start calls that pass the row again.
 */
#include "workflow/intercept.h"

#include <string.h>

#include "workflow/fill.h"
#include "workflow/messages.h"

static struct flo_interception *interception_of(struct flo_run *run)
{
    if (!run->interception)
        run->interception = flo_heap_calloc(run->heap, sizeof *run->interception);
    return run->interception;
}

/* ---- the context ---- */

static int context_put(struct flo_run *run, const char *key, json_t *value)
{
    struct flo_interception *in = interception_of(run);
    if (in && !in->context)
        in->context = json_object();
    return in && in->context && json_object_set(in->context, key, value) == 0 ? 0 : FLO_ENOMEM;
}

static int take_along(struct flo_run *run, const FloApi__Header *header, const char *key)
{
    for (size_t i = 0; i < header->n_fields; i++) {
        const FloApi__Header__FieldsEntry *field = header->fields[i];
        if (!field->value || strcmp(field->key, key) != 0)
            continue;
        json_t *value = flo_message_header_value(field->value);
        int rc = value ? context_put(run, key, value) : FLO_ENOMEM;
        json_decref(value);
        return rc;
    }
    return 0;
}

int flo_intercept_begin(struct flo_run *run, const FloApi__Header *header)
{
    int rc = 0;
    if (run->env.interceptors && !interception_of(run))
        return FLO_ENOMEM;
    if (run->env.interceptors)
        rc = flo_message_headers(header, &run->interception->headers);
    for (const char *const *key = run->env.propagate; header && key && *key && rc == 0; key++)
        rc = take_along(run, header, *key);
    return rc;
}

int flo_context_set(struct flo_workflow *wf, const char *key, json_t *value)
{
    struct flo_run *run = wf->run;
    int rc = flo_read_only_check(run, "sets a value of the context");
    if (rc)
        return rc;
    if (!key || !*key || !flo_is_text(key))
        return flo_workflow_refuse(wf, FLO_EINVAL,
                                   "a key of the context is empty or no UTF-8 text");
    if (value)
        return context_put(run, key, value) ? flo_run_no_memory(run) : 0;
    if (run->interception && run->interception->context)
        json_object_del(run->interception->context, key);
    return 0;
}

json_t *flo_context_get(const struct flo_workflow *wf, const char *key)
{
    const struct flo_interception *in = wf->run->interception;
    return in && key ? json_object_get(in->context, key) : NULL;
}

/* ---- in ---- */

int flo_inbound_proceed(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    struct flo_inbound *inbound = flo_container(call, struct flo_inbound, call);
    const struct flo_workflow_interceptor *const *all = wf->run->env.interceptors;
    size_t entered = inbound->entered;
    json_t *dropped = NULL;
    json_t **result = out_result ? out_result : &dropped;
    int rc;
    *result = NULL;
    while (all[inbound->entered] && !all[inbound->entered]->inbound)
        inbound->entered++;
    if (all[inbound->entered])
        rc = all[inbound->entered++]->inbound(wf, call, result);
    else
        rc = inbound->code(wf, inbound, result);
    inbound->entered = entered;
    json_decref(dropped);
    return rc;
}

/* ---- out ---- */

static struct flo_outbound *outbound_of(struct flo_outbound_call *call)
{
    return flo_container(call, struct flo_outbound, call);
}

static bool carries_values(const struct flo_outbound_call *call)
{
    return call->kind != FLO_OUTBOUND_CANCEL && call->kind != FLO_OUTBOUND_TIMER;
}

int flo_outbound_set_input(struct flo_outbound_call *call, json_t *input)
{
    struct flo_outbound *outbound = outbound_of(call);
    if (!carries_values(call)) {
        json_decref(input);
        return FLO_EINVAL;
    }
    json_decref(outbound->input);
    call->input = outbound->input = input;
    return 0;
}

int flo_outbound_set_header(struct flo_outbound_call *call, const char *key, json_t *value)
{
    struct flo_outbound *outbound = outbound_of(call);
    if (!carries_values(call) || !key || !flo_is_text(key)) {
        json_decref(value);
        return FLO_EINVAL;
    }
    if (!outbound->headers) { /* the code's own object is not ours to change */
        outbound->headers = call->headers ? json_copy(call->headers) : json_object();
        if (!outbound->headers) {
            json_decref(value);
            return FLO_ENOMEM;
        }
        call->headers = outbound->headers;
    }
    if (value)
        return json_object_set_new(outbound->headers, key, value) ? FLO_ENOMEM : 0;
    json_object_del(outbound->headers, key);
    return 0;
}

static int add_context(const struct flo_interception *in, struct flo_outbound_call *call)
{
    const char *key;
    json_t *value;
    int rc = 0;
    if (!in->context || !carries_values(call))
        return 0;
    json_object_foreach(in->context, key, value)
    {
        if (rc == 0 && !json_object_get(call->headers, key))
            rc = flo_outbound_set_header(call, key, json_incref(value));
    }
    return rc;
}

/* What an interceptor returned, as a code that has its failure on wf. */
static int refusal(struct flo_workflow *wf, int rc, uint64_t failures_before)
{
    bool said = wf->failures != failures_before && wf->failure_rc == rc;
    if (said || rc == FLO_ENOMEM)
        return rc;
    if (rc > 0 || strcmp(flo_error_name(rc), "FLO_E?") == 0)
        return flo_workflow_refuse(wf, FLO_EINVAL,
                                   "an interceptor returned a number that is no error code");
    return flo_workflow_refuse(wf, rc, flo_error_text(rc));
}

static int intercept(struct flo_workflow *wf, const struct flo_workflow_interceptor *by,
                     struct flo_outbound_call *call)
{
    struct flo_run *run = wf->run;
    const struct flo_read_only guard = {
        .what = "the interceptor of a call", .name = call->name, .coroutine = wf->coroutine};
    const struct flo_read_only *outer = run->read_only;
    uint64_t failures = wf->failures;
    run->read_only = &guard;
    int rc = by->outbound(wf, call);
    run->read_only = outer;
    return rc ? refusal(wf, rc, failures) : 0;
}

int flo_outbound_run(struct flo_workflow *wf, struct flo_outbound *outbound)
{
    const struct flo_run *run = wf->run;
    struct flo_outbound_call *call = &outbound->call;
    int rc = add_context(run->interception, call);
    for (size_t i = 0; rc == 0 && run->env.interceptors && run->env.interceptors[i]; i++) {
        if (run->env.interceptors[i]->outbound)
            rc = intercept(wf, run->env.interceptors[i], call);
    }
    return rc;
}

int flo_outbound_refuse(struct flo_workflow *wf, int rc, struct flo_future *future)
{
    return rc == FLO_ENOMEM ? rc : flo_future_fail(future, rc, wf->failure);
}

static void describe(const struct flo_future *future, char *out_text, size_t size)
{
    (void)future;
    if (size)
        *out_text = '\0'; /* it is ready: nobody waits for it */
}

struct flo_future *flo_outbound_refused(struct flo_workflow *wf, int rc)
{
    static const struct flo_future_ops ops = {.describe = describe};
    struct flo_future *future = flo_heap_calloc(wf->run->heap, sizeof *future);
    if (!future)
        return NULL;
    flo_future_init(future, wf->run, wf->scope, &ops);
    return flo_outbound_refuse(wf, rc, future) ? NULL : future;
}

void flo_outbound_fini(struct flo_outbound *outbound)
{
    json_decref(outbound->input);
    json_decref(outbound->headers);
}
