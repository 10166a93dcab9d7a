/* SPDX-License-Identifier: Apache-2.0 */
/* activity.c - `flotilla activity complete|fail|cancel|heartbeat`: what somebody outside says about
 * an activity that its worker left open. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/output.h"
#include "flotilla/client.h"
#include "wire/payload.h"

/* What one of the verbs does, with the value of --result or --detail (NULL = none). */
typedef int (*verb_fn)(struct flo_session *session, const struct flo_activity_ref *ref,
                       const struct cli_options *options, json_t *value, struct flo_err *err);

static int complete(struct flo_session *session, const struct flo_activity_ref *ref,
                    const struct cli_options *options, json_t *value, struct flo_err *err)
{
    (void)options;
    return flo_session_complete_activity(session, ref, value, err);
}

static int fail(struct flo_session *session, const struct flo_activity_ref *ref,
                const struct cli_options *options, json_t *value, struct flo_err *err)
{
    const struct flo_failure failure = {.type = options->type,
                                        .message = options->reason,
                                        .non_retryable = options->non_retryable,
                                        .details = &value,
                                        .detail_count = value ? 1 : 0};

    return flo_session_fail_activity(session, ref, &failure, err);
}

static int cancel(struct flo_session *session, const struct flo_activity_ref *ref,
                  const struct cli_options *options, json_t *value, struct flo_err *err)
{
    (void)options;
    return flo_session_cancel_activity(session, ref, value, err);
}

/* Prints what the server wants of the activity, if anything. */
static int heartbeat(struct flo_session *session, const struct flo_activity_ref *ref,
                     const struct cli_options *options, json_t *value, struct flo_err *err)
{
    struct flo_heartbeat_answer answer = {0};
    int rc = flo_session_heartbeat_activity(session, ref, value, &answer, err);

    if (rc)
        return rc;
    if (options->json)
        cli_print_json(json_pack("{s:b,s:b,s:b}", "cancelRequested", answer.cancel_requested,
                                 "paused", answer.paused, "reset", answer.reset));
    else if (answer.cancel_requested || answer.paused || answer.reset)
        printf("%s\n", answer.cancel_requested ? "cancel requested"
                       : answer.reset          ? "reset"
                                               : "paused");
    return 0;
}

static const struct verb {
    const char *name;
    verb_fn run;
    bool takes_result; /* its value is --result, else --detail */
} VERBS[] = {
    {"complete", complete, true},
    {"fail", fail, false},
    {"cancel", cancel, false},
    {"heartbeat", heartbeat, false},
};

static const struct verb *find_verb(const struct cli_options *options)
{
    const char *name = options->operand_count == 1 ? options->operands[0] : "";

    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        if (strcmp(VERBS[i].name, name) == 0)
            return &VERBS[i];
    fprintf(stderr, "flotilla activity: say what: complete, fail, cancel or heartbeat\n");
    return NULL;
}

/* An option that was given and says nothing here; NULL = none. */
static const char *stray_option(const struct verb *verb, const struct cli_options *options)
{
    if (verb->takes_result ? options->detail : options->result)
        return verb->takes_result ? "--detail" : "--result";
    if (options->token && (options->workflow_id || options->run_id || options->activity_id))
        return "an id besides --token";
    if (verb->run == fail)
        return NULL;
    return options->type            ? "--type"
           : options->reason        ? "--reason"
           : options->non_retryable ? "--non-retryable"
                                    : NULL;
}

/* The value of --result or --detail; NULL without it. */
static int read_value(const struct verb *verb, const struct cli_options *options, json_t **out)
{
    const char *text = verb->takes_result ? options->result : options->detail;
    const char *stray = stray_option(verb, options);
    struct flo_err err;

    *out = NULL;
    if (stray) {
        fprintf(stderr, "flotilla activity %s: %s is not for this\n", verb->name, stray);
        return FLO_EXIT_USAGE;
    }
    if (!text)
        return 0;
    if (flo_json_parse(text, strlen(text), out, &err)) {
        fprintf(stderr, "flotilla activity %s: %s is not JSON: %s\n", verb->name,
                verb->takes_result ? "--result" : "--detail", err.message);
        return FLO_EXIT_USAGE;
    }
    return 0;
}

static int exit_code(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case FLO_ECONN:
    case FLO_ETIMEDOUT:
        return FLO_EXIT_UNAVAILABLE;
    case FLO_EINVAL:
        return FLO_EXIT_USAGE;
    case FLO_ENOMEM:
        return FLO_EXIT_INTERNAL;
    default:
        return FLO_EXIT_REFUSED;
    }
}

int cli_activity(const struct cli_options *options)
{
    const struct flo_session_options server = {.address = options->address,
                                               .namespace_ = options->namespace_,
                                               .identity = options->identity,
                                               .fail_fast = true,
                                               .tls = options->tls,
                                               .tls_ca_file = options->tls_ca,
                                               .tls_cert_file = options->tls_cert,
                                               .tls_key_file = options->tls_key,
                                               .tls_server_name = options->tls_server_name,
                                               .codec_key_file = options->codec_key,
                                               .codec_keys_dir = options->codec_keys};
    const struct flo_activity_ref ref = {.token = options->token,
                                         .workflow_id = options->workflow_id,
                                         .run_id = options->run_id,
                                         .activity_id = options->activity_id};
    const struct verb *verb = find_verb(options);
    struct flo_session *session = NULL;
    struct flo_err err = {0};
    json_t *value = NULL;
    int rc = verb ? read_value(verb, options, &value) : FLO_EXIT_USAGE;

    if (rc)
        return rc;
    rc = flo_session_open(&server, &session, &err);
    if (!rc)
        rc = verb->run(session, &ref, options, value, &err);
    if (rc)
        fprintf(stderr, "flotilla activity %s: %s\n", verb->name, err.message);
    flo_session_close(&session);
    json_decref(value);
    return exit_code(rc);
}
