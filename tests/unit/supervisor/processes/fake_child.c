/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_child.c - stands in for the engine and the workers in test_manager: announces itself and
 * waits for SIGTERM. FAKE says what it does otherwise: "exit N" at once, "die" by SIGKILL after the
 * announcement, "deaf" to SIGTERM, "mute" without announcement, "busy": it ends only when there is
 * a file FAKE_LOG.gate, "flood": it writes 8 MiB before the announcement. FAKE_LOG names a file to
 * which it appends "NAME start ARGS" and "NAME stop".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/process.h"

static void note(const char *text)
{
    const char *path = getenv("FAKE_LOG"), *name = getenv("FLOTILLA_PROCESS");
    char line[4096];
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0)
        return;
    int len = snprintf(line, sizeof line, "%s %s\n", name ? name : "?", text);
    (void)!write(fd, line, (size_t)len);
    close(fd);
}

static void flood(void)
{
    char line[4097];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (int i = 0; i < 2048; i++)
        puts(line);
    fflush(stdout);
}

/* At work until the test lets it go. */
static void wait_for_gate(void)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    char path[4096];
    snprintf(path, sizeof path, "%s.gate", getenv("FAKE_LOG"));
    while (access(path, F_OK))
        nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
    const char *fake = getenv("FAKE") ? getenv("FAKE") : "";
    char text[2048] = "start";
    sigset_t term;
    int number;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    for (int i = 1; i < argc; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s", argv[i]);
    note(text);
    if (strncmp(fake, "exit ", 5) == 0)
        return (int)strtol(fake + 5, NULL, 10);
    if (strcmp(fake, "flood") == 0)
        flood();
    if (strcmp(fake, "mute") != 0) {
        bool engine = argc > 1 && strcmp(argv[1], "--listen") == 0;
        flo_process_announce("fake", engine ? "grpc" : "http", engine ? "127.0.0.1:4242" : "h:1");
    }
    if (strcmp(fake, "die") == 0)
        raise(SIGKILL);
    do
        sigwait(&term, &number);
    while (strcmp(fake, "deaf") == 0);
    if (strcmp(fake, "busy") == 0)
        wait_for_gate();
    note("stop");
    return 0;
}
