/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zeromq.c - loading libzmq; see zeromq.h. The functions are called through a table and not under
 * their own names, because <zmq.h> gives those default visibility: the library would find ours in
 * place of its own.
 */
#include "telemetry/zeromq.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBZMQ "libzmq.so.5"

static struct flo_zeromq real;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct flo_err load_err; /* code 0: loaded */

static void load(void)
{
    void *handle = dlopen(LIBZMQ, RTLD_NOW | RTLD_LOCAL); /* stays for the process's life */

    if (!handle) {
        flo_fail(&load_err, FLO_ESYS, "ZeroMQ does not load: %s", dlerror());
        return;
    }
#define LOOK_UP(name)                                                                              \
    *(void **)(void *)&real.name = dlsym(handle, "zmq_" #name);                                    \
    if (!real.name)                                                                                \
        flo_fail(&load_err, FLO_ESYS, "%s has no zmq_%s", LIBZMQ, #name);
    FLO_ZEROMQ_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
}

const struct flo_zeromq *flo_zeromq(struct flo_err *err)
{
    pthread_once(&once, load);
    if (!load_err.code)
        return &real;
    if (err)
        *err = load_err;
    return NULL;
}
