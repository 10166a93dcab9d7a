/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_files.h - files of a page (base/embed.h) served as they are, and the stylesheet of colours,
 * light and dark, that the pages of all programs share.
 */
#ifndef FLO_TELEMETRY_HTTP_FILES_H
#define FLO_TELEMETRY_HTTP_FILES_H

#include "telemetry/http.h"

struct flo_http_file {
    const char *path, *content_type;
    const char *data, *end;
};

/* Borrowed for ever by the server that serves them. */
struct flo_http_files {
    const struct flo_http_file *files;
    size_t count;
    const char *csp; /* Content-Security-Policy of all; NULL: the strict default */
};

#define FLO_HTTP_CSS "text/css; charset=utf-8"
#define FLO_HTTP_SCRIPT "text/javascript; charset=utf-8"
#define FLO_HTTP_HTML "text/html; charset=utf-8"
#define FLO_HTTP_SVG "image/svg+xml"
/* Of a page whose scripts, styles and pictures are files of the same server; a form may ask it. */
#define FLO_HTTP_PAGE_CSP                                                                          \
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "                    \
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

/* Where the shared stylesheet is. */
#define FLO_HTTP_COLOURS "/shared/colours.css"

/* Serve each file at its path. FLO_EFULL. */
FLO_MUST_CHECK int flo_http_serve_files(struct flo_http *http, const struct flo_http_files *files);
/* Serve the shared stylesheet. FLO_EFULL. */
FLO_MUST_CHECK int flo_http_serve_colours(struct flo_http *http);

#endif
