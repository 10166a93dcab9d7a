/* SPDX-License-Identifier: Apache-2.0 */
/* Worker and fleet configuration: precedence, golden error lines, sources, shipped files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "settings_fixture.h"

/* Defaults are the KEDA guide's. */
static void test_load_minimal_has_defaults(void **state)
{
    struct fixture *f = *state;
    struct flo_role_config *c = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\n");
    assert_string_equal(c->server.address, "127.0.0.1:7233");
    assert_string_equal(c->server.name_space, "default");
    assert_string_equal(c->task_queue, "q");
    assert_int_equal(c->executor.workers, 10);
    assert_int_equal(c->max_concurrent_activities, 5);
    assert_int_equal(c->max_concurrent_activity_task_polls, 2);
    assert_int_equal(c->shutdown_timeout_ms, 30000);
    assert_int_equal(c->health.port, 8080);
    assert_int_equal(c->metrics.port, 9464);
    assert_string_equal(c->supervisor.endpoint, "");
    assert_non_null(strchr(c->identity, '@'));
    flo_role_config_destroy(&c);
    assert_null(c);

    c = load(f, FLO_ROLE_CPU_ACTIVITY, "task_queue: q\n");
    assert_int_equal(c->executor.workers, 0);
    assert_int_equal(c->max_concurrent_activities, 2);
    assert_int_equal(c->max_concurrent_activity_task_polls, 1);
    assert_int_equal(c->executor.isolation, FLO_ISOLATION_PROCESS);
    assert_true(c->executor.pin);
    flo_role_config_destroy(&c);

    c = load(f, FLO_ROLE_WORKFLOW, "task_queue: q\n");
    assert_int_equal(c->max_concurrent_workflow_tasks, 3);
    assert_int_equal(c->max_concurrent_workflow_task_polls, 2);
    assert_int_equal(c->sticky_cache.max_bytes, 64 << 20);
    flo_role_config_destroy(&c);
}

/* --set beats the environment, which beats the file, which beats the default; and each says so. */
static void test_load_precedence_and_sources(void **state)
{
    struct fixture *f = *state;
    const char *text = "task_queue: from-file\n"
                       "server:\n  address: file:1\n  namespace: file-ns\n"
                       "shutdown_timeout: 10s\n";
    setenv("TEMPORAL_ADDRESS", "env:2", 1);
    setenv("TEMPORAL_NAMESPACE", "env-ns", 1);
    setenv("TASK_QUEUE", "", 1); /* empty counts as not set */
    set(f, "server.address=flag:3");
    struct flo_role_config *c = load(f, FLO_ROLE_IO_ACTIVITY, text);
    assert_string_equal(c->server.address, "flag:3");
    assert_string_equal(c->server.name_space, "env-ns");
    assert_string_equal(c->task_queue, "from-file");
    assert_int_equal(c->shutdown_timeout_ms, 10000);

    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_config_print(&c->config, &out), 0);
    const char *printed = flo_buf_cstr(&out);
    assert_non_null(strstr(printed, "server.address: flag:3  # flag\n"));
    assert_non_null(strstr(printed, "server.namespace: env-ns  # env TEMPORAL_NAMESPACE\n"));
    assert_non_null(strstr(printed, "task_queue: from-file  # w.yaml:1\n"));
    assert_non_null(strstr(printed, "shutdown_timeout: 10s  # w.yaml:5\n"));
    assert_non_null(strstr(printed, "executor.workers: 10  # default\n"));
    assert_null(strstr(printed, "max_concurrent_workflow_tasks"));
    flo_buf_fini(&out);
    flo_role_config_destroy(&c);
    unsetenv("TEMPORAL_ADDRESS");
    unsetenv("TEMPORAL_NAMESPACE");
    unsetenv("TASK_QUEUE");
}

