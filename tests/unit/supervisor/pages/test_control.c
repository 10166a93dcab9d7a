/* SPDX-License-Identifier: Apache-2.0 */
/* test_control.c - what requests to the control API ask for, and whether their sender may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "supervisor/pages/control_request.h"

/* ---- who ---- */

static void test_token_must_be_the_whole_one(void **state)
{
    static const char token[] = "0123456789abcdef";
    (void)state;
    assert_int_equal(flo_control_check_token(NULL, token), FLO_CONTROL_NO_TOKEN);
    assert_int_equal(flo_control_check_token("", token), FLO_CONTROL_NO_TOKEN);
    assert_int_equal(flo_control_check_token("Basic 0123456789abcdef", token),
                     FLO_CONTROL_NO_TOKEN);
    assert_int_equal(flo_control_check_token("Bearer ", token), FLO_CONTROL_WRONG_TOKEN);
    assert_int_equal(flo_control_check_token("Bearer 0123456789abcde", token),
                     FLO_CONTROL_WRONG_TOKEN);
    assert_int_equal(flo_control_check_token("Bearer 0123456789abcdeF", token),
                     FLO_CONTROL_WRONG_TOKEN);
    assert_int_equal(flo_control_check_token("Bearer 0123456789abcdef0", token),
                     FLO_CONTROL_WRONG_TOKEN);
    assert_int_equal(flo_control_check_token("Bearer 0123456789abcdef x", token),
                     FLO_CONTROL_WRONG_TOKEN);
    assert_int_equal(flo_control_check_token("Bearer 0123456789abcdef", token),
                     FLO_CONTROL_ALLOWED);
    assert_int_equal(flo_control_check_token("bearer  0123456789abcdef ", token),
                     FLO_CONTROL_ALLOWED);
}

static void test_body_must_be_json(void **state)
{
    (void)state;
    assert_true(flo_control_is_json("application/json"));
    assert_true(flo_control_is_json("Application/JSON ; charset=utf-8"));
    assert_false(flo_control_is_json(NULL));
    assert_false(flo_control_is_json("text/plain"));
    assert_false(flo_control_is_json("application/jsonx"));
    assert_false(flo_control_is_json("application/x-www-form-urlencoded"));
}

static void test_names_from_the_narrowest_to_the_widest(void **state)
{
    (void)state;
#define RANK(word) flo_control_names(word, "boot", "7@host@q", "io-2", "io-activity")
    assert_int_equal(RANK("boot"), 5);
    assert_int_equal(RANK("7@host@q"), 4);
    assert_int_equal(RANK("io-2"), 3);
    assert_int_equal(RANK("io-activity"), 2);
    assert_int_equal(RANK("io"), 1);
    assert_int_equal(RANK("all"), 1);
    assert_int_equal(RANK("i"), 0);
    assert_int_equal(RANK("io-"), 0);
    assert_int_equal(RANK("io-22"), 0);
    assert_int_equal(RANK("ALL"), 0);
}

/* ---- what ---- */

static void assert_command(const char *body, const char *command, int64_t work_ms)
{
    struct flo_control_command out;
    struct flo_err err;
    assert_int_equal(flo_control_read_command(body, strlen(body), &out, &err), 0);
    assert_string_equal(out.command, command);
    assert_int_equal(out.work_ms, work_ms);
    flo_control_command_fini(&out);
}

static void assert_refused(const char *body, const char *why)
{
    struct flo_control_command out;
    struct flo_err err;
    assert_int_equal(flo_control_read_command(body, strlen(body), &out, &err), FLO_EINVAL);
    assert_string_equal(err.message, why);
}

static void test_good_commands(void **state)
{
    (void)state;
    assert_command("{\"target\":\"io\",\"command\":\"drain\"}", "drain", 0);
    assert_command("{\"target\":\"io\",\"command\":\"dump\",\"args\":{}}", "dump", 0);
    assert_command("{\"target\":\"io\",\"command\":\"resize\",\"args\":{\"slots\":5}}", "resize",
                   0);
    assert_command("{\"target\":\"io\",\"command\":\"resize\",\"args\":{\"kind\":"
                   "\"local-activity\",\"slots\":5}}",
                   "resize", 0);
    assert_command("{\"target\":\"cpu\",\"command\":\"resize\",\"args\":{\"executors\":2}}",
                   "resize", 0);
    assert_command("{\"target\":\"io\",\"command\":\"pollers\",\"args\":{\"n\":2}}", "pollers", 0);
    assert_command("{\"target\":\"io\",\"command\":\"pollers\",\"args\":{\"min\":1,\"max\":9}}",
                   "pollers", 0);
    assert_command("{\"target\":\"io\",\"command\":\"loglevel\",\"args\":{\"level\":\"debug\"}}",
                   "loglevel", 0);
    assert_command("{\"target\":\"io\",\"command\":\"profile\"}", "profile", 10000);
    assert_command("{\"target\":\"io\",\"command\":\"profile\",\"args\":{\"seconds\":3,\"hz\":"
                   "99}}",
                   "profile", 3000);
}

