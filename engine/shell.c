/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.c - the loop: one turn reads what arrived, lets the core work, then starts a commit.
 *
 *   turn:  sockets -> dispatch.c -> core -> replies (sent, or held for their commit)
 *          commit done -> held replies leave
 *          timer -> flo_core_fire
 *          at the end: commit thread idle and someone waits? -> next batch; set the timer
 *
 * Requests of one turn thus share a commit, and those of the turns that pass while it runs share
 * the next one. Nothing waits for a clock.
 */
#include "engine/shell.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/net.h"
#include "base/random.h"
#include "base/zoneinfo.h"
#include "config/exit_code.h"
#include "config/process.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"
#include "telemetry/notify.h"

#define PROGRAM "flotilla-engine"
/* The timer looks at the clock this often at least: it does not run while the machine sleeps. */
#define TIMER_MAX_NS (10 * FLO_NS_PER_S)
/* How long connections get to take their last answers. */
#define FLUSH_MS 500
#define NOTIFY_SLACK_MS 5000 /* for what comes behind the drain */
#define SHUTDOWN_TIMEOUT_NS (30 * FLO_NS_PER_S)
/* The last checkpoint gets so long at least. */
#define WATCHDOG_MIN_NS FLO_NS_PER_S

int64_t flo_shell_now(const struct flo_shell *shell)
{
    return shell->wall_base_ns + (flo_clock_mono_ns() - shell->mono_base_ns);
}

/* ---- the end ---- */

static void cancel_in_core(void *ctx, uint64_t id)
{
    struct flo_shell *shell = ctx;
    flo_skip_cancel(shell, id);
    flo_core_cancel_call(shell->core, id);
}

/* Nothing more is acknowledged: what was done is durable, or not, and only a restart can tell. */
static void fail(struct flo_shell *shell, int exit_code, const char *message)
{
    if (shell->state == FLO_SHELL_FAILED)
        return;
    flo_log(FLO_LOG_ERROR, exit_code == FLO_EXIT_IO ? "store.commit_failed" : "engine.failed",
            "The engine stops and acknowledges nothing more", "error", message, NULL);
    shell->state = FLO_SHELL_FAILED;
    shell->exit_code = exit_code;
    flo_calls_end(&shell->calls, true,
                  exit_code == FLO_EXIT_IO ? "the engine's store failed" : "the engine failed",
                  cancel_in_core, shell);
    if (shell->server)
        flo_grpc_server_drain(shell->server);
}

static void fail_with(struct flo_shell *shell, int error, const char *why)
{
    fail(shell, error == FLO_EIO ? FLO_EXIT_IO : FLO_EXIT_INTERNAL, why);
}

