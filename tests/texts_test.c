/* SPDX-License-Identifier: BSD-3-Clause */
/* What items say of their failures: of any length up to 64 KiB, by all kinds of maps and calls, at home and over
 * virtual nodes. */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/everywhere.h"
#include "support/gate.h"
#include "support/node.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define KIB       ((size_t)1024)
#define LONGEST   (64 * KIB)
#define SHORT     ((size_t)191)
#define ARENA     "128M"
#define NODE_ROOM (8 * KIB * KIB)  /* for the long texts of a map, in an arena of that size */
#define MAP_ROOM  (16 * KIB * KIB) /* on all nodes */
#define MOST_NODE 16u
#define MANY      96u

static const size_t lengths[] = {1, SHORT, SHORT + 1, 4 * KIB, LONGEST, LONGEST + 1};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static struct {
    _Atomic int seen[MOST_NODE]; /* items that the node has begun */
    _Atomic int waiting, gate, begun;
} * shared;

static mpm_pool *open_pool(void)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 4}, &pool), MPM_OK);
    return pool;
}

/* Of several lines; no two items say the same. */
static char *make_text(size_t index, size_t length)
{
    char *text = malloc(length + 1);

    for (size_t i = 0; i < length; i++)
        text[i] = i % 61 == 60 ? '\n' : (char)('a' + (index + i) % 26);
    text[length] = 0;
    return text;
}

/* The text as it is to arrive. */
static bool is_text(const char *text, size_t index, size_t length)
{
    char *said = make_text(index, length);
    bool is_so;

    if (length > LONGEST)
        strcpy(said + LONGEST - strlen("…"), "…");
    is_so = !strcmp(text, said);
    free(said);
    return is_so;
}

static int say(mpm_call *call, size_t length)
{
    char *text = make_text(mpm_call_index(call), length);
    int failed = mpm_fail(call, "%s", text);

    free(text);
    return failed;
}

static int fail_at_length(mpm_call *call, const void *item, void *result)
{
    (void)result;
    return say(call, *(const size_t *)item);
}

/* Not before each node has begun an item. */
static int fail_everywhere(mpm_call *call, const void *item, void *result)
{
    atomic_fetch_add(&shared->seen[mpm_node_id()], 1);
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        if (!gate_reached(&shared->seen[node], 1))
            return mpm_fail(call, "node %u has begun nothing", node);
    }
    return fail_at_length(call, item, result);
}

static size_t length_of(size_t index)
{
    return lengths[index % LENGTHS];
}

static size_t *make_items(size_t count)
{
    size_t *items = malloc(count * sizeof *items);

    for (size_t i = 0; i < count; i++)
        items[i] = length_of(i);
    return items;
}

static void check_failures(const mpm_failure *failures, size_t count, size_t expected)
{
    CU_ASSERT_EQUAL_FATAL(count, expected);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(failures[i].index, i);
        CU_ASSERT(is_text(failures[i].text, i, length_of(i)));
    }
}

/* Behind whatever the sentence says before the text. */
static bool error_ends_with(size_t index, size_t length)
{
    size_t arrives = length > LONGEST ? LONGEST : length, said = strlen(mpm_error());

    return said >= arrives && is_text(mpm_error() + said - arrives, index, length);
}

static void a_map_tells_all_that_its_items_have_said(void)
{
    size_t *items = make_items(MANY), blocks = 0, count = 0;
    mpm_pool *pool = open_pool();
    mpm_failure *failures = NULL;
    double costs[MANY];
    mpm_map_options options = {.chunk = 1, .failures = &failures, .failure_count = &count};

    for (size_t i = 0; i < MANY; i++)
        costs[i] = (double)(i * 7 % 11);
    for (int round = 0; round < 3; round++) {
        for (unsigned node = 0; node < mpm_node_count(); node++)
            atomic_store(&shared->seen[node], 0);
        options.costs = round == 2 ? costs : NULL;
        CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_everywhere, items, MANY, sizeof *items, 0, &options, NULL),
                        MPM_ETASK);
        CU_ASSERT(error_has("96 of 96 items failed; the first is item 0: a"));
        check_failures(failures, count, MANY);
        free(failures);
        if (!round)
            blocks = node_blocks_in_use();
    }
    CU_ASSERT_EQUAL(node_blocks_in_use(), blocks); /* a map leaves nothing of its texts */
    mpm_pool_close(pool);
    free(items);
}

