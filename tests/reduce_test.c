/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions over memory, at home and over virtual nodes: the bits of a result are those of the documented tree,
 * computed here by the simplest code, whatever the workers, and whoever dies. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/suite.h"

#define COUNT   AMOUNT(60000u, 6000u)
#define LEAF    512u
#define LARGE   ((size_t)3 << 20)
#define CRASHES 1e300 /* an item that is this kills its worker, as is the next one that fails */
#define FAILS   1e301
#define HANGS   1e302

struct sum {
    double sum, squares;
    uint64_t items;
    uint64_t order; /* of all that was done: it neither commutes nor associates */
};

static mpm_pool *open_pool(const mpm_pool_options *options)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(options, &pool), MPM_OK);
    return pool;
}

static double number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(int64_t)(*seed >> 11) / (double)(UINT64_C(1) << 53) - 0.5;
}

/* Numbers of very different sizes that nearly cancel: any other order of adding them has another sum. */
static double *make_numbers(size_t count)
{
    double *numbers = malloc((count + 1) * sizeof *numbers);
    uint64_t seed = 13;

    for (size_t i = 0; i < count; i++) {
        double size = number(&seed) * 60;

        numbers[i] = i % 2 ? -numbers[i - 1] * (1 + number(&seed) * 1e-7)
                           : number(&seed) * __builtin_exp(size);
    }
    return numbers;
}

static void add_number(struct sum *state, double x)
{
    state->sum += x;
    state->squares += x * x;
    state->items++;
    state->order = state->order * 31 + (uint64_t)(x > 0);
}

static int accumulate(mpm_call *call, const void *item, void *state)
{
    double x = *(const double *)item;

    if (x == CRASHES)
        raise(mpm_call_index(call) % 2 ? SIGSEGV : SIGABRT);
    while (x == HANGS)
        pause();
    if (x == FAILS)
        return mpm_fail(call, "item %zu of %zu bytes", mpm_call_index(call), mpm_call_item_size(call));
    add_number(state, x);
    return 0;
}

static void combine(void *state, const void *later, const void *context)
{
    struct sum *sum = state;
    const struct sum *other = later;

    (void)context;
    sum->sum += other->sum;
    sum->squares += other->squares;
    sum->items += other->items;
    sum->order = sum->order * 1000003 + other->order * 7 + 1;
}

static bool is_left_out(double x)
{
    return x == CRASHES || x == FAILS || x == HANGS;
}

/* The tree over leaves [first, first + count): the earlier part is the largest power of two that is less than all. */
static struct sum expected_of(const double *numbers, size_t count, size_t leaf, size_t first, size_t leaves)
{
    struct sum sum = {0}, later;
    size_t earlier = 1;

    if (leaves == 1) {
        for (size_t i = first * leaf; i < (first + 1) * leaf && i < count; i++)
            if (!is_left_out(numbers[i]))
                add_number(&sum, numbers[i]);
        return sum;
    }
    while (earlier * 2 < leaves)
        earlier *= 2;
    sum = expected_of(numbers, count, leaf, first, earlier);
    later = expected_of(numbers, count, leaf, first + earlier, leaves - earlier);
    combine(&sum, &later, NULL);
    return sum;
}

static struct sum expected(const double *numbers, size_t count, size_t leaf)
{
    return expected_of(numbers, count, leaf, 0, (count + leaf - 1) / leaf);
}

static const mpm_reduction plain = {.accumulate = accumulate,
                                    .combine = combine,
                                    .item_size = sizeof(double),
                                    .state_size = sizeof(struct sum),
                                    .leaf = LEAF};

static void check_sum(mpm_pool *pool, const mpm_reduction *reduction, const double *numbers, size_t count)
{
    struct sum sum, wanted = expected(numbers, count, reduction->leaf);

    memset(&sum, 0x55, sizeof sum);
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, reduction, numbers, count, &sum), MPM_OK);
    CU_ASSERT_EQUAL(memcmp(&sum, &wanted, sizeof sum), 0);
}

