/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - `flotilla fleet`: sees and steers the processes of a fleet through its supervisor. */
#include "cli/fleet.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"

const char *cli_fleet_help(void)
{
    return "commands:\n"
           "  ls                 all processes, a line each\n"
           "  inspect WHOM       all that is known of some\n"
           "  events             what happened; -f: and what happens\n"
           "  drain WHOM         finish what runs, then end (as SIGTERM); 'flotilla drain' is "
           "quiet\n"
           "  quiet WHOM         take no more tasks, but stay\n"
           "  resume WHOM        and take tasks again\n"
           "  resize WHOM        --slots N [--kind KIND] [--task-queue NAME], or --executors N\n"
           "  pollers WHOM       --polls N, or --min N --max N; [--task-queue NAME]\n"
           "  loglevel WHOM      --level LEVEL\n"
           "  reload WHOM        read their configuration again\n"
           "  dump WHOM          their state as JSON\n"
           "  profile WHOM       where their CPU time goes: folded stacks, or --svg\n"
           "Commands other than the first three need the supervisor's token.\n"
           "WHOM: a process's name, identity or boot id, a worker of fleet.yaml, a role, or all.\n"
           "A local fleet starts what was drained again: 'flotilla scale' makes fewer.\n\n"
           "exit codes: 0 all did it; 1 some did not (profile: or nothing ran, no file is "
           "written); 64 "
           "usage;\n66 nobody has that name; 69 no supervisor; 77 no token, or the wrong one\n";
}

static int send_plain(struct cli_fleet *fleet)
{
    return cli_fleet_send(fleet, NULL);
}

static const struct verb {
    const char *name;
    bool targets; /* it asks for some */
    int (*run)(struct cli_fleet *fleet);
} verbs[] = {
    {"ls", false, cli_fleet_ls},
    {"inspect", true, cli_fleet_inspect},
    {"events", false, cli_fleet_events},
    {"drain", true, send_plain},
    {"quiet", true, send_plain},
    {"resume", true, send_plain},
    {"resize", true, cli_fleet_resize},
    {"pollers", true, cli_fleet_pollers},
    {"loglevel", true, cli_fleet_loglevel},
    {"reload", true, send_plain},
    {"dump", true, send_plain},
    {"profile", true, cli_fleet_profile},
};
#define VERB_COUNT (sizeof verbs / sizeof *verbs)

int cli_fleet_fail(const struct cli_fleet *fleet, const struct flo_err *err)
{
    int exit_code = cli_supervisor_fail(&fleet->supervisor, err);
    /* EINVAL: an argument that the supervisor does not take */
    return err->code == FLO_EINVAL ? FLO_EXIT_USAGE : exit_code;
}

void cli_fleet_put_json(const struct cli_fleet *fleet, json_t *value, const char *name)
{
    size_t i;
    json_t *item;
    if (!fleet->options->jsonl) {
        cli_print_json(value);
        return;
    }
    json_array_foreach(json_object_get(value, name), i, item)
    {
        json_dumpf(item, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(value);
}

static const struct verb *find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int unknown(const char *word)
{
    const char *names[VERB_COUNT];
    for (size_t i = 0; i < VERB_COUNT; i++)
        names[i] = verbs[i].name;
    const char *near = word ? cli_nearest(word, names, VERB_COUNT) : NULL;
    if (near)
        fprintf(stderr, "flotilla fleet: unknown command '%s'; did you mean %s?\n", word, near);
    else if (word)
        fprintf(stderr,
                "flotilla fleet: unknown command '%s'; 'flotilla fleet --help' lists them\n", word);
    else
        fprintf(stderr,
                "flotilla fleet: say what to do: ls, inspect, events, drain, quiet, resume, "
                "resize, pollers, loglevel, reload, dump or profile\n");
    return FLO_EXIT_USAGE;
}

int cli_fleet(const struct cli_options *options)
{
    const char *word = options->operand_count ? options->operands[0] : NULL;
    const struct verb *verb = word ? find(word) : NULL;
    struct cli_fleet fleet = {.options = options};
    struct flo_err err = {0};
    if (!verb)
        return unknown(word);
    fleet.verb = verb->name;
    fleet.targets = options->operands + 1;
    fleet.target_count = options->operand_count - 1;
    snprintf(fleet.command, sizeof fleet.command, "fleet %s", verb->name);
    if (verb->targets && !fleet.target_count) {
        fprintf(stderr,
                "flotilla %s: say whom: a name, identity, boot id or role, or all ('flotilla fleet "
                "ls' lists them)\n",
                fleet.command);
        return FLO_EXIT_USAGE;
    }
    if (!verb->targets && fleet.target_count) {
        fprintf(stderr, "flotilla %s: unexpected argument '%s'\n", fleet.command, fleet.targets[0]);
        return FLO_EXIT_USAGE;
    }
    if (cli_supervisor_find(fleet.command, options, &fleet.supervisor, &err)) {
        fprintf(stderr, "flotilla %s: %s\n", fleet.command, err.message);
        return FLO_EXIT_UNAVAILABLE;
    }
    return verb->run(&fleet);
}
