/* SPDX-License-Identifier: BSD-3-Clause */
/* The looks of all photographs are the context, which each node has once. An item is a block of them; it compares
 * each of its photographs with all that come behind, in all turns, so that each pair is compared once. Hashes say who
 * may be a duplicate; colours must agree as well, which hashes do not know of. */
#include "duplicates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"
#include "support/command.h"

#define BLOCK 256

#define BITS_A_LEVEL \
    4 /* colours of the cells may differ by a level of 255 in the mean for so many bits of the hash */
#define LEAST_LEVELS  2  /* what encoders and scaling change is less: 1.2 at most of 1 250 copies */
#define TELLING_WAVES 40 /* of the 63: from so many on a hash is taken at its word */

/* The context: this, then `count` looks. The hashes come first, one behind the other: nearly all of the time is spent
 * on them. */
struct library {
    uint64_t count;
    uint64_t most_bits;
    uint64_t hashes[];
};

/* A photograph that is compared. */
struct entry {
    struct look look;
    uint64_t place; /* among the originals */
};

static const struct entry *entries_of(const struct library *library)
{
    return (const struct entry *)(library->hashes + library->count);
}

/* The pairs of a block, as they are found. */
struct found {
    mpm_call *call;
    struct duplicate_pair *pairs; /* the result of the call */
    size_t count, room;
};

static bool add_pair(struct found *found, struct duplicate_pair pair)
{
    if (found->count == found->room) {
        found->room = found->room ? 2 * found->room : 64;
        if (!(found->pairs = mpm_call_blob(found->call, found->room * sizeof pair)))
            return false;
    }
    found->pairs[found->count++] = pair;
    return true;
}

static unsigned colour_difference(const uint8_t a[COLOUR_SIZE], const uint8_t b[COLOUR_SIZE])
{
    unsigned sum = 0;

    for (size_t i = 0; i < COLOUR_SIZE; i++)
        sum += (unsigned)abs(a[i] - b[i]);
    return sum;
}

/* What two photographs may differ in and still be near-duplicates. */
struct tolerance {
    unsigned bits;    /* of their hashes */
    unsigned colours; /* the sum over all cells, in levels of 255 */
};

/* Where few bits mean something, as in a clear sky, equal hashes say little: fewer bits may differ, and colours must
 * agree so much the better. The same holds for turned pictures, because many a scene is nearly its own mirror image. */
static struct tolerance find_tolerance(unsigned most_bits, unsigned waves, unsigned turn)
{
    unsigned part = waves < TELLING_WAVES ? waves : TELLING_WAVES;
    unsigned colours = COLOUR_SIZE * most_bits * part / (BITS_A_LEVEL * TELLING_WAVES);

    if (turn || colours < COLOUR_SIZE * LEAST_LEVELS)
        colours = COLOUR_SIZE * LEAST_LEVELS;
    return (struct tolerance){most_bits * part / TELLING_WAVES / (turn ? 2 : 1), colours};
}

/* The next hash, from `at` on, that is near one of the turns; `count` if there is none. */
#if defined(__x86_64__)
#define COUNT_BITS __attribute__((target("popcnt")))
#else
#define COUNT_BITS
#endif

#define DEFINE_NEXT_NEAR(name, attribute)                                         \
    attribute static size_t name(const uint64_t *hashes, size_t at, size_t count, \
                                 const uint64_t turned[TURNS], int most)          \
    {                                                                             \
        for (; at < count; at++) {                                                \
            for (unsigned turn = 0; turn < TURNS; turn++) {                       \
                if (__builtin_popcountll(hashes[at] ^ turned[turn]) <= most)      \
                    return at;                                                    \
            }                                                                     \
        }                                                                         \
        return count;                                                             \
    }

DEFINE_NEXT_NEAR(next_near_anywhere, )
DEFINE_NEXT_NEAR(next_near_popcnt, COUNT_BITS)

static size_t next_near(const uint64_t *hashes, size_t at, size_t count, const uint64_t turned[TURNS],
                        int most)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt"))
        return next_near_popcnt(hashes, at, count, turned, most);
    return next_near_anywhere(hashes, at, count, turned, most);
#else
    (void)next_near_anywhere;
    return next_near_popcnt(hashes, at, count, turned, most);
#endif
}

/* The turn in which two are nearest, of those whose colours agree; false if there is none. */
static bool compare(const struct library *library, size_t first, size_t second, struct duplicate_pair *pair)
{
    const struct entry *one = &entries_of(library)[first], *other = &entries_of(library)[second];
    unsigned waves = one->look.waves < other->look.waves ? one->look.waves : other->look.waves;
    unsigned most = (unsigned)library->most_bits;
    uint8_t colours[COLOUR_SIZE];

    *pair = (struct duplicate_pair){(uint32_t)one->place, (uint32_t)other->place, most + 1, 0};
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct tolerance tolerance = find_tolerance(most, waves, turn);
        unsigned distance = (unsigned)__builtin_popcountll(one->look.hashes[turn] ^ other->look.hashes[0]);

        if (distance >= pair->distance || distance > tolerance.bits)
            continue;
        look_turn_colours(one->look.colours, turn, colours);
        if (colour_difference(colours, other->look.colours) <= tolerance.colours) {
            pair->distance = distance;
            pair->turn = turn;
        }
    }
    return pair->distance <= most;
}

/* Compares one with all behind it. One that has the very same look takes over: whatever is near the one is near the
 * other, so the pairs of a thousand equal pictures are a thousand, not half a million. */
