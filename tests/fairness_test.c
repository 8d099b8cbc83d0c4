/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns at a queue, or a pipe (object/fairness.h): getters and putters of other nodes are served although processes of
 * its node are faster.
 *
 * Some tests hold the courier of main's node up while a call of another node waits there: so many messages go
 * past that call, and whoever comes then must be asleep before the courier may do anything. The others let
 * processes of both nodes run as they like, and count messages until one of them is served. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <mpmap.h>

#include "base/clock.h"
#include "net/courier.h"
#include "node/context.h"
#include "object/call.h"
#include "object/fairness.h"
#include "object/method.h"
#include "support/everywhere.h"
#include "support/predicate.h"
#include "support/suite.h"
#include "sync/kinds.h"
#include "sync/pipe.h"

#define PATIENCE_S  100.0
#define PATIENCE_NS UINT64_C(100000000000)
#define SLOWNESS_NS 200000
#define LOCALS      2u
#define ROUNDS      20u
#define AT_ONCE     40u     /* messages of a batch: twice as many are too many */
#define ENOUGH      100000u /* messages after which a test gives up */

enum { GETTING, PUTTING };
enum { LOCAL, FAR, FAR_TOO, ONES }; /* who is served, and the messages that they put */

struct things {
    uint64_t is_pipe; /* 1: the messages go through it */
    mpm_connection from, to;
    mpm_queue queue;
    mpm_queue go;      /* a message here lets the local one begin */
    mpm_queue results; /* of each one */
    mpm_lock lock;     /* at which the courier may be stopped */
    uint64_t one;      /* whose these are */
    uint64_t room;     /* that a getter has */
};

struct result {
    uint64_t one, number;
    int64_t status;
    uint64_t rings; /* of the word that a local one sleeps on, when it was served */
};

static struct things make_things(size_t maxsize)
{
    struct things things = {.room = sizeof(uint64_t)};

    EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = maxsize}, &things.queue) &&
           !mpm_queue_create(NULL, &things.go) && !mpm_queue_create(NULL, &things.results));
    return things;
}

static struct things make_things_with_pipe(void)
{
    struct things things = make_things(0);

    things.is_pipe = 1;
    EXPECT(!mpm_pipe_create(MPM_ONEWAY, &things.to, &things.from));
    return things;
}

/* `queue` may be destroyed already. */
static void end_things(const struct things *things)
{
    int status = mpm_queue_destroy(things->queue);

    EXPECT(!status || status == MPM_ESTALE);
    EXPECT(!things->is_pipe || (!mpm_connection_close(things->from) && !mpm_connection_close(things->to)));
    EXPECT(!mpm_queue_destroy(things->go) && !mpm_queue_destroy(things->results));
    everywhere_assert();
}

static int put(const struct things *things, uint64_t number, double timeout_s)
{
    return things->is_pipe ? mpm_connection_send(things->from, &number, sizeof number, timeout_s)
                           : mpm_queue_put(things->queue, &number, sizeof number, timeout_s);
}

static int get_into(const struct things *things, uint64_t *number, double timeout_s)
{
    return things->is_pipe ? mpm_connection_recv(things->to, timeout_s, number, things->room, NULL)
                           : mpm_queue_get(things->queue, timeout_s, number, things->room, NULL);
}

/* The number of the next message, or UINT64_MAX. */
static uint64_t get(const struct things *things, double timeout_s)
{
    uint64_t number;

    return get_into(things, &number, timeout_s) ? UINT64_MAX : number;
}

/* At home. */
static struct object *object_of(const struct things *things)
{
    mpm_handle handle = things->is_pipe ? things->from.handle : things->queue.handle;
    struct object *object = NULL;

    handle.place = object_place(&handle);
    EXPECT(!object_find(&handle, (enum object_kind)handle.kind, &object));
    return object;
}

/* How many calls wait at a side, and how many messages have gone past them. */
static uint64_t turn_of(const struct things *things, unsigned side)
{
    unsigned number = !things->is_pipe ? side : side == GETTING ? pipe_side(0, false) : pipe_side(1, true);

    return atomic_load(&object_of(things)->turn[number]);
}

/* What a local one sleeps on: in this test, the numbers are those of a queue's waits and of a pipe's ends. */
static struct eventcount *word_of(const struct things *things, unsigned side)
{
    return &object_of(things)->wait[side].word;
}

