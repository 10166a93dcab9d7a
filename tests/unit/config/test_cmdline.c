/* SPDX-License-Identifier: Apache-2.0 */
/* The shared command line, exit codes, announcements, process hygiene. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/cmdline.h"
#include "config/process.h"
#include "support/cmocka_env.h"

static const char *listen_value;
static bool fast_flag, look_flag;
static const char *look_value;
static const struct flo_cmdline_option options[] = {
    {"--listen", "HOST:PORT", "where to listen", &listen_value, NULL},
    {"--fast", NULL, "be fast", NULL, &fast_flag},
    {"--look", "[DIR]", "look around", &look_value, &look_flag},
    {NULL, NULL, NULL, NULL, NULL}};
static const struct flo_cmdline_spec spec = {
    .program = "prog", .summary = "Tests.", .config_options = true, .options = options};

#define PARSE(out, exit, ...)                                                                      \
    flo_cmdline_parse(&spec, (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)),              \
                      (char *[]){__VA_ARGS__}, out, exit)

/* Both spellings, repeated --set, own options. */
static void test_parse_takes_all_forms(void **state)
{
    (void)state;
    struct flo_cmdline out;
    int code = -1;
    assert_true(PARSE(&out, &code, "prog", "--config", "a.yaml", "--set=x=1", "--set", "y=2",
                      "--listen=:0", "--fast", "--check-config"));
    assert_string_equal(out.config, "a.yaml");
    assert_int_equal(out.set_count, 2);
    assert_string_equal(out.sets[0], "x=1");
    assert_string_equal(out.sets[1], "y=2");
    assert_string_equal(listen_value, ":0");
    assert_true(fast_flag && out.check_config && !out.print_config);
    assert_true(PARSE(&out, &code, "prog", "-c", "b.yaml"));
    assert_string_equal(out.config, "b.yaml");
}

/* A flag that may have a value: the next argument, or behind '='; an option is none. */
static void test_parse_optional_value(void **state)
{
    static const struct {
        const char *argv[4], *value;
    } cases[] = {{{"prog", "--look"}, NULL},
                 {{"prog", "--look", "here"}, "here"},
                 {{"prog", "--look=there"}, "there"},
                 {{"prog", "--look", "--fast"}, NULL}};
    struct flo_cmdline out;
    int code = -1;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int argc = 0;
        while (argc < 4 && cases[i].argv[argc])
            argc++;
        look_flag = fast_flag = false;
        look_value = NULL;
        assert_true(flo_cmdline_parse(&spec, argc, (char **)(uintptr_t)cases[i].argv, &out, &code));
        assert_true(look_flag);
        if (cases[i].value)
            assert_string_equal(look_value, cases[i].value);
        else
            assert_null(look_value);
        assert_int_equal(fast_flag, i == 3);
    }
}

/* argv may be empty. */
static void test_parse_without_argv(void **state)
{
    (void)state;
    struct flo_cmdline out;
    int code = -1;
    char *none[] = {NULL};
    assert_true(flo_cmdline_parse(&spec, 0, none, &out, &code));
    assert_null(out.config);
}

