/* SPDX-License-Identifier: Apache-2.0 */
/* transitions.c - writes down which transitions of lifecycles a test takes. */
#include "support/transitions.h"

#ifndef NDEBUG
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workflow/machines/machine.h"

#define TABLES_MAX 64
#define STATES_MAX 32

static pthread_mutex_t note_mu = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const struct flo_machine_state *table;
    uint32_t taken[STATES_MAX]; /* by state: bit n: n has followed */
} seen[TABLES_MAX];             /* guarded by note_mu */

static void note(int fd, const char *verb, const char *file, const struct flo_machine_state *table,
                 unsigned from, unsigned to)
{
    char line[256];
    const char *name = strrchr(file, '/');
    int len = snprintf(line, sizeof line, "%s %s %s %s\n", verb, name ? name + 1 : file,
                       table[from].name, table[to].name);
    if (write(fd, line, (size_t)len) != len) /* one write: lines of processes do not mix */
        abort();
}

/* What the table allows, from the states that its first one leads to. */
static void note_table(int fd, const char *file, const struct flo_machine_state *table)
{
    uint32_t reached = 1, told = 0;
    while (reached != told) {
        unsigned from = (unsigned)__builtin_ctz(reached & ~told);
        told |= FLO_STATE_BIT(from);
        reached |= table[from].next;
        for (unsigned to = 0; to < STATES_MAX; to++) {
            if (table[from].next & FLO_STATE_BIT(to))
                note(fd, "may", file, table, from, to);
        }
    }
}

static void watch(const struct flo_machine *machine, unsigned state, const char *file)
{
    const struct flo_machine_state *table = machine->table;
    const char *path = getenv("FLOTILLA_TRANSITIONS");
    size_t i = 0;
    if (!path || !*path || !(table[machine->state].next & FLO_STATE_BIT(state)))
        return;
    pthread_mutex_lock(&note_mu);
    while (i < TABLES_MAX - 1 && seen[i].table && seen[i].table != table)
        i++;
    bool first = seen[i].table != table;
    if (first || !(seen[i].taken[machine->state] & FLO_STATE_BIT(state))) {
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0 && first)
            note_table(fd, file, table);
        seen[i].table = table;
        seen[i].taken[machine->state] |= FLO_STATE_BIT(state);
        if (fd >= 0) {
            note(fd, "did", file, table, machine->state, state);
            close(fd);
        }
    }
    pthread_mutex_unlock(&note_mu);
}

void transitions_watch(void)
{
    flo_machine_watch = watch;
}
#else
void transitions_watch(void)
{
}
#endif