/* Those who are served. */

static int get_one(const void *args, size_t size)
{
    const struct things *things = args;
    struct result result = {.one = things->one};

    (void)size;
    if (things->one == LOCAL)
        EXPECT(!mpm_queue_get(things->go, PATIENCE_S, NULL, 0, NULL));
    result.status = get_into(things, &result.number, PATIENCE_S);
    if (things->one == LOCAL && !result.status)
        result.rings = eventcount_prepare(word_of(things, GETTING));
    EXPECT(!mpm_queue_put(things->results, &result, sizeof result, 0));
    return everywhere_end();
}

static int put_one(const void *args, size_t size)
{
    const struct things *things = args;
    struct result result = {.one = things->one, .number = things->one};

    (void)size;
    if (things->one == LOCAL)
        EXPECT(!mpm_queue_get(things->go, PATIENCE_S, NULL, 0, NULL));
    result.status = put(things, result.number, PATIENCE_S);
    if (things->one == LOCAL)
        result.rings = eventcount_prepare(word_of(things, PUTTING));
    EXPECT(!mpm_queue_put(things->results, &result, sizeof result, 0));
    return everywhere_end();
}

static int wait_in_vain(const void *args, size_t size)
{
    const struct things *things = args;
    size_t ready[1], count;

    (void)size;
    EXPECT(mpm_wait_any(&things->lock.handle, 1, MPM_FOREVER, ready, &count) == MPM_ESTALE);
    return everywhere_end();
}

/* The home's courier is stopped by the first call, when the second one is under way. */
static int begin_to_wait_and_get(const void *args, size_t size)
{
    const struct things *things = args;
    mpm_handle home = call_node(0);
    struct invocation invocation = {.method = method_of((uint32_t)OBJECT_NODE << 8 | NODE_WAIT_ANY),
                                    .tail = &things->lock.handle,
                                    .tail_size = sizeof(mpm_handle)};
    struct call call;

    EXPECT(!mpm_queue_get(things->go, PATIENCE_S, NULL, 0, NULL));
    EXPECT(!call_begin(&home, &invocation, MPM_FOREVER, &call));
    get_one(args, size);
    call_abandon(&call);
    return everywhere_end();
}

static mpm_process start(struct things things, unsigned side, unsigned node, unsigned one)
{
    things.one = one;
    return start_on(node, side == GETTING ? get_one : put_one, &things, sizeof things);
}

/* Takes so many results. */
static void take_results(const struct things *things, unsigned count, struct result result[ONES])
{
    struct result taken = {0};

    for (unsigned i = 0; i < count; i++) {
        EXPECT(!mpm_queue_get(things->results, PATIENCE_S, &taken, sizeof taken, NULL));
        result[taken.one] = taken;
    }
}

/* The courier of main's node. */

enum place { NOWHERE, BETWEEN_CALLS, IN_A_CALL };

static _Atomic enum place stop_at, stopped_at;
static _Atomic bool is_slow;

static void stop_here(enum place place)
{
    while (atomic_load(&stop_at) == place) {
        atomic_store(&stopped_at, place);
        sched_yield();
    }
    atomic_store(&stopped_at, NOWHERE);
}

static bool stop_between_calls(void)
{
    stop_here(BETWEEN_CALLS);
    if (atomic_load(&is_slow))
        nanosleep(&(struct timespec){.tv_nsec = SLOWNESS_NS}, NULL);
    return false;
}

/* A lock is nothing to wait for, but for these tests: it never becomes ready. */
static int stop_in_a_call(const mpm_handle *handle)
{
    struct object *lock;
    int status = object_find(handle, OBJECT_LOCK, &lock);

    stop_here(IN_A_CALL);
    return status ? status : CALL_MUST_WAIT;
}

/* The run begins with this in every leader, before its courier starts: the linker has it call these in its place. */
void __real_courier_forget(void);
void __wrap_courier_forget(void);

void __wrap_courier_forget(void)
{
    __real_courier_forget();
    courier_add_work(stop_between_calls);
}

static __attribute__((constructor)) void have_locks_waited_for(void)
{
    static struct kind lock;
    static const struct kind *const kinds[] = {&lock};

    lock = lock_kind;
    lock.looks = stop_in_a_call;
    kind_register(kinds, 1);
}

