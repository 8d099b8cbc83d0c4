/* SPDX-License-Identifier: BSD-3-Clause */
/* The locks that values, arrays and bytes have of their own, from all nodes. What is promised of all three is
 * tried with each. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <string.h>

#include <mpmap.h>

#include "base/clock.h"
#include "node/context.h"
#include "support/everywhere.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define OBJECTS    12u             /* that all processes ask for the first time at once */
#define ROUNDS     AMOUNT(40u, 8u) /* for each of them */
#define MOST       16u

/* One of each: two numbers that are to be the same. */
enum { VALUE, ARRAY, BYTES, SUBJECTS };

struct subject {
    uint64_t which;
    mpm_value value;
    mpm_array array;
    mpm_bytes bytes;
};

static struct subject make(uint64_t which)
{
    struct subject made = {.which = which};

    if (which == VALUE)
        EXPECT(!mpm_value_create(MPM_I64, NULL, &made.value));
    else if (which == ARRAY)
        EXPECT(!mpm_array_create(MPM_I64, 2, NULL, &made.array));
    else
        EXPECT(!mpm_bytes_create(2 * sizeof(int64_t), NULL, &made.bytes));
    return made;
}

static int destroy(struct subject subject)
{
    return subject.which == VALUE   ? mpm_value_destroy(subject.value)
           : subject.which == ARRAY ? mpm_array_destroy(subject.array)
                                    : mpm_bytes_destroy(subject.bytes);
}

static int lock(struct subject subject, double timeout_s)
{
    return subject.which == VALUE   ? mpm_value_lock(subject.value, timeout_s)
           : subject.which == ARRAY ? mpm_array_lock(subject.array, timeout_s)
                                    : mpm_bytes_lock(subject.bytes, timeout_s);
}

static int unlock(struct subject subject)
{
    return subject.which == VALUE   ? mpm_value_unlock(subject.value)
           : subject.which == ARRAY ? mpm_array_unlock(subject.array)
                                    : mpm_bytes_unlock(subject.bytes);
}

/* Several operations, none of which adds: a value is both of its numbers. */
static void read_numbers(struct subject subject, int64_t numbers[2])
{
    if (subject.which == VALUE)
        EXPECT(!mpm_value_get(subject.value, &numbers[0]) && !mpm_value_get(subject.value, &numbers[1]));
    else if (subject.which == ARRAY)
        EXPECT(!mpm_array_read(subject.array, 0, 2, numbers));
    else
        EXPECT(!mpm_bytes_get(subject.bytes, numbers, 2 * sizeof *numbers));
}

static void write_numbers(struct subject subject, int64_t number)
{
    int64_t numbers[] = {number, number};

    if (subject.which == VALUE)
        EXPECT(!mpm_value_set(subject.value, &number));
    else if (subject.which == ARRAY)
        EXPECT(!mpm_array_set(subject.array, 0, &number) && !mpm_array_set(subject.array, 1, &number));
    else
        EXPECT(!mpm_bytes_set(subject.bytes, numbers, sizeof numbers));
}

/* Groups of operations. */

static int count_under_locks(const void *args, size_t size)
{
    const struct subject *subjects = args;

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < size / sizeof *subjects; i++) {
            int64_t numbers[2];

            EXPECT(!lock(subjects[i], PATIENCE_S));
            read_numbers(subjects[i], numbers);
            EXPECT(numbers[0] == numbers[1]);
            write_numbers(subjects[i], numbers[0] + 1);
            EXPECT(!unlock(subjects[i]));
        }
    }
    return everywhere_end();
}

