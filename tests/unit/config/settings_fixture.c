/* SPDX-License-Identifier: Apache-2.0 */
/* settings_fixture.c - see settings_fixture.h. */
#include "settings_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/flo-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->file, sizeof f->file, "%s/w.yaml", f->dir);
    assert_int_equal(chdir(f->dir), 0);
    f->cmdline.config = "w.yaml";
    *state = f;
    return 0;
}

int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->file);
    unlink("key");
    assert_int_equal(chdir("/"), 0);
    rmdir(f->dir);
    free(f);
    return 0;
}

void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

void set(struct fixture *f, const char *assignment)
{
    f->cmdline.sets[f->cmdline.set_count++] = assignment;
}

struct flo_role_config *load(struct fixture *f, enum flo_role role, const char *text)
{
    write_file("w.yaml", text, 0600);
    struct flo_role_config *config = NULL;
    int rc = flo_role_config_load(role, &f->cmdline, &config, &f->err);
    if (rc)
        print_error("%s\n", f->err.message);
    assert_int_equal(rc, 0);
    return config;
}

void assert_refused(struct fixture *f, const char *text, const char *message)
{
    char full[4096];
    snprintf(full, sizeof full, "task_queue: q\n%s", text);
    write_file("w.yaml", full, 0600);
    struct flo_role_config *config = NULL;
    assert_int_equal(flo_role_config_load(FLO_ROLE_IO_ACTIVITY, &f->cmdline, &config, &f->err),
                     FLO_ECONFIG);
    assert_null(config);
    assert_string_equal(f->err.message, message);
}

static void clear_variables(const struct flo_setting *table, size_t count)
{
    char name[64];
    for (size_t i = 0; i < count; i++) {
        for (const char *p = table[i].env; p && *p;) {
            size_t len = strcspn(p, " ");
            snprintf(name, sizeof name, "%.*s", (int)len, p);
            unsetenv(name);
            p += len + strspn(p + len, " ");
        }
    }
}

void clear_environment(void)
{
    size_t count;
    const struct flo_setting *table = flo_role_settings(&count);
    clear_variables(table, count);
    table = flo_fleet_settings(&count);
    clear_variables(table, count);
}
