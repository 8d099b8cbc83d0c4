/* SPDX-License-Identifier: BSD-3-Clause */
/* How long who waits looks on: what earlier waits teach, without a clock and without anybody who waits. */
#include <CUnit/CUnit.h>

#include "object/spin.h"
#include "suite.h"

#define WAKE_UP_NS     10000u /* longer than a short look, and shorter than a long one */
#define FAR_WAKE_UP_NS 50000u /* on another CPU that slept */
#define QUICK_NS       300u
#define COPIES_NS      13000u
#define LATE_NS        60000u
#define WAITS          10000u

/* A wait for something that comes after so long, of one who has just woken somebody, or not. How long it was looked for.
 */
static uint64_t wait_after(struct object_wait *wait, bool has_woken, uint64_t comes_ns)
{
    struct spin_hint hint = spin_hint_of(wait);
    uint64_t time_ns = spin_time_ns(hint, has_woken);
    bool is_found = comes_ns < time_ns;

    spin_learn(wait, hint, is_found, comes_ns);
    return is_found ? comes_ns : time_ns;
}

static uint64_t wait_for(struct object_wait *wait, uint64_t comes_ns)
{
    return wait_after(wait, false, comes_ns);
}

static bool has_slept(struct object_wait *wait, uint64_t comes_ns)
{
    uint64_t time_ns = spin_time_ns(spin_hint_of(wait), false);

    wait_for(wait, comes_ns);
    return comes_ns >= time_ns;
}

static void what_comes_soon_is_looked_for(void)
{
    struct object_wait wait = {.wanted = 0};

    for (unsigned i = 0; i < WAITS; i++)
        CU_ASSERT_FALSE(has_slept(&wait, QUICK_NS));
    CU_ASSERT_EQUAL(atomic_load(&wait.spin_hint), 0);
}

static void what_comes_late_is_hardly_looked_for(void)
{
    struct object_wait wait = {.wanted = 0};
    uint64_t looked_ns = 0;

    for (unsigned i = 0; i < WAITS; i++)
        looked_ns += wait_for(&wait, 1000000);
    CU_ASSERT(looked_ns / WAITS < 1000);
}

/* How many waits in vain are asleep until a long look comes, which is in vain, too. */
static unsigned waits_until_long_look(struct object_wait *wait)
{
    unsigned waits = 0;

    for (; waits < WAITS && spin_time_ns(spin_hint_of(wait), false) != SPIN_LONG_NS; waits++)
        wait_for(wait, 1000000);
    wait_for(wait, 1000000);
    return waits;
}

static void long_looks_in_vain_come_less_often_each_time_until_one_finds_something(void)
{
    struct object_wait wait = {.wanted = 0};
    unsigned first = waits_until_long_look(&wait), second = waits_until_long_look(&wait);
    unsigned third = waits_until_long_look(&wait);

    CU_ASSERT(first > 10 && second > first * 3 / 2 && third > second * 3 / 2);
    CU_ASSERT_EQUAL(waits_until_long_look(&wait), third);
    while (spin_time_ns(spin_hint_of(&wait), false) != SPIN_LONG_NS)
        wait_for(&wait, 1000000);
    CU_ASSERT_FALSE(has_slept(&wait, QUICK_NS));
    CU_ASSERT_EQUAL(waits_until_long_look(&wait), first);
}

/* They are learnt elsewhere: object/invoke.c. */
static void rests_stay_as_they_are(void)
{
    struct object_wait wait = {.wanted = 0};

    spin_learn(&wait, (struct spin_hint){.rests = 3}, true, QUICK_NS);
    wait_for(&wait, QUICK_NS);
    CU_ASSERT_EQUAL(spin_hint_of(&wait).rests, 3);
    wait_for(&wait, 1000000);
    CU_ASSERT_EQUAL(spin_hint_of(&wait).rests, 3);
}

/* The other one is woken in less time than a long look takes, but works on for a while each time. */
static void what_always_comes_a_little_late_is_mostly_slept_for(void)
{
    struct object_wait wait = {.wanted = 0};
    uint64_t looked_ns = 0;

    for (unsigned i = 0; i < WAITS; i++)
        looked_ns += wait_for(&wait, LATE_NS);
    CU_ASSERT(looked_ns / WAITS < LATE_NS / 2);
}

