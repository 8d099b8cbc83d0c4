/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps, streams and calls that together need far more memory than the arena has, or more places than a board has, at
 * home and over virtual nodes. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "forkserver/forkserver_inside.h"
#include "node/context.h"
#include "pool/driver/pool_state.h"
#include "pool/node/node_pool_inside.h"
#include "shm/arena.h"
#include "shm/thread_token.h"
#include "support/everywhere.h"
#include "support/gate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define ITEM_SIZE   ((size_t)100000)
#define MANY        600u
#define MOST_STARTS 2000u

static struct {
    _Atomic int gate; /* what tasks wait for */
    _Atomic int inside;
} * shared;

static mpm_pool *open_pool(void)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 4}, &pool), MPM_OK);
    return pool;
}

static int sum_at_gate(mpm_call *call, const void *item, void *result)
{
    const unsigned char *bytes = item;
    long sum = 0;

    atomic_fetch_add(&shared->inside, 1);
    gate_reached(&shared->gate, 1);
    for (size_t i = 0; i < mpm_call_item_size(call); i++)
        sum += bytes[i];
    *(long *)result = sum;
    return 0;
}

static unsigned char *make_items(size_t count)
{
    unsigned char *items = malloc(count * ITEM_SIZE);

    for (size_t i = 0; i < count; i++)
        memset(items + i * ITEM_SIZE, (int)i, ITEM_SIZE);
    return items;
}

/* As full as maps make it. */
static bool arena_is_full(void)
{
    struct arena_usage usage;

    arena_usage(context_arena(), &usage);
    return usage.used > usage.size / 4 * 3;
}

static bool arena_fills(void)
{
    for (int i = 0; i < 30000 && !arena_is_full(); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return arena_is_full();
}

static void maps_that_do_not_fit_together_wait_for_each_other(void)
{
    enum { MAPS = 100, ITEMS = 8 };
    unsigned char *items = make_items(ITEMS);
    mpm_pool *pool = open_pool();
    mpm_result *result[MAPS];
    const void *sums;

    atomic_store(&shared->gate, 0);
    for (int i = 0; i < MAPS; i++)
        CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, sum_at_gate, items, ITEMS, ITEM_SIZE, sizeof(long),
                                                 NULL, NULL, NULL, &result[i]),
                              MPM_OK);
    CU_ASSERT(arena_fills());
    atomic_store(&shared->gate, 1);
    for (int i = 0; i < MAPS; i++) {
        CU_ASSERT_EQUAL_FATAL(mpm_result_get(result[i], MPM_FOREVER, &sums), MPM_OK);
        for (int n = 0; n < ITEMS; n++)
            CU_ASSERT_EQUAL(((const long *)sums)[n], n * (long)ITEM_SIZE);
        mpm_result_destroy(result[i]);
    }
    mpm_pool_close(pool);
    free(items);
}

static void contexts_that_do_not_fit_together_wait_for_each_other(void)
{
    enum { MAPS = 60, ITEMS = 8, CONTEXT_SIZE = 400000 };
    unsigned char *items = make_items(ITEMS);
    mpm_map_options options = {.context = items, .context_size = CONTEXT_SIZE};
    mpm_pool *pool = open_pool();
    mpm_result *result[MAPS];

    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    for (int i = 0; i < MAPS; i++)
        CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, sum_at_gate, items, ITEMS, ITEM_SIZE, sizeof(long),
                                                 &options, NULL, NULL, &result[i]),
                              MPM_OK);
    CU_ASSERT(gate_reached(&shared->inside, 4));
    atomic_store(&shared->gate, 1);
    for (int i = 0; i < MAPS; i++) {
        CU_ASSERT_EQUAL_FATAL(mpm_result_get(result[i], MPM_FOREVER, NULL), MPM_OK);
        mpm_result_destroy(result[i]);
    }
    mpm_pool_close(pool);
    free(items);
}

static void calls_that_do_not_fit_together_wait_for_each_other(void)
{
    enum { CALLS = 200 };
    unsigned char *item = make_items(2) + ITEM_SIZE;
    mpm_pool *pool = open_pool();
    mpm_result *result[CALLS];
    const void *sum;

    atomic_store(&shared->gate, 0);
    for (int i = 0; i < CALLS; i++)
        CU_ASSERT_EQUAL_FATAL(
            mpm_pool_apply_async(pool, sum_at_gate, item, ITEM_SIZE, sizeof(long), NULL, &result[i]), MPM_OK);
    atomic_store(&shared->gate, 1);
    for (int i = 0; i < CALLS; i++) {
        CU_ASSERT_EQUAL_FATAL(mpm_result_get(result[i], MPM_FOREVER, &sum), MPM_OK);
        CU_ASSERT_EQUAL(*(const long *)sum, (long)ITEM_SIZE);
        mpm_result_destroy(result[i]);
    }
    mpm_pool_close(pool);
    free(item - ITEM_SIZE);
}

