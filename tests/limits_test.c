/* SPDX-License-Identifier: BSD-3-Clause */
/* Time limits are the caller's: a node is stopped while calls on its objects, or calls of its processes, are under way.
 * Nobody looks at a clock: the node goes on only when all calls have returned. What was asked for, and came too late,
 * is then as if it had never been asked for. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "object/object.h"
#include "support/everywhere.h"
#include "support/gate.h"
#include "support/node.h"
#include "support/predicate.h"
#include "support/rank.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define FAR        (mpm_node_count() - 1)
#define PATIENCE_S 100.0
#define LONG_SIZE  ((size_t)9 << 20) /* of a message that crosses in pieces */

/* One of each kind, at one node. */
struct things {
    mpm_queue queue, bounded, batches, unfinished;
    mpm_lock lock, held;
    mpm_rlock rlock, held_rlock;
    mpm_semaphore semaphore, bounded_semaphore;
    mpm_condition condition;
    mpm_event set, never;
    mpm_barrier barrier, met;
    mpm_value value;
    mpm_array array;
    mpm_bytes bytes;
    mpm_connection near[4], far[4]; /* messages; room; a long message; room for one */
    mpm_process self;
};

/* What all processes see. */
struct shared {
    struct things things;
    _Atomic int rank_pid, is_made, goes, returned, may_end;
};

static struct shared *shared;
static char *long_message;

/* Making, in a process of the node. */

static void put_two(mpm_queue queue)
{
    EXPECT(!mpm_queue_put_many(queue, (int[]){1, 2}, sizeof(int), 2, 0, NULL));
}

static void make_pipe(struct things *things, unsigned which)
{
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &things->near[which], &things->far[which]));
}

static void mark_long_message(void)
{
    long_message[0] = 1;
    long_message[LONG_SIZE - 1] = 2;
}

/* What every verb asks for is to be had: only the time is short. */
static void make_ready(struct things *things)
{
    int one = 1, two = 2;

    EXPECT(!mpm_queue_create(NULL, &things->queue) && !mpm_queue_create(NULL, &things->batches));
    EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = 4}, &things->bounded));
    EXPECT(!mpm_queue_create(NULL, &things->unfinished));
    put_two(things->queue);
    put_two(things->batches);
    put_two(things->unfinished);
    EXPECT(!mpm_queue_put(things->bounded, &one, sizeof one, 0));
    EXPECT(!mpm_semaphore_create(2, &things->semaphore));
    EXPECT(!mpm_bounded_semaphore_create(2, &things->bounded_semaphore));
    EXPECT(!mpm_event_create(&things->set) && !mpm_event_set(things->set));
    EXPECT(!mpm_barrier_create(2, NULL, &things->barrier));
    for (unsigned i = 0; i < 4; i++)
        make_pipe(things, i);
    EXPECT(!mpm_connection_send(things->near[0], &one, sizeof one, 0));
    EXPECT(!mpm_connection_send(things->near[0], &two, sizeof two, 0));
    mark_long_message();
    EXPECT(!mpm_connection_send(things->near[2], long_message, LONG_SIZE, PATIENCE_S));
    EXPECT(!mpm_connection_send(things->near[2], &two, sizeof two, 0));
}

static void make_locks(struct things *things)
{
    EXPECT(!mpm_lock_create(&things->lock) && !mpm_lock_create(&things->held));
    EXPECT(!mpm_rlock_create(&things->rlock) && !mpm_rlock_create(&things->held_rlock));
    EXPECT(!mpm_condition_create(&things->condition));
    EXPECT(!mpm_event_create(&things->never));
    EXPECT(!mpm_barrier_create(2, NULL, &things->met));
    EXPECT(!mpm_value_create(MPM_I32, NULL, &things->value));
    EXPECT(!mpm_array_create(MPM_I32, 3, NULL, &things->array));
    EXPECT(!mpm_bytes_create(4, NULL, &things->bytes));
}

