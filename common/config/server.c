/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - see server_config.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/internal.h"
#include "config/server_config.h"

#define API_KEY_MAX_BYTES 16384

static int read_api_key(struct flo_config *config, const char **api_key, const char *path,
                        struct flo_err *err)
{
    if (!*path)
        return 0;
    if (**api_key)
        return flo_config_refuse(config, "server.api_key_file", err,
                                 "server.api_key is given too; one of them is allowed");
    char text[API_KEY_MAX_BYTES + 1];
    ssize_t n = -1;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = read(fd, text, sizeof text - 1);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (fd < 0)
        return flo_config_refuse(config, "server.api_key_file", err, "%s cannot be read: %s", path,
                                 strerror(error));
    if (n <= 0)
        return flo_config_refuse(config, "server.api_key_file", err,
                                 "%s holds no key; a regular file with the key is allowed", path);
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    if (st.st_mode & (S_IRGRP | S_IROTH))
        flo_config_warn(config, "server.api_key_file: %s can be read by others; chmod 600 it",
                        path);
    *api_key = flo_arena_strdup(&config->arena, text);
    explicit_bzero(text, sizeof text);
    return *api_key ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the API key");
}

static int check_tls(struct flo_config *config, bool with_key, struct flo_server_tls *tls,
                     struct flo_err *err)
{
    static const char *const unread[] = {"TEMPORAL_TLS_CLIENT_CERT_DATA",
                                         "TEMPORAL_TLS_CLIENT_KEY_DATA",
                                         "TEMPORAL_TLS_SERVER_CA_CERT_DATA",
                                         "TEMPORAL_TLS_CERT_DATA",
                                         "TEMPORAL_TLS_KEY_DATA",
                                         "TEMPORAL_TLS_CA_DATA"};
    for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++) {
        const char *text = getenv(unread[i]);
        if (text && *text)
            return flo_fail(err, FLO_ECONFIG,
                            "environment variable %s: certificates and keys are read from files; "
                            "set the variable that ends in _PATH",
                            unread[i]);
    }
    bool cert = *tls->cert_file, key = *tls->key_file;
    if (cert != key)
        return flo_config_refuse(config, cert ? "server.tls.cert_file" : "server.tls.key_file", err,
                                 "a client certificate and its key are given together");
    if (with_key && flo_config_source(config, "server.tls.enabled")->kind == FLO_FROM_DEFAULT)
        tls->enabled = true;
    if (!tls->enabled && (cert || *tls->ca_file))
        flo_config_warn(config, "server.tls: files are given but server.tls.enabled is false");
    return 0;
}

int flo_config_finish_server(struct flo_config *config, const char **api_key,
                             const char *api_key_file, struct flo_server_tls *tls,
                             struct flo_err *err)
{
    int rc = read_api_key(config, api_key, api_key_file, err);
    return rc ? rc : check_tls(config, **api_key, tls, err);
}