static void begin_drain(struct flo_shell *shell, const char *signal_name)
{
    flo_log(FLO_LOG_INFO, "engine.stopping", "Stopping: open calls are answered", "signal",
            signal_name, NULL);
    if (shell->banner) {
        printf("Stopping server...\n");
        fflush(stdout);
    }
    shell->state = FLO_SHELL_DRAINING;
    shell->drain_until_ns = flo_clock_mono_ns() + shell->shutdown_timeout_ns;
    flo_health_set_ready(shell->health, "serving", false, "draining");
    flo_notify_stopping();
    flo_notify_extend(shell->shutdown_timeout_ns / FLO_NS_PER_MS + NOTIFY_SLACK_MS);
    flo_notify_status("Stopping: open calls are answered");
    flo_grpc_server_drain(shell->server);
    flo_core_begin(shell->core, flo_shell_now(shell));
    flo_calls_end(&shell->calls, false, "the engine is shutting down", cancel_in_core, shell);
    flo_streams_end(shell);
}

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct flo_shell *shell = ctx;
    (void)what;
    if (shell->state != FLO_SHELL_SERVING)
        _exit(FLO_EXIT_SECOND_SIGNAL);
    begin_drain(shell, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- commits ---- */

static void collect(struct flo_shell *shell)
{
    struct flo_core_batch *batch;
    struct flo_committer_stats stats;
    struct flo_err err = {0};
    int rc;

    if (!flo_committer_collect(shell->committer, &batch, &rc, &err))
        return;
    uint64_t seq = batch->seq, transitions = batch->transitions;
    flo_core_batch_free(&batch);
    if (rc) {
        fail(shell, rc == FLO_ENOMEM ? FLO_EXIT_INTERNAL : FLO_EXIT_IO, err.message);
        return;
    }
    flo_committer_stats(shell->committer, &stats);
    flo_shell_count_commit(shell, &stats, transitions);
    flo_core_begin(shell->core, flo_shell_now(shell));
    flo_core_committed(shell->core, seq);
    if (shell->state == FLO_SHELL_FAILED)
        return;
    flo_calls_durable(&shell->calls, seq);
    flo_shell_answer_pages(shell);
}

static void on_committed(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    collect(ctx);
}

/* Hand everything collected to the commit thread; with all, also what nobody waits for. */
static void start_commit(struct flo_shell *shell, bool all)
{
    struct flo_core_batch *batch = NULL;
    if (shell->state == FLO_SHELL_FAILED || !flo_committer_idle(shell->committer))
        return;
    if (!all && !flo_core_wants_commit(shell->core))
        return;
    int rc = flo_core_take_batch(shell->core, &batch);
    if (rc) {
        fail_with(shell, rc, rc == FLO_EIO ? "the store cannot be read" : flo_error_text(rc));
        return;
    }
    if (!batch)
        return;
    flo_committer_submit(shell->committer, batch);
    if (flo_store_in_memory(shell->store))
        collect(shell);
}

/* ---- the loop ---- */

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_shell *shell = ctx;
    (void)fd, (void)what;
    shell->timer_at_ns = INT64_MAX; /* end_turn fires what is due and sets it anew */
}

/* look_ns: when the skipping clock wants to look again. */
static void set_timer(struct flo_shell *shell, int64_t now, int64_t look_ns)
{
    int64_t at = shell->state == FLO_SHELL_DRAINING
                     ? shell->drain_until_ns - shell->mono_base_ns + shell->wall_base_ns
                     : flo_core_next_deadline(shell->core);
    if (shell->state == FLO_SHELL_SERVING && at > shell->retention_at_ns)
        at = shell->retention_at_ns;
    if (shell->state == FLO_SHELL_SERVING && at > shell->give_back_at_ns)
        at = shell->give_back_at_ns;
    if (at > look_ns)
        at = look_ns;
    if (at > now + TIMER_MAX_NS)
        at = now + TIMER_MAX_NS;
    if (at >= shell->timer_at_ns && shell->timer_at_ns != INT64_MAX)
        return; /* it is set, and early enough */
    int64_t left = at > now ? at - now : 0;
    struct timeval tv = {.tv_sec = left / FLO_NS_PER_S, .tv_usec = left % FLO_NS_PER_S / 1000 + 1};
    shell->timer_at_ns = at;
    event_add(shell->timer, &tv);
}

static void watch_disk(struct flo_shell *shell)
{
    bool stalled = flo_committer_stalled(shell->committer);
    if (stalled == shell->stalled)
        return;
    shell->stalled = stalled;
    flo_health_set_ready(shell->health, "disk", !stalled, stalled ? "the disk is full" : NULL);
    if (stalled)
        flo_log(FLO_LOG_ERROR, "store.disk_full", "The disk is full: only reads are served", NULL);
    else
        flo_log(FLO_LOG_INFO, "store.disk_free", "The disk has room again", NULL);
}

