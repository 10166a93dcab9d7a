/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - one HTTP request and its answer, for commands that read or steer a supervisor. Blocks.
 */
#ifndef FLO_CLI_HTTP_H
#define FLO_CLI_HTTP_H

#include <stdint.h>

#include "base/buf.h"
#include "flotilla/error.h"

struct cli_http_request {
    const char *address; /* host:port */
    const char *path;
    const char *token;  /* sent as bearer; NULL: none */
    const char *json;   /* POSTed; NULL: a GET */
    int64_t timeout_ms; /* without a byte; 0: 10 s */
};

/*
 * Send it: the answer's body is in out and its status in *out_status, whatever it is. FLO_ECONN:
 * nobody there, or no answer; FLO_EPROTO: not HTTP; FLO_ELIMIT: more than out holds.
 */
FLO_MUST_CHECK int cli_http_send(const struct cli_http_request *request, struct flo_buf *out,
                                 int *out_status, struct flo_err *err);
/* GET http://address/path: the body of a 200. FLO_ECONN, FLO_EPROTO, FLO_ELIMIT. */
FLO_MUST_CHECK int cli_http_get(const char *address, const char *path, struct flo_buf *out,
                                struct flo_err *err);

#endif
