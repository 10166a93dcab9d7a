/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_code.h - how every program of the project ends, and which error ends it so. The numbers are
 * those of sysexits.h where it has one; docs/configuration.md lists them for people.
 */
#ifndef FLO_CONFIG_EXIT_CODE_H
#define FLO_CONFIG_EXIT_CODE_H

/* FLO_EXIT_CODES(X): X(name, code). */
#define FLO_EXIT_CODES(X)                                                                          \
    X(OK, 0)                                                                                       \
    X(REFUSED, 1)         /* the server refused the call, or the workflow failed */                \
    X(USAGE, 64)          /* the command line is wrong */                                          \
    X(DATA, 65)           /* stored data is damaged */                                             \
    X(NO_INPUT, 66)       /* a file is not there */                                                \
    X(UNAVAILABLE, 69)    /* the server cannot be reached */                                       \
    X(INTERNAL, 70)       /* out of memory, or a mistake of ours */                                \
    X(SYSTEM, 71)         /* a system call failed that should not */                               \
    X(CANNOT_OPEN, 73)    /* a port, or the database, is in use */                                 \
    X(IO, 74)             /* the disk fails */                                                     \
    X(ABANDONED, 75)      /* not all ended in time: a process, the answer of a task */             \
    X(NO_PERMISSION, 77)  /* a file may not be read, or others may write it */                     \
    X(CONFIG, 78)         /* the configuration is not good */                                      \
    X(SECOND_SIGNAL, 130) /* told to stop twice: stopped at once */

enum flo_exit {
#define FLO_EXIT_ENUM(name, code) FLO_EXIT_##name = (code),
    FLO_EXIT_CODES(FLO_EXIT_ENUM)
#undef FLO_EXIT_ENUM
};

/* FLO_EXIT_OF_ERROR(X): X(error, exit name); every other error is INTERNAL. */
#define FLO_EXIT_OF_ERROR(X)                                                                       \
    X(FLO_EINVAL, USAGE)                                                                           \
    X(FLO_EDATA, DATA)                                                                             \
    X(FLO_ENOENT, NO_INPUT)                                                                        \
    X(FLO_ESYS, SYSTEM)                                                                            \
    X(FLO_ECONN, CANNOT_OPEN)                                                                      \
    X(FLO_EEXIST, CANNOT_OPEN)                                                                     \
    X(FLO_EIO, IO)                                                                                 \
    X(FLO_EPERM, NO_PERMISSION)                                                                    \
    X(FLO_ECONFIG, CONFIG)

/* The exit code of a program that ends for a FLO_E code; FLO_EXIT_OK for 0. */
int flo_exit_code(int error);

#endif
