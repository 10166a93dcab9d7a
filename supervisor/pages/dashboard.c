/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.c - the dashboard's files as bytes of the executable: nothing to install or to find. */
#include "base/embed.h"
#include "supervisor/pages/pages.h"

/* FILES(X): X(symbol, file of supervisor/dashboard, path, content type). */
#define FILES(X)                                                                                   \
    X(index_html, "index.html", "/", FLO_HTTP_HTML)                                                \
    X(style_css, "style.css", "/dashboard/style.css", FLO_HTTP_CSS)                                \
    X(icon_svg, "icon.svg", "/dashboard/icon.svg", FLO_HTTP_SVG)                                   \
    X(app_js, "app.js", "/dashboard/app.js", FLO_HTTP_SCRIPT)                                      \
    X(dom_js, "dom.js", "/dashboard/dom.js", FLO_HTTP_SCRIPT)                                      \
    X(charts_js, "charts.js", "/dashboard/charts.js", FLO_HTTP_SCRIPT)                             \
    X(views_js, "views.js", "/dashboard/views.js", FLO_HTTP_SCRIPT)                                \
    X(actions_js, "actions.js", "/dashboard/actions.js", FLO_HTTP_SCRIPT)

#define EMBED(symbol, file, path, type)                                                            \
    FLO_EMBED(flo_dashboard_##symbol, FLO_DASHBOARD_DIR "/" file);
FILES(EMBED)

static const struct flo_http_file files[] = {
#define FILE_ROW(symbol, file, path, type)                                                         \
    {path, type, flo_dashboard_##symbol, flo_dashboard_##symbol##_end},
    FILES(FILE_ROW)
#undef FILE_ROW
};

const struct flo_http_files flo_dashboard_files = {files, sizeof files / sizeof *files,
                                                   FLO_HTTP_PAGE_CSP};
