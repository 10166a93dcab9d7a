/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.c - many workers that only report: as many connections as workers, one snapshot each a
 * second, spread over it. A worker's snapshot is a template's (one of a real worker's frames) with
 * its own identity, boot id and process id, whose metrics rise. Commands are acknowledged. After 30
 * to 58 snapshots a worker goes over to a new connection, as real ones do (report_link.c).
 *
 * usage: fleet_sim ENDPOINT COUNT TEMPLATE [INTERVAL_MS]
 * stdin: "kill N" closes N connections without a word and says "killed N"; "stop" or its end says
 * goodbye for all that are left.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/random.h"
#include "supervisor/fleet/fleet_store.h"

#define SEQ_MARK 987654321 /* stands for the number of a snapshot in a split template */
#define FIRST_PID 4000000  /* above those of real processes */
#define AGE_MIN 30         /* snapshots by one connection */
#define AGE_SPREAD 29

struct sim_worker {
    void *socket;
    void *next; /* which will take over; NULL: none yet */
    void *last; /* which said that it leaves */
    bool said_leave;
    unsigned left; /* snapshots until the next is made */
    char boot[FLO_UUID_LEN + 1];
    struct flo_buf text; /* the frame with a place for each number */
    struct flo_fleet_numbers numbers;
    size_t seq_at;
    size_t metrics_at; /* from which number on they are metrics */
    int64_t due_ms;
};

struct sim {
    void *context;
    const char *endpoint;
    struct sim_worker *workers;
    size_t count, gone; /* the first `gone` were killed */
    int64_t interval_ms;
    struct flo_rng rng;
    struct flo_buf frame;
};

static void die(const char *what)
{
    fprintf(stderr, "fleet_sim: %s: %s\n", what, zmq_strerror(errno));
    exit(1);
}

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

/* Numbers before the metrics, by their place in the text. */
static size_t count_before(const struct flo_buf *text, const char *key)
{
    const char *end = memmem(text->data, text->len, key, strlen(key));
    size_t count = 0;
    for (const char *p = (const char *)text->data; end && p < end; p++)
        count += *p == FLO_SHAPE_PLACE;
    return count;
}

static void make_worker(struct sim *sim, size_t i, json_t *template)
{
    struct sim_worker *worker = &sim->workers[i];
    char identity[64];
    snprintf(identity, sizeof identity, "sim-%zu@simulated", i);
    flo_rng_uuid4(&sim->rng, worker->boot);
    json_object_set_new(template, "boot", json_string(worker->boot));
    json_object_set_new(template, "identity", json_string(identity));
    json_object_set_new(template, "pid", json_integer((json_int_t)(FIRST_PID + i)));
    json_object_set_new(template, "seq", json_integer(SEQ_MARK));
    char *text = json_dumps(template, JSON_COMPACT);
    flo_buf_init(&worker->text, 0);
    if (!text || !flo_fleet_shape_split(text, strlen(text), &worker->text, &worker->numbers))
        die("the template is no snapshot");
    free(text);
    while (worker->numbers.values[worker->seq_at] != SEQ_MARK)
        worker->seq_at++;
    worker->numbers.values[worker->seq_at] = 0;
    worker->metrics_at = count_before(&worker->text, "\"metrics\":");
    worker->due_ms = now_ms() + (int64_t)i * sim->interval_ms / (int64_t)sim->count;
}

static void *open_socket(struct sim *sim)
{
    const int one = 1, none = 0, few = 4, soon = 100;
    void *socket = zmq_socket(sim->context, ZMQ_DEALER);
    if (!socket || zmq_setsockopt(socket, ZMQ_IMMEDIATE, &one, sizeof one) ||
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) ||
        zmq_setsockopt(socket, ZMQ_SNDHWM, &few, sizeof few) ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon) ||
        zmq_connect(socket, sim->endpoint))
        die("cannot connect");
    return socket;
}

