/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams: maps over what a generator makes, at home and over virtual nodes. */
#include <CUnit/CUnit.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define PATIENCE_S 100

static struct {
    _Atomic int gate, inside;
} * shared;

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers}, &pool), MPM_OK);
    return pool;
}

/* Counts from 0. */
struct counter {
    _Atomic int pulled;
    int count; /* and ends after so many */
    int end;   /* with this */
    _Atomic int answered;
    int ahead; /* does not go on before all but so many have been answered; 0: goes on */
};

static int next_number(void *argument, void *item)
{
    struct counter *counter = argument;
    int number = atomic_load(&counter->pulled);

    if (number >= counter->count)
        return counter->end;
    if (counter->ahead && number >= counter->ahead &&
        !gate_reached(&counter->answered, number - counter->ahead + 1))
        return -77;
    memcpy(item, &number, sizeof number);
    atomic_store(&counter->pulled, number + 1);
    return 1;
}

static int square(mpm_call *call, const void *item, void *result)
{
    const int *n = item;

    *(long *)result = (long)*n * *n;
    return mpm_call_index(call) == (size_t)*n ? 0 : mpm_fail(call, "the index is %zu", mpm_call_index(call));
}

static mpm_stream *begin(mpm_pool *pool, mpm_task *task, struct counter *counter,
                         const mpm_stream_options *options)
{
    mpm_stream *stream = NULL;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_imap(pool, task, next_number, counter, sizeof(int), sizeof(long), options, &stream), MPM_OK);
    return stream;
}

/* Reads all of a stream of squares; how many were wrong or came twice. */
static size_t read_squares(mpm_stream *stream, int count, bool is_ordered)
{
    unsigned char *seen = calloc((size_t)count, 1);
    size_t wrong = 0;
    uint64_t index = 0;
    long squared = 0;

    for (int i = 0; i < count; i++) {
        if (mpm_stream_next(stream, MPM_FOREVER, &squared, &index) || index >= (uint64_t)count ||
            squared != (long)index * (long)index || seen[index]++ || (is_ordered && index != (uint64_t)i))
            wrong++;
    }
    for (int i = 0; i < 2; i++)
        wrong += mpm_stream_next(stream, MPM_FOREVER, &squared, &index) != MPM_ECLOSED;
    free(seen);
    return wrong;
}

static void check_stream(enum mpm_order order, size_t buffer, size_t chunk, int count)
{
    mpm_pool *pool = open_pool(0);
    struct counter counter = {.count = count};
    mpm_stream *stream = begin(pool, square, &counter,
                               &(mpm_stream_options){.order = order, .buffer = buffer, .chunk = chunk});

    CU_ASSERT_EQUAL(read_squares(stream, count, order == MPM_ORDERED), 0);
    CU_ASSERT(error_has("the stream has given all"));
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static void imap_gives_results_in_order(void)
{
    check_stream(MPM_ORDERED, 0, 0, 20000);
    check_stream(MPM_ORDERED, 0, 1, 2000);
    check_stream(MPM_ORDERED, 100, 7, 5000);
    check_stream(MPM_ORDERED, 1, 0, 300);
    check_stream(MPM_ORDERED, 5, 1000, 1000);
}

static void imap_unordered_gives_each_result_once(void)
{
    check_stream(MPM_UNORDERED, 0, 0, 20000);
    check_stream(MPM_UNORDERED, 0, 1, 2000);
    check_stream(MPM_UNORDERED, 100, 7, 5000);
    check_stream(MPM_UNORDERED, 1, 3, 300);
}

static void imap_goes_through_an_array(void)
{
    enum { COUNT = 5000 };
    mpm_pool *pool = open_pool(0);
    int *numbers = malloc(COUNT * sizeof *numbers);
    mpm_stream *stream = NULL;

    CU_ASSERT_FATAL(numbers != NULL);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = i;
    for (int order = MPM_ORDERED; order <= MPM_UNORDERED; order++) {
        mpm_stream_options options = {.order = (enum mpm_order)order};

        CU_ASSERT_EQUAL_FATAL(mpm_pool_imap_array(pool, square, numbers, COUNT, sizeof *numbers, sizeof(long),
                                                  &options, &stream),
                              MPM_OK);
        CU_ASSERT_EQUAL(read_squares(stream, COUNT, order == MPM_ORDERED), 0);
        mpm_stream_close(stream);
    }
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_imap_array(pool, square, NULL, 0, sizeof *numbers, sizeof(long), NULL, &stream), MPM_OK);
    CU_ASSERT_EQUAL(read_squares(stream, 0, true), 0);
    mpm_stream_close(stream);
    CU_ASSERT_EQUAL(mpm_pool_imap_array(pool, square, NULL, 1, sizeof *numbers, sizeof(long), NULL, &stream),
                    MPM_EINVAL);
    CU_ASSERT(error_has("mpm_pool_imap_array: items is NULL, but there are to be 1 of 4 bytes each"));
    free(numbers);
    mpm_pool_close(pool);
}

