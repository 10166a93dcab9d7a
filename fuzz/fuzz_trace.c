/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_trace.c - what comes from others' tracing: a traceparent, lists of key=value, the header
 * "_tracer-data". What is taken must be the same after it was written and read again.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/pairs.h"
#include "fuzz.h"
#include "wire/payload.h"
#include "wire/tracer.h"

static void check_traceparent(const char *text)
{
    struct flo_trace_context context, again;
    char written[FLO_TRACEPARENT_LEN + 1];

    memset(&context, 0, sizeof context);
    memset(&again, 0, sizeof again);
    if (!flo_traceparent_parse(text, &context))
        return;
    flo_traceparent_format(&context, written);
    FUZZ_CHECK(flo_traceparent_parse(written, &again));
    FUZZ_CHECK(memcmp(&context, &again, sizeof context) == 0);
}

static void check_pairs(const char *text, bool headers)
{
    struct flo_pairs pairs;

    if (flo_pairs_parse(text, headers, &pairs, NULL))
        return;
    for (size_t i = 0; i < pairs.count; i++) {
        FUZZ_CHECK(*pairs.items[i].key);
        FUZZ_CHECK(!strpbrk(pairs.items[i].value, "\r\n"));
        FUZZ_CHECK(flo_pairs_get(&pairs, pairs.items[i].key));
    }
    flo_pairs_fini(&pairs);
}

static void check_header(const uint8_t *data, size_t size)
{
    char key[] = FLO_TRACER_HEADER;
    FloApi__Header__FieldsEntry entry = FLO_API__HEADER__FIELDS_ENTRY__INIT, *entries[] = {&entry};
    FloApi__Header header = FLO_API__HEADER__INIT;
    struct flo_tracer_data read, again;
    struct flo_arena arena;

    flo_arena_init(&arena, 0);
    entry.key = key;
    entry.value = flo_payload_from_bytes(&arena, "json/plain", data, size);
    header.fields = entries;
    header.n_fields = 1;
    FUZZ_CHECK(entry.value);
    if (flo_tracer_read(&header, &arena, &read)) {
        FloApi__Header *written = flo_tracer_header(&read, &arena);
        FUZZ_CHECK(written);
        FUZZ_CHECK(flo_tracer_read(written, &arena, &again));
        FUZZ_CHECK(memcmp(&read.context, &again.context, sizeof read.context) == 0);
        FUZZ_CHECK(!read.tracestate == !again.tracestate && !read.baggage == !again.baggage);
        FUZZ_CHECK(!read.tracestate || strcmp(read.tracestate, again.tracestate) == 0);
        FUZZ_CHECK(!read.baggage || strcmp(read.baggage, again.baggage) == 0);
    }
    flo_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = flo_malloc(size + 1);

    FUZZ_CHECK(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_traceparent(text);
    check_pairs(text, false);
    check_pairs(text, true);
    check_header(data, size);
    flo_free(text);
    return 0;
}
