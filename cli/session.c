/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - connecting, waiting for one call, what requests are made of. */
#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"
#include "cli/place.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define INPUT_MAX_BYTES (2 << 20)
#define DEFAULT_ADDRESS "127.0.0.1:7233"

static void on_state(void *ctx, bool connected, const char *reason)
{
    struct cli_session *session = ctx;
    snprintf(session->reason, sizeof session->reason, "%s", connected || !reason ? "" : reason);
    if (session->on_state)
        session->on_state(session->on_state_ctx, connected);
}

static void on_unsent(void *ctx, const char *operation, const char *reason)
{
    (void)ctx;
    fprintf(stderr, "flotilla: %s was not sent: %s\n", operation, reason);
}

/* The server of the fleet that runs in the current folder, as `flotilla ps` finds it. */
static bool local_address(const struct cli_options *options, char *out, size_t size)
{
    struct cli_place place;
    cli_place_find(options, &place);
    json_t *fleet = place.supervisor ? json_load_file(place.fleet, 0, NULL) : NULL;
    const char *address = json_string_value(json_object_get(fleet, "server"));
    if (address && *address)
        snprintf(out, size, "%s", address);
    const bool found = address && *address;
    json_decref(fleet);
    cli_place_fini(&place);
    return found;
}

/* The address of --address, else the server of --fleet, else of the fleet here, else the default.
 */
static bool choose_address(const struct cli_options *options, char *out, size_t size)
{
    if (options->address || !options->fleet) {
        if (options->address || !local_address(options, out, size))
            snprintf(out, size, "%s", options->address ? options->address : DEFAULT_ADDRESS);
        return true;
    }
    *out = '\0';
    json_t *fleet = json_load_file(options->fleet, 0, NULL);
    const char *address = json_string_value(json_object_get(fleet, "server"));
    if (address && *address)
        snprintf(out, size, "%s", address);
    else
        fprintf(stderr, "flotilla: %s does not name a server; is the fleet running?\n",
                options->fleet);
    json_decref(fleet);
    return *out != '\0';
}

int cli_session_open(struct cli_session *session, const struct cli_options *options, bool patient)
{
    *session = (struct cli_session){0};
    if (!choose_address(options, session->address, sizeof session->address))
        return FLO_EXIT_NO_INPUT;
    char host[256] = "", identity[300];
    gethostname(host, sizeof host - 1);
    snprintf(identity, sizeof identity, "flotilla:%d@%s", (int)getpid(), host);
    struct flo_err err = {0};
    const struct flo_codec_options codecs = {
        .zstd_read = true, .key_file = options->codec_key, .keys_dir = options->codec_keys};
    if (flo_codec_row_new(&codecs, &session->codecs, &err)) {
        fprintf(stderr, "flotilla: %s\n", err.message);
        return FLO_EXIT_CONFIG;
    }
    const struct flo_client_options client = {
        .channel = {.address = session->address,
                    .tls = {.enabled = options->tls,
                            .ca_file = options->tls_ca,
                            .cert_file = options->tls_cert,
                            .key_file = options->tls_key,
                            .server_name = options->tls_server_name},
                    .on_state = on_state,
                    .on_state_ctx = session},
        .namespace_ = options->namespace_,
        .identity = identity,
        .api_key = options->api_key,
        .fail_fast = !patient,
        .codecs = session->codecs,
        .on_unsent = on_unsent,
    };
    session->base = event_base_new();
    if (!session->base || flo_client_new(session->base, &client, &session->client, &err)) {
        fprintf(stderr, "flotilla: %s\n", session->base ? err.message : "out of memory");
        cli_session_close(session);
        return FLO_EXIT_USAGE;
    }
    return 0;
}

void cli_session_close(struct cli_session *session)
{
    flo_client_destroy(&session->client);
    flo_codec_row_destroy(&session->codecs);
    if (session->base)
        event_base_free(session->base);
    session->base = NULL;
}

int cli_session_probe(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_waiter waiter;
    FloApi__GetSystemInfoRequest request = FLO_API__GET_SYSTEM_INFO_REQUEST__INIT;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    cli_waiter_init(&waiter, &session);
    cli_wait(&waiter,
             flo_client_get_system_info(session.client, &request, cli_waiter_done, &waiter, NULL),
             &rc);
    cli_waiter_fini(&waiter);
    cli_session_close(&session);
    return rc;
}

int cli_session_open_probed(struct cli_session *session, const struct cli_options *options)
{
    int rc = cli_session_probe(options);
    return rc ? rc : cli_session_open(session, options, true);
}

void cli_waiter_init(struct cli_waiter *waiter, struct cli_session *session)
{
    *waiter = (struct cli_waiter){.session = session};
    flo_arena_init(&waiter->arena, 0);
}

void cli_waiter_fini(struct cli_waiter *waiter)
{
    flo_arena_fini(&waiter->arena);
}

void cli_waiter_done(void *ctx, const struct flo_grpc_status *status,
                     const ProtobufCMessage *response)
{
    struct cli_waiter *waiter = ctx;
    waiter->done = true;
    waiter->code = status->code;
    waiter->message = flo_arena_strdup(&waiter->arena, status->message);
    if (response)
        waiter->response = flo_wire_copy(response, &waiter->arena);
    event_base_loopbreak(waiter->session->base);
}

