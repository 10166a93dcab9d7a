/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - paths, files, the frame of a page, and what every page asks. */
#include "engine/web/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/hex.h"
#include "telemetry/http_files.h"

FLO_EMBED(flo_web_style_css, FLO_WEB_FILES "/style.css");
FLO_EMBED(flo_web_app_js, FLO_WEB_FILES "/app.js");
FLO_EMBED(flo_web_icon_svg, FLO_WEB_FILES "/icon.svg");

static const struct flo_http_file files[] = {
    {"/web/style.css", FLO_HTTP_CSS, flo_web_style_css, flo_web_style_css_end},
    {"/web/app.js", FLO_HTTP_SCRIPT, flo_web_app_js, flo_web_app_js_end},
    {"/web/icon.svg", FLO_HTTP_SVG, flo_web_icon_svg, flo_web_icon_svg_end},
};
static const struct flo_http_files web_files = {files, sizeof files / sizeof *files,
                                                FLO_HTTP_PAGE_CSP};

/* ---- parameters ---- */

/* Decode a value as forms send it, in place: '+' is a blank, %XX a byte. False: that is malformed.
 */
static bool decode(char *text)
{
    char *to = text;
    for (const char *c = text; *c; c++) {
        if (*c != '%') {
            *to++ = *c == '+' ? ' ' : *c;
            continue;
        }
        const int high = flo_hex_digit(c[1]), low = high < 0 ? -1 : flo_hex_digit(c[2]);
        if (low < 0 || (high | low) == 0)
            return false;
        *to++ = (char)(high << 4 | low);
        c += 2;
    }
    *to = '\0';
    return true;
}

const char *flo_web_parameter(struct flo_web_page *page, const char *name, size_t max)
{
    const size_t name_len = strlen(name);
    const char *at = page->request->query;
    for (; at && *at; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, name_len) != 0 || at[name_len] != '=')
            continue;
        const char *value = at + name_len + 1;
        char *out = flo_arena_strndup(&page->arena, value, strcspn(value, "&"));
        return out && decode(out) && strlen(out) < max ? out : "";
    }
    return "";
}

