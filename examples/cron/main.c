/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - both workers of this example: `cron workflow`, `cron activity`. */
#include <stdio.h>
#include <string.h>

#include "cron.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "workflow") == 0)
        return flo_worker_main(argc - 1, argv + 1, FLO_ROLE_WORKFLOW, &cron_module);
    if (argc > 1 && strcmp(argv[1], "activity") == 0)
        return flo_worker_main(argc - 1, argv + 1, FLO_ROLE_IO_ACTIVITY, &cron_module);
    fprintf(stderr, "usage: cron workflow|activity [--config FILE] [--set KEY=VALUE]\n");
    return 64;
}
