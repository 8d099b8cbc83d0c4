/* SPDX-License-Identifier: BSD-3-Clause */
/* Who looks on for short maps: what the maps before teach, counted in sleeps and wake-ups of a machine that is only
 * reckoned, without a clock and without processes. */
#include <CUnit/CUnit.h>

#include "pool/node/short_plan.h"
#include "suite.h"

#define CPUS     2u
#define WORKERS  2u
#define TASK     7u
#define SETTLE   12u /* maps, by which a pool has found its way from whatever there was before */
#define MAPS     1000u
#define EMPTY_NS 100u
#define LONG_NS  10000u

/* A pool whose driver runs on the last CPU, and worker i on CPU i, unless all are `crowded` on the first one. */
struct machine {
    struct short_past past;
    bool is_awake[WORKERS];
    unsigned next;     /* to be woken */
    bool is_crowded;   /* the workers share a CPU, and the driver has another one */
    bool is_beside;    /* the worker that looks on shares one with the driver */
    bool has_stranger; /* so that whoever should look on has no CPU, and no look sees an end */
    unsigned woken;    /* workers, in all; */
    unsigned slept;    /* and maps for which the driver slept at once; */
    unsigned looked;   /* and looked on; */
    unsigned yielded;  /* and let others run meanwhile */
};

static uint32_t count_awake(const struct machine *machine)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < WORKERS; i++)
        count += machine->is_awake[i];
    return count;
}

/* Those first that have slept for longest, as the kernel does: another one each time. */
static void wake(struct machine *machine, uint32_t most)
{
    for (unsigned i = 0; i < WORKERS && most; i++) {
        unsigned worker = machine->next++ % WORKERS;

        if (machine->is_awake[worker])
            continue;
        machine->is_awake[worker] = true;
        machine->woken++;
        most--;
    }
}

/* Those who do not look on fall asleep. */
static void fall_asleep(struct machine *machine, uint32_t first_looker)
{
    for (unsigned i = 0; i < WORKERS && i < first_looker; i++)
        machine->is_awake[i] = false;
}

static void play(struct machine *machine, unsigned count, uint64_t item_ns)
{
    uint32_t awake = count_awake(machine);
    bool is_beside = machine->is_beside || awake == CPUS;
    struct short_scene scene = {.task_id = TASK,
                                .count = count,
                                .cpus = CPUS,
                                .workers = WORKERS,
                                .lookers = awake,
                                .beside = awake && is_beside && !machine->is_crowded};
    struct short_plan plan = short_plan_make(&machine->past, &scene);

    wake(machine, plan.wakes);
    machine->slept += !plan.look_ns;
    machine->looked += plan.look_ns != 0;
    machine->yielded += plan.look_ns && plan.yields;
    if (plan.look_ns)
        short_plan_learn_look(&machine->past, !machine->has_stranger && count * item_ns <= plan.look_ns);
    short_plan_learn_work(&machine->past, TASK, count, count * item_ns);
    fall_asleep(machine, plan.first_looker);
}

static void play_often(struct machine *machine, unsigned maps, unsigned count, uint64_t item_ns)
{
    machine->woken = machine->slept = machine->looked = machine->yielded = 0;
    for (unsigned i = 0; i < maps; i++)
        play(machine, count, item_ns);
}

/* All that a pool may have been through. */
static const struct {
    unsigned count;
    uint64_t item_ns;
    bool is_awake[WORKERS], has_stranger;
} befores[] = {
    {0, 0, {false, false}, false},        {1, EMPTY_NS, {false, true}, false},
    {2, LONG_NS, {true, true}, false},    {1, LONG_NS, {true, false}, false},
    {16, LONG_NS, {false, false}, false}, {2, 1000000, {false, false}, false},
    {1024, 1000, {true, true}, false},    {1, EMPTY_NS, {false, false}, true},
    {2, LONG_NS, {true, true}, true},
};

/* Afterwards nobody is woken, and no driver sleeps, whatever was before; a stranger that has gone is forgotten after
 * many maps only. */
static void settles(unsigned count, uint64_t item_ns)
{
    for (size_t i = 0; i < sizeof befores / sizeof *befores; i++) {
        struct machine machine = {.is_awake = {befores[i].is_awake[0], befores[i].is_awake[1]},
                                  .has_stranger = befores[i].has_stranger};

        play_often(&machine, befores[i].count ? 100 : 0, befores[i].count, befores[i].item_ns);
        machine.has_stranger = false;
        play_often(&machine, befores[i].has_stranger ? 2 * MAPS : SETTLE, count, item_ns);
        play_often(&machine, MAPS, count, item_ns);
        CU_ASSERT_EQUAL(machine.woken, 0);
        CU_ASSERT_EQUAL(machine.slept, 0);
    }
}