static int make_and_stay(const void *args, size_t size)
{
    (void)args;
    (void)size;
    make_ready(&shared->things);
    make_locks(&shared->things);
    EXPECT(!mpm_current_process(&shared->things.self));
    atomic_store(&shared->rank_pid, rank_of_caller());
    atomic_store(&shared->is_made, 1);
    EXPECT(gate_reached(&shared->may_end, 1));
    return everywhere_end();
}

/* The verbs: each is called in a process of its own. */

#define VERB(name, call)            \
    static int name(double limit_s) \
    {                               \
        return call;                \
    }

static int get(double limit_s)
{
    int message;

    return mpm_queue_get(shared->things.queue, limit_s, &message, sizeof message, NULL);
}

static int get_batch(double limit_s)
{
    int messages[2];
    size_t got;

    return mpm_queue_get_many(shared->things.batches, sizeof *messages, 2, limit_s, messages, &got);
}

static int put(double limit_s)
{
    int message = 7;

    return mpm_queue_put(shared->things.bounded, &message, sizeof message, limit_s);
}

VERB(join_queue, mpm_queue_join(shared->things.unfinished, limit_s))
VERB(acquire_lock, mpm_lock_acquire(shared->things.lock, limit_s))
VERB(acquire_rlock, mpm_rlock_acquire(shared->things.rlock, limit_s))
VERB(acquire_condition, mpm_condition_acquire(shared->things.condition, limit_s))
VERB(acquire_permit, mpm_semaphore_acquire(shared->things.semaphore, limit_s))
VERB(acquire_bounded, mpm_semaphore_acquire(shared->things.bounded_semaphore, limit_s))
VERB(wait_for_event, mpm_event_wait(shared->things.set, limit_s))
VERB(wait_at_barrier, mpm_barrier_wait(shared->things.barrier, limit_s, NULL))
VERB(lock_value, mpm_value_lock(shared->things.value, limit_s))
VERB(lock_array, mpm_array_lock(shared->things.array, limit_s))
VERB(lock_bytes, mpm_bytes_lock(shared->things.bytes, limit_s))

static int receive(double limit_s)
{
    int message;

    return mpm_connection_recv(shared->things.far[0], limit_s, &message, sizeof message, NULL);
}

/* 0 is what it says of nothing. */
static int poll_connection(double limit_s)
{
    int there = connection_poll(shared->things.far[0], limit_s);

    return there ? there : MPM_ETIMEDOUT;
}

VERB(send_short, mpm_connection_send(shared->things.far[1], "x", 1, limit_s))

static int receive_long(double limit_s)
{
    size_t size;

    return mpm_connection_recv(shared->things.far[2], limit_s, long_message, LONG_SIZE, &size);
}

VERB(send_long, mpm_connection_send(shared->things.far[3], long_message, LONG_SIZE, limit_s))
VERB(join_process, mpm_process_join(shared->things.self, limit_s))

static int wait_for_any(double limit_s)
{
    mpm_handle handles[] = {shared->things.set.handle, shared->things.queue.handle};
    size_t ready[2], count;

    return mpm_wait_any(handles, 2, limit_s, ready, &count);
}

struct verb {
    int (*call)(double limit_s);
    int late_status;
};

static const struct verb verbs[] = {
    {get, MPM_EEMPTY},
    {get_batch, MPM_EEMPTY},
    {put, MPM_EFULL},
    {join_queue, MPM_ETIMEDOUT},
    {acquire_lock, MPM_ETIMEDOUT},
    {acquire_rlock, MPM_ETIMEDOUT},
    {acquire_condition, MPM_ETIMEDOUT},
    {acquire_permit, MPM_ETIMEDOUT},
    {acquire_bounded, MPM_ETIMEDOUT},
    {wait_for_event, MPM_ETIMEDOUT},
    {wait_at_barrier, MPM_ETIMEDOUT},
    {lock_value, MPM_ETIMEDOUT},
    {lock_array, MPM_ETIMEDOUT},
    {lock_bytes, MPM_ETIMEDOUT},
    {receive, MPM_ETIMEDOUT},
    {poll_connection, MPM_ETIMEDOUT},
    {send_short, MPM_ETIMEDOUT},
    {receive_long, MPM_ETIMEDOUT},
    {send_long, MPM_ETIMEDOUT},
    {join_process, MPM_ETIMEDOUT},
    {wait_for_any, MPM_ETIMEDOUT},
};