/* A short form, a repeated option without a place for its value, and what was given in order. */
static void test_parse_notes_what_was_given(void **state)
{
    (void)state;
    static const char *port;
    static const struct flo_cmdline_option own[] = {
        {"-p, --port", "N", "the port", &port, NULL},
        {"-n, --name", "NAME", "names", NULL, NULL},
        {"--quiet", NULL, "a flag without a place", NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    const struct flo_cmdline_spec given = {.program = "prog", .summary = "Tests.", .options = own};
    char *argv[] = {"prog", "-n", "a", "-p=7", "--name=b", "--quiet", "-n", "c"};
    struct flo_cmdline out;
    int code;
    assert_true(flo_cmdline_parse(&given, 8, argv, &out, &code));
    assert_string_equal(port, "7");
    assert_int_equal(out.given_count, 5);
    assert_string_equal(out.given[0].value, "a");
    assert_ptr_equal(out.given[2].option, &own[1]);
    assert_string_equal(out.given[2].value, "b");
    assert_null(out.given[3].value);
    assert_string_equal(out.given[4].value, "c");
}

/* Everything wrong ends with 64 and one line on stderr. */
static void test_parse_misuse_is_64(void **state)
{
    (void)state;
    struct flo_cmdline out;
    int code = 0;
    int saved = dup(2), pipes[2];
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], 2);
    assert_false(PARSE(&out, &code, "prog", "--nope"));
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    close(pipes[1]);
    char line[256] = "";
    assert_true(read(pipes[0], line, sizeof line - 1) > 0);
    close(pipes[0]);
    assert_int_equal(code, 64);
    assert_string_equal(line,
                        "prog: unknown option: --nope; usage: prog [OPTION ...] (--help lists "
                        "the options)\n");
    int null = open("/dev/null", O_WRONLY);
    saved = dup(2);
    dup2(null, 2);
    assert_false(PARSE(&out, &code, "prog", "--liste", "x")); /* "did you mean --listen?" */
    assert_int_equal(code, 64);
    assert_false(PARSE(&out, &code, "prog", "--config"));
    assert_int_equal(code, 64);
    assert_false(PARSE(&out, &code, "prog", "--set="));
    assert_int_equal(code, 64);
    assert_false(PARSE(&out, &code, "prog", "operand"));
    assert_int_equal(code, 64);
    assert_false(PARSE(&out, &code, "prog", "--fast=1"));
    assert_int_equal(code, 64);
    assert_false(PARSE(&out, &code, "prog", "--listen"));
    assert_int_equal(code, 64);
    assert_false(PARSE(&out, &code, "prog", "--listen", "\xff\xfe"));
    assert_int_equal(code, 64);
    dup2(saved, 2);
    close(saved);
    close(null);
}

/* Announcements read back. */
static void test_announcement_round_trip(void **state)
{
    (void)state;
    char what[16], address[64];
    assert_true(
        flo_process_parse_announcement("flotilla-engine: grpc listening on 127.0.0.1:7233\n", what,
                                       sizeof what, address, sizeof address));
    assert_string_equal(what, "grpc");
    assert_string_equal(address, "127.0.0.1:7233");
    assert_false(
        flo_process_parse_announcement("hello world", what, sizeof what, address, sizeof address));
    assert_false(flo_process_parse_announcement("p: listening on", what, sizeof what, address,
                                                sizeof address));
    assert_false(flo_process_parse_announcement("p: a-very-long-name-of-a-listener listening on x",
                                                what, sizeof what, address, sizeof address));
}

/* Closed descriptors 0-2 are opened on /dev/null, so nothing else ever becomes stderr. */
static void test_init_opens_closed_descriptors(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        close(0);
        close(1);
        close(2);
        flo_process_init();
        struct stat st;
        int bad = 0;
        for (int fd = 0; fd <= 2; fd++)
            bad |= fstat(fd, &st) || !S_ISCHR(st.st_mode);
        int next = open("/dev/null", O_RDONLY);
        _exit(bad || next <= 2);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The code of each error. */
static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(flo_exit_code(0), 0);
    assert_int_equal(flo_exit_code(FLO_EINVAL), 64);
    assert_int_equal(flo_exit_code(FLO_ENOENT), 66);
    assert_int_equal(flo_exit_code(FLO_ECONN), 73);
    assert_int_equal(flo_exit_code(FLO_EPERM), 77);
    assert_int_equal(flo_exit_code(FLO_ECONFIG), 78);
    assert_int_equal(flo_exit_code(FLO_ENOMEM), 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_takes_all_forms),
        cmocka_unit_test(test_parse_optional_value),
        cmocka_unit_test(test_parse_notes_what_was_given),
        cmocka_unit_test(test_parse_without_argv),
        cmocka_unit_test(test_parse_misuse_is_64),
        cmocka_unit_test(test_announcement_round_trip),
        cmocka_unit_test(test_init_opens_closed_descriptors),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
