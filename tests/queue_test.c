/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues, at home and from other nodes. What a queue promises to one process stands in functions that main
 * runs on queues of its own and of other nodes, and that tasks on all nodes run on queues of main's node.
 * What must be remembered across workers' deaths stands in a file that all ranks map before mpm_init. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "node/context.h"
#include "shm/arena.h"
#include "support/predicate.h"
#include "support/suite.h"

#define WORKERS         8u
#define TOKENS          AMOUNT(4000000u, 400000u)
#define THREAD_TOKEN_NS 2000000u /* of an item in the test with deaths, if nothing happens */

/* What became of each message of the test with deaths. */
static struct history {
    _Atomic uint32_t next;
    _Atomic uint32_t begun, ended; /* items */
    _Atomic unsigned char put[TOKENS], got[TOKENS];
} * history;

/* All ranks of a run have one parent: the launcher, or whoever started the test. */
static bool share_history(char *path, size_t size)
{
    const char *folder = getenv("TMPDIR");
    int file;

    snprintf(path, size, "%s/mpmap_queue_test.%d", folder ? folder : "/tmp", (int)getppid());
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *history))
        return false;
    history = mmap(NULL, sizeof *history, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return history != MAP_FAILED;
}

/* What was expected in this process, and not so: the first of it. */
static char wrong[192];

#define EXPECT(condition) expect(condition, #condition, __LINE__)

static void expect(bool is_so, const char *condition, int line)
{
    if (!is_so && !*wrong)
        snprintf(wrong, sizeof wrong, "line %d: %.100s (%.60s)", line, condition, mpm_error());
}

static mpm_queue create(size_t maxsize)
{
    mpm_queue queue = {0};

    EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = maxsize}, &queue));
    return queue;
}

static size_t size_of(mpm_queue queue)
{
    size_t size = SIZE_MAX;

    EXPECT(!mpm_queue_size(queue, &size));
    return size;
}

static bool is_late_enough(uint64_t start_ns, double timeout_s)
{
    double took_s = (double)(clock_now_ns() - start_ns) * 1e-9;

    return took_s >= timeout_s && took_s < timeout_s + 60;
}

/* What a queue promises to one process, wherever it is. */

static void messages_of_all_sizes_keep_their_order(mpm_queue queue)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 1000, 0, 70000, 3000000, 20000, 20000, 5, 65000};
    static char message[3000000], got[3000000];
    size_t count = sizeof sizes / sizeof *sizes, size;

    for (size_t i = 0; i < count; i++) {
        memset(message, (int)i + 1, sizes[i]);
        EXPECT(!mpm_queue_put(queue, message, sizes[i], 0));
        EXPECT(size_of(queue) == i + 1);
    }
    for (size_t i = 0; i < count; i++) {
        memset(message, (int)i + 1, sizes[i]);
        size = SIZE_MAX;
        EXPECT(!mpm_queue_get(queue, 0, got, sizeof got, &size));
        EXPECT(size == sizes[i]);
        EXPECT(!memcmp(message, got, sizes[i]));
    }
    EXPECT(queue_is_empty(queue) == 1);
}

static void a_buffer_too_small_keeps_the_message(mpm_queue queue)
{
    char message[100] = "here", got[100] = "";
    size_t size = 0, count = 77;

    EXPECT(!mpm_queue_put(queue, message, sizeof message, 0));
    EXPECT(mpm_queue_get(queue, 0, got, 99, &size) == MPM_ETOOSMALL);
    EXPECT(size == sizeof message && !*got);
    EXPECT(mpm_queue_get(queue, 0, NULL, 0, NULL) == MPM_ETOOSMALL);
    EXPECT(mpm_queue_get_many(queue, 50, 2, 0, got, &count) == MPM_ETOOSMALL && count == 77);
    EXPECT(size_of(queue) == 1);
    EXPECT(!mpm_queue_get(queue, 0, got, sizeof got, &size) && size == sizeof message);
    EXPECT(!strcmp(got, "here"));
}