static void stop_courier(enum place place)
{
    atomic_store(&stop_at, place);
    eventcount_notify(context_doorbell());
    while (atomic_load(&stopped_at) != place)
        sched_yield();
}

/* Until so many calls of other nodes wait at a side. */
static void await_waiting(const struct things *things, unsigned side, uint64_t count)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (turn_of(things, side) / FAIRNESS_ONE_WAITING != count && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(turn_of(things, side) / FAIRNESS_ONE_WAITING == count);
}

/* Lets the local one begin: it falls asleep, and is not served. */
static void expect_to_stand_back(const struct things *things, unsigned side)
{
    struct eventcount *word = word_of(things, side);
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    EXPECT(!mpm_queue_put(things->go, NULL, 0, 0));
    while (!atomic_load(&word->sleepers) && queue_is_empty(things->results) == 1 && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(atomic_load(&word->sleepers) == 1 && queue_is_empty(things->results) == 1);
}

/* A local one that is to come later, and a far one that waits at a side; the courier is held up. */
static void begin(const struct things *things, unsigned side, unsigned node, mpm_process process[2])
{
    process[LOCAL] = start(*things, side, 0, LOCAL);
    process[FAR] = start(*things, side, node, FAR);
    await_waiting(things, side, 1);
    stop_courier(BETWEEN_CALLS);
}

/* The courier may go on; what both have come to. */
static void go_on(const struct things *things, const mpm_process process[2], struct result result[ONES])
{
    stop_courier(NOWHERE);
    take_results(things, 2, result);
    for (unsigned i = 0; i < 2; i++)
        expect_end(process[i], 0);
}

/* The same, with a local one that stands back at a side until it is woken: it does not just look now and then. */
static void go_on_and_wake(const struct things *things, unsigned side, const mpm_process process[2],
                           struct result result[ONES])
{
    uint32_t rings;

    expect_to_stand_back(things, side);
    rings = eventcount_prepare(word_of(things, side));
    go_on(things, process, result);
    EXPECT(result[LOCAL].rings != rings);
}

/* So many messages go past whoever waits: for a message, or for room in a queue that is full. */
static void bypass(const struct things *things, unsigned side, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (side == GETTING)
            EXPECT(!put(things, i, PATIENCE_S));
        EXPECT(get(things, PATIENCE_S) == (side == GETTING ? i : LOCAL));
        if (side == PUTTING)
            EXPECT(!put(things, LOCAL, PATIENCE_S));
    }
}

/* A turn was had: only one that has come since may be counted. */
static void expect_new_count(const struct things *things, unsigned side)
{
    await_waiting(things, side, 0);
    EXPECT(turn_of(things, side) <= 1);
}

/* The next message is the far one's, the one behind it the local one's. */
static void expect_turn_to_get(const struct things *things, const mpm_process process[2])
{
    struct result result[ONES] = {{0}};

    EXPECT(!put(things, 1000, 0) && !put(things, 1001, 0));
    go_on_and_wake(things, GETTING, process, result);
    EXPECT(!result[FAR].status && result[FAR].number == 1000);
    EXPECT(!result[LOCAL].status && result[LOCAL].number == 1001);
    expect_new_count(things, GETTING);
}

/* Puts until there is no more room; how many messages there are then. */
static unsigned fill(const struct things *things)
{
    unsigned count = 0;

    while (!put(things, LOCAL, 0))
        count++;
    EXPECT(count >= 2);
    return count;
}

/* The same of the room for two, behind all that there are. */
static void expect_turn_to_put(const struct things *things, unsigned messages, const mpm_process process[2])
{
    struct result result[ONES] = {{0}};

    EXPECT(get(things, 0) == LOCAL && get(things, 0) == LOCAL);
    go_on_and_wake(things, PUTTING, process, result);
    EXPECT(!result[FAR].status && !result[LOCAL].status);
    for (unsigned i = 2; i < messages; i++)
        EXPECT(get(things, 0) == LOCAL);
    EXPECT(get(things, 0) == FAR && get(things, 0) == LOCAL);
    expect_new_count(things, PUTTING);
}

