/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.c - bytes checked first, then libyaml's events turned into a tree.
 *
 * Two guards keep hostile files cheap: a scan of the bytes (encoding, control characters, unclosed
 * brackets) before libyaml sees them, and a depth check on each event, which stops libyaml early
 * because it scans lazily. Members of one map are few (1,024), so duplicates are found by looking.
 */
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"

#define BRACKETS_MAX 4096 /* in one file, wherever they stand */
#define MEMBERS_MAX 1024
#define KEY_MAX_BYTES 128
#define ARENA_MAX_BYTES ((size_t)32 * 1024 * 1024)

/* ---- the bytes ---- */

struct scan {
    const char *name;
    const unsigned char *text;
    size_t len;
    int line, column;
    struct flo_err *err;
};

static int refuse_byte(const struct scan *scan, const char *wrong)
{
    return flo_fail(scan->err, FLO_ECONFIG, "%s:%d:%d: %s", scan->name, scan->line, scan->column,
                    wrong);
}

/* Encoding and control characters; leaves line and column at the offence. */
static int scan_characters(struct scan *scan)
{
    if (scan->len >= 2 && ((scan->text[0] == 0xff && scan->text[1] == 0xfe) ||
                           (scan->text[0] == 0xfe && scan->text[1] == 0xff)))
        return refuse_byte(scan, "the file is UTF-16; UTF-8 is expected");
    for (size_t i = 0; i < scan->len; i++) {
        unsigned char c = scan->text[i];
        if (c == '\t')
            return refuse_byte(scan, "a tab; indent and separate with spaces");
        if (c == '\r' && (i + 1 == scan->len || scan->text[i + 1] != '\n'))
            return refuse_byte(scan, "a carriage return without a line feed");
        if ((c < 0x20 && c != '\n' && c != '\r') || c == 0x7f)
            return refuse_byte(scan, "a control character; UTF-8 text is expected");
        scan->column++;
        if (c == '\n') {
            scan->line++;
            scan->column = 1;
        }
    }
    if (!flo_utf8_valid(scan->text, scan->len)) {
        scan->line = scan->column = 1;
        size_t good = 0; /* the first line that is not UTF-8 */
        for (size_t i = 0; i < scan->len; i++) {
            if (scan->text[i] != '\n')
                continue;
            if (!flo_utf8_valid(scan->text + good, i - good))
                break;
            good = i + 1;
            scan->line++;
        }
        return refuse_byte(scan, "a byte that is not UTF-8");
    }
    return 0;
}

/* Unclosed brackets outside quotes and comments, as far as bytes can tell. */
static int scan_brackets(struct scan *scan)
{
    int depth = 0, brackets = 0;
    unsigned char quote = 0, before = '\n';
    scan->line = scan->column = 1;
    for (size_t i = 0; i < scan->len; i++, scan->column++) {
        unsigned char c = scan->text[i];
        if (c == '[' || c == '{') {
            if (++brackets > BRACKETS_MAX)
                return refuse_byte(scan, "too many brackets");
            depth += !quote;
        } else if ((c == ']' || c == '}') && !quote && depth > 0) {
            depth--;
        }
        if (depth > FLO_YAML_MAX_DEPTH)
            return refuse_byte(scan, "nested too deep; at most 16 levels are allowed");
        if (c == '\n') {
            scan->line++;
            scan->column = 0;
            quote = quote == '#' ? 0 : quote;
        } else if (quote) {
            if (quote == '"' && c == '\\' && i + 1 < scan->len && scan->text[i + 1] != '\n')
                i++;
            else if (c == quote && quote != '#')
                quote = 0;
        } else if (strchr(" \n[{,:", before) && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '#' && (before == ' ' || before == '\n')) {
            quote = '#';
        }
        before = c;
    }
    return 0;
}

/* ---- the tree ---- */

struct builder {
    yaml_parser_t parser;
    struct flo_yaml *yaml;
    struct flo_err *err;
    struct flo_yaml_node *open[FLO_YAML_MAX_DEPTH + 1]; /* containers being filled */
    struct flo_yaml_node *last[FLO_YAML_MAX_DEPTH + 1]; /* their newest child */
    int depth;
    struct flo_yaml_node *key; /* scalar read as the next member's key */
    int documents;
};

static int refuse_at(const struct builder *b, const yaml_mark_t *mark, const char *wrong)
{
    return flo_fail(b->err, FLO_ECONFIG, "%s:%zu:%zu: %s", b->yaml->file, mark->line + 1,
                    mark->column + 1, wrong);
}