/* Every variable that users of the guides have set is understood. */
/* The error lines people will see. */
static void test_load_golden_errors(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "max_concurent_activities: 3\n",
                   "w.yaml:2:1: max_concurent_activities: unknown setting; did you mean "
                   "\"max_concurrent_activities\"?");
    assert_refused(f, "health:\n  prot: 1\n",
                   "w.yaml:3:3: health.prot: unknown setting; did you mean \"port\"?");
    assert_refused(f, "health:\n  zzz: 1\n",
                   "w.yaml:3:3: health.zzz: unknown setting; allowed here: host, port, "
                   "stall_timeout");
    assert_refused(f, "sticky_cache: {max_bytes: 1MiB}\n",
                   "w.yaml:2:1: sticky_cache: this kind of worker has no such setting; it belongs "
                   "to another role (see docs/configuration.md)");
    assert_refused(f, "health: 8080\n",
                   "w.yaml:2:9: health: this is a single value; a map of settings is allowed");
    assert_refused(f, "executor:\n  workers: [1]\n",
                   "w.yaml:3:12: executor.workers: this is a list; an integer from 1 to 4096 is "
                   "allowed");
    static const char *const no_integers[] = {"yes", "010", "1e3", ".inf", "0x10", "1.5", "~", ""};
    for (size_t i = 0; i < sizeof no_integers / sizeof no_integers[0]; i++) {
        char text[64], line[256];
        snprintf(text, sizeof text, "executor:\n  workers: %s\n", no_integers[i]);
        snprintf(
            line, sizeof line,
            "w.yaml:3:%d: executor.workers: \"%s\" is no integer; an integer from 1 to 4096 is "
            "allowed",
            *no_integers[i] ? 12 : 11, no_integers[i]);
        assert_refused(f, text, line);
    }
    assert_refused(f, "executor: {workers: \"5\"}\n",
                   "w.yaml:2:21: executor.workers: \"5\" is no integer; an integer from 1 to 4096 "
                   "is allowed");
    static const char *const out[] = {"0", "-1", "1000000000", "9223372036854775808"};
    for (size_t i = 0; i < 4; i++) {
        char text[64], line[256];
        snprintf(text, sizeof text, "max_concurrent_activities: %s\n", out[i]);
        snprintf(line, sizeof line,
                 "w.yaml:2:28: max_concurrent_activities: \"%s\" is out of range; an integer from "
                 "1 to 10000 is allowed",
                 out[i]);
        assert_refused(f, text, line);
    }
    assert_refused(f, "shutdown_timeout: 5\n",
                   "w.yaml:2:19: shutdown_timeout: \"5\" has no unit; a duration (250ms, 30s, 5m, "
                   "1h) from 0ms to 24h is allowed");
    assert_refused(f, "shutdown_timeout: 5 s\n",
                   "w.yaml:2:19: shutdown_timeout: \"5 s\" has an unknown unit; a duration (250ms, "
                   "30s, 5m, 1h) from 0ms to 24h is allowed");
    assert_refused(f, "server: {tls: {enabled: on}}\n",
                   "w.yaml:2:25: server.tls.enabled: \"on\" is no boolean; true or false is "
                   "allowed");
    assert_refused(f, "log:\n  level: wran\n",
                   "w.yaml:3:10: log.level: \"wran\" is none of the choices; did you mean "
                   "\"warn\"?; one of trace, debug, info, warn, error is allowed");
    assert_refused(f, "server: {namespace: ~}\n",
                   "w.yaml:2:21: server.namespace: \"~\" is no text; text of 1 to 255 bytes is "
                   "allowed");
    assert_refused(f, "server: {address: \"http://x:1\"}\n",
                   "w.yaml:2:19: server.address: \"http://x:1\" is a URL; host:port is allowed");
    assert_refused(f, "server: {address: \"x:0\"}\n",
                   "w.yaml:2:19: server.address: \"x:0\" is no address; host:port with a port from "
                   "1 to 65535 is allowed");
    assert_refused(
        f, "supervisor: {endpoint: \"tcp://fleet:5570\"}\n",
        "w.yaml:2:24: supervisor.endpoint: tcp://fleet:5570 is open to other machines: give "
        "supervisor.curve's keys, or supervisor.insecure: true to report in plain text");
    assert_refused(
        f, "supervisor: {curve: {secret_key_file: a}}\n",
        "configuration: supervisor.curve.server_key_file: supervisor.curve.secret_key_file is "
        "given, so this one is needed too");
    assert_refused(f, "modules: [{pth: x}]\n",
                   "w.yaml:2:12: modules[0].pth: unknown setting; did you mean \"path\"?");
    assert_refused(f, "modules: [{settings: {}}]\n",
                   "w.yaml:2:11: modules[0].path: is missing; it must be given");
}