static void get_past(struct things things, unsigned node)
{
    mpm_process process[2];

    begin(&things, GETTING, node, process);
    bypass(&things, GETTING, FAIRNESS_BYPASSES);
    expect_turn_to_get(&things, process);
    end_things(&things);
}

static void put_past(struct things things, unsigned node)
{
    unsigned messages = fill(&things);
    mpm_process process[2];

    begin(&things, PUTTING, node, process);
    bypass(&things, PUTTING, FAIRNESS_BYPASSES);
    expect_turn_to_put(&things, messages, process);
    end_things(&things);
}

static void a_getter_has_its_turn_after_64_messages(void)
{
    for (unsigned node = 1; node < mpm_node_count(); node++)
        get_past(make_things(0), node);
}

static void a_putter_has_its_turn_after_64_messages(void)
{
    for (unsigned node = 1; node < mpm_node_count(); node++)
        put_past(make_things(2), node);
}

static void a_receiver_has_its_turn_after_64_messages(void)
{
    for (unsigned node = 1; node < mpm_node_count(); node++)
        get_past(make_things_with_pipe(), node);
}

static void a_sender_has_its_turn_after_64_messages(void)
{
    for (unsigned node = 1; node < mpm_node_count(); node++)
        put_past(make_things_with_pipe(), node);
}

static void batches_count_as_their_messages(void)
{
    struct things things = make_things(0);
    uint64_t numbers[AT_ONCE] = {0};
    mpm_process process[2];
    size_t got = 0;

    begin(&things, GETTING, 1, process);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(!mpm_queue_put_many(things.queue, numbers, sizeof *numbers, AT_ONCE, 0, NULL));
        EXPECT(!mpm_queue_get_many(things.queue, sizeof *numbers, AT_ONCE, PATIENCE_S, numbers, &got));
        EXPECT(got == AT_ONCE);
    }
    expect_turn_to_get(&things, process);
    end_things(&things);
}

static const double short_s[] = {0, 0.001};

/* They are not told that there is nothing. */
static void get_past_in_no_time(struct things things)
{
    mpm_process process[2];

    begin(&things, GETTING, 1, process);
    bypass(&things, GETTING, FAIRNESS_BYPASSES);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(!put(&things, i, 0) && get(&things, short_s[i]) == i);
        EXPECT(get_into(&things, &(uint64_t){0}, short_s[i]) ==
               (things.is_pipe ? MPM_ETIMEDOUT : MPM_EEMPTY));
    }
    expect_turn_to_get(&things, process);
    end_things(&things);
}

static void put_past_in_no_time(struct things things)
{
    unsigned messages = fill(&things);
    mpm_process process[2];

    begin(&things, PUTTING, 1, process);
    bypass(&things, PUTTING, FAIRNESS_BYPASSES);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(get(&things, 0) == LOCAL && !put(&things, LOCAL, short_s[i]));
        EXPECT(put(&things, LOCAL, short_s[i]) == (things.is_pipe ? MPM_ETIMEDOUT : MPM_EFULL));
    }
    expect_turn_to_put(&things, messages, process);
    end_things(&things);
}

static void a_getter_that_may_wait_no_longer_gets_what_there_is(void)
{
    get_past_in_no_time(make_things(0));
    get_past_in_no_time(make_things_with_pipe());
}

static void a_putter_that_may_wait_no_longer_puts_where_room_is(void)
{
    put_past_in_no_time(make_things(2));
    put_past_in_no_time(make_things_with_pipe());
}

/* The far one has too little room for the message. */
static void a_turn_that_comes_to_nothing_ends(void)
{
    struct things things = make_things(0);
    struct result result[ONES] = {{0}};
    mpm_process process[2];

    process[LOCAL] = start(things, GETTING, 0, LOCAL);
    things.room = 1;
    process[FAR] = start(things, GETTING, 1, FAR);
    things.room = sizeof(uint64_t);
    await_waiting(&things, GETTING, 1);
    stop_courier(BETWEEN_CALLS);
    bypass(&things, GETTING, FAIRNESS_BYPASSES);
    EXPECT(!put(&things, 1000, 0));
    go_on_and_wake(&things, GETTING, process, result);
    EXPECT(result[FAR].status == MPM_ETOOSMALL && !result[LOCAL].status && result[LOCAL].number == 1000);
    end_things(&things);
}