static void the_bits_are_those_of_the_tree_whatever_the_workers(void)
{
    static const unsigned workers[] = {1, 2, 5};
    double *numbers = make_numbers(COUNT);
    struct sum in_order = expected(numbers, COUNT, COUNT), in_tree = expected(numbers, COUNT, LEAF);
    void *shared;

    CU_ASSERT_NOT_EQUAL(memcmp(&in_order, &in_tree, sizeof in_tree), 0); /* another order would show */
    CU_ASSERT_EQUAL_FATAL(mpm_alloc(COUNT * sizeof *numbers, &shared), MPM_OK);
    memcpy(shared, numbers, COUNT * sizeof *numbers);
    for (size_t i = 0; i < 3; i++) {
        mpm_pool *pool = open_pool(
            &(mpm_pool_options){.workers = workers[i], .max_tasks_per_worker = i == 1 ? 20 : 0});

        for (size_t leaf = 1; leaf <= COUNT * 2; leaf = leaf * 5 + 2) {
            mpm_reduction reduction = plain;

            reduction.leaf = leaf;
            check_sum(pool, &reduction, numbers, leaf < 10 ? COUNT / 50 : COUNT);
        }
        check_sum(pool, &plain, shared, COUNT);
        mpm_pool_close(pool);
    }
    mpm_free(shared);
    free(numbers);
}

/* The leaf that the header says. */
static void the_default_leaf_follows_from_the_number_of_items_alone(void)
{
    static const struct {
        size_t count, leaf;
    } cases[] = {{1, 1}, {2, 1}, {4096, 1}, {4097, 2}, {20001, 8}};
    double *numbers = make_numbers(20001);
    mpm_pool *pool = open_pool(NULL);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mpm_reduction reduction = plain;
        struct sum sum, wanted = expected(numbers, cases[i].count, cases[i].leaf);

        reduction.leaf = 0;
        CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, cases[i].count, &sum), MPM_OK);
        CU_ASSERT_EQUAL(memcmp(&sum, &wanted, sizeof sum), 0);
    }
    mpm_pool_close(pool);
    free(numbers);
}

static const double start_value = 7;

static void begin_sum(void *state, const void *context)
{
    struct sum *sum = state;

    sum->squares = context ? *(const double *)context : -1;
}

static void finish_sum(void *state, const void *context)
{
    ((struct sum *)state)->items += context ? 1000 : 2000;
}

static void no_items_have_the_state_of_none(void)
{
    const struct sum initial = {.sum = start_value};
    mpm_failure *failures = (mpm_failure *)&failures;
    size_t count = 9;
    mpm_reduction reduction = plain;
    mpm_pool *pool = open_pool(NULL);
    struct sum sum;

    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, NULL, 0, &sum), MPM_OK);
    CU_ASSERT(sum.sum == 0 && sum.squares == 0 && sum.items == 0);
    reduction.initial = &initial;
    reduction.init = begin_sum;
    reduction.finalize = finish_sum;
    reduction.failures = &failures;
    reduction.failure_count = &count;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, NULL, 0, &sum), MPM_OK);
    CU_ASSERT(sum.sum == 7 && sum.squares == -1 && sum.items == 2000);
    CU_ASSERT(!failures && !count);
    mpm_pool_close(pool);
}

static void each_leaf_begins_with_the_initial_state_and_init(void)
{
    const struct sum initial = {.sum = start_value};
    const double square = 3;
    double numbers[100] = {0};
    mpm_reduction reduction = plain;
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 3});
    struct sum sum;

    reduction.initial = &initial;
    reduction.init = begin_sum;
    reduction.finalize = finish_sum;
    reduction.context = &square;
    reduction.context_size = sizeof square;
    reduction.leaf = 30;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, 100, &sum), MPM_OK);
    CU_ASSERT(sum.sum == 4 * 7 && sum.squares == 4 * 3 && sum.items == 100 + 1000);
    mpm_pool_close(pool);
}

/* Four sums at once, as vector code has it: another order within a block than one by one. */
static int accumulate_block(mpm_call *call, const void *items, size_t count, void *state)
{
    const double *numbers = items;
    struct sum part[4] = {{0}};

    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == CRASHES)
            abort();
        if (numbers[i] == FAILS)
            return mpm_fail(call, "the block at %zu has a %g", mpm_call_index(call), numbers[i]);
        add_number(&part[i % 4], numbers[i]);
    }
    for (size_t i = 0; i < 4; i++)
        combine(state, &part[i], NULL);
    return 0;
}