static struct flo_yaml_node *new_node(struct builder *b, const yaml_event_t *event,
                                      enum flo_yaml_kind kind)
{
    struct flo_yaml_node *node = flo_arena_calloc(&b->yaml->arena, 1, sizeof *node);
    if (!node) {
        (void)flo_fail(b->err, FLO_ENOMEM, "%s: no memory for the file", b->yaml->file);
        return NULL;
    }
    node->kind = kind;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    return node;
}

static int check_duplicate(struct builder *b, const struct flo_yaml_node *map,
                           const yaml_event_t *event, const char *key)
{
    if (map->count >= MEMBERS_MAX)
        return refuse_at(b, &event->start_mark, "too many members; at most 1024 are allowed");
    const struct flo_yaml_node *twin = flo_yaml_get(map, key);
    if (!twin)
        return 0;
    return flo_fail(b->err, FLO_ECONFIG,
                    "%s:%zu:%zu: %s: the key stands twice; it was given at line %d already",
                    b->yaml->file, event->start_mark.line + 1, event->start_mark.column + 1, key,
                    twin->key_line);
}

/* A scalar where a map wants a key. */
static int take_key(struct builder *b, const yaml_event_t *event, struct flo_yaml_node *node)
{
    if (node->kind != FLO_YAML_SCALAR || !node->len || node->len > KEY_MAX_BYTES)
        return refuse_at(b, &event->start_mark, "a key is expected: one word of text");
    int rc = check_duplicate(b, b->open[b->depth - 1], event, node->text);
    if (!rc)
        b->key = node;
    return rc;
}

/* Put node under the innermost open container, or make it the root. */
static int attach(struct builder *b, const yaml_event_t *event, struct flo_yaml_node *node)
{
    if (!b->depth) {
        b->yaml->root = node;
        return 0;
    }
    struct flo_yaml_node *parent = b->open[b->depth - 1];
    if (parent->kind == FLO_YAML_MAP) {
        if (!b->key)
            return take_key(b, event, node);
        node->key = b->key->text;
        node->key_line = b->key->line;
        node->key_column = b->key->column;
        b->key = NULL;
    }
    struct flo_yaml_node *last = b->last[b->depth - 1];
    if (last)
        last->next = node;
    else
        parent->first = node;
    b->last[b->depth - 1] = node;
    parent->count++;
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct flo_yaml_node *node = new_node(b, event, FLO_YAML_SCALAR);
    if (!node)
        return FLO_ENOMEM;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->len = event->data.scalar.length;
    node->text =
        flo_arena_strndup(&b->yaml->arena, (const char *)event->data.scalar.value, node->len);
    if (!node->text)
        return flo_fail(b->err, FLO_ENOMEM, "%s: no memory for the file", b->yaml->file);
    if (strlen(node->text) != node->len) /* "\0" in double quotes */
        return refuse_at(b, &event->start_mark, "text with a NUL character");
    return attach(b, event, node);
}

static int on_container(struct builder *b, const yaml_event_t *event, enum flo_yaml_kind kind)
{
    if (b->depth >= FLO_YAML_MAX_DEPTH)
        return refuse_at(b, &event->start_mark, "nested too deep; at most 16 levels are allowed");
    struct flo_yaml_node *node = new_node(b, event, kind);
    if (!node)
        return FLO_ENOMEM;
    int rc = attach(b, event, node);
    if (rc)
        return rc;
    b->open[b->depth] = node;
    b->last[b->depth] = NULL;
    b->depth++;
    return 0;
}

/* Anchors and tags make a file mean something else than it shows: refused. */
static int check_properties(const struct builder *b, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    case YAML_ALIAS_EVENT:
        return refuse_at(b, &event->start_mark, "an alias (*name); aliases are not allowed");
    default:
        return 0;
    }
    if (anchor)
        return refuse_at(b, &event->start_mark, "an anchor (&name); anchors are not allowed");
    if (tag)
        return refuse_at(b, &event->start_mark, "a tag (!name); tags are not allowed");
    return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
    int rc = check_properties(b, event);
    if (rc)
        return rc;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++)
            return refuse_at(b, &event->start_mark, "a second document; one is allowed");
        return 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_container(b, event, FLO_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_container(b, event, FLO_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    default:
        return 0;
    }
}

