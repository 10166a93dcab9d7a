/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - calls to a Temporal-shaped server: one typed function per call, with the retry policy
 * of the official SDKs on top of a gRPC channel. Messages are generated structs; requests are
 * packed before the function returns, so they may live on the caller's stack.
 *
 * One thread: the loop's. Callbacks run from the loop, never from inside the call that started it.
 */
#ifndef FLO_CLIENT_CLIENT_H
#define FLO_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "codec/codec.h"
#include "flotilla/error.h"
#include "grpc/client.h"
#include "wire/api.h"
#include "wire/decode.h"

struct event_base;
struct flo_client;      /* opaque: client.c */
struct flo_client_call; /* one logical call, retries included */

struct flo_client_options {
    struct flo_grpc_channel_options channel; /* address, TLS, on_state; headers are added to */
    const char *namespace_;
    const char *identity;
    const char *api_key;  /* Bearer token; NULL = none */
    bool fail_fast;       /* do not wait for a connection: the first UNAVAILABLE ends a call */
    int64_t long_poll_ms; /* time limit of long polls; 0: FLO_CLIENT_LONG_POLL_MS */
    const struct flo_wire_part *part; /* what to decode of answers; NULL: everything; borrowed */
    /* Payloads of requests go through it, those of answers back; NULL: as they are; borrowed. */
    const struct flo_codec_row *codecs;
    /* How each try ended, for metrics: the RPC's name, code, duration. May be NULL. */
    void (*on_try)(void *ctx, const char *operation, int code, int64_t duration_ns, bool long_poll);
    /* A call was not made since a codec failed on its payloads. May be NULL. */
    void (*on_unsent)(void *ctx, const char *operation, const char *reason);
    void *on_try_ctx; /* of both */
};

/* The official SDKs' time limits: ordinary calls; long polls, which a server ends after 60 s. */
#define FLO_CLIENT_TIMEOUT_MS 30000
#define FLO_CLIENT_LONG_POLL_MS 70000

enum flo_client_retry {
    FLO_RETRY_NONE, /* one try, and only on a connection that stands */
    FLO_RETRY_CALL, /* 100 ms x 1.7, +-20 %, cap 5 s, at most 10 times within the timeout */
    FLO_RETRY_POLL, /* 200 ms x 2, cap 10 s, for ever; also CANCELLED and DEADLINE_EXCEEDED */
};

/*
 * The call has ended. status as in grpc/client.h. With OK, response is the decoded message,
 * borrowed together with its arena for the duration of the callback; otherwise NULL.
 */
typedef void (*flo_client_done_fn)(void *ctx, const struct flo_grpc_status *status,
                                   const ProtobufCMessage *response);

/*
 * For a done function that was given a response: keep it. *out_arena, which holds the message and
 * all it points to, is the caller's from then on, and the response lives as long as it does. It
 * has no budget any more: that was for what the peer sent.
 */
void flo_client_keep_response(struct flo_client *client, struct flo_arena *out_arena);
/* For the same: the response as bytes, borrowed until done returns. NULL: no memory. */
const uint8_t *flo_client_response_bytes(const struct flo_client *client, size_t *out_len);
/* For the same, of a response that brings a task: why its payloads could not be decoded, so that
 * they are as they came, or some of them; NULL when they were. Other responses whose payloads
 * cannot be decoded end their call with DATA_LOSS. Borrowed until done returns. */
const char *flo_client_response_damage(const struct flo_client *client);

FLO_MUST_CHECK int flo_client_new(struct event_base *base, const struct flo_client_options *options,
                                  struct flo_client **out_client, struct flo_err *err);
/* Cancels every open call without callbacks. NULL is fine. */
void flo_client_destroy(struct flo_client **client);