static int make_item(void *argument, void *item)
{
    int *left = argument;

    memset(item, *left & 0x7f, 5 * ITEM_SIZE);
    return (*left)-- > 0;
}

static void a_stream_of_more_than_the_arena_goes_on(void)
{
    int left = 200;
    mpm_pool *pool = open_pool();
    mpm_stream *stream = NULL;
    long sum;

    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL_FATAL(
        mpm_pool_imap(pool, sum_at_gate, make_item, &left, 5 * ITEM_SIZE, sizeof sum, NULL, &stream), MPM_OK);
    for (int i = 200; i > 0; i--) {
        CU_ASSERT_EQUAL_FATAL(mpm_stream_next(stream, MPM_FOREVER, &sum, NULL), MPM_OK);
        CU_ASSERT_EQUAL(sum, (i & 0x7f) * 5 * (long)ITEM_SIZE);
    }
    CU_ASSERT_EQUAL(mpm_stream_next(stream, MPM_FOREVER, &sum, NULL), MPM_ECLOSED);
    mpm_stream_close(stream);
    mpm_pool_close(pool);
}

static int crash_once_at_gate(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    if (mpm_call_index(call) || atomic_fetch_add(&shared->inside, 1))
        return 0;
    gate_reached(&shared->gate, 1);
    raise(SIGKILL);
    return 1;
}

/* All that is left, in blocks that are smaller and smaller. How many. */
static size_t take_all_memory(void **blocks, size_t room)
{
    size_t count = 0;

    for (size_t size = (size_t)1 << 22; size >= 64; size /= 2) {
        while (count < room && !mpm_alloc(size, &blocks[count]))
            count++;
    }
    return count;
}

/* A worker takes the others of its chunk with it, and there is no memory for their list. On one node, where the first
 * leases have all of the items: later ones would find no memory either. */
static void a_crash_in_a_full_arena_costs_its_item_only(void)
{
    static void *blocks[200000];
    size_t count;
    mpm_result *result = NULL;
    mpm_pool *pool = NULL;

    if (mpm_node_count() > 1)
        return;
    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &pool), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(pool, crash_once_at_gate, NULL, 300, 0, 0,
                                             &(mpm_map_options){.chunk = 300}, NULL, NULL, &result),
                          MPM_OK);
    CU_ASSERT(gate_reached(&shared->inside, 1));
    count = take_all_memory(blocks, sizeof blocks / sizeof *blocks);
    CU_ASSERT(arena_is_full());
    atomic_store(&shared->gate, 1);
    CU_ASSERT_EQUAL(mpm_result_get(result, MPM_FOREVER, NULL), MPM_OK);
    while (count)
        mpm_free(blocks[--count]);
    mpm_result_destroy(result);
    mpm_pool_close(pool);
}

static int unpack(mpm_call *call, const void *item, void *result)
{
    size_t size = *(const size_t *)item;
    void *unpacked = mpm_call_blob(call, size);

    (void)result;
    if (!unpacked)
        return 1;
    memset(unpacked, 1, size);
    return 0;
}

/* Sixteen of them fit, and not many more: nothing about the items says how long their results will be. */
static void long_results_of_short_items_find_room(void)
{
    enum { ITEMS = 300 };
    size_t size = 3 * ITEM_SIZE;
    mpm_blob items[ITEMS], *results = NULL;
    mpm_pool *pool = open_pool();

    for (int i = 0; i < ITEMS; i++)
        items[i] = (mpm_blob){&size, sizeof size};
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_blobs(pool, unpack, items, ITEMS, NULL, &results), MPM_OK);
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(results[i].size, size);
    mpm_blobs_free(results);
    mpm_pool_close(pool);
}

/* A full board. */

enum { MOST_MAPS = 64 };

static struct {
    mpm_pool *pool;
    unsigned char *items;
    _Atomic int inside, may_go_on; /* of those that tell progress */
    _Atomic int waiter, waiter_is_done;
} board;