static void a_stream_of_nothing_is_at_its_end(void)
{
    check_stream(MPM_ORDERED, 0, 0, 0);
    check_stream(MPM_UNORDERED, 0, 0, 0);
}

static void the_generator_is_never_further_ahead_than_the_buffer(void)
{
    static const size_t buffers[] = {1, 2, 10, 33};
    mpm_pool *pool = open_pool(2);

    for (size_t k = 0; k < sizeof buffers / sizeof *buffers; k++) {
        struct counter counter = {.count = 500};
        mpm_stream *stream = begin(pool, square, &counter, &(mpm_stream_options){.buffer = buffers[k]});
        long squared;

        for (int i = 0; i < 500; i++) {
            CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_OK);
            CU_ASSERT(atomic_load(&counter.pulled) <= i + 1 + (int)buffers[k]);
        }
        mpm_stream_close(stream);
    }
    mpm_pool_close(pool);
}

static void the_buffer_is_filled_without_being_asked(void)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 500};
    mpm_stream *stream = begin(pool, square, &counter, &(mpm_stream_options){.buffer = 40});

    CU_ASSERT(gate_reached(&counter.pulled, 40));
    mpm_stream_close(stream);
    CU_ASSERT_EQUAL(atomic_load(&counter.pulled), 40);
    mpm_pool_close(pool);
}

/* The generator needs results before it goes on: nothing may be held back to make a batch full. */
static void a_generator_may_wait_for_results(void)
{
    mpm_pool *pool = open_pool(2);

    for (int ahead = 1; ahead < 6; ahead += 2) {
        struct counter counter = {.count = 100, .ahead = ahead};
        mpm_stream *stream = begin(pool, square, &counter, &(mpm_stream_options){.chunk = 4});
        long squared = 0;

        for (int i = 0; i < 100; i++) {
            CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_OK);
            CU_ASSERT_EQUAL(squared, (long)i * i);
            atomic_fetch_add(&counter.answered, 1);
        }
        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_ECLOSED);
        mpm_stream_close(stream);
    }
    mpm_pool_close(pool);
}

static int square_held_up_at_first(mpm_call *call, const void *item, void *result)
{
    return *(const int *)item || gate_reached(&shared->gate, 1) ? square(call, item, result)
                                                                : mpm_fail(call, "the gate stays closed");
}

/* Items 8 and 9 are pulled before the generator blocks, and make no full batch; the first batch is not ready. */
static void what_a_generator_leaves_is_done_while_others_are_in_work(void)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 12, .ahead = 10};
    mpm_stream *stream;
    uint64_t index = 0;
    long squared;

    atomic_store(&shared->gate, 0);
    stream = begin(pool, square_held_up_at_first, &counter,
                   &(mpm_stream_options){.chunk = 8, .order = MPM_UNORDERED});
    CU_ASSERT(gate_reached(&counter.pulled, 10));
    CU_ASSERT_EQUAL(mpm_stream_next(stream, PATIENCE_S, &squared, &index), MPM_OK);
    CU_ASSERT(index == 8 || index == 9);
    atomic_fetch_add(&counter.answered, 12);
    atomic_store(&shared->gate, 1);
    for (int i = 1; i < 12; i++)
        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_ECLOSED);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static int fail_now_and_then(mpm_call *call, const void *item, void *result)
{
    const int *n = item;

    *(long *)result = *n;
    if (*n % 10 == 3)
        return mpm_fail(call, "%d ends in 3", *n);
    if (*n == 25)
        raise(SIGSEGV);
    return 0;
}

