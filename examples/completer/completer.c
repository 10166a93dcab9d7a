/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completer.c - ends an activity that its worker left open, from a program that is no worker.
 *
 *   completer TOKEN RESULT                         by the attempt's token
 *   completer WORKFLOW_ID ACTIVITY_ID RESULT       by ids
 *
 * RESULT is JSON. The server is TEMPORAL_ADDRESS, else 127.0.0.1:7233.
 */
#include <flotilla/client.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct flo_activity_ref ref = {0};
    struct flo_session *session = NULL;
    struct flo_err err = {0};
    json_t *result;
    int rc;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: completer TOKEN RESULT | WORKFLOW_ID ACTIVITY_ID RESULT\n");
        return 64;
    }
    if (argc == 3) {
        ref.token = argv[1];
    } else {
        ref.workflow_id = argv[1];
        ref.activity_id = argv[2];
    }
    result = json_loads(argv[argc - 1], JSON_DECODE_ANY, NULL);
    if (!result) {
        fprintf(stderr, "completer: RESULT is not JSON: %s\n", argv[argc - 1]);
        return 64;
    }
    rc = flo_session_open(NULL, &session, &err);
    if (!rc)
        rc = flo_session_heartbeat_activity(session, &ref, NULL, NULL, &err);
    if (!rc)
        rc = flo_session_complete_activity(session, &ref, result, &err);
    if (rc)
        fprintf(stderr, "completer: %s\n", err.message);
    flo_session_close(&session);
    json_decref(result);
    return rc ? 1 : 0;
}
