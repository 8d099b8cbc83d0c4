/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true when a worker is killed at any point of its work: while it enters a lease, claims, runs items, notes
 * failures and their long texts, makes pages, takes a single call, answers it, and retires. A pool of its own for each
 * point, whose first workers die there: all results are right, or the failure is that of the item that the dead one was
 * in, with as many attempts as it had; nothing hangs, the counts are true, and the arena gets back all: what maps and
 * calls have had when they have ended, the rest with the pool.
 *
 * Workers count on from their initializer; the first ones that reach the point are the victims, whoever does most of
 * the work. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "support/child.h"
#include "support/node.h"
#include "support/suite.h"

#define ITEMS       12u
#define CALLS       6u
#define LEAF        3u /* of a reduction */
#define MOST_POINTS 5000ul
#define QUIET       20ul /* so many targets in a row that no victim has reached: there are no more */

unsigned long kill_point_count, kill_point_target;

/* Shared by all processes. */
static struct shared {
    unsigned long target;     /* of those who are to die */
    _Atomic unsigned victims; /* who are still to die */
    _Atomic unsigned deaths;
    _Atomic unsigned begun[ITEMS];
    bool every_item_fails;
    bool has_long_texts; /* an item that fails says more than fits into a note */
} * shared;

__attribute__((visibility("default"))) void kill_point_reached(void)
{
    unsigned victims = atomic_load(&shared->victims);

    while (victims) {
        if (atomic_compare_exchange_weak(&shared->victims, &victims, victims - 1)) {
            atomic_fetch_add(&shared->deaths, 1);
            kill(getpid(), SIGKILL);
        }
    }
}

#define EXPECT(condition) expect(condition, #condition, __LINE__)

static bool is_right;
static const char *searched;

static void expect(bool is_so, const char *condition, int line)
{
    if (is_so)
        return;
    is_right = false;
    fprintf(stderr, "%s, killed at point %lu, line %d: not so: %s (%.300s)\n", searched, shared->target, line,
            condition, mpm_error());
}

/* In the workers. */

static int count_points(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)call;
    (void)argument;
    (void)argument_size;
    (void)state;
    kill_point_count = 0;
    kill_point_target = shared->target;
    return 0;
}

static bool item_fails(uint64_t item)
{
    return shared->every_item_fails || item % 4 == 1;
}

#define LONG_TEXT 3000

/* What an item says that fails of itself. */
static void word(size_t index, char text[LONG_TEXT])
{
    int length = snprintf(text, LONG_TEXT, "no %zu", index);

    if (!shared->has_long_texts)
        return;
    memset(text + length, 'a' + (int)index, (size_t)(LONG_TEXT - 1 - length));
    text[LONG_TEXT - 1] = 0;
}

static int fail(mpm_call *call)
{
    char text[LONG_TEXT];

    word(mpm_call_index(call), text);
    return mpm_fail(call, "%s", text) + 10;
}

static int square(mpm_call *call, const void *item, void *result)
{
    uint64_t index = mpm_call_index(call), squared = index * index + 1;

    (void)item;
    atomic_fetch_add(&shared->begun[index], 1);
    memcpy(result, &squared, sizeof squared);
    return item_fails(index) ? fail(call) : 0;
}

static size_t length_of(uint64_t item)
{
    return item % 5 * (item % 3) * 900;
}

/* In two steps, so that pages are made, and left for larger ones. */
static int repeat(mpm_call *call, const void *item, void *result)
{
    uint64_t index = mpm_call_index(call);
    char *room;

    (void)item;
    (void)result;
    atomic_fetch_add(&shared->begun[index], 1);
    if (!mpm_call_blob(call, length_of(index) / 2) || !(room = mpm_call_blob(call, length_of(index))))
        return 1;
    memset(room, 'a' + (int)index, length_of(index));
    return item_fails(index) ? fail(call) : 0;
}

/* An item of a program that goes on in steps: nothing fails by itself, and the number of the step is in the result. */
static int step_square(mpm_call *call, const void *item, void *result)
{
    uint64_t index = mpm_call_index(call);

    (void)item;
    atomic_fetch_add(&shared->begun[index], 1);
    *(uint64_t *)result = index * index + *(const uint64_t *)mpm_call_context(call);
    return 0;
}

/* Turns the bytes of the item round. Of more than a few, so that all places of a cell are used. */
static int turn(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);

    for (size_t i = 0; i < size; i++)
        ((char *)result)[i] = ((const char *)item)[size - 1 - i];
    return size % 2 ? fail(call) : 0;
}

/* Adds its index to a number that neither commutes nor associates. */
static int gather(mpm_call *call, const void *item, void *state)
{
    uint64_t index = mpm_call_index(call);

    (void)item;
    atomic_fetch_add(&shared->begun[index], 1);
    if (item_fails(index))
        return fail(call);
    *(uint64_t *)state = *(uint64_t *)state * 31 + index;
    return 0;
}