static void groups_of_operations_are_undisturbed(void)
{
    unsigned count = 2 * mpm_node_count() < MOST ? 2 * mpm_node_count() : MOST;
    struct subject subjects[OBJECTS];
    mpm_process processes[MOST];
    int64_t numbers[2];

    for (unsigned i = 0; i < OBJECTS; i++)
        subjects[i] = make(i % SUBJECTS);
    for (unsigned i = 0; i < count; i++)
        processes[i] = start_on(i % mpm_node_count(), count_under_locks, subjects, sizeof subjects);
    for (unsigned i = 0; i < count; i++)
        expect_end(processes[i], 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        read_numbers(subjects[i], numbers);
        EXPECT(numbers[0] == (int64_t)count * ROUNDS);
        EXPECT(!destroy(subjects[i]));
    }
    everywhere_assert();
}

/* One that main has. */
static int find_it_locked(const void *args, size_t size)
{
    const struct subject *subject = args;
    uint64_t start_ns = clock_now_ns();

    (void)size;
    EXPECT(lock(*subject, 0) == MPM_ETIMEDOUT);
    EXPECT(lock(*subject, 0.05) == MPM_ETIMEDOUT && took(start_ns, 0.05));
    EXPECT(unlock(*subject) == MPM_EINVAL);
    return everywhere_end();
}

static int find_it_free(const void *args, size_t size)
{
    const struct subject *subject = args;

    (void)size;
    EXPECT(unlock(*subject) == MPM_EINVAL);
    EXPECT(!lock(*subject, 0) && !lock(*subject, 0));
    EXPECT(!unlock(*subject) && !unlock(*subject) && unlock(*subject) == MPM_EINVAL);
    return everywhere_end();
}

static void it_counts_and_only_its_owner_releases_it(void)
{
    for (unsigned which = VALUE; which < SUBJECTS; which++) {
        struct subject subject = make(which);

        EXPECT(unlock(subject) == MPM_EINVAL);
        run_on_each_node(find_it_free, &subject, sizeof subject);
        EXPECT(!lock(subject, 0) && !lock(subject, 0) && !unlock(subject));
        run_on_each_node(find_it_locked, &subject, sizeof subject);
        EXPECT(!unlock(subject));
        run_on_each_node(find_it_free, &subject, sizeof subject);
        EXPECT(!destroy(subject));
    }
    everywhere_assert();
}

static int die_with_it(const void *args, size_t size)
{
    (void)size;
    EXPECT(!lock(*(const struct subject *)args, PATIENCE_S));
    raise(SIGKILL);
    return 1;
}

static int take_it_from_the_dead(const void *args, size_t size)
{
    const struct subject *subject = args;

    (void)size;
    EXPECT(lock(*subject, PATIENCE_S) == MPM_EOWNERDIED);
    EXPECT(!unlock(*subject) && !lock(*subject, 0) && !unlock(*subject));
    return everywhere_end();
}

static void the_next_one_is_told_that_its_holder_died(void)
{
    for (unsigned which = VALUE; which < SUBJECTS; which++) {
        struct subject subject = make(which);

        for (unsigned node = 0; node < mpm_node_count(); node++) {
            for (unsigned next = 0; next < mpm_node_count(); next++) {
                expect_end(start_on(node, die_with_it, &subject, sizeof subject), -SIGKILL);
                expect_end(start_on(next, take_it_from_the_dead, &subject, sizeof subject), 0);
            }
        }
        EXPECT(!destroy(subject));
    }
    everywhere_assert();
}

/* Its end. */

struct farewell {
    struct subject subject;
    mpm_event has_it, is_gone;
};

static int outlive_it(const void *args, size_t size)
{
    const struct farewell *farewell = args;

    (void)size;
    EXPECT(!lock(farewell->subject, 0));
    EXPECT(!mpm_event_set(farewell->has_it) && !mpm_event_wait(farewell->is_gone, PATIENCE_S));
    EXPECT(unlock(farewell->subject) == MPM_ESTALE);
    EXPECT(lock(farewell->subject, 0) == MPM_ESTALE);
    EXPECT(lock(farewell->subject, PATIENCE_S) == MPM_ESTALE);
    return everywhere_end();
}