#define VERBS (sizeof verbs / sizeof *verbs)

/* Of a call on something of a node that has not answered; `number` is that of the call. */
static void expect_late(int status, int late_status, unsigned node, size_t number)
{
    char name[32];

    snprintf(name, sizeof name, "node %u", node);
    EXPECT(status == late_status);
    EXPECT(strstr(mpm_error(), name));
    if (status != late_status)
        printf("call %zu returned %d\n", number, status);
}

/* A caller that has nothing more to ask for. */
static int stay_to_the_end(void)
{
    atomic_fetch_add(&shared->returned, 1);
    EXPECT(gate_reached(&shared->may_end, 1));
    return everywhere_end();
}

static void let_all_end(const mpm_process *callers, size_t count)
{
    atomic_store(&shared->may_end, 1);
    for (size_t i = 0; i < count; i++)
        expect_end(callers[i], 0);
}

/* With a limit, and without waiting at all. */
static int call_verb(const void *args, size_t size)
{
    static const double limits_s[] = {0.2, 0};
    const struct verb *verb = &verbs[*(const size_t *)args];

    (void)size;
    EXPECT(gate_reached(&shared->goes, 1));
    for (size_t i = 0; i < 2; i++)
        expect_late(verb->call(limits_s[i]), verb->late_status, FAR, (size_t)(verb - verbs));
    return stay_to_the_end();
}

/* After it. */

static void expect_two(mpm_queue queue)
{
    int message = 0;
    size_t size = 0;

    EXPECT(!mpm_queue_size(queue, &size) && size == 2);
    for (int i = 1; i <= 2; i++)
        EXPECT(!mpm_queue_get(queue, PATIENCE_S, &message, sizeof message, NULL) && message == i);
}

static void expect_permits(mpm_semaphore semaphore)
{
    unsigned permits = 0;

    EXPECT(!mpm_semaphore_value(semaphore, &permits) && permits == 2);
}

static void expect_messages(const struct things *things)
{
    size_t size = 0;
    int message = 0;

    expect_two(things->queue);
    expect_two(things->batches);
    EXPECT(!mpm_queue_size(things->bounded, &size) && size == 1);
    for (int i = 1; i <= 2; i++)
        EXPECT(!mpm_connection_recv(things->far[0], PATIENCE_S, &message, sizeof message, NULL) &&
               message == i);
    EXPECT(connection_poll(things->near[1], 0) == 0);
    memset(long_message, 0, LONG_SIZE);
    EXPECT(!mpm_connection_recv(things->far[2], PATIENCE_S, long_message, LONG_SIZE, &size));
    EXPECT(size == LONG_SIZE && long_message[0] == 1 && long_message[LONG_SIZE - 1] == 2);
    EXPECT(!mpm_connection_recv(things->far[2], PATIENCE_S, &message, sizeof message, NULL) && message == 2);
    EXPECT(connection_poll(things->near[3], 0) == 0);
}

static void expect_free_locks(const struct things *things)
{
    EXPECT(!mpm_lock_acquire(things->lock, 0) && !mpm_lock_release(things->lock));
    EXPECT(!mpm_rlock_acquire(things->rlock, 0) && !mpm_rlock_release(things->rlock));
    EXPECT(!mpm_condition_acquire(things->condition, 0) && !mpm_condition_release(things->condition));
    EXPECT(!mpm_value_lock(things->value, 0) && !mpm_value_unlock(things->value));
    EXPECT(!mpm_array_lock(things->array, 0) && !mpm_array_unlock(things->array));
    EXPECT(!mpm_bytes_lock(things->bytes, 0) && !mpm_bytes_unlock(things->bytes));
    expect_permits(things->semaphore);
    expect_permits(things->bounded_semaphore);
    EXPECT(barrier_is_broken(things->barrier) == 1);
}

