/* SPDX-License-Identifier: Apache-2.0 */
/*
 * story.h - replay tests that read as a transcript: history in words goes in, commands in words
 * come out.
 *
 *     story_tell(s, "Started type=Echo input='hi'; WFTScheduled; WFTStarted");
 *     story_expect(s, "ScheduleActivity id=1 type=echo queue=queue stc=30000 input='hi'");
 *     story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo; ActivityStarted scheduled=5");
 *
 * Events are separated by ";" or a line's end and numbered from 1 as they come; event n happens at
 * (1000 + n) s. Values hold no space outside quotes; ' stands for ". See story_events.c for
 * the words.
 */
#ifndef FLO_TESTS_SUPPORT_STORY_H
#define FLO_TESTS_SUPPORT_STORY_H

#include "base/arena.h"
#include "workflow/run.h"

struct story {
    struct flo_arena arena; /* of events and answers */
    const struct flo_workflow_entry *workflows;
    struct flo_run *run; /* the cached one; made at the first task */
    struct flo_run_env env;
    FloApi__HistoryEvent **events;
    size_t event_count, event_capacity;
    size_t delivered;           /* events that tasks brought so far */
    int64_t previous_started;   /* of the last task that was answered */
    const char *legacy_query;   /* type of a query task, for the next task only */
    const char *query;          /* a query inside the next task */
    const char *query_args;     /* of either: "[1,'two']" */
    FloApi__Message **messages; /* of the next task, from story_update */
    size_t message_count;
    bool keep; /* what is for the next task stays for those after it */
    char *log; /* what workflow code logged: "line|line" */
    const FloApi__PollWorkflowTaskQueueResponse *task; /* the last one */
    struct flo_activation answer;                      /* to the last task */
    int answer_rc;
};

/* A story about these workflows (ends with {NULL, NULL}). Also the setup of jansson. */
void story_begin(struct story *story, const struct flo_workflow_entry *workflows);
/* Frees all, and fails the test when a run's memory is still held. */
void story_end(struct story *story);
/* The same as a fixture of cmocka's: *state is the story; one at a time. Both return 0. */
int story_setup(void **state, const struct flo_workflow_entry *workflows);
int story_teardown(void **state);

/* Add events to history. */
void story_tell(struct story *story, const char *events);
/* The next task brings an update: "id=u1 name=set input='x' behind=7" (behind: the event that it
 * came behind; 0 = none). */
void story_update(struct story *story, const char *words);
/* Hand the events since the last task to the cached run; its answer, in words. */
const char *story_answer(struct story *story);
/* The same, compared with what is expected. */
#define story_expect(story, expected) assert_string_equal(story_answer(story), (expected))
/* A new run is given the whole history in one go; its answer, in words. */
const char *story_replayed(struct story *story);
#define story_expect_replayed(story, expected)                                                     \
    assert_string_equal(story_replayed(story), (expected))
/* A local activity of the open task ends: "SEQ result=1 ran=20", "SEQ failure=TYPE message=...
 * backoff=500" (ms); failure=cancelled is one. The answer, in words. */
const char *story_local(struct story *story, const char *words);
#define story_expect_local(story, words, expected)                                                 \
    assert_string_equal(story_local(story, words), (expected))
/* The open task is answered with what there is. */
const char *story_yielded(struct story *story);
#define story_expect_yielded(story, expected) assert_string_equal(story_yielded(story), (expected))
/* The next task comes as a sticky worker's would: events from here on only. Without a run in the
 * cache that is a miss. */
void story_evict(struct story *story);
/* Once for each task of the history: a run that has come so far, task by task, and one that has
 * been replayed so far in one go, are dropped where their code stands, and nothing of them is left.
 */
void story_drop_at_each_task(struct story *story);
/* As story_teardown, after story_drop_at_each_task. */
int story_teardown_dropping(void **state);
/* A task with the events [from, to] (numbers), in arena. */
FloApi__PollWorkflowTaskQueueResponse *story_task(struct story *story, size_t from, size_t to);
/* An answer in words; rc is what flo_run_activate returned. */
const char *story_words(struct story *story, int rc, const struct flo_activation *answer);
/* Finds the function of a type; ctx is the story. */
flo_workflow_fn story_lookup(void *ctx, const char *workflow_type);
/* A fresh run of this story's environment. */
struct flo_run *story_run_new(struct story *story);

/* Both: the next task's answer by the cached run, which somebody has asked before, and by a new one
 * that replays all of it and is dropped there. */
void story_expect_asked(struct story *s, const char *expected);

#endif
