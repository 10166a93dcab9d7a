/* SPDX-License-Identifier: Apache-2.0 */
/* hang.c - a module that never finishes loading. */
#include <unistd.h>

__attribute__((constructor)) static void hang(void)
{
    for (;;)
        pause();
}