/* As a program of two kinds of messages would mix them up. */
static void a_message_of_another_size_stays(mpm_queue queue)
{
    struct {
        double x;
        int n;
    } sent = {0.5, 7}, got = {0, 0};
    char large[70000] = "large", there[sizeof large] = "";
    double less = 1;

    EXPECT(!mpm_put(queue, &sent) && !mpm_put(queue, &large) && !mpm_queue_put(queue, NULL, 0, 0));
    EXPECT(mpm_get(queue, &less) == MPM_ETYPE && less == 1 && strstr(mpm_error(), "16 bytes, not 8"));
    EXPECT(mpm_get(queue, &there) == MPM_ETYPE && size_of(queue) == 3);
    EXPECT(!mpm_get(queue, &got) && got.x == 0.5 && got.n == 7);
    EXPECT(mpm_queue_get_exact(queue, 0, 0, NULL) == MPM_ETYPE);
    EXPECT(!mpm_get(queue, &there) && !strcmp(there, "large"));
    EXPECT(mpm_get(queue, &less) == MPM_ETYPE && !mpm_queue_get_exact(queue, 0, 0, NULL));
    EXPECT(mpm_queue_get_exact(queue, sizeof less, 0, &less) == MPM_EEMPTY && less == 1);
}

static void an_empty_queue_is_waited_for_as_long_as_told(mpm_queue queue)
{
    uint64_t start_ns = clock_now_ns();
    char message[8];

    EXPECT(queue_is_empty(queue) == 1 && queue_is_full(queue) == 0);
    EXPECT(mpm_queue_get(queue, 0, message, sizeof message, NULL) == MPM_EEMPTY);
    EXPECT(mpm_queue_get(queue, -1, message, sizeof message, NULL) == MPM_EEMPTY);
    EXPECT(is_late_enough(start_ns, 0));
    start_ns = clock_now_ns();
    EXPECT(mpm_queue_get(queue, 0.06, message, sizeof message, NULL) == MPM_EEMPTY);
    EXPECT(is_late_enough(start_ns, 0.06));
}

/* The queue holds 4. */
static void a_full_queue_is_waited_for_as_long_as_told(mpm_queue queue)
{
    uint64_t start_ns;
    int message = 0;

    for (; message < 4; message++)
        EXPECT(queue_is_full(queue) == 0 && !mpm_queue_put(queue, &message, sizeof message, 0));
    EXPECT(queue_is_full(queue) == 1 && queue_is_empty(queue) == 0);
    EXPECT(mpm_queue_put(queue, &message, sizeof message, 0) == MPM_EFULL);
    start_ns = clock_now_ns();
    EXPECT(mpm_queue_put(queue, &message, sizeof message, 0.06) == MPM_EFULL);
    EXPECT(is_late_enough(start_ns, 0.06));
    EXPECT(size_of(queue) == 4);
    for (int i = 0; i < 4; i++)
        EXPECT(!mpm_queue_get(queue, 0, &message, sizeof message, NULL) && message == i);
}

static void batches_keep_order(mpm_queue queue)
{
    enum { COUNT = AMOUNT(300000, 3000) };
    static uint64_t messages[COUNT], got[COUNT];
    size_t put = 0, count = 0, misplaced = 0;

    for (size_t i = 0; i < COUNT; i++)
        messages[i] = i;
    EXPECT(!mpm_queue_put_many(queue, messages, sizeof *messages, COUNT, 0, &put) && put == COUNT);
    EXPECT(size_of(queue) == COUNT);
    EXPECT(!mpm_queue_get_many(queue, sizeof *got, 100, 0, got, &count) && count == 100);
    EXPECT(!mpm_queue_get_many(queue, sizeof *got, COUNT, 0, got + 100, &count) && count == COUNT - 100);
    for (size_t i = 0; i < COUNT; i++)
        misplaced += got[i] != i;
    EXPECT(!misplaced);
    EXPECT(mpm_queue_get_many(queue, sizeof *got, 1, 0, got, &count) == MPM_EEMPTY);
    EXPECT(!mpm_queue_put_many(queue, NULL, 8, 0, 0, &put) && put == 0);
    EXPECT(!mpm_queue_get_many(queue, 8, 0, 0, NULL, &count) && count == 0);
    EXPECT(!mpm_queue_put_many(queue, NULL, 0, 50, 0, &put) && put == 50);
    EXPECT(!mpm_queue_get_many(queue, 0, 100, 0, NULL, &count) && count == 50);
}