bool flo_web_token(struct flo_web_page *page, const char *name, ProtobufCBinaryData *out)
{
    const char *hex = flo_web_parameter(page, name, FLO_WEB_TOKEN_MAX);
    const size_t len = strlen(hex) / 2;
    *out = (ProtobufCBinaryData){0};
    if (!*hex)
        return true;
    uint8_t *bytes = flo_arena_alloc(&page->arena, len);
    for (size_t i = 0; bytes && i < len; i++) {
        int high = flo_hex_digit(hex[2 * i]), low = flo_hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = (ProtobufCBinaryData){.len = len, .data = bytes};
    return bytes && strlen(hex) % 2 == 0;
}

const char *flo_web_hex(struct flo_web_page *page, const ProtobufCBinaryData *token)
{
    char *hex = flo_arena_alloc(&page->arena, 2 * token->len + 1);
    if (hex)
        flo_hex_write(token->data, token->len, hex);
    return hex;
}

/* ---- asking ---- */

const void *flo_web_ask(struct flo_web_page *page, const char *method,
                        const ProtobufCMessage *request, int *out_code, const char **out_message)
{
    const ProtobufCMessage *response = NULL;
    const char *message = NULL;
    int code =
        page->source->ask(page->source->ctx, method, request, &page->arena, &response, &message);
    if (out_code)
        *out_code = code;
    if (out_message)
        *out_message = message ? message : "";
    return code == FLO_GRPC_OK ? response : NULL;
}

/* ---- the frame ---- */

void flo_web_begin(struct flo_web_page *page, enum flo_web_tab tab, const char *title)
{
    static const struct {
        enum flo_web_tab tab;
        const char *path, *name, *needs;
    } tabs[] = {{FLO_WEB_WORKFLOWS, "/", "Workflows", NULL},
                {FLO_WEB_QUEUES, "/queues", "Task queues", NULL},
                {FLO_WEB_SCHEDULES, "/schedules", "Schedules", "ListSchedules"}};
    flo_html(page->out,
             "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%s</title>\n"
             "<link rel=\"icon\" href=\"/web/icon.svg\" type=\"image/svg+xml\">\n"
             "<link rel=\"stylesheet\" href=\"" FLO_HTTP_COLOURS "\">\n"
             "<link rel=\"stylesheet\" href=\"/web/style.css\">\n"
             "<script type=\"module\" src=\"/web/app.js\"></script>\n</head>\n<body>\n"
             "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n"
             "<a class=\"brand\" href=\"/?namespace=%u\"><img src=\"/web/icon.svg\" alt=\"\" "
             "width=\"26\" height=\"26\">Flotilla engine</a>\n<nav aria-label=\"Pages\">",
             title, page->namespace_name);
    for (size_t i = 0; i < sizeof tabs / sizeof *tabs; i++) {
        if (tabs[i].needs && !page->source->serves(page->source->ctx, tabs[i].needs))
            continue;
        flo_html(page->out, tabs[i].tab == tab ? "<a aria-current=\"page\"" : "<a");
        flo_html(page->out, " href=\"%s?namespace=%u\">%s</a>", tabs[i].path, page->namespace_name,
                 tabs[i].name);
    }
    flo_html(page->out, "</nav>\n<span class=\"grow\"></span>"
                        "<span id=\"tools\" hidden></span>\n</header>\n<main id=\"main\">\n");
}

void flo_web_end(struct flo_web_page *page)
{
    flo_html(page->out, "</main>\n<footer>flotilla-engine %s, read only, as of ",
             page->source->version);
    flo_html_time(page->out, page->now_ns);
    flo_html(page->out, " <span class=\"zone\">UTC</span></footer>\n</body>\n</html>\n");
}

void flo_web_problem(struct flo_web_page *page, const char *what, const char *message)
{
    flo_html(page->out, "<p class=\"problem\" role=\"alert\">%s: %s</p>\n", what, message);
}

void flo_web_namespaces(struct flo_web_page *page)
{
    FloApi__ListNamespacesRequest request = FLO_API__LIST_NAMESPACES_REQUEST__INIT;
    request.page_size = 1000;
    const FloApi__ListNamespacesResponse *list =
        flo_web_ask(page, "ListNamespaces", &request.base, NULL, NULL);
    bool known = false;
    flo_html(page->out, "<label>Namespace <select name=\"namespace\">");
    for (size_t i = 0; list && i < list->n_namespaces; i++) {
        const char *name = list->namespaces[i]->namespace_info->name;
        const bool here = strcmp(name, page->namespace_name) == 0;
        known |= here;
        if (here)
            flo_html(page->out, "<option selected>%s</option>", name);
        else
            flo_html(page->out, "<option>%s</option>", name);
    }
    if (!known)
        flo_html(page->out, "<option selected>%s</option>", page->namespace_name);
    flo_html(page->out, "</select></label>");
}

/* ---- serving ---- */

static void serve(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    static const struct {
        const char *path;
        void (*fill)(struct flo_web_page *page);
    } pages[] = {{"/", flo_web_workflows},
                 {"/workflow", flo_web_workflow},
                 {"/queues", flo_web_queues},
                 {"/schedules", flo_web_schedules}};
    const struct flo_web_source *source = ctx;
    struct flo_web_page page = {.source = source,
                                .request = request,
                                .reply = reply,
                                .out = &reply->body,
                                .now_ns = source->now_ns(source->ctx)};
    flo_arena_init(&page.arena, 0);
    reply->content_type = FLO_HTTP_HTML;
    reply->csp = FLO_HTTP_PAGE_CSP;
    page.namespace_name = flo_web_parameter(&page, "namespace", FLO_WEB_NAME_MAX);
    if (!*page.namespace_name)
        page.namespace_name = "default";
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(request->path, pages[i].path) == 0)
            pages[i].fill(&page);
    flo_arena_fini(&page.arena);
    if (reply->body.failed)
        flo_http_error(reply, 503, "no memory for the page");
    source->settle(source->ctx, request, reply);
}

int flo_web_install(const struct flo_web_source *source, struct flo_http *http)
{
    static const char *const paths[] = {"/", "/workflow", "/queues", "/schedules"};
    int rc = flo_http_serve_colours(http);
    if (!rc)
        rc = flo_http_serve_files(http, &web_files);
    for (size_t i = 0; !rc && i < sizeof paths / sizeof *paths; i++) {
        const struct flo_http_route route = {
            .path = paths[i], .own_name = true, .fn = serve, .ctx = (void *)(uintptr_t)source};
        rc = flo_http_route(http, &route);
    }
    return rc;
}
