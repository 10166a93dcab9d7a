/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_pages.c - see fleet_pages.h. */
#include "cli/fleet_pages.h"

#include <stdio.h>

#include "cli/http.h"
#include "cli/supervisor.h"

#define PAGE_MAX_BYTES (64u << 20)

int cli_fleet_pages_find(const char *command, const struct cli_options *options,
                         struct cli_fleet_pages *out)
{
    struct cli_supervisor supervisor;
    struct flo_err err = {0};

    *out = (struct cli_fleet_pages){0};
    if (cli_supervisor_find(command, options, &supervisor, &err))
        return cli_supervisor_fail(&supervisor, &err);
    snprintf(out->fleet, sizeof out->fleet, "%s", supervisor.address);
    snprintf(out->metrics, sizeof out->metrics, "%s",
             *supervisor.metrics ? supervisor.metrics : supervisor.address);
    return 0;
}

int cli_fleet_pages_read(const struct cli_fleet_pages *pages, struct cli_costs *out,
                         struct flo_err *err)
{
    struct flo_buf fleet_text, metrics;
    json_t *fleet = NULL;
    int rc;

    flo_buf_init(&fleet_text, PAGE_MAX_BYTES);
    flo_buf_init(&metrics, PAGE_MAX_BYTES);
    rc = cli_http_get(pages->fleet, "/v1/fleet", &fleet_text, err);
    if (rc)
        goto out;
    rc = cli_http_get(pages->metrics, "/metrics?naming=tally", &metrics, err);
    if (rc)
        goto out;
    fleet = json_loadb((const char *)fleet_text.data, fleet_text.len, 0, NULL);
    rc = cli_costs_read(fleet, (char *)(uintptr_t)flo_buf_cstr(&metrics), out, err);
out:
    json_decref(fleet);
    flo_buf_fini(&fleet_text);
    flo_buf_fini(&metrics);
    return rc;
}
