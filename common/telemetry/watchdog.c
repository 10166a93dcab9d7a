/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.c - see watchdog.h.
 *
 * What the loop thread is at is known only to itself, in data that it changes without locks. So it
 * is asked by a signal: the handler runs on that thread, between two of its instructions, and may
 * look at what is its own. It writes into a static buffer, once, and then sets a flag.
 */
#include "telemetry/watchdog.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/health_internal.h"
#include "telemetry/log.h"

#define TICKS_A_LIMIT 5
#define STACK_BYTES ((size_t)128 << 10) /* touched lazily */
#define REQUEST_MS 1000                 /* a client gets this long to send its request */
#define REQUEST_BYTES 4096              /* of which so much is looked at */
#define ANSWER_MS 200                   /* the loop thread gets this long to say what it is at */
#define AT_BYTES 256
#define ASK_SIGNAL (SIGRTMIN + 5)

struct flo_watchdog {
    struct flo_watchdog_options options;
    atomic_llong tick_ms, limit_ms; /* set by the loop, read by the thread */
    struct event *timer;
    pthread_t loop, thread;
    bool thread_runs;
    sem_t stop;
    int listeners[FLO_HTTP_LISTENERS_MAX];
    size_t listener_count;
    atomic_ullong turns;  /* by the loop */
    atomic_bool stalled;  /* by the thread; taken back by the loop */
    int64_t last_turn_ns; /* loop only */
};

/* The one watchdog of the process, for its signal handler. */
static struct {
    struct flo_watchdog *of;
    char text[AT_BYTES];
    atomic_bool answered;
} asked;

static void on_ask(int number)
{
    int saved = errno;
    (void)number;
    if (asked.of && !atomic_load(&asked.answered)) {
        asked.of->options.at(asked.of->options.ctx, asked.text, sizeof asked.text);
        atomic_store(&asked.answered, true);
    }
    errno = saved;
}

/* ---- the loop's side ---- */

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_watchdog *self = ctx;
    int64_t now = flo_clock_mono_ns();
    int64_t late_ns = now - self->last_turn_ns - self->tick_ms * FLO_NS_PER_MS;
    (void)fd;
    (void)what;
    self->last_turn_ns = now;
    atomic_fetch_add(&self->turns, 1);
    if (late_ns > 0 && self->options.on_lag)
        self->options.on_lag(self->options.ctx, late_ns);
    if (!atomic_exchange(&self->stalled, false))
        return;
    flo_health_set_live(self->options.health, "loop", true, NULL);
    flo_log(FLO_LOG_WARN, "loop.recovered", "The event loop turns again", "#stood_ms",
            FLO_NUM(late_ns / FLO_NS_PER_MS), NULL);
}

/* ---- the thread's side ---- */

/* Ask the loop thread; "" when it does not answer (it sits in the kernel) or knows nothing. */
static const char *ask(struct flo_watchdog *self)
{
    const struct timespec pause = {.tv_nsec = FLO_NS_PER_MS};
    if (!self->options.at)
        return "";
    atomic_store(&asked.answered, false);
    if (pthread_kill(self->loop, ASK_SIGNAL))
        return "";
    for (int i = 0; i < ANSWER_MS; i++) {
        if (atomic_load(&asked.answered))
            return asked.text;
        nanosleep(&pause, NULL);
    }
    return "";
}

static void say_stalled(struct flo_watchdog *self)
{
    char reason[AT_BYTES + 64];
    const char *at = ask(self);
    snprintf(reason, sizeof reason, "the event loop has not turned for %lld ms%s%s",
             (long long)atomic_load(&self->limit_ms), *at ? ": " : "", at);
    flo_health_set_live(self->options.health, "loop", false, reason);
    flo_log(FLO_LOG_ERROR, "loop.stalled", "The event loop is stuck", "at", at, "#limit_ms",
            FLO_NUM(atomic_load(&self->limit_ms)), NULL);
}

/* What a request asks for. */
struct asked_for {
    enum flo_health_scope scope;
    bool verbose; /* lines for people */
    bool head;    /* only the head of the answer */
};

static struct asked_for asked_by(const char *request)
{
    struct asked_for want = {.head = strncmp(request, "HEAD ", 5) == 0};
    const char *path = strchr(request, ' ');
    size_t len = path ? strcspn(path + 1, " \r\n") : 0;
    const char *query = len ? memchr(path + 1, '?', len) : NULL;
    if (len && strncmp(path, " /ready", 7) == 0)
        want.scope = FLO_HEALTH_READY;
    else if (len && strncmp(path, " /startup", 9) == 0)
        want.scope = FLO_HEALTH_STARTED;
    want.verbose = query && strncmp(query, "?verbose", 8) == 0;
    return want;
}

/* Read the request until its empty line. */
static struct asked_for read_request(int fd)
{
    char text[REQUEST_BYTES + 1];
    size_t len = 0;
    int64_t until = flo_clock_mono_ns() + REQUEST_MS * FLO_NS_PER_MS;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    text[0] = '\0';
    while (len < REQUEST_BYTES && !strstr(text, "\r\n\r\n")) {
        int64_t left_ms = (until - flo_clock_mono_ns()) / FLO_NS_PER_MS;
        ssize_t n;
        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) <= 0)
            break;
        n = recv(fd, text + len, REQUEST_BYTES - len, MSG_DONTWAIT);
        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
    }
    return asked_by(text);
}