/* Mistakes on the command line. */
static void test_load_bad_sets(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *set;
        int code;
        const char *message;
    } cases[] = {
        {"server.adress=x", FLO_ECONFIG,
         "--set: server.adress: unknown setting; did you mean \"server.address\"?"},
        {"health.port=99999", FLO_ECONFIG,
         "--set: health.port: \"99999\" is out of range; an integer from 0 to 65535 is allowed"},
        {"max_concurrent_workflow_task_polls=1", FLO_ECONFIG,
         "--set: max_concurrent_workflow_task_polls: 1 poll cannot serve two queues; at least 2 "
         "are "
         "allowed while sticky_cache.max_entries is above 0"},
        {"tuner.workflow_slots.min=1", FLO_ECONFIG,
         "--set: tuner.workflow_slots.min: 1 slot cannot serve two queues; at least 2 are allowed "
         "while sticky_cache.max_entries is above 0"},
        {"max_concurrent_workflow_tasks=1", FLO_ECONFIG,
         "--set: max_concurrent_workflow_tasks: 1 slot cannot serve two queues; at least 2 are "
         "allowed while sticky_cache.max_entries is above 0"},
        {"health.port", FLO_EINVAL, "--set \"health.port\": KEY=VALUE is expected"},
        {"=1", FLO_EINVAL, "--set \"=1\": KEY=VALUE is expected"},
        {"server.api_key=abc", FLO_EINVAL,
         "--set: server.api_key: a secret may not stand on the command line, where others can read "
         "it; use the environment or a file"},
        {"modules=echo", FLO_EINVAL, "--set: modules: only the file can hold this setting"},
    };
    write_file("w.yaml", "task_queue: q\n", 0600);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flo_role_config *config = NULL;
        f->cmdline.sets[0] = cases[i].set;
        f->cmdline.set_count = 1;
        assert_int_equal(flo_role_config_load(FLO_ROLE_WORKFLOW, &f->cmdline, &config, &f->err),
                         cases[i].code);
        assert_string_equal(f->err.message, cases[i].message);
    }
}

/* ${VAR}: put in, defaulted, or named when it is missing or unfit. */
static void test_load_expands_variables(void **state)
{
    struct fixture *f = *state;
    setenv("FLO_T_QUEUE", "orders", 1);
    setenv("FLO_T_N", "17", 1);
    unsetenv("FLO_T_NONE");
    struct flo_role_config *c = load(f, FLO_ROLE_IO_ACTIVITY,
                                     "task_queue: ${FLO_T_QUEUE}-$$1-${FLO_T_NONE:-x:y}\n"
                                     "executor:\n  workers: ${FLO_T_N}\n");
    assert_string_equal(c->task_queue, "orders-$1-x:y");
    assert_int_equal(c->executor.workers, 17);
    flo_role_config_destroy(&c);
    unsetenv("FLO_T_QUEUE");
    unsetenv("FLO_T_N");
}

static void test_load_expansion_errors(void **state)
{
    struct fixture *f = *state;
    setenv("FLO_T_BAD", "secret\nvalue", 1);
    unsetenv("FLO_T_NONE");
    assert_refused(f, "identity: ${FLO_T_NONE}\n",
                   "w.yaml:2:11: identity: the environment variable FLO_T_NONE is not set; set it "
                   "or write ${FLO_T_NONE:-default}");
    assert_refused(f, "identity: ${FLO_T_BAD}\n",
                   "w.yaml:2:11: identity: the environment variable FLO_T_BAD holds a newline or "
                   "control character; one line of text is allowed");
    assert_refused(
        f, "identity: a$b\n",
        "w.yaml:2:11: identity: a bad reference; ${NAME} or ${NAME:-default} is allowed, "
        "$$ is a dollar");
    assert_refused(f, "identity: |\n  two\n  lines\n",
                   "w.yaml:2:11: identity: \"two?lines?\" holds a newline or control character; "
                   "text of 0 to 255 bytes is allowed");
    unsetenv("FLO_T_BAD");
}

