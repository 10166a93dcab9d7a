/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - the levels of log lines, for workflow code, activity code and programs. */
#ifndef FLOTILLA_LOG_H
#define FLOTILLA_LOG_H

enum flo_log_level {
    FLO_LOG_TRACE,
    FLO_LOG_DEBUG,
    FLO_LOG_INFO,
    FLO_LOG_WARN,
    FLO_LOG_ERROR,
};

#endif
