/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_snapshot.c - any bytes as a frame to the supervisor: a snapshot that is taken must render,
 * and must be of its own shape when it comes again; events and acknowledgements are only read.
 */
#include "fuzz.h"
#include "supervisor/fleet/fleet_frame.h"
#include "supervisor/fleet/fleet_store.h"

/* The metrics of a snapshot that was taken, once more: now their text is compared, not parsed. */
static void take_again(struct flo_fleet *fleet, struct flo_fleet_entry *entry,
                       const struct flo_frame *frame)
{
    const struct flo_fleet_shape *shape = entry->shape;
    FUZZ_CHECK(flo_fleet_store_take(fleet, entry, frame->metrics, frame->metrics_len) ==
               FLO_FRAME_TAKEN);
    FUZZ_CHECK(entry->shape == shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct flo_metrics_form form = {.openmetrics = true};
    struct flo_fleet fleet;
    struct flo_fleet_entry *entry;
    struct flo_buf page;
    struct flo_frame frame;
    struct flo_event event;
    struct flo_frame_ack ack;
    flo_fleet_init(&fleet, NULL);
    flo_buf_init(&page, 0);
    enum flo_frame_verdict verdict = flo_fleet_take(&fleet, data, size, 0, 1000, &entry, NULL);
    FUZZ_CHECK((verdict == FLO_FRAME_TAKEN) == (entry != NULL));
    enum flo_frame_verdict read = flo_fleet_frame_read(data, size, &frame);
    FUZZ_CHECK(read == FLO_FRAME_TAKEN || !entry);
    if (entry)
        take_again(&fleet, entry, &frame);
    if (read == FLO_FRAME_TAKEN && flo_fleet_frame_event(&frame, &event) == FLO_FRAME_TAKEN)
        FUZZ_CHECK(event.kind && event.message && event.identity);
    if (read == FLO_FRAME_TAKEN)
        (void)flo_fleet_frame_ack(&frame, &ack);
    flo_fleet_frame_fini(&frame);
    FUZZ_CHECK(flo_fleet_render_metrics(&fleet, NULL, "fuzz", 1000, &form, &page) == 0);
    flo_buf_fini(&page);
    flo_fleet_fini(&fleet);
    return 0;
}