static void check_failures(size_t chunk)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 50};
    mpm_stream *stream = begin(pool, fail_now_and_then, &counter, &(mpm_stream_options){.chunk = chunk});

    for (uint64_t i = 0; i < 50; i++) {
        uint64_t index = 99;
        long result = -1;
        int status = mpm_stream_next(stream, MPM_FOREVER, &result, &index);

        CU_ASSERT_EQUAL(index, i);
        CU_ASSERT_EQUAL(status, i % 10 == 3 || i == 25 ? MPM_ETASK : MPM_OK);
        CU_ASSERT_EQUAL(result, status ? -1 : (long)i);
        if (i == 13)
            CU_ASSERT(error_has("item 13 failed: 13 ends in 3"));
        if (i == 25)
            CU_ASSERT(error_has("item 25 failed: its worker was killed by SIGSEGV (2 attempts)"));
    }
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &(long){0}, NULL), MPM_ECLOSED);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static void a_failed_item_is_an_error_of_its_next(void)
{
    check_failures(0);
    check_failures(1);
    check_failures(20);
}

static int hang_at_7(mpm_call *call, const void *item, void *result)
{
    const int *n = item;

    (void)call;
    *(long *)result = *n;
    while (*n == 7)
        pause();
    return 0;
}

static void an_item_past_its_time_is_an_error_of_its_next(void)
{
    mpm_pool_options options = {.workers = 2, .item_timeout_s = 1, .max_attempts = 2};
    struct counter counter = {.count = 20};
    mpm_pool *pool = NULL;
    mpm_stream *stream;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&options, &pool), MPM_OK);
    stream = begin(pool, hang_at_7, &counter, NULL);
    for (long i = 0; i < 20; i++) {
        long result = -1;

        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), i == 7 ? MPM_ETASK : MPM_OK);
        CU_ASSERT_EQUAL(result, i == 7 ? -1 : i);
        CU_ASSERT(i != 7 || error_has("item 7 failed: it ran past its 1 s (2 attempts)"));
    }
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &(long){0}, NULL), MPM_ECLOSED);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static void a_generator_that_fails_ends_the_stream_after_its_results(void)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 17, .end = -5};
    mpm_stream *stream = begin(pool, square, &counter, &(mpm_stream_options){.chunk = 5});
    long squared;

    for (int i = 0; i < 17; i++)
        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_OK);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &squared, NULL), MPM_EGENERATOR);
    CU_ASSERT(error_has("the generator failed with -5 after 17 items"));
    CU_ASSERT_EQUAL(mpm_stream_next(stream, 0, &squared, NULL), MPM_EGENERATOR);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static int leave_the_thread(void *argument, void *item)
{
    if (next_number(argument, item) <= 0)
        pthread_exit(NULL);
    return 1;
}

/* Values that statuses have, too; and one that never returns. */
static void what_a_generator_returns_is_no_status(void)
{
    static const int values[] = {MPM_EINVAL, MPM_ETASK, MPM_ETIMEDOUT, MPM_ECLOSED, MPM_ECANCELED, -1000, 1};
    mpm_pool *pool = open_pool(2);

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct counter counter = {.count = 3, .end = values[i]};
        mpm_generator *generator = values[i] < 0 ? next_number : leave_the_thread;
        mpm_stream *stream = NULL;
        int status, given = 0;
        long squared;

        if (values[i] > 0)
            counter.end = 0;
        CU_ASSERT_EQUAL_FATAL(mpm_pool_imap(pool, square, generator, &counter, sizeof(int), sizeof squared,
                                            &(mpm_stream_options){.chunk = 2}, &stream),
                              MPM_OK);
        while (!(status = mpm_stream_next(stream, MPM_FOREVER, &squared, NULL)))
            given++;
        CU_ASSERT_EQUAL(given, 3);
        CU_ASSERT_EQUAL(status, MPM_EGENERATOR);
        CU_ASSERT(error_has(values[i] < 0 ? "the generator failed with -"
                                          : "the generator has ended its thread after 3 items"));
        mpm_stream_close(stream);
    }
    CU_ASSERT_EQUAL(mpm_pool_close(pool), MPM_OK);
}

static int wait_at_gate(mpm_call *call, const void *item, void *result)
{
    (void)call;
    atomic_fetch_add(&shared->inside, 1);
    gate_reached(&shared->gate, 1);
    *(long *)result = *(const int *)item;
    return 0;
}

