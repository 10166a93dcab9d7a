/* SPDX-License-Identifier: Apache-2.0 */
/* story_internal.h - what the parts of a story share (story_events.c, story_words.c,
 * story_entities.c). */
#ifndef FLO_TESTS_SUPPORT_STORY_INTERNAL_H
#define FLO_TESTS_SUPPORT_STORY_INTERNAL_H

#include "base/buf.h"
#include "support/story.h"
#include "workflow/names.h"

/* One event's words: a name and key=value pairs. */
struct words {
    char *name;
    char *key[24], *value[24];
    size_t count;
};

/* The value of key, else otherwise; as a number, else 0; copied into the story. */
const char *story_word(const struct words *w, const char *key, const char *otherwise);
int64_t story_number(const struct words *w, const char *key);
char *story_text(struct story *s, const struct words *w, const char *key, const char *otherwise);
/* The JSON text under key as payloads; NULL without the key. */
FloApi__Payloads *story_payloads(struct story *s, const struct words *w, const char *key);

/* Make attributes of one kind: storage, init, and the oneof's case. */
#define STORY_ATTRIBUTES(event, lower, upper, type)                                                \
    FloApi__##type##EventAttributes *a = flo_arena_alloc(&s->arena, sizeof *a);                    \
    flo_api__##lower##_event_attributes__init(a);                                                  \
    (event)->lower##_event_attributes = a;                                                         \
    (event)->attributes_case = FLO_API__HISTORY_EVENT__ATTRIBUTES_##upper##_EVENT_ATTRIBUTES;      \
    (event)->event_type = FLO_EVENT(upper)

/* story_entities.c: what an execution is started with besides its type; false: no event of that
 * name is one of children, external executions, patches, side effects, attributes. */
void story_entity_started(struct story *s, const struct words *w,
                          FloApi__WorkflowExecutionStartedEventAttributes *a);
bool story_entity_event(struct story *s, const struct words *w, FloApi__HistoryEvent *event);
/* The command in words; false: it is of another kind. */
bool story_entity_command(struct flo_buf *out, const FloApi__Command *command);
/* " key='text'", " key=5" (ms). */
void story_say_payloads(struct flo_buf *out, const char *key, const FloApi__Payloads *payloads);
/* " key='value'" for each. */
void story_say_header(struct flo_buf *out, const FloApi__Header *header);
void story_say_ms(struct flo_buf *out, const char *key, const Google__Protobuf__Duration *d);

/* The end of a local activity, as story_local takes it in words. What it points to is the
 * story's. */
void story_local_result(struct story *story, const char *words, struct flo_local_result *out);
/* "[1,'two']" as that many payloads; NULL gives NULL. */
FloApi__Payloads *story_arguments(struct story *story, const char *values);

#endif
