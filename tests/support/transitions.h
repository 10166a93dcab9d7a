/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transitions.h - which transitions of the runtime's lifecycles do tests take? In builds with
 * assertions each is written down once a process, behind those that its table allows, in the file
 * that FLOTILLA_TRANSITIONS names (not set: not at all).
 */
#ifndef FLO_TESTS_SUPPORT_TRANSITIONS_H
#define FLO_TESTS_SUPPORT_TRANSITIONS_H

/* From now on. Before the first run of the process. */
void transitions_watch(void);

#endif