static int fail_blob(mpm_call *call, const void *item, void *result)
{
    return fail_at_length(call, item, result);
}

static void a_map_of_blobs_tells_all(void)
{
    mpm_pool *pool = open_pool();
    mpm_failure *failures = NULL;
    mpm_blob items[LENGTHS], *results = NULL;
    size_t count = 0;
    mpm_map_options options = {.failures = &failures, .failure_count = &count};

    for (size_t i = 0; i < LENGTHS; i++)
        items[i] = (mpm_blob){&lengths[i], sizeof lengths[i]};
    CU_ASSERT_EQUAL(mpm_pool_map_blobs(pool, fail_blob, items, LENGTHS, &options, &results), MPM_ETASK);
    check_failures(failures, count, LENGTHS);
    mpm_blobs_free(results);
    free(failures);
    mpm_pool_close(pool);
}

static void take_failures(mpm_result *result, void *argument)
{
    const mpm_failure *failures;
    size_t count, *told = argument;

    CU_ASSERT_EQUAL(mpm_result_failures(result, &failures, &count), MPM_OK);
    check_failures(failures, count, LENGTHS);
    *told = count;
}

static void a_result_and_its_callback_tell_all(void)
{
    mpm_pool *pool = open_pool();
    mpm_result *result = NULL;
    const mpm_failure *failures = NULL;
    size_t count = 0, told = 0;
    const mpm_callbacks callbacks = {.error = take_failures, .argument = &told};

    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, fail_at_length, lengths, LENGTHS, sizeof *lengths, 0, NULL,
                                             &callbacks, NULL, &result),
                          MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_ETASK);
    CU_ASSERT_EQUAL(mpm_result_failures(result, &failures, &count), MPM_OK);
    check_failures(failures, count, LENGTHS);
    mpm_pool_close(pool); /* and callbacks have returned */
    CU_ASSERT_EQUAL(told, LENGTHS);
    check_failures(failures, count, LENGTHS);
    mpm_result_destroy(result);
}

/* Of calls and streams there is no list: the sentence has all. */
static void a_call_tells_all_in_its_error(void)
{
    mpm_pool *pool = open_pool();
    size_t blocks = node_blocks_in_use();

    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < LENGTHS; i++) {
            mpm_result *result = NULL;

            CU_ASSERT_EQUAL(mpm_pool_apply(pool, fail_at_length, &lengths[i], sizeof *lengths, 0, NULL),
                            MPM_ETASK);
            CU_ASSERT(error_has("the call failed: a") && error_ends_with(0, lengths[i]));
            CU_ASSERT_EQUAL_FATAL(
                mpm_pool_apply_async(pool, fail_at_length, &lengths[i], sizeof *lengths, 0, NULL, &result),
                MPM_OK);
            CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_ETASK);
            CU_ASSERT(error_has("the call failed: a") && error_ends_with(0, lengths[i]));
            mpm_result_destroy(result);
        }
    }
    CU_ASSERT(node_is_left_with(blocks, UINT_MAX));
    mpm_pool_close(pool);
}

static void a_stream_tells_all_in_the_error_of_its_next(void)
{
    mpm_pool *pool = open_pool();
    mpm_stream *stream = NULL;
    size_t *items = make_items(MANY);

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_imap_array(pool, fail_at_length, items, MANY, sizeof *items, 0, NULL, &stream), MPM_OK);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t index = MANY;

        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, NULL, &index), MPM_ETASK);
        CU_ASSERT_EQUAL(index, i);
        CU_ASSERT(error_ends_with(i, length_of(i)));
    }
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, NULL, NULL), MPM_ECLOSED);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
    free(items);
}

static int gather(mpm_call *call, const void *item, void *state)
{
    (void)state;
    return say(call, *(const size_t *)item);
}

static void unite(void *state, const void *later, const void *context)
{
    (void)state, (void)later, (void)context;
}

