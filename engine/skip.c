/* SPDX-License-Identifier: Apache-2.0 */
/* skip.c - the test service, and the jumps of the clock. */
#include "engine/skip.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/shell_internal.h"

/* A client that has just got an answer may be about to ask for something else, or to lock the
 * clock: it gets so long. */
#define CLIENT_NS (10 * FLO_NS_PER_MS)

/* A Sleep that is not over. */
struct sleep {
    struct flo_node node;
    uint64_t call;
    int64_t until_ns; /* flo_shell_now's clock */
    bool locks;       /* take a lock at its end */
};

void flo_skip_init(struct flo_skip *skip, bool on, unsigned locks)
{
    *skip = (struct flo_skip){.on = on, .locks = locks};
    flo_list_init(&skip->sleeps);
}

void flo_skip_fini(struct flo_skip *skip)
{
    struct flo_node *node;
    while ((node = flo_list_pop_front(&skip->sleeps)))
        flo_free(flo_container(node, struct sleep, node));
}

/* ---- the service ---- */

static void answer(struct flo_shell *shell, uint64_t call, const ProtobufCMessage *body)
{
    flo_calls_reply(&shell->calls, &(struct flo_core_reply){.call = call, .body = body});
}

static void refuse(struct flo_shell *shell, uint64_t call, int code, const char *message)
{
    flo_calls_reply(&shell->calls,
                    &(struct flo_core_reply){.call = call, .code = code, .message = message});
}

static void answer_sleep(struct flo_shell *shell, uint64_t call)
{
    FloApi__SleepResponse body;
    flo_api__sleep_response__init(&body);
    answer(shell, call, &body.base);
}

static bool unlock(struct flo_shell *shell, uint64_t call)
{
    if (shell->skip.locks == 0) {
        refuse(shell, call, FLO_GRPC_UNKNOWN, "Unbalanced lock and unlock calls");
        return false;
    }
    shell->skip.locks--;
    return true;
}

/* Answer the call at until_ns; with locks, take a lock then. */
static void sleep_until(struct flo_shell *shell, uint64_t call, int64_t until_ns, bool locks)
{
    struct sleep *sleep = flo_malloc(sizeof *sleep);
    if (!sleep) {
        shell->skip.locks += locks;
        refuse(shell, call, FLO_GRPC_RESOURCE_EXHAUSTED, "the engine is out of memory");
        return;
    }
    *sleep = (struct sleep){.call = call, .until_ns = until_ns, .locks = locks};
    struct flo_node *at = shell->skip.sleeps.head.next;
    while (at != &shell->skip.sleeps.head &&
           flo_container(at, struct sleep, node)->until_ns <= until_ns)
        at = at->next;
    flo_list_insert_before(&shell->skip.sleeps, at, &sleep->node);
}

/* a + b for a >= 0, at most INT64_MAX. */
static int64_t add_ns(int64_t a, int64_t b)
{
    return b > INT64_MAX - a ? INT64_MAX : a + b;
}

/* Nanoseconds of a duration or a point in time, within what 64 bits hold. */
static int64_t nanoseconds(int64_t seconds, int32_t nanos)
{
    const int64_t most = INT64_MAX / FLO_NS_PER_S - 1;
    seconds = seconds > most ? most : seconds < -most ? -most : seconds;
    return seconds * FLO_NS_PER_S + nanos;
}

static int64_t after(const struct flo_shell *shell, const Google__Protobuf__Duration *duration)
{
    const int64_t length = duration ? nanoseconds(duration->seconds, duration->nanos) : 0;
    return add_ns(flo_shell_now(shell), length > 0 ? length : 0);
}

static void serve_lock(struct flo_shell *shell, uint64_t call, const void *request)
{
    FloApi__LockTimeSkippingResponse body;
    (void)request;
    flo_api__lock_time_skipping_response__init(&body);
    shell->skip.locks++;
    answer(shell, call, &body.base);
}

static void serve_unlock(struct flo_shell *shell, uint64_t call, const void *request)
{
    FloApi__UnlockTimeSkippingResponse body;
    (void)request;
    flo_api__unlock_time_skipping_response__init(&body);
    if (unlock(shell, call))
        answer(shell, call, &body.base);
}

static void serve_sleep(struct flo_shell *shell, uint64_t call, const void *request)
{
    const FloApi__SleepRequest *sleep = request;
    sleep_until(shell, call, after(shell, sleep->duration), false);
}

static void serve_sleep_until(struct flo_shell *shell, uint64_t call, const void *request)
{
    const Google__Protobuf__Timestamp *at = ((const FloApi__SleepUntilRequest *)request)->timestamp;
    sleep_until(shell, call, at ? nanoseconds(at->seconds, at->nanos) : 0, false);
}