/* An engine that drains does not wait for room on the disk, nor for long. */
static void limit_drain(struct flo_shell *shell)
{
    if (shell->state != FLO_SHELL_DRAINING)
        return;
    if (shell->stalled) {
        flo_committer_stop(shell->committer); /* gives the batch up */
        collect(shell);                       /* and so fails, unless there is room after all */
    } else if (flo_clock_mono_ns() >= shell->drain_until_ns) {
        shell->disk_hangs = !flo_committer_idle(shell->committer);
        fail(shell, FLO_EXIT_IO, "the last commit did not end within the shutdown time");
    }
}

/* A core that broke off serves nothing more, though its process lives. */
static void watch_core(struct flo_shell *shell)
{
    const char *why;
    int rc = flo_core_failed(shell->core, &why);
    if (rc)
        fail_with(shell, rc, why);
}

static void end_turn(struct flo_shell *shell)
{
    int64_t now = flo_shell_now(shell);
    flo_core_begin(shell->core, now);
    if (shell->state == FLO_SHELL_SERVING && flo_core_next_deadline(shell->core) <= now)
        flo_core_fire(shell->core);
    if (shell->state == FLO_SHELL_SERVING)
        flo_shell_retain(shell, now);
    const bool waking = shell->state == FLO_SHELL_SERVING && flo_shell_wake(shell);
    const bool more = shell->state == FLO_SHELL_SERVING && flo_shell_read_for_jobs(shell);
    watch_core(shell);
    start_commit(shell, shell->state == FLO_SHELL_DRAINING);
    if (shell->state == FLO_SHELL_SERVING)
        flo_shell_give_back(shell, now);
    watch_disk(shell);
    limit_drain(shell);
    int64_t look_ns = waking || more ? now : INT64_MAX;
    if (shell->skip.on && shell->state == FLO_SHELL_SERVING) {
        look_ns = flo_skip_turn(shell, now);
        now = flo_shell_now(shell); /* it may be much later */
    }
    if (shell->state == FLO_SHELL_SERVING || shell->state == FLO_SHELL_DRAINING)
        set_timer(shell, now, look_ns);
}

/* May a draining engine end: nothing held, nothing being committed, nothing to commit? */
static bool drained(struct flo_shell *shell)
{
    return flo_committer_idle(shell->committer) && !flo_calls_holding(&shell->calls);
}

/* Let the connections take what was answered; they close when they have nothing more to do. */
static void flush(struct flo_shell *shell)
{
    int64_t until = flo_clock_mono_ns() + FLUSH_MS * FLO_NS_PER_MS;
    while (flo_grpc_server_connections(shell->server) > 0) {
        int64_t left = until - flo_clock_mono_ns();
        if (left <= 0)
            break;
        struct timeval tv = {.tv_usec = left / 1000};
        event_add(shell->timer, &tv); /* ends the wait */
        event_base_loop(shell->base, EVLOOP_ONCE);
    }
}

static void on_watchdog(int number)
{
    (void)number;
    _exit(FLO_EXIT_IO);
}

/* Whatever the disk does to the last steps, which may wait for it: the process ends in time. */
static void arm_watchdog(const struct flo_shell *shell)
{
    int64_t left_ns = shell->drain_until_ns - flo_clock_mono_ns();
    if (left_ns < WATCHDOG_MIN_NS)
        left_ns = WATCHDOG_MIN_NS;
    struct sigaction action = {.sa_handler = on_watchdog};
    struct itimerval timer = {
        .it_value = {.tv_sec = left_ns / FLO_NS_PER_S, .tv_usec = left_ns % FLO_NS_PER_S / 1000}};
    if (sigaction(SIGALRM, &action, NULL) == 0)
        setitimer(ITIMER_REAL, &timer, NULL);
}

/* It serves: those who started it may go on, and feed its watchdog no more than it turns. */
static void tell_ready(struct flo_shell *shell)
{
    struct flo_err err = {0};
    if (flo_notify_feed(shell->base, shell->health, &shell->watchdog, &err))
        flo_log(FLO_LOG_WARN, "engine.no_watchdog", err.message, NULL);
    flo_notify_ready();
    flo_notify_status("Serves");
}

