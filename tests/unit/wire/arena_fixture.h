/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka's setup and teardown of tests whose state is a struct flo_arena without a limit. */
#ifndef FLO_TEST_ARENA_FIXTURE_H
#define FLO_TEST_ARENA_FIXTURE_H

#include "base/alloc.h"
#include "base/arena.h"

static int arena_setup(void **state)
{
    struct flo_arena *arena = flo_calloc(1, sizeof *arena);
    flo_arena_init(arena, 0);
    *state = arena;
    return 0;
}

static int arena_teardown(void **state)
{
    flo_arena_fini(*state);
    flo_free(*state);
    return 0;
}

#endif
