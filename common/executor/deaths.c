/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deaths.c - see deaths.h. The record goes to a namer (flo_symbols_main) over a socket, names come
 * back until it ends, is too slow, or says too much.
 */
#include "executor/deaths.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

#define NAMES_SECONDS 8
#define NAMES_MAX (66u << 10)

struct death {
    struct flo_node node; /* on deaths->dying */
    struct flo_deaths *deaths;
    struct flo_core_job *job;
    struct flo_job_result result;
    struct flo_crash_record record;
    struct flo_buf names;
    struct event *answer; /* on our end of the socket; NULL = nobody is asked */
    int fd;
    int status;
    bool garbled;
    size_t output_len;
    char output[];
};

static void death_end(struct death *death, bool tell)
{
    struct flo_crash_facts facts = {
        .record = &death->record,
        .limits = death->deaths->limits,
        .status = death->status,
        .garbled = death->garbled,
        .output = death->output,
        .output_len = death->output_len,
        .symbols = (const char *)death->names.data,
        .symbols_len = death->names.failed ? 0 : death->names.len,
    };
    struct flo_crash_report report;
    struct flo_job_crash crash;

    flo_list_remove(&death->deaths->dying, &death->node);
    flo_crash_report_init(&report, &facts, &crash);
    death->result.crash = &crash;
    flo_core_job_finish(death->job, tell ? &death->result : NULL);
    flo_crash_report_fini(&report);
    if (death->answer)
        event_free(death->answer);
    if (death->fd >= 0)
        close(death->fd);
    flo_buf_fini(&death->names);
    flo_free(death);
}

static void on_names(evutil_socket_t fd, short what, void *ctx)
{
    struct death *death = ctx;
    char text[4096];
    ssize_t n = 0;

    while (!(what & EV_TIMEOUT) && (n = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0)
        if (flo_buf_append(&death->names, text, (size_t)n))
            break;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    death_end(death, true);
}

/* Ask for names. False when nobody will answer. */
static bool ask(struct death *death)
{
    const struct timeval patience = {.tv_sec = NAMES_SECONDS};
    int pair[2];
    bool asked;

    if (death->record.frames == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    death->fd = pair[0];
    asked = send(pair[0], &death->record, sizeof death->record, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                (ssize_t)sizeof death->record &&
            flo_template_names(death->deaths->tmpl->control, pair[1]) == 0;
    close(pair[1]);
    if (!asked)
        return false;
    death->answer =
        event_new(death->deaths->base, death->fd, EV_READ | EV_PERSIST, on_names, death);
    return death->answer && event_add(death->answer, &patience) == 0;
}

void flo_deaths_add(struct flo_deaths *deaths, struct flo_core_job *job,
                    const struct flo_job_result *result, const struct flo_death_facts *facts)
{
    struct flo_crash_record *record = flo_crash_area_at(&deaths->tmpl->crashes, facts->index);
    struct death *death = flo_malloc(sizeof *death + facts->output_len);

    if (!death) {
        record->kind = FLO_CRASH_NONE;
        flo_core_job_finish(job, result);
        return;
    }
    *death = (struct death){.deaths = deaths,
                            .job = job,
                            .result = *result,
                            .fd = -1,
                            .status = facts->status,
                            .garbled = facts->garbled};
    flo_buf_init(&death->names, NAMES_MAX);
    death->output_len = facts->output_len;
    memcpy(death->output, facts->output, facts->output_len);
    if (record->kind != FLO_CRASH_NONE) {
        death->record = *record;
        record->kind = FLO_CRASH_NONE;
        flo_crash_record_check(&death->record);
    }
    flo_list_push_back(&deaths->dying, &death->node);
    if (!ask(death))
        death_end(death, true);
}

void flo_deaths_end(struct flo_deaths *deaths, bool tell)
{
    struct flo_node *node;

    while ((node = flo_list_first(&deaths->dying)))
        death_end(flo_container(node, struct death, node), tell);
}