int flo_shell_run(struct flo_shell *shell)
{
    tell_ready(shell);
    end_turn(shell); /* recovery may have left something to do */
    while (shell->state == FLO_SHELL_SERVING ||
           (shell->state == FLO_SHELL_DRAINING && !drained(shell))) {
        event_base_loop(shell->base, EVLOOP_ONCE);
        end_turn(shell);
    }
    flush(shell);
    if (shell->state == FLO_SHELL_DRAINING) {
        struct flo_err err;
        arm_watchdog(shell);
        flo_committer_stop(shell->committer);
        if (flo_store_checkpoint(shell->store, true, &err))
            fail(shell, FLO_EXIT_IO, err.message);
        else
            flo_log(FLO_LOG_INFO, "engine.stopped", "Stopped", NULL);
    }
    if (shell->disk_hangs)
        _exit(shell->exit_code);
    if (shell->state != FLO_SHELL_FAILED)
        shell->state = FLO_SHELL_STOPPED;
    return shell->exit_code;
}

/* ---- start ---- */

static void on_reply(void *ctx, const struct flo_core_reply *reply)
{
    struct flo_shell *shell = ctx;
    if (flo_shell_take_answer(shell, reply))
        return;
    if (reply->code == FLO_GRPC_RESOURCE_EXHAUSTED)
        flo_shell_on_reject(shell, "engine.limit");
    flo_calls_reply(&shell->calls, reply);
}

static void on_store_warning(void *ctx, const char *event, const char *message)
{
    (void)ctx;
    const bool only_news = strcmp(event, "store.sqlite_old") == 0;
    flo_log(only_news ? FLO_LOG_INFO : FLO_LOG_WARN, event, message, NULL);
}

/* Signals that mean nothing to the engine must not end it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

static int open_loop(struct flo_shell *shell, struct flo_err *err)
{
    struct event_config *config = event_config_new();
    if (config) {
        /* One owner: no locks. No precise timer: a timerfd would cost a call a turn. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        shell->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (!shell->base)
        return flo_fail(err, FLO_ESYS, "cannot make an event loop");
    ignore_signals();
    shell->signals[0] = evsignal_new(shell->base, SIGTERM, on_signal, shell);
    shell->signals[1] = evsignal_new(shell->base, SIGINT, on_signal, shell);
    shell->timer = evtimer_new(shell->base, on_timer, shell);
    if (!shell->signals[0] || !shell->signals[1] || !shell->timer ||
        event_add(shell->signals[0], NULL) || event_add(shell->signals[1], NULL))
        return flo_fail(err, FLO_ESYS, "cannot watch signals");
    return 0;
}

static int open_store(struct flo_shell *shell, const struct flo_shell_options *options,
                      struct flo_err *err)
{
    struct flo_store_options store = {
        .path = options->db,
        .accept_data_loss = options->accept_data_loss,
        .on_warning = on_store_warning,
    };
    int rc = flo_store_open(&store, &shell->store, err);
    if (!rc)
        rc = flo_committer_new(shell->store, &shell->committer, err);
    if (rc)
        return rc;
    shell->commit_event = event_new(shell->base, flo_committer_fd(shell->committer),
                                    EV_READ | EV_PERSIST, on_committed, shell);
    if (!shell->commit_event || event_add(shell->commit_event, NULL))
        return flo_fail(err, FLO_ESYS, "cannot watch the commit thread");
    return 0;
}

/* list: "NAME=TYPE,NAME=TYPE". */
static int ensure_attributes(struct flo_shell *shell, const char *namespace_name, const char *list,
                             struct flo_err *err)
{
    int rc = 0;
    for (const char *at = list; *at && !rc;) {
        const size_t len = strcspn(at, ","), name_len = strcspn(at, "=,");
        char *name = flo_strndup(at, name_len);
        char *type =
            flo_strndup(at + name_len + (name_len < len), len - name_len - (name_len < len));
        if (!name || !type)
            rc = flo_fail(err, FLO_ENOMEM, "no memory for the search attributes");
        else
            rc = flo_core_ensure_attribute(shell->core, namespace_name, name, type, err);
        flo_free(name);
        flo_free(type);
        at += len + (at[len] == ',');
    }
    return rc;
}

