/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions over data sets: the bits are those of the same reduction over the same items in memory, which reduce_test
 * compares with the documented tree. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "support/suite.h"

#define ROWS    AMOUNT(20000u, 3000u)
#define COLUMNS 3u
#define LEAF    100u

struct sum {
    double sum, squares;
    uint64_t rows;
};

static char file_name[128];

/* Of very different sizes, which nearly cancel: any other order has another sum. */
static double value_at(size_t row, size_t column)
{
    double size = exp((double)((row / 2 * 2654435761u + column * 40503u) % 1000) / 20.0);

    return row % 2 ? -size * (1 + (double)row * 1e-9) : size;
}

static double *make_values(void)
{
    double *values = malloc(ROWS * COLUMNS * sizeof *values);

    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        values[i] = value_at(i / COLUMNS, i % COLUMNS);
    return values;
}

/* Chunks of so many rows, in the other byte order; 0: contiguous, in this machine's. */
static void make_file(const double *values, hsize_t chunk_rows, unsigned gzip)
{
    hid_t file = H5Fcreate(file_name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(2, (hsize_t[]){ROWS, COLUMNS}, NULL),
          creation = H5Pcreate(H5P_DATASET_CREATE), set;

    if (chunk_rows)
        H5Pset_chunk(creation, 2, (hsize_t[]){chunk_rows, COLUMNS});
    if (gzip)
        H5Pset_deflate(creation, gzip);
    set = H5Dcreate2(file, "/data", chunk_rows ? H5T_IEEE_F64BE : H5T_NATIVE_DOUBLE, space, H5P_DEFAULT,
                     creation, H5P_DEFAULT);
    CU_ASSERT_FATAL(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Pclose(creation);
    H5Sclose(space);
    CU_ASSERT_FATAL(H5Fclose(file) >= 0);
}

static int accumulate(mpm_call *call, const void *item, void *state)
{
    const double *row = item;
    struct sum *sum = state;

    if (mpm_call_item_size(call) != COLUMNS * sizeof *row)
        return mpm_fail(call, "%zu bytes", mpm_call_item_size(call));
    for (size_t i = 0; i < COLUMNS; i++) {
        sum->sum += row[i];
        sum->squares += row[i] * row[i];
    }
    sum->rows++;
    return 0;
}

static int accumulate_block(mpm_call *call, const void *items, size_t count, void *state)
{
    struct sum *sum = state, block = {0};

    for (size_t i = 0; i < count; i++)
        if (accumulate(call, (const double *)items + i * COLUMNS, &block))
            return 1;
    sum->sum += block.sum;
    sum->squares += block.squares;
    sum->rows += block.rows;
    return 0;
}

static int accumulate_and_die(mpm_call *call, const void *item, void *state)
{
    static int left = -1;
    struct timespec now;

    if (left < 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        left = (int)(LEAF + (unsigned)(now.tv_nsec / 1000 + getpid() * 7919) % (20 * LEAF));
    }
    if (!left--)
        raise(SIGKILL);
    return accumulate(call, item, state);
}

static int crash_at_1234(mpm_call *call, const void *item, void *state)
{
    if (mpm_call_index(call) == 1234)
        abort();
    return accumulate(call, item, state);
}

static void combine(void *state, const void *later, const void *context)
{
    struct sum *sum = state;
    const struct sum *other = later;

    (void)context;
    sum->sum += other->sum;
    sum->squares += other->squares;
    sum->rows += other->rows;
}

static const mpm_reduction plain = {.accumulate = accumulate,
                                    .combine = combine,
                                    .item_size = COLUMNS * sizeof(double),
                                    .state_size = sizeof(struct sum),
                                    .leaf = LEAF};

static mpm_pool *open_pool(unsigned workers, unsigned attempts)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_open(&(mpm_pool_options){.workers = workers, .max_attempts = attempts}, &pool), MPM_OK);
    return pool;
}