/* The queue holds 4. */
static void a_batch_that_finds_no_room_says_what_was_put(mpm_queue queue)
{
    int messages[] = {0, 1, 2, 3, 4, 5}, got[6];
    size_t put = 0, count = 0;

    EXPECT(mpm_queue_put_many(queue, messages, sizeof *messages, 6, 0.02, &put) == MPM_EFULL && put == 4);
    EXPECT(mpm_queue_put_many(queue, messages, sizeof *messages, 6, 0, &put) == MPM_EFULL && put == 0);
    EXPECT(!mpm_queue_get_many(queue, sizeof *got, 6, 0, got, &count) && count == 4);
    EXPECT(!memcmp(messages, got, 4 * sizeof *got));
}

static void join_waits_until_all_is_done(mpm_queue queue)
{
    uint64_t start_ns = clock_now_ns();
    int message = 7;

    EXPECT(!mpm_queue_join(queue, 0));
    EXPECT(mpm_queue_task_done(queue) == MPM_EINVAL);
    EXPECT(!mpm_queue_put(queue, &message, sizeof message, 0));
    EXPECT(!mpm_queue_put(queue, &message, sizeof message, 0));
    EXPECT(mpm_queue_join(queue, 0) == MPM_ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        EXPECT(mpm_queue_join(queue, 0.02) == MPM_ETIMEDOUT);
        EXPECT(
            strstr(mpm_error(), i ? ": 1 left, 1 of them not got yet" : ": 2 left, 2 of them not got yet"));
        EXPECT(!mpm_queue_get(queue, 0, &message, sizeof message, NULL));
        EXPECT(mpm_queue_join(queue, 0) == MPM_ETIMEDOUT);
        EXPECT(
            strstr(mpm_error(), i ? ": 1 left, 0 of them not got yet" : ": 2 left, 1 of them not got yet"));
        EXPECT(!mpm_queue_task_done(queue));
    }
    EXPECT(is_late_enough(start_ns, 0.04));
    EXPECT(!mpm_queue_join(queue, 0));
    EXPECT(mpm_queue_task_done(queue) == MPM_EINVAL);
}

static void a_closed_queue_is_drained(mpm_queue queue)
{
    int message = 1;

    EXPECT(!mpm_queue_put(queue, &message, sizeof message, 0));
    EXPECT(!mpm_queue_close(queue) && !mpm_queue_close(queue));
    EXPECT(mpm_queue_put(queue, &message, sizeof message, MPM_FOREVER) == MPM_ECLOSED);
    EXPECT(mpm_queue_put_many(queue, &message, 1, 4, MPM_FOREVER, NULL) == MPM_ECLOSED);
    EXPECT(!mpm_queue_get(queue, 0, &message, sizeof message, NULL));
    EXPECT(mpm_queue_get(queue, MPM_FOREVER, &message, sizeof message, NULL) == MPM_ECLOSED);
    EXPECT(mpm_queue_get_many(queue, 1, 4, 0, &message, NULL) == MPM_ECLOSED);
}

static void a_destroyed_queue_is_stale(mpm_queue queue)
{
    char message[8] = "";
    size_t size;

    EXPECT(!mpm_queue_put(queue, message, sizeof message, 0));
    EXPECT(!mpm_queue_destroy(queue));
    EXPECT(mpm_queue_destroy(queue) == MPM_ESTALE);
    EXPECT(mpm_queue_put(queue, message, sizeof message, MPM_FOREVER) == MPM_ESTALE);
    EXPECT(mpm_queue_get(queue, MPM_FOREVER, message, sizeof message, &size) == MPM_ESTALE);
    EXPECT(mpm_queue_size(queue, &size) == MPM_ESTALE && queue_is_empty(queue) == MPM_ESTALE &&
           queue_is_full(queue) == MPM_ESTALE);
    EXPECT(mpm_queue_close(queue) == MPM_ESTALE && mpm_queue_task_done(queue) == MPM_ESTALE &&
           mpm_queue_join(queue, 0) == MPM_ESTALE);
}

