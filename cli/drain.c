/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - `flotilla drain` and `flotilla resume`: workers of a local fleet stop polling but stay,
 * and poll again. It is done by the signals SIGTSTP and SIGCONT, to the processes that the
 * supervisor's fleet.json names.
 *
 * A pid alone says little: the file may be old, the number in use again. So the process is held
 * by a pidfd first, and gets the signal only if it is a child of the fleet's supervisor.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"

#define DEFAULT_FLEET ".flotilla/fleet.json"
#define DEFAULT_FLEET_NAME "/fleet.json"
#define OPERANDS_MAX 1024
#define GONE " (deleted)" /* how the kernel ends the name of a file that has been replaced */

struct order {
    const char *command; /* "drain" */
    int signal;
    const char *done; /* what is said of a process */
    const struct cli_options *options;
    long supervisor;
    json_t *answers;
    bool failed;
    bool used[OPERANDS_MAX]; /* the operands that named something */
};

/* ---- /proc ---- */

static long parent_of(long pid)
{
    char path[64], line[256];
    long parent = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "PPid: %ld", &parent) == 1)
            break;
    if (file)
        fclose(file);
    return parent;
}

/* The program's name without its folder, also when its file has been replaced since; "" when it
 * cannot be seen. */
static void program_of(long pid, char *out, size_t size)
{
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%ld/exe", pid);
    ssize_t len = readlink(path, target, sizeof target - 1);
    target[len > 0 ? len : 0] = '\0';
    const size_t kept = len > (ssize_t)strlen(GONE) ? (size_t)len - strlen(GONE) : 0;
    if (kept && strcmp(target + kept, GONE) == 0)
        target[kept] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(out, size, "%.*s", (int)size - 1, slash ? slash + 1 : target);
}

/* ---- which processes ---- */

/* Does word name the process: by its name ("io", also of "io-2"), its program
 * ("io-activity-worker") or its role ("io-activity")? */
static bool names(const char *word, const char *name, const char *program)
{
    static const char suffix[] = "-worker";
    size_t len = strlen(word);
    if (strcmp(word, name) == 0 || strcmp(word, program) == 0)
        return true;
    if (strncmp(name, word, len) == 0 && name[len] == '-' && name[len + 1] &&
        name[len + 1 + strspn(name + len + 1, "0123456789")] == '\0')
        return true;
    return strncmp(program, word, len) == 0 && strcmp(program + len, suffix) == 0;
}

static bool wanted(struct order *order, const char *name, const char *program)
{
    bool found = order->options->operand_count == 0;
    for (int i = 0; i < order->options->operand_count && i < OPERANDS_MAX; i++) {
        if (names(order->options->operands[i], name, program))
            order->used[i] = found = true;
    }
    return found;
}

/* ---- one process ---- */

/* NULL when the signal went out; else why not. */
static const char *send_signal(const struct order *order, long pid)
{
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
    const char *why = NULL;
    if (fd < 0)
        return "it does not run";
    if (parent_of(pid) != order->supervisor)
        why = "its process id belongs to another process now";
    else if (syscall(SYS_pidfd_send_signal, fd, order->signal, NULL, 0))
        why = strerror(errno);
    close(fd);
    return why;
}

static void tell(struct order *order, const json_t *process)
{
    const char *name = json_string_value(json_object_get(process, "name"));
    long pid = (long)json_integer_value(json_object_get(process, "pid"));
    char program[256];
    program_of(pid, program, sizeof program);
    if (!name || strcmp(program, "flotilla-engine") == 0 || !wanted(order, name, program))
        return;
    const char *why = send_signal(order, pid);
    order->failed |= why != NULL;
    (void)json_array_append_new(order->answers,
                                json_pack("{s:s, s:i, s:b, s:s?}", "name", name, "pid", (int)pid,
                                          "told", why == NULL, "reason", why));
    if (order->options->json)
        return;
    if (why)
        fprintf(stderr, "flotilla %s: %s (pid %ld): %s\n", order->command, name, pid, why);
    else
        printf("%-24s %8ld  %s\n", name, pid, order->done);
}

/* ---- the command ---- */

static json_t *read_fleet(const struct order *order)
{
    char path[PATH_MAX] = DEFAULT_FLEET;
    const char *dir = getenv("FLOTILLA_STATE_DIR");
    json_error_t error;
    if (order->options->fleet)
        snprintf(path, sizeof path, "%s", order->options->fleet);
    else if (dir && *dir)
        snprintf(path, sizeof path, "%s" DEFAULT_FLEET_NAME, dir);
    json_t *fleet = json_load_file(path, 0, &error);
    if (!fleet)
        fprintf(
            stderr,
            "flotilla %s: no fleet: %s cannot be read; --fleet names the fleet.json of a running "
            "one. Elsewhere send the signal yourself, e.g. kubectl exec POD -- kill -%s 1\n",
            order->command, path, order->signal == SIGTSTP ? "TSTP" : "CONT");
    return fleet;
}

static int run(struct order *order)
{
    json_t *fleet = read_fleet(order), *process;
    size_t i;
    if (!fleet)
        return FLO_EXIT_NO_INPUT;
    order->answers = json_array();
    order->supervisor = (long)json_integer_value(json_object_get(fleet, "pid"));
    json_array_foreach(json_object_get(fleet, "processes"), i, process) tell(order, process);
    int exit_code = order->failed ? FLO_EXIT_REFUSED : 0;
    for (int k = 0; k < order->options->operand_count && k < OPERANDS_MAX; k++) {
        if (order->used[k])
            continue;
        fprintf(stderr, "flotilla %s: the fleet has no worker '%s'\n", order->command,
                order->options->operands[k]);
        exit_code = FLO_EXIT_NO_INPUT;
    }
    if (!exit_code && json_array_size(order->answers) == 0) {
        fprintf(stderr, "flotilla %s: the fleet has no workers\n", order->command);
        exit_code = FLO_EXIT_REFUSED;
    }
    if (order->options->json)
        cli_print_json(json_incref(order->answers));
    json_decref(order->answers);
    json_decref(fleet);
    return exit_code;
}

int cli_drain(const struct cli_options *options)
{
    struct order order = {.command = "drain",
                          .signal = SIGTSTP,
                          .done = "polls no more; what runs ends in its time",
                          .options = options};
    return run(&order);
}

int cli_resume(const struct cli_options *options)
{
    struct order order = {
        .command = "resume", .signal = SIGCONT, .done = "polls again", .options = options};
    return run(&order);
}