/* A file that everybody may write is refused; a secret that others may read is warned of. */
static void test_load_checks_permissions(void **state)
{
    struct fixture *f = *state;
    struct flo_role_config *config = NULL;
    write_file("w.yaml", "task_queue: q\n", 0666);
    assert_int_equal(flo_role_config_load(FLO_ROLE_WORKFLOW, &f->cmdline, &config, &f->err),
                     FLO_EPERM);
    assert_int_equal(flo_exit_code(FLO_EPERM), 77);
    write_file("w.yaml", "task_queue: q\nserver: {api_key: abc}\n", 0644);
    assert_int_equal(flo_role_config_load(FLO_ROLE_WORKFLOW, &f->cmdline, &config, &f->err), 0);
    assert_int_equal(config->config.warning_count, 1);
    assert_true(config->server.tls.enabled); /* an API key means TLS */
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_config_print(&config->config, &out), 0);
    assert_non_null(strstr(flo_buf_cstr(&out), "server.api_key: \"***\"  # w.yaml:2\n"));
    assert_null(strstr(flo_buf_cstr(&out), "abc"));
    flo_buf_fini(&out);
    flo_role_config_destroy(&config);
}

/* What only processes obey is warned of with threads; a default is not. */
static void test_load_warns_of_what_threads_do_not_obey(void **state)
{
    struct fixture *f = *state;
    struct flo_role_config *c = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\n");
    assert_int_equal(c->config.warning_count, 0);
    assert_int_equal(c->executor.max_growth_bytes, 1 << 30);
    flo_role_config_destroy(&c);
    c = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\nexecutor: {max_jobs: 9}\n");
    assert_int_equal(c->config.warning_count, 1);
    flo_role_config_destroy(&c);
    c = load(f, FLO_ROLE_CPU_ACTIVITY, "task_queue: q\nexecutor: {max_jobs: 9, max_growth: 0}\n");
    assert_int_equal(c->config.warning_count, 0);
    assert_int_equal(c->executor.max_jobs, 9);
    assert_int_equal(c->executor.max_growth_bytes, 0);
    flo_role_config_destroy(&c);
}

/* Secrets of modules are not printed: by their name, wherever they stand, or inside a URL. */
static void test_print_masks_secrets_of_modules(void **state)
{
    struct fixture *f = *state;
    struct flo_buf out;
    flo_buf_init(&out, 0);
    struct flo_role_config *c =
        load(f, FLO_ROLE_IO_ACTIVITY,
             "task_queue: q\nmodules:\n  - path: m.so\n    settings:\n"
             "      database: postgresql://u:hunter2@db/x\n"
             "      servers: [{api_token: hunter3}, \"redis://:hunter4@r\"]\n"
             "      credentials: {user: hunter5}\n      plain: [1, two]\n");
    assert_int_equal(flo_config_print(&c->config, &out), 0);
    assert_null(strstr(flo_buf_cstr(&out), "hunter"));
    assert_non_null(strstr(flo_buf_cstr(&out), "postgresql://u:***@db/x"));
    assert_non_null(strstr(flo_buf_cstr(&out), "[1, \"two\"]"));
    flo_buf_fini(&out);
    flo_role_config_destroy(&c);
}

/* The key's file is read, relative to the YAML's folder. */
static void test_load_reads_api_key_file(void **state)
{
    struct fixture *f = *state;
    write_file("key", "top-secret\n", 0600);
    struct flo_role_config *c =
        load(f, FLO_ROLE_WORKFLOW, "task_queue: q\nserver: {api_key_file: key}\n");
    assert_string_equal(c->server.api_key, "top-secret");
    assert_true(c->server.tls.enabled);
    assert_int_equal(c->config.warning_count, 0);
    flo_role_config_destroy(&c);
}