/* The queues that the above need. */
struct queues {
    mpm_queue plain, bounded, joined, closed, destroyed;
};

static struct queues create_queues(void)
{
    return (struct queues){create(0), create(4), create(0), create(0), create(0)};
}

static void destroy_queues(const struct queues *queues)
{
    EXPECT(!mpm_queue_destroy(queues->plain) && !mpm_queue_destroy(queues->bounded) &&
           !mpm_queue_destroy(queues->joined) && !mpm_queue_destroy(queues->closed));
}

static void check_queues(const struct queues *queues)
{
    messages_of_all_sizes_keep_their_order(queues->plain);
    a_buffer_too_small_keeps_the_message(queues->plain);
    a_message_of_another_size_stays(queues->plain);
    an_empty_queue_is_waited_for_as_long_as_told(queues->plain);
    a_full_queue_is_waited_for_as_long_as_told(queues->bounded);
    batches_keep_order(queues->plain);
    a_batch_that_finds_no_room_says_what_was_put(queues->bounded);
    join_waits_until_all_is_done(queues->joined);
    a_closed_queue_is_drained(queues->closed);
    a_destroyed_queue_is_stale(queues->destroyed);
}

static void nothing_is_wrong(void)
{
    CU_ASSERT(!*wrong);
    if (*wrong)
        fprintf(stderr, "%s\n", wrong);
    *wrong = 0;
}

static mpm_pool *open_pool(unsigned workers)
{
    mpm_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(&(mpm_pool_options){.workers = workers, .max_attempts = 5}, &pool),
                          MPM_OK);
    return pool;
}

static int end_task(mpm_call *call)
{
    int failed = *wrong ? mpm_fail(call, "%s", wrong) : 0;

    *wrong = 0;
    return failed;
}

static void map(mpm_pool *pool, mpm_task *task, const void *items, size_t count, size_t item_size,
                const void *context, size_t context_size)
{
    mpm_map_options options = {.chunk = 1, .context = context, .context_size = context_size};

    if (mpm_pool_map(pool, task, items, count, item_size, 0, &options, NULL))
        CU_ASSERT_FALSE(mpm_report_error());
}

static struct arena_usage usage(void)
{
    struct arena_usage now;

    arena_usage(context_arena(), &now);
    return now;
}

static void main_uses_its_own_queues(void)
{
    struct queues queues = create_queues();
    struct arena_usage before;

    check_queues(&queues);
    destroy_queues(&queues);
    nothing_is_wrong();
    before = usage();
    for (int i = 0; i < 3; i++) {
        queues = create_queues();
        check_queues(&queues);
        destroy_queues(&queues);
    }
    nothing_is_wrong();
    CU_ASSERT_EQUAL(usage().used, before.used);
    CU_ASSERT_EQUAL(usage().used_blocks, before.used_blocks);
}

static int check_from_a_worker(mpm_call *call, const void *item, void *result)
{
    const struct queues *queues = item;
    unsigned node = mpm_node_id();

    check_queues(queues);
    memcpy(result, &node, sizeof node);
    return end_task(call);
}

static void workers_on_all_nodes_use_queues_of_main(void)
{
    enum { ITEMS = AMOUNT(12, 8) };
    mpm_pool *pool = open_pool(WORKERS);
    struct queues queues[ITEMS];
    unsigned nodes[ITEMS], away = 0;

    for (int i = 0; i < ITEMS; i++)
        queues[i] = create_queues();
    if (mpm_pool_map(pool, check_from_a_worker, queues, ITEMS, sizeof *queues, sizeof *nodes,
                     &(mpm_map_options){.chunk = 1}, nodes))
        CU_ASSERT_FALSE(mpm_report_error());
    for (int i = 0; i < ITEMS; i++) {
        away += nodes[i] > 0;
        destroy_queues(&queues[i]);
    }
    /* Under delays main's node may have them all before another one has begun. */
    CU_ASSERT(away > 0 || mpm_node_count() == 1 || AMOUNT(false, true));
    nothing_is_wrong();
    mpm_pool_close(pool);
}

static int make_queues(mpm_call *call, const void *item, void *result)
{
    struct queues queues = create_queues();

    (void)item;
    memcpy(result, &queues, sizeof queues);
    return end_task(call);
}

