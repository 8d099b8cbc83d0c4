/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of turns (object/fairness.h) when a process is killed at any point of a get or a put that goes past a
 * call of another node, or stands back for it, or of such a call: the search of support_kill/kill_run.h.
 * Afterwards the others are served. Messages are numbered; none but the dead one's are lost, and none comes
 * twice. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <mpmap.h>

#include "base/clock.h"
#include "net/courier.h"
#include "node/context.h"
#include "object/fairness.h"

#include "kill_run.h"
#include "suite.h"

#define PATIENCE_S  100.0
#define PATIENCE_NS UINT64_C(100000000000)
#define SLOWNESS_NS 300000
#define MESSAGES    4u  /* there are in the queue, or are put by the process */
#define LAST        50u /* the last one, of main or of the one that waits */
#define NUMBERS     64u

enum { GETTING, PUTTING };
enum { QUEUE, SERVED, OTHER, OTHER_TOO }; /* handles */

static mpm_queue queue_of(const struct kill_scene *scene, unsigned which)
{
    return (mpm_queue){scene->handle[which]};
}

static bool put(const struct kill_scene *scene, uint64_t number)
{
    return !mpm_queue_put(queue_of(scene, QUEUE), &number, sizeof number, PATIENCE_S);
}

static bool get(const struct kill_scene *scene, uint64_t *number, double timeout_s)
{
    return !mpm_queue_get(queue_of(scene, QUEUE), timeout_s, number, sizeof *number, NULL);
}

/* Others. */

static int get_one(const void *args, size_t size)
{
    const struct kill_scene *scene = args;
    uint64_t number;

    (void)size;
    return !get(scene, &number, PATIENCE_S) ||
           mpm_queue_put(queue_of(scene, SERVED), &number, sizeof number, PATIENCE_S);
}

static int put_last(const void *args, size_t size)
{
    (void)size;
    return !put(args, LAST);
}

/* Each courier is slower than any process, which goes past what waits there so. */
static bool be_slow(void)
{
    nanosleep(&(struct timespec){.tv_nsec = SLOWNESS_NS}, NULL);
    return false;
}

/* The run begins with this in every leader, before its courier starts: the linker has it call these in its place. */
void __real_courier_forget(void);
void __wrap_courier_forget(void);

void __wrap_courier_forget(void)
{
    __real_courier_forget();
    courier_add_work(be_slow);
}

/* Until the queue is closed. */
static int keep_passing(const void *args, size_t size)
{
    const struct kill_scene *scene = args;
    uint64_t number = 1;
    int status;

    (void)size;
    do {
        if (!(status = mpm_queue_put(queue_of(scene, QUEUE), &number, sizeof number, PATIENCE_S)))
            status = mpm_queue_get(queue_of(scene, QUEUE), PATIENCE_S, &number, sizeof number, NULL);
    } while (!status);
    return status != MPM_ECLOSED;
}

