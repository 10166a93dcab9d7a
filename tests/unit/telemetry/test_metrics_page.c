/* SPDX-License-Identifier: Apache-2.0 */
/* The two formats and three namings of a page, byte for byte; the Accept header; docs/metrics.md.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_fixture.h"
#include "telemetry/metrics_page.h"

static void assert_page(struct flo_metrics *metrics, enum flo_naming naming, bool openmetrics,
                        const char *text)
{
    const struct flo_metrics_form form = {.naming = naming, .openmetrics = openmetrics};
    struct flo_buf out;

    flo_buf_init(&out, 0);
    assert_int_equal(flo_metrics_render(metrics, &form, &out), 0);
    assert_string_equal(flo_buf_cstr(&out), text);
    flo_buf_fini(&out);
}

static void fill(struct flo_metrics *m)
{
    flo_series_add(flo_metrics_get(m, FLO_METRIC_REQUEST_FAILURE, "default", "Poll", "CODE", NULL),
                   2);
    flo_series_set(flo_metrics_get(m, FLO_METRIC_PROCESS_CPU, NULL), 1.5);
    flo_series_set(flo_metrics_get(m, FLO_METRIC_PROCESS_RSS, NULL), 4096);
}

#define FAILED "temporal_request_failure"
#define REST                                                                                       \
    "# HELP process_resident_memory_bytes Resident memory.\n"                                      \
    "# TYPE process_resident_memory_bytes gauge\n"
#define HELP " Calls that the server refused or that failed.\n"
#define LABELS "namespace=\"default\",operation=\"Poll\",status_code=\"CODE\""

/* The family of a counter is named without its suffix, units are said, the end is marked. */
static void test_openmetrics_counter_and_gauge(void **state)
{
    fill(*state);
    assert_page(*state, FLO_NAMING_TALLY, true,
                "# HELP " FAILED HELP "# TYPE " FAILED " counter\n" FAILED "_total{" LABELS "} 2\n"
                "# HELP process_cpu_seconds User and system CPU time.\n"
                "# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n"
                "process_cpu_seconds_total 1.5\n" REST
                "# UNIT process_resident_memory_bytes bytes\nprocess_resident_memory_bytes 4096\n"
                "# EOF\n");
}

/* Only SDK metrics are named otherwise; a counter without the suffix has no kind in OpenMetrics. */
static void test_core_drops_the_suffix(void **state)
{
    fill(*state);
    assert_page(*state, FLO_NAMING_CORE, false,
                "# HELP " FAILED HELP "# TYPE " FAILED " counter\n" FAILED "{" LABELS
                ",service_name=\"flotilla\"} 2\n"
                "# HELP process_cpu_seconds_total User and system CPU time.\n"
                "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\n" REST
                "process_resident_memory_bytes 4096\n");
    assert_page(*state, FLO_NAMING_OTEL_GO, true,
                "# HELP " FAILED HELP "# TYPE " FAILED " unknown\n" FAILED "{" LABELS "} 2\n"
                "# HELP process_cpu_seconds User and system CPU time.\n"
                "# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n"
                "process_cpu_seconds_total 1.5\n" REST
                "# UNIT process_resident_memory_bytes bytes\nprocess_resident_memory_bytes 4096\n"
                "# EOF\n");
}

/* The lines of a page that hold word, one after the other. */
static void lines_with(struct flo_metrics *m, const struct flo_metrics_form *form, const char *word,
                       struct flo_buf *out)
{
    struct flo_buf page;
    char *save = NULL;