static int reduce_file(mpm_pool *pool, const mpm_reduction *reduction, size_t block_rows, struct sum *sum)
{
    const mpm_dataset_rows rows = {
        .input_file = file_name, .input_dataset = "/data", .block_rows = block_rows};

    memset(sum, 0x55, sizeof *sum);
    return mpm_pool_reduce_dataset(pool, reduction, &rows, sum);
}

static void rows_have_the_bits_of_items_in_memory(void)
{
    static const size_t block_rows[] = {0, 1, 7, 1000000};
    double *values = make_values();
    mpm_reduction block = plain;
    struct sum sum, in_memory, by_blocks;

    block.accumulate = NULL;
    block.accumulate_block = accumulate_block;
    block.block = 16;
    for (unsigned workers = 1; workers <= 5; workers += 2) {
        mpm_pool *pool = open_pool(workers, 0);

        CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &plain, values, ROWS, &in_memory), MPM_OK);
        CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &block, values, ROWS, &by_blocks), MPM_OK);
        CU_ASSERT_NOT_EQUAL(memcmp(&by_blocks, &in_memory, sizeof sum), 0); /* another order shows */
        for (size_t i = 0; i < 4; i++) {
            make_file(values, i ? 60 * i + 7 : 0, i == 2 ? 6 : 0);
            CU_ASSERT_EQUAL(reduce_file(pool, &plain, block_rows[i], &sum), MPM_OK);
            CU_ASSERT_EQUAL(memcmp(&sum, &in_memory, sizeof sum), 0);
            CU_ASSERT_EQUAL(reduce_file(pool, &block, block_rows[i], &sum), MPM_OK);
            CU_ASSERT_EQUAL(memcmp(&sum, &by_blocks, sizeof sum), 0);
        }
        mpm_pool_close(pool);
    }
    free(values);
}

static void workers_that_are_killed_change_no_bit(void)
{
    double *values = make_values();
    mpm_pool *pool = open_pool(3, 1000000);
    mpm_reduction deadly = plain;
    struct sum sum, in_memory;

    deadly.accumulate = accumulate_and_die;
    make_file(values, 250, 0);
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &plain, values, ROWS, &in_memory), MPM_OK);
    CU_ASSERT_EQUAL(reduce_file(pool, &deadly, 0, &sum), MPM_OK);
    CU_ASSERT_EQUAL(memcmp(&sum, &in_memory, sizeof sum), 0);
    mpm_pool_close(pool);
    free(values);
}

static void a_row_that_crashes_is_left_out(void)
{
    double *values = make_values();
    mpm_pool *pool = open_pool(2, 0);
    mpm_failure *failures;
    mpm_reduction deadly = plain;
    struct sum sum, in_memory;
    size_t count;

    deadly.accumulate = crash_at_1234;
    deadly.failures = &failures;
    deadly.failure_count = &count;
    make_file(values, 0, 0);
    CU_ASSERT_EQUAL(reduce_file(pool, &deadly, 0, &sum), MPM_ETASK);
    CU_ASSERT(error_has("1 of"));
    CU_ASSERT(error_has("item 1234: its worker was killed by SIGABRT"));
    CU_ASSERT(count == 1 && failures[0].index == 1234);
    free(failures);
    CU_ASSERT_EQUAL(mpm_pool_reduce(pool, &deadly, values, ROWS, &in_memory), MPM_ETASK);
    CU_ASSERT_EQUAL(memcmp(&sum, &in_memory, sizeof sum), 0);
    CU_ASSERT_EQUAL(sum.rows, ROWS - 1);
    free(failures);
    mpm_pool_close(pool);
    free(values);
}

