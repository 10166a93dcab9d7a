/* SPDX-License-Identifier: Apache-2.0 */
/* http_files.c - see http_files.h. */
#include "telemetry/http_files.h"

#include <string.h>

#include "base/embed.h"

FLO_EMBED(flo_colours_css, FLO_TELEMETRY_FILES "/colours.css");

static void serve(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    const struct flo_http_files *files = ctx;
    for (size_t i = 0; i < files->count; i++) {
        const struct flo_http_file *file = &files->files[i];
        if (strcmp(file->path, request->path) != 0)
            continue;
        reply->content_type = file->content_type;
        reply->csp = files->csp;
        flo_buf_append(&reply->body, file->data, (size_t)(file->end - file->data));
        return;
    }
    flo_http_error(reply, 404, "there is no such file"); /* routes are made of the files */
}

int flo_http_serve_files(struct flo_http *http, const struct flo_http_files *files)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < files->count; i++)
        rc = flo_http_handle(http, files->files[i].path, serve, (void *)(uintptr_t)files);
    return rc;
}

int flo_http_serve_colours(struct flo_http *http)
{
    static const struct flo_http_file file = {FLO_HTTP_COLOURS, FLO_HTTP_CSS, flo_colours_css,
                                              flo_colours_css_end};
    static const struct flo_http_files files = {&file, 1, NULL};
    return flo_http_serve_files(http, &files);
}
