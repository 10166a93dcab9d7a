/* SPDX-License-Identifier: Apache-2.0 */
/* server_config.h - how to log in to a Temporal service: the same in a worker's file and the
 * fleet's. */
#ifndef FLO_CONFIG_SERVER_CONFIG_H
#define FLO_CONFIG_SERVER_CONFIG_H

#include "config/schema.h"

/* TLS to the server. */
struct flo_server_tls {
    bool enabled;            /* true too when api_key is set and nothing says otherwise */
    const char *ca_file;     /* "" = the system's */
    const char *cert_file;   /* "" = no client certificate */
    const char *key_file;    /* its key */
    const char *server_name; /* "" = the host of address */
};

/*
 * Check and complete server.api_key, server.api_key_file and server.tls.* after loading: the file
 * is read into *api_key. One line in err: FLO_ECONFIG, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_config_finish_server(struct flo_config *config, const char **api_key,
                                            const char *api_key_file, struct flo_server_tls *tls,
                                            struct flo_err *err);

#endif
