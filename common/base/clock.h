/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the clocks, in nanoseconds. Only shells call these: pure cores (common/workflow,
 * engine/core, common/tuner) get the time as an argument.
 */
#ifndef FLO_BASE_CLOCK_H
#define FLO_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLO_NS_PER_S INT64_C(1000000000)
#define FLO_NS_PER_MS INT64_C(1000000)

/* Wall clock, nanoseconds since 1970-01-01T00:00:00Z. For what people and histories see. */
int64_t flo_clock_wall_ns(void);
/* CLOCK_BOOTTIME: never steps, goes on while the machine sleeps. For waiting. */
int64_t flo_clock_mono_ns(void);
/* CPU time that the calling thread has used. For what something costs. */
int64_t flo_clock_thread_cpu_ns(void);

/* "2026-11-21T09:04:05.123456Z", microseconds, UTC; out_text holds at least 28 bytes. */
void flo_clock_rfc3339(int64_t wall_ns, char *out_text, size_t size);
/* The other way, as lenient as Go: "2024-02-29T12:00:00.5+02:00" or ...Z, any number of decimals
 * (nine count), also behind a comma; an hour of one digit. Times that do not fit become the
 * earliest or latest. False when text is none. */
bool flo_clock_parse_rfc3339(const char *text, int64_t *out_ns);

#endif
