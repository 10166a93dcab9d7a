/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill.h - the parts that commands share, made in an arena. Each returns NULL for nothing (a NULL
 * or empty source), and NULL with *no_memory set when memory is out; so a command is filled in one
 * go and asked once.
 */
#ifndef FLO_WORKFLOW_FILL_H
#define FLO_WORKFLOW_FILL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "flotilla/failure.h"
#include "flotilla/workflow.h"
#include "wire/api.h"

/* A copy; "" for NULL (the field's own empty text, which is not allocated). */
char *flo_fill_text(struct flo_arena *arena, const char *text, bool *no_memory);
FloApi__WorkflowType *flo_fill_type(struct flo_arena *arena, const char *name, bool *no_memory);
FloApi__TaskQueue *flo_fill_queue(struct flo_arena *arena, const char *name, bool *no_memory);
/* run_id NULL = none. */
FloApi__WorkflowExecution *flo_fill_execution(struct flo_arena *arena, const char *workflow_id,
                                              const char *run_id, bool *no_memory);
/* Also for JSON null; NULL: no argument. */
FloApi__Payloads *flo_fill_input(struct flo_arena *arena, const json_t *input, bool *no_memory);
/* ms 0 = nothing. */
Google__Protobuf__Duration *flo_fill_duration(struct flo_arena *arena, int64_t ms, bool *no_memory);
FloApi__RetryPolicy *flo_fill_retry(struct flo_arena *arena, const struct flo_retry_policy *from,
                                    bool *no_memory);
/* Of an object; a member that is JSON null becomes binary/null, which takes a memo's away. */
FloApi__Memo *flo_fill_memo(struct flo_arena *arena, const json_t *object, bool *no_memory);
FloApi__Header *flo_fill_header(struct flo_arena *arena, const json_t *object, bool *no_memory);
FloApi__SearchAttributes *flo_fill_attributes(struct flo_arena *arena,
                                              const struct flo_search_attribute *list,
                                              bool *no_memory);
FloApi__Priority *flo_fill_priority(struct flo_arena *arena, const struct flo_priority *from,
                                    bool *no_memory);
FloApi__UserMetadata *flo_fill_metadata(struct flo_arena *arena, const char *summary,
                                        const char *details, bool *no_memory);

/* ---- search attributes and their payloads ---- */

/* One attribute as its payload, with its type in the metadata unless untyped. NULL: no memory. */
FloApi__Payload *flo_attribute_payload(struct flo_arena *arena,
                                       const struct flo_search_attribute *attribute, bool untyped);
/* The type that a payload names ("Int"); false when it names none that is known. */
bool flo_attribute_kind_of(const FloApi__Payload *payload, enum flo_attribute_kind *out_kind);
/* "2026-11-21T22:50:52.123Z" into milliseconds since 1970; false: it is no such text. */
bool flo_attribute_time_parse(const char *text, int64_t *out_ms);
/* May code set this list? FLO_EINVAL with a sentence. */
FLO_MUST_CHECK int flo_attributes_check(const struct flo_search_attribute *list,
                                        struct flo_err *err);

/* NULL, or UTF-8. */
bool flo_is_text(const char *text);
/* Is it an object whose names are fit to be sent? NULL is. */
bool flo_is_fields(const json_t *object);
/* Options of a retry policy (may be NULL) that cannot be: FLO_EINVAL, a sentence. */
FLO_MUST_CHECK int flo_retry_check(const struct flo_retry_policy *retry, struct flo_err *err);

#endif