static void a_closed_queue_is_drained_in_turn(void)
{
    struct things things = make_things(0);
    struct result result[ONES] = {{0}};
    mpm_process process[2];

    begin(&things, GETTING, 1, process);
    bypass(&things, GETTING, FAIRNESS_BYPASSES);
    EXPECT(!put(&things, 1000, 0) && !mpm_queue_close(things.queue));
    go_on_and_wake(&things, GETTING, process, result);
    EXPECT(!result[FAR].status && result[FAR].number == 1000 && result[LOCAL].status == MPM_ECLOSED);
    end_things(&things);
}

static void destroying_wakes_who_stands_back(void)
{
    struct things things = make_things(0);
    struct result result[ONES] = {{0}};
    mpm_process process[2];

    begin(&things, GETTING, 1, process);
    bypass(&things, GETTING, FAIRNESS_BYPASSES);
    EXPECT(!put(&things, 1000, 0));
    expect_to_stand_back(&things, GETTING);
    EXPECT(!mpm_queue_destroy(things.queue));
    take_results(&things, 1, result);
    EXPECT(result[LOCAL].status == MPM_ESTALE);
    EXPECT(!mpm_queue_put(things.results, &result[LOCAL], sizeof result[LOCAL], 0));
    go_on(&things, process, result);
    EXPECT(result[FAR].status == MPM_ESTALE);
    end_things(&things);
}

static void expect_order(const struct things *things, const mpm_process process[2])
{
    struct result result[ONES] = {{0}};

    EXPECT(!put(things, 1000, 0) && !put(things, 1001, 0));
    go_on(things, process, result);
    EXPECT(!result[FAR].status && result[FAR].number == 1000);
    EXPECT(!result[FAR_TOO].status && result[FAR_TOO].number == 1001);
}

/* A message comes when the first one was tried, and the second one was not. */
static void calls_of_other_nodes_are_done_in_their_order(void)
{
    struct things things = make_things(0);
    mpm_process process[2], between;

    EXPECT(!mpm_lock_create(&things.lock));
    process[0] = start(things, GETTING, mpm_node_count() - 1, FAR);
    await_waiting(&things, GETTING, 1);
    between = start_on(1, wait_in_vain, &things, sizeof things);
    await_sleepers(&things.lock.handle);
    process[1] = start(things, GETTING, 1, FAR_TOO);
    await_waiting(&things, GETTING, 2);
    stop_courier(IN_A_CALL);
    expect_order(&things, process);
    EXPECT(!mpm_lock_destroy(things.lock));
    expect_end(between, 0);
    end_things(&things);
}

/* A message comes when another one waits for it already. */
static void a_call_that_comes_does_not_go_past_one_that_waits(void)
{
    struct things things = make_things(0);
    mpm_process process[2];

    EXPECT(!mpm_lock_create(&things.lock));
    process[0] = start(things, GETTING, mpm_node_count() - 1, FAR);
    await_waiting(&things, GETTING, 1);
    things.one = FAR_TOO;
    process[1] = start_on(1, begin_to_wait_and_get, &things, sizeof things);
    EXPECT(!mpm_queue_put(things.go, NULL, 0, 0));
    stop_courier(IN_A_CALL);
    expect_order(&things, process);
    EXPECT(!mpm_lock_destroy(things.lock));
    end_things(&things);
}

/* Tests with processes that keep coming, faster than the courier. */

static int keep_getting(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    while (!mpm_queue_get(things->queue, MPM_FOREVER, &(uint64_t){0}, sizeof(uint64_t), NULL))
        ;
    return everywhere_end();
}

static int keep_putting(const void *args, size_t size)
{
    const struct things *things = args;

    (void)size;
    while (!put(things, LOCAL, MPM_FOREVER))
        ;
    return everywhere_end();
}

static void start_locals(mpm_target *target, const struct things *things, mpm_process locals[LOCALS])
{
    atomic_store(&is_slow, true);
    for (unsigned i = 0; i < LOCALS; i++)
        locals[i] = start_on(0, target, things, sizeof *things);
}

static void end_locals(const struct things *things, const mpm_process locals[LOCALS])
{
    atomic_store(&is_slow, false);
    EXPECT(!mpm_queue_close(things->queue));
    for (unsigned i = 0; i < LOCALS; i++)
        expect_end(locals[i], 0);
}