static void nobody_is_woken_in_steps_that_are_all_alike(void)
{
    settles(1, EMPTY_NS);
    settles(2, EMPTY_NS);
    settles(16, EMPTY_NS);
    settles(1, LONG_NS);
    settles(2, LONG_NS);
    settles(16, LONG_NS);
}

static void a_driver_spins_only_where_it_has_a_cpu(void)
{
    struct machine machine = {.is_awake = {false, false}};

    play_often(&machine, SETTLE, 1, LONG_NS);
    play_often(&machine, MAPS, 1, LONG_NS);
    CU_ASSERT_EQUAL(machine.yielded, 0);
    machine.is_beside = true;
    play_often(&machine, MAPS, 1, LONG_NS);
    CU_ASSERT_EQUAL(machine.yielded, MAPS);
    machine.is_beside = false;
    play_often(&machine, SETTLE, 2, LONG_NS);
    play_often(&machine, MAPS, 2, LONG_NS);
    CU_ASSERT_EQUAL(machine.yielded, MAPS);
}

/* Two that alternate: workers are not woken for each wide one. */
static void narrow_steps_between_wide_ones_put_nobody_to_sleep(void)
{
    struct machine machine = {.is_awake = {false, false}};

    for (unsigned i = 0; i < MAPS; i++) {
        if (i == SETTLE)
            machine.woken = 0;
        play(&machine, i % 2 ? 1 : 16, i % 2 ? EMPTY_NS : LONG_NS);
    }
    CU_ASSERT_EQUAL(machine.woken, 0);
}

static void a_stranger_on_the_cpus_is_soon_left_alone(void)
{
    struct machine machine = {.is_awake = {false, true}, .has_stranger = true};

    play_often(&machine, MAPS, 1, EMPTY_NS);
    CU_ASSERT(machine.looked > 1 && machine.looked < 15);
}

/* The kernel is given a free CPU for a while, but not for ever. */
static void a_driver_makes_room_for_workers_that_share_a_cpu(void)
{
    struct machine machine = {.is_awake = {true, true}, .is_crowded = true};

    play_often(&machine, SETTLE, 2, LONG_NS);
    play_often(&machine, 100, 2, LONG_NS);
    CU_ASSERT_EQUAL(machine.looked, 0);
    play_often(&machine, MAPS, 2, LONG_NS);
    CU_ASSERT(machine.looked > MAPS / 2);
    play_often(&machine, SHORT_CROWDING, 2, LONG_NS);
    CU_ASSERT_EQUAL(machine.slept, SHORT_MAKES_ROOM);
    machine.is_crowded = false;
    play_often(&machine, MAPS, 2, LONG_NS);
    CU_ASSERT_EQUAL(machine.slept, 0);
    machine.is_crowded = true;
    play_often(&machine, 100, 2, LONG_NS);
    CU_ASSERT_EQUAL(machine.looked, 0);
}

static void one_map_that_was_held_up_changes_nothing(void)
{
    struct machine machine = {.is_awake = {false, true}};

    play_often(&machine, SETTLE, 2, EMPTY_NS);
    short_plan_learn_work(&machine.past, TASK, 2, 5000000);
    play_often(&machine, MAPS, 2, EMPTY_NS);
    CU_ASSERT_EQUAL(machine.woken, 0);
    CU_ASSERT_EQUAL(machine.slept, 0);
}

static void what_takes_long_is_slept_for(void)
{
    struct machine machine = {.is_awake = {false, true}};

    play_often(&machine, MAPS, 1, 1000000);
    CU_ASSERT_EQUAL(machine.looked, 0);
    play_often(&machine, MAPS, 2, 1000000);
    CU_ASSERT_EQUAL(machine.looked, 0);
    CU_ASSERT(machine.woken >= MAPS - 1);
}

/* What follows asks for one plan at a time. Where a worker looks on on each CPU, one does on the driver's. */

static struct short_plan plan_on(struct short_past *past, uint32_t cpus, uint32_t workers, uint64_t count,
                                 uint32_t lookers)
{
    return short_plan_make(past, &(struct short_scene){.task_id = TASK,
                                                       .count = count,
                                                       .cpus = cpus,
                                                       .workers = workers,
                                                       .lookers = lookers,
                                                       .beside = lookers == cpus});
}

static struct short_plan plan(struct short_past *past, uint64_t count, uint32_t lookers)
{
    return plan_on(past, CPUS, WORKERS, count, lookers);
}

/* Its last two maps of so many items took that. */
static void know(struct short_past *past, uint64_t count, uint64_t before_ns, uint64_t last_ns)
{
    short_plan_learn_work(past, TASK, count, before_ns);
    short_plan_learn_work(past, TASK, count, last_ns);
}

