/* SPDX-License-Identifier: Apache-2.0 */
/* attack.c - see attack.h. */
#include "unit/grpc/attack.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static int setup_with(void **state, const struct flo_grpc_server_options *opt)
{
    struct attack *a = calloc(1, sizeof *a);
    pair_init(&a->pair, opt);
    pair_connect(&a->pair, NULL, NULL);
    RUN_UNTIL(&a->pair, a->pair.connected);
    h2raw_open(&a->raw, a->pair.base, flo_grpc_server_address(a->pair.server));
    *state = a;
    return 0;
}

int attack_setup(void **state)
{
    return setup_with(state, NULL);
}

int attack_setup_tight(void **state)
{
    return setup_with(state, &(struct flo_grpc_server_options){.handshake_timeout_ms = 300,
                                                               .request_timeout_ms = 300,
                                                               .stall_timeout_ms = 400,
                                                               .max_streams = 100});
}

int attack_teardown(void **state)
{
    struct attack *a = *state;
    h2raw_close(&a->raw);
    pair_fini(&a->pair);
    free(a);
    return 0;
}

void assert_others_live(struct attack *a)
{
    struct outcome out;
    int64_t began = flo_clock_mono_ns();
    pair_call(&a->pair, "/t/echo", "live", 4, 5000, &out);
    RUN_UNTIL(&a->pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    assert_true(flo_clock_mono_ns() - began < FLO_NS_PER_S);
    assert_int_equal(a->pair.connects, 1);
    outcome_fini(&out);
}

void assert_conn_stays(struct attack *a, int32_t stream)
{
    h2raw_request(&a->raw, stream, 0, "/t/echo", NULL);
    h2raw_message(&a->raw, stream, NGHTTP2_FLAG_END_STREAM, 0, 2, "ok", 2);
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, stream)->ended);
    assert_non_null(strstr(h2raw_answer(&a->raw, stream)->headers, "grpc-status: 0\n"));
    assert_int_equal(h2raw_answer(&a->raw, stream)->data_bytes, 7);
}
