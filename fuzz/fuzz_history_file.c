/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_history_file.c - any bytes as a file with a history: what is read can be written, and read
 * again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/history.h"
#include "wire/json.h"

#define BUDGET (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flo_arena arena;
    struct flo_err err = {0};
    FloApi__History *history;
    flo_arena_init(&arena, BUDGET);
    int rc = flo_history_read(data, size, NULL, &arena, &history, &err);
    FUZZ_CHECK(!rc || err.message[0]);
    json_t *json = rc ? NULL : flo_wire_to_json(&history->base);
    char *text = json ? json_dumps(json, 0) : NULL;
    if (text)
        FUZZ_CHECK(flo_history_read(text, strlen(text), NULL, &arena, &history, NULL) == 0);
    free(text);
    json_decref(json);
    flo_arena_fini(&arena);
    return 0;
}