    flo_buf_init(&page, 0);
    assert_int_equal(flo_metrics_render(m, form, &page), 0);
    (void)flo_buf_cstr(&page);
    for (char *line = strtok_r((char *)page.data, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (strstr(line, word))
            flo_buf_printf(out, "%s\n", line);
    flo_buf_fini(&page);
}

static void assert_lines(struct flo_metrics *m, enum flo_naming naming, bool openmetrics,
                         const char *word, const char *text)
{
    const struct flo_metrics_form form = {.naming = naming, .openmetrics = openmetrics};
    struct flo_buf lines;

    flo_buf_init(&lines, 0);
    lines_with(m, &form, word, &lines);
    assert_string_equal(flo_buf_cstr(&lines), text);
    flo_buf_fini(&lines);
}

#define S2S "temporal_workflow_task_schedule_to_start_latency"
#define Q "{namespace=\"n\",task_queue=\"q\""

/* Bounds and sums are milliseconds there; OpenMetrics writes whole bounds as 1.0. */
static void test_histograms_in_each_naming(void **state)
{
    struct flo_metrics *m = *state;
    struct flo_series *h =
        flo_metrics_get(m, FLO_METRIC_WORKFLOW_SCHEDULE_TO_START, "n", "q", NULL);

    flo_series_observe(h, 0.25);
    assert_lines(m, FLO_NAMING_TALLY, false, "le=\"1\"", S2S "_seconds_bucket" Q ",le=\"1\"} 1\n");
    assert_lines(m, FLO_NAMING_TALLY, true, "le=\"1.0\"",
                 S2S "_seconds_bucket" Q ",le=\"1.0\"} 1\n");
    assert_lines(m, FLO_NAMING_TALLY, true, "UNIT", "# UNIT " S2S "_seconds seconds\n");
    assert_lines(m, FLO_NAMING_OTEL_GO, true, "_sum", S2S "_seconds_sum" Q "} 0.25\n");
    assert_lines(m, FLO_NAMING_CORE, false, "le=\"1\"",
                 S2S "_bucket" Q ",service_name=\"flotilla\",le=\"1\"} 0\n");
    assert_lines(m, FLO_NAMING_CORE, false, "_sum",
                 S2S "_sum" Q ",service_name=\"flotilla\"} 250\n");
    assert_lines(m, FLO_NAMING_CORE, false, "+Inf",
                 S2S "_bucket" Q ",service_name=\"flotilla\",le=\"+Inf\"} 1\n");
    assert_lines(m, FLO_NAMING_CORE, true, "UNIT", "");
}

/* Whatever a label holds, it stays in its quotes, and the page is UTF-8. */
static void test_hostile_label_values(void **state)
{
    struct flo_metrics *m = *state;

    flo_series_inc(flo_metrics_get(m, FLO_METRIC_REJECTS, "a\"} 1\nx{y=\"\\\xff\xc3\xa4", NULL));
    assert_lines(m, FLO_NAMING_TALLY, false, "flotilla_rejects_total{",
                 "flotilla_rejects_total{reason=\"a\\\"} 1\\nx{y=\\\"\\\\?\xc3\xa4\"} 1\n");
}

/* A family all of whose gauges are unknown is not announced. */
static void test_family_without_samples_is_not_there(void **state)
{
    struct flo_metrics *m = *state;
    struct flo_series *depth =
        flo_metrics_get(m, FLO_METRIC_WORKFLOW_QUEUE_DEPTH, "n", "q", "q", NULL);

    flo_series_clear(depth);
    assert_page(m, FLO_NAMING_TALLY, true, "# EOF\n");
    flo_series_set(depth, 0);
    assert_lines(m, FLO_NAMING_TALLY, false, "_depth{",
                 "temporal_workflow_task_queue_depth{namespace=\"n\",queue=\"q\",task_queue=\"q\"}"
                 " 0\n");
}

/* A full buffer is an error, not half a page. */
static void test_full_buffer(void **state)
{
    const struct flo_metrics_form form = {.openmetrics = true};
    struct flo_buf out;

    fill(*state);
    flo_buf_init(&out, 64);
    assert_int_equal(flo_metrics_render(*state, &form, &out), FLO_ELIMIT);
    flo_buf_fini(&out);
}

static void test_accept(void **state)
{
    static const char *const openmetrics[] = {
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
        "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/vnd.google.protobuf;q=0.6,application/openmetrics-text;version=1.0.0;"
        "escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "text/plain;q=0.9, Application/OpenMetrics-Text; version=\"1.0.0\"",
    };
    static const char *const text[] = {
        "",
        "*/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.3,text/plain",
        "application/openmetrics-text;q=7",
        "application/openmetrics-texture",
        ";q=,,;version=1.0.0,",
        "application/openmetrics-text;q=0.0000000000000001",
    };

    (void)state;
    assert_false(flo_page_wants_openmetrics(NULL));
    for (size_t i = 0; i < sizeof openmetrics / sizeof *openmetrics; i++)
        if (!flo_page_wants_openmetrics(openmetrics[i]))
            fail_msg("text for %s", openmetrics[i]);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (flo_page_wants_openmetrics(text[i]))
            fail_msg("OpenMetrics for %s", text[i]);
}

/* ---- the table and its document ---- */

static void append_other_name(struct flo_buf *row, enum flo_naming naming,
                              const struct flo_metric_desc *desc, const char *unless)
{
    char name[FLO_METRIC_NAME_MAX];

    (void)flo_page_name(naming, desc->kind, desc->name, name);
    if (strcmp(name, unless) == 0)
        flo_buf_append_str(row, " |");
    else
        flo_buf_printf(row, " `%s`%s |", name, desc->kind == FLO_HISTOGRAM ? " (ms)" : "");
}

/* The row of docs/metrics.md. */
static void append_row(struct flo_buf *row, const struct flo_metric_desc *desc)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const char *separator = " ";

    flo_buf_printf(row, "\n| `%s` | %s |", desc->name, kinds[desc->kind]);
    for (const char *label = desc->labels; *label;) {
        size_t len = strcspn(label, ",");
        flo_buf_printf(row, "%s`%.*s`", separator, (int)len, label);
        separator = ", ";
        label += len + (label[len] == ',');
    }
    flo_buf_append_str(row, " |");
    append_other_name(row, FLO_NAMING_CORE, desc, desc->name);
    append_other_name(row, FLO_NAMING_OTEL_GO, desc, desc->name);
    flo_buf_printf(row, " %s |\n", desc->help);
}

static void read_file(const char *path, struct flo_buf *out)
{
    FILE *file = fopen(path, "r");
    char part[4096];

    assert_non_null(file);
    for (size_t len; (len = fread(part, 1, sizeof part, file)) > 0;)
        assert_int_equal(flo_buf_append(out, part, len), 0);
    fclose(file);
}

/* docs/metrics.md has a row for each metric, as the table has it, and no others. */
static void test_document_has_all_metrics(void **state)
{
    struct flo_buf text, row;
    size_t rows = 0;

    (void)state;
    flo_buf_init(&text, 0);
    flo_buf_init(&row, 0);
    read_file(FLO_SOURCE_DIR "/docs/metrics.md", &text);
    for (int i = 0; i < FLO_METRIC_COUNT; i++) {
        flo_buf_clear(&row);
        append_row(&row, flo_metric_desc((enum flo_metric)i));
        if (!strstr(flo_buf_cstr(&text), flo_buf_cstr(&row)))
            fail_msg("docs/metrics.md lacks:%s", flo_buf_cstr(&row));
    }
    const char *begin = strstr(flo_buf_cstr(&text), "<!-- metrics: begin -->");
    assert_non_null(begin);
    for (const char *p = begin; (p = strstr(p, "\n| `")); p++)
        rows++;
    assert_int_equal(rows, FLO_METRIC_COUNT);
    flo_buf_fini(&row);
    flo_buf_fini(&text);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len > suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

/* Names are those that Prometheus' own rules want. */
static void test_names_follow_the_rules(void **state)
{
    (void)state;
    for (int i = 0; i < FLO_METRIC_COUNT; i++) {
        const struct flo_metric_desc *desc = flo_metric_desc((enum flo_metric)i);
        assert_true(flo_metric_name_ok(desc->name));
        assert_true(strlen(desc->name) < FLO_METRIC_NAME_MAX);
        assert_ptr_equal(flo_metric_desc_by_name(desc->name), desc);
        if ((desc->kind == FLO_COUNTER) != has_suffix(desc->name, "_total"))
            fail_msg("%s: counters end in _total, nothing else does", desc->name);
        if (desc->kind == FLO_HISTOGRAM && !has_suffix(desc->name, "_seconds"))
            fail_msg("%s: histograms are of seconds", desc->name);
        /* One name is the real server's own. */
        if ((has_suffix(desc->name, "_count") && i != FLO_METRIC_SERVER_BACKLOG) ||
            has_suffix(desc->name, "_sum") || has_suffix(desc->name, "_bucket"))
            fail_msg("%s: the name of a histogram's sample", desc->name);
        assert_true(has_suffix(desc->help, "."));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_openmetrics_counter_and_gauge),
        T(test_core_drops_the_suffix),
        T(test_histograms_in_each_naming),
        T(test_hostile_label_values),
        T(test_family_without_samples_is_not_there),
        T(test_full_buffer),
        T(test_accept),
        T(test_document_has_all_metrics),
        T(test_names_follow_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