static void main_uses_queues_that_workers_have_made(void)
{
    enum { ITEMS = AMOUNT(8, 2) };
    mpm_pool *pool = open_pool(WORKERS);
    struct queues queues[ITEMS];

    if (mpm_pool_map(pool, make_queues, NULL, ITEMS, 0, sizeof *queues, &(mpm_map_options){.chunk = 1},
                     queues))
        CU_ASSERT_FALSE(mpm_report_error());
    mpm_pool_close(pool);
    for (int i = 0; i < ITEMS; i++) {
        check_queues(&queues[i]);
        destroy_queues(&queues[i]);
    }
    nothing_is_wrong();
}

/* Many at once. */

#define STREAMS 8u
#define TIGHT   16u

struct message {
    uint32_t producer, number;
};

/* Messages of each: fewer where each is a journey. */
static uint32_t stream_length(void)
{
    return mpm_node_count() > 1 ? AMOUNT(250, 50) : AMOUNT(20000, 300);
}

/* Puts before it gets, so that nobody waits for a producer that has not begun. */
static int put_and_get(mpm_call *call, const void *item, void *result)
{
    const mpm_queue *queue = mpm_call_context(call);
    struct message message = {.producer = (uint32_t)mpm_call_index(call)};
    uint32_t next[STREAMS] = {0}, length = stream_length();

    (void)item;
    for (message.number = 0; message.number < length; message.number++)
        EXPECT(!mpm_queue_put(*queue, &message, sizeof message, MPM_FOREVER));
    for (uint32_t i = 0; i < length; i++) {
        size_t size = 0;

        EXPECT(!mpm_queue_get(*queue, MPM_FOREVER, &message, sizeof message, &size));
        EXPECT(size == sizeof message && message.producer < STREAMS);
        EXPECT(message.number >= next[message.producer % STREAMS] && message.number < length);
        next[message.producer % STREAMS] = message.number + 1;
    }
    (void)result;
    return end_task(call);
}

static void each_producers_messages_stay_in_order(void)
{
    mpm_pool *pool = open_pool(WORKERS);
    mpm_queue queue = create(0);

    map(pool, put_and_get, NULL, STREAMS, 0, &queue, sizeof queue);
    CU_ASSERT_EQUAL(size_of(queue), 0);
    EXPECT(!mpm_queue_destroy(queue));
    nothing_is_wrong();
    mpm_pool_close(pool);
}

static int squeeze(mpm_call *call, const void *item, void *result)
{
    const mpm_queue *queue = mpm_call_context(call);
    unsigned put = 0, got = 0, length = stream_length();
    struct message message = {0};

    (void)item;
    (void)result;
    while (put < length || got < length) {
        int status = put < length ? mpm_queue_put(*queue, &message, sizeof message, 0) : MPM_EFULL;

        EXPECT(!status || status == MPM_EFULL);
        put += !status;
        EXPECT(size_of(*queue) <= TIGHT);
        if (status && got < length) {
            status = mpm_queue_get(*queue, 0.01, &message, sizeof message, NULL);
            EXPECT(!status || status == MPM_EEMPTY);
            got += !status;
        }
        if (*wrong)
            break;
    }
    return end_task(call);
}

static void a_bounded_queue_is_never_longer_than_told(void)
{
    mpm_pool *pool = open_pool(WORKERS);
    mpm_queue queue = create(TIGHT);

    map(pool, squeeze, NULL, STREAMS, 0, &queue, sizeof queue);
    CU_ASSERT_EQUAL(size_of(queue), 0);
    EXPECT(!mpm_queue_destroy(queue));
    nothing_is_wrong();
    mpm_pool_close(pool);
}

/* Those who wait. They say so before, by another queue. */

struct waiting {
    mpm_queue queue, ready;
    int expected;
    enum { GETTING, PUTTING, JOINING } what;
};

