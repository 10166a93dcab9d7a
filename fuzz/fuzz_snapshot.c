/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_snapshot.c - any bytes as a report to the supervisor; what is taken must render. */
#include "fuzz.h"
#include "supervisor/fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct flo_metrics_form form = {.openmetrics = true};
    struct flo_fleet fleet;
    struct flo_fleet_entry *entry;
    struct flo_buf page;
    flo_fleet_init(&fleet, NULL);
    flo_buf_init(&page, 0);
    enum flo_frame_verdict verdict = flo_fleet_take(&fleet, data, size, 0, 1000, &entry, NULL);
    FUZZ_CHECK((verdict == FLO_FRAME_TAKEN) == (entry != NULL));
    FUZZ_CHECK(flo_fleet_render_metrics(&fleet, NULL, "fuzz", 1000, &form, &page) == 0);
    flo_buf_fini(&page);
    flo_fleet_fini(&fleet);
    return 0;
}
