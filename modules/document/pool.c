/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - a bounded pool of database connections; the newest idle one is used first. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index.h"

struct index_pool {
    pthread_mutex_t mu;
    pthread_cond_t returned; /* a connection came back or was closed */
    char *database;
    unsigned size, overflow;
    unsigned open;                 /* guarded by mu: idle and taken */
    unsigned idle_count;           /* guarded by mu */
    struct index_connection *idle; /* guarded by mu; [size] */
};

int index_pool_new(const char *database, unsigned size, unsigned overflow,
                   struct index_pool **out_pool, struct flo_err *err)
{
    struct index_pool *pool = calloc(1, sizeof *pool);
    if (pool) {
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&pool->mu, NULL);
        pthread_cond_init(&pool->returned, &attr);
        pthread_condattr_destroy(&attr);
        pool->size = size;
        pool->overflow = overflow;
        pool->idle_count = 0;
        pool->database = strdup(database);
        pool->idle = calloc(size, sizeof *pool->idle);
    }
    if (!pool || !pool->database || !pool->idle) {
        index_pool_destroy(&pool);
        return flo_fail(err, FLO_ENOMEM, "no memory for a pool of %u connections", size);
    }
    *out_pool = pool;
    return 0;
}

void index_pool_destroy(struct index_pool **pool)
{
    if (!*pool)
        return;
    for (unsigned i = 0; i < (*pool)->idle_count; i++)
        (*pool)->idle[i].backend->close((*pool)->idle[i].handle);
    pthread_cond_destroy(&(*pool)->returned);
    pthread_mutex_destroy(&(*pool)->mu);
    free((*pool)->idle);
    free((*pool)->database);
    free(*pool);
    *pool = NULL;
}

static int open_one(struct index_pool *pool, struct index_connection *out, struct flo_err *err)
{
    struct index_connection connection = {.backend = index_backend_for(pool->database, err)};
    if (!connection.backend)
        return FLO_ESYS;
    int rc = connection.backend->open(pool->database, &connection.handle, err);
    if (rc == 0)
        *out = connection;
    return rc;
}

int index_pool_take(struct index_pool *pool, int64_t wait_ms, struct index_connection *out,
                    struct flo_err *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&pool->mu);
    while (pool->idle_count == 0 && pool->open >= pool->size + pool->overflow) {
        if (pthread_cond_timedwait(&pool->returned, &pool->mu, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&pool->mu);
            return flo_fail(err, FLO_ETIMEDOUT,
                            "no database connection within %lld ms: all %u are in use",
                            (long long)wait_ms, pool->size + pool->overflow);
        }
    }
    if (pool->idle_count) {
        *out = pool->idle[--pool->idle_count];
        pthread_mutex_unlock(&pool->mu);
        return 0;
    }
    pool->open++;
    pthread_mutex_unlock(&pool->mu);

    int rc = open_one(pool, out, err);
    if (rc) {
        pthread_mutex_lock(&pool->mu);
        pool->open--;
        pthread_cond_signal(&pool->returned);
        pthread_mutex_unlock(&pool->mu);
    }
    return rc;
}

void index_pool_give(struct index_pool *pool, struct index_connection connection, bool broken)
{
    pthread_mutex_lock(&pool->mu);
    bool keep = !broken && pool->idle_count < pool->size && pool->open <= pool->size;
    if (keep)
        pool->idle[pool->idle_count++] = connection;
    else
        pool->open--;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->mu);
    if (!keep)
        connection.backend->close(connection.handle);
}
