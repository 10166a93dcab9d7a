/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - the public client: an event loop that turns only while a call waits for its answer.
 *
 * Between calls nothing reads the connection, so it may be gone when the next one comes; the
 * client below then makes another one and tries again, within the call's time.
 */
#include "client/session.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/role_config.h"

#define DEFAULT_ADDRESS "127.0.0.1:7233"

/* ---- opening ---- */

static void on_state(void *ctx, bool connected, const char *reason)
{
    struct flo_session *session = ctx;

    snprintf(session->reason, sizeof session->reason, "%s", connected || !reason ? "" : reason);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    const struct flo_grpc_status late = {.code = FLO_GRPC_DEADLINE_EXCEEDED,
                                         .message = "no answer in time"};
    struct flo_session *session = ctx;

    (void)fd;
    (void)what;
    flo_client_call_cancel(&session->under_way);
    flo_session_done(session, &late, NULL);
}

/* What was said, else the environment's, else what the file said or the fallback. */
static const char *choose(const char *said, const char *variable, const char *fallback)
{
    const char *value = said ? said : getenv(variable);

    return value && (said || *value) ? value : fallback;
}

/* The server of a worker's YAML, whichever role it is for. */
static int load_file(const char *path, struct flo_role_config **out, struct flo_err *err)
{
    static const enum flo_role ROLES[] = {FLO_ROLE_IO_ACTIVITY, FLO_ROLE_CPU_ACTIVITY,
                                          FLO_ROLE_WORKFLOW};
    const struct flo_cmdline cmdline = {.program = "libflotilla", .config = path};
    int first = 0;

    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
        int rc = flo_role_config_load(ROLES[i], &cmdline, out, i == 0 ? err : NULL);
        if (!rc)
            return 0;
        if (i == 0)
            first = rc;
    }
    return first;
}

static bool tls_wanted(const struct flo_session_options *options, const char *api_key,
                       const struct flo_grpc_tls *tls)
{
    const char *variable = getenv("TEMPORAL_TLS");
    const bool off = variable && (strcmp(variable, "false") == 0 || strcmp(variable, "0") == 0);

    return options->tls || (*api_key && !off) || tls->ca_file || tls->cert_file ||
           (variable && (strcmp(variable, "true") == 0 || strcmp(variable, "1") == 0));
}

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static int make_client(struct flo_session *session, const struct flo_session_options *options,
                       const struct flo_server_config *server, struct flo_err *err)
{
    const char *api_key = choose(options->api_key, "TEMPORAL_API_KEY", server->api_key);
    char host[65] = "localhost", identity[100];
    struct flo_client_options client = {
        .channel = {.address = session->address,
                    .tls = {.ca_file = or_null(choose(options->tls_ca_file,
                                                      "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
                                                      server->tls.ca_file)),
                            .cert_file = or_null(choose(options->tls_cert_file,
                                                        "TEMPORAL_TLS_CLIENT_CERT_PATH",
                                                        server->tls.cert_file)),
                            .key_file = or_null(choose(options->tls_key_file,
                                                       "TEMPORAL_TLS_CLIENT_KEY_PATH",
                                                       server->tls.key_file)),
                            .server_name =
                                or_null(choose(options->tls_server_name, "TEMPORAL_TLS_SERVER_NAME",
                                               server->tls.server_name))},
                    .on_state = on_state,
                    .on_state_ctx = session},
        .namespace_ = choose(options->namespace_, "TEMPORAL_NAMESPACE", server->name_space),
        .identity = options->identity,
        .api_key = or_null(api_key),
        .fail_fast = options->fail_fast,
        .codecs = session->codecs,
    };

    if (!client.identity) {
        (void)!gethostname(host, sizeof host - 1);
        snprintf(identity, sizeof identity, "%d@%s", (int)getpid(), host);
        client.identity = identity;
    }
    client.channel.tls.enabled =
        server->tls.enabled || tls_wanted(options, api_key, &client.channel.tls);
    return flo_client_new(session->base, &client, &session->client, err);
}

/* config: of the file, or NULL. */
static int make_codecs(struct flo_session *session, const struct flo_session_options *options,
                       const struct flo_role_config *config, struct flo_err *err)
{
    const char *key_file = config ? config->codec.key_file : "";
    const char *keys_dir = config ? config->codec.keys_dir : "";
    const struct flo_codec_options codecs = {
        .zstd = config && config->codec.zstd,
        .zstd_level = config ? (int)config->codec.zstd_level : 0,
        .zstd_above = config ? (size_t)config->codec.zstd_above : 0,
        .key_file = choose(options->codec_key_file, "FLOTILLA_CODEC_KEY_FILE", key_file),
        .keys_dir = choose(options->codec_keys_dir, "FLOTILLA_CODEC_KEYS_DIR", keys_dir)};

    return flo_codec_row_new(&codecs, &session->codecs, err);
}