static void a_reduction_tells_all(void)
{
    mpm_pool *pool = open_pool();
    mpm_failure *failures = NULL;
    size_t count = 0;
    int state = 0;
    const mpm_reduction reduction = {.accumulate = gather,
                                     .combine = unite,
                                     .item_size = sizeof *lengths,
                                     .state_size = sizeof state,
                                     .leaf = 2,
                                     .failures = &failures,
                                     .failure_count = &count};

    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &reduction, lengths, LENGTHS, &state), MPM_ETASK);
    check_failures(failures, count, LENGTHS);
    free(failures);
    mpm_pool_close(pool);
}

/* A character of two bytes, behind as many of one byte as the item says: the longest text ends in the midst of one. */
static int fail_in_characters(mpm_call *call, const void *item, void *result)
{
    size_t ahead = *(const size_t *)item;
    char *text = make_text(0, 2 * LONGEST + ahead);

    (void)result;
    for (size_t i = ahead; i + 1 < 2 * LONGEST; i += 2)
        memcpy(text + i, "é", 2);
    mpm_fail(call, "%s", text);
    free(text);
    return 1;
}

static void a_text_is_cut_between_two_characters(void)
{
    mpm_pool *pool = open_pool();

    for (size_t ahead = 0; ahead < 4; ahead++) {
        mpm_failure *failures = NULL;
        mpm_map_options options = {.failures = &failures};
        size_t length;

        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_map(pool, fail_in_characters, &ahead, 1, sizeof ahead, 0, &options, NULL), MPM_ETASK);
        length = strlen(failures[0].text);
        CU_ASSERT(length <= LONGEST && length > LONGEST - 2);
        CU_ASSERT_STRING_EQUAL(failures[0].text + length - 3, "…");
        CU_ASSERT_NSTRING_EQUAL(failures[0].text + length - 5, "é", 2);
        free(failures);
    }
    mpm_pool_close(pool);
}

/* Whole, or cut with the reason, or without any text as of one of very many. */
static bool is_told(const mpm_failure *failure, const char *mark)
{
    size_t length = strlen(failure->text);

    if (length > SHORT)
        return is_text(failure->text, failure->index, LONGEST);
    if (length < strlen(mark))
        return !strcmp(failure->text, "it failed");
    return failure->text[0] == (char)('a' + failure->index % 26) &&
           !strcmp(failure->text + length - strlen(mark), mark);
}

static void very_many_texts_are_cut_and_say_so(void)
{
    enum { ITEMS = 10000 };
    size_t *items = malloc(ITEMS * sizeof *items), kept = 0, whole = 0, cut = 0, count = 0;
    mpm_pool *pool = open_pool();
    mpm_failure *failures = NULL;
    mpm_map_options options = {.failures = &failures, .failure_count = &count};

    for (size_t i = 0; i < ITEMS; i++)
        items[i] = LONGEST;
    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_at_length, items, ITEMS, sizeof *items, 0, &options, NULL),
                    MPM_ETASK);
    CU_ASSERT_EQUAL_FATAL(count, ITEMS);
    for (size_t i = 0; i < ITEMS; i++) {
        size_t length = strlen(failures[i].text);

        CU_ASSERT_EQUAL(failures[i].index, i);
        CU_ASSERT(is_told(&failures[i], "… [cut: the map has no more room for texts]"));
        kept += length > SHORT ? length + 1 : 0;
        whole += length > SHORT;
        cut += length > 9 && length <= SHORT;
    }
    CU_ASSERT(kept <= MAP_ROOM && kept <= mpm_node_count() * NODE_ROOM);
    CU_ASSERT(whole >= NODE_ROOM / LONGEST - 1);
    CU_ASSERT(cut > 0);
    free(failures);
    mpm_pool_close(pool);
    free(items);
}

/* Each third item ends its worker, after others have said why they fail. */
static int fail_or_die(mpm_call *call, const void *item, void *result)
{
    if (mpm_call_index(call) % 3 == 2)
        kill(getpid(), SIGKILL);
    return fail_at_length(call, item, result);
}

