/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps whose every result is checked, while somebody does things to their workers: for kills.sh and soak.sh.
 *
 *   checked_map ITEMS SECONDS SEED [all]
 *
 * Maps ITEMS items again and again until SECONDS have passed, or the file MPMAP_TEST_STOP is there, at least once,
 * with item size, result size and chunk by chance; each pool serves a few maps. With "all", threads make single calls,
 * streams and maps of blobs beside them. An item may cost any number of workers: they are killed from outside, so none
 * is to blame. Prints "running" once its workers run. At the end no node has more blocks of its arena in use than at
 * the beginning. Ends with a line that tells its exit status. */
#include <inttypes.h>
#include <mpmap.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/context.h"
#include "shm/arena.h"

#define MOST_WORDS    5 /* of an item, and of a result */
#define MAPS_PER_POOL 5

#define MOST_NODES 64
#define BLOBS      200
#define CALL_WORDS 700 /* of the largest single call: more than a cell has room for */
#define PATIENCE_S 100

#define HAS_LOST_A_PART \
    3 /* the exit status if the run has lost a fork server or a node, and all results are right */

/* What the task needs to know of its map. */
struct plan {
    uint64_t salt;
    uint32_t rounds; /* of the mixing below, per item: how long it takes */
};

static uint64_t mix(uint64_t bits)
{
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

/* Word `word` of item `index`. */
static uint64_t item_word(uint64_t salt, uint64_t index, unsigned word)
{
    return mix(salt ^ mix(index * MOST_WORDS + word));
}

/* What a result begins with. */
static uint64_t fold(const struct plan *plan, uint64_t index, const uint64_t *words, unsigned count)
{
    uint64_t folded = plan->salt ^ index;

    for (uint32_t round = 0; round < plan->rounds; round++) {
        folded = mix(folded + round);
        for (unsigned i = 0; i < count; i++)
            folded = mix(folded ^ words[i]);
    }
    return folded;
}

static int fold_item(mpm_call *call, const void *item, void *result)
{
    const struct plan *plan = mpm_call_context(call);
    uint64_t index = mpm_call_index(call), *words = result;
    uint64_t folded = fold(plan, index, item, (unsigned)(mpm_call_item_size(call) / 8));

    for (unsigned i = 0; i < mpm_call_result_size(call) / 8; i++)
        words[i] = folded + i;
    return 0;
}

static void fill_items(const struct plan *plan, uint64_t *items, size_t count, unsigned words)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned word = 0; word < words; word++)
            items[i * words + word] = item_word(plan->salt, i, word);
    }
}

static bool check_results(const struct plan *plan, const uint64_t *items, size_t count, unsigned item_words,
                          const uint64_t *results, unsigned result_words)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t folded = fold(plan, i, items + i * item_words, item_words);

        for (unsigned word = 0; word < result_words; word++) {
            uint64_t result = results[i * result_words + word];

            if (result == folded + word)
                continue;
            fprintf(stderr,
                    "word %u of result %zu is %016" PRIx64 ": it should be %016" PRIx64
                    " (items of %u words, results of %u, salt %016" PRIx64 ")\n",
                    word, i, result, folded + word, item_words, result_words, plan->salt);
            return false;
        }
    }
    return true;
}

