/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - what every program does first, and the few facts about itself that it tells others.
 */
#ifndef FLO_CONFIG_PROCESS_H
#define FLO_CONFIG_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

/*
 * First call of main: descriptors 0-2 that were closed are opened on /dev/null (so that no socket
 * or database ever becomes stderr), SIGPIPE and SIGXFSZ are ignored, umask 077, jansson's hash is
 * seeded. Single-threaded.
 */
void flo_process_init(void);

/* Give memory back that only the start needed: free heap pages, and the resident pages of program
 * text (they come back from the page cache when used). Call once, when the start is over. Any
 * thread; other threads may run. */
void flo_process_trim(void);

/* "PROGRAM: WHAT listening on ADDRESS" as one line on stdout, flushed: how the process manager and
 * scripts learn a port that the kernel chose. */
void flo_process_announce(const char *program, const char *what, const char *address);
/* The line's other end: true when line is an announcement; what and address are cut out of it. */
bool flo_process_parse_announcement(const char *line, char *out_what, size_t what_size,
                                    char *out_address, size_t address_size);

/* The folder of the running executable, without a slash at the end. FLO_ESYS. */
FLO_MUST_CHECK int flo_process_exe_dir(char *out, size_t size, struct flo_err *err);
/* "pid@host@task_queue", a worker's default identity; out holds 300 bytes. */
void flo_process_default_identity(const char *task_queue, char *out, size_t size);
/* The version that --version prints, "0.1.0". Static. */
const char *flo_version(void);

#endif
