/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flame.c - see flame.h. Stacks become a tree, in which the frames that one calls lie beside each
 * other by name; the width of each is the share of the samples that it was on the stack of. The
 * root lies at the bottom.
 */
#include "cli/flame.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define DEPTH_MAX 200
#define WIDTH 1200.0
#define ROW 17
#define HEADER 40
#define LEAST_WIDTH 0.1 /* narrower frames, and what they call, are not drawn */
#define CHAR_WIDTH 6.8

struct frame {
    const char *name;
    size_t name_len;
    double samples; /* with all that it calls */
    struct frame *children, *next;
};

struct flame {
    struct flo_arena arena;
    struct frame root;
    int depth; /* the deepest one */
    bool failed;
};

/* ---- the tree ---- */

static int compare(const struct frame *frame, const char *name, size_t len)
{
    size_t common = frame->name_len < len ? frame->name_len : len;
    int order = memcmp(frame->name, name, common);
    return order ? order : (frame->name_len > len) - (frame->name_len < len);
}

/* The child of that name, made where it belongs by name. */
static struct frame *child_of(struct flame *flame, struct frame *parent, const char *name,
                              size_t len)
{
    struct frame **at = &parent->children;
    while (*at && compare(*at, name, len) < 0)
        at = &(*at)->next;
    if (*at && compare(*at, name, len) == 0)
        return *at;
    struct frame *child = flo_arena_calloc(&flame->arena, 1, sizeof *child);
    if (!child) {
        flame->failed = true;
        return NULL;
    }
    child->name = name;
    child->name_len = len;
    child->next = *at;
    *at = child;
    return child;
}

/* "a;b;c 12": false when it is no such line. */
static bool add_line(struct flame *flame, const char *line, size_t len)
{
    const char *space = NULL;
    double samples = 0;
    for (size_t i = 0; i < len; i++)
        if (line[i] == ' ')
            space = line + i;
    if (!space || space == line || space + 1 == line + len)
        return false;
    for (const char *p = space + 1; p < line + len; p++) {
        if (*p < '0' || *p > '9')
            return false;
        samples = samples * 10 + (*p - '0');
    }
    struct frame *frame = &flame->root;
    int depth = 0;
    frame->samples += samples;
    while (line < space && frame && depth < DEPTH_MAX) {
        const char *end = memchr(line, ';', (size_t)(space - line));
        if (!end)
            end = space;
        frame = child_of(flame, frame, line, (size_t)(end - line));
        if (frame)
            frame->samples += samples;
        line = end + 1;
        depth++;
    }
    if (depth > flame->depth)
        flame->depth = depth;
    return true;
}

/* ---- the picture ---- */

/* Text of a page; len bytes of it. What is no text at all becomes a question mark. */
static void put_text(struct flo_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '<':
            flo_buf_append_str(out, "&lt;");
            break;
        case '>':
            flo_buf_append_str(out, "&gt;");
            break;
        case '&':
            flo_buf_append_str(out, "&amp;");
            break;
        case '"':
            flo_buf_append_str(out, "&quot;");
            break;
        default:
            flo_buf_append(out, (unsigned char)text[i] < ' ' ? "?" : &text[i], 1);
        }
    }
}

/* A warm colour that stays the same for a name. */
static unsigned colour(const struct frame *frame)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < frame->name_len; i++)
        hash = (hash ^ (unsigned char)frame->name[i]) * 16777619u;
    return (205 + hash % 50) << 16 | (90 + hash / 64 % 130) << 8 | (30 + hash / 8192 % 40);
}

static void put_frame(const struct flame *flame, const struct frame *frame, double x, int depth,
                      struct flo_buf *out)
{
    const double width = frame->samples / flame->root.samples * WIDTH;
    const int y = HEADER + (flame->depth - depth) * ROW;
    const size_t fits = width > 2 * CHAR_WIDTH ? (size_t)(width / CHAR_WIDTH) - 1 : 0;
    flo_buf_printf(out, "<g><title>");
    put_text(out, frame->name, frame->name_len);
    flo_buf_printf(out,
                   " (%.0f samples, %.1f %%)</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                   "height=\"%d\" fill=\"#%06x\"/>",
                   frame->samples, frame->samples / flame->root.samples * 100, x, y, width, ROW - 1,
                   colour(frame));
    if (fits) {
        size_t len = frame->name_len < fits ? frame->name_len : fits;
        while (len > 0 && len < frame->name_len && (frame->name[len] & 0xc0) == 0x80)
            len--; /* not within a character */
        flo_buf_printf(out, "<text x=\"%.1f\" y=\"%d\">", x + 3, y + ROW - 5);
        put_text(out, frame->name, len);
        flo_buf_append_str(out, "</text>");
    }
    flo_buf_append_str(out, "</g>\n");
}

static void put_children(const struct flame *flame, const struct frame *parent, double x, int depth,
                         struct flo_buf *out)
{
    for (const struct frame *child = parent->children; child; child = child->next) {
        const double width = child->samples / flame->root.samples * WIDTH;
        if (width >= LEAST_WIDTH) {
            put_frame(flame, child, x, depth, out);
            put_children(flame, child, x, depth + 1, out); /* DEPTH_MAX deep */
        }
        x += width;
    }
}

static void put_picture(const struct flame *flame, const char *title, struct flo_buf *out)
{
    const int height = HEADER + (flame->depth + 1) * ROW + 8;
    flo_buf_printf(out,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %d\" "
                   "width=\"%.0f\" height=\"%d\">\n"
                   "<style>text{font:12px monospace}rect{stroke:#fff;stroke-width:.5}"
                   "g:hover rect{stroke:#000}</style>\n"
                   "<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfdf5\"/>\n"
                   "<text x=\"10\" y=\"24\" style=\"font-size:16px\">",
                   WIDTH, height, WIDTH, height);
    put_text(out, title, strlen(title));
    flo_buf_printf(out, " (%.0f samples)</text>\n", flame->root.samples);
    put_children(flame, &flame->root, 0, 0, out);
    flo_buf_append_str(out, "</svg>\n");
}

int cli_flame_draw(const char *folded, size_t len, const char *title, struct flo_buf *out,
                   struct flo_err *err)
{
    struct flame flame = {.depth = 0};
    const char *end = folded + len;
    int rc = 0;
    flo_arena_init(&flame.arena, 0);
    while (folded < end && !flame.failed) {
        const char *line_end = memchr(folded, '\n', (size_t)(end - folded));
        if (!line_end)
            line_end = end;
        (void)add_line(&flame, folded, (size_t)(line_end - folded));
        folded = line_end + 1;
    }
    if (!flame.failed && flame.root.samples <= 0) {
        rc = flo_fail(err, FLO_EINVAL, "there are no stacks to draw");
        goto out;
    }
    if (!flame.failed)
        put_picture(&flame, title, out);
    if (flame.failed || out->failed)
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the picture");
out:
    flo_arena_fini(&flame.arena);
    return rc;
}