/* One map. */
static bool map_once(mpm_pool *pool, size_t count, uint64_t *items, uint64_t *results, uint64_t chance)
{
    static const size_t chunks[] = {0, 0, 1, 7, 1000};
    unsigned item_words = (unsigned)(chance % (MOST_WORDS + 1)),
             result_words = 1 + (unsigned)(chance >> 8) % MOST_WORDS;
    struct plan plan = {.salt = mix(chance), .rounds = chance >> 16 & 1 ? 1 : 20};
    mpm_map_options options = {.chunk = chunks[(chance >> 24) % (sizeof chunks / sizeof *chunks)],
                               .context = &plan,
                               .context_size = sizeof plan};

    fill_items(&plan, items, count, item_words);
    memset(results, 0x5a, count * result_words * 8);
    if (mpm_pool_map(pool, fold_item, items, count, item_words * 8, result_words * 8, &options, results)) {
        mpm_report_error();
        return false;
    }
    return check_results(&plan, items, count, item_words, results, result_words);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool is_over(double end_s)
{
    const char *stop = getenv("MPMAP_TEST_STOP");

    return now_s() >= end_s || (stop && !access(stop, F_OK));
}

/* Beside the maps, in threads of their own. */

struct company {
    mpm_pool *pool;
    _Atomic bool is_to_end, is_wrong;
    _Atomic uint64_t calls, streamed, blobs;
    pthread_t thread[3];
};

static void complain(struct company *company, const char *what, uint64_t number)
{
    if (!atomic_exchange(&company->is_wrong, true))
        fprintf(stderr, "%s %" PRIu64 " is not what it should be (%s)\n", what, number, mpm_error());
}

/* The item's words, mixed. */
static int mix_words(mpm_call *call, const void *item, void *result)
{
    for (size_t i = 0; i < mpm_call_item_size(call) / 8; i++)
        ((uint64_t *)result)[i] = mix(((const uint64_t *)item)[i]);
    return 0;
}

static void *make_calls(void *argument)
{
    uint64_t item[CALL_WORDS], result[CALL_WORDS];
    struct company *company = argument;

    for (uint64_t number = 0; !atomic_load(&company->is_to_end); number++) {
        size_t words = number % 8 ? number % 4 + 1 : CALL_WORDS;

        for (size_t i = 0; i < words; i++)
            item[i] = number + i;
        if (mpm_pool_apply(company->pool, mix_words, item, words * 8, words * 8, result))
            complain(company, "call", number);
        for (size_t i = 0; i < words; i++) {
            if (result[i] != mix(number + i))
                complain(company, "the result of call", number);
        }
        atomic_fetch_add(&company->calls, 1);
    }
    return NULL;
}

static int next_number(void *argument, void *item)
{
    struct company *company = argument;

    if (atomic_load(&company->is_to_end))
        return 0;
    *(uint64_t *)item = atomic_fetch_add(&company->streamed, 1);
    return 1;
}

static void *make_streams(void *argument)
{
    struct company *company = argument;
    mpm_stream *stream = NULL;
    uint64_t number = 0, result, index;
    int status;

    if (mpm_pool_imap(company->pool, mix_words, next_number, company, 8, 8, NULL, &stream)) {
        complain(company, "the stream", 0);
        return NULL;
    }
    for (; !(status = mpm_stream_next(stream, MPM_FOREVER, &result, &index)); number++) {
        if (index != number || result != mix(number))
            complain(company, "the next of a stream", number);
    }
    if (status != MPM_ECLOSED || number != atomic_load(&company->streamed))
        complain(company, "the end of a stream at", number);
    mpm_stream_close(stream);
    return NULL;
}

/* As many bytes as the item, in two steps. */
static int turn_bytes(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);
    char *room;

    (void)result;
    if (!mpm_call_blob(call, size / 2) || !(room = mpm_call_blob(call, size)))
        return 1;
    for (size_t i = 0; i < size; i++)
        room[i] = ((const char *)item)[size - 1 - i];
    return 0;
}

static void check_blobs(struct company *company, const mpm_blob *results, const char *text)
{
    for (size_t i = 0; i < BLOBS; i++) {
        const char *bytes = results[i].bytes;

        if (results[i].size != i * i || (i && (bytes[0] != text[i * i - 1] || bytes[i * i - 1] != text[0])))
            complain(company, "blob", i);
    }
}

static void *map_blobs(void *argument)
{
    struct company *company = argument;
    mpm_blob items[BLOBS], *results;
    char *text = malloc(BLOBS * BLOBS);

    for (size_t i = 0; text && i < BLOBS * BLOBS; i++)
        text[i] = (char)mix(i);
    for (size_t i = 0; i < BLOBS; i++)
        items[i] = (mpm_blob){text, i * i};
    while (text && !atomic_load(&company->is_to_end)) {
        results = NULL;
        if (mpm_pool_map_blobs(company->pool, turn_bytes, items, BLOBS, NULL, &results))
            complain(company, "a map of blobs", BLOBS);
        else
            check_blobs(company, results, text);
        mpm_blobs_free(results);
        atomic_fetch_add(&company->blobs, BLOBS);
    }
    free(text);
    return NULL;
}

static void keep_company(struct company *company, mpm_pool *pool)
{
    static void *(*const bodies[])(void *) = {make_calls, make_streams, map_blobs};

    memset(company, 0, sizeof *company);
    company->pool = pool;
    for (unsigned i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        if (pthread_create(&company->thread[i], NULL, bodies[i], company))
            exit(EXIT_FAILURE);
    }
}

/* Counts what it has done, too. */
static bool end_company(struct company *company)
{
    static uint64_t calls, streamed, blobs;

    atomic_store(&company->is_to_end, true);
    for (unsigned i = 0; i < sizeof company->thread / sizeof *company->thread; i++)
        pthread_join(company->thread[i], NULL);
    fprintf(stderr, "%" PRIu64 " calls, %" PRIu64 " items of streams, %" PRIu64 " blobs so far\n",
            calls += company->calls, streamed += company->streamed, blobs += company->blobs);
    return !company->is_wrong;
}

/* The arenas. */

struct usage {
    unsigned node;
    size_t blocks;
};

