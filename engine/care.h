/* SPDX-License-Identifier: Apache-2.0 */
/* care.h - `flotilla-engine backup|check|compact`: what operators do with a database. */
#ifndef FLO_ENGINE_CARE_H
#define FLO_ENGINE_CARE_H

#include <stdbool.h>

/* Does argv name one of the three? Then it is done, and the program ends with *out_exit: 0; 65 for
 * damages; those of the engine for what else fails. A word that names nothing is said to, with 64.
 */
bool flo_engine_care(int argc, char **argv, int *out_exit);

#endif