static void start_other(struct kill_scene *scene, unsigned which, mpm_target *target, unsigned node)
{
    mpm_process process = {{0}};

    CU_ASSERT(!mpm_process_start(target, scene, sizeof *scene,
                                 &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
    scene->handle[which] = process.handle;
}

static bool other_ends(const struct kill_scene *scene, unsigned which)
{
    mpm_process process = {scene->handle[which]};
    int code = -1;

    return !mpm_process_join(process, PATIENCE_S) && !mpm_process_exitcode(process, &code) && code == 0 &&
           !mpm_process_close(process);
}

/* Scenes. */

static void make_queues(struct kill_scene *scene, size_t maxsize)
{
    mpm_queue queue = {{0}}, served = {{0}};

    CU_ASSERT(!mpm_queue_create(&(mpm_queue_options){.maxsize = maxsize}, &queue) &&
              !mpm_queue_create(NULL, &served));
    scene->handle[QUEUE] = queue.handle;
    scene->handle[SERVED] = served.handle;
}

static bool end_queues(const struct kill_scene *scene)
{
    return !mpm_queue_destroy(queue_of(scene, QUEUE)) && !mpm_queue_destroy(queue_of(scene, SERVED));
}

/* A call of the last node waits, and all but one of those who may go past it have. */
static void await_call(const struct kill_scene *scene, unsigned side)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    struct object *object = NULL;

    CU_ASSERT_FATAL(!object_find(&scene->handle[QUEUE], OBJECT_QUEUE, &object));
    while (atomic_load(&object->turn[side]) < FAIRNESS_ONE_WAITING && clock_now_ns() < end_ns)
        sched_yield();
    CU_ASSERT_EQUAL(atomic_load(&object->turn[side]), FAIRNESS_ONE_WAITING);
    fairness_took(object, side, FAIRNESS_PASSES, FAIRNESS_BYPASSES - 1);
}

static void a_getter_waits(struct kill_scene *scene)
{
    make_queues(scene, 0);
    start_other(scene, OTHER, get_one, mpm_node_count() - 1);
    await_call(scene, GETTING);
}

static void a_putter_waits(struct kill_scene *scene)
{
    make_queues(scene, MESSAGES);
    for (uint64_t number = 1; number <= MESSAGES; number++)
        CU_ASSERT(put(scene, number));
    start_other(scene, OTHER, put_last, mpm_node_count() - 1);
    await_call(scene, PUTTING);
}

static void others_keep_passing(struct kill_scene *scene)
{
    make_queues(scene, 1);
    start_other(scene, OTHER, keep_passing, 0);
    start_other(scene, OTHER_TOO, keep_passing, 0);
}

/* Who is killed. */

static bool get_two(const struct kill_scene *scene)
{
    uint64_t first, second;

    for (uint64_t number = 1; number <= MESSAGES; number++) {
        if (!put(scene, number))
            return false;
    }
    return get(scene, &first, PATIENCE_S) && get(scene, &second, PATIENCE_S) && first < second;
}

/* There is room for its own ones and for the other one's. */
static bool put_two(const struct kill_scene *scene)
{
    uint64_t number;

    for (unsigned i = 0; i < 3; i++) {
        if (!get(scene, &number, PATIENCE_S))
            return false;
    }
    return put(scene, MESSAGES + 1) && put(scene, MESSAGES + 2);
}

static bool get_far(const struct kill_scene *scene)
{
    return get(scene, &(uint64_t){0}, PATIENCE_S);
}

static bool put_far(const struct kill_scene *scene)
{
    return put(scene, LAST);
}

/* What must be so. */

/* Takes what is left in a queue; false if anything comes twice. */
static bool drain(const struct kill_scene *scene, unsigned which, bool seen[NUMBERS])
{
    uint64_t number;

    while (!mpm_queue_get(queue_of(scene, which), 0, &number, sizeof number, NULL)) {
        if (number >= NUMBERS || seen[number])
            return false;
        seen[number] = true;
    }
    return true;
}

static unsigned count_of(const bool seen[NUMBERS])
{
    unsigned count = 0;

    for (unsigned i = 0; i < NUMBERS; i++)
        count += seen[i];
    return count;
}

/* The dead one has got two at most of those before the last one that it has put. */
static bool is_get_right(const struct kill_scene *scene, bool was_killed)
{
    bool seen[NUMBERS] = {false};
    unsigned last = MESSAGES, count;

    if (!put(scene, LAST) || !other_ends(scene, OTHER) || !drain(scene, QUEUE, seen) ||
        !drain(scene, SERVED, seen))
        return false;
    while (last && !seen[last])
        last--;
    count = count_of(seen);
    return seen[LAST] && count + 2 >= last + 1 && (was_killed || count == MESSAGES - 1) && end_queues(scene);
}

/* One of the messages is taken from the queue, in which there is room then. */
static bool is_put_right(const struct kill_scene *scene, bool was_killed)
{
    bool seen[NUMBERS] = {false};
    uint64_t first;

    if (!get(scene, &first, PATIENCE_S) || !other_ends(scene, OTHER) || first >= NUMBERS)
        return false;
    seen[first] = true;
    return drain(scene, QUEUE, seen) && seen[LAST] && count_of(seen) >= 2 &&
           (was_killed || count_of(seen) == MESSAGES) && end_queues(scene);
}

/* The others go on. */
static bool is_far_right(const struct kill_scene *scene, bool was_killed)
{
    uint64_t number;

    (void)was_killed;
    return get(scene, &number, PATIENCE_S) && !mpm_queue_close(queue_of(scene, QUEUE)) &&
           other_ends(scene, OTHER) && other_ends(scene, OTHER_TOO) && end_queues(scene);
}

const struct kill_operation kill_operations[] = {
    {"gets past a call of another node", a_getter_waits, get_two, is_get_right},
    {"puts past a call of another node", a_putter_waits, put_two, is_put_right},
    {"a get of another node", others_keep_passing, get_far, is_far_right},
    {"a put of another node", others_keep_passing, put_far, is_far_right},
};

static void every_point_may_be_the_last(void)
{
    unsigned nodes[] = {0, 0, mpm_node_count() - 1, mpm_node_count() - 1};
    size_t operations = sizeof kill_operations / sizeof *kill_operations;
    unsigned long points = 0;

    for (size_t i = 0; i < operations; i++) {
        unsigned long found = kill_search(i, nodes[i]);

        CU_ASSERT(found >= 4);
        points += found;
    }
    printf("%lu points searched in %zu operations … ", points, operations);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"every_point_may_be_the_last", every_point_may_be_the_last},
    };
    int failed;

    setenv("MPMAP_ARENA", "64M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("fairness_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
