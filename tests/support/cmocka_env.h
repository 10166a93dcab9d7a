/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka_env.h - cmocka with the headers that it needs before it. */
#ifndef FLO_TESTS_CMOCKA_ENV_H
#define FLO_TESTS_CMOCKA_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