/* In a process of the node. */
static int tell_usage(const void *args, size_t size)
{
    struct usage usage = {.node = mpm_node_id()};
    struct arena_usage now;

    (void)size;
    if (arena_check(context_arena()))
        return 1;
    arena_usage(context_arena(), &now);
    usage.blocks = now.used_blocks;
    return mpm_queue_put(*(const mpm_queue *)args, &usage, sizeof usage, PATIENCE_S) ? 1 : 0;
}

static bool is_lost(unsigned node)
{
    mpm_node info;

    return !mpm_node_info(node, &info) && info.is_lost;
}

/* What a fork server has started is killed with it. */
static bool is_lost_with_host(int code)
{
    return code == -SIGKILL;
}

/* Blocks in use on each node that is there and still has a fork server; 0 elsewhere. */
static bool count_blocks(mpm_queue queue, size_t *blocks)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.place = MPM_ON_NODE(node)};
        struct usage usage;
        mpm_process process;
        int code = 1, status = mpm_process_start(tell_usage, &queue, sizeof queue, &options, &process);

        blocks[node] = 0;
        if (status == MPM_EFORKSERVER || is_lost(node))
            continue;
        if (status || mpm_process_join(process, PATIENCE_S) || mpm_process_exitcode(process, &code) ||
            (code && !is_lost_with_host(code)) ||
            (mpm_queue_get(queue, 0, &usage, sizeof usage, NULL) && !code) || mpm_process_close(process)) {
            if (is_lost(node))
                continue;
            mpm_report_error();
            return false;
        }
        blocks[node] = code ? 0 : usage.blocks;
    }
    return true;
}

/* What the dead have left is taken away a little after. */
static bool has_no_more_blocks(mpm_queue queue, const size_t *before)
{
    double end_s = now_s() + PATIENCE_S;
    size_t now[MOST_NODES];
    unsigned node = 0;

    while (now_s() < end_s) {
        if (!count_blocks(queue, now))
            return false;
        for (node = 0; node < mpm_node_count() && now[node] <= before[node]; node++)
            ;
        if (node == mpm_node_count())
            return true;
        sched_yield();
    }
    fprintf(stderr, "node %u has %zu blocks in use, and had %zu\n", node, now[node], before[node]);
    return false;
}

/* Has the run make what it keeps. */
static bool warm_up(mpm_queue *queue, size_t *blocks)
{
    mpm_pool *pool;

    if (mpm_node_count() > MOST_NODES || mpm_queue_create(NULL, queue) || mpm_pool_open(NULL, &pool))
        return false;
    mpm_pool_close(pool);
    return count_blocks(*queue, blocks) && count_blocks(*queue, blocks);
}

/* Opens a pool, maps a few times, and closes it. `maps` counts on. */
static bool use_pool(size_t count, uint64_t *items, uint64_t *results, uint64_t seed, double end_s,
                     bool has_company, uint64_t *maps)
{
    mpm_pool_options options = {.workers = mpm_slot_count() > 4 ? mpm_slot_count() : 4,
                                .max_attempts = 1000000};
    struct company company;
    mpm_pool *pool;
    bool good;

    if (mpm_pool_open(&options, &pool)) {
        mpm_report_error();
        return false;
    }
    if (!*maps) {
        puts("running");
        fflush(stdout);
    }
    if (has_company)
        keep_company(&company, pool);
    do
        good = map_once(pool, count, items, results, mix(seed + ++*maps));
    while (good && *maps % MAPS_PER_POOL && !is_over(end_s));
    if (has_company)
        good = end_company(&company) && good;
    mpm_pool_close(pool);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t *items, *results, seed, maps = 0;
    size_t count, blocks[MOST_NODES];
    mpm_queue queue;
    double end_s;
    int status;
    bool good;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (argc < 4) {
        fputs("usage: checked_map ITEMS SECONDS SEED [all]\n", stderr);
        return EXIT_FAILURE;
    }
    count = strtoul(argv[1], NULL, 10);
    end_s = now_s() + strtod(argv[2], NULL);
    seed = mix(strtoul(argv[3], NULL, 10));
    items = malloc(count * MOST_WORDS * 8);
    results = malloc(count * MOST_WORDS * 8);
    if (!items || !results || !warm_up(&queue, blocks))
        return EXIT_FAILURE;
    do
        good = use_pool(count, items, results, seed, end_s, argc > 4, &maps);
    while (good && !is_over(end_s));
    good = good && has_no_more_blocks(queue, blocks);
    printf("%" PRIu64 " maps of %zu items\n", maps, count);
    free(items);
    free(results);
    status = mpm_finalize();
    if (!good)
        status = EXIT_FAILURE;
    else if (status == MPM_EFORKSERVER || status == MPM_ENODELOST)
        status = HAS_LOST_A_PART;
    else if (status)
        status = EXIT_FAILURE;
    printf("status %d\n", status); /* mpirun --enable-recovery does not tell it */
    return status;
}
