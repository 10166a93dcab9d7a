/* SPDX-License-Identifier: Apache-2.0 */
/* checks.c - checks that workers' and the supervisor's settings have in common. */
#include <string.h>

#include "base/net.h"
#include "config/internal.h"

bool flo_config_is_loopback(const char *address)
{
    char host[FLO_NET_HOST_MAX];
    uint16_t port;
    return flo_net_split(address, 0, host, &port, NULL) == 0 && flo_net_is_loopback(host);
}

/* Other machines may be at the other end. */
static bool is_open(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0 && !flo_config_is_loopback(endpoint + 6);
}

int flo_config_check_supervisor(struct flo_config *config, const char *endpoint,
                                const struct flo_file_pair *curve, bool insecure,
                                struct flo_err *err)
{
    bool first = *curve->files[0], second = *curve->files[1];
    if (first != second)
        return flo_config_refuse(config, curve->keys[second ? 0 : 1], err,
                                 "%s is given, so this one is needed too",
                                 curve->keys[second ? 1 : 0]);
    if (first || !is_open(endpoint))
        return 0;
    if (!insecure)
        return flo_config_refuse(config, "supervisor.endpoint", err,
                                 "%s is open to other machines: give supervisor.curve's keys, or "
                                 "supervisor.insecure: true to report in plain text",
                                 endpoint);
    flo_config_warn(config,
                    "supervisor.insecure: %s is neither encrypted nor authenticated; whoever "
                    "reaches it can report",
                    endpoint);
    return 0;
}