/* In main. */

/* How the workers are to die. */
struct fate {
    unsigned attempts, victims;
};

static struct fate fate;

/* Failures that cost an item, and attempts that cost none: no more than there were deaths. */
static struct {
    unsigned done, failed, blamed, retried;
} counted;

static bool is_a_death(const mpm_failure *failure)
{
    return failure->cause == MPM_CAUSE_SIGNAL && failure->code == SIGKILL &&
           strstr(failure->text, "its worker was killed by SIGKILL") != NULL;
}

/* In a reduction, where an item is run again for the others of its leaf. */
static bool runs_leaves;

/* An item has cost workers that had begun it, or were just about to. */
static void check_failure(const mpm_failure *failure)
{
    unsigned begun = atomic_load(&shared->begun[failure->index]), deaths = atomic_load(&shared->deaths);
    char text[LONG_TEXT];

    EXPECT((failure->attempts >= begun || runs_leaves) && failure->attempts <= begun + deaths);
    counted.failed++;
    if (is_a_death(failure)) {
        EXPECT(failure->attempts == fate.attempts);
        counted.blamed += failure->attempts;
        counted.retried += failure->attempts - 1;
        return;
    }
    word(failure->index, text);
    EXPECT(item_fails(failure->index));
    EXPECT(failure->cause == MPM_CAUSE_TASK && failure->code == 11);
    EXPECT(!strcmp(failure->text, text));
    EXPECT(failure->attempts >= 1);
    counted.blamed += failure->attempts - 1;
    counted.retried += failure->attempts - 1;
}

static const mpm_failure *find_failure(const mpm_failure *failures, size_t count, uint64_t item)
{
    for (size_t i = 0; i < count; i++) {
        if (failures[i].index == item)
            return &failures[i];
    }
    return NULL;
}

/* Checks the failures of a map, and counts its items. */
static void check_items(const mpm_failure *failures, size_t count, bool (*is_good)(uint64_t, const void *),
                        const void *results)
{
    unsigned listed = 0;

    for (uint64_t item = 0; item < ITEMS; item++) {
        const mpm_failure *failure = find_failure(failures, count, item);

        EXPECT(atomic_load(&shared->begun[item]) <= 1 + atomic_load(&shared->deaths));
        if (failure) {
            check_failure(failure);
            listed++;
            continue;
        }
        EXPECT(!item_fails(item));
        EXPECT(is_good(item, results));
        counted.done++;
    }
    EXPECT(listed == count);
}

static bool is_squared(uint64_t item, const void *results)
{
    return ((const uint64_t *)results)[item] == item * item + 1;
}

static void map_with_chunk(mpm_pool *pool, size_t chunk)
{
    uint64_t results[ITEMS] = {0};
    size_t failure_count = 0;
    mpm_failure *failures = NULL;
    mpm_map_options options = {.chunk = chunk, .failures = &failures, .failure_count = &failure_count};

    EXPECT(mpm_pool_map(pool, square, NULL, ITEMS, 0, sizeof *results, &options, results) == MPM_ETASK);
    check_items(failures, failure_count, is_squared, results);
    free(failures);
}

static void map_one_by_one(mpm_pool *pool)
{
    map_with_chunk(pool, 1);
}

static void map_in_chunks(mpm_pool *pool)
{
    map_with_chunk(pool, 5);
}

static void map_as_it_comes(mpm_pool *pool)
{
    map_with_chunk(pool, 0);
}

static void check_step(uint64_t step, size_t width, const uint64_t *results, const mpm_failure *failures,
                       size_t failure_count)
{
    for (uint64_t item = 0; item < width; item++) {
        const mpm_failure *failure = find_failure(failures, failure_count, item);

        EXPECT(atomic_load(&shared->begun[item]) <= 1 + atomic_load(&shared->deaths));
        atomic_store(&shared->begun[item], 0);
        counted.done += !failure;
        EXPECT(results[item] == (failure ? 0 : item * item + step));
    }
    for (size_t i = 0; i < failure_count; i++) {
        EXPECT(is_a_death(&failures[i]) && failures[i].attempts == fate.attempts);
        counted.failed++;
        counted.blamed += fate.attempts;
        counted.retried += fate.attempts - 1;
    }
}

