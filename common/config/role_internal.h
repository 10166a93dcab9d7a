/* SPDX-License-Identifier: Apache-2.0 */
/* role_internal.h - the parts of role_config.c that stand in a file of their own. */
#ifndef FLO_CONFIG_ROLE_INTERNAL_H
#define FLO_CONFIG_ROLE_INTERNAL_H

#include "config/role_config.h"

/* Choose fixed or resource-based slots, and check and complete what belongs to the choice. */
FLO_MUST_CHECK int flo_role_finish_tuner(struct flo_role_config *config, struct flo_err *err);

/* Look up each module's file and complete its settings with database.*. */
FLO_MUST_CHECK int flo_role_finish_modules(struct flo_role_config *config, struct flo_err *err);

/* The table of one element of `queues`. */
#define FLO_QUEUE_SETTINGS 6
extern const struct flo_setting flo_queue_settings[FLO_QUEUE_SETTINGS];

/* Check queues, tokens and activities, and complete polled, pools and types from them. */
FLO_MUST_CHECK int flo_role_finish_queues(struct flo_role_config *config, struct flo_err *err);

#endif
