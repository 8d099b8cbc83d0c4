/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps over items of any length, at home and over virtual nodes. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "shm/arena.h"
#include "support/suite.h"

#define LARGE ((size_t)3 << 20)

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool), MPM_OK);
    return pool;
}

static unsigned char byte_at(size_t item, size_t place)
{
    return (unsigned char)(item * 31 + place * 7 + place / 251);
}

/* Items of all kinds of lengths: most are short, some are empty, a few large. */
static size_t length_of(size_t item)
{
    if (item % 1000 == 17)
        return LARGE / 100 + item;
    return item % 13 * (item % 7) * (item % 5);
}

static mpm_blob *make_items(size_t count, size_t (*length)(size_t item))
{
    mpm_blob *items = calloc(count, sizeof *items);

    for (size_t i = 0; i < count; i++) {
        unsigned char *bytes = malloc(length(i) + 1);

        for (size_t place = 0; place < length(i); place++)
            bytes[place] = byte_at(i, place);
        items[i] = (mpm_blob){bytes, length(i)};
    }
    return items;
}

static void free_items(mpm_blob *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)items[i].bytes);
    free(items);
}

/* The result: the item twice, the second time from its end; in steps, so that it grows. */
static int mirror(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call), index = mpm_call_index(call);
    const unsigned char *bytes = item;
    unsigned char *room;

    if (result || (uintptr_t)item % 16)
        return mpm_fail(call, "item %p, result %p", item, result);
    for (size_t place = 0; place < size; place++) {
        if (bytes[place] != byte_at(index, place))
            return mpm_fail(call, "byte %zu of item %zu is %u", place, index, bytes[place]);
    }
    if (!size)
        return 0;
    if (!(room = mpm_call_blob(call, size)))
        return 1;
    memcpy(room, item, size);
    if (!(room = mpm_call_blob(call, 2 * size)) || (uintptr_t)room % 16 ||
        mpm_call_result_size(call) != 2 * size)
        return 1;
    for (size_t place = 0; place < size; place++)
        room[size + place] = bytes[size - 1 - place];
    return 0;
}

static bool is_mirror(const mpm_blob *item, const mpm_blob *result)
{
    const unsigned char *from = item->bytes, *to = result->bytes;

    if (!to || result->size != 2 * item->size || memcmp(from, to, item->size) || to[result->size] ||
        (uintptr_t)to % 16)
        return false;
    for (size_t i = 0; i < item->size; i++) {
        if (to[item->size + i] != from[item->size - 1 - i])
            return false;
    }
    return true;
}

static void map_and_check(size_t count, size_t (*length)(size_t item), size_t chunk)
{
    mpm_pool *pool = open_pool(0);
    mpm_blob *items = make_items(count, length), *results = NULL;
    size_t wrong = 0;

    if (mpm_pool_map_blobs(pool, mirror, items, count, &(mpm_map_options){.chunk = chunk}, &results))
        mpm_report_error();
    CU_ASSERT_PTR_NOT_NULL_FATAL(results);
    for (size_t i = 0; i < count; i++)
        wrong += !is_mirror(&items[i], &results[i]);
    CU_ASSERT_EQUAL(wrong, 0);
    mpm_blobs_free(results);
    free_items(items, count);
    mpm_pool_close(pool);
}

static void items_and_results_of_any_length_keep_their_order(void)
{
    map_and_check(1, length_of, 0);
    map_and_check(18, length_of, 0);
    map_and_check(5000, length_of, 0);
    map_and_check(5000, length_of, 1);
    map_and_check(5000, length_of, 100);
}

static size_t large(size_t item)
{
    return LARGE + item * 1001;
}

static void items_larger_than_a_lease_go_one_by_one(void)
{
    map_and_check(12, large, 0);
}

static void no_items_return_at_once(void)
{
    mpm_pool *pool = open_pool(0);
    mpm_blob *results = NULL;

    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, mirror, NULL, 0, NULL, &results), MPM_OK);
    mpm_blobs_free(results);
    mpm_blobs_free(NULL);
    mpm_pool_close(pool);
}

static size_t ten(size_t item)
{
    (void)item;
    return 10;
}

/* Every third one fails after it has taken room, and every hundredth kills its worker. */
static int fail_some(mpm_call *call, const void *item, void *result)
{
    size_t index = mpm_call_index(call);
    char *room = mpm_call_blob(call, 100 + index);

    (void)result;
    if (!room)
        return 1;
    memcpy(room, item, 10);
    if (index % 100 == 50)
        kill(getpid(), SIGKILL);
    return index % 3 ? 0 : mpm_fail(call, "three divides %zu", index);
}