static void a_map_that_is_new_gets_each_worker_that_it_has_an_item_for(void)
{
    struct short_past past = {.wide = 0};

    CU_ASSERT_EQUAL(plan_on(&past, 8, 6, 16, 0).wakes, 6);
    CU_ASSERT_EQUAL(plan_on(&past, 8, 6, 16, 2).wakes, 4);
    CU_ASSERT_EQUAL(plan_on(&past, 8, 6, 3, 2).wakes, 1);
    CU_ASSERT_EQUAL(plan_on(&past, 8, 6, 3, 5).wakes, 0);
    CU_ASSERT_EQUAL(plan_on(&past, 8, 6, 3, 5).look_ns, 0);
}

static void a_map_that_is_known_gets_the_workers_that_it_is_worth(void)
{
    struct short_past past = {.wide = 0};

    know(&past, 16, 0, SHORT_WORTH_NS - 1);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 16, 0).wakes, 1);
    know(&past, 16, SHORT_WORTH_NS, SHORT_WORTH_NS);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 16, 0).wakes, 2);
    know(&past, 16, 10 * SHORT_WORTH_NS, 50 * SHORT_WORTH_NS);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 16, 0).wakes, 11);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 16, 4).wakes, 7);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 16, 12).wakes, 0);
}

static void what_is_known_is_of_a_task_and_so_many_items(void)
{
    struct short_past past = {.wide = 0};
    struct short_scene other = {.task_id = TASK + 1, .count = 16, .cpus = 16, .workers = 16};

    know(&past, 16, 0, 0);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 16, 0).wakes, 1);
    CU_ASSERT_EQUAL(plan_on(&past, 16, 16, 15, 0).wakes, 15);
    CU_ASSERT_EQUAL(short_plan_make(&past, &other).wakes, 16);
}

static void a_driver_that_wakes_somebody_sleeps_itself(void)
{
    struct short_past past = {.wide = 0};

    know(&past, 1, EMPTY_NS, EMPTY_NS);
    CU_ASSERT_EQUAL(plan(&past, 1, 0).wakes, 1);
    CU_ASSERT_EQUAL(plan(&past, 1, 0).look_ns, 0);
    CU_ASSERT(plan(&past, 1, 1).look_ns > 0);
}

static void a_pool_stays_wide_for_some_maps_that_are_not(void)
{
    struct short_past past = {.wide = 0};

    know(&past, 1, EMPTY_NS, EMPTY_NS);
    know(&past, 2, SHORT_WORTH_NS, SHORT_WORTH_NS);
    CU_ASSERT_EQUAL(plan(&past, 1, 1).first_looker, 1);
    CU_ASSERT_EQUAL(plan(&past, 2, 2).first_looker, 0);
    for (unsigned i = 1; i < SHORT_KEEP_WIDE; i++)
        CU_ASSERT_EQUAL(plan(&past, 1, 2).first_looker, 0);
    CU_ASSERT_EQUAL(plan(&past, 1, 2).first_looker, 1);
}

static void nobody_looks_on_where_there_is_one_cpu_and_all_do_where_there_are_enough(void)
{
    struct short_past past = {.wide = 0};

    know(&past, 2, SHORT_WORTH_NS, SHORT_WORTH_NS);
    CU_ASSERT_EQUAL(plan_on(&past, 1, 2, 2, 2).first_looker, 2);
    CU_ASSERT_EQUAL(plan_on(&past, 1, 2, 2, 2).look_ns, 0);
    CU_ASSERT_EQUAL(plan_on(&past, 8, 3, 2, 2).first_looker, 0);
}

static void a_driver_looks_on_by_the_worse_of_two_maps_and_sleepers_wait_by_the_better(void)
{
    struct short_past past = {.wide = 0};

    for (int i = 0; i < 2; i++) {
        know(&past, 1, i ? 60000 : 20000, i ? 20000 : 60000);
        CU_ASSERT(plan(&past, 1, 1).wait_ns > 2 * 20000 && plan(&past, 1, 1).wait_ns < 2 * 60000);
        CU_ASSERT(plan(&past, 1, 1).look_ns > 2 * 60000);
    }
    know(&past, 1, 20000, UINT64_C(10000000000));
    CU_ASSERT(plan(&past, 1, 1).look_ns > 0);
    CU_ASSERT(plan(&past, 1, 1).look_ns <= 2 * SHORT_MOST_NS + SHORT_MARGIN_NS);
    know(&past, 2, 60000, 60000); /* by two workers */
    CU_ASSERT(plan(&past, 2, 2).wait_ns < 2 * 60000);
    CU_ASSERT(plan(&past, 2, 2).look_ns < 2 * 60000);
}

/* For how many maps the driver does not look on, once it was wrong again. */
static unsigned count_aside(struct short_past *past)
{
    unsigned count = 0;

    short_plan_learn_look(past, false);
    for (struct short_plan now = plan(past, 1, 1); !now.look_ns; now = plan(past, 1, 1), count++)
        CU_ASSERT_EQUAL(now.wakes, 1); /* whoever looks on may have no CPU */
    return count;
}

