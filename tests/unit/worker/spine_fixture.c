/* SPDX-License-Identifier: Apache-2.0 */
/* spine_fixture.c - see spine_fixture.h. */
#include "spine_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wire/decode.h"

#define LIMIT_NS (20 * FLO_NS_PER_S)

static const char *rpc_of(const char *path)
{
    return strrchr(path, '/') + 1;
}

static void keep(struct spine *s, const char *rpc, const uint8_t *body, size_t len)
{
    struct spine_request *request = &s->requests[s->request_count++];

    assert_true(s->request_count < SPINE_MAX * 4);
    snprintf(request->rpc, sizeof request->rpc, "%s", rpc);
    request->body = malloc(len + 1);
    memcpy(request->body, body, len);
    request->len = len;
}

static struct spine_answer *answer_for(struct spine *s, const char *rpc)
{
    for (size_t i = 0; i < s->answer_count; i++)
        if (!s->answers[i].used && strcmp(s->answers[i].rpc, rpc) == 0)
            return &s->answers[i];
    return NULL;
}

static void reply(struct flo_grpc_server_call *call, struct spine_answer *answer)
{
    answer->used = true;
    if (answer->code)
        flo_grpc_respond_error(call, answer->code, "scripted", NULL, 0, NULL, 0);
    else
        flo_grpc_respond(call, answer->body, answer->len);
}

/* A parked call remembers its rpc by the index of its request. */
static void park(struct spine *s, struct flo_grpc_server_call *call)
{
    flo_grpc_server_call_set_user(call, s->request_count - 1);
    for (size_t i = 0; i < SPINE_MAX; i++) {
        if (!s->parked[i]) {
            s->parked[i] = call;
            return;
        }
    }
    fail_msg("too many polls");
}

static const char *parked_rpc(const struct spine *s, size_t i)
{
    return s->requests[flo_grpc_server_call_user(s->parked[i])].rpc;
}

static void on_call(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len)
{
    struct spine *s = ctx;
    struct spine_answer *answer = answer_for(s, rpc_of(path));

    keep(s, rpc_of(path), body, len);
    if (answer)
        reply(call, answer);
    else if (strncmp(rpc_of(path), "Poll", 4) == 0 || strcmp(rpc_of(path), s->unanswered) == 0)
        park(s, call);
    else
        flo_grpc_respond(call, NULL, 0);
    if (s->on_request)
        s->on_request(s, rpc_of(path));
    event_base_loopbreak(s->base);
}

static void on_cancel(void *ctx, struct flo_grpc_server_call *call)
{
    struct spine *s = ctx;

    for (size_t i = 0; i < SPINE_MAX; i++)
        if (s->parked[i] == call)
            s->parked[i] = NULL;
}

void spine_init(struct spine *s)
{
    const struct flo_grpc_server_options options = {
        .listen = "127.0.0.1:0", .on_call = on_call, .on_cancel = on_cancel, .ctx = s};
    struct flo_err err = {0};

    memset(s, 0, sizeof *s);
    flo_arena_init(&s->arena, 0);
    signal(SIGPIPE, SIG_IGN);
    s->base = event_base_new();
    if (flo_grpc_server_new(s->base, &options, &s->server, &err))
        fail_msg("%s", err.message);
}

static _Noreturn void child(struct spine *s, const struct flo_role_spec *role,
                            const struct flo_module *module, char **argv, int argc)
{
    int null = open("/dev/null", O_WRONLY);

    event_reinit(s->base);
    dup2(null, 1);
    closefrom(3);
    setenv("FLOTILLA_STATE_DIR", "/dev/null", 0); /* crashes are counted in memory */
    exit(flo_worker_run(argc, argv, role, module));
}

static void write_yaml(struct spine *s)
{
    int fd;

    snprintf(s->yaml_file, sizeof s->yaml_file, "/tmp/flo-spine-XXXXXX");
    fd = mkstemp(s->yaml_file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, s->yaml, strlen(s->yaml)), strlen(s->yaml));
    close(fd);
}

void spine_start(struct spine *s, const struct flo_role_spec *role, const struct flo_module *module,
                 ...)
{
    static const char *const BASE[] = {"task_queue=queue", "health.port=0", "metrics.port=0",
                                       "log.level=error", "shutdown_timeout=5s"};
    char address[128];
    char *argv[64] = {(char *)(uintptr_t) "worker"};
    int argc = 1;
    const char *set;
    va_list args;

    if (s->yaml) {
        write_yaml(s);
        argv[argc++] = (char *)(uintptr_t) "--config";
        argv[argc++] = s->yaml_file;
    }
    for (size_t i = s->yaml != NULL; i < sizeof BASE / sizeof *BASE; i++) {
        argv[argc++] = (char *)(uintptr_t) "--set";
        argv[argc++] = (char *)(uintptr_t)BASE[i];
    }
    snprintf(address, sizeof address, "server.address=%s", flo_grpc_server_address(s->server));
    argv[argc++] = (char *)(uintptr_t) "--set";
    argv[argc++] = address;
    va_start(args, module);
    while ((set = va_arg(args, const char *))) {
        argv[argc++] = (char *)(uintptr_t) "--set";
        argv[argc++] = (char *)(uintptr_t)set;
    }
    va_end(args);
    fflush(NULL);
    s->worker = fork();
    if (s->worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that failed leaves no worker behind */
        child(s, role, module, argv, argc);
    }
    assert_true(s->worker > 0);
}

