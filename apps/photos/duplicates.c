/* SPDX-License-Identifier: BSD-3-Clause */
/* The features of all photographs are the context, which each node has once. An item is a block of them; it compares each of
 * its photographs with all that come behind, in all turns, so that each pair is compared once. Hashes say who may be a
 * duplicate; colours must agree as well, which hashes do not know of. */
#include "duplicates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "features.h"
#include "support/command.h"

#define BLOCK 256

/* The context: this, then `count` hashes, `count` places among the originals, and `count` times COLOUR_SIZE bytes. */
struct features {
    uint64_t count;
    uint64_t most_bits;
    uint64_t hashes[];
};

static const uint32_t *places_of(const struct features *features)
{
    return (const uint32_t *)(features->hashes + features->count);
}

static const uint8_t *colours_of(const struct features *features, size_t which)
{
    return (const uint8_t *)(places_of(features) + features->count) + which * COLOUR_SIZE;
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

static bool has_colours(const uint8_t a[COLOUR_SIZE], const uint8_t b[COLOUR_SIZE])
{
    unsigned sum = 0;

    for (size_t i = 0; i < COLOUR_SIZE; i++)
        sum += (unsigned)abs(a[i] - b[i]);
    return sum <= COLOUR_DISTANCE * COLOUR_SIZE;
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
static bool compare(const struct features *features, size_t first, size_t second,
                    const uint64_t turned[TURNS], struct duplicate_pair *pair)
{
    uint8_t colours[COLOUR_SIZE];

    pair->distance = (uint32_t)features->most_bits + 1;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        unsigned distance = (unsigned)__builtin_popcountll(features->hashes[second] ^ turned[turn]);

        if (distance >= pair->distance)
            continue;
        features_turn_colours(colours_of(features, first), turn, colours);
        if (has_colours(colours, colours_of(features, second))) {
            pair->distance = distance;
            pair->turn = turn;
        }
    }
    pair->first = places_of(features)[first];
    pair->second = places_of(features)[second];
    return pair->distance <= features->most_bits;
}

/* Compares one with all behind it. One that has the very same features takes over: whatever is near the one is near the
 * other, so the pairs of a thousand equal pictures are a thousand, not half a million. */
static bool compare_one(const struct features *features, size_t first, struct found *found)
{
    uint64_t turned[TURNS];
    int most = (int)features->most_bits;

    for (unsigned turn = 0; turn < TURNS; turn++)
        turned[turn] = features_turn_hash(features->hashes[first], turn);
    for (size_t at = first + 1;
         (at = next_near(features->hashes, at, features->count, turned, most)) < features->count; at++) {
        struct duplicate_pair pair;

        if (!compare(features, first, at, turned, &pair))
            continue;
        if (!add_pair(found, pair))
            return false;
        if (features->hashes[at] == features->hashes[first] &&
            !memcmp(colours_of(features, at), colours_of(features, first), COLOUR_SIZE))
            return true;
    }
    return true;
}

static int compare_block(mpm_call *call, const void *item, void *result)
{
    const struct features *features = mpm_call_context(call);
    struct found found = {.call = call};
    uint64_t begin;

    (void)result;
    memcpy(&begin, item, sizeof begin);
    for (uint64_t i = begin; i < begin + BLOCK && i < features->count; i++) {
        if (!compare_one(features, i, &found))
            return 1;
    }
    return !found.count || mpm_call_blob(call, found.count * sizeof *found.pairs) ? 0 : 1;
}

/* All that can be compared; NULL without memory. */
static struct features *gather(const struct originals *originals, unsigned most_bits, size_t *size)
{
    struct features *features;
    size_t count = 0, at = 0;

    for (size_t i = 0; i < originals->count; i++)
        count += originals->items[i].is_done && !originals->items[i].error;
    *size = sizeof *features + count * (sizeof(uint64_t) + sizeof(uint32_t) + COLOUR_SIZE);
    if (!(features = malloc(*size)))
        return NULL;
    features->count = count;
    features->most_bits = most_bits;
    for (size_t i = 0; i < originals->count; i++) {
        const struct original *original = &originals->items[i];

        if (!original->is_done || original->error)
            continue;
        features->hashes[at] = original->photo.look.hash;
        ((uint32_t *)(features->hashes + count))[at] = (uint32_t)i;
        memcpy((uint8_t *)((uint32_t *)(features->hashes + count) + count) + at * COLOUR_SIZE,
               original->photo.look.colours, COLOUR_SIZE);
        at++;
    }
    return features;
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

static int run_map(mpm_pool *pool, const struct features *features, size_t size,
                   struct duplicates *duplicates)
{
    size_t count = (features->count + BLOCK - 1) / BLOCK;
    uint64_t *begins = malloc((count + 1) * sizeof *begins);
    mpm_blob *items = malloc((count + 1) * sizeof *items), *results = NULL;
    mpm_map_options options = {.context = features, .context_size = size};
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
    struct features *features;
    int exit_status = 0;

    *duplicates = (struct duplicates){NULL, 0, 0, 0};
    if (originals->count > UINT32_MAX)
        return failure("%zu photographs are more than can be compared", originals->count);
    if (!(features = gather(originals, most_bits, &size)))
        return failure("out of memory");
    if (features->count > 1)
        exit_status = run_map(pool, features, size, duplicates);
    free(features);
    return exit_status ? exit_status : number_groups(originals, duplicates);
}
