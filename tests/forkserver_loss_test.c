/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork servers that die one after the other: what each costs, and what goes on without it. The last one is killed,
 * too. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "everywhere.h"
#include "node/context.h"
#include "node/loss.h"
#include "support/suite.h"

#define PATIENCE_S       100.0
#define MOST_FORKSERVERS 16u
#define MOST_HELPERS     200u /* so many are on every fork server of a node, by far */
#define ITEMS            20000u
#define KILLER           4000u /* the item that kills a fork server */

struct forkserver {
    uint32_t node;
    int32_t pid;
};

/* What helpers get of main. */
struct scene {
    mpm_queue told, gate;
    mpm_lock lock;
    int32_t victim; /* pid of a fork server */
};

/* What a helper tells. */
struct tale {
    struct forkserver forkserver;
    mpm_process daemon; /* of the one whose fork server is the victim, as is the next */
    int32_t child;      /* which it has forked itself */
};

static struct forkserver forkservers[MOST_FORKSERVERS]; /* those that there still are */
static unsigned forkserver_count, lost_count;
static unsigned slots_at_first;
static struct scene scene;

/* Helpers. */

static int wait_at_gate(const void *args, size_t size)
{
    const struct scene *here = args;

    (void)size;
    return mpm_queue_get(here->gate, MPM_FOREVER, NULL, 0, NULL) ? 1 : 0;
}

/* A child in a session of its own that does not end by itself. */
static int32_t fork_child(void)
{
    pid_t child = fork();

    if (child)
        return (int32_t)child;
    alarm(300);
    while (setsid())
        pause();
    _exit(EXIT_FAILURE);
}

/* Tells where it is. Who is of the fork server that is to die takes the lock before, and starts a daemon on node 0. */
static int tell_and_wait(const void *args, size_t size)
{
    const struct scene *here = args;
    struct tale tale = {.forkserver = {mpm_node_id(), getppid()}};
    mpm_process_options options = {.place = MPM_ON_NODE(0), .daemon = 1};

    if (tale.forkserver.pid == here->victim &&
        (mpm_lock_acquire(here->lock, 0) ||
         mpm_process_start(wait_at_gate, args, size, &options, &tale.daemon)))
        return 2;
    if (tale.forkserver.pid == here->victim)
        tale.child = fork_child();
    if (mpm_queue_put(here->told, &tale, sizeof tale, PATIENCE_S))
        return 3;
    return wait_at_gate(args, size);
}

static struct tale hear(void)
{
    struct tale tale = {.forkserver = {0}};

    CU_ASSERT_EQUAL_FATAL(mpm_queue_get(scene.told, PATIENCE_S, &tale, sizeof tale, NULL), MPM_OK);
    return tale;
}

/* Fork servers that a node still has. */
static unsigned forkservers_on(unsigned node)
{
    unsigned count = 0;

    for (unsigned i = 0; i < forkserver_count; i++)
        count += forkservers[i].node == node;
    return count;
}

static unsigned lost_ranks(void)
{
    unsigned count = 0;

    for (unsigned rank = 0; rank < mpm_rank_count(); rank++)
        count += loss_is(rank);
    return count;
}

/* Main hears of it a little after. */
static void await_loss(void)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);

    lost_count++;
    forkserver_count--;
    for (bool in_time = true; in_time;) {
        uint32_t seen = eventcount_prepare(context_doorbell());

        if (lost_ranks() == lost_count)
            return;
        in_time = eventcount_wait(context_doorbell(), seen, 0, end_ns);
    }
    CU_FAIL("main does not hear that a fork server was lost");
}

static bool is_known(struct forkserver forkserver)
{
    for (unsigned i = 0; i < forkserver_count; i++) {
        if (forkservers[i].pid == forkserver.pid)
            return true;
    }
    return false;
}

/* Ends helpers that wait; one of them may be dead. */
static void let_go(const mpm_process *helpers, unsigned count, const mpm_process *dead)
{
    for (unsigned i = dead ? 1 : 0; i < count; i++)
        CU_ASSERT_EQUAL(mpm_queue_put(scene.gate, NULL, 0, PATIENCE_S), MPM_OK);
    for (unsigned i = 0; i < count; i++)
        expect_end(helpers[i], &helpers[i] == dead ? -SIGKILL : 0);
    everywhere_assert();
}

