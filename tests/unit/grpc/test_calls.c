/* SPDX-License-Identifier: Apache-2.0 */
/* test_calls.c - unary calls between our client half and our server half. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "unit/grpc/pair.h"

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    pair_init(pair, NULL);
    pair_connect(pair, NULL, NULL);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    pair_fini(*state);
    free(*state);
    return 0;
}

/* The request's bytes come back, also when the call was made before there was a connection. */
static void test_call_echo_answers_body(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    pair_call(pair, "/t/echo", "hello", 5, 5000, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    assert_int_equal(out.len, 5);
    assert_memory_equal(out.body, "hello", 5);
    assert_int_equal(flo_grpc_channel_calls(pair->channel), 0);
    assert_int_equal(flo_grpc_server_calls(pair->server), 0);
    outcome_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_call_echo_answers_body, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