static void begin_scene(void)
{
    memset(shared, 0, sizeof *shared);
    mark_long_message();
}

static void a_stopped_node_holds_up_nobody_beyond_its_limit(void)
{
    mpm_process maker, callers[VERBS];

    begin_scene();
    maker = start_on(FAR, make_and_stay, NULL, 0);
    EXPECT(gate_reached(&shared->is_made, 1));
    for (size_t i = 0; i < VERBS; i++)
        callers[i] = start_on(0, call_verb, &i, sizeof i);
    EXPECT(rank_stop(shared->rank_pid));
    atomic_store(&shared->goes, 1);
    EXPECT(gate_reached(&shared->returned, VERBS));
    rank_go_on(shared->rank_pid);
    expect_messages(&shared->things);
    expect_free_locks(&shared->things);
    let_all_end(callers, VERBS);
    expect_end(maker, 0);
    everywhere_assert();
}

/* The other way round: what is asked for waits at its home; then the caller's node is stopped, the home gives, and the
 * time is up before the answer can come. */

#define WAITING_S 10.0 /* until then all of them wait, and are given what they wait for */

struct late_things {
    mpm_queue queue, batches;
    mpm_lock lock, orphan;
    mpm_rlock rlock;
    mpm_semaphore semaphore;
    mpm_barrier barrier;
    mpm_connection near[2], far[2]; /* a short message; a long one */
};

#define WAIT(name, call)                              \
    static int name(const struct late_things *things) \
    {                                                 \
        return call;                                  \
    }

static int wait_for_message(const struct late_things *things)
{
    int message;

    return mpm_queue_get(things->queue, WAITING_S, &message, sizeof message, NULL);
}

static int wait_for_batch(const struct late_things *things)
{
    int messages[2];
    size_t got;

    return mpm_queue_get_many(things->batches, sizeof *messages, 2, WAITING_S, messages, &got);
}

WAIT(wait_for_lock, mpm_lock_acquire(things->lock, WAITING_S))
WAIT(wait_for_orphan, mpm_lock_acquire(things->orphan, WAITING_S))
WAIT(wait_for_rlock, mpm_rlock_acquire(things->rlock, WAITING_S))
WAIT(wait_for_permit, mpm_semaphore_acquire(things->semaphore, WAITING_S))
WAIT(wait_for_thread_ref, mpm_barrier_wait(things->barrier, WAITING_S, NULL))

static int wait_to_receive(const struct late_things *things)
{
    int message;

    return mpm_connection_recv(things->far[0], WAITING_S, &message, sizeof message, NULL);
}

WAIT(wait_to_receive_long, mpm_connection_recv(things->far[1], WAITING_S, long_message, LONG_SIZE, NULL))

struct wait {
    int (*call)(const struct late_things *things);
    int late_status;
};

static const struct wait waits[] = {
    {wait_for_message, MPM_EEMPTY},        {wait_for_batch, MPM_EEMPTY},
    {wait_for_lock, MPM_ETIMEDOUT},        {wait_for_orphan, MPM_ETIMEDOUT},
    {wait_for_rlock, MPM_ETIMEDOUT},       {wait_for_permit, MPM_ETIMEDOUT},
    {wait_for_thread_ref, MPM_ETIMEDOUT},  {wait_to_receive, MPM_ETIMEDOUT},
    {wait_to_receive_long, MPM_ETIMEDOUT},
};

#define WAITS (sizeof waits / sizeof *waits)

struct late_args {
    struct late_things things;
    size_t wait;
};

static int call_wait(const void *args, size_t size)
{
    const struct late_args *late = args;
    const struct wait *wait = &waits[late->wait];

    (void)size;
    atomic_store(&shared->rank_pid, rank_of_caller());
    atomic_fetch_add(&shared->is_made, 1);
    EXPECT(gate_reached(&shared->goes, 1));
    expect_late(wait->call(&late->things), wait->late_status, 0, late->wait);
    return stay_to_the_end();
}