int cli_waiter_run(struct cli_waiter *waiter, int rc)
{
    while (rc == 0 && !waiter->done)
        event_base_loop(waiter->session->base, EVLOOP_ONCE);
    return rc ? FLO_GRPC_INTERNAL : waiter->code;
}

const ProtobufCMessage *cli_wait(struct cli_waiter *waiter, int rc, int *out_exit)
{
    struct cli_session *session = waiter->session;
    while (rc == 0 && !waiter->done) {
        event_base_loop(session->base, EVLOOP_ONCE);
        if (!waiter->done && session->on_turn)
            session->on_turn(session->on_turn_ctx);
    }
    if (rc == 0 && waiter->response)
        return waiter->response;
    if (rc || waiter->code == FLO_GRPC_OK || !waiter->message) {
        fprintf(stderr, "flotilla: %s\n", flo_error_text(rc ? rc : FLO_ENOMEM));
        *out_exit = FLO_EXIT_INTERNAL;
    } else if (waiter->code == FLO_GRPC_UNAVAILABLE) {
        fprintf(stderr, "flotilla: cannot reach the server at %s: %s\n", session->address,
                *session->reason ? session->reason : waiter->message);
        *out_exit = FLO_EXIT_UNAVAILABLE;
    } else if (waiter->code == FLO_GRPC_DATA_LOSS) {
        fprintf(stderr, "flotilla: the answer cannot be read: %s\n", waiter->message);
        *out_exit = FLO_EXIT_DATA;
    } else {
        fprintf(stderr, "flotilla: the server refused (%s): %s\n", flo_grpc_code_name(waiter->code),
                waiter->message);
        *out_exit = FLO_EXIT_REFUSED;
    }
    return NULL;
}

void cli_start_request_init(struct cli_start_request *start, const char *workflow_id,
                            const char *request_id, const char *type, const char *task_queue)
{
    flo_api__start_workflow_execution_request__init(&start->message);
    flo_api__workflow_type__init(&start->type);
    flo_api__task_queue__init(&start->queue);
    start->type.name = (char *)(uintptr_t)type;
    start->queue.name = (char *)(uintptr_t)task_queue;
    start->queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    start->message.workflow_id = (char *)(uintptr_t)workflow_id;
    start->message.request_id = (char *)(uintptr_t)request_id;
    start->message.workflow_type = &start->type;
    start->message.task_queue = &start->queue;
}

/* All of a file ("-": stdin), at most INPUT_MAX_BYTES. */
static int read_file(const char *path, struct flo_buf *out)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char chunk[8192];
    size_t n;
    if (!file) {
        fprintf(stderr, "flotilla: cannot read --input-file %s: %m\n", path);
        return FLO_EXIT_NO_INPUT;
    }
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        flo_buf_append(out, chunk, n);
    bool bad = ferror(file) || out->failed;
    if (file != stdin)
        fclose(file);
    if (bad)
        fprintf(stderr, "flotilla: --input-file %s cannot be read or is larger than 2 MiB\n", path);
    return bad ? FLO_EXIT_NO_INPUT : 0;
}

int cli_read_input(const struct cli_options *options, json_t **out_value)
{
    struct flo_buf text;
    struct flo_err err;
    int rc = 0;
    *out_value = NULL;
    if (options->input && options->input_file) {
        fprintf(stderr, "flotilla: give --input or --input-file, not both\n");
        return FLO_EXIT_USAGE;
    }
    flo_buf_init(&text, INPUT_MAX_BYTES);
    if (options->input_file)
        rc = read_file(options->input_file, &text);
    else if (options->input)
        flo_buf_append_str(&text, options->input);
    else
        goto out;
    if (rc == 0 && flo_json_parse((const char *)text.data, text.len, out_value, &err)) {
        fprintf(stderr, "flotilla: the input is not JSON: %s\n", err.message);
        rc = FLO_EXIT_USAGE;
    }
out:
    flo_buf_fini(&text);
    return rc;
}

const char *cli_workflow_id(const struct cli_options *options, const char *command)
{
    const char *id = options->workflow_id;
    if (!id && options->operand_count == 1)
        return options->operands[0];
    if (!id || options->operand_count) {
        fprintf(stderr, "flotilla %s: name one workflow: flotilla %s WORKFLOW_ID\n", command,
                command);
        return NULL;
    }
    return id;
}

int cli_workflow_id_and_name(const struct cli_options *options, const char *command,
                             const char **out_id, const char **out_name)
{
    char **operands = options->operands;
    int left = options->operand_count;
    *out_id = options->workflow_id;
    *out_name = options->name;
    if (!*out_id && left) {
        *out_id = *operands++;
        left--;
    }
    if (!*out_name && left) {
        *out_name = *operands;
        left--;
    }
    if (*out_id && *out_name && !left)
        return 0;
    fprintf(stderr, "flotilla %s: give one WORKFLOW_ID and one NAME\n", command);
    return FLO_EXIT_USAGE;
}

void cli_new_uuid(char out[37])
{
    struct flo_rng rng;
    flo_rng_seed(&rng, flo_random_u64());
    flo_rng_uuid4(&rng, out);
}
