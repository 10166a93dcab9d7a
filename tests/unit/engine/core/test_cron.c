/* SPDX-License-Identifier: Apache-2.0 */
/* Cron expressions of workflows, time zones and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/zoneinfo.h"
#include "engine/core/cron.h"
#include "engine/core/duration_text.h"

static int up(void **state)
{
    static struct flo_zones zones;
    flo_zones_init(&zones, flo_zoneinfo_read, NULL);
    *state = &zones;
    return 0;
}

static int down(void **state)
{
    flo_zones_fini(*state);
    return 0;
}

/* "2026-01-31 12:00:00" in UTC. */
static int64_t at(const char *text)
{
    struct flo_civil civil = {0};
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &civil.year, &civil.month, &civil.day,
                            &civil.hour, &civil.minute, &civil.second),
                     6);
    return flo_zone_unix(flo_zone_utc(), &civil) * FLO_NS_PER_S;
}

static void check_next(struct flo_zones *zones, const char *text, const char *after,
                       const char *next)
{
    struct flo_cron cron;
    struct flo_err err;
    if (flo_cron_parse(zones, text, &cron, &err))
        fail_msg("%s: %s", text, err.message);
    const int64_t got = flo_cron_next(&cron, at(after));
    if (got != (next ? at(next) : FLO_CRON_NEVER))
        fail_msg("%s after %s: %lld s off", text, after,
                 (long long)(got - (next ? at(next) : 0)) / FLO_NS_PER_S);
}

