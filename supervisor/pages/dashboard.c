/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.c - the dashboard's files as bytes of the executable: nothing to install or to find. */
#include "supervisor/pages/pages.h"

/* FILES(X): X(symbol, file of supervisor/dashboard, path, content type). */
#define FILES(X)                                                                                   \
    X(index_html, "index.html", "/", "text/html; charset=utf-8")                                   \
    X(style_css, "style.css", "/dashboard/style.css", "text/css; charset=utf-8")                   \
    X(icon_svg, "icon.svg", "/dashboard/icon.svg", "image/svg+xml")                                \
    X(app_js, "app.js", "/dashboard/app.js", SCRIPT)                                               \
    X(dom_js, "dom.js", "/dashboard/dom.js", SCRIPT)                                               \
    X(charts_js, "charts.js", "/dashboard/charts.js", SCRIPT)                                      \
    X(views_js, "views.js", "/dashboard/views.js", SCRIPT)                                         \
    X(actions_js, "actions.js", "/dashboard/actions.js", SCRIPT)
#define SCRIPT "text/javascript; charset=utf-8"

/* clang-format off */
#define INCLUDE_FILE(symbol, file, path, type)                                                     \
    __asm__(".section .rodata\n"                                                                   \
            ".type flo_dashboard_" #symbol ", @object\n"                                           \
            "flo_dashboard_" #symbol ":\n"                                                         \
            ".incbin \"" FLO_DASHBOARD_DIR "/" file "\"\n"                                         \
            "flo_dashboard_" #symbol "_end:\n"                                                     \
            ".size flo_dashboard_" #symbol ", . - flo_dashboard_" #symbol "\n"                     \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char flo_dashboard_##symbol[], flo_dashboard_##symbol##_end[];
FILES(INCLUDE_FILE)
/* clang-format on */

const struct flo_dashboard_file *flo_dashboard_file(size_t i)
{
    static struct flo_dashboard_file files[] = {
#define FILE_ROW(symbol, file, path, type) {path, type, flo_dashboard_##symbol, 0},
        FILES(FILE_ROW)
#undef FILE_ROW
    };
    static const char *const ends[] = {
#define FILE_END(symbol, file, path, type) flo_dashboard_##symbol##_end,
        FILES(FILE_END)
#undef FILE_END
    };
    if (i >= sizeof files / sizeof *files)
        return NULL;
    files[i].len = (size_t)(ends[i] - files[i].data);
    return &files[i];
}
