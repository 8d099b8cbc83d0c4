/* SPDX-License-Identifier: BSD-3-Clause */
/* A process is killed at any point of calls on objects of a node that is stopped, which it takes back: the search of
 * support_kill/kill_run.h. When the node goes on, the messages are there, but the dead one's own, and the lock can be
 * had. */
#include <CUnit/CUnit.h>
#include <stdlib.h>

#include <mpmap.h>

#include "kill_run.h"
#include "rank.h"
#include "suite.h"
#include "predicate.h"

#define PATIENCE_S 100.0
#define LIMIT_S    0.001

enum { QUEUE, LOCK }; /* handles */

/* At the last node, for all points. */
struct things {
    mpm_queue queue;
    mpm_lock lock;
    uint64_t rank;
};

static struct things things;
static mpm_process maker;

static int make_and_stay(const void *args, size_t size)
{
    mpm_queue out = *(const mpm_queue *)args;
    mpm_event never;

    (void)size;
    things.rank = (uint64_t)rank_of_caller();
    return mpm_queue_create(NULL, &things.queue) || mpm_lock_create(&things.lock) ||
           mpm_event_create(&never) || mpm_queue_put(out, &things, sizeof things, PATIENCE_S) ||
           mpm_event_wait(never, MPM_FOREVER);
}

static bool make_things(void)
{
    mpm_process_options options = {.place = MPM_ON_NODE(mpm_node_count() - 1), .daemon = 1};
    mpm_queue out;

    return !mpm_queue_create(NULL, &out) &&
           !mpm_process_start(make_and_stay, &out, sizeof out, &options, &maker) &&
           !mpm_queue_get(out, PATIENCE_S, &things, sizeof things, NULL) && !mpm_queue_destroy(out);
}

/* What the first puts and calls make stays. */
static bool use_things(void)
{
    int message = 0;
    bool is_done = true;

    for (int i = 1; i <= 2; i++)
        is_done = is_done && !mpm_queue_put(things.queue, &i, sizeof i, PATIENCE_S);
    for (int i = 1; i <= 2; i++)
        is_done = is_done && !mpm_queue_get(things.queue, PATIENCE_S, &message, sizeof message, NULL);
    return is_done;
}

static void prepare(struct kill_scene *scene)
{
    scene->handle[QUEUE] = things.queue.handle;
    scene->handle[LOCK] = things.lock.handle;
    for (int i = 1; i <= 2; i++)
        CU_ASSERT(!mpm_queue_put(things.queue, &i, sizeof i, PATIENCE_S));
    CU_ASSERT(!queue_is_full(things.queue)); /* they are there when it has answered */
    CU_ASSERT(rank_stop((int)things.rank));
}

static bool get_too_late(const struct kill_scene *scene)
{
    int message;

    return mpm_queue_get((mpm_queue){scene->handle[QUEUE]}, LIMIT_S, &message, sizeof message, NULL) ==
           MPM_EEMPTY;
}

static bool acquire_too_late(const struct kill_scene *scene)
{
    return mpm_lock_acquire((mpm_lock){scene->handle[LOCK]}, LIMIT_S) == MPM_ETIMEDOUT;
}

/* One that is killed loses its own message at most, which is the first one. */
static bool expect_messages(bool was_killed)
{
    int message = 0;

    if (mpm_queue_get(things.queue, PATIENCE_S, &message, sizeof message, NULL))
        return false;
    if (message == 2)
        return was_killed;
    return message == 1 && !mpm_queue_get(things.queue, PATIENCE_S, &message, sizeof message, NULL) &&
           message == 2;
}

/* Who had the lock may have died with it. */
static bool is_right(const struct kill_scene *scene, bool was_killed)
{
    bool right;
    int status;

    (void)scene;
    rank_go_on((int)things.rank);
    right = expect_messages(was_killed);
    status = mpm_lock_acquire(things.lock, PATIENCE_S);
    if (status && (!was_killed || status != MPM_EOWNERDIED))
        return false;
    return !mpm_lock_release(things.lock) && right;
}

const struct kill_operation kill_operations[] = {
    {"a get of another node that is taken back", prepare, get_too_late, is_right},
    {"an acquire of another node that is taken back", prepare, acquire_too_late, is_right},
};

static void who_takes_back_a_call_may_be_killed_anywhere(void)
{
    size_t before;

    CU_ASSERT_FATAL(kill_warm_up() && make_things() && use_things());
    before = kill_blocks_in_use();
    for (size_t i = 0; i < sizeof kill_operations / sizeof *kill_operations; i++)
        CU_ASSERT(kill_search(i, 0) >= 6);
    CU_ASSERT(kill_no_block_is_lost(before));
    CU_ASSERT(!mpm_process_kill(maker));
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"who_takes_back_a_call_may_be_killed_anywhere", who_takes_back_a_call_may_be_killed_anywhere},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("limits_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
