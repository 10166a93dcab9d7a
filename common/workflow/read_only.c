/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_only.c - code that may only look: query handlers, validators, conditions.
 *
 * Such code is not part of what is replayed: it runs when somebody asks, or as often as the runtime
 * sees fit. So nothing that it does may leave a trace in the run. A call that would is stopped
 * where it stands: its coroutine is never resumed, whatever its code would have made of an error
 * code. A condition has no coroutine of its own; its call is refused, and the task fails.
 */
#include "workflow/internal.h"

static void say(const struct flo_run *run, const char *what, struct flo_err *err)
{
    const struct flo_read_only *guard = run->read_only;
    char place[200] = "";
    if (run->current)
        flo_place_describe(&run->current->at, place, sizeof place);
    flo_fail(err, FLO_ESTATE, "%s%s%.100s%s may only look, but it %s%s%s", guard->what,
             *guard->name ? " \"" : "", guard->name, *guard->name ? "\"" : "", what,
             *place ? " at " : "", place);
}

void flo_run_misuse(struct flo_run *run, const struct flo_err *err)
{
    if (run->misuse)
        return;
    run->misuse = flo_heap_alloc(run->heap, sizeof *run->misuse);
    if (run->misuse)
        *run->misuse = *err;
    else
        flo_run_no_memory(run);
}

int flo_read_only_refuse(struct flo_run *run, const char *what)
{
    const struct flo_read_only *guard = run->read_only;
    struct flo_err err = {0};
    say(run, what, guard->err ? guard->err : &err);
    if (!guard->err)
        flo_run_misuse(run, &err);
    if (guard->coroutine) {
        struct flo_coroutine *coroutine = guard->coroutine;
        run->read_only = NULL; /* guard is on the stack that is left here */
        for (;;)
            flo_coroutine_yield(coroutine);
    }
    return FLO_ESTATE;
}
