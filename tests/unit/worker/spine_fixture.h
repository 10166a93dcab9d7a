/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spine_fixture.h - a worker as a child process, against a server in this process that plays a
 * script: it hands out the tasks it was given, parks the other polls, and keeps every request.
 */
#ifndef TESTS_SPINE_FIXTURE_H
#define TESTS_SPINE_FIXTURE_H

#include <event2/event.h>
#include <sys/types.h>

#include "base/arena.h"
#include "grpc/server.h"
#include "wire/api.h"
#include "worker/role.h"

#define SPINE_MAX 64

struct spine_request {
    char rpc[48];
    uint8_t *body;
    size_t len;
};

/* An answer for the next call of an rpc; without one the answer is an empty message. */
struct spine_answer {
    char rpc[48];
    int code; /* gRPC status; 0 = body */
    uint8_t *body;
    size_t len;
    bool used;
};

struct spine {
    struct event_base *base;
    struct flo_grpc_server *server;
    struct flo_arena arena; /* for what a test builds */
    pid_t worker;
    struct flo_grpc_server_call *parked[SPINE_MAX];
    struct spine_request requests[SPINE_MAX * 4];
    size_t request_count;
    struct spine_answer answers[SPINE_MAX];
    size_t answer_count;
    char unanswered[48]; /* an rpc that is parked like a poll */
    const char *yaml;    /* text of the worker's file, which names the task queues; NULL: no file */
    char yaml_file[32];  /* where it was written to */
    void (*on_request)(struct spine *s, const char *rpc); /* a call has come; may be NULL */
};

/* Start the server; then the worker in role with module and `--set` arguments (NULL-terminated). */
void spine_init(struct spine *s);
void spine_start(struct spine *s, const struct flo_role_spec *role, const struct flo_module *module,
                 ...);
/* Stop all; the worker must have been waited for. */
void spine_fini(struct spine *s);

/* Answer the next call of rpc with message, or with a status code. */
void spine_answer(struct spine *s, const char *rpc, const ProtobufCMessage *message);
void spine_refuse(struct spine *s, const char *rpc, int code);
/* Give task (a poll's answer) to the next poll of rpc, a parked one if there is. */
void spine_give(struct spine *s, const char *rpc, const ProtobufCMessage *task);

/* Run the loop until rpc has been called count times (fails the test after 20 s); returns that
 * request, decoded. */
const ProtobufCMessage *spine_await(struct spine *s, const char *rpc, size_t count,
                                    const ProtobufCMessageDescriptor *descriptor);
size_t spine_count(const struct spine *s, const char *rpc);
size_t spine_parked(const struct spine *s, const char *rpc);
/* Run the loop until count polls of rpc wait. */
void spine_await_parked(struct spine *s, const char *rpc, size_t count);
/* Send signal to the worker (0: none) and wait for its end; returns its exit code. */
int spine_stop(struct spine *s, int signal);

/* What tasks are built of, in the arena: text, a task token, a type's copy of its INIT, the run. */
char *spine_copy(struct spine *s, const char *text);
ProtobufCBinaryData spine_token(struct spine *s, const char *text);
#define SPINE_NEW(s, type, init) ((type *)flo_arena_memdup(&(s)->arena, &(type)init, sizeof(type)))
FloApi__WorkflowExecution *spine_execution(struct spine *s);

#endif
