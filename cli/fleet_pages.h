/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_pages.h - fetches what a supervisor serves about its fleet. Blocks. */
#ifndef FLO_CLI_FLEET_PAGES_H
#define FLO_CLI_FLEET_PAGES_H

#include "base/buf.h"
#include "cli/costs.h"
#include "cli/options.h"

struct cli_fleet_pages {
    char fleet[300], metrics[300]; /* host:port of the page, of the metrics */
};

/* Where the supervisor is, as cli_supervisor_find says. 0, else it has said what is wrong; the exit
 * code. */
int cli_fleet_pages_find(const char *command, const struct cli_options *options,
                         struct cli_fleet_pages *out);
/* Read the fleet now. FLO_ECONN, FLO_EPROTO, FLO_ENOMEM with a sentence. */
FLO_MUST_CHECK int cli_fleet_pages_read(const struct cli_fleet_pages *pages, struct cli_costs *out,
                                        struct flo_err *err);

#endif
