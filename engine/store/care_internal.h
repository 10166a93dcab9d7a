/* SPDX-License-Identifier: Apache-2.0 */
/* care_internal.h - what check.c and backup.c share. */
#ifndef FLO_ENGINE_STORE_CARE_INTERNAL_H
#define FLO_ENGINE_STORE_CARE_INTERNAL_H

#include "base/arena.h"
#include "engine/store/care.h"
#include "engine/store/internal.h"

/* A database that is looked at, in one read transaction. */
struct flo_store_look {
    flo_store_damage_fn fn; /* set these two; the rest 0 */
    void *ctx;
    struct flo_store_connection connection;
    struct flo_arena arena; /* of the row being looked at */
    uint64_t mark;          /* what FILE.mark said before the transaction began; 0: nothing */
    int version;            /* of the schema */
    struct flo_store_report report;
};

/* Begin; errors of flo_store_check. */
FLO_MUST_CHECK int flo_store_look_open(struct flo_store_look *look, const char *path,
                                       struct flo_err *err);
/* Look at everything. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_store_look_through(struct flo_store_look *look, struct flo_err *err);
void flo_store_look_close(struct flo_store_look *look);

#endif
