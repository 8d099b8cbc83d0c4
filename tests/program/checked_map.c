/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps whose every result is checked, while somebody does things to their workers: for kills.sh and soak.sh.
 *
 *   checked_map ITEMS SECONDS SEED
 *
 * Maps ITEMS items again and again until SECONDS have passed, at least once, with item size, result size and
 * chunk by chance; each pool serves a few maps. An item may cost any number of workers: they are killed from
 * outside, so none is to blame. Prints "running" once its workers run. */
#include <inttypes.h>
#include <mpmap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_WORDS    5 /* of an item, and of a result */
#define MAPS_PER_POOL 5

#define HAS_LOST_A_PART 3 /* the exit status if the run has lost a host, and all results are right */

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
    if (mpm_pool_map(pool, fold_item, items, count, item_words * 8, &options, results, result_words * 8)) {
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

/* Opens a pool, maps a few times, and closes it. `maps` counts on. */
static bool use_pool(size_t count, uint64_t *items, uint64_t *results, uint64_t seed, double end_s,
                     uint64_t *maps)
{
    mpm_pool_options options = {.workers = mpm_slot_count() > 4 ? mpm_slot_count() : 4,
                                .max_attempts = 1000000};
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
    do
        good = map_once(pool, count, items, results, mix(seed + ++*maps));
    while (good && *maps % MAPS_PER_POOL && now_s() < end_s);
    mpm_pool_close(pool);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t *items, *results, seed, maps = 0;
    size_t count;
    double end_s;
    int status;
    bool good;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    if (argc != 4) {
        fputs("usage: checked_map ITEMS SECONDS SEED\n", stderr);
        return EXIT_FAILURE;
    }
    count = strtoul(argv[1], NULL, 10);
    end_s = now_s() + strtod(argv[2], NULL);
    seed = mix(strtoul(argv[3], NULL, 10));
    items = malloc(count * MOST_WORDS * 8);
    results = malloc(count * MOST_WORDS * 8);
    if (!items || !results)
        return EXIT_FAILURE;
    do
        good = use_pool(count, items, results, seed, end_s, &maps);
    while (good && now_s() < end_s);
    printf("%" PRIu64 " maps of %zu items\n", maps, count);
    free(items);
    free(results);
    status = mpm_finalize();
    if (!good)
        return EXIT_FAILURE;
    return status == MPM_EHOSTLOST ? HAS_LOST_A_PART : status ? EXIT_FAILURE : EXIT_SUCCESS;
}
