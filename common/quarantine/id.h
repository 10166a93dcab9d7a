/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.h - which inputs are the same: the name under which an activity's input is counted.
 *
 * SHA-256 over namespace, activity type and every payload of the input (metadata by key, then
 * data), each with its length before it. So the same input in another workflow, on another task
 * queue or in a later attempt has the same name. What changes from call to call, such as the
 * random bytes of an encryption codec, makes it another one.
 */
#ifndef FLO_QUARANTINE_ID_H
#define FLO_QUARANTINE_ID_H

#include <stdbool.h>

#include "wire/api.h"

#define FLO_QUARANTINE_ID_LEN 64 /* lower-case hex digits */
#define FLO_QUARANTINE_SHORT 12  /* so many of them in messages and tables */

/* The name of this input (NULL: none). Any thread. */
void flo_quarantine_id(const char *name_space, const char *activity_type,
                       const FloApi__Payloads *input, char out_id[FLO_QUARANTINE_ID_LEN + 1]);
/* Are the first len bytes of text such digits, and no more than an id has? */
bool flo_quarantine_id_digits(const char *text, size_t len);

#endif
