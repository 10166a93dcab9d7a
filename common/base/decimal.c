/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.c - whole numbers in digits. */
#include "base/decimal.h"

char *flo_decimal(uint64_t number, char *out_text)
{
    unsigned digits = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        digits++;
    out_text[digits] = '\0';
    do {
        out_text[--digits] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return out_text;
}