static void stop_here(const mpm_progress *now, void *argument)
{
    (void)now;
    (void)argument;
    atomic_fetch_add(&board.inside, 1);
    gate_reached(&board.may_go_on, 1);
}

static void *map_two(void *argument)
{
    long sums[2];

    (void)argument;
    CU_ASSERT_EQUAL(mpm_pool_map(board.pool, sum_at_gate, board.items, 2, ITEM_SIZE, sizeof *sums,
                                 &(mpm_map_options){.progress = stop_here}, sums),
                    MPM_OK);
    return NULL;
}

static void *wait_for_a_place(void *argument)
{
    long sums[2];

    (void)argument;
    atomic_store(&board.waiter, gettid());
    CU_ASSERT_EQUAL(
        mpm_pool_map(board.pool, sum_at_gate, board.items, 2, ITEM_SIZE, sizeof *sums, NULL, sums), MPM_OK);
    atomic_store(&board.waiter_is_done, 1);
    return NULL;
}

static bool is_asleep(int thread)
{
    char path[64], state = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    if (!(file = fopen(path, "r")))
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    fclose(file);
    return state == 'S';
}

static void see_asleep(int thread)
{
    for (int i = 0; i < 30000 && !is_asleep(thread); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CU_ASSERT(is_asleep(thread));
}

/* How many of its places have a lease, or a lease of which something is still to be claimed. */
static unsigned count_places(bool unclaimed)
{
    const struct board *places = board.pool->home->board;
    unsigned count = 0;

    for (unsigned i = 0; i < BOARD_ENTRIES; i++) {
        uint64_t offset = atomic_load(&places->entry[i]);
        const struct lease_block *lease = arena_at(context_arena(), offset);

        count += offset && (!unclaimed || atomic_load(&lease->next) < lease->count);
    }
    return count;
}

static bool worker_is_done(void)
{
    for (int i = 0; i < 30000; i++) {
        if (!count_places(true) && !atomic_load(&board.pool->home->board->worker[0].lease))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

/* What is claimed has no place any more once somebody has looked. */
static bool places_are_free(void)
{
    for (int i = 0; i < 30000 && count_places(false); i++) {
        eventcount_notify(context_doorbell());
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return !count_places(false);
}

/* Those that fill it are held up until the worker has nothing more to do: then nobody else rings. */
static void a_map_that_finds_the_board_full_goes_on_when_others_end(void)
{
    pthread_t thread[MOST_MAPS], waiter;
    mpm_result *first = NULL;
    int maps = 0;

    memset(&board, 0, sizeof board);
    atomic_store(&shared->gate, 0);
    atomic_store(&shared->inside, 0);
    board.items = make_items(2);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = 1}, &board.pool), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_pool_map_async(board.pool, sum_at_gate, board.items, 1, ITEM_SIZE, sizeof(long),
                                             NULL, NULL, NULL, &first),
                          MPM_OK);
    CU_ASSERT(gate_reached(&shared->inside, 1)); /* the worker is busy: nothing else is claimed */
    CU_ASSERT(places_are_free());
    for (; maps < MOST_MAPS && count_places(false) < BOARD_ENTRIES; maps++) {
        pthread_create(&thread[maps], NULL, map_two, NULL);
        CU_ASSERT_FATAL(gate_reached(&board.inside, maps + 1));
    }
    CU_ASSERT_EQUAL(count_places(true), BOARD_ENTRIES);
    pthread_create(&waiter, NULL, wait_for_a_place, NULL);
    CU_ASSERT(gate_reached(&board.waiter, 1));
    see_asleep(atomic_load(&board.waiter));
    atomic_store(&shared->gate, 1);
    CU_ASSERT(worker_is_done());
    see_asleep(atomic_load(&board.waiter));
    atomic_store(&board.may_go_on, 1);
    for (int i = 0; i < maps; i++)
        pthread_join(thread[i], NULL);
    CU_ASSERT(gate_reached(&board.waiter_is_done, 1));
    if (!atomic_load(&board.waiter_is_done)) /* whatever rings wakes it */
        eventcount_notify(context_doorbell());
    pthread_join(waiter, NULL);
    CU_ASSERT_EQUAL(mpm_result_get(first, MPM_FOREVER, NULL), MPM_OK);
    mpm_result_destroy(first);
    mpm_pool_close(board.pool);
    free(board.items);
}

/* Asleep, as there are hundreds of them. */
static int stay(const void *args, size_t size)
{
    (void)args;
    (void)size;
    while (pause())
        ;
    return 0;
}

static int start_one(mpm_process *process)
{
    return mpm_process_start(stay, NULL, 0, &(mpm_process_options){.place = MPM_ON_NODE(0)}, process);
}

static void end_one(mpm_process process)
{
    CU_ASSERT_EQUAL(mpm_process_kill(process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
}

static int meet(const void *args, size_t size)
{
    (void)size;
    return mpm_barrier_wait(*(const mpm_barrier *)args, MPM_FOREVER, NULL) ? 1 : 0;
}

/* More processes than the table of lives has room for at first, and all of them at once. */
static void a_barrier_of_many_processes_passes_in_a_small_arena(void)
{
    static mpm_process processes[MANY];
    mpm_barrier barrier;
    unsigned met = 0;

    CU_ASSERT_EQUAL_FATAL(mpm_barrier_create(MANY, NULL, &barrier), MPM_OK);
    for (unsigned i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL_FATAL(mpm_process_start(meet, &barrier, sizeof barrier,
                                                &(mpm_process_options){.place = MPM_ON_NODE(0)},
                                                &processes[i]),
                              MPM_OK);
    for (unsigned i = 0; i < MANY; i++) {
        int code = 1;

        met += !mpm_process_join(processes[i], MPM_FOREVER) && !mpm_process_exitcode(processes[i], &code) &&
               !code && !mpm_process_close(processes[i]);
    }
    CU_ASSERT_EQUAL(met, MANY);
    CU_ASSERT_EQUAL(mpm_barrier_destroy(barrier), MPM_OK);
}

/* Long messages that a node has no memory for at once. */

#define LONG_SIZE ((size_t)1 << 20)
#define PIPE_SIZE ((size_t)9 << 19) /* crosses by pieces, */
#define HOLE_SIZE ((size_t)1 << 20) /* which fit here */
#define WAIT_S    60.0
#define SPARE     ((size_t)192 << 10)

struct long_messages {
    mpm_queue queue;
    mpm_connection end;
};

static bool has_only(const char *message, size_t size, char byte)
{
    return message[0] == byte && !memcmp(message, message + 1, size - 1);
}

static size_t fill_but(void *hole, void **blocks, size_t room)
{
    size_t count = 0;

    for (size_t size = (size_t)1 << 20; size >= 256u << 10; size /= 2) {
        while (count < room && !mpm_alloc(size, &blocks[count]))
            count++;
    }
    mpm_free(hole);
    return count;
}

static void receive_by_pieces(mpm_connection end, char *message)
{
    size_t size = 0;

    EXPECT(!mpm_connection_recv(end, WAIT_S, message, PIPE_SIZE, &size));
    EXPECT(size == PIPE_SIZE && has_only(message, size, 3));
    memset(message, 4, size);
    EXPECT(!mpm_connection_send(end, message, size, WAIT_S));
}

static int receive_with_little_memory(const void *args, size_t args_size)
{
    const struct long_messages *from = args;
    char *message = malloc(PIPE_SIZE);
    void *hole, *spare, *blocks[100];
    size_t count, size = 0;

    (void)args_size;
    EXPECT(!mpm_alloc(HOLE_SIZE, &hole) && !mpm_alloc(SPARE, &spare));
    count = fill_but(hole, blocks, 90);
    receive_by_pieces(from->end, message);
    count += fill_but(spare, blocks + count, 10);
    for (int i = 0; i < 3; i++)
        EXPECT(mpm_queue_get(from->queue, WAIT_S, message, PIPE_SIZE, NULL) == MPM_ENOMEM);
    while (count)
        mpm_free(blocks[--count]);
    EXPECT(!mpm_queue_get(from->queue, WAIT_S, message, PIPE_SIZE, &size));
    EXPECT(size == LONG_SIZE && has_only(message, size, 1));
    EXPECT(!mpm_queue_get(from->queue, WAIT_S, message, PIPE_SIZE, &size) && size == 1 && *message == 2);
    free(message);
    return everywhere_end();
}

static void a_long_message_that_finds_no_memory_is_not_lost(void)
{
    char *message = malloc(PIPE_SIZE);

    for (unsigned node = 1; node < mpm_node_count(); node++) {
        struct long_messages to;
        mpm_connection own;
        mpm_process process;

        CU_ASSERT_EQUAL_FATAL(mpm_queue_create(NULL, &to.queue), MPM_OK);
        CU_ASSERT_EQUAL_FATAL(mpm_pipe_create(MPM_DUPLEX, &own, &to.end), MPM_OK);
        memset(message, 3, PIPE_SIZE);
        EXPECT(!mpm_connection_send(own, message, PIPE_SIZE, WAIT_S));
        process = start_on(node, receive_with_little_memory, &to, sizeof to);
        EXPECT(!mpm_connection_recv(own, WAIT_S, message, PIPE_SIZE, NULL));
        EXPECT(has_only(message, PIPE_SIZE, 4));
        memset(message, 1, LONG_SIZE);
        EXPECT(!mpm_queue_put(to.queue, message, LONG_SIZE, WAIT_S));
        EXPECT(!mpm_queue_put(to.queue, "\2", 1, WAIT_S));
        expect_end(process, 0);
        EXPECT(!mpm_queue_destroy(to.queue));
        EXPECT(!mpm_connection_close(own) && !mpm_connection_close(to.end));
    }
    free(message);
    everywhere_assert();
}

/* Leaves too little for another segment of the table. */
static unsigned fill_arena(uint64_t *blocks, unsigned most)
{
    unsigned count = 0;

    for (size_t size = 1u << 20; size >= 4096; size /= 2) {
        while (count < most && !arena_alloc(context_arena(), size, ARENA_NO_OWNER, &blocks[count]))
            count++;
    }
    return count;
}

/* What is left of an arena is only for the records of processes, which are small. */
static void a_process_that_can_have_no_thread_token_is_not_started(void)
{
    static mpm_process processes[MOST_STARTS];
    static uint64_t blocks[1000];
    unsigned count = 0, filled = 0, room = thread_token_room();
    int status;

    while (count < MOST_STARTS && !(status = start_one(&processes[count]))) {
        if (++count == 64)
            filled = fill_arena(blocks, 1000);
    }
    CU_ASSERT_EQUAL(status, MPM_ENOMEM);
    CU_ASSERT(count < MOST_STARTS);
    CU_ASSERT(thread_token_room() <= 2 * room);
    for (unsigned i = 0; i < filled; i++)
        arena_free(context_arena(), blocks[i]);
    CU_ASSERT_EQUAL_FATAL(start_one(&processes[count]), MPM_OK);
    for (unsigned i = 0; i <= count; i++)
        end_one(processes[i]);
}

/* Has the node's free records taken by nobody, or sets them free again: as if there were as many processes. */
static void take_records(bool taken)
{
    enum process_state from = taken ? PROCESS_FREE : PROCESS_RESERVED;
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        if (process_state_of(atomic_load(&record->word)) != from)
            continue;
        forkserver_set_state(record, taken ? PROCESS_RESERVED : PROCESS_FREE);
        if (!taken)
            forkserver_note_free(context_arena(), record);
    }
}

/* There is memory for records, in places of their size, but none for a table of lives twice as large. */
static void who_cannot_have_a_thread_token_is_told_what_to_do(void)
{
    enum { HOLES = 40, ROOM = 512, MOST_ROUNDS = 2 * ROOM / SEGMENT_RECORDS };
    size_t hole = SEGMENT_RECORDS * sizeof(struct process_record) + 1024;
    uint64_t holes[HOLES], walls[HOLES];
    static uint64_t blocks[3000];
    mpm_process processes[MOST_ROUNDS + 1];
    unsigned filled, count = 0;
    int status = MPM_OK;

    CU_ASSERT(thread_token_make_room(ROOM));
    for (unsigned i = 0; i < HOLES; i++) {
        CU_ASSERT_EQUAL_FATAL(arena_alloc(context_arena(), hole, ARENA_NO_OWNER, &holes[i]), MPM_OK);
        CU_ASSERT_EQUAL_FATAL(arena_alloc(context_arena(), hole, ARENA_NO_OWNER, &walls[i]), MPM_OK);
    }
    filled = fill_arena(blocks, 3000);
    for (unsigned i = 0; i < HOLES; i++)
        arena_free(context_arena(), holes[i]);
    CU_ASSERT_FALSE(thread_token_make_room(2 * thread_token_room()));
    while (count < MOST_ROUNDS && !(status = start_one(&processes[count]))) {
        take_records(true);
        count++;
    }
    CU_ASSERT_EQUAL(status, MPM_ENOMEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "processes at once"));
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "MPMAP_ARENA"));
    for (unsigned i = 0; i < filled; i++)
        arena_free(context_arena(), blocks[i]);
    for (unsigned i = 0; i < HOLES; i++)
        arena_free(context_arena(), walls[i]);
    take_records(false);
    CU_ASSERT_EQUAL_FATAL(start_one(&processes[count]), MPM_OK);
    for (unsigned i = 0; i <= count; i++)
        end_one(processes[i]);
}

