/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's side of items that run alone on their node: taking the node, and standing back for others that have it.
 * See pool_registry.c for who writes what. */
#include <time.h>

#include "base/clock.h"
#include "pool/shared/pool_registry.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

#define LOOK_NS \
    5000000u /* how often a worker that waits for the node looks whether what it has is wanted still */
#define MAX_LOOK_NS 20000000u

static uint64_t own_board(void)
{
    return arena_offset(worker_self.arena, worker_self.board);
}

/* Until the node is nobody's: while this worker waits, it is not in anybody's way. */
static bool wait_for_node(bool (*is_wanted)(void *argument), void *argument)
{
    struct board *board = worker_self.board;
    struct worker_record *record = worker_self.record;
    bool is_taken = false;

    atomic_store(&record->waits_for_node, 1);
    KILL_POINT();
    while (!atomic_load(&board->closing) && is_wanted(argument)) {
        uint32_t seen = eventcount_prepare(&board->work);

        if ((is_taken = pool_registry_take_node(own_board())))
            break;
        eventcount_wait(&board->work, seen, 0, clock_now_ns() + LOOK_NS);
    }
    atomic_store(&record->waits_for_node, 0);
    KILL_POINT();
    return is_taken;
}

bool worker_take_node(bool (*is_wanted)(void *argument), void *argument)
{
    uint64_t pause_ns = LOOK_NS / 64;

    if (!wait_for_node(is_wanted, argument))
        return false;
    while (!pool_registry_node_is_quiet(worker_self.record)) {
        nanosleep(&(struct timespec){.tv_nsec = (long)pause_ns}, NULL);
        pause_ns = pause_ns * 2 < MAX_LOOK_NS ? pause_ns * 2 : MAX_LOOK_NS;
        if (!atomic_load(&worker_self.board->closing) && is_wanted(argument))
            continue;
        pool_registry_give_node_back();
        return false;
    }
    return true;
}

void worker_give_node_back(void)
{
    KILL_POINT();
    pool_registry_give_node_back();
}

void worker_stand_back(uint32_t seen)
{
    struct board *board = worker_self.board;

    if (!eventcount_wait(&board->work, seen, 0, pool_registry_stands_back_until(own_board())))
        pool_registry_stand_up(own_board());
}
