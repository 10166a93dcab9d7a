/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - how answers look on a terminal. */
#ifndef FLO_CLI_OUTPUT_H
#define FLO_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/api.h"

/* "Running", "Completed", ...: the names that list filters use. Static. */
const char *cli_status_name(FloApi__WorkflowExecutionStatus status);
/* value, which is consumed, indented on stdout. */
void cli_print_json(json_t *value);
/* A protobuf message as indented JSON on stdout. */
void cli_print_message(const ProtobufCMessage *message);
/* "2026-11-21T09:04:05Z", or "-" for 0. */
void cli_format_time(const Google__Protobuf__Timestamp *timestamp, char out[32]);

/* A result as JSON on stdout, json/protobuf as what it says. 0, or an exit code after a message: it
 * cannot be read. */
int cli_print_result(const FloApi__Payloads *payloads);
/*
 * Print how a workflow ended, from its close event: the result as JSON on stdout, or the status
 * and failure on stderr. Returns the exit code; *out_next_run is set when the run went on in
 * another one (continued as new, retried), else NULL.
 */
int cli_print_close(const FloApi__HistoryEvent *event, bool json, const char **out_next_run);

#endif