/* Overwrites some bytes of a compressed chunk: the one with rows 400 to 499. */
static void spoil(void)
{
    hid_t file = H5Fopen(file_name, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, "/data", H5P_DEFAULT);
    hid_t space = H5Dget_space(set);
    haddr_t address = 0;
    hsize_t size = 0, offset[2];
    unsigned filters;
    char zeros[64] = {0};
    int fd = open(file_name, O_WRONLY | O_CLOEXEC);

    for (hsize_t i = 0; i < ROWS / 100; i++) {
        CU_ASSERT_FATAL(H5Dget_chunk_info(set, space, i, offset, &filters, &address, &size) >= 0);
        if (offset[0] == 400)
            break;
    }
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    CU_ASSERT_EQUAL(pwrite(fd, zeros, sizeof zeros, (off_t)(address + size / 2)), (ssize_t)sizeof zeros);
    close(fd);
}

static void rows_that_cannot_be_read_are_left_out(void)
{
    double *values = make_values();
    mpm_pool *pool = open_pool(2, 0);
    mpm_reduction reduction = plain;
    struct sum sum;

    make_file(values, 100, 6);
    spoil();
    reduction.leaf = 1000; /* pieces of a leaf are good */
    CU_ASSERT_EQUAL(reduce_file(pool, &reduction, 0, &sum), MPM_ETASK);
    CU_ASSERT(error_has("100 of"));
    CU_ASSERT(error_has("item 400: "));
    CU_ASSERT_EQUAL(sum.rows, ROWS - 100);
    reduction.max_failures = 99;
    CU_ASSERT_EQUAL(reduce_file(pool, &reduction, 0, &sum), MPM_ECANCELED);
    mpm_pool_close(pool);
    free(values);
}

static void what_cannot_be_is_refused(void)
{
    double *values = make_values();
    mpm_pool *pool = open_pool(1, 0);
    mpm_dataset_rows rows = {.input_file = file_name, .input_dataset = "/other"};
    mpm_reduction reduction = plain;
    struct sum sum;

    make_file(values, 0, 0);
    CU_ASSERT_EQUAL(mpm_pool_reduce_dataset(pool, &plain, &rows, &sum), MPM_ENOENT);
    rows.input_dataset = NULL;
    CU_ASSERT_EQUAL(mpm_pool_reduce_dataset(pool, &plain, &rows, &sum), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_reduce_dataset(pool, &plain, NULL, &sum), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_reduce_dataset(NULL, &plain, &rows, &sum), MPM_EINVAL);
    reduction.item_size = 8;
    CU_ASSERT_EQUAL(reduce_file(pool, &reduction, 0, &sum), MPM_ETYPE);
    CU_ASSERT(error_has("item_size is 8, but a row of"));
    reduction.item_size = 0;
    CU_ASSERT_EQUAL(reduce_file(pool, &reduction, 0, &sum), MPM_OK);
    reduction.combine = NULL;
    CU_ASSERT_EQUAL(reduce_file(pool, &reduction, 0, &sum), MPM_EINVAL);
    CU_ASSERT(error_has("mpm_pool_reduce_dataset: combine is NULL"));
    mpm_pool_close(pool);
    free(values);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"rows_have_the_bits_of_items_in_memory", rows_have_the_bits_of_items_in_memory},
        {"workers_that_are_killed_change_no_bit", workers_that_are_killed_change_no_bit},
        {"a_row_that_crashes_is_left_out", a_row_that_crashes_is_left_out},
        {"rows_that_cannot_be_read_are_left_out", rows_that_cannot_be_read_are_left_out},
        {"what_cannot_be_is_refused", what_cannot_be_is_refused},
    };
    const char *temporary = getenv("TMPDIR");
    int failed;

    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    H5dont_atexit(); /* it complains after a damaged file */
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    snprintf(file_name, sizeof file_name, "%s/reduce-dataset-test-%d.h5", temporary ? temporary : P_tmpdir,
             (int)getpid());
    failed = suite_run("reduce_dataset", tests, sizeof tests / sizeof *tests);
    unlink(file_name);
    return mpm_finalize() ? mpm_report_error() : failed;
}