static void failed_items_have_no_bytes_and_a_cause(void)
{
    enum { COUNT = 400 };
    mpm_pool *pool = open_pool(3);
    mpm_blob *items = make_items(COUNT, ten), *results = NULL;
    mpm_failure *failures = NULL;
    size_t failure_count = 0, wrong = 0;

    CU_ASSERT_EQUAL(mpm_pool_map_blobs(
                        pool, fail_some, items, COUNT,
                        &(mpm_map_options){.failures = &failures, .failure_count = &failure_count}, &results),
                    MPM_ETASK);
    CU_ASSERT(error_has("three divides 0"));
    for (size_t i = 0; i < COUNT; i++) {
        bool is_good = i % 3 && i % 100 != 50;

        wrong += is_good ? results[i].size != 100 + i || memcmp(results[i].bytes, items[i].bytes, 10)
                         : results[i].bytes || results[i].size;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(failure_count, 134 + 4 - 1); /* 150 is both */
    CU_ASSERT_EQUAL(failures[17].index, 50);
    CU_ASSERT_EQUAL(failures[17].cause, MPM_CAUSE_SIGNAL);
    free(failures);
    mpm_blobs_free(results);
    free_items(items, COUNT);
    mpm_pool_close(pool);
}

static int ask_too_much(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return mpm_call_blob(call, mpm_call_index(call) ? (size_t)1 << 29 : ((size_t)1 << 30) + 1) ? 0 : 1;
}

static void a_result_without_room_is_a_failed_item(void)
{
    mpm_pool *pool = open_pool(2);
    mpm_blob items[2] = {{0}}, *results = NULL;
    mpm_failure *failures = NULL;
    size_t count = 0;

    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, ask_too_much, items, 2,
                                       &(mpm_map_options){.failures = &failures, .failure_count = &count},
                                       &results),
                    MPM_ETASK);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(failures[0].text, "at most 1 GiB"));
    CU_ASSERT_PTR_NOT_NULL(strstr(failures[1].text, "MPMAP_ARENA"));
    free(failures);
    mpm_blobs_free(results);
    mpm_pool_close(pool);
}

static int hang_at_7(mpm_call *call, const void *item, void *result)
{
    char *room = mpm_call_blob(call, mpm_call_item_size(call));

    (void)result;
    if (!room)
        return 1;
    memcpy(room, item, mpm_call_item_size(call));
    while (mpm_call_index(call) == 7)
        pause();
    return 0;
}

static void an_item_past_its_time_fails(void)
{
    enum { COUNT = 20 };
    mpm_pool_options options = {.workers = 2, .item_timeout_s = 1, .max_attempts = 2};
    mpm_blob *items = make_items(COUNT, ten), *results = NULL;
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, hang_at_7, items, COUNT, NULL, &results), MPM_ETASK);
    CU_ASSERT(error_has("1 of 20 items failed; the first is item 7: it ran past its 1 s (2 attempts)"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(results);
    for (size_t i = 0; i < COUNT; i++) {
        if (i == 7) {
            CU_ASSERT_PTR_NULL(results[i].bytes);
        } else {
            CU_ASSERT(results[i].size == 10 && !memcmp(results[i].bytes, items[i].bytes, 10));
        }
    }
    mpm_blobs_free(results);
    free_items(items, COUNT);
    mpm_pool_close(pool);
}

static int room_in_vain(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return mpm_call_blob(call, 10) ? 0 : 1;
}

static void room_is_for_tasks_of_blobs_only(void)
{
    mpm_pool *pool = open_pool(1);
    int item = 0;

    CU_ASSERT_EQUAL(mpm_pool_map(pool, room_in_vain, &item, 1, sizeof item, 0, NULL, NULL), MPM_ETASK);
    CU_ASSERT(error_has("only tasks of mpm_pool_map_blobs may allocate results"));
    mpm_pool_close(pool);
}

static int die_now_and_then(mpm_call *call, const void *item, void *result)
{
    static int runs;

    (void)item;
    (void)result;
    if (!mpm_call_blob(call, 20000))
        return 1;
    if (++runs == 20)
        kill(getpid(), SIGKILL);
    return 0;
}

/* Workers that are killed leave nothing in the arena, neither do results that nobody wants. */
static void blobs_leave_nothing_in_the_arena(void)
{
    enum { COUNT = 1000 };
    mpm_blob *items = make_items(COUNT, ten);
    mpm_pool *pool = NULL;
    struct arena_usage before, after;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 2, .max_attempts = 100}, &pool),
                          MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, die_now_and_then, items, 10, NULL, NULL), MPM_OK);
    arena_usage(context_arena(), &before);
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, die_now_and_then, items, COUNT, NULL, NULL), MPM_OK);
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
    CU_ASSERT_EQUAL(after.used_blocks, before.used_blocks);
    free_items(items, COUNT);
    mpm_pool_close(pool);
}

static void nonsense_is_refused(void)
{
    mpm_pool *pool = open_pool(1);
    mpm_blob *results = NULL;

    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, mirror, NULL, 3, NULL, &results), MPM_EINVAL);
    CU_ASSERT(error_has("items is NULL, but count is 3"));
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, mirror, &(mpm_blob){NULL, 5}, 1, NULL, &results), MPM_EINVAL);
    CU_ASSERT(error_has("item 0 is NULL, but its size is 5 bytes"));
    CU_ASSERT_EQUAL(
        mpm_pool_map_blobs(pool, mirror, &(mpm_blob){&results, (size_t)2 << 30}, 1, NULL, &results),
        MPM_EINVAL);
    CU_ASSERT(error_has("at most 1 GiB"));
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, NULL, NULL, 0, NULL, &results), MPM_EINVAL);
    CU_ASSERT(error_has("the task is NULL"));
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(NULL, mirror, NULL, 0, NULL, &results), MPM_EINVAL);
    CU_ASSERT_PTR_NULL(results);
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"items_and_results_of_any_length_keep_their_order",
         items_and_results_of_any_length_keep_their_order},
        {"items_larger_than_a_lease_go_one_by_one", items_larger_than_a_lease_go_one_by_one},
        {"no_items_return_at_once", no_items_return_at_once},
        {"failed_items_have_no_bytes_and_a_cause", failed_items_have_no_bytes_and_a_cause},
        {"a_result_without_room_is_a_failed_item", a_result_without_room_is_a_failed_item},
        {"an_item_past_its_time_fails", an_item_past_its_time_fails},
        {"room_is_for_tasks_of_blobs_only", room_is_for_tasks_of_blobs_only},
        {"blobs_leave_nothing_in_the_arena", blobs_leave_nothing_in_the_arena},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("blobs", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