/* A fork server says that it has one process more a little after that has begun, so two may be of one fork server. */
static void find_forkservers_of(unsigned node)
{
    mpm_process helpers[MOST_HELPERS];
    unsigned helper_count = 0;
    mpm_node info;

    CU_ASSERT_EQUAL_FATAL(mpm_node_info(node, &info), MPM_OK);
    for (unsigned found = 0; found < info.ranks && helper_count < MOST_HELPERS;) {
        struct forkserver forkserver;

        helpers[helper_count++] = start_on(node, tell_and_wait, &scene, sizeof scene);
        forkserver = hear().forkserver;
        if (is_known(forkserver))
            continue;
        forkservers[forkserver_count++] = forkserver;
        found++;
    }
    let_go(helpers, helper_count, NULL);
}

static void find_forkservers(void)
{
    CU_ASSERT_FATAL(mpm_rank_count() <= MOST_FORKSERVERS);
    slots_at_first = mpm_slot_count();
    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &scene.told), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &scene.gate), MPM_OK);
    for (unsigned node = 0; node < mpm_node_count(); node++)
        find_forkservers_of(node);
    CU_ASSERT_EQUAL_FATAL(forkserver_count, mpm_rank_count());
}

/* Maps. */

static int triple(mpm_call *call, const void *item, void *result)
{
    const int32_t *victim = mpm_call_context(call);
    uint64_t tripled = mpm_call_index(call) * 3 + 1;

    (void)item;
    if (*victim && mpm_call_index(call) == KILLER)
        kill(*victim, SIGKILL);
    for (uint64_t until_ns = clock_now_ns() + 20000; clock_now_ns() < until_ns;)
        ;
    memcpy(result, &tripled, sizeof tripled);
    return 0;
}

static int map_all(mpm_pool *pool, int32_t victim, unsigned *wrong)
{
    uint64_t *results = calloc(ITEMS, sizeof *results);
    mpm_map_options options = {.context = &victim, .context_size = sizeof victim};
    int status;

    CU_ASSERT_FATAL(results != NULL);
    status = mpm_pool_map(pool, triple, NULL, ITEMS, 0, sizeof *results, &options, results);
    *wrong = 0;
    for (uint64_t i = 0; i < ITEMS; i++)
        *wrong += results[i] != i * 3 + 1;
    free(results);
    return status;
}

static int seven(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    memcpy(result, &(int){7}, sizeof(int));
    return 0;
}

/* Calls go to a node that still has workers. */
static void make_calls(mpm_pool *pool)
{
    for (unsigned i = 0; i < 20; i++) {
        int result = 0;

        CU_ASSERT_EQUAL(mpm_pool_apply(pool, seven, NULL, 0, sizeof result, &result), MPM_OK);
        CU_ASSERT_EQUAL(result, 7);
    }
}

static void expect_no_workers(mpm_pool *pool)
{
    unsigned wrong;
    int result;

    CU_ASSERT_EQUAL(map_all(pool, 0, &wrong), MPM_EWORKER);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, seven, NULL, 0, sizeof result, &result), MPM_EWORKER);
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "no workers left"));
    CU_ASSERT_EQUAL(mpm_pool_worker_count(pool), 0);
}

/* An item kills a fork server, its own perhaps: one that dies with its fork server is not to blame, and is run
 * again. */
static void kill_in_a_map(void)
{
    mpm_pool *pool = NULL, *next = NULL;
    unsigned wrong;
    int status;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    status = map_all(pool, forkservers[forkserver_count - 1].pid, &wrong);
    await_loss();
    if (!forkserver_count) {
        CU_ASSERT_EQUAL(status, MPM_EWORKER);
        expect_no_workers(pool);
        mpm_pool_close(pool);
        return;
    }
    CU_ASSERT_EQUAL(status, MPM_OK);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(map_all(pool, 0, &wrong), MPM_OK);
    CU_ASSERT_EQUAL(wrong, 0);
    make_calls(pool);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &next), MPM_OK);
    CU_ASSERT(mpm_pool_worker_count(next) < slots_at_first);
    make_calls(next);
    mpm_pool_close(next);
    mpm_pool_close(pool);
}

static void a_map_goes_on_when_a_forkserver_dies_in_it(void)
{
    find_forkservers();
    for (unsigned half = (forkserver_count + 1) / 2; forkserver_count > half;)
        kill_in_a_map();
}

/* Processes. */