static void next_takes_a_timeout_and_loses_nothing(void)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 10};
    mpm_stream *stream;
    long result = -1;

    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    stream = begin(pool, wait_at_gate, &counter, NULL);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    CU_ASSERT_EQUAL(mpm_stream_next(stream, 0, &result, NULL), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, -1, &result, NULL), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, 0.01, &result, NULL), MPM_ETIMEDOUT);
    CU_ASSERT_EQUAL(result, -1);
    atomic_store(&shared->gate, 1);
    for (long i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_OK);
        CU_ASSERT_EQUAL(result, i);
    }
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static void close_in_the_middle_leaves_nothing(void)
{
    struct arena_usage before, after;
    mpm_pool *pool = open_pool(3);
    long result;

    arena_usage(context_arena(), &before);
    for (int i = 0; i < 20; i++) {
        struct counter counter = {.count = 1000000};
        mpm_stream *stream = begin(pool, square, &counter, &(mpm_stream_options){.order = i % 2});

        for (int k = 0; k < i * 10; k++)
            CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_OK);
        mpm_stream_close(stream);
    }
    mpm_stream_close(NULL);
    arena_usage(context_arena(), &after);
    CU_ASSERT_EQUAL(after.used, before.used);
    mpm_pool_close(pool);
}

static void closing_kills_tasks_that_hang(void)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 100};
    mpm_stream *stream;

    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    stream = begin(pool, wait_at_gate, &counter, NULL);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static void terminate_ends_a_stream(void)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 100000};
    mpm_stream *stream;
    long result;

    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    stream = begin(pool, wait_at_gate, &counter, NULL);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    mpm_pool_terminate(pool);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_ECANCELED);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_ECANCELED);
    mpm_stream_close(stream);
}

/* Ends its own pool, and tries to use it then, and to end the run. */
struct ender {
    mpm_pool *pool;
    mpm_stream *other;
    int count, close, call, begin, finalize;
};

static int end_the_pool(void *argument, void *item)
{
    struct ender *ender = argument;

    memcpy(item, &ender->count, sizeof(int));
    if (ender->count++ < 3)
        return 1;
    ender->finalize = mpm_finalize() == MPM_ESTATE && error_has("a generator cannot end the run");
    ender->close = mpm_pool_close(ender->pool);
    ender->call = mpm_pool_apply(ender->pool, square, &(int){0}, sizeof(int), sizeof(long), &(long){0});
    ender->begin = mpm_pool_imap(ender->pool, square, end_the_pool, ender, sizeof(int), sizeof(long), NULL,
                                 &ender->other);
    return 1;
}

static void a_generator_may_end_its_pool_but_not_the_run(void)
{
    struct ender ender = {.pool = open_pool(2)};
    mpm_stream *stream = NULL;
    int status;
    long result;

    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_imap(ender.pool, square, end_the_pool, &ender, sizeof(int), sizeof(long), NULL, &stream),
        MPM_OK);
    while (!(status = mpm_stream_next(stream, MPM_FOREVER, &result, NULL)))
        ;
    CU_ASSERT_EQUAL(status, MPM_ECANCELED);
    mpm_stream_close(stream);
    CU_ASSERT_EQUAL(ender.finalize, 1);
    CU_ASSERT_EQUAL(ender.close, MPM_OK);
    CU_ASSERT_EQUAL(ender.call, MPM_ESTATE);
    CU_ASSERT_EQUAL(ender.begin, MPM_ESTATE);
    CU_ASSERT_PTR_NULL(ender.other);
    CU_ASSERT_EQUAL(mpm_pool_close(ender.pool), MPM_ESTATE);
}

static int square_at_gate(mpm_call *call, const void *item, void *result)
{
    atomic_fetch_add(&shared->inside, 1);
    return gate_reached(&shared->gate, 1) ? square(call, item, result)
                                          : mpm_fail(call, "the gate stays closed");
}

static void close_gate(void)
{
    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
}

/* A generator whose thread posts a semaphore as it ends: so the generator has ended then, whatever the library did in
 * that thread behind its last call. */
static pthread_key_t ending;
static sem_t has_ended;

static void post_end(void *unused)
{
    (void)unused;
    sem_post(&has_ended);
}

static int next_number_and_tell(void *argument, void *item)
{
    pthread_setspecific(ending, argument);
    return next_number(argument, item);
}

static bool generator_ends(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return !sem_timedwait(&has_ended, &until);
}