static int die_with_lock(const void *args, size_t size)
{
    const struct late_things *things = args;

    (void)size;
    EXPECT(!mpm_lock_acquire(things->orphan, 0));
    atomic_fetch_add(&shared->is_made, 1);
    EXPECT(gate_reached(&shared->goes, 2));
    raise(SIGKILL);
    return 1;
}

static void make_late(struct late_things *things)
{
    EXPECT(!mpm_queue_create(NULL, &things->queue) && !mpm_queue_create(NULL, &things->batches));
    EXPECT(!mpm_lock_create(&things->lock) && !mpm_lock_acquire(things->lock, 0));
    EXPECT(!mpm_rlock_create(&things->rlock) && !mpm_rlock_acquire(things->rlock, 0));
    EXPECT(!mpm_lock_create(&things->orphan));
    EXPECT(!mpm_semaphore_create(0, &things->semaphore));
    EXPECT(!mpm_barrier_create(2, NULL, &things->barrier));
    for (unsigned i = 0; i < 2; i++)
        EXPECT(!mpm_pipe_create(MPM_DUPLEX, &things->near[i], &things->far[i]));
}

static void await_all(const struct late_things *things)
{
    const mpm_handle *handles[] = {
        &things->queue.handle,   &things->batches.handle, &things->lock.handle,
        &things->orphan.handle,  &things->rlock.handle,   &things->semaphore.handle,
        &things->barrier.handle, &things->far[0].handle,  &things->far[1].handle};

    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        await_sleepers(handles[i]);
}

/* Returns when the home has done what the calls asked for. */
static void give_all(const struct late_things *things, mpm_process holder)
{
    int two = 2;
    unsigned permits = 1;
    size_t size = 1;

    put_two(things->queue);
    put_two(things->batches);
    EXPECT(!mpm_lock_release(things->lock) && !mpm_rlock_release(things->rlock));
    EXPECT(!mpm_semaphore_release(things->semaphore));
    EXPECT(!mpm_barrier_wait(things->barrier, PATIENCE_S, NULL));
    EXPECT(!mpm_connection_send(things->near[0], &(int){1}, sizeof(int), 0));
    EXPECT(!mpm_connection_send(things->near[0], &two, sizeof two, 0));
    EXPECT(!mpm_connection_send(things->near[1], long_message, LONG_SIZE, PATIENCE_S));
    EXPECT(!mpm_connection_send(things->near[1], &two, sizeof two, 0));
    atomic_store(&shared->goes, 2);
    EXPECT(!mpm_process_join(holder, PATIENCE_S));
    while (permits || size) {
        EXPECT(!mpm_semaphore_value(things->semaphore, &permits) && !mpm_queue_size(things->batches, &size));
        sched_yield();
    }
}

/* Asked for by the process of the calls' node: what it asks for comes behind what it has taken back. */
static int expect_given_back(const void *args, size_t size)
{
    const struct late_things *things = args;
    int message = 0;
    size_t length = 0;

    (void)size;
    expect_two(things->queue);
    expect_two(things->batches);
    EXPECT(!mpm_lock_acquire(things->lock, 0) && !mpm_rlock_acquire(things->rlock, 0));
    EXPECT(mpm_lock_acquire(things->orphan, 0) == MPM_EOWNERDIED);
    EXPECT(!mpm_semaphore_acquire(things->semaphore, 0));
    EXPECT(barrier_is_broken(things->barrier) == 1);
    for (int i = 1; i <= 2; i++)
        EXPECT(!mpm_connection_recv(things->far[0], 0, &message, sizeof message, NULL) && message == i);
    memset(long_message, 0, LONG_SIZE);
    EXPECT(!mpm_connection_recv(things->far[1], PATIENCE_S, long_message, LONG_SIZE, &length));
    EXPECT(length == LONG_SIZE && long_message[0] == 1 && long_message[LONG_SIZE - 1] == 2);
    EXPECT(!mpm_connection_recv(things->far[1], 0, &message, sizeof message, NULL) && message == 2);
    return everywhere_end();
}

