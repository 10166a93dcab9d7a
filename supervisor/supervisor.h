/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - the supervisor as a whole: hub for the workers' reports, pages for people and
 * Prometheus, and, in local mode, the process manager of the fleet.
 *
 * It keeps nothing that it could not learn again within a second, so it may be restarted at any
 * time: workers go on, reconnect and report.
 */
#ifndef FLO_SUPERVISOR_H
#define FLO_SUPERVISOR_H

#include <stdbool.h>

/*
 * The whole program: parses the command line (--config FILE, --set, --check-config,
 * --print-config, --local; a local fleet without --config reads config/fleet.yaml of the current
 * folder when there is one), runs until SIGTERM or SIGINT, stops the fleet in order. local: as if
 * --local was given (`flotilla up`). Returns the exit code.
 */
int flo_supervisor_main(int argc, char **argv, bool local);

#endif
