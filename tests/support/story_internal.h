/* SPDX-License-Identifier: Apache-2.0 */
/* story_internal.h - what the parts of a story share (story.c, story_events.c). */
#ifndef FLO_TESTS_SUPPORT_STORY_INTERNAL_H
#define FLO_TESTS_SUPPORT_STORY_INTERNAL_H

#include "support/story.h"

/* The end of a local activity, as story_local takes it in words. What it points to is the
 * story's. */
void story_local_result(struct story *story, const char *words, struct flo_local_result *out);
/* "[1,'two']" as that many payloads; NULL gives NULL. */
FloApi__Payloads *story_arguments(struct story *story, const char *values);

#endif
