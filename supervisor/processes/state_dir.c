/* SPDX-License-Identifier: Apache-2.0 */
/* state_dir.c - folder, lock, fleet.json. */
#include "supervisor/processes/state_dir.h"

#include <errno.h>
#include <event2/util.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

#define AWAIT_ENGINE_MS 10000

static int take_lock(struct flo_state_dir *dir, struct flo_err *err)
{
    char path[PATH_MAX + 8], pid[32] = "";
    snprintf(path, sizeof path, "%s/lock", dir->path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return flo_fail(err, errno == EACCES ? FLO_EPERM : FLO_ESYS, "cannot open %s: %s", path,
                        strerror(errno));
    /* Not flock: who asks whether it is held (F_OFD_GETLK) must not hold it for that moment. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock)) {
        (void)!read(fd, pid, sizeof pid - 1);
        close(fd);
        pid[strcspn(pid, "\n")] = '\0';
        return flo_fail(err, FLO_ECONN,
                        "another fleet runs in %s (process %s); stop it, or set another state_dir",
                        dir->path, *pid ? pid : "unknown");
    }
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) || write(fd, pid, (size_t)len) != len) {
        int rc = flo_fail(err, FLO_ESYS, "cannot write %s: %s", path, strerror(errno));
        close(fd);
        return rc;
    }
    dir->lock_fd = fd;
    return 0;
}

int flo_state_dir_open(const char *path, bool lock, struct flo_state_dir *out, struct flo_err *err)
{
    char full[PATH_MAX];
    *out = (struct flo_state_dir){.lock_fd = -1};
    int rc = flo_file_make_folders(path, err);
    if (rc)
        return rc;
    if (!realpath(path, full))
        return flo_fail(err, FLO_ESYS, "cannot use the folder %s: %s", path, strerror(errno));
    out->path = flo_strdup(full);
    if (!out->path)
        return flo_fail(err, FLO_ENOMEM, "no memory for the folder's name");
    return lock ? take_lock(out, err) : 0;
}

/* Can this HOST:PORT be listened on now? */
static bool can_listen(const char *address)
{
    struct sockaddr_storage storage;
    int len = sizeof storage, on = 1;
    if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&storage, &len))
        return false;
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_now =
        bind(fd, (struct sockaddr *)&storage, (socklen_t)len) == 0 && listen(fd, 1) == 0;
    close(fd);
    return free_now;
}

static json_t *last_fleet(const struct flo_state_dir *dir)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/fleet.json", dir->path);
    return json_load_file(path, 0, NULL);
}

bool flo_state_dir_is_left(const struct flo_state_dir *dir)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/fleet.json", dir->path);
    return access(path, F_OK) == 0;
}

void flo_state_dir_await_engine(const struct flo_state_dir *dir)
{
    json_t *fleet = last_fleet(dir), *process;
    size_t i;
    json_array_foreach(json_object_get(fleet, "processes"), i, process)
    {
        const char *name = json_string_value(json_object_get(process, "name"));
        json_int_t pid = json_integer_value(json_object_get(process, "pid"));
        if (!name || strcmp(name, "engine") != 0 || pid <= 0 || pid > INT_MAX)
            continue;
        struct pollfd end = {.fd = pidfd_open((pid_t)pid, 0), .events = POLLIN};
        if (end.fd < 0)
            continue; /* it is gone */
        (void)poll(&end, 1, AWAIT_ENGINE_MS);
        close(end.fd);
    }
    json_decref(fleet);
}

void flo_state_dir_last_server(const struct flo_state_dir *dir, char *out, size_t size)
{
    json_t *fleet = last_fleet(dir);
    const char *server = json_string_value(json_object_get(fleet, "server"));
    snprintf(out, size, "%s", server && can_listen(server) ? server : "");
    json_decref(fleet);
}

int flo_state_dir_publish(const struct flo_state_dir *dir, const json_t *fleet, struct flo_err *err)
{
    char path[PATH_MAX + 16], fresh[PATH_MAX + 24];
    snprintf(path, sizeof path, "%s/fleet.json", dir->path);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    if (json_dump_file(fleet, fresh, JSON_INDENT(2)) || rename(fresh, path))
        return flo_fail(err, FLO_ESYS, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

void flo_state_dir_close(struct flo_state_dir *dir)
{
    if (dir->lock_fd >= 0) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof path, "%s/fleet.json", dir->path);
        unlink(path);
        close(dir->lock_fd);
    }
    flo_free(dir->path);
    *dir = (struct flo_state_dir){.lock_fd = -1};
}