static const mpm_reduction blocks = {.accumulate_block = accumulate_block,
                                     .combine = combine,
                                     .item_size = sizeof(double),
                                     .state_size = sizeof(struct sum),
                                     .leaf = 1000,
                                     .block = 64};

static void blocks_have_the_same_bits_whatever_the_workers(void)
{
    double *numbers = make_numbers(COUNT);
    struct sum first = {0}, sum;

    for (unsigned workers = 1; workers <= 5; workers += 2) {
        mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = workers});

        CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &blocks, numbers, COUNT, &sum), MPM_OK);
        if (workers == 1)
            first = sum;
        CU_ASSERT_EQUAL(memcmp(&sum, &first, sizeof sum), 0);
        CU_ASSERT_EQUAL(sum.items, COUNT);
        mpm_pool_close(pool);
    }
    free(numbers);
}

static void a_block_fails_as_a_whole(void)
{
    double *numbers = make_numbers(3100);
    mpm_failure *failures;
    size_t count;
    mpm_reduction reduction = blocks;
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 2});
    struct sum sum;

    numbers[130] = FAILS;    /* in the block [128, 192) */
    numbers[1999] = CRASHES; /* in the block [1960, 2000), the last one of its leaf */
    reduction.failures = &failures;
    reduction.failure_count = &count;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, 3100, &sum), MPM_ETASK);
    CU_ASSERT(
        error_has("2 of 50 blocks of items failed; the first is item 128: the block at 128 has a 1e+301"));
    CU_ASSERT_EQUAL(sum.items, 3100 - 64 - 40);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT(failures[0].index == 128 && failures[0].cause == MPM_CAUSE_TASK);
    CU_ASSERT(failures[1].index == 1960 && failures[1].cause == MPM_CAUSE_SIGNAL &&
              failures[1].attempts == 2);
    free(failures);
    mpm_pool_close(pool);
    free(numbers);
}

static void check_failure(const mpm_failure *failure, const double *numbers)
{
    if (numbers[failure->index] == FAILS) {
        char text[64];

        snprintf(text, sizeof text, "item %llu of 8 bytes", (unsigned long long)failure->index);
        CU_ASSERT(failure->cause == MPM_CAUSE_TASK && failure->code == 1);
        CU_ASSERT_STRING_EQUAL(failure->text, text);
    } else if (numbers[failure->index] == CRASHES) {
        CU_ASSERT(failure->cause == MPM_CAUSE_SIGNAL && failure->attempts == 2);
        CU_ASSERT_EQUAL(failure->code, failure->index % 2 ? SIGSEGV : SIGABRT);
    } else {
        CU_ASSERT(numbers[failure->index] == HANGS && failure->cause == MPM_CAUSE_TIME);
    }
}

/* With items that crash, fail or hang: they are left out, and listed; the bits are those of the others. */
static void an_item_that_fails_is_left_out(void)
{
    static const struct {
        size_t item;
        double what;
    } bad[] = {{0, CRASHES}, {1, FAILS},     {511, CRASHES}, {512, CRASHES},
               {700, FAILS}, {701, CRASHES}, {3333, HANGS},  {COUNT - 1, CRASHES}};
    const size_t bad_count = sizeof bad / sizeof bad[0];
    double *numbers = make_numbers(COUNT);
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 3, .item_timeout_s = 2});
    mpm_failure *failures;
    size_t count;
    mpm_reduction reduction = plain;
    struct sum sum, wanted;

    for (size_t i = 0; i < bad_count; i++)
        numbers[bad[i].item] = bad[i].what;
    wanted = expected(numbers, COUNT, LEAF);
    reduction.failures = &failures;
    reduction.failure_count = &count;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, COUNT, &sum), MPM_ETASK);
    CU_ASSERT(error_has("8 of"));
    CU_ASSERT(error_has("items failed; the first is item 0: its worker"));
    CU_ASSERT_EQUAL(memcmp(&sum, &wanted, sizeof sum), 0);
    CU_ASSERT_EQUAL_FATAL(count, bad_count);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(failures[i].index, bad[i].item);
        check_failure(&failures[i], numbers);
    }
    free(failures);
    mpm_pool_close(pool);
    free(numbers);
}

