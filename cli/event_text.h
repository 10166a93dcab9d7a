/* SPDX-License-Identifier: Apache-2.0 */
/* event_text.h - an event of the fleet as one line of text. Pure. */
#ifndef FLO_CLI_EVENT_TEXT_H
#define FLO_CLI_EVENT_TEXT_H

#include <jansson.h>
#include <stddef.h>

/*
 * What an event of /v1/events says: its message, the failure that it tells of, then its other
 * fields as key=value. Cut at the end of a character where size is short; bytes that would move
 * a terminal's cursor become '?'.
 */
void cli_event_text(const json_t *event, char *out, size_t size);

#endif