static int ensure_namespaces(struct flo_shell *shell, const char *names, const char *attributes,
                             struct flo_err *err)
{
    int rc = flo_core_ensure_namespace(shell->core, "default", 0);
    if (rc)
        flo_fail(err, rc, "cannot make the namespaces: %s", flo_error_text(rc));
    for (const char *at = names; at && *at && !rc;) {
        size_t len = strcspn(at, ",");
        char *name = flo_strndup(at, len);
        if (!name)
            rc = FLO_ENOMEM;
        else if (len)
            rc = flo_core_ensure_namespace(shell->core, name, 0);
        if (rc)
            flo_fail(err, rc, "cannot make the namespaces: %s", flo_error_text(rc));
        else if (len && attributes)
            rc = ensure_attributes(shell, name, attributes, err);
        flo_free(name);
        at += len + (at[len] == ',');
    }
    if (!rc && attributes)
        rc = ensure_attributes(shell, "default", attributes, err);
    return rc;
}

/* Damage at the start: how to see all of it, and how to go on. What is no run, or no message at
 * all, cannot be left out. */
static int say_damaged(const struct flo_shell_options *options, int rc, struct flo_err *err)
{
    char what[sizeof err->message];
    snprintf(what, sizeof what, "%s", err->message);
    return flo_fail(err, FLO_EDATA,
                    "%.250s; `flotilla engine check %.100s` lists all damages; restore a backup%s",
                    what, options->db,
                    rc == FLO_EDATA && !options->accept_data_loss
                        ? ", or go on without what is lost: --accept-data-loss"
                        : "");
}

static int open_core(struct flo_shell *shell, const struct flo_shell_options *options,
                     struct flo_err *err)
{
    struct flo_core_env env = {
        .ctx = shell, .reply = on_reply, .zone = flo_zoneinfo_read, .seed = flo_random_u64()};
    flo_store_as_core_store(shell->store, &env.store);
    int rc = flo_core_new(&env, &options->core, &shell->core);
    if (rc)
        return flo_fail(err, rc, "cannot make the engine's core: %s", flo_error_text(rc));
    rc = flo_shell_recover(shell, err);
    if (options->db && (rc == FLO_EDATA || rc == FLO_EPROTO || rc == FLO_EINVAL))
        rc = say_damaged(options, rc, err);
    return rc ? rc : ensure_namespaces(shell, options->namespaces, options->search_attributes, err);
}

/* Others may reach the address; what is no address, the listener refuses. */
static bool is_open(const char *listen)
{
    char host[FLO_NET_HOST_MAX];
    uint16_t port;
    return flo_net_split(listen, 0, host, &port, NULL) || !flo_net_is_loopback(host);
}

static int open_gate(struct flo_shell *shell, const struct flo_shell_options *options,
                     struct flo_err *err)
{
    const struct flo_gate_options gate = {
        .keys_file = options->keys_file,
        .limits = options->limits,
        .on_reject = flo_shell_on_reject,
        .ctx = shell,
    };
    return flo_gate_new(shell->base, &gate, &shell->gate, err);
}

