/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.h - whole numbers in digits, where snprintf costs too much. Pure; any thread. */
#ifndef FLO_BASE_DECIMAL_H
#define FLO_BASE_DECIMAL_H

#include <stdint.h>

#define FLO_DECIMAL_BYTES 21 /* of the longest number, with its NUL */

/* number in out_text, which holds FLO_DECIMAL_BYTES. Returns out_text. */
char *flo_decimal(uint64_t number, char *out_text);

#endif
