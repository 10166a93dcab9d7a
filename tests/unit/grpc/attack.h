/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack.h - a server under attack: a raw peer that sends what it likes, beside a pair whose
 * channel must be served meanwhile.
 */
#ifndef FLO_TEST_GRPC_ATTACK_H
#define FLO_TEST_GRPC_ATTACK_H

#include <stdint.h>

#include "support/h2raw.h"
#include "unit/grpc/pair.h"

struct attack {
    struct pair pair;
    struct h2raw raw;
};

/* Make the struct attack that is a case's state, and free it; tight: short timeouts, few streams.
 */
int attack_setup(void **state);
int attack_setup_tight(void **state);
int attack_teardown(void **state);

/* The other connection answers at once (a second: test machines are busy). */
void assert_others_live(struct attack *a);
/* The attacked connection itself serves a correct call on stream. */
void assert_conn_stays(struct attack *a, int32_t stream);

#define CASE(name) cmocka_unit_test_setup_teardown(name, attack_setup, attack_teardown)
#define TIGHT(name) cmocka_unit_test_setup_teardown(name, attack_setup_tight, attack_teardown)

#endif
