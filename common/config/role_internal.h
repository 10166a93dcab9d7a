/* SPDX-License-Identifier: Apache-2.0 */
/* role_internal.h - the parts of role_config.c that stand in a file of their own. */
#ifndef FLO_CONFIG_ROLE_INTERNAL_H
#define FLO_CONFIG_ROLE_INTERNAL_H

#include "config/role_config.h"

/* Read server.api_key_file, when there is one, into server.api_key. */
FLO_MUST_CHECK int flo_role_read_api_key(struct flo_role_config *config, struct flo_err *err);

/* Look up each module's file and complete its settings with database.*. */
FLO_MUST_CHECK int flo_role_finish_modules(struct flo_role_config *config, struct flo_err *err);

#endif