/* FLO_CLIENT_CALLS(X): X(function name, Rpc, Request type, response descriptor, retry, timeout). */
#define FLO_CLIENT_CALLS(X)                                                                        \
    X(get_system_info, GetSystemInfo, CALL, TIMEOUT)                                               \
    X(describe_namespace, DescribeNamespace, CALL, TIMEOUT)                                        \
    X(start_workflow_execution, StartWorkflowExecution, CALL, TIMEOUT)                             \
    X(signal_workflow_execution, SignalWorkflowExecution, CALL, TIMEOUT)                           \
    X(request_cancel_workflow_execution, RequestCancelWorkflowExecution, CALL, TIMEOUT)            \
    X(terminate_workflow_execution, TerminateWorkflowExecution, CALL, TIMEOUT)                     \
    X(describe_workflow_execution, DescribeWorkflowExecution, CALL, TIMEOUT)                       \
    X(list_workflow_executions, ListWorkflowExecutions, CALL, TIMEOUT)                             \
    X(count_workflow_executions, CountWorkflowExecutions, CALL, TIMEOUT)                           \
    X(get_workflow_execution_history, GetWorkflowExecutionHistory, CALL, LONG_POLL)                \
    X(query_workflow, QueryWorkflow, CALL, TIMEOUT)                                                \
    X(update_workflow_execution, UpdateWorkflowExecution, CALL, LONG_POLL)                         \
    X(poll_workflow_execution_update, PollWorkflowExecutionUpdate, CALL, LONG_POLL)                \
    X(describe_task_queue, DescribeTaskQueue, CALL, TIMEOUT)                                       \
    X(poll_workflow_task_queue, PollWorkflowTaskQueue, POLL, LONG_POLL)                            \
    X(respond_workflow_task_completed, RespondWorkflowTaskCompleted, CALL, TIMEOUT)                \
    X(respond_workflow_task_failed, RespondWorkflowTaskFailed, CALL, TIMEOUT)                      \
    X(respond_query_task_completed, RespondQueryTaskCompleted, CALL, TIMEOUT)                      \
    X(reset_sticky_task_queue, ResetStickyTaskQueue, CALL, TIMEOUT)                                \
    X(poll_activity_task_queue, PollActivityTaskQueue, POLL, LONG_POLL)                            \
    X(record_activity_task_heartbeat, RecordActivityTaskHeartbeat, CALL, TIMEOUT)                  \
    X(respond_activity_task_completed, RespondActivityTaskCompleted, CALL, TIMEOUT)                \
    X(respond_activity_task_failed, RespondActivityTaskFailed, CALL, TIMEOUT)                      \
    X(respond_activity_task_canceled, RespondActivityTaskCanceled, CALL, TIMEOUT)                  \
    X(record_activity_task_heartbeat_by_id, RecordActivityTaskHeartbeatById, CALL, TIMEOUT)        \
    X(respond_activity_task_completed_by_id, RespondActivityTaskCompletedById, CALL, TIMEOUT)      \
    X(respond_activity_task_failed_by_id, RespondActivityTaskFailedById, CALL, TIMEOUT)            \
    X(respond_activity_task_canceled_by_id, RespondActivityTaskCanceledById, CALL, TIMEOUT)        \
    X(shutdown_worker, ShutdownWorker, NONE, TIMEOUT)

/*
 * int flo_client_<name>(client, const FloApi__<Rpc>Request *request, done, ctx,
 *                       struct flo_client_call **out_call)
 * One function per line above. A request whose namespace (and identity) is empty gets the
 * client's. *out_call (may be NULL) is valid until done ran or it was cancelled. 0, FLO_ENOMEM, or
 * what a codec failed with: on_unsent has heard why.
 */
#define FLO_CLIENT_DECLARE(name, rpc, retry, timeout)                                              \
    FLO_MUST_CHECK int flo_client_##name(                                                          \
        struct flo_client *client, const FloApi__##rpc##Request *request, flo_client_done_fn done, \
        void *ctx, struct flo_client_call **out_call);
FLO_CLIENT_CALLS(FLO_CLIENT_DECLARE)
#undef FLO_CLIENT_DECLARE

/* Give a call up; done does not run. Clears the pointer. NULL is fine. */
void flo_client_call_cancel(struct flo_client_call **call);

/*
 * How long the server has been silent about a call: the age of the try that is under way over the
 * connection that stands now, and of the tries before it that ended by our own time limit without a
 * word. Any answer, an error too, ends the silence, and so does the end of the connection.
 */
int64_t flo_client_call_silent_ns(const struct flo_client_call *call);

/* Refusals that a server tells apart only by their text. */
enum flo_refusal {
    FLO_REFUSAL_OTHER,
    FLO_REFUSAL_TOO_LARGE, /* the message is larger than the server takes: never try again */
    FLO_REFUSAL_UNHANDLED, /* new events came while the workflow task was at work: it comes again */
};
enum flo_refusal flo_client_refusal(int code, const char *message);

/* Is code worth another try for this kind of call? What passes is: a server that is overloaded,
 * away or in trouble; for long polls also one that gave the call up. */
bool flo_client_retryable(int code, const char *message, enum flo_client_retry kind);

#endif
