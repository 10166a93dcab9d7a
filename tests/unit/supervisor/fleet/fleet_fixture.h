/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet without a hub, for tests of what frames do to it; cmocka's setup and teardown. */
#ifndef FLO_TEST_FLEET_FIXTURE_H
#define FLO_TEST_FLEET_FIXTURE_H

#include "supervisor/fleet/fleet.h"

struct fleet_fixture {
    struct flo_metrics *metrics;
    struct flo_fleet fleet;
};

int fleet_fixture_setup(void **state);
int fleet_fixture_teardown(void **state);

#endif