/* Puts a message, and waits until somebody has got it. */
static void put_through(const struct things *things, uint64_t number)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    EXPECT(!put(things, number, PATIENCE_S));
    while (queue_is_empty(things->queue) == 0 && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(queue_is_empty(things->queue) == 1);
}

/* Each message is put when the one before was got, so all wait for it together. */
static void a_getter_is_served_although_others_keep_coming(void)
{
    struct things things = make_things(0);
    mpm_process locals[LOCALS];

    start_locals(keep_getting, &things, locals);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_process far = start(things, GETTING, mpm_node_count() - 1, FAR);
        struct result result[ONES] = {{0}};

        await_waiting(&things, GETTING, 1);
        for (uint64_t number = 1; number < ENOUGH && queue_is_empty(things.results) == 1; number++)
            put_through(&things, number);
        take_results(&things, 1, result);
        EXPECT(!result[FAR].status && result[FAR].number <= FAIRNESS_BYPASSES + 1);
        expect_end(far, 0);
    }
    end_locals(&things, locals);
    end_things(&things);
}

static void await_full(const struct things *things)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (queue_is_full(things->queue) == 0 && clock_now_ns() < end_ns)
        sched_yield();
    EXPECT(queue_is_full(things->queue) == 1);
}

/* Room is made when there is none, so all wait for it together. */
static void a_putter_is_served_although_others_keep_coming(void)
{
    struct things things = make_things(1);
    mpm_process locals[LOCALS];

    start_locals(keep_putting, &things, locals);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct result result[ONES] = {{0}};
        unsigned bypasses = 0;
        mpm_process far;

        await_full(&things);
        far = start(things, PUTTING, mpm_node_count() - 1, FAR);
        await_waiting(&things, PUTTING, 1);
        EXPECT(get(&things, PATIENCE_S) == LOCAL); /* it was there before */
        for (await_full(&things); get(&things, PATIENCE_S) != FAR && bypasses < ENOUGH; await_full(&things))
            bypasses++;
        EXPECT(bypasses <= FAIRNESS_BYPASSES);
        take_results(&things, 1, result);
        expect_end(far, 0);
    }
    end_locals(&things, locals);
    end_things(&things);
}

static void nobody_stands_back_for_one_that_has_died(void)
{
    struct things things = make_things(0);
    mpm_process locals[LOCALS];

    start_locals(keep_getting, &things, locals);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mpm_process far = start(things, GETTING, mpm_node_count() - 1, FAR);

        await_waiting(&things, GETTING, 1);
        EXPECT(!mpm_process_kill(far));
        for (uint64_t number = 1; number < 3 * FAIRNESS_BYPASSES; number++)
            put_through(&things, number);
        EXPECT(!mpm_process_join(far, PATIENCE_S) && !mpm_process_close(far));
        await_waiting(&things, GETTING, 0);
    }
    end_locals(&things, locals);
    end_things(&things);
}

#define TEST(name)  \
    {               \
#name, name \
    }

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        TEST(a_getter_has_its_turn_after_64_messages),
        TEST(a_putter_has_its_turn_after_64_messages),
        TEST(a_receiver_has_its_turn_after_64_messages),
        TEST(a_sender_has_its_turn_after_64_messages),
        TEST(batches_count_as_their_messages),
        TEST(a_getter_that_may_wait_no_longer_gets_what_there_is),
        TEST(a_putter_that_may_wait_no_longer_puts_where_room_is),
        TEST(a_turn_that_comes_to_nothing_ends),
        TEST(a_closed_queue_is_drained_in_turn),
        TEST(destroying_wakes_who_stands_back),
        TEST(calls_of_other_nodes_are_done_in_their_order),
        TEST(a_call_that_comes_does_not_go_past_one_that_waits),
        TEST(a_getter_is_served_although_others_keep_coming),
        TEST(a_putter_is_served_although_others_keep_coming),
        TEST(nobody_stands_back_for_one_that_has_died),
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (mpm_node_count() < 2) {
        puts("turns are for calls of other nodes: there are none in a run of one node");
        return mpm_finalize();
    }
    status = suite_run("fairness", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
