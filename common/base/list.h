/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - intrusive doubly linked list: the node sits inside the element, so linking never
 * allocates. A node that is on no list has next == NULL (call flo_node_init once); which list an
 * element is on is its state (see docs/architecture.md, "state name = list").
 */
#ifndef FLO_BASE_LIST_H
#define FLO_BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct flo_node {
    struct flo_node *prev, *next;
};

struct flo_list {
    struct flo_node head; /* head.next is the first element, head.prev the last */
    size_t count;
};

/* The element that holds node as its member. */
#define flo_container(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): node is a name that is declared */
#define FLO_LIST_FOREACH(node, list)                                                               \
    for (struct flo_node *node = (list)->head.next; node != &(list)->head; node = node->next)

/* As above; the current node may be removed. */
#define FLO_LIST_FOREACH_SAFE(node, list)                                                          \
    for (struct flo_node *node = (list)->head.next, *node##_next = node->next;                     \
         node != &(list)->head; node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void flo_node_init(struct flo_node *node)
{
    node->prev = node->next = NULL;
}

static inline bool flo_node_linked(const struct flo_node *node)
{
    return node->next != NULL;
}

static inline void flo_list_init(struct flo_list *list)
{
    list->head.prev = list->head.next = &list->head;
    list->count = 0;
}

static inline bool flo_list_empty(const struct flo_list *list)
{
    return list->count == 0;
}

static inline void flo_list_insert_before(struct flo_list *list, struct flo_node *at,
                                          struct flo_node *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
    list->count++;
}

static inline void flo_list_push_back(struct flo_list *list, struct flo_node *node)
{
    flo_list_insert_before(list, &list->head, node);
}

static inline void flo_list_push_front(struct flo_list *list, struct flo_node *node)
{
    flo_list_insert_before(list, list->head.next, node);
}

static inline void flo_list_remove(struct flo_list *list, struct flo_node *node)
{
    assert(node->prev && node->next);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    flo_node_init(node);
    list->count--;
}

/* Put all of from, which is empty then, behind what to holds. */
static inline void flo_list_move_all(struct flo_list *to, struct flo_list *from)
{
    if (flo_list_empty(from))
        return;
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    to->count += from->count;
    flo_list_init(from);
}

/* The first node, or NULL. */
static inline struct flo_node *flo_list_first(const struct flo_list *list)
{
    return list->count ? list->head.next : NULL;
}

/* Remove and return the first node, or NULL. */
static inline struct flo_node *flo_list_pop_front(struct flo_list *list)
{
    struct flo_node *node = flo_list_first(list);
    if (node)
        flo_list_remove(list, node);
    return node;
}

#endif