static bool compare_one(const struct library *library, size_t first, struct found *found)
{
    const struct look *look = &entries_of(library)[first].look;
    int most = (int)library->most_bits;

    for (size_t at = first + 1;
         (at = next_near(library->hashes, at, library->count, look->hashes, most)) < library->count; at++) {
        struct duplicate_pair pair;

        if (!compare(library, first, at, &pair))
            continue;
        if (!add_pair(found, pair))
            return false;
        if (!memcmp(&entries_of(library)[at].look, look, sizeof *look))
            return true;
    }
    return true;
}

static int compare_block(mpm_call *call, const void *item, void *result)
{
    const struct library *library = mpm_call_context(call);
    struct found found = {.call = call};
    uint64_t begin;

    (void)result;
    memcpy(&begin, item, sizeof begin);
    for (uint64_t i = begin; i < begin + BLOCK && i < library->count; i++) {
        if (!compare_one(library, i, &found))
            return 1;
    }
    return !found.count || mpm_call_blob(call, found.count * sizeof *found.pairs) ? 0 : 1;
}

/* All that can be compared; NULL without memory. */
static struct library *gather(const struct originals *originals, unsigned most_bits, size_t *size)
{
    struct library *library;
    struct entry *entries;
    size_t count = 0, at = 0;

    for (size_t i = 0; i < originals->count; i++)
        count += originals->items[i].is_done && !originals->items[i].error;
    *size = sizeof *library + count * (sizeof(uint64_t) + sizeof *entries);
    if (!(library = malloc(*size)))
        return NULL;
    library->count = count;
    library->most_bits = most_bits;
    entries = (struct entry *)(library->hashes + count);
    for (size_t i = 0; i < originals->count; i++) {
        const struct original *original = &originals->items[i];

        if (!original->is_done || original->error)
            continue;
        library->hashes[at] = original->photo.look.hashes[0];
        entries[at++] = (struct entry){original->photo.look, i};
    }
    return library;
}

static int join_results(const mpm_blob *results, size_t count, struct duplicates *duplicates)
{
    size_t size = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        size += results[i].size;
    if (!(duplicates->pairs = malloc(size + 1)))
        return failure("out of memory");
    for (size_t i = 0; i < count; i++) {
        if (results[i].size)
            memcpy((char *)duplicates->pairs + at, results[i].bytes, results[i].size);
        at += results[i].size;
    }
    duplicates->pair_count = size / sizeof *duplicates->pairs;
    return 0;
}

static int run_map(mpm_pool *pool, const struct library *library, size_t size, struct duplicates *duplicates)
{
    size_t count = (library->count + BLOCK - 1) / BLOCK;
    uint64_t *begins = malloc((count + 1) * sizeof *begins);
    mpm_blob *items = calloc(count + 1, sizeof *items), *results = NULL;
    mpm_map_options options = {.context = library, .context_size = size};
    int exit_status = 0;

    if (!begins || !items) {
        exit_status = failure("out of memory");
    } else {
        for (size_t i = 0; i < count; i++) {
            begins[i] = i * BLOCK;
            items[i] = (mpm_blob){&begins[i], sizeof begins[i]};
        }
        if (mpm_pool_map_blobs(pool, compare_block, items, count, &options, &results))
            exit_status = mpm_report_error();
        else
            exit_status = join_results(results, count, duplicates);
    }
    mpm_blobs_free(results);
    free(items);
    free(begins);
    return exit_status;
}

/* The first member of the group, by a path that gets shorter with each look. */
static uint32_t find_root(uint32_t *parents, uint32_t member)
{
    while (parents[member] != member)
        member = parents[member] = parents[parents[member]];
    return member;
}

static int number_groups(struct originals *originals, struct duplicates *duplicates)
{
    uint32_t *parents = malloc((originals->count + 1) * sizeof *parents);

    if (!parents)
        return failure("out of memory");
    for (size_t i = 0; i < originals->count; i++)
        parents[i] = (uint32_t)i;
    for (size_t i = 0; i < duplicates->pair_count; i++) {
        uint32_t a = find_root(parents, duplicates->pairs[i].first),
                 b = find_root(parents, duplicates->pairs[i].second);

        parents[a > b ? a : b] = a > b ? b : a;
    }
    for (size_t i = 0; i < originals->count; i++)
        originals->items[i].group = NO_GROUP;
    for (size_t i = 0; i < originals->count; i++) { /* who is no root has one, which comes before it */
        if (parents[i] != i)
            originals->items[find_root(parents, (uint32_t)i)].group = 0;
    }
    for (size_t i = 0; i < originals->count; i++) {
        uint32_t root = find_root(parents, (uint32_t)i);

        if (root != i)
            originals->items[i].group = originals->items[root].group;
        else if (originals->items[i].group == 0)
            originals->items[i].group = (int64_t)duplicates->group_count++;
        duplicates->member_count += originals->items[i].group != NO_GROUP;
    }
    free(parents);
    return 0;
}

int duplicates_find(mpm_pool *pool, struct originals *originals, unsigned most_bits,
                    struct duplicates *duplicates)
{
    size_t size;
    struct library *library;
    int exit_status = 0;

    *duplicates = (struct duplicates){NULL, 0, 0, 0};
    if (originals->count > UINT32_MAX)
        return failure("%zu photographs are more than can be compared", originals->count);
    if (!(library = gather(originals, most_bits, &size)))
        return failure("out of memory");
    if (library->count > 1)
        exit_status = run_map(pool, library, size, duplicates);
    free(library);
    return exit_status ? exit_status : number_groups(originals, duplicates);
}
