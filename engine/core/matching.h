/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matching.h - task queues inside: what matching.c, poll.c, query.c and describe.c share. The rest
 * of the core adds and removes tasks through task.h.
 */
#ifndef FLO_ENGINE_CORE_MATCHING_H
#define FLO_ENGINE_CORE_MATCHING_H

#include "engine/core/internal.h"
#include "engine/core/lane.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"

/* A worker that polled a queue: kept 5 minutes for DescribeTaskQueue. */
struct flo_seen {
    int64_t last_poll_ns;
    double rate;    /* max_tasks_per_second that it asked for, or FLO_POLLER_RATE */
    char *build_id; /* heap; "" = none was given */
    char identity[];
};

#define FLO_POLLER_RATE 1e5 /* what the real server shows for a poll that names none */
#define FLO_QUEUE_SEEN_NS (300 * FLO_NS_PER_S)
#define FLO_CORE_MAX_POLLS 1200                     /* waiting polls of one kind in one namespace */
#define FLO_CORE_STICKY_SEEN_NS (10 * FLO_NS_PER_S) /* a sticky queue without polls is dead */

struct flo_queue_config; /* queue_config.h */

/*
 * One queue of one namespace: tasks that wait for polls (in lanes: lane.h), polls that wait for
 * tasks, in order of arrival; never both for longer than a step, unless a rate limit holds the
 * tasks.
 */
struct flo_queue {
    struct flo_namespace *ns;
    enum flo_queue_type type;
    bool sticky;
    struct flo_lane base;    /* tasks of the default priority */
    struct flo_lanes *lanes; /* of others; heap; NULL: there never was one */
    struct flo_list pollers; /* struct flo_poller */
    struct flo_node hot;     /* on core->hot_queues: try to match */
    int64_t last_poll_ns;    /* INT64_MIN = nobody ever did */
    struct flo_map seen;     /* identity -> struct flo_seen */

    struct flo_queue_config *config; /* what operators have set; NULL: nothing */
    double worker_limit;             /* tasks a second; < 0 = none. From the newest poll. */
    double key_limit;                /* of each fairness key; < 0 = none */
    double rate_limit;               /* that holds: the operators', else the newest poll's */
    double rate_tokens;              /* tasks that may leave now */
    int64_t rate_refilled_ns;
    struct flo_core_timer rate_timer; /* when the next task may leave */

    struct flo_rate added, dispatched;
    int64_t more_polls_ns; /* when more polls were last advised; 0: never */
    size_t elsewhere;      /* of its tasks on sticky queues: of flo_core_each_queue alone */
    int64_t elsewhere_since_ns;
    char *name; /* without namespace */
};

/* A poll that waits. */
struct flo_poller {
    struct flo_waiting waiting;
    struct flo_node node;
    struct flo_queue *queue;
    struct flo_core_timer timer; /* when it is answered empty */
    int64_t began_ns;
    bool has_build_id;
    const char *identity, *build_id, *instance_key; /* in text */
    char text[];
};

/* What a poll says. Borrowed. */
struct flo_poll {
    struct flo_namespace *ns;
    enum flo_queue_type type;
    bool sticky;
    const char *queue, *identity, *instance_key, *build_id;
    bool has_build_id;
    const Google__Protobuf__DoubleValue *max_tasks_per_second; /* NULL = not said */
    uint64_t call;
    int64_t until_ns; /* answer empty then */
};

/* What waits at a priority level (0: at all of them) in the queue and, for workflow tasks of its
 * workflows, on sticky queues, for one worker each. *out_since_ns (may be NULL): since when the
 * oldest does; 0: nothing waits. */
size_t flo_matching_waiting(const struct flo_core *core, const struct flo_queue *queue, int level,
                            int64_t *out_since_ns);

/* Let a poll wait; it meets a task at the end of the step. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_matching_poll(struct flo_core *core, const struct flo_poll *poll);
/*
 * How many polls more or fewer its worker had better keep open, told with a task that is off its
 * queue: -1 when the poll waited for a second or more; 1, at most ten times a second for a queue,
 * when tasks have waited for 200 ms, or come in clearly faster than they leave; else 0.
 */
int32_t flo_matching_advice(struct flo_core *core, const struct flo_poller *poller);
/* The poller is answered: take it off and free it. */
void flo_matching_poller_free(struct flo_core *core, struct flo_poller *poller);

/* The queue of that name, or NULL. */
struct flo_queue *flo_matching_find(struct flo_core *core, const struct flo_namespace *ns,
                                    enum flo_queue_type type, bool sticky, const char *name);
/* Queue a query task. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_matching_add_query_task(struct flo_core *core, struct flo_task *task,
                                               struct flo_namespace *ns, bool sticky,
                                               const char *queue_name);
/*
 * A worker shuts down: answer its polls empty (those with its instance key; for a worker that
 * gives none, those of its identity on its sticky queue), and move what waits on its sticky queue
 * to the normal queues.
 */
void flo_matching_shutdown(struct flo_core *core, const struct flo_namespace *ns,
                           const char *sticky_queue, const char *identity,
                           const char *instance_key);
/* The clock is about to jump (flo_core_jump): who polled when moves along. */
void flo_matching_jump(struct flo_core *core, int64_t by_ns);
/* The end of a step: let the polls and the tasks of one hot queue meet. */
void flo_matching_settle(struct flo_core *core);
void flo_matching_fini(struct flo_core *core);

/* Try to match: tasks or polls have come, or may go on. */
void flo_matching_heat(struct flo_core *core, struct flo_queue *queue);

/* ---- queue_rate.c ---- */

/* As many tasks a second as no worker can take: as good as no limit. */
#define FLO_QUEUE_MAX_RATE 1e6

/* Take over what operators and the newest poll have set. */
void flo_queue_set_limits(struct flo_core *core, struct flo_queue *queue);
/* What a poll asks for. */
void flo_queue_worker_limit(struct flo_core *core, struct flo_queue *queue,
                            const Google__Protobuf__DoubleValue *limit);
/* May a task leave now? If not, a timer makes the queue hot when it may. */
bool flo_queue_rate_allows(struct flo_core *core, struct flo_queue *queue);
/* A task has left. */
void flo_queue_rate_used(struct flo_queue *queue);

/* ---- poll.c ---- */

/* Answer a waiting poll with nothing. */
void flo_poll_answer_empty(struct flo_core *core, struct flo_poller *poller);
/* Start task, which is off its queue, for the poller and answer it. FLO_ENOENT: the task is void,
 * the poller still waits. Otherwise the poller is gone. */
FLO_MUST_CHECK int flo_poll_deliver(struct flo_core *core, struct flo_poller *poller,
                                    struct flo_task *task);

/* ---- query.c ---- */

/* Fill the answer of a poll with a query task. sticky: no history. FLO_ENOENT: the query is over.
 */
FLO_MUST_CHECK int flo_core_query_deliver(struct flo_core *core, struct flo_core_query *query,
                                          bool sticky, FloApi__PollWorkflowTaskQueueResponse *body,
                                          const uint8_t **out_raw, size_t *out_raw_len);
/* Its sticky worker has gone: queue it again, on the normal queue. */
void flo_core_query_requeue(struct flo_core *core, struct flo_core_query *query);

#endif
