/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - from any program to the server: finishing activities that were left open
 * (flo_activity_complete_async) by their token or by their ids.
 *
 * Calls block until the server has answered. A session is for any thread; calls of several threads
 * wait for each other, so that threads which should not have a session each. It has no thread of
 * its own: a connection that broke is made again by the next call.
 */
#ifndef FLOTILLA_CLIENT_H
#define FLOTILLA_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/payload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_session; /* a connection to a server; opaque */

/* All NULL or zero: what the environment says, as for every program of the project. */
struct flo_session_options {
    const char
        *config_file;       /* YAML of an activity worker: its server is the default; may be NULL */
    const char *address;    /* host:port; NULL: TEMPORAL_ADDRESS, else 127.0.0.1:7233 */
    const char *namespace_; /* NULL: TEMPORAL_NAMESPACE, else "default" */
    const char *identity;   /* what histories name; NULL: pid@host */
    const char *api_key;    /* NULL: TEMPORAL_API_KEY; "" = none */
    bool tls;               /* also on with TEMPORAL_TLS, an API key or a file below */
    const char *tls_ca_file, *tls_cert_file, *tls_key_file; /* PEM; NULL: TEMPORAL_TLS_... */
    const char *tls_server_name; /* NULL: TEMPORAL_TLS_SERVER_NAME, else address's host */
    /* Payloads are encrypted as the workers' are (docs/codecs.md). NULL: FLOTILLA_CODEC_KEY_FILE
     * and FLOTILLA_CODEC_KEYS_DIR, else config_file's; "" = not. */
    const char *codec_key_file, *codec_keys_dir;
    bool fail_fast;     /* without a connection calls fail at once: FLO_ECONN */
    int64_t timeout_ms; /* of one call, its retries included; 0 = 30 s */
};

/* Does not connect yet: the first call does. FLO_EINVAL, FLO_ECONFIG with a sentence; FLO_ENOMEM.
 * options (NULL = all defaults) is copied. Any thread. */
FLO_API FLO_MUST_CHECK int flo_session_open(const struct flo_session_options *options,
                                            struct flo_session **out, struct flo_err *err);
/* Clears the pointer. NULL is fine. No call may be under way. */
FLO_API void flo_session_close(struct flo_session **session);

/* Which activity: its token, as flo_activity_token gave it, else ids. */
struct flo_activity_ref {
    const char *token; /* base64; NULL: by the ids */
    const char *workflow_id;
    const char *run_id; /* NULL: the workflow's current run */
    const char *activity_id;
};

/*
 * The four below: 0 once the server has stored it. Else, with a sentence in err: FLO_ENOENT: there
 * is no such activity, or it is over; FLO_ERPC: refused; FLO_ECONN: no connection; FLO_ETIMEDOUT;
 * FLO_EPERM; FLO_EINVAL: a ref without token and ids; FLO_ELIMIT: too large; FLO_ENOMEM. All
 * arguments are borrowed. NULL values are none.
 */

/* End it with this result. */
FLO_API FLO_MUST_CHECK int flo_session_complete_activity(struct flo_session *session,
                                                         const struct flo_activity_ref *ref,
                                                         json_t *result, struct flo_err *err);
/* Fail the attempt: the retry policy says whether there is another. */
FLO_API FLO_MUST_CHECK int flo_session_fail_activity(struct flo_session *session,
                                                     const struct flo_activity_ref *ref,
                                                     const struct flo_failure *failure,
                                                     struct flo_err *err);
/* Say that it stopped because the workflow wanted it to; refused (FLO_ERPC) unless it does. */
FLO_API FLO_MUST_CHECK int flo_session_cancel_activity(struct flo_session *session,
                                                       const struct flo_activity_ref *ref,
                                                       json_t *details, struct flo_err *err);

/* What a heartbeat learns. */
struct flo_heartbeat_answer {
    bool cancel_requested; /* the workflow wants it to stop */
    bool paused, reset;    /* an operator did */
};
/* Say that it goes on; details come back to the next attempt. *out may be NULL. */
FLO_API FLO_MUST_CHECK int flo_session_heartbeat_activity(struct flo_session *session,
                                                          const struct flo_activity_ref *ref,
                                                          json_t *details,
                                                          struct flo_heartbeat_answer *out,
                                                          struct flo_err *err);

#ifdef __cplusplus
}
#endif
#endif
