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
    machine.is_crowded = false;
    play_often(&machine, MAPS, 2, LONG_NS);
    CU_ASSERT_EQUAL(machine.slept, 0);
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
    };

    return suite_run("short_plan", tests, sizeof tests / sizeof *tests);
}