/* Modules: by name, by file, with what they serve and their settings. */
static void test_load_modules(void **state)
{
    struct fixture *f = *state;
    struct flo_role_config *c =
        load(f, FLO_ROLE_IO_ACTIVITY,
             "task_queue: q\nmodule_path: /opt/m\nmodules:\n  - echo\n  - path: ./own.so\n"
             "    activities: [a, b]\n    settings: {dsn: x, n: 3, deep: {l: [1, yes, \"1\"]}}\n");
    assert_int_equal(c->modules.count, 2);
    const struct flo_module_config *echo = flo_role_config_module(c, 0);
    const struct flo_module_config *own = flo_role_config_module(c, 1);
    assert_string_equal(echo->path, "/opt/m/echo.so");
    assert_int_equal(echo->activities.count, 0);
    assert_string_equal(own->path, "././own.so");
    assert_int_equal(own->activities.count, 2);
    assert_string_equal(own->activities.items[1], "b");
    char *text = json_dumps(own->settings, JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(text, "{\"db_max_overflow\":30,\"db_pool_size\":20,\"deep\":{\"l\":[1,"
                              "\"yes\",\"1\"]},\"dsn\":\"x\",\"n\":3}");
    free(text);
    flo_role_config_destroy(&c);
}

/* The files that ship are good, and have the guide's numbers and queues. */
static void test_shipped_files(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum flo_role role;
        const char *file, *queue;
    } shipped[] = {
        {FLO_ROLE_WORKFLOW, "workflow-worker", "document-workflow-queue"},
        {FLO_ROLE_IO_ACTIVITY, "io-activity-worker", "document-io-activity-queue"},
        {FLO_ROLE_CPU_ACTIVITY, "cpu-activity-worker", "document-cpu-activity-queue"},
    };
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/config/%s.yaml", FLO_SOURCE_DIR, shipped[i].file);
        f->cmdline.config = path;
        struct flo_role_config *c = NULL;
        int rc = flo_role_config_load(shipped[i].role, &f->cmdline, &c, &f->err);
        if (rc)
            print_error("%s\n", f->err.message);
        assert_int_equal(rc, 0);
        assert_string_equal(c->task_queue, shipped[i].queue);
        flo_role_config_destroy(&c);
    }
    char path[512];
    snprintf(path, sizeof path, "%s/config/fleet.yaml", FLO_SOURCE_DIR);
    f->cmdline.config = path;
    struct flo_fleet_config *fleet = NULL;
    assert_int_equal(flo_fleet_config_load(&f->cmdline, &fleet, &f->err), 0);
    assert_int_equal(fleet->workers.count, 6);
    assert_string_equal(flo_fleet_config_worker(fleet, 0)->program, "workflow-worker");
    assert_string_equal(
        json_string_value(json_object_get(flo_fleet_config_worker(fleet, 3)->set, "task_queue")),
        "benchmark");
    flo_fleet_config_destroy(&fleet);
}

/* Each row of the tables stands in the reference, word for word. */
static void test_reference_is_current(void **state)
{
    (void)state;
    FILE *file = fopen(FLO_SOURCE_DIR "/docs/configuration.md", "r");
    assert_non_null(file);
    char *text = calloc(1, 256 * 1024);
    assert_true(fread(text, 1, 256 * 1024 - 1, file) > 0);
    fclose(file);
    for (int which = 0; which < 4; which++) {
        size_t count;
        const struct flo_setting *table =
            which < 3 ? flo_role_settings(&count) : flo_fleet_settings(&count);
        struct flo_buf rows;
        flo_buf_init(&rows, 0);
        assert_int_equal(flo_config_document(table, count, which < 3 ? 1u << which : 0, &rows), 0);
        const char *line = flo_buf_cstr(&rows);
        while (*line) {
            size_t len = strcspn(line, "\n") + 1;
            if (!memmem(text, strlen(text), line, len))
                fail_msg("docs/configuration.md lacks: %.*s", (int)len, line);
            line += len;
        }
        flo_buf_fini(&rows);
    }
    free(text);
}

