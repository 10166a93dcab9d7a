/* SPDX-License-Identifier: Apache-2.0 */
/* care.c - the commands for a database: their arguments, and what they say. */
#include "engine/care.h"

#include <stdio.h>
#include <string.h>

#include "config/cmdline.h"
#include "config/schema.h"
#include "engine/store/care.h"

#define PROGRAM "flotilla-engine"

static void say_damage(void *ctx, const char *sentence)
{
    (void)ctx;
    printf("damage: %s\n", sentence);
}

static void say_report(const char *what, const char *path, const struct flo_store_report *report)
{
    printf("%s %s: commit %llu, %llu namespaces, %llu workflow runs (%llu open), %llu history "
           "batches, %llu damages\n",
           what, path, (unsigned long long)report->commit_seq,
           (unsigned long long)report->namespaces, (unsigned long long)report->runs,
           (unsigned long long)report->open_runs, (unsigned long long)report->batches,
           (unsigned long long)report->damages);
}

static int fail(const char *command, int error, const struct flo_err *err)
{
    fprintf(stderr, PROGRAM " %s: %s\n", command, err->message);
    return error == FLO_EFULL ? FLO_EXIT_IO : flo_exit_code(error);
}

static int check(char **operands)
{
    struct flo_store_report report = {0};
    struct flo_err err = {0};
    int rc = flo_store_check(operands[0], say_damage, NULL, &report, &err);
    if (rc)
        return fail("check", rc, &err);
    say_report("checked", operands[0], &report);
    return report.damages ? FLO_EXIT_DATA : FLO_EXIT_OK;
}

static int backup(char **operands)
{
    struct flo_store_report report = {0};
    struct flo_err err = {0};
    int rc = flo_store_backup(operands[0], operands[1], say_damage, NULL, &report, &err);
    if (rc)
        return fail("backup", rc, &err);
    say_report("backed up to", operands[1], &report);
    return FLO_EXIT_OK;
}

static int compact(char **operands)
{
    uint64_t before = 0, after = 0;
    struct flo_err err = {0};
    int rc = flo_store_compact(operands[0], &before, &after, &err);
    if (rc)
        return fail("compact", rc, &err);
    printf("compacted %s: %llu bytes, %llu before\n", operands[0], (unsigned long long)after,
           (unsigned long long)before);
    return FLO_EXIT_OK;
}

/* Is the first argument neither an option nor a port, and no command? Then it is said. */
static bool is_unknown_word(int argc, char **argv, int *out_exit)
{
    static const char *const words[] = {"backup", "check", "compact", "server"};
    if (argc < 2 || *argv[1] == '-' || !argv[1][strspn(argv[1], "0123456789")])
        return false;
    const char *second = argc > 2 ? argv[2] : "";
    if (strcmp(argv[1], "server") != 0) {
        const char *near = flo_did_you_mean(argv[1], words, sizeof words / sizeof *words);
        fprintf(stderr, PROGRAM ": unknown command '%.64s'; %s%s%s\n", argv[1],
                near ? "did you mean " : "--help lists what there is", near ? near : "",
                near ? "?" : "");
    } else if (strcmp(second, "start-dev") == 0) {
        return false;
    } else if (*second && *second != '-') {
        fprintf(stderr,
                PROGRAM ": unknown command 'server %.64s'; did you mean server start-dev?\n",
                second);
    } else {
        fprintf(stderr, "usage: " PROGRAM " server start-dev [OPTION ...]; --help behind it lists "
                        "the options\n");
    }
    *out_exit = FLO_EXIT_USAGE;
    return true;
}

bool flo_engine_care(int argc, char **argv, int *out_exit)
{
    static const struct {
        struct flo_cmdline_spec spec;
        int operands;
        int (*run)(char **operands);
    } commands[] = {
        {{.program = PROGRAM " backup",
          .summary = "Copy a database, as it is at one moment, while an engine runs on it.",
          .positional = "DATABASE COPY",
          .epilog =
              "The copy is checked and synced before it gets its name; what is there is never "
              "replaced.\nAn engine can be started on it. Exit codes: 65 damaged, 73 COPY "
              "exists, 74 the disk failed."},
         2,
         backup},
        {{.program = PROGRAM " check",
          .summary = "Look at every checksum and every history of a database; an engine may run.",
          .positional = "DATABASE",
          .epilog = "One line for each damage. Exit codes: 0 it is whole, 65 it is not."},
         1,
         check},
        {{.program = PROGRAM " compact",
          .summary = "Write a database anew without its free pages; no engine may run on it.",
          .positional = "DATABASE",
          .epilog =
              "It needs as much free space as the database. Exit codes: 73 in use, 74 the disk "
              "failed or is full."},
         1,
         compact},
    };
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        const char *name = strrchr(commands[i].spec.program, ' ') + 1;
        struct flo_cmdline cmdline;
        if (strcmp(argv[1], name) != 0)
            continue;
        if (!flo_cmdline_parse(&commands[i].spec, argc - 1, argv + 1, &cmdline, out_exit))
            return true;
        if (cmdline.operand_count == commands[i].operands) {
            *out_exit = commands[i].run(cmdline.operands);
        } else {
            fprintf(stderr, "usage: %s %s\n", commands[i].spec.program,
                    commands[i].spec.positional);
            *out_exit = FLO_EXIT_USAGE;
        }
        return true;
    }
    return is_unknown_word(argc, argv, out_exit);
}
