/* SPDX-License-Identifier: Apache-2.0 */
/*
 * family.c - finding and ending descendants; see family.h. They are found in
 * /proc/PID/task/TID/children. Killing in rounds converges against a fork bomb: a process with
 * SIGKILL pending cannot fork, and its children become ours for the next round.
 */
#include "executor/family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define END_NS FLO_NS_PER_S
/* Descendants that one round takes on; further ones are met by the next. */
#define ROUND_MAX 1024

struct pids {
    pid_t *at;
    size_t count, max;
};

/* A page that a fork finds wiped: nonzero only in the process that called flo_family_begin(). */
static volatile uint32_t *here;

void flo_family_begin(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!here) {
        void *mark = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mark == MAP_FAILED)
            return;
        if (madvise(mark, page, MADV_WIPEONFORK) < 0) {
            munmap(mark, page);
            return;
        }
        here = mark;
    }
    *here = 1;
}

bool flo_family_here(void)
{
    return !here || *here;
}

static void pids_add(struct pids *pids, const char *text)
{
    char *end;

    for (long pid; pids->count < pids->max && (pid = strtol(text, &end, 10)) > 0; text = end)
        pids->at[pids->count++] = (pid_t)pid;
}

/* Add the children of one thread. False when no descriptor is free. */
static bool add_children_of_thread(struct pids *pids, int tasks, const char *tid)
{
    char path[32], text[4096 + 1];
    size_t have = 0;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "%.16s/children", tid);
    fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno != EMFILE && errno != ENFILE; /* else the thread has ended */
    while ((n = read(fd, text + have, sizeof text - 1 - have)) > 0) {
        char *cut;
        have += (size_t)n;
        text[have] = '\0';
        for (cut = text + have; cut > text && cut[-1] != ' '; cut--)
            ; /* a number may be cut at the end of what was read */
        have = (size_t)(text + have - cut);
        if (cut > text) {
            char first = *cut;
            *cut = '\0';
            pids_add(pids, text);
            *cut = first;
        }
        for (size_t i = 0; i < have; i++)
            text[i] = cut[i];
        if (have >= sizeof text - 1)
            break;
    }
    close(fd);
    return true;
}

/* False when they cannot be read: pid has ended, or no descriptor is free. */
static bool add_children(struct pids *pids, pid_t pid)
{
    char path[32];
    struct dirent *entry;
    bool known = true;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (!dir)
        return false;
    while (known && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            known = add_children_of_thread(pids, dirfd(dir), entry->d_name);
    closedir(dir);
    return known;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): filled through pids */
size_t flo_family_children(pid_t *out, size_t max)
{
    struct pids pids = {.at = out, .max = max};

    add_children(&pids, getpid());
    return pids.count;
}

static bool contains(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* Kill what is there now, parents first, and reap what is ours. How many direct children were met;
 * < 0: not known. */
static int round_of_kills(struct pids *pids, const pid_t *keep, size_t keep_count)
{
    size_t direct = 0;

    pids->count = 0;
    if (!add_children(pids, getpid()))
        return -1;
    for (size_t i = 0; i < pids->count;) {
        if (contains(keep, keep_count, pids->at[i]))
            pids->at[i] = pids->at[--pids->count];
        else
            i++;
    }
    direct = pids->count;
    for (size_t i = 0; i < pids->count; i++) {
        kill(pids->at[i], SIGKILL);
        (void)add_children(pids, pids->at[i]);
    }
    for (size_t i = 0; i < direct; i++)
        (void)waitpid(pids->at[i], NULL, WNOHANG);
    return (int)direct;
}

bool flo_family_end(const pid_t *keep, size_t keep_count)
{
    const struct timespec pause = {.tv_nsec = FLO_NS_PER_MS / 2};
    int64_t until = flo_clock_mono_ns() + END_NS;
    static pid_t space[ROUND_MAX]; /* touched only when something was left behind */
    struct pids pids = {.at = space, .max = ROUND_MAX};
    int met;

    while ((met = round_of_kills(&pids, keep, keep_count)) > 0) {
        if (flo_clock_mono_ns() > until)
            return false;
        nanosleep(&pause, NULL);
    }
    return met == 0;
}
