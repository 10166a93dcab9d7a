/* SPDX-License-Identifier: Apache-2.0 */
/* manager_fixture.h - a process manager over fake children (fake_child.c), for its tests. */
#ifndef FLO_TESTS_MANAGER_FIXTURE_H
#define FLO_TESTS_MANAGER_FIXTURE_H

#include <event2/event.h>

#include "base/clock.h"
#include "supervisor/processes/manager.h"
#include "support/cmocka_env.h"

struct fixture {
    struct event_base *base;
    struct event *tick;
    struct flo_fleet_config *config;
    struct flo_manager *manager;
    char dir[64];
    char yaml[80]; /* the fleet's file */
    char log[96];  /* what the children note */
    int exit_code; /* -1 until on_end */
    bool again;    /* its supervisor was killed */
    bool unready;  /* what every process reports */
    char text[16384];
    char events[8192]; /* "kind name\n" of each event */
};

int manager_setup(void **state);
int manager_teardown(void **state);
/* Write the fleet's file: yaml behind settings that make tests short. */
void manager_write(struct fixture *f, const char *yaml);
/* Write it and start the fleet. */
void manager_begin(struct fixture *f, const char *yaml);
enum flo_process_state manager_state(struct fixture *f, size_t i);
/* Are all up that are to run, and only those there? */
bool manager_all_up(struct fixture *f);
/* What the children noted, in order. */
const char *manager_notes(struct fixture *f);

#define TURN_UNTIL(f, condition)                                                                   \
    do {                                                                                           \
        int64_t end_ = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;                                    \
        while (!(condition) && flo_clock_mono_ns() < end_)                                         \
            event_base_loop((f)->base, EVLOOP_ONCE);                                               \
        assert_true(condition);                                                                    \
    } while (0)

#endif
