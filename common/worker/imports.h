/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imports.h - what a module takes from the C library, against what workflows may use. A workflow
 * that asks the machine for anything (its clock, a file, a random number) gets another answer when
 * it is replayed elsewhere; most such code shows in the module's undefined dynamic symbols.
 */
#ifndef FLO_WORKER_IMPORTS_H
#define FLO_WORKER_IMPORTS_H

#include <stdbool.h>

#include "flotilla/error.h"

/*
 * Look through what the loaded module (a handle of dlopen) imports. FLO_ECONFIG when there is
 * something that no workflow may use, with the sentence "module PATH imports time (use
 * flo_workflow_now_ms), rand (...)"; mixed: the module has activities, too, and the sentence says
 * what to do about those. What its own libraries import is not looked at.
 */
FLO_MUST_CHECK int flo_imports_check(void *handle, const char *path, bool mixed,
                                     struct flo_err *err);
/* What a workflow is to use in place of the C library's function name; NULL: it may be used. */
const char *flo_imports_instead(const char *name);

#endif