static int open_server(struct flo_shell *shell, const struct flo_shell_options *options,
                       struct flo_err *err)
{
    if (!options->tls_cert_file && is_open(options->listen)) {
        if (!options->insecure)
            return flo_fail(err, FLO_EINVAL,
                            "%s can be reached from other machines: give --tls-cert and --tls-key, "
                            "or --insecure to serve it in plain text",
                            options->listen);
        flo_log(FLO_LOG_WARN, "security.insecure",
                "Serving in plain text on an address that other machines reach", "listen",
                options->listen, NULL);
    }
    struct flo_grpc_server_options server = {
        .listen = options->listen,
        .tls_cert_file = options->tls_cert_file,
        .tls_key_file = options->tls_key_file,
        .tls_client_ca_file = options->tls_client_ca_file,
        .on_call = flo_shell_on_call,
        .on_stream = flo_streams_on_stream,
        .on_message = flo_streams_on_message,
        .on_half_close = flo_streams_on_half_close,
        .on_cancel = flo_shell_on_cancel,
        .on_reject = flo_shell_on_reject,
        .ctx = shell,
    };
    int rc = flo_grpc_server_new(shell->base, &server, &shell->server, err);
    if (rc)
        return rc;
    if (!options->banner)
        flo_process_announce(PROGRAM, "grpc", flo_grpc_server_address(shell->server));
    return 0;
}

int flo_shell_new(const struct flo_shell_options *options, struct flo_shell **out_shell,
                  struct flo_err *err)
{
    struct flo_shell *shell = flo_calloc(1, sizeof *shell);
    if (!shell)
        return flo_fail(err, FLO_ENOMEM, "no memory for the engine");
    shell->timer_at_ns = INT64_MAX;
    shell->shutdown_timeout_ns =
        options->shutdown_timeout_ns ? options->shutdown_timeout_ns : SHUTDOWN_TIMEOUT_NS;
    shell->banner = options->banner;
    shell->wall_base_ns = flo_clock_wall_ns();
    shell->mono_base_ns = flo_clock_mono_ns();
    flo_skip_init(&shell->skip, options->time_skipping, options->time_locked);
    if (shell->skip.on) /* ends of long ago may be minutes old */
        shell->retention_at_ns = INT64_MAX;
    flo_arena_init(&shell->arena, 0);
    int rc = flo_metrics_new(&shell->metrics, err);
    flo_calls_init(&shell->calls, shell->metrics);
    flo_streams_init(&shell->streams);
    flo_list_init(&shell->held_pages.list);
    if (!rc)
        rc = flo_health_new(&shell->health, err);
    if (!rc)
        rc = open_loop(shell, err);
    if (!rc)
        rc = open_store(shell, options, err);
    if (!rc)
        rc = open_core(shell, options, err);
    if (!rc)
        rc = open_gate(shell, options, err);
    if (!rc)
        rc = open_server(shell, options, err);
    if (!rc)
        rc = flo_shell_pages_open(shell, options, err);
    if (rc) {
        flo_shell_destroy(&shell);
        return rc;
    }
    *out_shell = shell;
    return 0;
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

void flo_shell_destroy(struct flo_shell **shell_pointer)
{
    struct flo_shell *shell = *shell_pointer;
    if (!shell)
        return;
    flo_shell_pages_close(shell);
    flo_grpc_server_destroy(&shell->server); /* cancels what is open: the core must live */
    if (shell->committer) {
        struct flo_core_batch *batch = NULL;
        int rc;
        flo_committer_stop(shell->committer);
        if (flo_committer_collect(shell->committer, &batch, &rc, NULL))
            flo_core_batch_free(&batch);
    }
    free_event(shell->commit_event);
    free_event(shell->timer);
    free_event(shell->watchdog);
    free_event(shell->signals[0]);
    free_event(shell->signals[1]);
    flo_core_destroy(&shell->core);
    flo_committer_destroy(&shell->committer);
    flo_store_close(&shell->store);
    flo_free(shell->waking.keys);
    flo_skip_fini(&shell->skip);
    flo_shell_served_fini(shell);
    flo_calls_fini(&shell->calls);
    flo_streams_fini(&shell->streams);
    flo_gate_destroy(&shell->gate);
    flo_health_destroy(&shell->health);
    flo_metrics_destroy(&shell->metrics);
    flo_arena_fini(&shell->arena);
    if (shell->base)
        event_base_free(shell->base);
    flo_free(shell);
    *shell_pointer = NULL;
}