void spine_fini(struct spine *s)
{
    assert_int_equal(s->worker, 0);
    if (s->yaml_file[0])
        unlink(s->yaml_file);
    flo_grpc_server_destroy(&s->server);
    event_base_free(s->base);
    for (size_t i = 0; i < s->request_count; i++)
        free(s->requests[i].body);
    for (size_t i = 0; i < s->answer_count; i++)
        free(s->answers[i].body);
    flo_arena_fini(&s->arena);
}

static struct spine_answer *answer_new(struct spine *s, const char *rpc)
{
    struct spine_answer *answer = &s->answers[s->answer_count++];

    assert_true(s->answer_count < SPINE_MAX);
    snprintf(answer->rpc, sizeof answer->rpc, "%s", rpc);
    return answer;
}

void spine_answer(struct spine *s, const char *rpc, const ProtobufCMessage *message)
{
    struct spine_answer *answer = answer_new(s, rpc);
    struct flo_buf packed;

    flo_buf_init(&packed, 0);
    assert_int_equal(flo_wire_encode(message, &packed), 0);
    answer->len = packed.len;
    answer->body = malloc(packed.len + 1);
    if (packed.len)
        memcpy(answer->body, packed.data, packed.len);
    flo_buf_fini(&packed);
}

void spine_refuse(struct spine *s, const char *rpc, int code)
{
    answer_new(s, rpc)->code = code;
}

void spine_give(struct spine *s, const char *rpc, const ProtobufCMessage *task)
{
    spine_answer(s, rpc, task);
    for (size_t i = 0; i < SPINE_MAX; i++) {
        if (s->parked[i] && strcmp(parked_rpc(s, i), rpc) == 0) {
            struct flo_grpc_server_call *call = s->parked[i];
            s->parked[i] = NULL;
            reply(call, answer_for(s, rpc));
            return;
        }
    }
}

static void turn(struct spine *s, int64_t until)
{
    const struct timeval tick = {.tv_usec = 100000};

    if (flo_clock_mono_ns() > until) {
        kill(s->worker, SIGKILL);
        fail_msg("the worker did not do what it should within 20 s");
    }
    event_base_loopexit(s->base, &tick);
    event_base_loop(s->base, EVLOOP_ONCE);
}

size_t spine_count(const struct spine *s, const char *rpc)
{
    size_t count = 0;

    for (size_t i = 0; i < s->request_count; i++)
        count += strcmp(s->requests[i].rpc, rpc) == 0;
    return count;
}

size_t spine_parked(const struct spine *s, const char *rpc)
{
    size_t count = 0;

    for (size_t i = 0; i < SPINE_MAX; i++)
        count += s->parked[i] && strcmp(parked_rpc(s, i), rpc) == 0;
    return count;
}

const ProtobufCMessage *spine_await(struct spine *s, const char *rpc, size_t count,
                                    const ProtobufCMessageDescriptor *descriptor)
{
    int64_t until = flo_clock_mono_ns() + LIMIT_NS;
    ProtobufCMessage *message = NULL;
    size_t seen = 0;

    while (spine_count(s, rpc) < count)
        turn(s, until);
    for (size_t i = 0; i < s->request_count; i++) {
        const struct spine_request *request = &s->requests[i];
        if (strcmp(request->rpc, rpc) == 0 && ++seen == count) {
            assert_int_equal(
                flo_wire_decode(descriptor, request->body, request->len, &s->arena, &message, NULL),
                0);
            return message;
        }
    }
    return NULL;
}

void spine_await_parked(struct spine *s, const char *rpc, size_t count)
{
    int64_t until = flo_clock_mono_ns() + LIMIT_NS;

    while (spine_parked(s, rpc) < count)
        turn(s, until);
}

int spine_stop(struct spine *s, int signal)
{
    int64_t until = flo_clock_mono_ns() + LIMIT_NS;
    int status = 0;

    if (signal)
        kill(s->worker, signal);
    while (waitpid(s->worker, &status, WNOHANG) == 0)
        turn(s, until);
    s->worker = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *spine_copy(struct spine *s, const char *text)
{
    return flo_arena_strdup(&s->arena, text);
}

ProtobufCBinaryData spine_token(struct spine *s, const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)spine_copy(s, text), .len = strlen(text)};
}

FloApi__WorkflowExecution *spine_execution(struct spine *s)
{
    FloApi__WorkflowExecution *e =
        SPINE_NEW(s, FloApi__WorkflowExecution, FLO_API__WORKFLOW_EXECUTION__INIT);

    e->workflow_id = spine_copy(s, "wf-1");
    e->run_id = spine_copy(s, "0190a1b2-0000-7000-8000-000000000001");
    return e;
}