/* Every kind of field finds the first moment strictly after the one given. */
static void test_next_all_fields_is_strictly_after(void **state)
{
    static const char *const CASES[][3] = {
        {"* * * * *", "2026-01-31 12:00:00", "2026-01-31 12:01:00"},
        {"*/15 * * * *", "2026-01-31 12:46:01", "2026-01-31 13:00:00"},
        {"5/20 * * * *", "2026-01-31 12:46:01", "2026-01-31 13:05:00"},
        {"0 0 31 * *", "2026-01-31 00:00:00", "2026-03-31 00:00:00"},
        {"0 0 29 feb ?", "2026-01-31 00:00:00", "2028-02-29 00:00:00"},
        {"30 8 * * Mon-fri", "2026-01-30 08:30:00", "2026-02-02 08:30:00"},
        {"0 0 13 * 5", "2026-02-06 00:00:00", "2026-02-13 00:00:00"}, /* either day field */
        {"0 0 1,15 * sun", "2026-02-02 00:00:00", "2026-02-08 00:00:00"},
        {"59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00"},
        {"0 0 30 2 *", "2026-01-01 00:00:00", NULL},
        {"@hourly", "2026-01-31 12:00:00", "2026-01-31 13:00:00"},
        {"@daily", "2026-01-31 12:00:00", "2026-02-01 00:00:00"},
        {"@weekly", "2026-01-31 12:00:00", "2026-02-01 00:00:00"},
        {"@monthly", "2026-02-01 12:00:00", "2026-03-01 00:00:00"},
        {"@yearly", "2026-02-01 12:00:00", "2027-01-01 00:00:00"},
        {"@every 1h30m", "2026-02-01 12:00:07", "2026-02-01 13:30:07"},
        {"@every 10ms", "2026-02-01 12:00:07", "2026-02-01 12:00:08"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        check_next(*state, CASES[i][0], CASES[i][1], CASES[i][2]);
}

/* A named zone decides what hour it is, across the changes of its clock, too. */
static void test_next_zone_follows_its_clock(void **state)
{
    check_next(*state, "CRON_TZ=Europe/Berlin 0 9 * * *", "2026-01-31 12:00:00",
               "2026-02-01 08:00:00");
    check_next(*state, "TZ=Europe/Berlin 0 9 * * *", "2026-07-01 12:00:00", "2026-07-02 07:00:00");
    /* 02:30 does not exist on the last Sunday of March; the next day has it. */
    check_next(*state, "CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28 12:00:00",
               "2026-03-30 00:30:00");
    /* Long after the last listed change of the zone: by its rule. */
    check_next(*state, "CRON_TZ=America/New_York 0 12 * * *", "2090-07-01 17:00:00",
               "2090-07-02 16:00:00");
    check_next(*state, "CRON_TZ=Australia/Sydney 0 12 * * *", "2090-01-01 17:00:00",
               "2090-01-02 01:00:00");
}

/* What the real server refuses is refused, each with a reason. */
static void test_parse_malformed_is_refused(void **state)
{
    static const char *const BAD[] = {
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "*/0 * * * *",
        "1/2/3 * * * *",
        "a * * * *",
        "@fortnightly",
        "@every",
        "@every x",
        "@every 1",
        "CRON_TZ=Mars/Base * * * * *",
        "CRON_TZ=UTC",
        "TZ=../etc/passwd * * * * *",
        "* * * * mond",
        "-1 * * * *",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct flo_cron cron;
        struct flo_err err = {0};
        if (flo_cron_parse(*state, BAD[i], &cron, &err) != FLO_EINVAL || !err.message[0])
            fail_msg("%s was not refused", BAD[i]);
    }
}

/* A request's expression must be well formed and come true some day. */
static void test_check_says_the_servers_sentences(void **state)
{
    struct flo_err err;
    const int64_t now = at("2026-01-01 00:00:00");
    assert_int_equal(flo_cron_check(*state, "", now, &err), 0);
    assert_int_equal(flo_cron_check(*state, "@daily", now, &err), 0);
    assert_int_equal(flo_cron_check(*state, "x", now, &err), FLO_EINVAL);
    assert_string_equal(err.message, "invalid CronSchedule.");
    assert_int_equal(flo_cron_check(*state, "0 0 30 2 *", now, &err), FLO_EINVAL);
    assert_string_equal(err.message,
                        "invalid CronSchedule, no time can be found to satisfy the schedule");
}

static int64_t backoff_s(struct flo_zones *zones, const char *text, int64_t scheduled, int64_t now)
{
    struct flo_cron cron;
    assert_int_equal(flo_cron_parse(zones, text, &cron, NULL), 0);
    const int64_t ns = flo_cron_backoff(&cron, scheduled, now);
    return ns < 0 ? -1 : ns / FLO_NS_PER_S;
}

/* The next run of a chain: times that passed meanwhile are left out, the wait is rounded up. */
static void test_backoff_leaves_out_what_has_passed(void **state)
{
    const int64_t due = at("2026-01-01 00:00:00"), ms = FLO_NS_PER_S / 1000;
    assert_int_equal(backoff_s(*state, "* * * * *", due, due), 60);
    assert_int_equal(backoff_s(*state, "* * * * *", due, due + 500 * ms), 60);
    assert_int_equal(backoff_s(*state, "* * * * *", due, due + 60 * FLO_NS_PER_S), 0);
    assert_int_equal(backoff_s(*state, "* * * * *", due, due + 60 * FLO_NS_PER_S + ms), 60);
    assert_int_equal(backoff_s(*state, "@every 10s", due, due), 10);
    assert_int_equal(backoff_s(*state, "@every 10s", due, due + 25 * FLO_NS_PER_S), 5);
    assert_int_equal(backoff_s(*state, "@every 10s", due, due + 30 * FLO_NS_PER_S), 0);
    assert_int_equal(backoff_s(*state, "@every 10s", due, due - 3 * FLO_NS_PER_S), 3);
    assert_true(backoff_s(*state, "0 0 30 2 *", due, due) < 0);
}

/* A clock time that is skipped or repeated gets the answer that the real server gives. */
static void test_zone_skipped_and_repeated_times(void **state)
{
    const struct flo_zone *zone;
    assert_int_equal(flo_zones_find(*state, "Europe/Berlin", &zone, NULL), 0);
    const struct flo_civil skipped = {.year = 2026, .month = 3, .day = 29, .hour = 2, .minute = 30};
    assert_int_equal(flo_zone_unix(zone, &skipped) * FLO_NS_PER_S, at("2026-03-29 01:30:00"));
    const struct flo_civil twice = {.year = 2026, .month = 10, .day = 25, .hour = 2, .minute = 30};
    assert_int_equal(flo_zone_unix(zone, &twice) * FLO_NS_PER_S, at("2026-10-25 01:30:00"));
    const struct flo_civil carried = {.year = 2025, .month = 14, .day = 0, .hour = 24};
    assert_int_equal(flo_zone_unix(flo_zone_utc(), &carried) * FLO_NS_PER_S,
                     at("2026-02-01 00:00:00"));
}

/* Moments before the first change, at a change, and long after the last: there and back. */
static void test_zone_civil_and_back(void **state)
{
    static const char *const NAMES[] = {"Europe/Berlin",   "America/New_York",  "Asia/Kolkata",
                                        "Pacific/Apia",    "Africa/Casablanca", "Etc/GMT+5",
                                        "Australia/Sydney"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const struct flo_zone *zone;
        assert_int_equal(flo_zones_find(*state, NAMES[i], &zone, NULL), 0);
        for (int64_t s = -INT64_C(5000000000); s < INT64_C(5000000000); s += 86400 * 10 + 3607) {
            const struct flo_civil civil = flo_zone_civil(zone, s);
            const int64_t back = flo_zone_unix(zone, &civil);
            const struct flo_civil again = flo_zone_civil(zone, back);
            assert_memory_equal(&civil, &again, sizeof civil);
        }
    }
}

/* Bytes that are no zone file are refused, however far they look like one. */
static void test_zone_parse_damaged_is_refused(void **state)
{
    (void)state;
    struct flo_buf file;
    struct flo_zone *zone = NULL;
    struct flo_err err;
    flo_buf_init(&file, 0);
    assert_int_equal(flo_zoneinfo_read(NULL, "Europe/Berlin", &file), 0);
    for (size_t len = 0; len + 40 < file.len; len++) {
        if (flo_zone_parse(file.data, len, &zone, &err) == 0) {
            flo_zone_destroy(&zone); /* all but a part of the rule was there */
            continue;
        }
        assert_string_equal(err.message, "malformed time zone information");
    }
    assert_int_equal(flo_zone_parse((const uint8_t *)"", 0, &zone, &err), FLO_EDATA);
    flo_buf_fini(&file);
}

/* Go's durations, and days where they are allowed. */
static void test_duration_text(void **state)
{
    (void)state;
    int64_t ns;
    struct flo_err err;
    assert_int_equal(flo_duration_text("1h30m", false, &ns, NULL), 0);
    assert_int_equal(ns, 5400 * FLO_NS_PER_S);
    assert_int_equal(flo_duration_text("-1.5s", false, &ns, NULL), 0);
    assert_int_equal(ns, -3 * FLO_NS_PER_S / 2);
    assert_int_equal(flo_duration_text("1.5d2h", true, &ns, NULL), 0);
    assert_int_equal(ns, 38 * 3600 * FLO_NS_PER_S);
    assert_int_equal(flo_duration_text("0", false, &ns, NULL), 0);
    assert_int_equal(ns, 0);
    assert_int_equal(flo_duration_text("5", false, &ns, &err), FLO_EINVAL);
    assert_string_equal(err.message, "time: missing unit in duration \"5\"");
    assert_int_equal(flo_duration_text("5y", false, &ns, &err), FLO_EINVAL);
    assert_string_equal(err.message, "time: unknown unit \"y\" in duration \"5y\"");
    assert_int_equal(flo_duration_text("", false, &ns, &err), FLO_EINVAL);
    assert_string_equal(err.message, "time: invalid duration \"\"");
    assert_int_equal(flo_duration_text("9999999999h", false, &ns, &err), FLO_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_all_fields_is_strictly_after),
        cmocka_unit_test(test_next_zone_follows_its_clock),
        cmocka_unit_test(test_parse_malformed_is_refused),
        cmocka_unit_test(test_check_says_the_servers_sentences),
        cmocka_unit_test(test_backoff_leaves_out_what_has_passed),
        cmocka_unit_test(test_zone_skipped_and_repeated_times),
        cmocka_unit_test(test_zone_civil_and_back),
        cmocka_unit_test(test_zone_parse_damaged_is_refused),
        cmocka_unit_test(test_duration_text),
    };
    return cmocka_run_group_tests(tests, up, down);
}
