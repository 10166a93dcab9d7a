/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.c - shared objects beside this one that bring a heavy library (libcurl, libxml2, libpq)
 * along; loaded when first needed, so that an idle worker does not carry them.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "document.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* dlopen and dlerror, one at a time */

void *plugin_symbol(const char *name, const char *symbol, struct flo_err *err)
{
    Dl_info self;
    char path[4096];
    if (!dladdr(&mu, &self)) {
        flo_fail(err, FLO_ESYS, "cannot find the folder of the document module");
        return NULL;
    }
    const char *slash = strrchr(self.dli_fname, '/');
    int folder_len = slash ? (int)(slash - self.dli_fname) : 1;
    snprintf(path, sizeof path, "%.*s/%s.so", folder_len, slash ? self.dli_fname : ".", name);

    pthread_mutex_lock(&mu);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* counts; stays for the process's life */
    void *found = handle ? dlsym(handle, symbol) : NULL;
    if (!found)
        flo_fail(err, FLO_ESYS, "cannot load %s: %s", name, dlerror());
    pthread_mutex_unlock(&mu);
    return found;
}
