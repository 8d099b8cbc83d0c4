/* SPDX-License-Identifier: BSD-3-Clause */
/* How long who waits looks on: what earlier waits teach, without a clock and without anybody who waits. */
#include <CUnit/CUnit.h>

#include "object/spin.h"
#include "suite.h"

#define WAKE_UP_NS 10000u /* longer than a short look, and shorter than a long one */
#define QUICK_NS   300u
#define WAITS      10000u

/* A wait for something that comes after so long. How long it was looked for. */
static uint64_t wait_for(struct object_wait *wait, uint64_t comes_ns)
{
    struct spin_hint hint = spin_hint_of(wait);
    uint64_t time_ns = spin_time_ns(hint);
    bool is_found = comes_ns < time_ns;

    spin_learn(wait, hint, is_found, comes_ns);
    return is_found ? comes_ns : time_ns;
}

static bool has_slept(struct object_wait *wait, uint64_t comes_ns)
{
    uint64_t time_ns = spin_time_ns(spin_hint_of(wait));

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

/* It is woken in less time than a long look takes, but works on for a while each time. */
static void what_always_comes_a_little_late_is_mostly_slept_for(void)
{
    struct object_wait wait = {.wanted = 0};
    uint64_t looked_ns = 0;

    for (unsigned i = 0; i < WAITS; i++)
        looked_ns += wait_for(&wait, 2 * WAKE_UP_NS);
    CU_ASSERT(looked_ns / WAITS < 2 * WAKE_UP_NS / 2);
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

int main(void)
{
    static const struct suite_test tests[] = {
        {"what_comes_soon_is_looked_for", what_comes_soon_is_looked_for},
        {"what_comes_late_is_hardly_looked_for", what_comes_late_is_hardly_looked_for},
        {"what_always_comes_a_little_late_is_mostly_slept_for",
         what_always_comes_a_little_late_is_mostly_slept_for},
        {"one_miss_changes_nothing", one_miss_changes_nothing},
        {"two_that_have_slept_come_to_look_on_again", two_that_have_slept_come_to_look_on_again},
    };

    return suite_run("spin", tests, sizeof tests / sizeof *tests);
}