static void check_closed_pool(size_t chunk)
{
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = 50};
    mpm_stream *stream = NULL;
    long result;

    close_gate();
    CU_ASSERT_EQUAL_FATAL(mpm_pool_imap(pool, square_at_gate, next_number_and_tell, &counter, sizeof(int),
                                        sizeof(long), &(mpm_stream_options){.buffer = 200, .chunk = chunk},
                                        &stream),
                          MPM_OK);
    CU_ASSERT(generator_ends());
    atomic_store(&shared->gate, 1);
    mpm_pool_close(pool);
    for (long i = 0; i < 50; i++) {
        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_OK);
        CU_ASSERT_EQUAL(result, i * i);
    }
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_ECLOSED);
    mpm_stream_close(stream);
}

/* In one chunk, or in more than are in work at once. */
static void a_closed_pool_lets_a_stream_give_what_was_pulled(void)
{
    CU_ASSERT_FATAL(!sem_init(&has_ended, 0, 0) && !pthread_key_create(&ending, post_end));
    check_closed_pool(64);
    check_closed_pool(1);
    pthread_key_delete(ending);
    sem_destroy(&has_ended);
}

/* Chunks are as large as measured times ask for: so what nobody is idle for is not cut into the smallest ones. */
static void what_no_worker_waits_for_is_held_back(void)
{
    enum { COUNT = 4000 };
    mpm_pool *pool = open_pool(2);
    struct counter counter = {.count = COUNT};
    mpm_stats *stats = NULL;
    mpm_stream *stream;

    close_gate();
    stream = begin(pool, square_at_gate, &counter, &(mpm_stream_options){.buffer = COUNT});
    CU_ASSERT(gate_reached(&counter.pulled, COUNT));
    CU_ASSERT(gate_reached(&shared->inside, 2));
    CU_ASSERT_EQUAL_FATAL(mpm_pool_stats(pool, &stats), MPM_OK);
    CU_ASSERT(stats->all.bytes_sent >= sizeof(int));
    CU_ASSERT(stats->all.bytes_sent <= (2 * stats->all.workers + 8) * sizeof(int));
    free(stats);
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(read_squares(stream, COUNT, true), 0);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

enum { SHARED_ITEMS = 200000, TAKERS = 3, IN_A_ROW = 3000 };

/* Takers of one stream, and what each result came to. */
struct takers {
    mpm_stream *stream;
    _Atomic unsigned char seen[SHARED_ITEMS];
    _Atomic int wrong;
};

/* false at the end. */
static bool take_one(struct takers *takers)
{
    uint64_t index = 0;
    long squared = 0;
    int status = mpm_stream_next(takers->stream, MPM_FOREVER, &squared, &index);

    if (status == MPM_ECLOSED)
        return false;
    if (status || index >= SHARED_ITEMS || squared != (long)index * (long)index ||
        atomic_fetch_add(&takers->seen[index], 1))
        atomic_fetch_add(&takers->wrong, 1);
    return true;
}

static void *take_all(void *takers)
{
    while (take_one(takers))
        ;
    return NULL;
}

/* One that has taken many in a row, and others who come in between: each result is one's. */
static void several_threads_take_from_a_stream(void)
{
    mpm_pool *pool = open_pool(0);
    struct counter counter = {.count = SHARED_ITEMS};
    struct takers *takers = calloc(1, sizeof *takers);
    pthread_t threads[TAKERS];

    CU_ASSERT_FATAL(takers != NULL);
    takers->stream = begin(pool, square, &counter, &(mpm_stream_options){.buffer = 20000});
    for (int i = 0; i < TAKERS; i++) {
        for (int k = 0; k < IN_A_ROW; k++)
            (void)take_one(takers);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_all, takers), 0);
    }
    take_all(takers);
    for (int i = 0; i < TAKERS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&takers->wrong), 0);
    for (int i = 0; i < SHARED_ITEMS; i++)
        atomic_fetch_add(&takers->wrong, takers->seen[i] != 1);
    CU_ASSERT_EQUAL(atomic_load(&takers->wrong), 0);
    mpm_stream_close(takers->stream);
    free(takers);
    mpm_pool_close(pool);
}

static void *read_in_a_thread(void *argument)
{
    struct counter counter = {.count = 3000};
    mpm_stream *stream = begin(argument, square, &counter, NULL);

    CU_ASSERT_EQUAL(read_squares(stream, 3000, true), 0);
    mpm_stream_close(stream);
    return NULL;
}