static int wait_in_queue(mpm_call *call, const void *item, void *result)
{
    const struct waiting *waiting = mpm_call_context(call);
    char message = 1;
    int status;

    (void)item;
    (void)result;
    EXPECT(!mpm_queue_put(waiting->ready, NULL, 0, 0));
    if (waiting->what == GETTING)
        status = mpm_queue_get(waiting->queue, MPM_FOREVER, &message, 1, NULL);
    else if (waiting->what == PUTTING)
        status = mpm_queue_put(waiting->queue, &message, 1, 100);
    else
        status = mpm_queue_join(waiting->queue, 100);
    EXPECT(status == waiting->expected);
    return end_task(call);
}

struct background {
    mpm_pool *pool;
    struct waiting waiting;
    pthread_t thread;
};

static void *run_background(void *argument)
{
    const struct background *background = argument;

    map(background->pool, wait_in_queue, NULL, WORKERS, 0, &background->waiting, sizeof background->waiting);
    return NULL;
}

/* Has a process of each node wait at least, and returns when they are about to. */
static struct background *start_waiting(mpm_queue queue, int what, int expected)
{
    struct background *background = calloc(1, sizeof *background);

    background->pool = open_pool(WORKERS);
    background->waiting = (struct waiting){queue, create(0), expected, what};
    CU_ASSERT_FATAL(!pthread_create(&background->thread, NULL, run_background, background));
    for (unsigned i = 0; i < mpm_node_count(); i++)
        EXPECT(!mpm_queue_get(background->waiting.ready, 100, NULL, 0, NULL));
    return background;
}

static void end_waiting(struct background *background)
{
    CU_ASSERT(!pthread_join(background->thread, NULL));
    EXPECT(!mpm_queue_destroy(background->waiting.ready));
    mpm_pool_close(background->pool);
    free(background);
    nothing_is_wrong();
}

static void a_put_wakes_who_waits(void)
{
    mpm_queue queue = create(0);
    struct background *background = start_waiting(queue, GETTING, MPM_OK);

    for (unsigned i = 0; i < WORKERS; i++)
        EXPECT(!mpm_queue_put(queue, "x", 1, 0));
    end_waiting(background);
    CU_ASSERT_EQUAL(size_of(queue), 0);
    EXPECT(!mpm_queue_destroy(queue));
}

static void a_get_wakes_who_waits_for_room(void)
{
    mpm_queue queue = create(1);
    struct background *background;
    char message = 0;

    EXPECT(!mpm_queue_put(queue, &message, 1, 0));
    background = start_waiting(queue, PUTTING, MPM_OK);
    for (unsigned i = 0; i <= WORKERS; i++)
        EXPECT(!mpm_queue_get(queue, 100, &message, 1, NULL) && message == (i > 0));
    end_waiting(background);
    CU_ASSERT_EQUAL(size_of(queue), 0);
    EXPECT(!mpm_queue_destroy(queue));
}

static void the_last_task_done_wakes_who_joins(void)
{
    mpm_queue queue = create(0);
    struct background *background;
    char message = 0;

    EXPECT(!mpm_queue_put(queue, &message, 1, 0) && !mpm_queue_put(queue, &message, 1, 0));
    background = start_waiting(queue, JOINING, MPM_OK);
    for (unsigned i = 0; i < 2; i++)
        EXPECT(!mpm_queue_get(queue, 0, &message, 1, NULL) && !mpm_queue_task_done(queue));
    end_waiting(background);
    EXPECT(!mpm_queue_destroy(queue));
}

static void close_and_destroy_wake_who_waits(void)
{
    mpm_queue queue = create(1);
    struct background *background = start_waiting(queue, GETTING, MPM_ECLOSED);

    EXPECT(!mpm_queue_close(queue));
    end_waiting(background);
    EXPECT(!mpm_queue_destroy(queue));
    for (int what = GETTING; what <= JOINING; what++) {
        queue = create(1);
        if (what != GETTING)
            EXPECT(!mpm_queue_put(queue, "x", 1, 0));
        background = start_waiting(queue, what, MPM_ESTALE);
        EXPECT(!mpm_queue_destroy(queue));
        end_waiting(background);
    }
}

/* What is put is there, whatever becomes of the putter. */

struct last_words {
    mpm_queue queue;
    int is_killed;
};

