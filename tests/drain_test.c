/* SPDX-License-Identifier: BSD-3-Clause */
/* Drains, as a program meets them: at home, where each test has a run of its own, and over virtual nodes, where the
 * whole program has one, so that only the first test there has a map that a drain begins in. */
#include <CUnit/CUnit.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/shared_file.h"
#include "support/suite.h"

enum { COUNT = 2000, LAST = 50 };

static const mpm_drain_options drains = {.grace_s = 1000};

/* Of all processes of the run. */
static struct shared {
    _Atomic int begun[COUNT], ended[COUNT];
    _Atomic int all_begun;
} * shared;

static bool is_solo;
static mpm_pool *pool;

static void open_run(void)
{
    memset(shared, 0, sizeof *shared);
    if (is_solo)
        CU_ASSERT_EQUAL_FATAL(mpm_init(NULL, NULL, &(mpm_options){.drain_at_signals = true}), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 6}, &pool), MPM_OK);
}

static void close_run(void)
{
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
    if (is_solo)
        CU_ASSERT_EQUAL(mpm_finalize(), MPM_OK);
}

static void begin(const mpm_call *call)
{
    atomic_fetch_add(&shared->begun[mpm_call_index(call)], 1);
    atomic_fetch_add(&shared->all_begun, 1);
}

static void end(const mpm_call *call, int *result)
{
    *result = (int)mpm_call_index(call) * 2;
    atomic_fetch_add(&shared->ended[mpm_call_index(call)], 1);
}

/* Whether a drain has begun, or does within 30 s. */
static bool sees_drain(void)
{
    for (int i = 0; i < 30000 && !mpm_draining(); i++)
        usleep(1000);
    return mpm_draining();
}

/* The drain has begun when it returns; all items together would take long after it. */
static void go_on_into_drain(void)
{
    sees_drain();
    usleep(20000);
}

/* Item 50 begins the drain, wherever it is run. */
static int drain_at_last(mpm_call *call, const void *item, void *result)
{
    (void)item;
    begin(call);
    if (mpm_call_index(call) == LAST)
        mpm_drain();
    if (mpm_call_index(call) > LAST)
        go_on_into_drain();
    end(call, result);
    return 0;
}

static uint64_t count_done(const unsigned char *done, const int *results)
{
    uint64_t count = 0;

    for (int i = 0; i < COUNT; i++) {
        count += done[i];
        CU_ASSERT_EQUAL(done[i], atomic_load(&shared->begun[i])); /* each once, or not at all */
        CU_ASSERT_EQUAL(done[i], atomic_load(&shared->ended[i]));
        CU_ASSERT(!done[i] || results[i] == 2 * i);
    }
    return count;
}

static void what_runs_ends_and_nothing_else_is_begun(void)
{
    static unsigned char done[COUNT];
    static int results[COUNT];
    mpm_map_options options = {.chunk = 1, .drain = drains, .done = done};
    char text[80];
    uint64_t count;

    open_run();
    CU_ASSERT_FALSE(mpm_draining());
    CU_ASSERT_EQUAL(mpm_pool_map(pool, drain_at_last, NULL, COUNT, 0, sizeof *results, &options, results),
                    MPM_EDRAINED);
    count = count_done(done, results);
    CU_ASSERT(done[LAST] && count < COUNT);
    snprintf(text, sizeof text, "the map was drained: %d of %d items are done", (int)count, COUNT);
    CU_ASSERT_TRUE(error_has(text));
    CU_ASSERT_TRUE(mpm_draining());
    close_run();
}

static int wait_until_draining(mpm_call *call, const void *item, void *result)
{
    (void)item;
    *(int *)result = sees_drain();
    return *(int *)result ? 0 : mpm_fail(call, "there is no drain");
}

static void whoever_does_not_drain_goes_on_and_all_nodes_know(void)
{
    static int results[LAST];

    open_run();
    mpm_drain();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, wait_until_draining, NULL, LAST, 0, sizeof *results,
                                 &(mpm_map_options){.chunk = 1}, results),
                    MPM_OK);
    for (int i = 0; i < LAST; i++)
        CU_ASSERT_EQUAL(results[i], 1);
    close_run();
}

static int just_begin(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    begin(call);
    return 0;
}

static void map_that_comes_in_a_drain_begins_nothing(void)
{
    mpm_map_options options = {.drain = drains};
    mpm_result *result = NULL;

    open_run();
    mpm_drain();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, just_begin, NULL, COUNT, 0, 0, &options, NULL), MPM_EDRAINED);
    CU_ASSERT_TRUE(error_has("the map was drained: 0 of 2000 items are done"));
    CU_ASSERT_EQUAL(mpm_pool_map(pool, just_begin, NULL, 1, 0, 0, &options, NULL), MPM_EDRAINED);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, just_begin, NULL, 0, 0, 0, &options, NULL), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_map_async(pool, just_begin, NULL, COUNT, 0, 0, &options, NULL, NULL, &result), MPM_OK);
    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_EDRAINED);
    mpm_result_destroy(result);
    CU_ASSERT_EQUAL(atomic_load(&shared->all_begun), 0);
    close_run();
}

static void nonsense_is_refused(void)
{
    static const mpm_drain_options bad[] = {{-1, 0}, {1, -1}, {0, 1}, {NAN, 0}, {1, NAN}};

    open_run();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mpm_map_options options = {.drain = bad[i]};

        CU_ASSERT_EQUAL(mpm_pool_map(pool, just_begin, NULL, 1, 0, 0, &options, NULL), MPM_EINVAL);
        CU_ASSERT_TRUE(error_has("drain has a"));
    }
    close_run();
}