static void very_many_that_fail_are_counted(void)
{
    double *numbers = make_numbers(COUNT);
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 2});
    mpm_reduction reduction = plain;
    struct sum sum, wanted;
    char text[64];

    for (size_t i = 0; i < COUNT; i += 3)
        numbers[i] = FAILS;
    wanted = expected(numbers, COUNT, LEAF);
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, COUNT, &sum), MPM_ETASK);
    snprintf(text, sizeof text, "%u of %u items failed; the first is item 0: item 0", COUNT / 3, COUNT);
    CU_ASSERT(error_has(text));
    CU_ASSERT_EQUAL(memcmp(&sum, &wanted, sizeof sum), 0);
    reduction.max_failures = 10;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, COUNT, &sum), MPM_ECANCELED);
    mpm_pool_close(pool);
    free(numbers);
}

/* How many items this worker has left to live. */
static int accumulate_and_die(mpm_call *call, const void *item, void *state)
{
    static int64_t left = -1;
    struct timespec now;

    if (left < 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        left = (int64_t)(LEAF + (uint64_t)(now.tv_nsec / 1000 + getpid() * 7919) % (16 * LEAF));
    }
    if (!left--)
        raise(getpid() % 2 ? SIGKILL : SIGTERM);
    return accumulate(call, item, state);
}

static void workers_that_die_at_any_item_change_no_bit(void)
{
    double *numbers = make_numbers(COUNT);
    mpm_reduction reduction = plain;

    reduction.accumulate = accumulate_and_die;
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = workers, .max_attempts = 1000000});

        for (int i = 0; i < AMOUNT(3, 1); i++)
            check_sum(pool, &reduction, numbers, COUNT);
        mpm_pool_close(pool);
    }
    free(numbers);
}

static void die(void *state, const void *context)
{
    (void)state, (void)context;
    abort();
}

static void an_init_function_that_crashes_ends_it(void)
{
    double numbers[100] = {0};
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 2});
    mpm_reduction reduction = plain;
    struct sum sum;

    reduction.init = die;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, numbers, 100, &sum), MPM_EWORKER);
    CU_ASSERT(error_has("look at the init function"));
    check_sum(pool, &plain, numbers, 100);
    mpm_pool_close(pool);
}

static int count_bytes(mpm_call *call, const void *item, void *state)
{
    const uint32_t *value = item;
    unsigned char *bytes = state;

    (void)call;
    for (size_t i = *value; i < LARGE; i += 4096)
        bytes[i] += 1;
    return 0;
}

static void add_bytes(void *state, const void *later, const void *context)
{
    unsigned char *bytes = state;
    const unsigned char *other = later;

    (void)context;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] += other[i];
}

static void a_state_may_be_large(void)
{
    const mpm_reduction reduction = {
        .accumulate = count_bytes, .combine = add_bytes, .item_size = 4, .state_size = LARGE, .leaf = 2};
    uint32_t values[100];
    unsigned char *state = malloc(LARGE), wrong = 0;
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 3});

    for (uint32_t i = 0; i < 100; i++)
        values[i] = i;
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, values, 100, state), MPM_OK);
    for (size_t i = 0; i < LARGE; i++)
        wrong |= state[i] != (i % 4096 < 100);
    CU_ASSERT_EQUAL(wrong, 0);
    mpm_pool_close(pool);
    free(state);
}

static struct {
    uint64_t last, total;
    bool fell;
} seen;

static void see(const mpm_progress *now, void *argument)
{
    (void)argument;
    seen.fell |= now->done < seen.last;
    seen.last = now->done;
    seen.total = now->total;
}

