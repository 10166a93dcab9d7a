/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - the worker's side of the process that forks executors; see template.h. */
#include "executor/template.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

static int send_request(int control, const struct flo_template_request *request, const int *fds,
                        size_t fd_count)
{
    union {
        char space[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct flo_template_request copy = *request;
    struct iovec part = {.iov_base = &copy, .iov_len = sizeof copy};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t rc;

    if (fd_count > 0) {
        struct cmsghdr *head;
        memset(&ancillary, 0, sizeof ancillary);
        message.msg_control = ancillary.space;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
    }
    do
        rc = sendmsg(control, &message, MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? FLO_ECLOSED : 0;
}

int flo_template_spawn(int control, unsigned index, int socket_fd, int output_fd)
{
    const struct flo_template_request request = {.order = FLO_TEMPLATE_SPAWN, .index = index};
    const int fds[2] = {socket_fd, output_fd};

    return send_request(control, &request, fds, 2);
}

int flo_template_kill(int control, unsigned index, bool force)
{
    const struct flo_template_request request = {
        .order = force ? FLO_TEMPLATE_KILL : FLO_TEMPLATE_TERM, .index = index};

    return send_request(control, &request, NULL, 0);
}

int flo_template_profile(int control, unsigned index)
{
    const struct flo_template_request request = {.order = FLO_TEMPLATE_PROFILE, .index = index};

    return send_request(control, &request, NULL, 0);
}

int flo_template_names(int control, int socket_fd)
{
    const struct flo_template_request request = {.order = FLO_TEMPLATE_NAMES};

    return send_request(control, &request, &socket_fd, 1);
}

void flo_executor_template_end(struct flo_executor_template **tmpl)
{
    if (!*tmpl)
        return;
    close((*tmpl)->control);
    while (waitpid((*tmpl)->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    flo_crash_area_fini(&(*tmpl)->crashes);
    flo_free(*tmpl);
    *tmpl = NULL;
}

int flo_executor_template_start(const struct flo_executor_options *options, bool pin,
                                struct flo_executor_template **out, struct flo_err *err)
{
    struct flo_executor_template *tmpl = flo_calloc(1, sizeof *tmpl);
    pid_t parent = getpid();
    int pair[2];

    if (!tmpl)
        return flo_fail(err, FLO_ENOMEM, "no memory for the executors' template");
    tmpl->options = *options;
    tmpl->pin = pin;
    if (pin)
        flo_cores_read("", &tmpl->cores);
    if (flo_crash_area_init(&tmpl->crashes, options->workers)) {
        flo_free(tmpl);
        return flo_fail(err, FLO_ENOMEM, "no memory for the executors' template");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        flo_crash_area_fini(&tmpl->crashes);
        flo_free(tmpl);
        return flo_fail(err, FLO_ESYS, "cannot open a socket pair: %s", strerror(errno));
    }
    tmpl->pid = fork();
    if (tmpl->pid == 0) {
        close(pair[0]);
        flo_template_main(tmpl, pair[1], parent);
    }
    close(pair[1]);
    tmpl->control = pair[0];
    if (tmpl->pid < 0) {
        int code = errno;
        close(pair[0]);
        flo_crash_area_fini(&tmpl->crashes);
        flo_free(tmpl);
        return flo_fail(err, FLO_ESYS, "cannot fork the executors' template: %s", strerror(code));
    }
    *out = tmpl;
    return 0;
}
