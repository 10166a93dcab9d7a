/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doing.c - see doing.h. A thread that computes shows its state and no more; one that sleeps in a
 * call shows which (syscall), and where in the kernel (wchan, "0" where that is hidden).
 */
#include "executor/doing.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    long number;
    const char *name;
    bool descriptor; /* its first argument is one */
} calls[] = {
    {SYS_read, "read", true},
    {SYS_write, "write", true},
    {SYS_readv, "readv", true},
    {SYS_writev, "writev", true},
    {SYS_pread64, "pread64", true},
    {SYS_pwrite64, "pwrite64", true},
    {SYS_recvfrom, "recvfrom", true},
    {SYS_recvmsg, "recvmsg", true},
    {SYS_sendto, "sendto", true},
    {SYS_sendmsg, "sendmsg", true},
    {SYS_connect, "connect", true},
    {SYS_accept4, "accept4", true},
    {SYS_ioctl, "ioctl", true},
    {SYS_fcntl, "fcntl", true},
    {SYS_flock, "flock", true},
    {SYS_fsync, "fsync", true},
    {SYS_fdatasync, "fdatasync", true},
    {SYS_openat, "openat", false},
    {SYS_futex, "futex", false},
    {SYS_nanosleep, "nanosleep", false},
    {SYS_clock_nanosleep, "clock_nanosleep", false},
    {SYS_ppoll, "ppoll", false},
    {SYS_pselect6, "pselect6", false},
    {SYS_epoll_pwait, "epoll_pwait", true},
    {SYS_wait4, "wait4", false},
    {SYS_waitid, "waitid", false},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait", false},
    {SYS_rt_sigsuspend, "rt_sigsuspend", false},
#ifdef SYS_poll /* not on newer architectures */
    {SYS_poll, "poll", false},
    {SYS_select, "select", false},
    {SYS_epoll_wait, "epoll_wait", true},
    {SYS_pause, "pause", false},
    {SYS_accept, "accept", true},
    {SYS_open, "open", false},
#endif
};
#define CALL_COUNT (sizeof calls / sizeof calls[0])

/* The call's number; -1: none ("running", or not readable). */
static long call_number(const char *call)
{
    char *end;
    long number = strtol(call, &end, 10);

    return end == call ? -1 : number;
}

static size_t call_find(long number)
{
    size_t i = 0;

    while (i < CALL_COUNT && calls[i].number != number)
        i++;
    return i;
}

int flo_doing_descriptor(const char *call)
{
    size_t i = call_find(call_number(call));
    const char *argument = strchr(call, ' ');

    if (i == CALL_COUNT || !calls[i].descriptor || !argument)
        return -1;
    return (int)strtol(argument, NULL, 16);
}

/* The letter after the name, which is in brackets and may hold anything. */
static const char *state_word(const char *stat)
{
    const char *at = strrchr(stat, ')');

    if (!at || at[1] != ' ')
        return NULL;
    switch (at[2]) {
    case 'R':
        return "computing";
    case 'S':
        return "sleeping";
    case 'D':
        return "waiting for a device";
    case 'T':
    case 't':
        return "stopped";
    default:
        return NULL;
    }
}

void flo_doing_sentence(const char *stat, const char *wchan, const char *call,
                        const char *descriptor, char *out, size_t cap)
{
    const char *state = state_word(stat);
    long number = call_number(call);
    size_t known = call_find(number);
    char where[80] = "", name[48] = "", of[100] = "";

    if (wchan[0] && strcmp(wchan, "0") != 0)
        snprintf(where, sizeof where, " in %.70s", wchan);
    if (known < CALL_COUNT)
        snprintf(name, sizeof name, ", system call %s", calls[known].name);
    else if (number >= 0)
        snprintf(name, sizeof name, ", system call number %ld", number);
    if (flo_doing_descriptor(call) >= 0 && descriptor[0])
        snprintf(of, sizeof of, " of descriptor %d (%.70s)", flo_doing_descriptor(call),
                 descriptor);
    if (state)
        snprintf(out, cap, "%s%s%s%s", state, where, name, of);
    else
        snprintf(out, cap, "%s", "");
}

static void read_text(pid_t tid, const char *name, char *out, size_t cap)
{
    char path[64];
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)tid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, out, cap - 1);
        close(fd);
    }
    out[n > 0 ? n : 0] = '\0';
}

void flo_doing(pid_t tid, char *out, size_t cap)
{
    char stat[512], wchan[80], call[256], path[48], target[128];
    ssize_t n = 0;
    int fd;

    read_text(tid, "stat", stat, sizeof stat);
    read_text(tid, "wchan", wchan, sizeof wchan);
    read_text(tid, "syscall", call, sizeof call);
    fd = flo_doing_descriptor(call);
    if (fd >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof target - 1);
    }
    target[n > 0 ? n : 0] = '\0';
    flo_doing_sentence(stat, wchan, call, target, out, cap);
}
