/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - flotilla-supervisor: see supervisor.h. */
#include "supervisor/supervisor.h"

int main(int argc, char **argv)
{
    return flo_supervisor_main(argc, argv, false);
}
