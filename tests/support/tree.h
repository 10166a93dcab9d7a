/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - a folder of a test's own whose files stand in place of /proc and /sys. */
#ifndef FLO_TESTS_SUPPORT_TREE_H
#define FLO_TESTS_SUPPORT_TREE_H

#define TREE_ROOT_SIZE 64

/* Make an empty folder, and write its path to root. 0, as cmocka's set-up returns it, or -1. */
int tree_make(char root[TREE_ROOT_SIZE]);
/* Remove it with all that is in it, and wait for that. 0, or what rm ended with. */
int tree_remove(const char *root);
/* Write a file, by its path below root, with the folders above it. Fails the test. */
__attribute__((format(printf, 3, 4))) void tree_put(const char *root, const char *name,
                                                    const char *format, ...);

#endif
