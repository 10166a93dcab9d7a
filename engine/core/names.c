/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - counted texts in a hash index. */
#include "engine/core/names.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

struct shared_name {
    struct flo_index_node node;
    size_t users;
    char text[];
};

const char *flo_names_get(struct flo_names *names, const char *text)
{
    const size_t len = strlen(text);
    const uint64_t hash = flo_hash(text, len);
    struct shared_name *name;
    for (struct flo_index_node *node = flo_index_first(&names->index, hash); node;
         node = flo_index_next(node)) {
        name = flo_container(node, struct shared_name, node);
        if (strcmp(name->text, text) == 0) {
            name->users++;
            return name->text;
        }
    }
    name = flo_malloc(sizeof *name + len + 1);
    if (!name)
        return NULL;
    name->users = 1;
    memcpy(name->text, text, len + 1);
    if (flo_index_add(&names->index, &name->node, hash)) {
        flo_free(name);
        return NULL;
    }
    return name->text;
}

void flo_names_put(struct flo_names *names, const char **pname)
{
    if (!*pname)
        return;
    struct shared_name *name = flo_container((uintptr_t)*pname, struct shared_name, text);
    *pname = NULL;
    if (--name->users > 0)
        return;
    flo_index_remove(&names->index, &name->node);
    flo_free(name);
}

void flo_names_fini(struct flo_names *names)
{
    assert(names->index.count == 0);
    flo_index_fini(&names->index);
}