/* Threads of one process, each of which has used the node's memory, and stays. */
struct crowd {
    mpm_lock lock;
    _Atomic int inside, may_go;
    _Atomic unsigned refused;
    char sentence[200];
};

static void *use_lock_and_stay(void *argument)
{
    struct crowd *crowd = argument;
    int status = mpm_lock_acquire(crowd->lock, MPM_FOREVER);

    if (status == MPM_ENOMEM && !atomic_fetch_add(&crowd->refused, 1))
        snprintf(crowd->sentence, sizeof crowd->sentence, "%s", mpm_error());
    if (!status && mpm_lock_release(crowd->lock))
        return NULL;
    atomic_fetch_add(&crowd->inside, 1);
    for (int i = 0; i < 10 && !gate_reached(&crowd->may_go, 1); i++) /* there are many to come */
        ;
    return NULL;
}

static int come_in_a_crowd(const void *args, size_t size)
{
    static struct crowd crowd;
    static pthread_t thread[MANY];
    int started = 0;

    (void)size;
    memcpy(&crowd.lock, args, sizeof crowd.lock);
    while (started < (int)MANY && !atomic_load(&crowd.refused) &&
           !pthread_create(&thread[started], NULL, use_lock_and_stay, &crowd)) {
        if (!gate_reached(&crowd.inside, ++started))
            break;
    }
    atomic_store(&crowd.may_go, 1);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    return atomic_load(&crowd.refused) && strstr(crowd.sentence, "MPMAP_ARENA") ? 0 : 1;
}