static void answer(struct flo_watchdog *self, int fd)
{
    struct flo_buf body, head;
    struct asked_for want = read_request(fd);
    flo_buf_init(&body, 8192);
    flo_buf_init(&head, 512);
    if (want.verbose)
        (void)!flo_health_render_text(self->options.health, want.scope, &body);
    else
        (void)!flo_health_render(self->options.health, want.scope, &body);
    flo_buf_printf(&head,
                   "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
                   want.verbose ? "text/plain; charset=utf-8" : "application/json", body.len);
    if (!head.failed && !body.failed) {
        (void)!send(fd, head.data, head.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (!want.head)
            (void)!send(fd, body.data, body.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    flo_buf_fini(&head);
    flo_buf_fini(&body);
}

/* For one tick: take connections that nobody else takes. */
static void serve(struct flo_watchdog *self)
{
    struct pollfd ready[FLO_HTTP_LISTENERS_MAX];
    int64_t until = flo_clock_mono_ns() + self->tick_ms * FLO_NS_PER_MS;
    for (size_t i = 0; i < self->listener_count; i++)
        ready[i] = (struct pollfd){.fd = self->listeners[i], .events = POLLIN};
    while (atomic_load(&self->stalled)) {
        int64_t left_ms = (until - flo_clock_mono_ns()) / FLO_NS_PER_MS;
        if (left_ms <= 0 || poll(ready, self->listener_count, (int)left_ms) <= 0)
            return;
        for (size_t i = 0; i < self->listener_count; i++) {
            int fd = ready[i].revents ? accept4(ready[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (fd < 0)
                continue;
            answer(self, fd);
            close(fd);
        }
    }
}

/* Sleep for one tick; true when told to stop. */
static bool sleep_tick(struct flo_watchdog *self)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + self->tick_ms * FLO_NS_PER_MS;
    until.tv_sec += ns / FLO_NS_PER_S;
    until.tv_nsec = ns % FLO_NS_PER_S;
    for (;;) {
        if (sem_clockwait(&self->stop, CLOCK_MONOTONIC, &until) == 0)
            return true;
        if (errno != EINTR)
            return false;
    }
}

static void *watch(void *arg)
{
    struct flo_watchdog *self = arg;
    unsigned long long seen = 0;
    unsigned still = 0;
    while (!sleep_tick(self)) {
        unsigned long long turns = atomic_load(&self->turns);
        still = turns == seen ? still + 1 : 0;
        seen = turns;
        if (still ==
            TICKS_A_LIMIT + 1) { /* the loop may have turned up to a tick after its count */
            say_stalled(self);
            atomic_store(&self->stalled, true);
        }
        if (still > TICKS_A_LIMIT)
            serve(self);
    }
    return NULL;
}

/* ---- start and end ---- */

static int start_thread(struct flo_watchdog *self, struct flo_err *err)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int rc;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop thread's */
    rc = pthread_create(&self->thread, &attributes, watch, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (rc)
        return flo_fail(err, FLO_ESYS, "cannot start the watchdog thread: %s", strerror(rc));
    self->thread_runs = true;
    return 0;
}

static struct timeval tick_of(struct flo_watchdog *self)
{
    int64_t tick_ms = atomic_load(&self->tick_ms);

    return (struct timeval){.tv_sec = tick_ms / 1000, .tv_usec = tick_ms % 1000 * 1000};
}

void flo_watchdog_set_limit(struct flo_watchdog *self, int64_t limit_ms)
{
    struct timeval tick;

    atomic_store(&self->limit_ms, limit_ms);
    atomic_store(&self->tick_ms, limit_ms / TICKS_A_LIMIT);
    tick = tick_of(self);
    event_add(self->timer, &tick);
    self->last_turn_ns = flo_clock_mono_ns();
    atomic_fetch_add(&self->turns, 1);
}

int flo_watchdog_new(const struct flo_watchdog_options *options, struct flo_watchdog **out,
                     struct flo_err *err)
{
    const struct sigaction ask_action = {.sa_handler = on_ask, .sa_flags = SA_RESTART};
    struct flo_watchdog *self = flo_calloc(1, sizeof *self);
    struct timeval tick;
    int rc = 0;
    if (!self)
        return flo_fail(err, FLO_ENOMEM, "no memory for the watchdog");
    sem_init(&self->stop, 0, 0);
    self->options = *options;
    atomic_store(&self->limit_ms, options->limit_ms);
    atomic_store(&self->tick_ms, options->limit_ms / TICKS_A_LIMIT);
    self->loop = pthread_self();
    self->last_turn_ns = flo_clock_mono_ns();
    self->listener_count = flo_http_listeners(options->http, self->listeners);
    tick = tick_of(self);
    self->timer = event_new(options->base, -1, EV_PERSIST, on_turn, self);
    if (!self->timer || event_add(self->timer, &tick))
        rc = flo_fail(err, FLO_ENOMEM, "no memory for the watchdog's timer");
    if (!rc && options->at) {
        asked.of = self;
        sigaction(ASK_SIGNAL, &ask_action, NULL);
    }
    if (!rc)
        rc = start_thread(self, err);
    if (!rc) {
        flo_health_set_live(options->health, "loop", true, NULL);
        *out = self;
        self = NULL; /* handed over */
    }
    flo_watchdog_destroy(&self);
    return rc;
}

void flo_watchdog_destroy(struct flo_watchdog **watchdog)
{
    struct flo_watchdog *self = *watchdog;
    if (!self)
        return;
    *watchdog = NULL;
    if (self->thread_runs) {
        sem_post(&self->stop);
        pthread_join(self->thread, NULL);
    }
    asked.of = NULL;
    if (self->timer)
        event_free(self->timer);
    sem_destroy(&self->stop);
    flo_free(self);
}