/* Maps of the same shape use the same memory one after the other, and so do others if it suits them. */
static void map_in_steps(mpm_pool *pool)
{
    static const size_t widths[] = {ITEMS, ITEMS, ITEMS, 2, 2, ITEMS};

    for (uint64_t step = 0; step < sizeof widths / sizeof *widths; step++) {
        uint64_t results[ITEMS] = {0};
        size_t failure_count = 0;
        mpm_failure *failures = NULL;
        mpm_map_options options = {.context = &step,
                                   .context_size = sizeof step,
                                   .failures = &failures,
                                   .failure_count = &failure_count};
        int status = mpm_pool_map(pool, step_square, NULL, widths[step], 0, sizeof *results, &options,
                                  results);

        EXPECT(status == (failure_count ? MPM_ETASK : MPM_OK));
        check_step(step, widths[step], results, failures, failure_count);
        free(failures);
    }
}

static bool is_repeated(uint64_t item, const void *results)
{
    const mpm_blob *blob = (const mpm_blob *)results + item;

    for (size_t i = 0; i < blob->size; i++) {
        if (((const char *)blob->bytes)[i] != 'a' + (int)item)
            return false;
    }
    return blob->size == length_of(item);
}

static void map_blobs(mpm_pool *pool)
{
    mpm_blob items[ITEMS], *results = NULL;
    size_t failure_count = 0;
    mpm_failure *failures = NULL;
    mpm_map_options options = {.failures = &failures, .failure_count = &failure_count};

    for (unsigned i = 0; i < ITEMS; i++)
        items[i] = (mpm_blob){"item", 4};
    EXPECT(mpm_pool_map_blobs(pool, repeat, items, ITEMS, &options, &results) == MPM_ETASK);
    if (results)
        check_items(failures, failure_count, is_repeated, results);
    EXPECT(results != NULL);
    mpm_blobs_free(results);
    free(failures);
}

static void unite(void *state, const void *later, const void *context)
{
    (void)context;
    *(uint64_t *)state = *(uint64_t *)state * 1000003 + *(const uint64_t *)later * 7 + 1;
}

/* The state of the leaves, of those items that have not failed. */
static uint64_t gathered(const mpm_failure *failures, size_t count)
{
    uint64_t leaf[ITEMS / LEAF] = {0};

    for (uint64_t item = 0; item < ITEMS; item++)
        if (!find_failure(failures, count, item))
            leaf[item / LEAF] = leaf[item / LEAF] * 31 + item;
    for (size_t width = ITEMS / LEAF; width > 1; width /= 2)
        for (size_t i = 0; i < width / 2; i++) {
            leaf[i] = leaf[2 * i];
            unite(&leaf[i], &leaf[2 * i + 1], NULL);
        }
    return leaf[0];
}

static void reduce(mpm_pool *pool)
{
    uint64_t items[ITEMS] = {0}, state = 0;
    size_t failure_count = 0;
    mpm_failure *failures = NULL;
    const mpm_reduction reduction = {.accumulate = gather,
                                     .combine = unite,
                                     .item_size = sizeof *items,
                                     .state_size = sizeof state,
                                     .leaf = LEAF,
                                     .failures = &failures,
                                     .failure_count = &failure_count};

    EXPECT(mpm_pool_reduce(pool, &reduction, items, ITEMS, &state) == MPM_ETASK);
    runs_leaves = true;
    for (size_t i = 0; i < failure_count; i++)
        check_failure(&failures[i]);
    runs_leaves = false;
    EXPECT(state == gathered(failures, failure_count));
    for (uint64_t item = 0; item < ITEMS; item++)
        EXPECT(!item_fails(item) || find_failure(failures, failure_count, item));
    counted.done = ITEMS / LEAF;
    free(failures);
}

/* A call of an odd size fails. */
static void call_once(mpm_pool *pool, size_t size)
{
    char *item = malloc(size), *result = calloc(1, size), text[LONG_TEXT];
    int status;

    word(0, text);
    for (size_t i = 0; i < size; i++)
        item[i] = (char)(i % 251);
    status = mpm_pool_apply(pool, turn, item, size, size, result);
    counted.failed += status != MPM_OK;
    counted.done += status == MPM_OK;
    if (status && strstr(mpm_error(), "its worker was killed by SIGKILL")) {
        EXPECT(status == MPM_ETASK);
        counted.blamed += fate.attempts;
        counted.retried += fate.attempts - 1;
    } else if (size % 2) {
        EXPECT(status == MPM_ETASK && error_has("the call failed: no 0") && error_has(text));
    } else {
        EXPECT(status == MPM_OK);
        for (size_t i = 0; i < size; i++)
            EXPECT(result[i] == item[size - 1 - i]);
    }
    free(item);
    free(result);
}

static void make_calls(mpm_pool *pool)
{
    static const size_t sizes[CALLS] = {8, 9, 300, 301, 5000, 5001};

    for (unsigned i = 0; i < CALLS; i++)
        call_once(pool, sizes[i]);
}

/* The search. */

