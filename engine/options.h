/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - flotilla-engine's command line: its own options and those of `temporal server
 * start-dev`, in one table. `flotilla-engine server start-dev ...` takes the same options; only
 * some defaults are another: a page on --port + 1000, log level warn, and the lines on stdout that
 * people know from Temporal's dev server instead of ours.
 */
#ifndef FLO_ENGINE_OPTIONS_H
#define FLO_ENGINE_OPTIONS_H

#include <stdbool.h>

#include "engine/shell.h"
#include "flotilla/error.h"
#include "telemetry/log.h"

struct flo_engine_options {
    struct flo_shell_options shell;
    enum flo_log_level log_level;
    enum flo_log_format log_format;
    /* What shell's strings point to; heap. */
    char *listen, *http_listen, *metrics_listen, *namespaces, *search_attributes;
};

/* Read argv, which must outlive *out. True: go on, and flo_engine_options_fini in the end. False:
 * the program ends with *out_exit; what there is to say has been written. */
FLO_MUST_CHECK bool flo_engine_options_parse(int argc, char **argv, struct flo_engine_options *out,
                                             int *out_exit);
void flo_engine_options_fini(struct flo_engine_options *options);

/*
 * One --dynamic-config-value, KEY=JSON, as Temporal's dev server takes it. Keys that mean something
 * here are set in *options (docs/engine.md lists them); others are fine and change nothing:
 * *out_known is false. FLO_EINVAL: no key, no JSON, a value of a wrong type; with a sentence.
 */
FLO_MUST_CHECK int flo_engine_dynamic_value(struct flo_shell_options *options, const char *text,
                                            bool *out_known, struct flo_err *err);
/* The key that was probably meant by one that is not known, of KEY=JSON, or NULL. */
const char *flo_engine_dynamic_near(const char *text);

#endif
