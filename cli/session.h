/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - a command's connection to the server: a loop of its own and calls that block.
 */
#ifndef FLO_CLI_SESSION_H
#define FLO_CLI_SESSION_H

#include <event2/event.h>
#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cli/command.h"
#include "client/client.h"

struct cli_session {
    struct event_base *base;
    struct flo_client *client;
    struct flo_codec_row *codecs;
    char address[256]; /* what was connected to */
    char reason[256];  /* why it is not connected, "" when it is or never tried */
    /* The connection came, or went (again and again while it cannot be had). May be NULL. */
    void (*on_state)(void *ctx, bool connected);
    void *on_state_ctx;
    /* cli_wait has run the loop once and goes on; may make calls that are waited for with
     * cli_waiter_run. May be NULL. */
    void (*on_turn)(void *ctx);
    void *on_turn_ctx;
};

/* Connect in the background; patient sessions wait for a server that is away, others fail their
 * calls. 0 or an exit code, with the reason on stderr. */
int cli_session_open(struct cli_session *session, const struct cli_options *options, bool patient);
void cli_session_close(struct cli_session *session);
/* Is there a server that answers? 0, or an exit code after a message. For commands with a patient
 * session: they wait for a server that goes away, not for one that was never there. */
int cli_session_probe(const struct cli_options *options);
/* A patient session with a server that answered: cli_session_probe, then cli_session_open. */
int cli_session_open_probed(struct cli_session *session, const struct cli_options *options);

/* One call that is waited for. Pass cli_waiter_done and the waiter to flo_client_*. */
struct cli_waiter {
    struct cli_session *session;
    struct flo_arena arena; /* holds response and message */
    bool done;
    int code;                   /* gRPC */
    const char *message;        /* when code is not OK */
    ProtobufCMessage *response; /* when it is */
};

void cli_waiter_init(struct cli_waiter *waiter, struct cli_session *session);
void cli_waiter_fini(struct cli_waiter *waiter);
void cli_waiter_done(void *ctx, const struct flo_grpc_status *status,
                     const ProtobufCMessage *response);
/* Run the loop until the call (started with code rc) has ended, and say nothing. The gRPC code,
 * INTERNAL when the call could not even be made; the response, if any, is in waiter. */
int cli_waiter_run(struct cli_waiter *waiter, int rc);
/*
 * Run the loop until the call (started with code rc) has ended. The response, or NULL with the
 * reason on stderr and *out_exit set.
 */
const ProtobufCMessage *cli_wait(struct cli_waiter *waiter, int rc, int *out_exit);

/* A start request with what it points to: it stays where it was made. */
struct cli_start_request {
    FloApi__StartWorkflowExecutionRequest message;
    FloApi__WorkflowType type;
    FloApi__TaskQueue queue;
};

/* All texts are borrowed. */
void cli_start_request_init(struct cli_start_request *start, const char *workflow_id,
                            const char *request_id, const char *type, const char *task_queue);

/* The input that --input or --input-file gives, as JSON (NULL without one): 0 or an exit code. */
int cli_read_input(const struct cli_options *options, json_t **out_value);
/* The workflow's id from --workflow-id or the operand; NULL after a message. */
const char *cli_workflow_id(const struct cli_options *options, const char *command);
/* The workflow's id and --name: from the options, else from the operands in that order. Out texts
 * are borrowed. 0, or an exit code after a message. */
int cli_workflow_id_and_name(const struct cli_options *options, const char *command,
                             const char **out_id, const char **out_name);
/* A fresh random UUID. */
void cli_new_uuid(char out[37]);

#endif