static void a_thread_that_can_have_no_thread_token_gets_an_error(void)
{
    static uint64_t blocks[3000];
    mpm_process process;
    unsigned filled;
    mpm_lock lock;
    int code = -1;

    CU_ASSERT_EQUAL_FATAL(mpm_lock_create(&lock), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(mpm_process_start(come_in_a_crowd, &lock, sizeof lock,
                                            &(mpm_process_options){.place = MPM_ON_NODE(0)}, &process),
                          MPM_OK);
    filled = fill_arena(blocks, 3000);
    CU_ASSERT(thread_token_room() < MANY);
    CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_exitcode(process, &code), MPM_OK);
    CU_ASSERT_EQUAL(code, 0);
    for (unsigned i = 0; i < filled; i++)
        arena_free(context_arena(), blocks[i]);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    CU_ASSERT_EQUAL(mpm_lock_destroy(lock), MPM_OK);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"a_thread_that_can_have_no_thread_token_gets_an_error",
         a_thread_that_can_have_no_thread_token_gets_an_error},
        {"maps_that_do_not_fit_together_wait_for_each_other",
         maps_that_do_not_fit_together_wait_for_each_other},
        {"contexts_that_do_not_fit_together_wait_for_each_other",
         contexts_that_do_not_fit_together_wait_for_each_other},
        {"calls_that_do_not_fit_together_wait_for_each_other",
         calls_that_do_not_fit_together_wait_for_each_other},
        {"a_crash_in_a_full_arena_costs_its_item_only", a_crash_in_a_full_arena_costs_its_item_only},
        {"long_results_of_short_items_find_room", long_results_of_short_items_find_room},
        {"a_map_that_finds_the_board_full_goes_on_when_others_end",
         a_map_that_finds_the_board_full_goes_on_when_others_end},
        {"a_stream_of_more_than_the_arena_goes_on", a_stream_of_more_than_the_arena_goes_on},
        {"a_process_that_can_have_no_thread_token_is_not_started",
         a_process_that_can_have_no_thread_token_is_not_started},
        {"who_cannot_have_a_thread_token_is_told_what_to_do",
         who_cannot_have_a_thread_token_is_told_what_to_do},
        {"a_long_message_that_finds_no_memory_is_not_lost", a_long_message_that_finds_no_memory_is_not_lost},
        {"a_barrier_of_many_processes_passes_in_a_small_arena",
         a_barrier_of_many_processes_passes_in_a_small_arena},
    };
    int failed;

    setenv("MPMAP_ARENA", "8M", 1);
    shared = shared_file("full_arena_test", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    failed = suite_run("full_arena", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
