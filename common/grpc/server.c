/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - listening, connections, limits and the end of a server. */
#include "grpc/server.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "grpc/server_internal.h"
#include "http2/listen.h"
#include "http2/tls.h"

/* How much a client may have under way: a 4 MiB request flows without waiting for us. */
#define STREAM_WINDOW (1u << 20)
#define CONN_WINDOW (16u << 20)
#define MAX_HEADER_BYTES (16u << 10)

void flo_grpc_server_reject(struct flo_grpc_server *server, const char *reason)
{
    if (server->opt.on_reject)
        server->opt.on_reject(server->opt.ctx, reason);
}

static void on_reject(void *ctx, const char *reason)
{
    struct flo_grpc_server_conn *conn = ctx;
    flo_grpc_server_reject(conn->server, reason);
}

static void on_down(void *ctx, struct flo_h2_conn *h2, const char *reason)
{
    (void)h2;
    (void)reason;
    struct flo_grpc_server_conn *conn = ctx;
    if (conn->gone)
        *conn->gone = true;
    flo_list_remove(&conn->server->conns, &conn->node);
    flo_h2_conn_destroy(&conn->h2);
    flo_free(conn);
}

static const struct flo_h2_handler handler = {
    .on_open = flo_grpc_server_on_open,
    .on_header = flo_grpc_server_on_header,
    .on_headers = flo_grpc_server_on_headers,
    .on_data = flo_grpc_server_on_data,
    .on_end = flo_grpc_server_on_end,
    .on_close = flo_grpc_server_on_close,
    .on_room = flo_grpc_server_on_room,
    .on_reject = on_reject,
    .on_down = on_down,
};

static void on_accept(void *ctx, int fd)
{
    struct flo_grpc_server *server = ctx;
    const struct flo_grpc_server_options *opt = &server->opt;
    if (server->conns.count >= opt->max_connections) {
        close(fd);
        flo_grpc_server_reject(server, "h2.conn_limit");
        return;
    }
    struct flo_grpc_server_conn *conn = flo_calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        return;
    }
    struct flo_h2_options h2_options = {
        .server = true,
        .tls = server->tls,
        .max_streams = opt->max_streams,
        .stream_window = STREAM_WINDOW,
        .conn_window = CONN_WINDOW,
        .max_header_bytes = MAX_HEADER_BYTES,
        .handshake_timeout_ms = opt->handshake_timeout_ms,
        .keepalive_ms = opt->keepalive_ms,
        .keepalive_timeout_ms = opt->keepalive_timeout_ms,
        .idle_timeout_ms = opt->idle_timeout_ms,
        .stall_timeout_ms = opt->stall_timeout_ms,
    };
    conn->server = server;
    flo_list_init(&conn->held);
    if (flo_h2_conn_new(server->base, fd, &h2_options, &handler, conn, &conn->h2, NULL)) {
        flo_free(conn);
        return;
    }
    flo_list_push_back(&server->conns, &conn->node);
}

static void set_defaults(struct flo_grpc_server_options *opt)
{
    if (!opt->max_receive_bytes)
        opt->max_receive_bytes = (size_t)4 << 20;
    if (!opt->max_connections)
        opt->max_connections = 10000;
    if (!opt->max_streams)
        opt->max_streams = 10000;
    if (opt->handshake_timeout_ms <= 0)
        opt->handshake_timeout_ms = 10000;
    if (opt->request_timeout_ms <= 0)
        opt->request_timeout_ms = 60000;
    if (opt->stall_timeout_ms <= 0)
        opt->stall_timeout_ms = 30000;
    if (opt->keepalive_ms == 0)
        opt->keepalive_ms = 10000;
    if (opt->keepalive_timeout_ms <= 0)
        opt->keepalive_timeout_ms = 10000;
    if (!opt->max_buffered_bytes)
        opt->max_buffered_bytes = (size_t)256 << 20;
}

int flo_grpc_server_new(struct event_base *base, const struct flo_grpc_server_options *options,
                        struct flo_grpc_server **out_server, struct flo_err *err)
{
    int rc = 0;
    struct flo_grpc_server *server = flo_calloc(1, sizeof *server);
    if (!server)
        return flo_fail(err, FLO_ENOMEM, "no memory for a server");
    server->base = base;
    server->opt = *options;
    set_defaults(&server->opt);
    flo_list_init(&server->conns);
    if (options->tls_cert_file) {
        struct flo_h2_tls_files files = {.ca_file = options->tls_client_ca_file,
                                         .cert_file = options->tls_cert_file,
                                         .key_file = options->tls_key_file};
        rc = flo_h2_tls_server(&files, &server->tls, err);
        if (rc)
            goto out;
    } else if (options->tls_key_file || options->tls_client_ca_file) {
        rc = flo_fail(err, FLO_EINVAL,
                      "TLS: a key or client CA is set but no certificate; "
                      "refusing to serve in plain text");
        goto out;
    }
    rc = flo_h2_listen(base, options->listen, on_accept, server, &server->listener, err);
    if (rc)
        goto out;
    snprintf(server->address, sizeof server->address, "%s",
             flo_h2_listener_address(server->listener));
    server->opt.listen = server->opt.tls_cert_file = server->opt.tls_key_file =
        server->opt.tls_client_ca_file = NULL; /* borrowed only here */
    *out_server = server;
    server = NULL;
out:
    flo_grpc_server_destroy(&server);
    return rc;
}

const char *flo_grpc_server_address(const struct flo_grpc_server *server)
{
    return server->address;
}

size_t flo_grpc_server_calls(const struct flo_grpc_server *server)
{
    return server->open_calls;
}

size_t flo_grpc_server_connections(const struct flo_grpc_server *server)
{
    return server->conns.count;
}

void flo_grpc_server_drain(struct flo_grpc_server *server)
{
    flo_h2_listener_destroy(&server->listener);
    FLO_LIST_FOREACH(node, &server->conns)
    flo_h2_conn_drain(flo_container(node, struct flo_grpc_server_conn, node)->h2);
}

void flo_grpc_server_destroy(struct flo_grpc_server **server)
{
    struct flo_grpc_server *self = *server;
    *server = NULL;
    if (!self)
        return;
    flo_h2_listener_destroy(&self->listener);
    struct flo_node *node;
    while ((node = flo_list_first(&self->conns)))
        flo_h2_conn_close(flo_container(node, struct flo_grpc_server_conn, node)->h2,
                          "the server stops");
    if (self->tls)
        flo_h2_tls_free(&self->tls);
    flo_free(self);
}