static void several_streams_of_a_pool_run_at_once(void)
{
    mpm_pool *pool = open_pool(0);
    pthread_t threads[5];

    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, read_in_a_thread, pool), 0);
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    mpm_pool_close(pool);
}

static int add_context(mpm_call *call, const void *item, void *result)
{
    *(long *)result = *(const int *)item + *(const long *)mpm_call_context(call);
    return 0;
}

static void a_stream_hands_its_context_to_every_call(void)
{
    mpm_pool *pool = open_pool(0);
    struct counter counter = {.count = 100};
    long context = 1000, result;
    mpm_stream *stream = begin(pool, add_context, &counter,
                               &(mpm_stream_options){.context = &context, .context_size = sizeof context});

    context = 0;
    for (long i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_OK);
        CU_ASSERT_EQUAL(result, i + 1000);
    }
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static void nonsense_is_refused(void)
{
    mpm_pool *pool = open_pool(1);
    struct counter counter = {.count = 1};
    mpm_stream *stream = NULL;
    long result;

    CU_ASSERT_EQUAL(mpm_pool_imap(NULL, square, next_number, &counter, 4, 8, NULL, &stream), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_imap(pool, NULL, next_number, &counter, 4, 8, NULL, &stream), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_imap(pool, square, NULL, &counter, 4, 8, NULL, &stream), MPM_EINVAL);
    CU_ASSERT(error_has("the generator is NULL"));
    CU_ASSERT_EQUAL(mpm_pool_imap(pool, square, next_number, &counter, 4, 8, NULL, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_imap(pool, square, next_number, &counter, 4, 8,
                                  &(mpm_stream_options){.buffer = SIZE_MAX}, &stream),
                    MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_pool_imap(pool, square, next_number, &counter, 4, 8,
                                  &(mpm_stream_options){.order = (enum mpm_order)7}, &stream),
                    MPM_EINVAL);
    CU_ASSERT_PTR_NULL(stream);
    CU_ASSERT_EQUAL(mpm_stream_next(NULL, 0, &result, NULL), MPM_EINVAL);
    stream = begin(pool, square, &counter, NULL);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, 0, NULL, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, NAN, &result, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &result, NULL), MPM_OK);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"imap_gives_results_in_order", imap_gives_results_in_order},
        {"imap_unordered_gives_each_result_once", imap_unordered_gives_each_result_once},
        {"imap_goes_through_an_array", imap_goes_through_an_array},
        {"a_stream_of_nothing_is_at_its_end", a_stream_of_nothing_is_at_its_end},
        {"the_generator_is_never_further_ahead_than_the_buffer",
         the_generator_is_never_further_ahead_than_the_buffer},
        {"the_buffer_is_filled_without_being_asked", the_buffer_is_filled_without_being_asked},
        {"a_generator_may_wait_for_results", a_generator_may_wait_for_results},
        {"what_a_generator_leaves_is_done_while_others_are_in_work",
         what_a_generator_leaves_is_done_while_others_are_in_work},
        {"a_failed_item_is_an_error_of_its_next", a_failed_item_is_an_error_of_its_next},
        {"an_item_past_its_time_is_an_error_of_its_next", an_item_past_its_time_is_an_error_of_its_next},
        {"a_generator_that_fails_ends_the_stream_after_its_results",
         a_generator_that_fails_ends_the_stream_after_its_results},
        {"what_a_generator_returns_is_no_status", what_a_generator_returns_is_no_status},
        {"next_takes_a_timeout_and_loses_nothing", next_takes_a_timeout_and_loses_nothing},
        {"close_in_the_middle_leaves_nothing", close_in_the_middle_leaves_nothing},
        {"closing_kills_tasks_that_hang", closing_kills_tasks_that_hang},
        {"terminate_ends_a_stream", terminate_ends_a_stream},
        {"a_generator_may_end_its_pool_but_not_the_run", a_generator_may_end_its_pool_but_not_the_run},
        {"a_closed_pool_lets_a_stream_give_what_was_pulled",
         a_closed_pool_lets_a_stream_give_what_was_pulled},
        {"what_no_worker_waits_for_is_held_back", what_no_worker_waits_for_is_held_back},
        {"several_threads_take_from_a_stream", several_threads_take_from_a_stream},
        {"several_streams_of_a_pool_run_at_once", several_streams_of_a_pool_run_at_once},
        {"a_stream_hands_its_context_to_every_call", a_stream_hands_its_context_to_every_call},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    shared = shared_file("stream_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("stream", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