/* Of another process's child. */
static bool ends_soon(pid_t pid)
{
    for (int i = 0; i < 30000; i++) {
        if (kill(pid, 0) && errno == ESRCH)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

/* A process there, what that has forked, its daemon elsewhere, and its lock; and no child of main's. */
static void kill_with_a_process(void)
{
    pid_t own_child = fork_child(), child = 0;
    struct forkserver victim = forkservers[forkserver_count - 1];
    mpm_process helpers[MOST_HELPERS], *dead = NULL, daemon = {{0}};
    unsigned count = 0;

    CU_ASSERT_EQUAL_FATAL(mpm_lock_create(&scene.lock), MPM_OK);
    scene.victim = victim.pid;
    while (!dead && count < MOST_HELPERS) {
        struct tale tale;

        helpers[count++] = start_on(victim.node, tell_and_wait, &scene, sizeof scene);
        tale = hear();
        if (tale.forkserver.pid != victim.pid)
            continue;
        dead = &helpers[count - 1];
        daemon = tale.daemon;
        child = tale.child;
    }
    CU_ASSERT_FATAL(dead && daemon.handle.kind);
    CU_ASSERT_EQUAL(mpm_lock_acquire(scene.lock, 0), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL_FATAL(kill(victim.pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(mpm_lock_acquire(scene.lock, PATIENCE_S), MPM_EOWNERDIED);
    CU_ASSERT_EQUAL(mpm_lock_release(scene.lock), MPM_OK);
    CU_ASSERT_EQUAL(mpm_lock_destroy(scene.lock), MPM_OK);
    expect_end(daemon, -SIGKILL);
    let_go(helpers, count, dead);
    await_loss();
    CU_ASSERT(child > 0 && ends_soon(child));
    CU_ASSERT_EQUAL(waitpid(own_child, NULL, WNOHANG), 0);
    kill(own_child, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(own_child, NULL, 0), own_child);
}

static int do_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return 0;
}

/* Where there still is a fork server, processes are started by that. */
static void start_everywhere(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.place = MPM_ON_NODE(node)};
        mpm_process process;
        int status = mpm_process_start(do_nothing, NULL, 0, &options, &process);

        CU_ASSERT_EQUAL(status, forkservers_on(node) ? MPM_OK : MPM_EFORKSERVER);
        if (!status)
            expect_end(process, 0);
    }
    for (unsigned i = 0; forkserver_count && i < 2 * mpm_node_count(); i++) {
        mpm_process process = {{0}};

        CU_ASSERT_EQUAL_FATAL(mpm_process_start(do_nothing, NULL, 0, NULL, &process), MPM_OK);
        expect_end(process, 0);
    }
    everywhere_assert();
}

static void processes_end_with_their_forkserver_and_others_are_started_elsewhere(void)
{
    while (forkserver_count > 1) {
        kill_with_a_process();
        start_everywhere();
    }
}

static void without_any_forkserver_calls_fail_and_none_hangs(void)
{
    mpm_process process;
    mpm_pool *pool, *other;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &other), MPM_OK);
    kill_in_a_map();
    CU_ASSERT_EQUAL(forkserver_count, 0);
    expect_no_workers(other);
    mpm_pool_close(other);
    start_everywhere();
    CU_ASSERT_EQUAL(mpm_process_start(do_nothing, NULL, 0, NULL, &process), MPM_EFORKSERVER);
    CU_ASSERT_EQUAL(mpm_pool_open(NULL, &pool), MPM_EWORKER);
    CU_ASSERT_EQUAL(mpm_queue_put(scene.gate, "x", 1, 0), MPM_OK);
    CU_ASSERT_EQUAL(mpm_queue_destroy(scene.gate), MPM_OK);
    CU_ASSERT_EQUAL(mpm_queue_destroy(scene.told), MPM_OK);
    CU_ASSERT_EQUAL(arena_check(context_arena()), 0);
}

static void the_end_says_that_forkservers_were_lost(void)
{
    CU_ASSERT_EQUAL(mpm_finalize(), MPM_EFORKSERVER);
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "the fork server process of rank 0 on "));
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "was killed by SIGKILL"));
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_map_goes_on_when_a_forkserver_dies_in_it", a_map_goes_on_when_a_forkserver_dies_in_it},
        {"processes_end_with_their_forkserver_and_others_are_started_elsewhere",
         processes_end_with_their_forkserver_and_others_are_started_elsewhere},
        {"without_any_forkserver_calls_fail_and_none_hangs",
         without_any_forkserver_calls_fail_and_none_hangs},
        {"the_end_says_that_forkservers_were_lost", the_end_says_that_forkservers_were_lost},
    };

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    return suite_run("forkserver_loss", tests, sizeof tests / sizeof *tests);
}