static const struct operation {
    const char *name;
    void (*run)(mpm_pool *pool);
    size_t tasks; /* of a worker; 0: any number */
    bool every_item_fails, has_long_texts;
    unsigned kept; /* blocks of memory that a map may leave for the next one */
} operations[] = {
    {"a map, one item at a time", map_one_by_one, 0, false, false, 0},
    {"a map in chunks", map_in_chunks, 0, false, false, 0},
    {"a map in chunks as it comes", map_as_it_comes, 0, false, false, 0},
    {"a map that fails wholly", map_one_by_one, 0, true, false, 0},
    {"a map whose workers are replaced", map_as_it_comes, 3, false, false, 0},
    {"a map with long texts", map_in_chunks, 0, true, true, 0},
    {"a map with long texts whose workers are replaced", map_as_it_comes, 3, false, true, 0},
    {"a map of blobs", map_blobs, 0, false, false, 0},
    {"maps one after the other", map_in_steps, 0, false, false, 2},
    {"maps one after the other whose workers are replaced", map_in_steps, 4, false, false, 2},
    {"a reduction", reduce, 0, false, false, 0},
    {"a reduction whose workers are replaced", reduce, 2, false, false, 0},
    {"single calls", make_calls, 0, false, false, 0},
    {"single calls with long texts", make_calls, 0, false, true, 0},
    {"single calls to workers that are replaced", make_calls, 2, false, false, 0},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static void check_counts(mpm_pool *pool)
{
    unsigned deaths = atomic_load(&shared->deaths);
    mpm_stats *stats = NULL;

    EXPECT(counted.blamed <= deaths);
    EXPECT(!mpm_pool_stats(pool, &stats));
    if (!stats)
        return;
    EXPECT(stats->all.done == counted.done);
    EXPECT(stats->all.failed == counted.failed);
    EXPECT(stats->all.retried >= counted.retried && stats->all.retried <= deaths);
    free(stats);
}

/* Whether the point was reached. */
static bool run_to_target(const struct operation *operation, unsigned workers, unsigned long target)
{
    mpm_pool_options options = {.workers = workers,
                                .max_attempts = fate.attempts,
                                .max_tasks_per_worker = operation->tasks,
                                .initializer = count_points};
    size_t blocks = node_blocks_in_use();
    mpm_pool *pool = NULL;

    memset(shared, 0, sizeof *shared);
    memset(&counted, 0, sizeof counted);
    shared->target = target;
    shared->every_item_fails = operation->every_item_fails;
    shared->has_long_texts = operation->has_long_texts;
    atomic_store(&shared->victims, fate.victims);
    EXPECT(!mpm_pool_open(&options, &pool));
    if (pool) {
        size_t of_pool = node_blocks_in_use();

        operation->run(pool);
        check_counts(pool);
        EXPECT(node_is_left_with(of_pool + operation->kept,
                                 UINT_MAX)); /* what the dead have left goes a little later */
    }
    mpm_pool_close(pool);
    EXPECT(!arena_check(context_arena()));
    EXPECT(node_blocks_in_use() == blocks);
    return atomic_load(&shared->deaths) > 0;
}

static unsigned long search(const struct operation *operation, unsigned workers)
{
    unsigned long points = 0, quiet = 0;

    searched = operation->name;
    for (unsigned long target = 1; is_right && target < MOST_POINTS && quiet < QUIET; target++) {
        bool was_reached = run_to_target(operation, workers, target);

        points += was_reached;
        quiet = was_reached ? 0 : quiet + 1;
    }
    EXPECT(quiet == QUIET);
    EXPECT(points >= 20);
    return points;
}

/* Has the run make what it keeps: that is not to count as lost. */
static void warm_up(void)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL(mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool), MPM_OK);
    mpm_pool_close(pool);
}

/* By one worker, who does all in one order, and by two. */
static void search_all(unsigned attempts, unsigned victims)
{
    unsigned long points = 0;

    is_right = true;
    warm_up();
    fate = (struct fate){attempts, victims};
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (size_t i = 0; is_right && i < OPERATIONS; i++)
            points += search(&operations[i], workers);
    }
    CU_ASSERT(is_right);
    printf("%lu points searched … ", points);
}

static void a_death_at_any_point_costs_an_attempt_at_most(void)
{
    search_all(2, 1);
}

static void two_deaths_at_any_point_cost_two_attempts_at_most(void)
{
    search_all(3, 2);
}

static void a_death_at_the_last_attempt_is_blamed_on_its_item_only(void)
{
    search_all(1, 1);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_death_at_any_point_costs_an_attempt_at_most", a_death_at_any_point_costs_an_attempt_at_most},
        {"two_deaths_at_any_point_cost_two_attempts_at_most",
         two_deaths_at_any_point_cost_two_attempts_at_most},
        {"a_death_at_the_last_attempt_is_blamed_on_its_item_only",
         a_death_at_the_last_attempt_is_blamed_on_its_item_only},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    shared = child_memory(sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("pool_kill", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