/* Fleets: names, single values, an address when there is no engine. */
static void test_fleet_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"workers:\n  - {name: a, program: p}\n  - {name: a, program: p}\n",
         "w.yaml:2:3: workers: the name \"a\" stands twice"},
        {"workers:\n  - {name: \"a b\", program: p}\n",
         "w.yaml:2:3: workers: \"a b\" is no name for a worker; letters, digits, - and _ are "
         "allowed, but not \"engine\", \"supervisor\" and \"all\""},
        {"workers:\n  - {name: all, program: p}\n",
         "w.yaml:2:3: workers: \"all\" is no name for a worker; letters, digits, - and _ are "
         "allowed, but not \"engine\", \"supervisor\" and \"all\""},
        {"workers:\n  - {name: a, program: p, set: {x: [1]}}\n",
         "w.yaml:2:3: workers: a: set and env hold single values; put maps and lists into the "
         "worker's own file"},
        {"workers:\n  - {name: a, program: p, count: 65}\n",
         "w.yaml:2:34: workers[0].count: \"65\" is out of range; an integer from 0 to 64 is "
         "allowed"},
        {"engine: {enabled: false}\nworkers: [{name: a, program: p}]\n",
         "configuration: server.address: it must be given when engine.enabled is false"},
        {"restart: {min_backoff: 1m}\n",
         "w.yaml:1:24: restart.min_backoff: it is more than restart.max_backoff"},
        {"scaling: {min: 5, max: 4}\n", "w.yaml:1:16: scaling.min: it is more than scaling.max"},
        {"scaling: {down_activity_backlog: 15}\n",
         "w.yaml:1:34: scaling.down_activity_backlog: it must be below the backlog that brings "
         "more replicas, 15"},
        {"scaling: {grpc: \"0.0.0.0:9090\"}\n",
         "w.yaml:1:17: scaling.grpc: 0.0.0.0:9090 is open to other machines: give "
         "scaling.tls.cert_file and its key, or scaling.insecure: true to serve plain text"},
        {"scaling: {tls: {key_file: k}}\n",
         "w.yaml:1:27: scaling.tls.key_file: a certificate and its key are given together"},
        {"server: {tls: {cert_file: c}}\n",
         "w.yaml:1:27: server.tls.cert_file: a client certificate and its key are given together"},
        {"workers:\n  - {name: a, program: io-activity-worker, autoscale: {mni: 1}}\n",
         "w.yaml:2:56: workers[0].autoscale.mni: unknown setting; did you mean \"min\"?"},
        {"workers:\n  - {name: a, program: io-activity-worker, autoscale: {min: 5, max: 4}}\n",
         "w.yaml:2:3: workers: a: autoscale.min is more than autoscale.max, or both are 0"},
        {"workers:\n  - {name: a, program: io-activity-worker, autoscale: {down_backlog: 15}}\n",
         "w.yaml:2:3: workers: a: autoscale.down_backlog must be below autoscale.up_backlog"},
        {"workers:\n  - {name: a, program: p, autoscale: {enabled: true}}\n",
         "w.yaml:2:3: workers: a: its program is none of ours, so its queues and slots are not "
         "known"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flo_fleet_config *fleet = NULL;
        write_file("w.yaml", cases[i].text, 0600);
        assert_int_equal(flo_fleet_config_load(&f->cmdline, &fleet, &f->err), FLO_ECONFIG);
        assert_string_equal(f->err.message, cases[i].message);
    }
}

/* What a worker leaves open of its autoscaling is what scaling says, by the kind of its tasks. */
static void test_fleet_autoscale(void **state)
{
    struct fixture *f = *state;
    struct flo_fleet_config *fleet = NULL;
    write_file("w.yaml",
               "workers:\n"
               "  - {name: a, program: bin/workflow-worker, autoscale: {enabled: true}}\n"
               "  - {name: b, program: io-activity-worker, autoscale: {max: 4, cooldown: 2s}}\n"
               "  - {name: c, program: cpu-activity-worker, autoscale: {enabled: false, max: 4}}\n"
               "  - {name: d, program: p}\n",
               0600);
    assert_int_equal(flo_fleet_config_load(&f->cmdline, &fleet, &f->err), 0);
    const struct flo_fleet_worker *a = flo_fleet_config_worker(fleet, 0), *b = a + 1;
    assert_int_equal(a->autoscale.enabled, FLO_AUTOSCALE_ON);
    assert_int_equal(a->autoscale.min, 3);
    assert_int_equal(a->autoscale.max, 20);
    assert_int_equal(a->autoscale.up_backlog, 10);
    assert_int_equal(a->autoscale.down_backlog, 3);
    assert_int_equal(a->autoscale.cooldown_ms, 60000);
    assert_int_equal(b->autoscale.enabled, FLO_AUTOSCALE_ON);
    assert_int_equal(b->autoscale.max, 4);
    assert_int_equal(b->autoscale.up_backlog, 15);
    assert_int_equal(b->autoscale.down_backlog, 5);
    assert_int_equal(b->autoscale.cooldown_ms, 2000);
    assert_int_equal((a + 2)->autoscale.enabled, FLO_AUTOSCALE_OFF);
    assert_int_equal((a + 3)->autoscale.enabled, FLO_AUTOSCALE_OFF);
    flo_fleet_config_destroy(&fleet);
}

int main(void)
{
    clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load_minimal_has_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_precedence_and_sources, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_golden_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_bad_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_expands_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_expansion_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_checks_permissions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_warns_of_what_threads_do_not_obey, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_print_masks_secrets_of_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_reads_api_key_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shipped_files, setup, teardown),
        cmocka_unit_test(test_reference_is_current),
        cmocka_unit_test_setup_teardown(test_fleet_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fleet_autoscale, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