static void serve_unlock_with_sleep(struct flo_shell *shell, uint64_t call, const void *request)
{
    const FloApi__SleepRequest *sleep = request;
    if (unlock(shell, call))
        sleep_until(shell, call, after(shell, sleep->duration), true);
}

static void serve_current_time(struct flo_shell *shell, uint64_t call, const void *request)
{
    const int64_t now = flo_shell_now(shell);
    Google__Protobuf__Timestamp time;
    FloApi__GetCurrentTimeResponse body;
    (void)request;
    google__protobuf__timestamp__init(&time);
    flo_api__get_current_time_response__init(&body);
    time.seconds = now / FLO_NS_PER_S;
    time.nanos = (int32_t)(now % FLO_NS_PER_S);
    body.time = &time;
    answer(shell, call, &body.base);
}

static const struct method {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    void (*serve)(struct flo_shell *shell, uint64_t call, const void *request);
} methods[] = {
    {"LockTimeSkipping", &flo_api__lock_time_skipping_request__descriptor, serve_lock},
    {"UnlockTimeSkipping", &flo_api__unlock_time_skipping_request__descriptor, serve_unlock},
    {"Sleep", &flo_api__sleep_request__descriptor, serve_sleep},
    {"SleepUntil", &flo_api__sleep_until_request__descriptor, serve_sleep_until},
    {"UnlockTimeSkippingWithSleep", &flo_api__sleep_request__descriptor, serve_unlock_with_sleep},
    {"GetCurrentTime", &google__protobuf__empty__descriptor, serve_current_time},
};

static const struct method *find(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

const ProtobufCMessageDescriptor *flo_skip_method(const char *name)
{
    const struct method *method = find(name);
    return method ? method->request : NULL;
}

void flo_skip_call(struct flo_shell *shell, uint64_t call, const char *name,
                   const ProtobufCMessage *request)
{
    find(name)->serve(shell, call, request);
}

void flo_skip_cancel(struct flo_shell *shell, uint64_t call)
{
    FLO_LIST_FOREACH(node, &shell->skip.sleeps)
    {
        struct sleep *sleep = flo_container(node, struct sleep, node);
        if (sleep->call != call)
            continue;
        shell->skip.locks += sleep->locks;
        flo_list_remove(&shell->skip.sleeps, node);
        flo_free(sleep);
        return;
    }
}

/* ---- the clock ---- */

static struct sleep *first_sleep(const struct flo_skip *skip)
{
    struct flo_node *node = flo_list_first(&skip->sleeps);
    return node ? flo_container(node, struct sleep, node) : NULL;
}

/* Answer those whose time has come. */
static void wake(struct flo_shell *shell, int64_t now)
{
    struct sleep *sleep;
    while ((sleep = first_sleep(&shell->skip)) && sleep->until_ns <= now) {
        flo_list_remove(&shell->skip.sleeps, &sleep->node);
        shell->skip.locks += sleep->locks;
        answer_sleep(shell, sleep->call);
        flo_free(sleep);
    }
}

/* Has a client just been answered, so that the clock waits for what it does next? Once for all
 * answers of that time: a client that asks again and again does not hold the clock. */
static bool waits_for_client(struct flo_shell *shell, int64_t mono_ns)
{
    struct flo_skip *skip = &shell->skip;
    if (mono_ns < skip->quiet_until_ns)
        return true;
    if (skip->quiet_until_ns > 0) { /* it has waited: answers since then were of that time */
        skip->quiet_until_ns = 0;
        skip->clients_seen = shell->calls.client_answers;
        return false;
    }
    if (skip->clients_seen == shell->calls.client_answers)
        return false;
    skip->quiet_until_ns = mono_ns + CLIENT_NS;
    return true;
}

static void jump(struct flo_shell *shell, int64_t by_ns)
{
    shell->wall_base_ns += by_ns;
    shell->gave_back_ns += by_ns;
    if (shell->timer_at_ns != INT64_MAX)
        shell->timer_at_ns += by_ns;
    flo_core_jump(shell->core, by_ns);
}

int64_t flo_skip_turn(struct flo_shell *shell, int64_t now)
{
    wake(shell, now);
    const struct sleep *sleep = first_sleep(&shell->skip);
    const int64_t due = flo_core_next_due(shell->core);
    const int64_t target = sleep && sleep->until_ns < due ? sleep->until_ns : due;
    const int64_t look = sleep ? sleep->until_ns : INT64_MAX; /* at the usual pace */

    if (shell->skip.locks > 0 || target == INT64_MAX || target <= now ||
        !flo_committer_idle(shell->committer) || flo_calls_holding(&shell->calls) ||
        flo_core_busy(shell->core))
        return look;
    const int64_t mono = flo_clock_mono_ns();
    if (waits_for_client(shell, mono)) {
        const int64_t over = now + (shell->skip.quiet_until_ns - mono);
        return over < look ? over : look;
    }
    jump(shell, target - now);
    return target;
}
