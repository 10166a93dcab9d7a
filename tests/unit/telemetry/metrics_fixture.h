/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_fixture.h - cmocka's set-up and teardown around an empty registry, which is *state. */
#ifndef TESTS_METRICS_FIXTURE_H
#define TESTS_METRICS_FIXTURE_H

#include "support/cmocka_env.h"
#include "telemetry/metrics.h"

static int setup(void **state)
{
    struct flo_metrics *metrics = NULL;

    assert_int_equal(flo_metrics_new(&metrics, NULL), 0);
    *state = metrics;
    return 0;
}

static int teardown(void **state)
{
    struct flo_metrics *metrics = *state;

    flo_metrics_destroy(&metrics);
    assert_null(metrics);
    return 0;
}

#endif
