/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - process hygiene and announcements. */
#include "config/process.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/utf8.h"

#define LISTENING " listening on "

void flo_process_init(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            _exit(71); /* the lowest free number is fd, so this cannot be */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(077);
    json_object_seed((size_t)flo_random_u64() | 1);
    /* czmq would take SIGINT and SIGTERM for itself. */
    setenv("ZSYS_SIGHANDLER", "false", 1);
}

void flo_process_announce(const char *program, const char *what, const char *address)
{
    printf("%s: %s" LISTENING "%s\n", program, what, address);
    fflush(stdout);
}

bool flo_process_parse_announcement(const char *line, char *out_what, size_t what_size,
                                    char *out_address, size_t address_size)
{
    const char *colon = strstr(line, ": ");
    const char *verb = colon ? strstr(colon + 2, LISTENING) : NULL;
    if (!verb || verb == colon + 2)
        return false;
    const char *address = verb + strlen(LISTENING);
    size_t address_len = strcspn(address, "\r\n");
    size_t what_len = (size_t)(verb - colon - 2);
    if (what_len >= what_size || !address_len || address_len >= address_size)
        return false;
    memcpy(out_what, colon + 2, what_len);
    out_what[what_len] = '\0';
    memcpy(out_address, address, address_len);
    out_address[address_len] = '\0';
    return true;
}

int flo_process_exe_dir(char *out, size_t size, struct flo_err *err)
{
    ssize_t n = readlink("/proc/self/exe", out, size);
    if (n <= 0 || (size_t)n >= size)
        return flo_fail(err, FLO_ESYS, "cannot find this program's own file: %s",
                        n < 0 ? strerror(errno) : "path too long");
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    return 0;
}

void flo_process_default_identity(const char *task_queue, char *out, size_t size)
{
    char host[65] = "localhost";
    if (gethostname(host, sizeof host - 1) || !flo_utf8_valid(host, strlen(host)))
        snprintf(host, sizeof host, "localhost");
    snprintf(out, size, "%d@%s@%.200s", (int)getpid(), host, task_queue);
}

const char *flo_version(void)
{
    return FLO_VERSION;
}