/* Two that take turns and copy a long message each time, one of which has slept. */
static void two_whose_work_is_shorter_than_a_wake_up_look_on_for_one_another(void)
{
    struct object_wait waits[2] = {{.wanted = 0}};
    unsigned slept = 0;

    for (unsigned i = 0; i < WAITS; i++) /* both have learnt to sleep */
        wait_for(&waits[i % 2], 1000000);
    for (unsigned i = 0, has_other_slept = 1; i < WAITS; i++) {
        has_other_slept = has_slept(&waits[i % 2], COPIES_NS + (has_other_slept ? FAR_WAKE_UP_NS : 0));
        if (i >= 400)
            slept += has_other_slept;
    }
    CU_ASSERT_EQUAL(slept, 0);
}

static void one_miss_changes_nothing(void)
{
    struct object_wait wait = {.wanted = 0};

    wait_for(&wait, 1000000);
    CU_ASSERT_FALSE(has_slept(&wait, QUICK_NS));
}

/* Two that take turns, each of which answers at once if it has looked on, and after a wake-up if it has slept. */
static void two_that_have_slept_come_to_look_on_again(void)
{
    struct object_wait waits[2] = {{.wanted = 0}};
    unsigned slept = 0;

    for (unsigned i = 0; i < 100; i++) { /* both are held up for a while, one more often than the other */
        wait_for(&waits[0], 1000000);
        if (i % 3)
            wait_for(&waits[1], 1000000);
    }
    CU_ASSERT(has_slept(&waits[0], WAKE_UP_NS) && has_slept(&waits[1], WAKE_UP_NS));
    for (unsigned i = 0, has_other_slept = 1; i < 400; i++) {
        has_other_slept = has_slept(&waits[i % 2], has_other_slept ? WAKE_UP_NS : QUICK_NS);
        if (i >= 300)
            slept += has_other_slept;
    }
    CU_ASSERT_EQUAL(slept, 0);
}

/* Two that take turns, and look on, until one of them is late once: only that one wait ends asleep. */
static void one_that_is_late_once_makes_nobody_sleep_but_once(void)
{
    struct object_wait waits[2] = {{.wanted = 0}};
    unsigned slept = 0;

    for (unsigned i = 0, has_other_slept = 0; i < WAITS; i++) {
        struct object_wait *wait = &waits[i % 2];
        /* Who answers has been asleep, and comes late; or has woken the one that is waited for. */
        uint64_t comes_ns = i == WAITS / 2 ? 100000 : has_other_slept ? WAKE_UP_NS : QUICK_NS;

        has_other_slept = wait_after(wait, has_other_slept, comes_ns) != comes_ns;
        slept += has_other_slept;
    }
    CU_ASSERT_EQUAL(slept, 1);
}

static void whoever_has_woken_another_looks_not_at_all_where_that_has_not_helped(void)
{
    struct object_wait wait = {.wanted = 0};
    uint64_t looked_ns = 0;

    for (unsigned i = 0; i < WAITS; i++)
        looked_ns += wait_after(&wait, true, 1000000);
    CU_ASSERT(looked_ns / WAITS < 1000);
    wait_for(&wait, 1000000);
    CU_ASSERT_EQUAL(spin_time_ns(spin_hint_of(&wait), true), 0);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"what_comes_soon_is_looked_for", what_comes_soon_is_looked_for},
        {"what_comes_late_is_hardly_looked_for", what_comes_late_is_hardly_looked_for},
        {"what_always_comes_a_little_late_is_mostly_slept_for",
         what_always_comes_a_little_late_is_mostly_slept_for},
        {"two_whose_work_is_shorter_than_a_wake_up_look_on_for_one_another",
         two_whose_work_is_shorter_than_a_wake_up_look_on_for_one_another},
        {"long_looks_in_vain_come_less_often_each_time_until_one_finds_something",
         long_looks_in_vain_come_less_often_each_time_until_one_finds_something},
        {"rests_stay_as_they_are", rests_stay_as_they_are},
        {"one_miss_changes_nothing", one_miss_changes_nothing},
        {"two_that_have_slept_come_to_look_on_again", two_that_have_slept_come_to_look_on_again},
        {"one_that_is_late_once_makes_nobody_sleep_but_once",
         one_that_is_late_once_makes_nobody_sleep_but_once},
        {"whoever_has_woken_another_looks_not_at_all_where_that_has_not_helped",
         whoever_has_woken_another_looks_not_at_all_where_that_has_not_helped},
    };

    return suite_run("spin", tests, sizeof tests / sizeof *tests);
}