static int put_and_end(const void *args, size_t size)
{
    const struct last_words *words = args;
    static char message[100000];

    (void)size;
    if (mpm_queue_put(words->queue, "first", 5, 0) || mpm_queue_put(words->queue, message, sizeof message, 0))
        return 1;
    if (words->is_killed)
        raise(SIGKILL);
    return 0;
}

static void messages_outlive_their_putter(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (int is_killed = 0; is_killed < 2; is_killed++) {
            struct last_words words = {create(0), is_killed};
            mpm_process_options there = {.place = MPM_ON_NODE(node)};
            static char message[100000];
            mpm_process process;
            int exitcode = 1;
            size_t size = 0;

            EXPECT(!mpm_process_start(put_and_end, &words, sizeof words, &there, &process));
            EXPECT(!mpm_process_join(process, 100) && !mpm_process_exitcode(process, &exitcode));
            EXPECT(exitcode == (is_killed ? -SIGKILL : 0) && !mpm_process_close(process));
            EXPECT(size_of(words.queue) == 2);
            EXPECT(!mpm_queue_get(words.queue, 0, message, sizeof message, &size) && size == 5);
            EXPECT(!mpm_queue_get(words.queue, 0, message, sizeof message, &size) && size == sizeof message);
            EXPECT(!mpm_queue_destroy(words.queue));
        }
    }
    nothing_is_wrong();
}

/* Deaths. */

static void die_soon(unsigned microseconds)
{
    struct itimerval timer = {.it_value.tv_usec = 1 + (suseconds_t)microseconds};

    setitimer(ITIMER_REAL, &timer, NULL);
}

static void exchange_tokens(mpm_queue queue)
{
    uint32_t token = atomic_fetch_add(&history->next, 1), got;

    if (token >= TOKENS)
        return;
    EXPECT(!mpm_queue_put(queue, &token, sizeof token, 100));
    atomic_store(&history->put[token], 1);
    EXPECT(!mpm_queue_get(queue, 100, &got, sizeof got, NULL) && got < TOKENS);
    atomic_fetch_add(&history->got[got % TOKENS], 1);
}

/* Two of three die at some instant, wherever they are then. */
static int work_and_perhaps_die(mpm_call *call, const void *item, void *result)
{
    const mpm_queue *queue = mpm_call_context(call);
    uint32_t number = atomic_fetch_add(&history->begun, 1);
    uint64_t end_ns = clock_now_ns() + THREAD_TOKEN_NS;

    (void)item;
    (void)result;
    if (number % 3)
        die_soon(number * 2654435761u % 1500);
    while (clock_now_ns() < end_ns)
        exchange_tokens(*queue);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    atomic_fetch_add(&history->ended, 1);
    return end_task(call);
}

/* A killed getter may take one message with it, and a killed putter may or may not have put its own. */
static void deaths_cost_their_own_message_at_most(void)
{
    mpm_pool *pool = open_pool(WORKERS);
    mpm_queue queue = create(500);
    size_t before, lost = 0, twice = 0, deaths, drained = 0;
    struct arena_usage start = usage();
    uint32_t token;

    /* Items that were tried in vain are the map's failures, not the queue's. */
    if (mpm_pool_map(pool, work_and_perhaps_die, NULL, 60, 0, 0,
                     &(mpm_map_options){.chunk = 1, .context = &queue, .context_size = sizeof queue}, NULL))
        CU_ASSERT(strstr(mpm_error(), "was killed by SIGALRM") != NULL);
    deaths = atomic_load(&history->begun) - atomic_load(&history->ended);
    CU_ASSERT(deaths > 10);
    before = size_of(queue);
    while (!mpm_queue_get(queue, 0, &token, sizeof token, NULL)) {
        atomic_fetch_add(&history->got[token % TOKENS], 1);
        drained++;
    }
    CU_ASSERT_EQUAL(drained, before);
    for (size_t i = 0; i < TOKENS; i++) {
        lost += history->put[i] && !history->got[i];
        twice += history->got[i] > 1;
    }
    CU_ASSERT(lost <= deaths);
    CU_ASSERT_EQUAL(twice, 0);
    mpm_pool_close(pool);
    EXPECT(!mpm_queue_destroy(queue));
    CU_ASSERT(usage().used <= start.used);
    nothing_is_wrong();
}

