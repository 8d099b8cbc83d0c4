/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps that are done at home, and those that go over nodes, told apart by the messages that main posts about them; and
 * how often a node's courier was told to nap for short times only. A map is cut off for others when it has lasted for
 * some milliseconds, so nothing is said of the messages of one that has. */
#include <CUnit/CUnit.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include <mpmap.h>

#include "base/clock.h"
#include "net/courier.h"
#include "pool/shared/message.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define QUICK_NS   4000000u /* less than what a map waits for before it is cut */
#define PATIENCE_S 60.0
#define ITEMS      16u
#define LONG_NS    2000000u
#define MANY_ITEMS 5000u /* too many for a step */
#define MOST_NODES 4u

static _Thread_local bool is_lively; /* the courier was told, and nothing was posted since */

/* All ranks and their workers have it. */
static struct {
    _Atomic unsigned long lively[MOST_NODES];            /* how often each courier was told so */
    _Atomic unsigned long lively_leases, lively_results; /* posted just behind that, by the same thread */
    _Atomic unsigned long leases, results;               /* posted in all */
    _Atomic int elsewhere; /* items that were begun on other nodes than main's */
    _Atomic int posted;    /* messages of main about maps */
} * shared;

/* In main and in leaders of other nodes; workers post nothing. */
static void note(uint32_t kind)
{
    if (kind >= MESSAGE_JOB_OPEN && kind <= MESSAGE_RECALL)
        atomic_fetch_add(&shared->posted, !mpm_node_id());
    if (kind == MESSAGE_LEASE) {
        atomic_fetch_add(&shared->leases, 1);
        atomic_fetch_add(&shared->lively_leases, is_lively);
    } else if (kind == MESSAGE_RESULTS) {
        atomic_fetch_add(&shared->results, 1);
        atomic_fetch_add(&shared->lively_results, is_lively);
    }
    is_lively = false;
}

int __real_courier_post(unsigned node, uint32_t kind, const struct message_part *parts, size_t part_count);
int __wrap_courier_post(unsigned node, uint32_t kind, const struct message_part *parts, size_t part_count);
int __real_courier_post_one(unsigned node, uint32_t kind, const void *bytes, size_t size);
int __wrap_courier_post_one(unsigned node, uint32_t kind, const void *bytes, size_t size);

int __wrap_courier_post(unsigned node, uint32_t kind, const struct message_part *parts, size_t part_count)
{
    note(kind);
    return __real_courier_post(node, kind, parts, part_count);
}

int __wrap_courier_post_one(unsigned node, uint32_t kind, const void *bytes, size_t size)
{
    note(kind);
    return __real_courier_post_one(node, kind, bytes, size);
}

void __real_courier_be_lively(void);
void __wrap_courier_be_lively(void);

void __wrap_courier_be_lively(void)
{
    atomic_fetch_add(&shared->lively[mpm_node_id()], 1);
    is_lively = true;
    __real_courier_be_lively();
}

/* What the items do. */
struct order {
    uint64_t sleep_ns;
    int posted;      /* if they sleep: one of them, at home, waits for so many messages */
    bool is_held;    /* the first one waits until all others have been begun */
    bool has_failed; /* some fail, the first among them */
    mpm_value begun;
    mpm_event go_on;
};

static bool fails(uint64_t index)
{
    return index == 0 || index == 7 || index == 12;
}

static int be_held(const struct order *order, uint64_t index)
{
    int64_t one = 1, before;

    if (!index)
        return mpm_event_wait(order->go_on, PATIENCE_S);
    if (mpm_value_fetch_add(order->begun, &one, &before))
        return -1;
    return before + 2 == ITEMS ? mpm_event_set(order->go_on) : 0;
}

static int carry_out(mpm_call *call, const void *item, void *result)
{
    const struct order *order = mpm_call_context(call);
    uint64_t index = mpm_call_index(call);

    if (order->sleep_ns)
        nanosleep(&(struct timespec){.tv_nsec = (long)order->sleep_ns}, NULL);
    if (index == ITEMS / 2 && !mpm_node_id() && !gate_reached(&shared->posted, order->posted))
        return mpm_fail(call, "the map has stayed at home");
    if (order->is_held && be_held(order, index))
        return mpm_fail(call, "item %llu was held: %s", (unsigned long long)index, mpm_error());
    if (order->has_failed && fails(index))
        return mpm_fail(call, "item %llu fails", (unsigned long long)index);
    *(uint64_t *)result = index + *(const uint64_t *)item;
    return 0;
}

