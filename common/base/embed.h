/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed.h - a file of the build as bytes of the executable: FLO_EMBED(name, "path"), at file level,
 * declares name[] and name_end[] (a NUL stands behind the last byte). The file that uses it should
 * name the path in OBJECT_DEPENDS, so that it is compiled anew when the file changes.
 */
#ifndef FLO_BASE_EMBED_H
#define FLO_BASE_EMBED_H

/* clang-format off */
#define FLO_EMBED(name, path)                                                                      \
    __asm__(".section .rodata\n"                                                                   \
            ".type " #name ", @object\n"                                                           \
            #name ":\n"                                                                            \
            ".incbin \"" path "\"\n"                                                               \
            #name "_end:\n"                                                                        \
            ".size " #name ", . - " #name "\n"                                                     \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char name[], name##_end[]
/* clang-format on */

#endif