/* The size is written where the message is: a mistake of the caller's, which may cost the caller only. */
static int get_over_itself(const void *args, size_t size)
{
    const mpm_queue *queue = args;
    uint64_t place;

    (void)size;
    /* The second of several is got in line, at home. */
    EXPECT(!mpm_queue_get(*queue, 100, &place, sizeof place, NULL));
    EXPECT(!mpm_queue_get(*queue, 100, &place, sizeof place, (size_t *)&place));
    EXPECT(!mpm_queue_get(*queue, 100, &place, sizeof place, NULL));
    EXPECT(place == 1002);
    return *wrong != 0;
}

static void outputs_that_overlap_harm_nobody_else(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_queue queue;
        mpm_process process;
        int exitcode = -1;

        CU_ASSERT_FATAL(!mpm_queue_create(NULL, &queue));
        for (uint64_t i = 0; i < 3; i++)
            CU_ASSERT(!mpm_queue_put(queue, &(uint64_t){1000 + i}, sizeof(uint64_t), 0));
        CU_ASSERT_FATAL(!mpm_process_start(get_over_itself, &queue, sizeof queue,
                                           &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
        CU_ASSERT(!mpm_process_join(process, 60) && !mpm_process_exitcode(process, &exitcode));
        CU_ASSERT_EQUAL(exitcode, 0);
        CU_ASSERT(!mpm_process_close(process) && !mpm_queue_destroy(queue));
    }
}

static void nonsense_is_refused(void)
{
    mpm_queue none = {0}, queue = create(0), other_kind = queue;
    size_t size;

    other_kind.handle.kind++;
    EXPECT(mpm_queue_put(none, "x", 1, 0) == MPM_EINVAL);
    EXPECT(mpm_queue_size(none, &size) == MPM_EINVAL && mpm_queue_destroy(none) == MPM_EINVAL);
    EXPECT(mpm_queue_put(other_kind, "x", 1, 0) == MPM_EINVAL);
    EXPECT(mpm_queue_put(queue, NULL, 1, 0) == MPM_EINVAL);
    EXPECT(mpm_queue_put_many(queue, "x", SIZE_MAX / 2, 3, 0, NULL) == MPM_EINVAL);
    EXPECT(mpm_queue_put(queue, "x", SIZE_MAX, 0) == MPM_ENOMEM);
    EXPECT(mpm_queue_put(queue, "x", (size_t)1 << 40, 0) == MPM_ENOMEM);
    EXPECT(mpm_queue_get(queue, 0, NULL, 1, &size) == MPM_EINVAL);
    EXPECT(mpm_queue_size(queue, NULL) == MPM_EINVAL && mpm_queue_create(NULL, NULL) == MPM_EINVAL);
    EXPECT(size_of(queue) == 0 && !mpm_queue_destroy(queue));
    nothing_is_wrong();
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"main_uses_its_own_queues", main_uses_its_own_queues},
        {"workers_on_all_nodes_use_queues_of_main", workers_on_all_nodes_use_queues_of_main},
        {"main_uses_queues_that_workers_have_made", main_uses_queues_that_workers_have_made},
        {"each_producers_messages_stay_in_order", each_producers_messages_stay_in_order},
        {"a_bounded_queue_is_never_longer_than_told", a_bounded_queue_is_never_longer_than_told},
        {"a_put_wakes_who_waits", a_put_wakes_who_waits},
        {"a_get_wakes_who_waits_for_room", a_get_wakes_who_waits_for_room},
        {"the_last_task_done_wakes_who_joins", the_last_task_done_wakes_who_joins},
        {"close_and_destroy_wake_who_waits", close_and_destroy_wake_who_waits},
        {"messages_outlive_their_putter", messages_outlive_their_putter},
        {"deaths_cost_their_own_message_at_most", deaths_cost_their_own_message_at_most},
        {"outputs_that_overlap_harm_nobody_else", outputs_that_overlap_harm_nobody_else},
        {"nonsense_is_refused", nonsense_is_refused},
    };
    char path[PATH_MAX];
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (!share_history(path, sizeof path) || mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    unlink(path);
    failed = suite_run("queue", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