static void what_is_given_too_late_is_given_back(void)
{
    struct late_args args = {.wait = 0};
    mpm_process holder, callers[WAITS];

    begin_scene();
    make_late(&args.things);
    holder = start_on(0, die_with_lock, &args.things, sizeof args.things);
    EXPECT(gate_reached(&shared->is_made, 1));
    for (args.wait = 0; args.wait < WAITS; args.wait++)
        callers[args.wait] = start_on(FAR, call_wait, &args, sizeof args);
    EXPECT(gate_reached(&shared->is_made, 1 + WAITS));
    atomic_store(&shared->goes, 1);
    await_all(&args.things);
    EXPECT(rank_stop(shared->rank_pid));
    give_all(&args.things, holder);
    EXPECT(gate_reached(&shared->returned, WAITS));
    rank_go_on(shared->rank_pid);
    expect_end(start_on(FAR, expect_given_back, &args.things, sizeof args.things), 0);
    let_all_end(callers, WAITS);
    everywhere_assert();
}

/* The bytes of a long call leave out of a block of the arena. If the caller is killed meanwhile its call is cancelled, but
 * the block is nobody else's until they have left: another caller would write into what is on its way. */

static int make_queue_and_stay(const void *args, size_t size)
{
    (void)args, (void)size;
    EXPECT(!mpm_queue_create(NULL, &shared->things.queue) && !mpm_event_create(&shared->things.set));
    atomic_store(&shared->rank_pid, rank_of_caller());
    atomic_store(&shared->is_made, 1);
    EXPECT(gate_reached(&shared->may_end, 1));
    return everywhere_end();
}

static int put_long(const void *args, size_t size)
{
    (void)args, (void)size;
    (void)!mpm_queue_put(shared->things.queue, long_message, LONG_SIZE, MPM_FOREVER);
    return 1; /* it is killed in there */
}

/* A call that is late: the courier has taken before it what was there to be taken. */
static void pass_courier(void)
{
    expect_late(mpm_event_wait(shared->things.set, 0), MPM_ETIMEDOUT, FAR, 0);
}

/* Returns when it waits for the reply, and its call is with the courier. */
static void await_leaving(mpm_process process, size_t used)
{
    uint64_t until_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    int pid = 0;

    EXPECT(!mpm_process_pid(process, &pid));
    while ((node_bytes_in_use() < used || !process_sleeps(pid)) && clock_now_ns() < until_ns)
        sched_yield();
    pass_courier();
}

static void what_leaves_keeps_its_memory_though_who_sends_it_is_killed(void)
{
    mpm_process maker, sender;
    size_t used;

    begin_scene();
    maker = start_on(FAR, make_queue_and_stay, NULL, 0);
    EXPECT(gate_reached(&shared->is_made, 1));
    EXPECT(rank_stop(shared->rank_pid));
    used = node_bytes_in_use() + LONG_SIZE / 2;
    sender = start_on(0, put_long, NULL, 0);
    await_leaving(sender, used);
    EXPECT(!mpm_process_kill(sender));
    expect_end(sender, -SIGKILL);
    pass_courier();
    EXPECT(node_bytes_in_use() >= used);
    rank_go_on(shared->rank_pid);
    let_all_end(&maker, 1);
    EXPECT(node_bytes_fall_below(used));
    everywhere_assert();
}

#define TEST(name)  \
    {               \
#name, name \
    }

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        TEST(a_stopped_node_holds_up_nobody_beyond_its_limit),
        TEST(what_is_given_too_late_is_given_back),
        TEST(what_leaves_keeps_its_memory_though_who_sends_it_is_killed),
    };
    int status;

    shared = shared_file("limits", sizeof *shared);
    if (!(long_message = calloc(1, LONG_SIZE)))
        return EXIT_FAILURE;
    setenv("MPMAP_NODE_TIMEOUT", "100", 0); /* one is stopped for longer than the calls wait */
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (mpm_node_count() < 2) {
        puts("time limits are at stake at other nodes: there are none in a run of one node");
        return mpm_finalize();
    }
    status = suite_run("limits", tests, sizeof tests / sizeof *tests);
    free(long_message);
    return mpm_finalize() ? mpm_report_error() : status;
}