static void see_ends(struct short_past *past, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        short_plan_learn_look(past, true);
}

static void each_look_in_vain_doubles_how_long_there_is_none(void)
{
    struct short_past past = {.wide = 0};

    know(&past, 1, EMPTY_NS, EMPTY_NS);
    for (unsigned level = 0; level < SHORT_MOST_LEVEL; level++)
        CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << level);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << SHORT_MOST_LEVEL);
}

static void only_many_good_looks_in_a_row_halve_it(void)
{
    struct short_past past = {.wide = 0};

    know(&past, 1, EMPTY_NS, EMPTY_NS);
    for (unsigned level = 0; level < 6; level++)
        CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << level);
    see_ends(&past, SHORT_HITS);
    CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << 5);
    see_ends(&past, SHORT_HITS - 1);
    CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << 6);
    see_ends(&past, SHORT_HITS - 1); /* those before the miss count no more */
    CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << 7);
    see_ends(&past, 2 * SHORT_HITS - 1);
    CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE << 7);
    see_ends(&past, 8 * SHORT_HITS);
    CU_ASSERT_EQUAL(count_aside(&past), SHORT_ASIDE);
}

/* Two workers at home. */
static bool stays(struct short_past *past, uint64_t count, uint32_t elsewhere)
{
    return short_plan_stays(past, &(struct short_scene){.task_id = TASK, .count = count, .workers = 2},
                            elsewhere);
}

/* Two other workers save half of the time of two: that of a message there and back, at least. */
static void a_map_stays_at_home_unless_others_save_more_than_messages_take(void)
{
    const uint64_t worth_ns = 4 * (uint64_t)SHORT_WIRE_NS;
    struct short_past past = {.wide = 0};

    CU_ASSERT(stays(&past, 2, 2));
    CU_ASSERT(stays(&past, 1000, 0));
    CU_ASSERT(!stays(&past, 3, 2));
    know(&past, 3, worth_ns, worth_ns);
    CU_ASSERT(stays(&past, 3, 2));
    CU_ASSERT(!stays(&past, 3, 4));
    know(&past, 3, EMPTY_NS, worth_ns + 4);
    CU_ASSERT(!stays(&past, 3, 2));
    CU_ASSERT(!stays(&past, 4, 2));
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"nobody_is_woken_in_steps_that_are_all_alike", nobody_is_woken_in_steps_that_are_all_alike},
        {"a_driver_spins_only_where_it_has_a_cpu", a_driver_spins_only_where_it_has_a_cpu},
        {"narrow_steps_between_wide_ones_put_nobody_to_sleep",
         narrow_steps_between_wide_ones_put_nobody_to_sleep},
        {"a_stranger_on_the_cpus_is_soon_left_alone", a_stranger_on_the_cpus_is_soon_left_alone},
        {"a_driver_makes_room_for_workers_that_share_a_cpu",
         a_driver_makes_room_for_workers_that_share_a_cpu},
        {"one_map_that_was_held_up_changes_nothing", one_map_that_was_held_up_changes_nothing},
        {"what_takes_long_is_slept_for", what_takes_long_is_slept_for},
        {"a_map_that_is_new_gets_each_worker_that_it_has_an_item_for",
         a_map_that_is_new_gets_each_worker_that_it_has_an_item_for},
        {"a_map_that_is_known_gets_the_workers_that_it_is_worth",
         a_map_that_is_known_gets_the_workers_that_it_is_worth},
        {"what_is_known_is_of_a_task_and_so_many_items", what_is_known_is_of_a_task_and_so_many_items},
        {"a_driver_that_wakes_somebody_sleeps_itself", a_driver_that_wakes_somebody_sleeps_itself},
        {"a_pool_stays_wide_for_some_maps_that_are_not", a_pool_stays_wide_for_some_maps_that_are_not},
        {"nobody_looks_on_where_there_is_one_cpu_and_all_do_where_there_are_enough",
         nobody_looks_on_where_there_is_one_cpu_and_all_do_where_there_are_enough},
        {"a_driver_looks_on_by_the_worse_of_two_maps_and_sleepers_wait_by_the_better",
         a_driver_looks_on_by_the_worse_of_two_maps_and_sleepers_wait_by_the_better},
        {"each_look_in_vain_doubles_how_long_there_is_none",
         each_look_in_vain_doubles_how_long_there_is_none},
        {"only_many_good_looks_in_a_row_halve_it", only_many_good_looks_in_a_row_halve_it},
        {"a_map_stays_at_home_unless_others_save_more_than_messages_take",
         a_map_stays_at_home_unless_others_save_more_than_messages_take},
    };

    return suite_run("short_plan", tests, sizeof tests / sizeof *tests);
}