static void deaths_of_workers_cost_no_text(void)
{
    enum { ITEMS = 30 };
    size_t *items = make_items(ITEMS), count = 0;
    mpm_pool *pool = open_pool();
    mpm_failure *failures = NULL;
    mpm_map_options options = {.chunk = 1, .failures = &failures, .failure_count = &count};
    size_t blocks = node_blocks_in_use();

    CU_ASSERT_EQUAL(mpm_pool_map(pool, fail_or_die, items, ITEMS, sizeof *items, 0, &options, NULL),
                    MPM_ETASK);
    CU_ASSERT_EQUAL_FATAL(count, ITEMS);
    for (size_t i = 0; i < ITEMS; i++) {
        CU_ASSERT(i % 3 == 2 ? !!strstr(failures[i].text, "its worker was killed by SIGKILL")
                             : is_text(failures[i].text, i, length_of(i)));
    }
    free(failures);
    CU_ASSERT(node_is_left_with(blocks, UINT_MAX));
    mpm_pool_close(pool);
    free(items);
}

/* The last item waits. */
static int fail_or_wait(mpm_call *call, const void *item, void *result)
{
    if (mpm_call_index(call) == MANY - 1) {
        atomic_fetch_add(&shared->waiting, 1);
        gate_reached(&shared->gate, 1);
    }
    return fail_at_length(call, item, result);
}

static mpm_result *begin_and_wait(mpm_pool *pool, const size_t *items)
{
    mpm_result *result = NULL;

    atomic_store(&shared->waiting, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, fail_or_wait, items, MANY, sizeof *items, 0,
                                             &(mpm_map_options){.chunk = 1}, NULL, NULL, &result),
                          MPM_OK);
    CU_ASSERT(gate_reached(&shared->waiting, 1));
    return result;
}

static void a_map_that_is_canceled_leaves_no_text(void)
{
    size_t *items = make_items(MANY);
    mpm_pool *pool = open_pool();
    size_t blocks = node_blocks_in_use();
    mpm_result *result = begin_and_wait(pool, items);

    CU_ASSERT_EQUAL(mpm_result_cancel(result), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_ECANCELED);
    mpm_result_destroy(result);
    CU_ASSERT(node_is_left_with(blocks, UINT_MAX));
    mpm_pool_close(pool);
    free(items);
}

static void a_pool_that_is_terminated_leaves_no_text(void)
{
    size_t blocks = node_blocks_in_use(), *items = make_items(MANY);
    unsigned workers = node_workers();
    mpm_pool *pool = open_pool();
    mpm_result *result = begin_and_wait(pool, items);

    mpm_pool_terminate(pool);
    mpm_result_destroy(result);
    CU_ASSERT(node_is_left_with(blocks, workers));
    free(items);
}

static int map_until_killed(const void *args, size_t size)
{
    size_t *items = make_items(MANY);
    mpm_pool *pool = NULL;

    (void)args, (void)size;
    if (mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool))
        return mpm_report_error();
    return mpm_pool_map(pool, fail_or_wait, items, MANY, sizeof *items, 0, &(mpm_map_options){.chunk = 1},
                        NULL) == MPM_ETASK;
}

static void a_driver_that_is_killed_leaves_no_text(void)
{
    size_t blocks = node_blocks_in_use();
    unsigned workers = node_workers();
    mpm_process process;

    atomic_store(&shared->waiting, 0);
    process = start_on(mpm_node_id(), map_until_killed, NULL, 0);
    CU_ASSERT(gate_reached(&shared->waiting, 1));
    CU_ASSERT_EQUAL(mpm_process_kill(process), MPM_OK);
    expect_end(process, -SIGKILL);
    CU_ASSERT(node_is_left_with(blocks, workers));
}

