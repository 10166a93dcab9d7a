/* SPDX-License-Identifier: Apache-2.0 */
/* settings_fixture.h - a test of settings: a folder of its own, with one worker's file in it. */
#ifndef TESTS_SETTINGS_FIXTURE_H
#define TESTS_SETTINGS_FIXTURE_H

#include <sys/stat.h>

#include "config/fleet_config.h"
#include "config/role_config.h"
#include "support/cmocka_env.h"

struct fixture {
    char dir[64];
    char file[96];
    struct flo_cmdline cmdline;
    struct flo_err err;
};

int setup(void **state);
int teardown(void **state);
void write_file(const char *path, const char *text, mode_t mode);
/* As --set ASSIGNMENT. */
void set(struct fixture *f, const char *assignment);
/* The configuration of a role whose file has this text; it must be good. */
struct flo_role_config *load(struct fixture *f, enum flo_role role, const char *text);
/* The IO worker refuses text (a task queue is put in front as line 1) with exactly this line. */
void assert_refused(struct fixture *f, const char *text, const char *message);
/* The tests set what they need: variables of the caller's shell must not reach them. */
void clear_environment(void);

#endif