/* From here on at home only. */

/* Some never end. */
static int hang_at_last(mpm_call *call, const void *item, void *result)
{
    (void)item;
    begin(call);
    if (mpm_call_index(call) == LAST) {
        mpm_drain();
        for (;;)
            pause();
    }
    end(call, result);
    return 0;
}

static void what_runs_past_the_grace_is_killed_and_not_done(void)
{
    static unsigned char done[COUNT];
    static int results[COUNT];
    mpm_map_options options = {.chunk = 1, .drain = {.grace_s = 0.2}, .done = done};

    open_run();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, hang_at_last, NULL, COUNT, 0, sizeof *results, &options, results),
                    MPM_EDRAINED);
    CU_ASSERT_EQUAL(done[LAST], 0);
    for (int i = 0; i < COUNT; i++)
        CU_ASSERT(!done[i] || (atomic_load(&shared->begun[i]) == 1 && results[i] == 2 * i));
    close_run();
}

static int nap(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    begin(call);
    usleep(20000);
    return 0;
}

static void end_of_its_time_drains_a_map_and_the_run(void)
{
    static unsigned char done[COUNT];
    mpm_map_options options = {.drain = {.grace_s = 100, .time_s = 2}, .done = done};
    int count = 0;

    open_run();
    CU_ASSERT_EQUAL(mpm_pool_map(pool, nap, NULL, COUNT, 0, 0, &options, NULL), MPM_EDRAINED);
    for (int i = 0; i < COUNT; i++)
        count += done[i];
    CU_ASSERT(count > 0 && count < COUNT);
    CU_ASSERT_TRUE(mpm_draining());
    close_run();
}

/* As a launcher does it: to the whole process group. */
static int signal_at_last(mpm_call *call, const void *item, void *result)
{
    (void)item;
    begin(call);
    if (mpm_call_index(call) == LAST)
        kill(0, SIGUSR1);
    if (mpm_call_index(call) > LAST)
        go_on_into_drain();
    end(call, result);
    return 0;
}

static void signal_to_all_drains_and_kills_no_worker(void)
{
    static unsigned char done[COUNT];
    static int results[COUNT];
    mpm_map_options options = {.chunk = 1, .drain = drains, .done = done};
    struct sigaction now;

    open_run();
    memset(done, 0, sizeof done);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, signal_at_last, NULL, COUNT, 0, sizeof *results, &options, results),
                    MPM_EDRAINED);
    CU_ASSERT(count_done(done, results) < COUNT);
    close_run();
    CU_ASSERT_EQUAL(sigaction(SIGUSR1, NULL, &now), 0);
    CU_ASSERT(now.sa_handler == SIG_DFL);
    CU_ASSERT_FALSE(mpm_draining());
}

static int drain_at_last_in_blobs(mpm_call *call, const void *item, void *result)
{
    int number, *blob;
    int status = drain_at_last(call, item, &number);

    (void)result;
    if (!(blob = mpm_call_blob(call, sizeof number)))
        return 1;
    *blob = number;
    return status;
}

static void map_of_blobs_drains_and_keeps_what_is_done(void)
{
    static unsigned char done[COUNT];
    static mpm_blob items[COUNT];
    mpm_map_options options = {.chunk = 1, .drain = drains, .done = done};
    mpm_blob *results;
    int count = 0;

    open_run();
    memset(done, 0, sizeof done);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_blobs(pool, drain_at_last_in_blobs, items, COUNT, &options, &results),
                          MPM_EDRAINED);
    for (int i = 0; i < COUNT; i++) {
        count += done[i];
        CU_ASSERT_EQUAL(done[i], atomic_load(&shared->ended[i]));
        CU_ASSERT_EQUAL(done[i], results[i].bytes != NULL);
        CU_ASSERT(!done[i] || *(const int *)results[i].bytes == 2 * i);
    }
    CU_ASSERT(done[LAST] && count < COUNT);
    mpm_blobs_free(results);
    close_run();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"what_runs_ends_and_nothing_else_is_begun", what_runs_ends_and_nothing_else_is_begun},
        {"whoever_does_not_drain_goes_on_and_all_nodes_know",
         whoever_does_not_drain_goes_on_and_all_nodes_know},
        {"map_that_comes_in_a_drain_begins_nothing", map_that_comes_in_a_drain_begins_nothing},
        {"nonsense_is_refused", nonsense_is_refused},
        {"what_runs_past_the_grace_is_killed_and_not_done", what_runs_past_the_grace_is_killed_and_not_done},
        {"end_of_its_time_drains_a_map_and_the_run", end_of_its_time_drains_a_map_and_the_run},
        {"signal_to_all_drains_and_kills_no_worker", signal_to_all_drains_and_kills_no_worker},
        {"map_of_blobs_drains_and_keeps_what_is_done", map_of_blobs_drains_and_keeps_what_is_done},
    };
    size_t count = sizeof tests / sizeof *tests;
    int failed;

    is_solo = !getenv("OMPI_COMM_WORLD_RANK") && !getenv("PMI_RANK");
    shared = shared_file("drain", sizeof *shared);
    setenv("MPMAP_ARENA", "256M", 0);
    if (is_solo) {
        setpgid(0, 0); /* signals are for this program only */
        return suite_run("drain", tests, count);
    }
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("drain", tests, count - 4);
    return mpm_finalize() ? mpm_report_error() : failed;
}
