/* SPDX-License-Identifier: BSD-3-Clause */
/* The lease table, as whoever drives it sees it: what it decides in plain situations, what it refuses, what
 * it does without memory, and that in thousands of random worlds each item is done exactly once. A world here
 * is made to be awkward rather than likely: latencies that vary, nodes that are a thousand times slower than
 * others, that join late and die. Nodes keep their own account of what they hold, and a bitmap that is not
 * the table's tells what was done.
 *
 * The allocator is wrapped by the linker (--wrap), so that each allocation can be made to fail. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "mpmap/status.h"
#include "pool/driver/lease.h"
#include "suite.h"

/* ---- Allocations that fail ---- */

static unsigned allocations_until_failure; /* 0: none fails */

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool allocation_fails(void)
{
    return allocations_until_failure && --allocations_until_failure == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(memory, size);
}

/* ---- Tables in plain situations ---- */

static const struct lease_limits usual_limits = {.max_items = 1000000, .depth = 4, .target_s = 0.1};

static struct lease_table *make_table(uint64_t count, unsigned nodes, struct lease_limits limits)
{
    struct lease_table *table = NULL;
    CU_ASSERT_EQUAL_FATAL(lease_table_create(count, nodes, &limits, &table), MPM_OK);
    return table;
}

static void join(struct lease_table *table, unsigned node, unsigned slots, double now)
{
    CU_ASSERT_EQUAL_FATAL(lease_node_joined(table, node, slots, now), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
}

static void finish(struct lease_table *table, const struct lease_action *lease, double now)
{
    CU_ASSERT_EQUAL_FATAL(lease_done(table, lease->node, lease->lease, now), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
}

/* The next action, which must be of that kind and for that node. */
static struct lease_action expect(struct lease_table *table, enum lease_action_kind kind, unsigned node)
{
    struct lease_action action = {0};
    CU_ASSERT_TRUE_FATAL(lease_next_action(table, &action));
    CU_ASSERT_EQUAL_FATAL(action.kind, kind);
    CU_ASSERT_EQUAL_FATAL(action.node, node);
    CU_ASSERT_TRUE_FATAL(action.count > 0);
    return action;
}

static void expect_nothing(struct lease_table *table)
{
    struct lease_action action;
    CU_ASSERT_FALSE(lease_next_action(table, &action));
}

/* One node that works alone. */
struct runner {
    struct lease_table *table;
    unsigned node;
    double items_per_s, now;
    struct lease_action held[8];
    unsigned count;
};

/* Does its first lease; returns how many items that had. */
static uint64_t run_lease(struct runner *runner)
{
    while (runner->count < 8 && lease_next_action(runner->table, &runner->held[runner->count])) {
        CU_ASSERT_EQUAL_FATAL(runner->held[runner->count].kind, LEASE_GRANT);
        CU_ASSERT_EQUAL_FATAL(runner->held[runner->count].node, runner->node);
        runner->count++;
    }
    CU_ASSERT_TRUE_FATAL(runner->count > 0);
    struct lease_action first = runner->held[0];
    runner->now += (double)first.count / runner->items_per_s;
    finish(runner->table, &first, runner->now);
    memmove(runner->held, runner->held + 1, --runner->count * sizeof *runner->held);
    return first.count;
}

static uint64_t run_leases(struct runner *runner, int leases)
{
    uint64_t last = 0;
    while (leases--)
        last = run_lease(runner);
    return last;
}

static struct runner start_runner(uint64_t items, struct lease_limits limits, double items_per_s)
{
    struct runner runner = {.table = make_table(items, 3, limits), .node = 1, .items_per_s = items_per_s};
    join(runner.table, runner.node, 4, runner.now);
    return runner;
}

static void limits_that_make_no_sense_are_refused(void)
{
    const struct lease_limits bad[] = {{0, 2, 0.1}, {10, 0, 0.1}, {10, 2, 0},
                                       {10, 2, -1}, {10, 2, NAN}, {10, 2, INFINITY}};
    struct lease_table *table = NULL;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(lease_table_create(10, 2, &bad[i], &table), MPM_EINVAL);
    CU_ASSERT_EQUAL(lease_table_create(10, 0, &usual_limits, &table), MPM_EINVAL);
    CU_ASSERT_PTR_NULL(table);
    lease_table_destroy(NULL);
}

static void nothing_to_do_is_done_at_once(void)
{
    struct lease_table *table = make_table(0, 2, usual_limits);
    CU_ASSERT_TRUE(lease_all_done(table));
    join(table, 0, 4, 0.0);
    expect_nothing(table);
    CU_ASSERT_EQUAL(lease_asked(table, 0, 1.0), MPM_OK);
    expect_nothing(table);
    lease_table_destroy(table);
}

static void first_leases_are_a_few_items_a_slot(void)
{
    struct lease_table *table = make_table(1000000, 4, usual_limits);
    join(table, 2, 16, 0.0);
    for (int i = 0; i < 2; i++) {
        struct lease_action grant = expect(table, LEASE_GRANT, 2);
        CU_ASSERT_TRUE(grant.count >= 16 && grant.count <= 64);
    }
    expect_nothing(table);
    lease_table_destroy(table);
}

static void second_lease_waits_for_nodes_that_have_none(void)
{
    struct lease_table *table = make_table(32, 4, usual_limits);
    for (unsigned node = 0; node < 4; node++)
        join(table, node, 8, 0.0);
    for (unsigned node = 0; node < 4; node++)
        CU_ASSERT_EQUAL(expect(table, LEASE_GRANT, node).count, 8);
    expect_nothing(table);
    lease_table_destroy(table);
}

static void lone_node_gets_the_largest_leases_and_no_recall(void)
{
    struct lease_table *table = make_table(250, 1, (struct lease_limits){100, 3, 0.1});
    struct lease_action grants[3];

    join(table, 0, 4, 0.0);
    for (int i = 0; i < 3; i++)
        grants[i] = expect(table, LEASE_GRANT, 0);
    CU_ASSERT_EQUAL(grants[0].count, 100);
    CU_ASSERT_EQUAL(grants[2].count, 50);
    CU_ASSERT_EQUAL(grants[2].first, 200);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(lease_asked(table, 0, 1.0 + i), MPM_OK);
        finish(table, &grants[i], 1.0 + i);
        expect_nothing(table);
    }
    CU_ASSERT_TRUE(lease_all_done(table));
    lease_table_destroy(table);
}

/* A lease ends before the next multiple of 30. */
static uint64_t fit_30(void *argument, uint64_t first, uint64_t count)
{
    uint64_t most = 30 - first % 30;

    ++*(int *)argument;
    return count < most ? count : most;
}

static void bounded_leases_have_what_fits(void)
{
    struct lease_table *table = make_table(250, 1, (struct lease_limits){100, 3, 0.1});
    int asked = 0;

    lease_table_bound(table, fit_30, &asked);
    join(table, 0, 4, 0.0);
    for (uint64_t first = 0; first < 250; first += 30) {
        struct lease_action grant = expect(table, LEASE_GRANT, 0);

        CU_ASSERT_EQUAL(grant.first, first);
        CU_ASSERT_EQUAL(grant.count, first == 240 ? 10 : 30);
        finish(table, &grant, 1.0 + (double)first);
    }
    CU_ASSERT_TRUE(lease_all_done(table));
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    CU_ASSERT_EQUAL(asked, 9);
    lease_table_destroy(table);
}

/* The first 32 cost as much as 1000 others each. */
static double cost_of(const void *costly, uint64_t item)
{
    return item < *(const uint64_t *)costly ? 1000.0 : 1.0;
}

static void no_costly_item_waits_for_another_at_a_node(void)
{
    const uint64_t costly = 32;
    struct lease_table *table = make_table(100000, 4, usual_limits);
    struct lease_action first[4];

    lease_table_know_costs(table, cost_of, &costly);
    for (unsigned node = 0; node < 4; node++)
        join(table, node, 8, 0.0);
    for (unsigned node = 0; node < 4; node++) {
        first[node] = expect(table, LEASE_GRANT, node);
        CU_ASSERT_EQUAL(first[node].count, 8);
    }
    expect_nothing(table);
    CU_ASSERT_EQUAL(lease_claimed(table, 0, first[0].lease, 0.01), MPM_OK);
    for (int i = 0; i < 2; i++)
        CU_ASSERT_TRUE(expect(table, LEASE_GRANT, 0).count > 8);
    expect_nothing(table);
    lease_table_destroy(table);
}

/* A part of the node's share, in cost and not in items. */
static void leases_cost_a_part_of_a_share_where_costs_are_known(void)
{
    const uint64_t costly = 0;
    struct lease_table *table = make_table(3200, 2, (struct lease_limits){100000, 16, 0.1});
    struct lease_action grant;

    lease_table_know_costs(table, cost_of, &costly);
    join(table, 0, 4, 0.0);
    grant = expect(table, LEASE_GRANT, 0);
    finish(table, &grant, 0.0001);
    for (int i = 0; i < 8; i++) {
        grant = expect(table, LEASE_GRANT, 0);
        CU_ASSERT_TRUE(grant.count <= 3200 / 2 / 32);
        finish(table, &grant, 0.0001);
    }
    CU_ASSERT_EQUAL(grant.count, 3200 / 2 / 32);
    lease_table_destroy(table);
}

static void first_leases_are_larger_where_main_has_many_nodes(void)
{
    struct lease_table *table = make_table(100000000, 40000, usual_limits);

    join(table, 2, 16, 0.0);
    CU_ASSERT_EQUAL(expect(table, LEASE_GRANT, 2).count, 16 * 2 * 16);
    lease_table_destroy(table);
}

static void leases_grow_to_the_target_time(void)
{
    struct runner runner = start_runner(100000000, usual_limits, 100000.0);
    CU_ASSERT_TRUE(run_leases(&runner, 2) <= 16);
    uint64_t grown = run_leases(&runner, 12);
    CU_ASSERT_TRUE(grown > 9000 && grown < 11000);
    lease_table_destroy(runner.table);
}

static void leases_grow_by_four_at_most(void)
{
    struct runner runner = start_runner(100000000, usual_limits, 1e9);
    uint64_t before = run_lease(&runner), grown = before;

    for (int i = 0; i < 20; i++) {
        uint64_t count = run_lease(&runner);
        CU_ASSERT_TRUE(count <= 4 * grown);
        grown = count > grown ? count : grown;
    }
    CU_ASSERT_TRUE(grown > 1000 * before);
    lease_table_destroy(runner.table);
}

static void leases_stay_within_max_items(void)
{
    struct runner runner = start_runner(100000000, (struct lease_limits){777, 2, 0.1}, 1e9);
    struct lease_action action;

    CU_ASSERT_EQUAL(run_leases(&runner, 12), 777);
    join(runner.table, 0, 5000, runner.now);
    while (lease_next_action(runner.table, &action))
        CU_ASSERT_TRUE(action.count <= 777);
    lease_table_destroy(runner.table);
}

static void leases_shrink_towards_the_end(void)
{
    struct runner runner = start_runner(50000, usual_limits, 20000.0);
    uint64_t largest = 0, last = 0;

    while (!lease_all_done(runner.table)) {
        last = run_lease(&runner);
        largest = last > largest ? last : largest;
    }
    CU_ASSERT_TRUE(largest > 1000);
    CU_ASSERT_TRUE(last < largest / 8);
    lease_table_destroy(runner.table);
}

static void speeds_are_measured_from_what_is_done(void)
{
    struct runner runner = start_runner(10000000, usual_limits, 12345.0);
    struct lease_node_state state;

    lease_node_look(runner.table, 1, &state);
    CU_ASSERT_EQUAL(state.items_per_s, 0.0);
    CU_ASSERT_EQUAL(state.held, 2);
    run_leases(&runner, 10);
    lease_node_look(runner.table, 1, &state);
    CU_ASSERT_DOUBLE_EQUAL(state.items_per_s, 12345.0, 10.0);
    CU_ASSERT_EQUAL(state.slots, 4);
    lease_table_destroy(runner.table);
}

static void claims_beyond_the_depth_get_nothing_more(void)
{
    struct lease_table *table = make_table(100000, 2, (struct lease_limits){1000, 2, 0.1});
    struct lease_action grant;
    join(table, 0, 4, 0.0);
    grant = expect(table, LEASE_GRANT, 0);
    expect(table, LEASE_GRANT, 0);
    CU_ASSERT_EQUAL(lease_claimed(table, 0, grant.lease, 0.1), MPM_OK);
    expect_nothing(table);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    lease_table_destroy(table);
}

/* Leases that are claimed but not done do not keep it from work. */
static void lease_that_is_claimed_is_replaced_with_all_older_ones(void)
{
    struct lease_table *table = make_table(100000, 2, usual_limits);
    struct lease_action grants[4];
    join(table, 0, 4, 0.0);
    for (int i = 0; i < 2; i++)
        grants[i] = expect(table, LEASE_GRANT, 0);
    expect_nothing(table);
    CU_ASSERT_EQUAL(lease_claimed(table, 0, grants[1].lease, 10.0), MPM_OK);
    for (int i = 2; i < 4; i++)
        grants[i] = expect(table, LEASE_GRANT, 0);
    expect_nothing(table);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    CU_ASSERT_EQUAL(lease_claimed(table, 0, grants[0].lease, 10.0), MPM_OK);
    expect_nothing(table);
    lease_table_destroy(table);
}

static void ask_of_a_node_with_work_gets_nothing_more(void)
{
    struct lease_table *table = make_table(100000, 2, usual_limits);
    join(table, 0, 4, 0.0);
    for (int i = 0; i < 2; i++)
        expect(table, LEASE_GRANT, 0);
    CU_ASSERT_EQUAL(lease_asked(table, 0, 0.0), MPM_OK);
    expect_nothing(table);
    lease_table_destroy(table);
}

static void lease_that_is_done_before_an_older_one_is_replaced(void)
{
    struct lease_table *table = make_table(100000, 2, usual_limits);
    struct lease_action second;
    join(table, 0, 4, 0.0);
    expect(table, LEASE_GRANT, 0);
    second = expect(table, LEASE_GRANT, 0);
    finish(table, &second, 1.0);
    for (int i = 0; i < 2; i++)
        expect(table, LEASE_GRANT, 0);
    expect_nothing(table);
    lease_table_destroy(table);
}

/* The work of a lease takes 1 ms, the wire 100 ms: measured by what gets through, the node seems slow. */
static void slow_wire_does_not_keep_leases_small(void)
{
    struct lease_table *table = make_table(100000000, 2, usual_limits);
    struct lease_action leases[8];
    double now = 0.0;
    uint64_t largest = 0;

    join(table, 0, 1, now);
    for (int round = 0; round < 12; round++) {
        int count = 0;
        while (count < 8 && lease_next_action(table, &leases[count]))
            count++;
        now += 0.1;
        for (int i = 0; i < count; i++) {
            now += (double)leases[i].count / 1e6;
            largest = leases[i].count > largest ? leases[i].count : largest;
            finish(table, &leases[i], now);
        }
    }
    CU_ASSERT_TRUE(largest > 20000);
    lease_table_destroy(table);
}

/* Two nodes of one slot: node 0 has leases that take 10 s, node 1 is done with its own in 1 s. */
struct duel {
    struct lease_table *table;
    struct lease_action slow[2], fast[2];
};

static struct duel start_duel(void)
{
    struct duel duel = {.table = make_table(8, 2, usual_limits)};
    for (unsigned node = 0; node < 2; node++)
        join(duel.table, node, 1, 0.0);
    for (int i = 0; i < 2; i++)
        duel.slow[i] = expect(duel.table, LEASE_GRANT, 0);
    for (int i = 0; i < 2; i++)
        duel.fast[i] = expect(duel.table, LEASE_GRANT, 1);
    return duel;
}

/* Node 1 does all that it can get until it is hungry and node 0 is recalled from. */
static struct lease_action recall_in_duel(struct duel *duel, double *now)
{
    struct lease_action action = duel->fast[1];
    *now = 0.1;
    finish(duel->table, &duel->fast[0], *now);
    do {
        *now += 0.1;
        finish(duel->table, &action, *now);
        CU_ASSERT_TRUE_FATAL(lease_next_action(duel->table, &action));
    } while (action.kind == LEASE_GRANT);
    CU_ASSERT_EQUAL_FATAL(action.node, 0);
    return action;
}

/* Nodes of constant speed and no wire between: what the table reckons is what will be. */
#define RACERS 6

struct racer {
    struct lease_action held[4];
    unsigned count;
    double speed, begun_s;
};

static double racer_finish_s(const struct racer *racer)
{
    double items = 0.0;
    for (unsigned i = 0; i < racer->count; i++)
        items += (double)racer->held[i].count;
    return racer->begun_s + items / racer->speed;
}

static unsigned next_done(const struct racer *racers, double *done_s)
{
    unsigned next = 0;
    *done_s = INFINITY;
    for (unsigned i = 0; i < RACERS; i++) {
        double end_s = racers[i].begun_s + (double)racers[i].held[0].count / racers[i].speed;
        if (racers[i].count && end_s < *done_s) {
            *done_s = end_s;
            next = i;
        }
    }
    return next;
}

/* Gives out grants until there are no more, or a recall is next: then true. */
static bool give_out(struct lease_table *table, struct racer *racers, double now, struct lease_action *recall)
{
    while (lease_next_action(table, recall)) {
        struct racer *racer = &racers[recall->node];
        if (recall->kind == LEASE_RECALL)
            return true;
        if (racer->count == 0)
            racer->begun_s = now;
        racer->held[racer->count++] = *recall;
    }
    return false;
}

static uint64_t items_held(const struct lease_table *table, unsigned nodes)
{
    uint64_t items = 0;
    for (unsigned i = 0; i < nodes; i++) {
        struct lease_node_state state;
        lease_node_look(table, i, &state);
        items += state.items;
    }
    return items;
}

/* A node joins when all is granted: it gets something of the one that is worst off. */
static void the_node_that_would_finish_last_is_recalled_from(void)
{
    struct racer racers[RACERS] = {{.speed = 20}, {.speed = 50}, {.speed = 3},
                                   {.speed = 7},  {.speed = 30}, {.speed = 5}};
    struct lease_table *table = make_table(8000, RACERS + 1, (struct lease_limits){1000, 4, 64.0});
    struct lease_action recall;
    double now = 0.0;
    uint64_t held = 0;

    for (unsigned i = 0; i < RACERS; i++)
        join(table, i, 1, 0.0);
    while (!give_out(table, racers, now, &recall) && held + lease_items_done(table) < 8000) {
        struct racer *racer = &racers[next_done(racers, &now)];
        CU_ASSERT_TRUE_FATAL(racer->count > 0);
        finish(table, &racer->held[0], now);
        memmove(racer->held, racer->held + 1, --racer->count * sizeof *racer->held);
        racer->begun_s = now;
        held = items_held(table, RACERS);
    }
    give_out(table, racers, now, &recall);
    join(table, RACERS, 1, now);
    CU_ASSERT_TRUE_FATAL(give_out(table, racers, now, &recall));
    for (unsigned i = 0; i < RACERS; i++)
        CU_ASSERT_TRUE(racer_finish_s(&racers[i]) <= racer_finish_s(&racers[recall.node]) + 1e-6);
    lease_table_destroy(table);
}

static void idle_node_gets_the_untouched_lease_of_the_slow_one(void)
{
    struct duel duel = start_duel();
    double now;
    struct lease_action recall = recall_in_duel(&duel, &now);

    CU_ASSERT_EQUAL(recall.lease, duel.slow[1].lease);
    CU_ASSERT_EQUAL(lease_returned(duel.table, 0, recall.lease, 0, now), MPM_OK);
    struct lease_action grant = expect(duel.table, LEASE_GRANT, 1);
    CU_ASSERT_EQUAL(grant.first, duel.slow[1].first);
    CU_ASSERT_TRUE(lease_table_is_sound(duel.table));
    CU_ASSERT_EQUAL(lease_done(duel.table, 0, recall.lease, now), MPM_EPROTOCOL);
    lease_table_destroy(duel.table);
}

/* A node that keeps something has nothing else to do soon: it gets part of its own tail back. */
static void recalled_tail_is_shared_with_the_node_that_gave_it(void)
{
    struct lease_table *table = make_table(64, 2, (struct lease_limits){1000, 4, 0.1});
    struct lease_action grants[2], recall;

    join(table, 0, 16, 0.0);
    grants[0] = expect(table, LEASE_GRANT, 0);
    grants[1] = expect(table, LEASE_GRANT, 0);
    join(table, 1, 1, 0.0);
    double now = 0.0;
    while (lease_next_action(table, &recall) && recall.kind == LEASE_GRANT)
        finish(table, &recall, now += 1.0);
    CU_ASSERT_EQUAL_FATAL(recall.kind, LEASE_RECALL);
    CU_ASSERT_EQUAL_FATAL(recall.lease, grants[1].lease);
    CU_ASSERT_EQUAL(lease_returned(table, 0, recall.lease, 4, now), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    expect(table, LEASE_GRANT, 1);
    expect(table, LEASE_GRANT, 0);
    lease_table_destroy(table);
}

static void recall_that_crosses_done_gets_NO_REPLY(void)
{
    struct duel duel = start_duel();
    double now;
    struct lease_action recall = recall_in_duel(&duel, &now);

    finish(duel.table, &duel.slow[0], now);
    finish(duel.table, &recall, now);
    CU_ASSERT_EQUAL(lease_returned(duel.table, 0, recall.lease, 0, now), MPM_EPROTOCOL);
    CU_ASSERT_TRUE(lease_all_done(duel.table));
    expect_nothing(duel.table);
    lease_table_destroy(duel.table);
}

static void lease_that_gave_nothing_back_is_left_alone(void)
{
    struct duel duel = start_duel();
    double now;
    struct lease_action recall = recall_in_duel(&duel, &now), again;

    CU_ASSERT_EQUAL(lease_returned(duel.table, 0, recall.lease, recall.count, now), MPM_OK);
    for (int i = 0; i < 100; i++) {
        while (lease_next_action(duel.table, &again)) {
            CU_ASSERT_NOT_EQUAL(again.lease, recall.lease);
            if (again.kind == LEASE_RECALL)
                CU_ASSERT_EQUAL(lease_returned(duel.table, again.node, again.lease, again.count, now),
                                MPM_OK);
        }
        CU_ASSERT_EQUAL(lease_asked(duel.table, 1, now += 1.0), MPM_OK);
    }
    CU_ASSERT_TRUE(lease_table_is_sound(duel.table));
    lease_table_destroy(duel.table);
}

/* Nodes of 2, 3 and 2 slots, and an item for each slot: the first one gets two more before it is known that the
 * others need them, and all items take very long. */
static void what_waits_behind_long_items_goes_to_an_idle_node_without_an_event(void)
{
    struct lease_table *table = make_table(7, 3, usual_limits);
    struct lease_action first, second, third, recall;
    double look_s;

    join(table, 0, 2, 0.0);
    join(table, 1, 3, 0.0);
    join(table, 2, 2, 0.0);
    first = expect(table, LEASE_GRANT, 0);
    second = expect(table, LEASE_GRANT, 0);
    third = expect(table, LEASE_GRANT, 1);
    expect_nothing(table);
    CU_ASSERT_EQUAL(lease_claimed(table, 0, first.lease, 0.0), MPM_OK);
    CU_ASSERT_EQUAL(lease_claimed(table, 1, third.lease, 0.0), MPM_OK);
    expect_nothing(table);

    look_s = lease_look_again_s(table);
    CU_ASSERT(look_s > 0.0 && look_s < 10.0);
    lease_look_again(table, look_s / 2);
    expect_nothing(table);
    lease_look_again(table, look_s);
    recall = expect(table, LEASE_RECALL, 0);
    CU_ASSERT_EQUAL(recall.lease, second.lease);
    CU_ASSERT(isinf(lease_look_again_s(table)));
    CU_ASSERT_EQUAL(lease_returned(table, 0, recall.lease, 0, look_s), MPM_OK);
    CU_ASSERT_EQUAL(expect(table, LEASE_GRANT, 2).count, 2);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    lease_table_destroy(table);
}

/* Two nodes of a slot, two leases each, of an item, which takes a second. The second node is late with its last one
 * when the first one is idle, but not by so much that this would be worth a message. */
static void what_a_late_node_has_goes_to_an_idle_one_though_it_should_have_finished_first(void)
{
    struct lease_table *table = make_table(4, 2, (struct lease_limits){1, 4, 0.1});
    struct lease_action grants[2][2];
    double look_s;

    for (unsigned node = 0; node < 2; node++) {
        join(table, node, 1, 0.0);
        for (int i = 0; i < 2; i++)
            grants[node][i] = expect(table, LEASE_GRANT, node);
    }
    finish(table, &grants[0][0], 1.0);
    finish(table, &grants[1][0], 1.0);
    finish(table, &grants[0][1], 2.2);
    expect_nothing(table);

    look_s = lease_look_again_s(table);
    CU_ASSERT(look_s > 2.2 && look_s < 4.0);
    lease_look_again(table, look_s);
    CU_ASSERT_EQUAL(expect(table, LEASE_RECALL, 1).lease, grants[1][1].lease);
    CU_ASSERT_EQUAL(lease_returned(table, 1, grants[1][1].lease, 0, look_s), MPM_OK);
    CU_ASSERT_EQUAL(expect(table, LEASE_GRANT, 0).count, 1);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    lease_table_destroy(table);
}

static void what_a_lost_node_had_goes_to_the_others_lowest_first(void)
{
    struct lease_table *table = make_table(1000, 3, usual_limits);
    struct lease_action lost[2], own[2];

    join(table, 0, 4, 0.0);
    for (int i = 0; i < 2; i++)
        lost[i] = expect(table, LEASE_GRANT, 0);
    join(table, 1, 4, 0.0);
    for (int i = 0; i < 2; i++)
        own[i] = expect(table, LEASE_GRANT, 1);
    CU_ASSERT_EQUAL(lost[0].first, 0);
    CU_ASSERT_EQUAL(lease_node_lost(table, 0, 1.0), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    CU_ASSERT_EQUAL(lease_claimed(table, 1, own[0].lease, 1.0), MPM_OK);
    /* Its two leases are one range again. */
    struct lease_action grant = expect(table, LEASE_GRANT, 1);
    CU_ASSERT_EQUAL(grant.first, 0);
    lease_table_destroy(table);
}

static void actions_for_a_lost_node_vanish(void)
{
    struct lease_table *table = make_table(1000, 2, usual_limits);
    struct lease_node_state state;

    join(table, 0, 4, 0.0);
    CU_ASSERT_EQUAL(lease_node_lost(table, 0, 0.0), MPM_OK);
    expect_nothing(table);
    lease_node_look(table, 0, &state);
    CU_ASSERT_TRUE(state.lost);
    CU_ASSERT_EQUAL(state.items, 0);
    join(table, 1, 4, 0.0);
    CU_ASSERT_EQUAL(expect(table, LEASE_GRANT, 1).first, 0);
    lease_table_destroy(table);
}

static void hungry_node_is_served_when_another_is_lost(void)
{
    struct duel duel = start_duel();
    double now;
    recall_in_duel(&duel, &now);
    CU_ASSERT_EQUAL(lease_node_lost(duel.table, 0, now), MPM_OK);
    CU_ASSERT_EQUAL(expect(duel.table, LEASE_GRANT, 1).first, duel.slow[0].first);
    CU_ASSERT_TRUE(lease_table_is_sound(duel.table));
    lease_table_destroy(duel.table);
}

static void node_that_joins_late_gets_work(void)
{
    struct runner runner = start_runner(1000000, usual_limits, 1000.0);
    run_leases(&runner, 20);
    while (lease_next_action(runner.table, &runner.held[0]))
        continue;
    join(runner.table, 2, 8, runner.now);
    CU_ASSERT_TRUE(expect(runner.table, LEASE_GRANT, 2).count >= 8);
    lease_table_destroy(runner.table);
}

/* ---- What is refused ---- */

#define MOST_NODES 50

/* All that can be seen of a table. */
struct look {
    uint64_t done;
    struct lease_node_state nodes[MOST_NODES];
};

static void look_at(const struct lease_table *table, unsigned nodes, struct look *look)
{
    memset(look, 0, sizeof *look);
    look->done = lease_items_done(table);
    for (unsigned i = 0; i < nodes; i++) {
        struct lease_node_state state;
        lease_node_look(table, i, &state);
        look->nodes[i].lost = state.lost;
        look->nodes[i].slots = state.slots;
        look->nodes[i].held = state.held;
        look->nodes[i].items = state.items;
        look->nodes[i].items_per_s = state.items_per_s;
    }
}

static void nonsense_is_refused_and_changes_nothing(void)
{
    struct lease_table *table = make_table(1000, 4, usual_limits);
    struct look before, after;

    join(table, 0, 4, 0.0);
    join(table, 1, 4, 0.0);
    struct lease_action mine = expect(table, LEASE_GRANT, 0);
    struct lease_action waiting = mine;
    waiting.lease = mine.lease + 1; /* the second grant of node 0 has not been taken */
    CU_ASSERT_EQUAL(lease_node_lost(table, 3, 0.0), MPM_OK);
    look_at(table, 4, &before);

    CU_ASSERT_EQUAL(lease_node_joined(table, 0, 4, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_node_joined(table, 2, 0, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_node_joined(table, 3, 4, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_node_joined(table, 4, 4, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_asked(table, 2, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_asked(table, 3, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_asked(table, 99, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_claimed(table, 2, 1, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_claimed(table, 99, 1, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_done(table, 1, mine.lease, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_done(table, 0, mine.lease + 1000, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_done(table, 0, waiting.lease, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_done(table, 3, mine.lease, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_returned(table, 0, mine.lease, 0, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_returned(table, 2, mine.lease, 0, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_node_lost(table, 3, 1.0), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_node_lost(table, 4, 1.0), MPM_EPROTOCOL);

    look_at(table, 4, &after);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    CU_ASSERT_EQUAL(expect(table, LEASE_GRANT, 0).lease, waiting.lease);
    lease_table_destroy(table);
}

static void keeping_more_than_there_is_is_refused(void)
{
    struct duel duel = start_duel();
    double now;
    struct lease_action recall = recall_in_duel(&duel, &now);
    CU_ASSERT_EQUAL(lease_returned(duel.table, 0, recall.lease, recall.count + 1, now), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_returned(duel.table, 1, recall.lease, 0, now), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_returned(duel.table, 0, recall.lease, recall.count, now), MPM_OK);
    CU_ASSERT_EQUAL(lease_returned(duel.table, 0, recall.lease, recall.count, now), MPM_EPROTOCOL);
    lease_table_destroy(duel.table);
}

/* ---- Worlds ---- */

#define WORLD_DEPTH 5

enum shape { SHAPE_CONSTANT, SHAPE_RISING, SHAPE_FALLING, SHAPE_RANDOM, SHAPE_HEAVY, SHAPE_COUNT };

enum world_event_kind {
    WORLD_GRANT,
    WORLD_RECALL,
    WORLD_ALL_CLAIMED, /* at the node: of the lease that it works on */
    WORLD_END,
    WORLD_DIE,
    WORLD_JOINED, /* at main, from here on */
    WORLD_CLAIMED,
    WORLD_DONE,
    WORLD_RETURNED,
    WORLD_LOST,
};

struct world_event {
    double time_s;
    uint64_t order;
    enum world_event_kind kind;
    unsigned node;
    uint32_t lease, version;
    uint64_t first, count;
};

struct world_lease {
    uint32_t number;
    uint64_t first, count;
};

/* A node works on the first of its leases, item after item in the order of their indexes, `slots` at once. */
struct world_node {
    bool dead, works;
    unsigned slots;
    double speed;
    double to_main_s, to_node_s; /* when the last message each way arrives: none overtakes another */
    double begun_s, item_s;      /* of the lease that it works on */
    uint32_t version;            /* of what is foreseen for it */
    struct world_lease leases[WORLD_DEPTH];
    unsigned held;
};

struct world {
    uint64_t random;
    struct lease_table *table;
    uint64_t items;
    unsigned node_count;
    struct world_node nodes[MOST_NODES];
    enum shape shape;
    double latency_s, now_s;
    bool silent;         /* nodes never tell that a lease is claimed */
    bool is_drained;     /* nothing is granted from here on */
    unsigned char *done; /* a byte an item */
    struct world_event *events;
    size_t event_count, event_capacity;
    uint64_t order, recalls, returned;
};

static uint64_t random_bits(struct world *world)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random;
}

static uint64_t random_below(struct world *world, uint64_t limit)
{
    return random_bits(world) % limit;
}

static double random_part(struct world *world)
{
    return (double)(random_bits(world) >> 11) * 0x1p-53;
}

/* Evenly on a logarithmic scale. */
static double random_scale(struct world *world, double least, double most)
{
    return least * pow(most / least, random_part(world));
}

static void world_push(struct world *world, struct world_event event)
{
    if (world->event_count == world->event_capacity) {
        world->event_capacity = world->event_capacity * 2 + 64;
        world->events = realloc(world->events, world->event_capacity * sizeof *world->events);
        CU_ASSERT_PTR_NOT_NULL_FATAL(world->events);
    }
    event.order = world->order++;
    world->events[world->event_count++] = event;
}

/* Worlds are small: looking through all events is quick enough. */
static struct world_event world_pop(struct world *world)
{
    size_t next = 0;
    for (size_t i = 1; i < world->event_count; i++) {
        const struct world_event *a = &world->events[i], *b = &world->events[next];
        if (a->time_s < b->time_s || (a->time_s == b->time_s && a->order < b->order))
            next = i;
    }
    struct world_event event = world->events[next];
    world->events[next] = world->events[--world->event_count];
    return event;
}

static double arrival_s(struct world *world, double *last_s)
{
    *last_s = fmax(*last_s, world->now_s + world->latency_s * 2 * random_part(world));
    return *last_s;
}

static void tell_main(struct world *world, unsigned node, enum world_event_kind kind, uint32_t lease,
                      uint64_t first, uint64_t count)
{
    world_push(world, (struct world_event){.time_s = arrival_s(world, &world->nodes[node].to_main_s),
                                           .kind = kind,
                                           .node = node,
                                           .lease = lease,
                                           .first = first,
                                           .count = count});
}

static double shape_cost(struct world *world, uint64_t first)
{
    double place = (double)first / (double)world->items;
    switch (world->shape) {
    case SHAPE_RISING:
        return 0.1 + 1.8 * place;
    case SHAPE_FALLING:
        return 1.9 - 1.8 * place;
    case SHAPE_RANDOM:
        return 2 * random_part(world);
    case SHAPE_HEAVY:
        return fmin(1000.0, pow(1.0 - random_part(world), -2.0 / 3.0) / 3.0);
    default:
        return 1.0;
    }
}

static void foresee_lease(struct world *world, unsigned index)
{
    struct world_node *node = &world->nodes[index];
    const struct world_lease *lease = &node->leases[0];
    double whole_s = (double)lease->count * node->item_s;
    struct world_event event = {.node = index, .lease = lease->number, .version = ++node->version};

    event.kind = WORLD_ALL_CLAIMED;
    event.time_s = fmax(world->now_s, node->begun_s + whole_s - node->slots * node->item_s);
    world_push(world, event);
    event.kind = WORLD_END;
    event.time_s = fmax(world->now_s, node->begun_s + whole_s);
    world_push(world, event);
}

static void begin_lease(struct world *world, unsigned index)
{
    struct world_node *node = &world->nodes[index];
    node->works = node->held > 0;
    if (!node->works)
        return;
    node->begun_s = world->now_s;
    node->item_s = shape_cost(world, node->leases[0].first) / node->speed / node->slots;
    foresee_lease(world, index);
}

static void remove_lease(struct world_node *node, unsigned at)
{
    node->held--;
    memmove(&node->leases[at], &node->leases[at + 1], (node->held - at) * sizeof *node->leases);
}

static void node_granted(struct world *world, const struct world_event *event)
{
    struct world_node *node = &world->nodes[event->node];
    CU_ASSERT_TRUE_FATAL(node->held < WORLD_DEPTH);
    node->leases[node->held++] = (struct world_lease){event->lease, event->first, event->count};
    if (!node->works)
        begin_lease(world, event->node);
}

static uint64_t claimed_items(const struct world *world, const struct world_node *node)
{
    double claimed = (world->now_s - node->begun_s) / node->item_s + node->slots;
    return claimed < (double)node->leases[0].count ? (uint64_t)claimed : node->leases[0].count;
}

static void node_recalled(struct world *world, const struct world_event *event)
{
    struct world_node *node = &world->nodes[event->node];
    unsigned at = 0;
    while (at < node->held && node->leases[at].number != event->lease)
        at++;
    if (at == node->held)
        return;
    uint64_t kept = at == 0 ? claimed_items(world, node) : 0;
    tell_main(world, event->node, WORLD_RETURNED, event->lease, 0, kept);
    world->returned += node->leases[at].count - kept;
    node->leases[at].count = kept;
    if (kept == 0)
        remove_lease(node, at);
    else
        foresee_lease(world, event->node);
}

/* Ends the first lease: its items are done now, each for the first time. */
static void node_ends(struct world *world, unsigned index)
{
    struct world_node *node = &world->nodes[index];
    struct world_lease lease = node->leases[0];
    tell_main(world, index, WORLD_DONE, lease.number, lease.first, lease.count);
    remove_lease(node, 0);
    begin_lease(world, index);
}

static void mark_done(struct world *world, const struct world_event *event)
{
    bool again = false;
    for (uint64_t i = event->first; i < event->first + event->count; i++)
        again |= world->done[i]++ > 0;
    CU_ASSERT_FALSE(again);
}

static int world_tell(struct world *world, const struct world_event *event)
{
    struct world_node *node = &world->nodes[event->node];
    switch (event->kind) {
    case WORLD_JOINED:
        return lease_node_joined(world->table, event->node, node->slots, event->time_s);
    case WORLD_CLAIMED:
        return lease_claimed(world->table, event->node, event->lease, event->time_s);
    case WORLD_DONE:
        mark_done(world, event);
        return lease_done(world->table, event->node, event->lease, event->time_s);
    case WORLD_RETURNED:
        return lease_returned(world->table, event->node, event->lease, event->count, event->time_s);
    default:
        return lease_node_lost(world->table, event->node, event->time_s);
    }
}

/* Something that cannot be; the table must refuse it, and be as it was. */
static void say_nonsense(struct world *world)
{
    unsigned node = (unsigned)random_below(world, world->node_count + 2);
    uint32_t lease = (uint32_t)random_bits(world) | UINT32_C(0x80000000);
    struct look before, after;

    look_at(world->table, world->node_count, &before);
    CU_ASSERT_EQUAL(lease_done(world->table, node, lease, world->now_s), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_claimed(world->table, node, lease, world->now_s), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_returned(world->table, node, lease, 0, world->now_s), MPM_EPROTOCOL);
    CU_ASSERT_EQUAL(lease_node_joined(world->table, node, 0, world->now_s), MPM_EPROTOCOL);
    look_at(world->table, world->node_count, &after);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
}

/* With memory failing at the first allocation, at the second…, until the event gets through. */
static void tell_without_memory(struct world *world, const struct world_event *event)
{
    struct look before, after;
    for (unsigned failing = 1;; failing++) {
        look_at(world->table, world->node_count, &before);
        allocations_until_failure = failing;
        int status = world_tell(world, event);
        bool failed = allocations_until_failure == 0;
        allocations_until_failure = 0;
        CU_ASSERT_EQUAL_FATAL(status, failed ? MPM_ENOMEM : MPM_OK);
        if (!failed)
            return;
        look_at(world->table, world->node_count, &after);
        CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
        CU_ASSERT_TRUE_FATAL(lease_table_is_sound(world->table));
        struct lease_action action;
        CU_ASSERT_FALSE(lease_next_action(world->table, &action));
    }
}

static void send_actions(struct world *world)
{
    struct lease_action action;

    while (lease_next_action(world->table, &action)) {
        bool grant = action.kind == LEASE_GRANT;
        CU_ASSERT_FALSE(grant && world->is_drained);
        world->recalls += !grant;
        world_push(world,
                   (struct world_event){.time_s = arrival_s(world, &world->nodes[action.node].to_node_s),
                                        .kind = grant ? WORLD_GRANT : WORLD_RECALL,
                                        .node = action.node,
                                        .lease = action.lease,
                                        .first = action.first,
                                        .count = action.count});
    }
    CU_ASSERT_TRUE_FATAL(lease_table_is_sound(world->table));
}

static void main_hears(struct world *world, const struct world_event *event)
{
    struct lease_node_state state;

    lease_node_look(world->table, event->node, &state);
    if (state.lost)
        return;
    if (event->kind == WORLD_JOINED || event->kind == WORLD_RETURNED || event->kind == WORLD_LOST)
        tell_without_memory(world, event);
    else
        CU_ASSERT_EQUAL_FATAL(world_tell(world, event), MPM_OK);
    send_actions(world);
    if (random_below(world, 16) == 0)
        say_nonsense(world);
}

static void node_lives(struct world *world, const struct world_event *event)
{
    struct world_node *node = &world->nodes[event->node];
    bool foreseen = node->works && event->version == node->version && event->lease == node->leases[0].number;

    if (event->kind == WORLD_GRANT)
        node_granted(world, event);
    else if (event->kind == WORLD_RECALL)
        node_recalled(world, event);
    else if (event->kind == WORLD_END && foreseen)
        node_ends(world, event->node);
    else if (event->kind == WORLD_ALL_CLAIMED && foreseen && !world->silent)
        tell_main(world, event->node, WORLD_CLAIMED, event->lease, 0, 0);
}

static void world_step(struct world *world)
{
    struct world_event event = world_pop(world);
    world->now_s = event.time_s;
    if (event.kind >= WORLD_JOINED) {
        main_hears(world, &event);
    } else if (event.kind == WORLD_DIE) {
        world->nodes[event.node].dead = true;
        /* Noticed after its last words, which count, have come. */
        tell_main(world, event.node, WORLD_LOST, 0, 0, 0);
    } else if (!world->nodes[event.node].dead) {
        node_lives(world, &event);
    }
}

/* Node 0 stays; others may die, some before they join. */
static void populate(struct world *world, double whole_s)
{
    double spread = random_scale(world, 1.0, 1000.0);
    bool some_die = random_below(world, 2), some_are_late = random_below(world, 2);

    for (unsigned i = 0; i < world->node_count; i++) {
        struct world_node *node = &world->nodes[i];
        bool late = some_are_late && i > 0 && random_below(world, 3) == 0;
        node->slots = 1 + (unsigned)random_below(world, random_below(world, 2) ? 4 : 64);
        node->speed = random_scale(world, 1.0, spread);
        world->now_s = late ? whole_s * random_part(world) : 0.0;
        tell_main(world, i, WORLD_JOINED, 0, 0, 0);
        if (some_die && i > 0 && random_below(world, 3) == 0)
            world_push(world, (struct world_event){
                                  .time_s = whole_s * random_part(world), .kind = WORLD_DIE, .node = i});
    }
    world->now_s = 0.0;
}

static struct world *create_world(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    CU_ASSERT_PTR_NOT_NULL_FATAL(world);
    world->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 8; i++)
        random_bits(world);
    world->node_count = 1 + (unsigned)random_below(world, random_below(world, 2) ? 5 : MOST_NODES);
    world->items = (uint64_t)random_scale(world, 1.0, 20000.0);
    world->silent = random_below(world, 2);
    world->shape = (enum shape)random_below(world, SHAPE_COUNT);
    world->done = calloc(world->items, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(world->done);
    struct lease_limits limits = {
        .max_items = random_below(world, 2) ? 1 + random_below(world, 200) : UINT64_MAX,
        .depth = 1 + (unsigned)random_below(world, WORLD_DEPTH),
        .target_s = random_scale(world, 0.1, 100.0),
    };
    world->latency_s = random_below(world, 4) ? random_scale(world, 1e-4, 10.0) : 0.0;
    world->table = make_table(world->items, world->node_count, limits);
    populate(world, (double)world->items / world->node_count / 10.0);
    return world;
}

static void destroy_world(struct world *world)
{
    lease_table_destroy(world->table);
    free(world->events);
    free(world->done);
    free(world);
}

static void each_item_is_done_once_in_random_worlds(void)
{
    uint64_t recalls = 0, returned = 0;

    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct world *world = create_world(seed);
        while (!lease_all_done(world->table) && world->event_count)
            world_step(world);
        CU_ASSERT_TRUE(lease_all_done(world->table));
        CU_ASSERT_EQUAL(lease_items_done(world->table), world->items);
        CU_ASSERT_EQUAL(memchr(world->done, 0, world->items), NULL);
        recalls += world->recalls;
        returned += world->returned;
        destroy_world(world);
    }
    /* Else the worlds would not have tested what they are for. */
    CU_ASSERT_TRUE(recalls > 1000);
    CU_ASSERT_TRUE(returned > 1000);
}

/* Whatever was going on: leases that were out, recalls, deaths, and nodes that come when it has begun. */
static void drained_world_grants_nothing_and_knows_what_is_done(void)
{
    uint64_t left = 0;

    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct world *world = create_world(seed);
        uint64_t steps = random_below(world, 40), done = 0;

        while (steps-- && !lease_all_done(world->table))
            world_step(world);
        CU_ASSERT_EQUAL(lease_drain(world->table, world->now_s), MPM_OK);
        world->is_drained = true;
        send_actions(world);
        while (world->event_count)
            world_step(world);
        for (uint64_t i = 0; i < world->items; i++)
            done += world->done[i];
        CU_ASSERT_TRUE(lease_is_drained(world->table));
        CU_ASSERT_EQUAL(lease_items_done(world->table), done);
        left += world->items - done;
        destroy_world(world);
    }
    CU_ASSERT_TRUE(left > 1000);
}

static void drain_takes_back_what_is_not_begun(void)
{
    struct lease_table *table = make_table(1000, 2, usual_limits);
    struct lease_action begun, waiting, action;

    join(table, 0, 4, 0.0);
    begun = expect(table, LEASE_GRANT, 0);
    CU_ASSERT_EQUAL(lease_claimed(table, 0, begun.lease, 1.0), MPM_OK);
    waiting = expect(table, LEASE_GRANT, 0);
    join(table, 1, 4, 1.0); /* and its grant is not taken before the drain */
    CU_ASSERT_FALSE(lease_is_drained(table));
    CU_ASSERT_EQUAL(lease_drain(table, 2.0), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    action = expect(table, LEASE_RECALL, 0);
    while (action.lease != waiting.lease)
        action = expect(table, LEASE_RECALL, 0);
    CU_ASSERT_EQUAL(lease_returned(table, 0, waiting.lease, 0, 2.0), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    CU_ASSERT_FALSE(lease_is_drained(table));
    finish(table, &begun, 3.0);
    expect_nothing(table);
    CU_ASSERT_TRUE(lease_is_drained(table));
    CU_ASSERT_FALSE(lease_all_done(table));
    CU_ASSERT_EQUAL(lease_items_done(table), begun.count);
    lease_table_destroy(table);
}

/* Nodes 2, 4, 6… are lost, which leaves ranges that do not touch, until there is no memory for another: then
 * there is none either for what node 0 returns. */
static void without_memory_nothing_comes_back_and_nothing_changes(void)
{
    struct lease_table *table = make_table(101, 100, (struct lease_limits){1, 2, 0.1});
    struct lease_action recall, taken;
    struct look before, after;
    int status = MPM_OK;

    for (unsigned node = 0; node < 100; node++)
        join(table, node, 1, 0.0);
    CU_ASSERT_EQUAL(lease_asked(table, 0, 0.0), MPM_OK);
    while (lease_next_action(table, &taken))
        continue;
    CU_ASSERT_EQUAL(lease_asked(table, 99, 100.0), MPM_OK);
    recall = expect(table, LEASE_RECALL, 0);
    for (unsigned node = 2; node < 99 && !status; node += 2) {
        allocations_until_failure = 1;
        look_at(table, MOST_NODES, &before);
        status = lease_node_lost(table, node, 100.0);
        allocations_until_failure = 0;
    }
    look_at(table, MOST_NODES, &after);
    CU_ASSERT_EQUAL(status, MPM_ENOMEM);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
    allocations_until_failure = 1;
    CU_ASSERT_EQUAL(lease_returned(table, 0, recall.lease, 0, 100.0), MPM_ENOMEM);
    allocations_until_failure = 0;
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    CU_ASSERT_EQUAL(lease_returned(table, 0, recall.lease, 0, 100.0), MPM_OK);
    CU_ASSERT_TRUE(lease_table_is_sound(table));
    lease_table_destroy(table);
}

static void failed_creation_leaves_nothing(void)
{
    struct lease_table *table = NULL;
    unsigned failing = 0;
    int status;

    do {
        allocations_until_failure = ++failing;
        status = lease_table_create(100, 7, &usual_limits, &table);
        allocations_until_failure = 0;
        CU_ASSERT_TRUE_FATAL(failing < 100);
        CU_ASSERT_TRUE(status == MPM_OK || (status == MPM_ENOMEM && !table));
    } while (status);
    CU_ASSERT_TRUE(failing > 3);
    lease_table_destroy(table);
}

static const struct suite_test tests[] = {
    {"limits_that_make_no_sense_are_refused", limits_that_make_no_sense_are_refused},
    {"nothing_to_do_is_done_at_once", nothing_to_do_is_done_at_once},
    {"first_leases_are_a_few_items_a_slot", first_leases_are_a_few_items_a_slot},
    {"second_lease_waits_for_nodes_that_have_none", second_lease_waits_for_nodes_that_have_none},
    {"lone_node_gets_the_largest_leases_and_no_recall", lone_node_gets_the_largest_leases_and_no_recall},
    {"bounded_leases_have_what_fits", bounded_leases_have_what_fits},
    {"no_costly_item_waits_for_another_at_a_node", no_costly_item_waits_for_another_at_a_node},
    {"leases_cost_a_part_of_a_share_where_costs_are_known",
     leases_cost_a_part_of_a_share_where_costs_are_known},
    {"first_leases_are_larger_where_main_has_many_nodes", first_leases_are_larger_where_main_has_many_nodes},
    {"leases_grow_to_the_target_time", leases_grow_to_the_target_time},
    {"leases_grow_by_four_at_most", leases_grow_by_four_at_most},
    {"leases_stay_within_max_items", leases_stay_within_max_items},
    {"leases_shrink_towards_the_end", leases_shrink_towards_the_end},
    {"speeds_are_measured_from_what_is_done", speeds_are_measured_from_what_is_done},
    {"claims_beyond_the_depth_get_nothing_more", claims_beyond_the_depth_get_nothing_more},
    {"lease_that_is_claimed_is_replaced_with_all_older_ones",
     lease_that_is_claimed_is_replaced_with_all_older_ones},
    {"ask_of_a_node_with_work_gets_nothing_more", ask_of_a_node_with_work_gets_nothing_more},
    {"lease_that_is_done_before_an_older_one_is_replaced",
     lease_that_is_done_before_an_older_one_is_replaced},
    {"slow_wire_does_not_keep_leases_small", slow_wire_does_not_keep_leases_small},
    {"the_node_that_would_finish_last_is_recalled_from", the_node_that_would_finish_last_is_recalled_from},
    {"idle_node_gets_the_untouched_lease_of_the_slow_one",
     idle_node_gets_the_untouched_lease_of_the_slow_one},
    {"recalled_tail_is_shared_with_the_node_that_gave_it",
     recalled_tail_is_shared_with_the_node_that_gave_it},
    {"recall_that_crosses_done_gets_NO_REPLY", recall_that_crosses_done_gets_NO_REPLY},
    {"lease_that_gave_nothing_back_is_left_alone", lease_that_gave_nothing_back_is_left_alone},
    {"what_waits_behind_long_items_goes_to_an_idle_node_without_an_event",
     what_waits_behind_long_items_goes_to_an_idle_node_without_an_event},
    {"what_a_late_node_has_goes_to_an_idle_one_though_it_should_have_finished_first",
     what_a_late_node_has_goes_to_an_idle_one_though_it_should_have_finished_first},
    {"what_a_lost_node_had_goes_to_the_others_lowest_first",
     what_a_lost_node_had_goes_to_the_others_lowest_first},
    {"actions_for_a_lost_node_vanish", actions_for_a_lost_node_vanish},
    {"hungry_node_is_served_when_another_is_lost", hungry_node_is_served_when_another_is_lost},
    {"node_that_joins_late_gets_work", node_that_joins_late_gets_work},
    {"nonsense_is_refused_and_changes_nothing", nonsense_is_refused_and_changes_nothing},
    {"keeping_more_than_there_is_is_refused", keeping_more_than_there_is_is_refused},
    {"without_memory_nothing_comes_back_and_nothing_changes",
     without_memory_nothing_comes_back_and_nothing_changes},
    {"failed_creation_leaves_nothing", failed_creation_leaves_nothing},
    {"each_item_is_done_once_in_random_worlds", each_item_is_done_once_in_random_worlds},
    {"drain_takes_back_what_is_not_begun", drain_takes_back_what_is_not_begun},
    {"drained_world_grants_nothing_and_knows_what_is_done",
     drained_world_grants_nothing_and_knows_what_is_done},
};

int main(void)
{
    return suite_run("lease", tests, sizeof tests / sizeof *tests);
}
