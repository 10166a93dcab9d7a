/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's datagrams: which sockets, which texts, whose watchdog. */
#include "telemetry/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/cmocka_env.h"
#include "telemetry/http.h"

struct fixture {
    int fd; /* the manager's end */
    char name[64];
    char text[512];
};
static struct fixture fixture;

static int listen_at(struct fixture *f, bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/flotilla-notify-XXXXXX";
    socklen_t len;

    if (abstract)
        snprintf(f->name, sizeof f->name, "@flotilla-notify-%d", (int)getpid());
    else
        snprintf(f->name, sizeof f->name, "%s/sock", mkdtemp(folder));
    memcpy(address.sun_path, f->name, strlen(f->name) + 1);
    if (abstract)
        address.sun_path[0] = '\0';
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(f->name) + !abstract);
    f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return bind(f->fd, (const struct sockaddr *)&address, len);
}

static int setup(void **state)
{
    *state = &fixture;
    return listen_at(&fixture, false);
}

static int setup_abstract(void **state)
{
    *state = &fixture;
    return listen_at(&fixture, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char *slash = strrchr(f->name, '/');

    close(f->fd);
    unsetenv("NOTIFY_SOCKET");
    flo_notify_init(); /* nobody listens any more */
    if (slash) {
        unlink(f->name);
        *slash = '\0';
        rmdir(f->name);
    }
    return 0;
}

static void open_with(const char *socket_name, const char *usec, const char *pid)
{
    setenv("NOTIFY_SOCKET", socket_name, 1);
    if (usec)
        setenv("WATCHDOG_USEC", usec, 1);
    if (pid)
        setenv("WATCHDOG_PID", pid, 1);
    flo_notify_init();
}

/* The next datagram; "" when there is none. */
static const char *received(struct fixture *f)
{
    ssize_t n = recv(f->fd, f->text, sizeof f->text - 1, 0);

    f->text[n > 0 ? n : 0] = '\0';
    return f->text;
}

/* Each call is one datagram; the environment is cleared for children. */
static void test_messages(void **state)
{
    struct fixture *f = *state;

    open_with(f->name, NULL, NULL);
    assert_true(flo_notify_wanted());
    assert_null(getenv("NOTIFY_SOCKET"));
    flo_notify_ready();
    assert_string_equal(received(f), "READY=1");
    flo_notify_stopping();
    assert_string_equal(received(f), "STOPPING=1");
    flo_notify_extend(1500);
    assert_string_equal(received(f), "EXTEND_TIMEOUT_USEC=1500000");
    flo_notify_reloading();
    assert_int_equal(strncmp(received(f), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    flo_notify_status("%d of\n%s", 3, "five");
    assert_string_equal(received(f), "STATUS=3 of five");
    flo_notify_status("3 of five");
    assert_string_equal(received(f), ""); /* the same again */
}

/* A full or closed socket stops nobody. */
static void test_nobody_reads(void **state)
{
    struct fixture *f = *state;

    open_with(f->name, NULL, NULL);
    for (int i = 0; i < 5000; i++)
        flo_notify_extend(i);
    close(f->fd);
    f->fd = -1;
    flo_notify_ready();
}

/* What is no address of ours is as none. */
static void test_other_sockets_are_ignored(void **state)
{
    static const char *const bad[] = {
        "",
        "/",
        "@",
        "relative",
        "vsock:2:1234",
        "/a-path-that-is-longer-than-any-address-of-a-socket-can-be-"
        "because-the-kernel-gives-it-one-hundred-and-eight-bytes-only"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        open_with(bad[i], NULL, NULL);
        assert_false(flo_notify_wanted());
        flo_notify_ready();
    }
}

/* Fed while what lives is live, by the process that is meant. */
static void test_watchdog(void **state)
{
    struct fixture *f = *state;
    struct event_base *base = event_base_new();
    struct flo_health *health = NULL;
    struct flo_err err = {0};
    struct event *timer;
    char pid[16];

    assert_int_equal(flo_health_new(&health, &err), 0);
    open_with(f->name, "4000", "1");
    assert_int_equal(flo_notify_feed(base, health, &timer, &err), 0);
    assert_null(timer);
    open_with(f->name, "nonsense", NULL);
    assert_int_equal(flo_notify_feed(base, health, &timer, &err), 0);
    assert_null(timer);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    open_with(f->name, "4000", pid);
    assert_int_equal(flo_notify_feed(base, health, &timer, &err), 0);
    assert_non_null(timer);
    assert_string_equal(received(f), "WATCHDOG=1");
    event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(received(f), "WATCHDOG=1");
    flo_health_set_ready(health, "server", false, "away");
    event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(received(f), "WATCHDOG=1");
    flo_health_set_live(health, "pollers", false, "silent");
    event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(received(f), "");
    event_free(timer);
    flo_health_destroy(&health);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages, setup_abstract, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_sockets_are_ignored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
