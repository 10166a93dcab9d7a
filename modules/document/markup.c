/* SPDX-License-Identifier: Apache-2.0 */
/*
 * markup.c - the plugin that brings libxml2 (HTML) and libcmark (Markdown): what a reader would
 * see, as plain text. HTML is parsed as a stream of events, so nesting costs no stack of ours.
 */
#include "markup.h"

#include <cmark.h>
#include <flotilla/error.h>
#include <libxml/HTMLparser.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

FLO_API char *document_text_of_html(const char *data, size_t len, bool (*keep_going)(void *ctx),
                                    void *ctx, size_t *out_len);
FLO_API char *document_text_of_markdown(const char *data, size_t len, bool (*keep_going)(void *ctx),
                                        void *ctx, size_t *out_len);

#define PIECE_BYTES ((size_t)1 << 20)

struct text {
    char *data;
    size_t len, capacity;
    bool failed;
    unsigned hidden; /* open elements whose content a reader does not see */
};

static void append(struct text *text, const char *data, size_t len)
{
    if (text->len + len + 1 > text->capacity) {
        size_t capacity = (text->len + len + 1) * 2;
        char *grown = realloc(text->data, capacity);
        if (!grown) {
            text->failed = true;
            return;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

static char *finish(struct text *text, size_t *out_len)
{
    append(text, "", 1);
    if (text->failed) {
        free(text->data);
        return NULL;
    }
    *out_len = text->len - 1;
    return text->data;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcasecmp(name, *names) == 0)
            return true;
    return false;
}

static bool is_hidden(const char *name)
{
    static const char *const names[] = {"script", "style", "template", "noscript", "svg", NULL};
    return is_one_of(name, names);
}

/* Elements that flow within a line; all others end it. */
static bool is_inline(const char *name)
{
    static const char *const names[] = {
        "a",    "abbr",   "b",   "bdi", "bdo",  "cite", "code", "data", "del",  "dfn",
        "em",   "font",   "i",   "ins", "kbd",  "mark", "q",    "s",    "samp", "small",
        "span", "strong", "sub", "sup", "time", "tt",   "u",    "var",  "wbr",  NULL};
    return is_one_of(name, names);
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar **attributes)
{
    (void)attributes;
    struct text *text = ctx;
    if (is_hidden((const char *)name))
        text->hidden++;
    else if (!is_inline((const char *)name))
        append(text, "\n", 1);
}

static void on_end(void *ctx, const xmlChar *name)
{
    struct text *text = ctx;
    if (is_hidden((const char *)name) && text->hidden)
        text->hidden--;
    else if (!is_inline((const char *)name))
        append(text, "\n", 1);
}

static void on_characters(void *ctx, const xmlChar *data, int len)
{
    struct text *text = ctx;
    if (!text->hidden && len > 0)
        append(text, (const char *)data, (size_t)len);
}

char *document_text_of_html(const char *data, size_t len, bool (*keep_going)(void *ctx), void *ctx,
                            size_t *out_len)
{
    struct text text = {0};
    htmlSAXHandler sax = {.startElement = on_start,
                          .endElement = on_end,
                          .characters = on_characters,
                          .ignorableWhitespace = on_characters};
    htmlParserCtxtPtr parser =
        htmlCreatePushParserCtxt(&sax, &text, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (!parser)
        return NULL;
    htmlCtxtUseOptions(parser, HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
    for (size_t at = 0; at < len && !text.failed; at += PIECE_BYTES) {
        size_t piece = len - at < PIECE_BYTES ? len - at : PIECE_BYTES;
        htmlParseChunk(parser, data + at, (int)piece, 0);
        text.failed = text.failed || !keep_going(ctx);
    }
    htmlParseChunk(parser, data, 0, 1);
    htmlFreeParserCtxt(parser);
    return finish(&text, out_len);
}

char *document_text_of_markdown(const char *data, size_t len, bool (*keep_going)(void *ctx),
                                void *ctx, size_t *out_len)
{
    struct text text = {0};
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8);
    for (size_t at = 0; at < len && !text.failed; at += PIECE_BYTES) {
        cmark_parser_feed(parser, data + at, len - at < PIECE_BYTES ? len - at : PIECE_BYTES);
        text.failed = !keep_going(ctx);
    }
    cmark_node *document = cmark_parser_finish(parser);
    cmark_parser_free(parser);
    cmark_iter *iter = cmark_iter_new(document);
    cmark_event_type event;
    while ((event = cmark_iter_next(iter)) != CMARK_EVENT_DONE) {
        cmark_node *node = cmark_iter_get_node(iter);
        switch (cmark_node_get_type(node)) {
        case CMARK_NODE_TEXT:
        case CMARK_NODE_CODE: {
            const char *literal = cmark_node_get_literal(node);
            append(&text, literal, strlen(literal));
            break;
        }
        case CMARK_NODE_CODE_BLOCK: {
            const char *literal = cmark_node_get_literal(node);
            append(&text, literal, strlen(literal));
            append(&text, "\n", 1);
            break;
        }
        case CMARK_NODE_SOFTBREAK:
        case CMARK_NODE_LINEBREAK:
            append(&text, "\n", 1);
            break;
        case CMARK_NODE_PARAGRAPH:
        case CMARK_NODE_HEADING:
            if (event == CMARK_EVENT_EXIT)
                append(&text, "\n\n", 2);
            break;
        default:
            break;
        }
    }
    cmark_iter_free(iter);
    cmark_node_free(document);
    return finish(&text, out_len);
}
