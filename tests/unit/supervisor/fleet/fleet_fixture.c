/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_fixture.c - a fleet and its metrics, made and freed. */
#include <stdlib.h>

#include "support/cmocka_env.h"
#include "unit/supervisor/fleet/fleet_fixture.h"

int fleet_fixture_setup(void **state)
{
    struct fleet_fixture *f = calloc(1, sizeof *f);
    assert_int_equal(flo_metrics_new(&f->metrics, NULL), 0);
    flo_fleet_init(&f->fleet, f->metrics);
    *state = f;
    return 0;
}

int fleet_fixture_teardown(void **state)
{
    struct fleet_fixture *f = *state;
    flo_fleet_fini(&f->fleet);
    flo_metrics_destroy(&f->metrics);
    free(f);
    return 0;
}
