/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_known.h - the queues that the configuration names: those of scaling.queues, and those that
 * the YAML files of fleet.yaml's workers poll, since a worker that is scaled to zero reports
 * nothing. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_SCALE_KNOWN_H
#define FLO_SUPERVISOR_SCALE_KNOWN_H

#include <stdbool.h>

#include "base/list.h"
#include "config/fleet_config.h"
#include "supervisor/fleet/fleet.h"

struct flo_scale_known_queue {
    struct flo_node node; /* on known->queues */
    char *name, *name_space;
    char *worker; /* of fleet.yaml; "": of scaling.queues */
    enum flo_fleet_role role;
};

struct flo_scale_known {
    struct flo_list queues;
    const struct flo_fleet_config *of; /* what they were read from; only to be compared */
};

void flo_scale_known_init(struct flo_scale_known *known);
void flo_scale_known_fini(struct flo_scale_known *known);
/*
 * Read them anew. with_workers: the files of fleet.yaml's workers, too; one that cannot be read is
 * its worker's to complain about, which tells of its queues itself once it runs. FLO_ENOMEM: some
 * are missing.
 */
FLO_MUST_CHECK int flo_scale_known_read(struct flo_scale_known *known,
                                        const struct flo_fleet_config *config, bool with_workers);

#endif
