/* SPDX-License-Identifier: BSD-3-Clause */
/* A map that ends before its time, whatever ends it: when its caller goes on, no worker of any node is in
 * an item of it any more, so nothing comes into its results, or into the file of its output, behind the
 * caller's back. Each item says which process it is in, and holds it until the map is over. */
#include <CUnit/CUnit.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

enum { WORKERS = 8, ROWS = 200, GOOD = 5, ROUNDS = 5 };

static struct {
    _Atomic int held;        /* how many items hold a worker */
    _Atomic pid_t pid[ROWS]; /* which process an item holds */
    _Atomic pid_t runner;    /* a worker that holds nothing, */
    _Atomic int done;        /* and how many items it has had */
    _Atomic bool is_over;    /* the map has returned */
} * shared;

static char folder[64], input_file[80], output_file[80], part[96];
static mpm_pool *pool;

static void forget(void)
{
    memset(shared, 0, sizeof *shared);
}

/* Does not end before its map has. */
static void hold(uint64_t index)
{
    atomic_store(&shared->pid[index], getpid());
    atomic_fetch_add(&shared->held, 1);
    while (!atomic_load(&shared->is_over))
        sched_yield();
}

/* What is dead may wait for its parent to look at it. */
static bool is_alive(pid_t pid)
{
    char name[64], state = 'X';
    FILE *file;

    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    if (!pid || !(file = fopen(name, "r")))
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'X' && state != 'Z';
}

static unsigned count_alive(void)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < ROWS; i++)
        alive += is_alive(atomic_load(&shared->pid[i]));
    return alive;
}

static void nobody_is_left(void)
{
    unsigned alive = count_alive();

    atomic_store(&shared->is_over, true);
    CU_ASSERT_EQUAL(alive, 0);
}

static int hold_worker(mpm_call *call, const void *item, void *result)
{
    (void)item;
    hold(mpm_call_index(call));
    *(int *)result = 1;
    return 0;
}

static void canceled_maps_leave_nobody_in_an_item(void)
{
    int results[WORKERS];

    for (int round = 0; round < ROUNDS; round++) {
        mpm_result *result;

        forget();
        memset(results, 0, sizeof results);
        CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, hold_worker, NULL, WORKERS, 0, sizeof *results,
                                                 &(mpm_map_options){.chunk = 1}, NULL, results, &result),
                              MPM_OK);
        CU_ASSERT_TRUE(gate_reached(&shared->held, WORKERS));
        CU_ASSERT_EQUAL(mpm_result_cancel(result), MPM_OK);
        nobody_is_left();
        mpm_result_destroy(result);
        for (int i = 0; i < WORKERS; i++)
            CU_ASSERT_EQUAL(results[i], 0);
    }
}

/* The first worker to come does rows, and begins a drain when it has done some and all others have
 * something to hold. */
static int do_row(mpm_call *call, const void *item, void *result)
{
    pid_t nobody = 0;

    (void)item;
    *(double *)result = 7;
    if (!atomic_compare_exchange_strong(&shared->runner, &nobody, getpid()) && nobody != getpid()) {
        hold(mpm_call_index(call));
        return 0;
    }
    if (!gate_reached(&shared->held, WORKERS - 1))
        return mpm_fail(call, "the other workers have nothing to do");
    if (atomic_fetch_add(&shared->done, 1) == GOOD)
        mpm_drain();
    return 0;
}

static char *read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    char *bytes = calloc(1, 1 << 20);

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void make_input(void)
{
    double values[ROWS] = {0};
    mpm_dataset_values input = {.output_file = input_file,
                                .output_dataset = "/x",
                                .shape = {MPM_F64, 1, {ROWS}},
                                .values = values,
                                .overwrite = 1};

    CU_ASSERT_EQUAL_FATAL(mpm_dataset_write(&input), MPM_OK);
}

/* The run drains once: this is the last test. The part is read when the map has returned, and when all
 * workers of its pool have ended. */
static void output_stays_as_it_was_when_the_map_returned(void)
{
    mpm_dataset_map map = {.input_file = input_file,
                           .input_dataset = "/x",
                           .output_file = output_file,
                           .output_dataset = "/y",
                           .result = {MPM_F64, 0, {0}},
                           .block_rows = 1,
                           .chunk = 1,
                           .drain = {.grace_s = 0.1}}; /* what is held does not end in it */
    char *then, *now;
    size_t size, now_size;
    mpm_pool *own;

    make_input();
    forget();
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = WORKERS}, &own), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map_dataset(own, do_row, &map), MPM_EDRAINED);
    then = read_file(part, &size);
    nobody_is_left();
    mpm_pool_close(own);
    now = read_file(part, &now_size);
    CU_ASSERT_EQUAL(size, now_size);
    CU_ASSERT_EQUAL(memcmp(then, now, size), 0);
    free(then);
    free(now);
    unlink(part);
}

static const struct suite_test tests[] = {
#define TEST(name)  \
    {               \
#name, name \
    }
    TEST(canceled_maps_leave_nobody_in_an_item),
    TEST(output_stays_as_it_was_when_the_map_returned),
};

int main(int argc, char **argv)
{
    int status;

    shared = shared_file("map_end", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    snprintf(folder, sizeof folder, "/tmp/mpmap_map_end_XXXXXX");
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    snprintf(input_file, sizeof input_file, "%s/in.h5", folder);
    snprintf(output_file, sizeof output_file, "%s/out.h5", folder);
    snprintf(part, sizeof part, "%s.part", output_file);
    if (mpm_pool_open(&(mpm_pool_options){.workers = WORKERS}, &pool))
        return mpm_report_error();
    status = suite_run("map_end", tests, sizeof tests / sizeof tests[0]);
    mpm_pool_close(pool);
    unlink(input_file);
    rmdir(folder);
    return mpm_finalize() ? EXIT_FAILURE : status;
}
