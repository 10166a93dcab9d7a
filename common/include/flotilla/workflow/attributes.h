/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow/attributes.h - what an execution tells those who look for it: search attributes (typed,
 * indexed by the server, for queries such as "CustomerId = '42'") and the memo (any JSON, shown and
 * never searched). Include flotilla/workflow.h.
 *
 *     rc = flo_search_attributes_upsert(
 *         wf, FLO_ATTRIBUTES(FLO_KEYWORD("CustomerId", "42"), FLO_INT("Items", 3)));
 *
 * The server must know an attribute by its name and type before one is set; one that it does not
 * know fails the workflow task, until it does.
 */
#ifndef FLOTILLA_WORKFLOW_ATTRIBUTES_H
#define FLOTILLA_WORKFLOW_ATTRIBUTES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/workflow/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum flo_attribute_kind {
    FLO_ATTRIBUTE_KEYWORD = 0,  /* text, compared whole */
    FLO_ATTRIBUTE_TEXT,         /* text, searched word by word */
    FLO_ATTRIBUTE_INT,          /* integer */
    FLO_ATTRIBUTE_DOUBLE,       /* number */
    FLO_ATTRIBUTE_BOOL,         /* truth */
    FLO_ATTRIBUTE_DATETIME,     /* time_ms */
    FLO_ATTRIBUTE_KEYWORD_LIST, /* list */
};

/* One search attribute; the member that its kind names holds the value. The macros below make
 * them. A list of them ends with one whose name is NULL: FLO_ATTRIBUTES. */
struct flo_search_attribute {
    const char *name;
    enum flo_attribute_kind kind;
    bool unset; /* take it away; the value does not matter */
    const char *text;
    int64_t integer;
    double number;
    bool truth;
    int64_t time_ms;         /* milliseconds since 1970 */
    const char *const *list; /* ends with NULL */
};

#define FLO_ATTRIBUTE(attribute, of_kind, member, value)                                           \
    {                                                                                              \
        .name = (attribute), .kind = (of_kind), .member = (value)                                  \
    }
#define FLO_KEYWORD(name, value) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_KEYWORD, text, value)
#define FLO_TEXT(name, value) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_TEXT, text, value)
#define FLO_INT(name, value) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_INT, integer, value)
#define FLO_DOUBLE(name, value) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_DOUBLE, number, value)
#define FLO_BOOL(name, value) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_BOOL, truth, value)
#define FLO_DATETIME(name, ms) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_DATETIME, time_ms, ms)
/* list: a NULL-terminated array of strings. */
#define FLO_KEYWORDS(name, list_of) FLO_ATTRIBUTE(name, FLO_ATTRIBUTE_KEYWORD_LIST, list, list_of)
/* Take it away. */
#define FLO_UNSET(attribute)                                                                       \
    {                                                                                              \
        .name = (attribute), .unset = true                                                         \
    }
/* A list of attributes with its end, for calls and for options. */
#define FLO_ATTRIBUTES(...) ((const struct flo_search_attribute[]){__VA_ARGS__, {.name = NULL}})

/*
 * Set some of this execution's search attributes and take others away; the rest stays as it is.
 * Read back at once, visible to others when the workflow task is answered. attributes is borrowed.
 * 0; FLO_EINVAL with a failure on wf: no attribute at all, one without a name or a value, a text
 * that is no UTF-8, or TemporalChangeVersion, which belongs to flo_patched. When memory is out the
 * run is dropped at the next wait.
 */
FLO_API int flo_search_attributes_upsert(struct flo_workflow *wf,
                                         const struct flo_search_attribute *attributes);
/*
 * The current value of one: what the execution was started with, as changed since by this code.
 * false: it has none. What *out points to stays until the attribute is changed.
 *
 *     struct flo_search_attribute items;
 *     if (flo_search_attribute_get(wf, "Items", &items) && items.kind == FLO_ATTRIBUTE_INT)
 *         count = items.integer;
 */
FLO_API bool flo_search_attribute_get(struct flo_workflow *wf, const char *name,
                                      struct flo_search_attribute *out);

/*
 * Change the memo: each member of changes is set, one that is JSON null is taken away.
 *
 *     json_t *changes = json_pack("{s:s, s:n}", "stage", "shipping", "warning");
 *     rc = flo_memo_upsert(wf, changes);
 *     json_decref(changes);
 *
 * 0; FLO_EINVAL with a failure on wf: changes is no object with a member. changes is borrowed.
 */
FLO_API int flo_memo_upsert(struct flo_workflow *wf, json_t *changes);
/* The memo's value of that name, borrowed until the memo changes; NULL when there is none.
 *
 *     const char *stage = json_string_value(flo_memo_get(wf, "stage"));
 */
FLO_API json_t *flo_memo_get(struct flo_workflow *wf, const char *name);

#ifndef FLO_NO_CALL_SITES
#define flo_search_attributes_upsert(wf, ...)                                                      \
    flo_search_attributes_upsert(FLO_HERE(wf), __VA_ARGS__)
#define flo_memo_upsert(wf, ...) flo_memo_upsert(FLO_HERE(wf), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