static void test_bad_commands_are_refused_with_the_reason(void **state)
{
    (void)state;
    assert_refused("[]", "the body is not a JSON object");
    assert_refused("{\"target\":\"io\",\"command\":\"drain\",\"force\":1}",
                   "unknown member \"force\"");
    assert_refused("{\"command\":\"drain\"}", "\"target\" must be a text of 1 to 300 bytes");
    assert_refused("{\"target\":7,\"command\":\"drain\"}",
                   "\"target\" must be a text of 1 to 300 bytes");
    assert_refused("{\"target\":\"io\",\"command\":\"shutdown\"}",
                   "unknown command \"shutdown\"; there are drain, quiet, resume, resize, "
                   "pollers, loglevel, reload, dump, profile");
    assert_refused("{\"target\":\"io\",\"command\":\"drain\",\"args\":[]}",
                   "\"args\" must be an object");
    assert_refused("{\"target\":\"io\",\"command\":\"drain\",\"args\":{\"now\":true}}",
                   "drain has no argument \"now\"");
    assert_refused("{\"target\":\"io\",\"command\":\"resize\",\"args\":{\"slots\":0}}",
                   "slots of resize is a whole number from 1 to 100000");
    assert_refused("{\"target\":\"io\",\"command\":\"resize\",\"args\":{\"slots\":1.5}}",
                   "slots of resize is a whole number from 1 to 100000");
    assert_refused("{\"target\":\"io\",\"command\":\"resize\",\"args\":{\"kind\":\"work\"}}",
                   "kind of resize is one of workflow|activity|local-activity");
    assert_refused("{\"target\":\"io\",\"command\":\"resize\"}",
                   "resize asks for slots (and perhaps kind), or executors");
    assert_refused("{\"target\":\"io\",\"command\":\"resize\",\"args\":{\"slots\":1,"
                   "\"executors\":1}}",
                   "resize asks for slots (and perhaps kind), or executors");
    assert_refused("{\"target\":\"io\",\"command\":\"pollers\",\"args\":{\"min\":1}}",
                   "pollers asks for n, or for min and max");
    assert_refused("{\"target\":\"io\",\"command\":\"pollers\",\"args\":{\"min\":5,\"max\":1}}",
                   "min of pollers is more than max");
    assert_refused("{\"target\":\"io\",\"command\":\"loglevel\"}", "loglevel asks for level");
    assert_refused("{\"target\":\"io\",\"command\":\"loglevel\",\"args\":{\"level\":\"\"}}",
                   "level of loglevel is one of trace|debug|info|warn|error");
    assert_refused("{\"target\":\"io\",\"command\":\"profile\",\"args\":{\"seconds\":61}}",
                   "seconds of profile is a whole number from 1 to 60");
}

/* Whatever is not one whole JSON object is refused: nothing, half of one, two, names twice. */
static void test_malformed_bodies_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "{\"target\":\"io\"",
        "{} {}",
        "{\"target\":\"a\",\"target\":\"b\",\"command\":\"drain\"}",
        "\xff\xfe",
        "null"};
    struct flo_control_command out;
    struct flo_err err;
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(flo_control_read_command(bodies[i], strlen(bodies[i]), &out, &err),
                         FLO_EINVAL);
    assert_int_equal(flo_control_read_command(NULL, 0, &out, &err), FLO_EINVAL);
}

static int read_process(const char *body, struct flo_control_process *out, struct flo_err *err)
{
    return flo_control_read_process(body, strlen(body), out, err);
}

static void test_processes(void **state)
{
    struct flo_control_process out;
    struct flo_err err;
    (void)state;
    assert_int_equal(
        read_process("{\"action\":\"scale\",\"name\":\"io\",\"replicas\":3}", &out, &err), 0);
    assert_int_equal(out.action, FLO_CONTROL_SCALE);
    assert_int_equal(out.replicas, 3);
    assert_string_equal(out.name, "io");
    flo_control_process_fini(&out);
    assert_int_equal(read_process("{\"action\":\"reload\"}", &out, &err), 0);
    assert_null(out.name);
    flo_control_process_fini(&out);
    static const char *const bad[] = {
        "{\"action\":\"scale\",\"name\":\"io\"}",
        "{\"action\":\"scale\",\"name\":\"io\",\"replicas\":-1}",
        "{\"action\":\"scale\",\"name\":\"io\",\"replicas\":257}",
        "{\"action\":\"stop\",\"name\":\"io\",\"replicas\":1}",
        "{\"action\":\"stop\"}",
        "{\"action\":\"reload\",\"name\":\"io\"}",
        "{\"action\":\"kill\",\"name\":\"io\"}",
        "{\"name\":\"io\"}",
        "{\"action\":\"stop\",\"name\":\"io\",\"signal\":9}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_process(bad[i], &out, &err), FLO_EINVAL);
}

/* ---- the file ---- */

static void test_secret_file_is_private_and_one_line(void **state)
{
    char path[] = "/tmp/flotilla-secret-XXXXXX", text[64];
    struct flo_err err;
    struct stat st;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(flo_file_write_secret(path, "the token", "x", &err), FLO_EEXIST);
    assert_int_equal(flo_file_read_secret(path, "the token", text, sizeof text, &err),
                     FLO_ECONFIG); /* empty */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(flo_file_read_secret(path, "the token", text, sizeof text, &err), FLO_ENOENT);
    assert_int_equal(flo_file_write_secret(path, "the token", "0123456789", &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(flo_file_read_secret(path, "the token", text, sizeof text, &err), 0);
    assert_string_equal(text, "0123456789");
    assert_int_equal(flo_file_read_secret(path, "the token", text, 11, &err), FLO_ECONFIG);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(flo_file_read_secret(path, "the token", text, sizeof text, &err), FLO_EPERM);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(flo_file_write_secret(path, "the token", "one\ntwo", &err), 0);
    assert_int_equal(flo_file_read_secret(path, "the token", text, sizeof text, &err), FLO_ECONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(flo_file_read_secret("/tmp", "the token", text, sizeof text, &err),
                     FLO_ECONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_must_be_the_whole_one),
        cmocka_unit_test(test_body_must_be_json),
        cmocka_unit_test(test_names_from_the_narrowest_to_the_widest),
        cmocka_unit_test(test_good_commands),
        cmocka_unit_test(test_bad_commands_are_refused_with_the_reason),
        cmocka_unit_test(test_malformed_bodies_are_refused),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_secret_file_is_private_and_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
