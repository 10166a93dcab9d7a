/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_query.c - any text as a query of a list: a condition that SQLite takes, or one sentence. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "engine/rpc/query.h"
#include "engine/store/store.h"
#include "fuzz.h"

static FloApi__IndexedValueType type_of(void *ctx, const char *name)
{
    (void)ctx;
    return name[0] == 'X' && name[1] >= '1' && name[1] <= '7' && !name[2]
               ? (FloApi__IndexedValueType)(name[1] - '0')
               : FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_UNSPECIFIED;
}

static bool stop(void *ctx, const struct flo_store_visible *run)
{
    (void)ctx, (void)run;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct flo_store *store; /* empty, in memory, for all inputs */
    const struct flo_query_names names = {type_of, NULL};
    struct flo_arena arena;
    struct flo_query query;
    struct flo_err err = {0};
    if (!store)
        FUZZ_CHECK(flo_store_open(&(struct flo_store_options){0}, &store, &err) == 0);
    flo_arena_init(&arena, 16 << 20);
    char *text = flo_arena_strndup(&arena, (const char *)data, size);
    if (text) {
        int rc = flo_query_compile(text, &names, &arena, &query, &err);
        FUZZ_CHECK(!rc || err.message[0]);
        if (!rc)
            rc = flo_store_list(store, "ns", &query.filter, NULL, 1, stop, NULL, &err);
        FUZZ_CHECK(rc == 0 || rc == FLO_EINVAL || rc == FLO_ENOMEM || rc == FLO_ELIMIT);
    }
    flo_arena_fini(&arena);
    return 0;
}