/* Main fills the arena of its own node, where the calls are. */
static void a_failure_is_told_where_the_arena_is_full(void)
{
    mpm_pool *pool = open_pool();
    void *filler[64], *more;
    size_t length = 4 * KIB, fillers = 0;
    const char *mark = "… [cut: the arena is full]";

    for (size_t size = KIB * KIB * KIB; size >= 2 * KIB; size /= 2) {
        while (fillers < 64 && !mpm_alloc(size, &more))
            filler[fillers++] = more;
    }
    CU_ASSERT(fillers < 64);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, fail_at_length, &length, sizeof length, 0, NULL), MPM_ETASK);
    CU_ASSERT(error_has("the call failed: a") && error_has(mark));
    CU_ASSERT_EQUAL(strlen(mpm_error()), strlen("the call failed: ") + SHORT);
    while (fillers)
        mpm_free(filler[--fillers]);
    CU_ASSERT_EQUAL(mpm_pool_apply(pool, fail_at_length, &length, sizeof length, 0, NULL), MPM_ETASK);
    CU_ASSERT(error_ends_with(0, length));
    mpm_pool_close(pool);
}

static int fail_to_begin(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)argument_size, (void)state;
    return mpm_node_id() == *(const unsigned *)argument ? say(call, 20 * KIB) : 0;
}

static void an_initializer_tells_all_from_each_node(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_pool_options options = {.workers = 2 * mpm_node_count(),
                                    .initializer = fail_to_begin,
                                    .initializer_argument = &node,
                                    .initializer_argument_size = sizeof node};
        mpm_pool *pool = NULL;

        CU_ASSERT_EQUAL(mpm_pool_open(&options, &pool), MPM_EWORKER);
        CU_ASSERT(error_has("cannot start workers: a") && error_ends_with(0, 20 * KIB));
    }
}

/* As many of them as the pool has workers at first are well. */
static int fail_to_come_again(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    (void)argument, (void)argument_size, (void)state;
    return atomic_fetch_add(&shared->begun, 1) < (int)(2 * mpm_node_count()) ? 0 : say(call, 20 * KIB);
}

static int succeed(mpm_call *call, const void *item, void *result)
{
    (void)call, (void)item, (void)result;
    return 0;
}

static void a_stream_tells_all_of_what_ends_it(void)
{
    mpm_pool_options options = {
        .workers = 2 * mpm_node_count(), .max_tasks_per_worker = 1, .initializer = fail_to_come_again};
    size_t *items = make_items(MANY);
    mpm_stream *stream = NULL;
    mpm_pool *pool = NULL;
    int status;

    atomic_store(&shared->begun, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_imap_array(pool, succeed, items, MANY, sizeof *items, 0, NULL, &stream),
                          MPM_OK);
    while (!(status = mpm_stream_next(stream, MPM_FOREVER, NULL, NULL)))
        ;
    CU_ASSERT_EQUAL(status, MPM_EWORKER);
    CU_ASSERT(error_has("cannot start workers: a") && error_ends_with(0, 20 * KIB));
    mpm_stream_close(stream);
    mpm_pool_close(pool);
    free(items);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_map_tells_all_that_its_items_have_said", a_map_tells_all_that_its_items_have_said},
        {"a_map_of_blobs_tells_all", a_map_of_blobs_tells_all},
        {"a_result_and_its_callback_tell_all", a_result_and_its_callback_tell_all},
        {"a_call_tells_all_in_its_error", a_call_tells_all_in_its_error},
        {"a_stream_tells_all_in_the_error_of_its_next", a_stream_tells_all_in_the_error_of_its_next},
        {"a_reduction_tells_all", a_reduction_tells_all},
        {"a_text_is_cut_between_two_characters", a_text_is_cut_between_two_characters},
        {"very_many_texts_are_cut_and_say_so", very_many_texts_are_cut_and_say_so},
        {"deaths_of_workers_cost_no_text", deaths_of_workers_cost_no_text},
        {"a_map_that_is_canceled_leaves_no_text", a_map_that_is_canceled_leaves_no_text},
        {"a_pool_that_is_terminated_leaves_no_text", a_pool_that_is_terminated_leaves_no_text},
        {"a_driver_that_is_killed_leaves_no_text", a_driver_that_is_killed_leaves_no_text},
        {"a_failure_is_told_where_the_arena_is_full", a_failure_is_told_where_the_arena_is_full},
        {"an_initializer_tells_all_from_each_node", an_initializer_tells_all_from_each_node},
        {"a_stream_tells_all_of_what_ends_it", a_stream_tells_all_of_what_ends_it},
    };
    int failed;

    setenv("MPMAP_ARENA", ARENA, 0);
    shared = shared_file("texts", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("texts", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