int flo_session_open(const struct flo_session_options *options, struct flo_session **out,
                     struct flo_err *err)
{
    static const struct flo_session_options NONE;
    struct flo_server_config server = {
        .address = DEFAULT_ADDRESS, .name_space = "default", .api_key = ""};
    struct flo_session *session = flo_calloc(1, sizeof *session);
    struct flo_role_config *config = NULL;
    int rc = 0;

    options = options ? options : &NONE;
    if (!session)
        return flo_fail(err, FLO_ENOMEM, "no memory for a session");
    pthread_mutex_init(&session->mu, NULL);
    session->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : FLO_CLIENT_TIMEOUT_MS;
    if (options->config_file)
        rc = load_file(options->config_file, &config, err);
    if (!rc)
        rc = make_codecs(session, options, config, err);
    if (rc)
        goto out;
    if (config)
        server = config->server;
    session->address = flo_strdup(choose(options->address, "TEMPORAL_ADDRESS", server.address));
    session->base = event_base_new();
    if (session->base)
        session->deadline = evtimer_new(session->base, on_deadline, session);
    rc = session->address && session->deadline
             ? make_client(session, options, &server, err)
             : flo_fail(err, FLO_ENOMEM, "no memory for a session");
    if (rc)
        goto out;
    *out = session;
    session = NULL; /* handed over */
out:
    flo_role_config_destroy(&config);
    flo_session_close(&session);
    return rc;
}

void flo_session_close(struct flo_session **session)
{
    struct flo_session *gone = *session;

    if (!gone)
        return;
    *session = NULL;
    flo_client_destroy(&gone->client);
    flo_codec_row_destroy(&gone->codecs);
    if (gone->deadline)
        event_free(gone->deadline);
    if (gone->base)
        event_base_free(gone->base);
    pthread_mutex_destroy(&gone->mu);
    flo_free(gone->address);
    flo_free(gone);
}

/* ---- one call ---- */

void flo_session_begin(struct flo_session *session)
{
    pthread_mutex_lock(&session->mu);
    session->call = (struct flo_session_call){0};
    flo_arena_init(&session->call.arena, 0);
}

void flo_session_done(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    struct flo_session *session = ctx;

    session->under_way = NULL;
    session->call.done = true;
    session->call.code = status->code;
    session->call.message = flo_arena_strdup(&session->call.arena, status->message);
    if (response)
        session->call.response = flo_wire_copy(response, &session->call.arena);
    event_base_loopbreak(session->base);
}

/*
 * Turn the loop until the call has ended. A program that does not ignore SIGPIPE must not die of a
 * connection that broke, so it is held back here, and one that came meanwhile is thrown away.
 */
static void turn(struct flo_session *session)
{
    const struct timeval timeout = {.tv_sec = session->timeout_ms / 1000,
                                    .tv_usec = session->timeout_ms % 1000 * 1000};
    const struct timespec now = {0};
    sigset_t pipe_only, before, pending;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    event_add(session->deadline, &timeout);
    while (!session->call.done)
        event_base_loop(session->base, EVLOOP_ONCE);
    event_del(session->deadline);
    if (!sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&pipe_only, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int refusal(const struct flo_session *session, struct flo_err *err)
{
    const char *message = session->call.message ? session->call.message : "(no memory for it)";

    switch (session->call.code) {
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
        if (*session->reason || session->call.code == FLO_GRPC_UNAVAILABLE)
            return flo_fail(err, FLO_ECONN, "cannot reach the server at %s: %s", session->address,
                            *session->reason ? session->reason : message);
        return flo_fail(err, FLO_ETIMEDOUT, "the server at %s: %s", session->address, message);
    case FLO_GRPC_NOT_FOUND:
        return flo_fail(err, FLO_ENOENT, "%s", message);
    case FLO_GRPC_PERMISSION_DENIED:
    case FLO_GRPC_UNAUTHENTICATED:
        return flo_fail(err, FLO_EPERM, "the server refused (%s): %s",
                        flo_grpc_code_name(session->call.code), message);
    default:
        return flo_fail(
            err,
            flo_client_refusal(session->call.code, message) == FLO_REFUSAL_TOO_LARGE ? FLO_ELIMIT
                                                                                     : FLO_ERPC,
            "the server refused (%s): %s", flo_grpc_code_name(session->call.code), message);
    }
}

int flo_session_finish(struct flo_session *session, int rc,
                       void (*take)(void *ctx, const ProtobufCMessage *response), void *ctx,
                       struct flo_err *err)
{
    if (rc) {
        rc = flo_fail(err, rc, "%s", flo_error_text(rc));
    } else {
        turn(session);
        if (session->call.code != FLO_GRPC_OK)
            rc = refusal(session, err);
        else if (take && session->call.response)
            take(ctx, session->call.response);
    }
    flo_arena_fini(&session->call.arena);
    pthread_mutex_unlock(&session->mu);
    return rc;
}