/* What a map has cost. */
struct cost {
    bool was_quick;
    int messages;
};

static struct cost map(mpm_pool *pool, struct order order, size_t count)
{
    mpm_map_options options = {.chunk = 1, .context = &order, .context_size = sizeof order};
    uint64_t items[ITEMS], results[ITEMS], begun_ns = clock_now_ns();
    int before = atomic_load(&shared->posted);
    struct cost cost;
    size_t right = 0;

    order.posted = order.sleep_ns ? before + 1 : 0;
    for (size_t i = 0; i < count; i++)
        items[i] = 1000 * i;
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map(pool, carry_out, items, count, sizeof *items, sizeof *results, &options, results),
        MPM_OK);
    cost = (struct cost){clock_now_ns() - begun_ns < QUICK_NS, atomic_load(&shared->posted) - before};
    for (size_t i = 0; i < count; i++)
        right += results[i] == i + items[i];
    CU_ASSERT_EQUAL(right, count);
    return cost;
}

static mpm_pool *open_pool(unsigned workers_a_node)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_open(&(mpm_pool_options){.workers = workers_a_node * mpm_node_count()}, &pool), MPM_OK);
    return pool;
}

/* Until such maps are known to be short: nothing is sent for one. */
static void map_until_at_home(mpm_pool *pool)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    struct cost cost;

    do {
        cost = map(pool, (struct order){0}, ITEMS);
        CU_ASSERT_FATAL(clock_now_ns() < end_ns);
    } while (!cost.was_quick || cost.messages);
}

static void items_that_have_a_worker_each_at_home_stay_there(void)
{
    mpm_pool *pool = open_pool(2);

    for (size_t step = 0; step < 200; step++) {
        struct cost cost = map(pool, (struct order){0}, 1 + step % 2);

        CU_ASSERT(!cost.was_quick || !cost.messages);
    }
    mpm_pool_close(pool);
}

static void many_items_stay_at_home_if_they_are_known_to_be_short(void)
{
    mpm_pool *pool = open_pool(1);

    map_until_at_home(pool);
    mpm_pool_close(pool);
}

static void items_that_take_long_go_over_nodes(void)
{
    mpm_pool *pool = open_pool(1);

    map_until_at_home(pool);
    for (int step = 0; step < 4; step++) {
        struct cost cost = map(pool, (struct order){.sleep_ns = LONG_NS}, ITEMS);

        CU_ASSERT(cost.messages > 0);
    }
    mpm_pool_close(pool);
}

/* The only worker at home waits for the others' items. */
static void what_seemed_short_and_is_not_is_done_elsewhere(void)
{
    mpm_pool *pool = open_pool(1);
    struct order order = {.is_held = true};

    CU_ASSERT_FATAL(!mpm_value_create(MPM_I64, NULL, &order.begun) && !mpm_event_create(&order.go_on));
    for (int round = 0; round < 3; round++) {
        map_until_at_home(pool);
        CU_ASSERT(!mpm_event_clear(order.go_on) && !mpm_value_set(order.begun, &(int64_t){0}));
        CU_ASSERT(map(pool, order, ITEMS).messages > 0);
    }
    CU_ASSERT(!mpm_event_destroy(order.go_on) && !mpm_value_destroy(order.begun));
    mpm_pool_close(pool);
}