static void progress_counts_items(void)
{
    double *numbers = make_numbers(COUNT);
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 2});
    mpm_reduction reduction = plain;

    reduction.progress = see;
    reduction.leaf = 1111;
    check_sum(pool, &reduction, numbers, COUNT);
    CU_ASSERT(seen.last == COUNT && seen.total == COUNT && !seen.fell);
    mpm_pool_close(pool);
    free(numbers);
}

/* Of a process: two workers, one of which dies in an item. */
static int reduce_here(const void *args, size_t size)
{
    double *numbers = make_numbers(COUNT);
    struct sum sum, wanted;
    mpm_pool *pool;
    int status;

    (void)args, (void)size;
    numbers[700] = CRASHES;
    wanted = expected(numbers, COUNT, LEAF);
    if (mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool))
        return mpm_report_error();
    status = mpm_pool_reduce(pool, &plain, numbers, COUNT, &sum);
    mpm_pool_close(pool);
    free(numbers);
    return status == MPM_ETASK && !memcmp(&sum, &wanted, sizeof sum) ? 0 : mpm_report_error();
}

static void a_process_may_reduce(void)
{
    mpm_process_options options = {.place = MPM_ON_NODE(mpm_node_count() - 1)};
    mpm_process process;
    int code = 1;

    CU_ASSERT_EQUAL_FATAL(mpm_process_start(reduce_here, NULL, 0, &options, &process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_exitcode(process, &code), MPM_OK);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
}

static void refuse(mpm_pool *pool, const mpm_reduction *reduction, const void *items, size_t count,
                   const char *words)
{
    struct sum sum;

    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, reduction, items, count, &sum), MPM_EINVAL);
    CU_ASSERT(error_has("mpm_pool_reduce: "));
    CU_ASSERT(error_has(words));
}

static void what_cannot_be_is_refused(void)
{
    double x = 1;
    mpm_pool *pool = open_pool(&(mpm_pool_options){.workers = 1});
    mpm_reduction wrong[] = {plain, plain, plain, plain, plain, plain, plain, plain};
    static const char *const words[] = {"one of accumulate", "one of accumulate", "combine", "state of 0",
                                        "state of",          "item_size",         "leaf of", "context"};

    wrong[0].accumulate = NULL;
    wrong[1].accumulate_block = accumulate_block;
    wrong[2].combine = NULL;
    wrong[3].state_size = 0;
    wrong[4].state_size = SIZE_MAX;
    wrong[5].item_size = 0;
    wrong[6].leaf = SIZE_MAX;
    wrong[7].context_size = 1;
    for (size_t i = 0; i < 8; i++)
        refuse(pool, &wrong[i], &x, 1, words[i]);
    refuse(pool, NULL, &x, 1, "the reduction is NULL");
    refuse(pool, &plain, NULL, 1, "items is NULL");
    refuse(pool, &plain, &x, SIZE_MAX, "more than any memory holds");
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &plain, &x, 1, NULL), MPM_EINVAL);
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"the_bits_are_those_of_the_tree_whatever_the_workers",
         the_bits_are_those_of_the_tree_whatever_the_workers},
        {"the_default_leaf_follows_from_the_number_of_items_alone",
         the_default_leaf_follows_from_the_number_of_items_alone},
        {"no_items_have_the_state_of_none", no_items_have_the_state_of_none},
        {"each_leaf_begins_with_the_initial_state_and_init",
         each_leaf_begins_with_the_initial_state_and_init},
        {"blocks_have_the_same_bits_whatever_the_workers", blocks_have_the_same_bits_whatever_the_workers},
        {"a_block_fails_as_a_whole", a_block_fails_as_a_whole},
        {"an_item_that_fails_is_left_out", an_item_that_fails_is_left_out},
        {"very_many_that_fail_are_counted", very_many_that_fail_are_counted},
        {"workers_that_die_at_any_item_change_no_bit", workers_that_die_at_any_item_change_no_bit},
        {"an_init_function_that_crashes_ends_it", an_init_function_that_crashes_ends_it},
        {"a_state_may_be_large", a_state_may_be_large},
        {"progress_counts_items", progress_counts_items},
        {"a_process_may_reduce", a_process_may_reduce},
        {"what_cannot_be_is_refused", what_cannot_be_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("reduce", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
