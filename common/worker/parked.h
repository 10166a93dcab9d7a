/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parked.h - what a worker knows of the quarantine: which inputs are parked, by the folder that it
 * watches, or in its own memory. For quarantine.c. Loop thread.
 */
#ifndef FLO_WORKER_PARKED_H
#define FLO_WORKER_PARKED_H

#include <jansson.h>

#include "base/map.h"
#include "quarantine/store.h"

struct event;
struct flo_worker;

/* A parked input; in memory only also one that counts. */
struct flo_parked_input {
    struct flo_parked_type *type;
    json_t *record; /* it stands in no file: NULL otherwise */
    bool parked;
    unsigned seen; /* the scan that saw it last */
};

/* How many of a type are parked. */
struct flo_parked_type {
    size_t parked;
    char name[];
};

struct flo_poison {
    struct flo_worker *worker;
    struct flo_quarantine_store *store; /* NULL: none that can be used */
    char *path;                         /* where it should be; NULL: nowhere */
    struct event *watch;                /* of inotify's descriptor */
    int inotify;                        /* or -1 */
    int64_t changed_ns;                 /* of the folder, when it was read */
    struct flo_map inputs;              /* id -> struct flo_parked_input */
    struct flo_map types;               /* type -> struct flo_parked_type; they stay */
    size_t parked;
    unsigned scan;
    bool warned; /* that counts are in memory */
};

/* Keep that an input is parked, or counts. record: NULL when it stands in a file, else kept. At the
 * bound one that only counts makes room; without room or memory it is not kept. */
void flo_parked_know(struct flo_poison *poison, const char *id, const char *type_name, bool parked,
                     json_t *record);
void flo_parked_forget(struct flo_poison *poison, const char *id);
/* Take over what a file says now; NULL: there is none, or none that can be read. */
void flo_parked_learn(struct flo_poison *poison, const char *id, const json_t *record);

/* Open the folder, read it and watch it; create: make it when it is missing. False with the
 * reason in err. */
bool flo_parked_open(struct flo_poison *poison, bool create, struct flo_err *err);
void flo_parked_close(struct flo_poison *poison);
/* Free what is known. */
void flo_parked_fini(struct flo_poison *poison);

#endif