static int run_parser(struct builder *b)
{
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event)) {
            const char *problem = b->parser.problem ? b->parser.problem : "unreadable";
            return flo_fail(b->err, FLO_ECONFIG, "%s:%zu:%zu: not YAML: %s", b->yaml->file,
                            b->parser.problem_mark.line + 1, b->parser.problem_mark.column + 1,
                            problem);
        }
        int rc = on_event(b, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (rc)
            return rc;
    }
    const struct flo_yaml_node *root = b->yaml->root;
    if (!root || (root->kind == FLO_YAML_SCALAR && !root->len))
        return flo_fail(b->err, FLO_ECONFIG,
                        "%s:1:1: the file holds no settings; a map of them is expected",
                        b->yaml->file);
    if (root->kind != FLO_YAML_MAP)
        return flo_fail(b->err, FLO_ECONFIG, "%s:%d:%d: a map of settings (key: value) is expected",
                        b->yaml->file, root->line, root->column);
    return 0;
}

int flo_yaml_parse(const char *name, const char *text, size_t len, struct flo_yaml *out,
                   struct flo_err *err)
{
    *out = (struct flo_yaml){0};
    flo_arena_init(&out->arena, ARENA_MAX_BYTES);
    out->file = flo_arena_strdup(&out->arena, name);
    if (!out->file)
        return flo_fail(err, FLO_ENOMEM, "%s: no memory for the file", name);
    if (len > FLO_YAML_MAX_BYTES)
        return flo_fail(err, FLO_ECONFIG, "%s: the file is too large; at most 256 KiB are allowed",
                        name);
    size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    struct scan scan = {.name = name,
                        .text = (const unsigned char *)text + bom,
                        .len = len - bom,
                        .line = 1,
                        .column = 1,
                        .err = err};
    int rc = scan_characters(&scan);
    if (!rc)
        rc = scan_brackets(&scan);
    if (rc)
        return rc;
    struct builder b = {.yaml = out, .err = err};
    if (!yaml_parser_initialize(&b.parser))
        return flo_fail(err, FLO_ENOMEM, "%s: no memory for the file", name);
    yaml_parser_set_input_string(&b.parser, scan.text, scan.len);
    rc = run_parser(&b);
    yaml_parser_delete(&b.parser);
    return rc;
}

/* ---- the file ---- */

static int open_error(const char *path, int error, struct flo_err *err)
{
    int code = error == ENOENT || error == ENOTDIR ? FLO_ENOENT
               : error == EACCES || error == EPERM ? FLO_EPERM
                                                   : FLO_ECONFIG;
    return flo_fail(err, code, "%s: cannot be read: %s", path, strerror(error));
}

/* At most one byte more than allowed, so that the caller sees that it is too large. */
static int read_all(int fd, const char *path, struct flo_buf *out, struct flo_err *err)
{
    for (;;) {
        uint8_t *room = flo_buf_reserve(out, 16384);
        if (!room)
            return flo_fail(err, FLO_ENOMEM, "%s: no memory for the file", path);
        ssize_t n = read(fd, room, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return open_error(path, errno, err);
        out->len += (size_t)n;
        if (n == 0 || out->len > FLO_YAML_MAX_BYTES)
            return 0;
    }
}

int flo_yaml_load(const char *path, struct flo_yaml *out, struct flo_err *err)
{
    *out = (struct flo_yaml){0};
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return open_error(path, errno, err);
    struct flo_buf text;
    flo_buf_init(&text, 0);
    int rc = 0;
    struct stat st;
    if (fstat(fd, &st))
        rc = open_error(path, errno, err);
    else if (!S_ISREG(st.st_mode))
        rc = flo_fail(err, FLO_ECONFIG, "%s: not a regular file", path);
    else
        rc = read_all(fd, path, &text, err);
    close(fd);
    if (!rc) {
        rc = flo_yaml_parse(path, text.data ? (const char *)text.data : "", text.len, out, err);
        out->world_writable = st.st_mode & S_IWOTH;
        out->others_may_read = st.st_mode & (S_IROTH | S_IRGRP);
    }
    flo_buf_fini(&text);
    return rc;
}

void flo_yaml_free(struct flo_yaml *yaml)
{
    flo_arena_fini(&yaml->arena);
    *yaml = (struct flo_yaml){0};
}

const struct flo_yaml_node *flo_yaml_get(const struct flo_yaml_node *map, const char *key)
{
    if (map->kind != FLO_YAML_MAP)
        return NULL;
    for (const struct flo_yaml_node *node = map->first; node; node = node->next)
        if (strcmp(node->key, key) == 0)
            return node;
    return NULL;
}

const struct flo_yaml_node *flo_yaml_find(const struct flo_yaml_node *map, const char *path)
{
    char part[64];
    while (map) {
        size_t len = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)len, path);
        map = flo_yaml_get(map, part);
        if (!path[len])
            return map;
        path += len + 1;
    }
    return NULL;
}