static void failures_at_home_and_elsewhere_are_one_list(void)
{
    struct order order = {.is_held = true, .has_failed = true};
    mpm_failure *failures = NULL;
    size_t failure_count = 0;
    mpm_map_options options = {.chunk = 1,
                               .context = &order,
                               .context_size = sizeof order,
                               .failures = &failures,
                               .failure_count = &failure_count};
    uint64_t items[ITEMS] = {0}, results[ITEMS];
    mpm_pool *pool = open_pool(1);

    CU_ASSERT_FATAL(!mpm_value_create(MPM_I64, NULL, &order.begun) && !mpm_event_create(&order.go_on));
    map_until_at_home(pool);
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, carry_out, items, ITEMS, sizeof *items, sizeof *results, &options, results),
        MPM_ETASK);
    CU_ASSERT_STRING_EQUAL(mpm_error(), "3 of 16 items failed; the first is item 0: item 0 fails");
    CU_ASSERT_EQUAL_FATAL(failure_count, 3);
    CU_ASSERT(failures[0].index == 0 && failures[1].index == 7 && failures[2].index == 12);
    CU_ASSERT_STRING_EQUAL(failures[2].text, "item 12 fails");
    for (size_t i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(results[i], fails(i) ? 0 : i);
    free(failures);
    CU_ASSERT(!mpm_event_destroy(order.go_on) && !mpm_value_destroy(order.begun));
    mpm_pool_close(pool);
}

/* How lively its node's courier is. Those of main's node wait for one elsewhere, by a word that is no message. */
static int tell_liveliness(mpm_call *call, const void *item, void *result)
{
    unsigned node = mpm_node_id();

    (void)item;
    if (node)
        atomic_fetch_add(&shared->elsewhere, 1);
    else if (!gate_reached(&shared->elsewhere, 1))
        return mpm_fail(call, "no item was begun elsewhere");
    ((unsigned long *)result)[0] = node;
    ((unsigned long *)result)[1] = atomic_load(&shared->lively[node]);
    return 0;
}

/* Of those on other nodes: how many there were, and how many had a courier that was lively. */
static void count_elsewhere(mpm_pool *pool, size_t count, size_t *elsewhere, size_t *are_lively)
{
    static unsigned long results[MANY_ITEMS][2];

    *elsewhere = *are_lively = 0;
    atomic_store(&shared->elsewhere, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map(pool, tell_liveliness, NULL, count, 0, sizeof *results, NULL, results),
                          MPM_OK);
    for (size_t i = 0; i < count; i++) {
        *elsewhere += results[i][0] > 0;
        *are_lively += results[i][0] > 0 && results[i][1] > 0;
    }
}

/* The first test: nothing has made a courier lively before. A map of few items may be one of many steps. */
static void couriers_nap_little_for_small_maps_over_nodes_and_for_no_others(void)
{
    mpm_pool *pool = open_pool(1);
    size_t elsewhere, are_lively;
    unsigned long leases, results;

    count_elsewhere(pool, MANY_ITEMS, &elsewhere, &are_lively);
    CU_ASSERT(elsewhere > 0 && !are_lively && !atomic_load(&shared->lively[0]));
    CU_ASSERT(!atomic_load(&shared->lively_leases) && !atomic_load(&shared->lively_results));
    leases = atomic_load(&shared->leases);
    results = atomic_load(&shared->results);
    CU_ASSERT(leases > 0 && results > 0);
    count_elsewhere(pool, ITEMS, &elsewhere, &are_lively);
    CU_ASSERT(elsewhere > 0 && are_lively == elsewhere);
    leases = atomic_load(&shared->leases) - leases;
    CU_ASSERT(leases > 0 && atomic_load(&shared->lively_leases) == leases);
    CU_ASSERT(atomic_load(&shared->lively_results) == atomic_load(&shared->results) - results);
    CU_ASSERT(atomic_load(&shared->lively[0]) > leases); /* when results come, too */
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"couriers_nap_little_for_small_maps_over_nodes_and_for_no_others",
         couriers_nap_little_for_small_maps_over_nodes_and_for_no_others},
        {"items_that_have_a_worker_each_at_home_stay_there",
         items_that_have_a_worker_each_at_home_stay_there},
        {"many_items_stay_at_home_if_they_are_known_to_be_short",
         many_items_stay_at_home_if_they_are_known_to_be_short},
        {"items_that_take_long_go_over_nodes", items_that_take_long_go_over_nodes},
        {"what_seemed_short_and_is_not_is_done_elsewhere", what_seemed_short_and_is_not_is_done_elsewhere},
        {"failures_at_home_and_elsewhere_are_one_list", failures_at_home_and_elsewhere_are_one_list},
    };
    int failed;

    shared = shared_file("home_map_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("home_map", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
