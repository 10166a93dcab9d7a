/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.c - the dashboard's page as bytes of the executable: no files to install or to find. */
#include "supervisor/pages.h"

__asm__(".section .rodata\n"
        ".global flo_dashboard_html\n"
        ".type flo_dashboard_html, @object\n"
        "flo_dashboard_html:\n"
        ".incbin \"" FLO_DASHBOARD_FILE "\"\n"
        "flo_dashboard_end:\n"
        ".byte 0\n"
        ".size flo_dashboard_html, . - flo_dashboard_html\n"
        ".balign 4\n"
        ".global flo_dashboard_html_len\n"
        ".type flo_dashboard_html_len, @object\n"
        ".size flo_dashboard_html_len, 4\n"
        "flo_dashboard_html_len:\n"
        ".long flo_dashboard_end - flo_dashboard_html\n"
        ".previous\n");