static int wait_for_it(const void *args, size_t size)
{
    const struct farewell *farewell = args;

    (void)size;
    EXPECT(lock(farewell->subject, PATIENCE_S) == MPM_ESTALE);
    return everywhere_end();
}

static void it_ends_with_what_it_belongs_to(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (unsigned which = VALUE; which < SUBJECTS; which++) {
            struct farewell farewell = {.subject = make(which)};
            mpm_process holder, waiter;

            EXPECT(!mpm_event_create(&farewell.has_it) && !mpm_event_create(&farewell.is_gone));
            holder = start_on(node, outlive_it, &farewell, sizeof farewell);
            EXPECT(!mpm_event_wait(farewell.has_it, PATIENCE_S));
            waiter = start_on((node + 1) % mpm_node_count(), wait_for_it, &farewell, sizeof farewell);
            EXPECT(lock(farewell.subject, 0.02) == MPM_ETIMEDOUT);
            EXPECT(!destroy(farewell.subject) && !mpm_event_set(farewell.is_gone));
            EXPECT(lock(farewell.subject, 0) == MPM_ESTALE && unlock(farewell.subject) == MPM_ESTALE);
            expect_end(holder, 0);
            expect_end(waiter, 0);
            EXPECT(!mpm_event_destroy(farewell.has_it) && !mpm_event_destroy(farewell.is_gone));
        }
    }
    everywhere_assert();
}

static void neither_cells_nor_memory_are_lost(void)
{
    struct arena_usage before, after;
    uint64_t first_place = 0;

    arena_usage(context_arena(), &before);
    for (unsigned i = 0; i < AMOUNT(2000u, 100u); i++) {
        struct subject subject = make(VALUE);

        EXPECT(!lock(subject, 0) && (i % 2 || !unlock(subject)));
        if (!i)
            first_place = subject.value.handle.place;
        EXPECT(subject.value.handle.place == first_place); /* the lowest free cell is taken */
        EXPECT(!destroy(subject));
    }
    arena_usage(context_arena(), &after);
    EXPECT(before.used_blocks == after.used_blocks);
    everywhere_assert();
}

static int name_nothing(const void *args, size_t size)
{
    mpm_value value = {{0}};
    mpm_array array = {{0}};
    mpm_bytes bytes = {{0}};
    mpm_lock other = *(const mpm_lock *)args;

    (void)size;
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(mpm_value_lock(value, 0) == MPM_EINVAL && mpm_value_unlock(value) == MPM_EINVAL);
        EXPECT(mpm_array_lock(array, 0) == MPM_EINVAL && mpm_array_unlock(array) == MPM_EINVAL);
        EXPECT(mpm_bytes_lock(bytes, 0) == MPM_EINVAL && mpm_bytes_unlock(bytes) == MPM_EINVAL);
        value.handle = array.handle = bytes.handle = other.handle;
    }
    return everywhere_end();
}

static void what_has_no_lock_is_refused(void)
{
    mpm_lock lock = {{0}};

    EXPECT(!mpm_lock_create(&lock));
    run_on_each_node(name_nothing, &lock, sizeof lock);
    EXPECT(!name_nothing(&lock, sizeof lock));
    EXPECT(!mpm_lock_destroy(lock));
    everywhere_assert();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"groups_of_operations_are_undisturbed", groups_of_operations_are_undisturbed},
        {"it_counts_and_only_its_owner_releases_it", it_counts_and_only_its_owner_releases_it},
        {"the_next_one_is_told_that_its_holder_died", the_next_one_is_told_that_its_holder_died},
        {"it_ends_with_what_it_belongs_to", it_ends_with_what_it_belongs_to},
        {"neither_cells_nor_memory_are_lost", neither_cells_nor_memory_are_lost},
        {"what_has_no_lock_is_refused", what_has_no_lock_is_refused},
    };
    int status;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("own_lock", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
