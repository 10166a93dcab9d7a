/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - what fetch.c and the HTTP plugin say to each other. */
#ifndef DOCUMENT_FETCH_H
#define DOCUMENT_FETCH_H

#include <stdbool.h>
#include <stddef.h>

enum fetch_outcome {
    FETCH_OK,
    FETCH_NOT_FOUND, /* there is no such document: no use trying again */
    FETCH_REFUSED,   /* the server will not give it: no use trying again */
    FETCH_TOO_LARGE,
    FETCH_FAILED,  /* may work later */
    FETCH_STOPPED, /* keep_going said so */
};

struct fetched {
    char *data; /* malloc'ed */
    size_t len;
    char content_type[128]; /* "" when unknown */
    char reason[256];       /* a sentence when the outcome is not FETCH_OK */
};

/* The plugin's one function: GET url; keep_going(ctx) is asked while it goes on. */
typedef enum fetch_outcome (*fetch_http_fn)(const char *url, size_t max_bytes,
                                            bool (*keep_going)(void *ctx), void *ctx,
                                            struct fetched *out);

#endif
