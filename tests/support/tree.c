/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - see tree.h. */
#include "support/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/cmocka_env.h"

int tree_make(char root[TREE_ROOT_SIZE])
{
    snprintf(root, TREE_ROOT_SIZE, "/tmp/flotilla-tree-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

int tree_remove(const char *root)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0) {
        execlp("rm", "rm", "-rf", root, (char *)NULL);
        _exit(1);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

void tree_put(const char *root, const char *name, const char *format, ...)
{
    char path[512], folder[512];
    struct flo_err err = {0};
    va_list args;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", root, name);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(flo_file_make_folders(folder, &err), 0);
    file = fopen(path, "w");
    assert_non_null(file);
    va_start(args, format);
    assert_true(vfprintf(file, format, args) >= 0);
    va_end(args);
    assert_int_equal(fclose(file), 0);
}