static void close_socket(void **socket, int linger_ms)
{
    if (!*socket)
        return;
    zmq_setsockopt(*socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(*socket);
    *socket = NULL;
}

/* Before a snapshot: one connection after the other. */
static void age(struct sim *sim, struct sim_worker *worker)
{
    close_socket(&worker->last, 100);
    if (worker->said_leave) {
        worker->last = worker->socket;
        worker->socket = worker->next;
        worker->next = NULL;
        worker->said_leave = false;
        worker->left = AGE_MIN + (unsigned)(flo_rng_next(&sim->rng) % AGE_SPREAD);
    } else if (!worker->next && --worker->left == 0) {
        worker->next = open_socket(sim);
    }
}

/* After a snapshot: say goodbye when the next connection is there. */
static void leave(struct sim_worker *worker)
{
    char frame[128];
    int events = 0;
    size_t size = sizeof events;
    if (!worker->next || zmq_getsockopt(worker->next, ZMQ_EVENTS, &events, &size) ||
        !(events & ZMQ_POLLOUT))
        return;
    snprintf(frame, sizeof frame, "{\"v\":1,\"type\":\"leave\",\"boot\":\"%s\"}", worker->boot);
    worker->said_leave = zmq_send(worker->socket, frame, strlen(frame), ZMQ_DONTWAIT) >= 0;
}

static void put_number(struct flo_buf *out, double value)
{
    char digits[24];
    size_t at = sizeof digits;
    if (value < 0 || value >= 1e15 || value != (double)(uint64_t)value) {
        flo_buf_printf(out, "%.9g", value);
        return;
    }
    uint64_t rest = (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    flo_buf_append(out, digits + at, sizeof digits - at);
}

/* Half of what a busy worker counts goes up in a second. */
static void work(struct sim *sim, struct sim_worker *worker)
{
    worker->numbers.values[worker->seq_at]++;
    for (size_t i = worker->metrics_at; i < worker->numbers.count; i++)
        if (worker->numbers.values[i] > 0 && (flo_rng_next(&sim->rng) & 1))
            worker->numbers.values[i] += 1;
}

static void report(struct sim *sim, struct sim_worker *worker)
{
    const char *p = (const char *)worker->text.data, *end = p + worker->text.len;
    work(sim, worker);
    flo_buf_clear(&sim->frame);
    for (size_t i = 0; p < end; i++) {
        const char *place = memchr(p, FLO_SHAPE_PLACE, (size_t)(end - p));
        flo_buf_append(&sim->frame, p, (size_t)((place ? place : end) - p));
        if (!place)
            break;
        put_number(&sim->frame, worker->numbers.values[i]);
        p = place + 1;
    }
    (void)zmq_send(worker->socket, sim->frame.data, sim->frame.len, ZMQ_DONTWAIT);
}

/* Say yes to whatever comes. */
static void acknowledge(struct sim_worker *worker, void *from)
{
    char command[4096], ack[256];
    while (from) {
        int size = zmq_recv(from, command, sizeof command, ZMQ_DONTWAIT);
        if (size < 0 || size > (int)sizeof command)
            return;
        json_t *json = json_loadb(command, (size_t)size, 0, NULL);
        snprintf(
            ack, sizeof ack,
            "{\"v\":1,\"type\":\"ack\",\"boot\":\"%s\",\"id\":%lld,\"ok\":true,\"message\":\"\"}",
            worker->boot, (long long)json_integer_value(json_object_get(json, "id")));
        json_decref(json);
        (void)zmq_send(worker->socket, ack, strlen(ack), ZMQ_DONTWAIT);
    }
}

static void say_goodbye(struct sim *sim)
{
    static const char running[] = "\"state\":\"running\"", stopped[] = "\"state\":\"stopped\"";
    for (size_t i = sim->gone; i < sim->count; i++) {
        struct sim_worker *worker = &sim->workers[i];
        char *state = memmem(worker->text.data, worker->text.len, running, strlen(running));
        if (state)
            memcpy(state, stopped, strlen(stopped));
        report(sim, worker);
    }
}

static void close_all(struct sim_worker *worker, int linger_ms)
{
    close_socket(&worker->last, linger_ms);
    close_socket(&worker->next, 0);
    close_socket(&worker->socket, linger_ms);
}

/* False: it is over. */
static bool obey(struct sim *sim)
{
    char line[64];
    size_t wanted;
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "stop\n") == 0)
        return false;
    if (sscanf(line, "kill %zu", &wanted) == 1) {
        for (size_t i = 0; i < wanted && sim->gone < sim->count; i++) {
            close_all(&sim->workers[sim->gone++], 0);
        }
        printf("fleet_sim: killed %zu\n", wanted);
    }
    return true;
}

static void run(struct sim *sim)
{
    for (;;) {
        int64_t now = now_ms(), next = now + 100;
        for (size_t i = sim->gone; i < sim->count; i++) {
            struct sim_worker *worker = &sim->workers[i];
            if (worker->due_ms <= now) {
                acknowledge(worker, worker->last);
                acknowledge(worker, worker->socket);
                age(sim, worker);
                report(sim, worker);
                leave(worker);
                worker->due_ms += sim->interval_ms;
            }
            if (worker->due_ms < next)
                next = worker->due_ms;
        }
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        now = now_ms();
        if (poll(&input, 1, next > now ? (int)(next - now) : 0) > 0 && !obey(sim))
            return;
    }
}

int main(int argc, char **argv)
{
    struct sim sim = {.interval_ms = argc > 4 ? strtol(argv[4], NULL, 10) : 1000};
    json_error_t error;
    struct rlimit files;
    if (argc < 4) {
        fprintf(stderr, "usage: fleet_sim ENDPOINT COUNT TEMPLATE [INTERVAL_MS]\n");
        return 64;
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what is left */
    setvbuf(stdout, NULL, _IOLBF, 0);
    sim.endpoint = argv[1];
    sim.count = strtoul(argv[2], NULL, 10);
    sim.workers = calloc(sim.count + 1, sizeof *sim.workers);
    json_t *template = json_load_file(argv[3], 0, &error);
    if (!template || !sim.workers) {
        fprintf(stderr, "fleet_sim: %s: %s\n", argv[3], error.text);
        free(sim.workers);
        return 1;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    flo_rng_seed(&sim.rng, flo_random_u64());
    flo_buf_init(&sim.frame, 0);
    sim.context = zmq_ctx_new();
    zmq_ctx_set(sim.context, ZMQ_MAX_SOCKETS, 3 * (int)sim.count + 16);
    for (size_t i = 0; i < sim.count; i++) {
        make_worker(&sim, i, template);
        sim.workers[i].socket = open_socket(&sim);
        sim.workers[i].left = AGE_MIN + (unsigned)(flo_rng_next(&sim.rng) % AGE_SPREAD);
    }
    printf("fleet_sim: %zu workers, frames of %zu bytes and more\n", sim.count,
           sim.count ? sim.workers[0].text.len : 0);
    run(&sim);
    say_goodbye(&sim);
    for (size_t i = 0; i < sim.count; i++) {
        close_all(&sim.workers[i], 1000);
        flo_buf_fini(&sim.workers[i].text);
        flo_fleet_numbers_fini(&sim.workers[i].numbers);
    }
    zmq_ctx_term(sim.context);
    json_decref(template);
    flo_buf_fini(&sim.frame);
    free(sim.workers);
    return 0;
}
