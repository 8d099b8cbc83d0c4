/* SPDX-License-Identifier: BSD-3-Clause */
/* Bags of values. What is put is appended; when that is much, the bag is pressed: sorted, with equal values put
 * together. */
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define FIRST_PRESS   524288 /* entries */
#define BUCKET_BITS   12
#define MOST_BUCKETS  (1 << BUCKET_BITS)
#define BUCKETS_LEAST 64  /* entries that are sorted by buckets */
#define RADIX_LEAST   512 /* entries that are sorted byte by byte */

static void swap_entries(struct bag_entry *a, struct bag_entry *b)
{
    struct bag_entry other = *a;

    *a = *b;
    *b = other;
}

static void insertion_sort(struct bag_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct bag_entry entry = entries[i];
        size_t at = i;

        for (; at && entries[at - 1].value > entry.value; at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* By the byte of the value at `shift`, of the entries into `other`; false if all have the same byte there. */
static bool radix_pass(const struct bag_entry *entries, struct bag_entry *other, size_t count, unsigned shift)
{
    size_t begins[257] = {0};

    for (size_t i = 0; i < count; i++)
        begins[(entries[i].value >> shift & 255) + 1]++;
    if (begins[(entries[0].value >> shift & 255) + 1] == count)
        return false;
    for (int i = 0; i < 256; i++)
        begins[i + 1] += begins[i];
    for (size_t i = 0; i < count; i++)
        other[begins[entries[i].value >> shift & 255]++] = entries[i];
    return true;
}

static void radix_sort(struct bag_entry *entries, struct bag_entry *other, size_t count)
{
    struct bag_entry *from = entries, *to = other;

    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (radix_pass(from, to, count, shift)) {
            struct bag_entry *next = from;

            from = to;
            to = next;
        }
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *entries);
}

/* Around the middle one of three; the larger part is left to the loop, so the depth is bounded. */
static void quick_sort(struct bag_entry *entries, size_t count)
{
    while (count > 24) {
        uint64_t a = entries[0].value, b = entries[count / 2].value, c = entries[count - 1].value;
        uint64_t middle = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = 0, k = count - 1;

        for (;; i++, k--) {
            while (entries[i].value < middle)
                i++;
            while (entries[k].value > middle)
                k--;
            if (i >= k)
                break;
            swap_entries(&entries[i], &entries[k]);
        }
        k++;
        if (k < count - k) {
            quick_sort(entries, k);
            entries += k;
            count -= k;
        } else {
            quick_sort(entries + k, count - k);
            count = k;
        }
    }
    insertion_sort(entries, count);
}

/* Into as many buckets as there are entries or more, by the first bits in which they differ; most have a few entries
 * then, and large ones are sorted byte by byte. Returns where the entries are: in `other`. */
static struct bag_entry *bucket_sort(struct bag_entry *entries, struct bag_entry *other, size_t count)
{
    uint32_t ends[MOST_BUCKETS + 1];
    uint64_t least = UINT64_MAX, most = 0;
    unsigned bits = 64 - (unsigned)__builtin_clzll(count), shift;

    for (size_t i = 0; i < count; i++) {
        least = entries[i].value < least ? entries[i].value : least;
        most = entries[i].value > most ? entries[i].value : most;
    }
    bits = bits < BUCKET_BITS ? bits : BUCKET_BITS;
    shift = 64 - (unsigned)__builtin_clzll((most - least) | 1);
    shift = shift > bits ? shift - bits : 0;
    memset(ends, 0, (((size_t)1 << bits) + 1) * sizeof *ends);
    for (size_t i = 0; i < count; i++)
        ends[((entries[i].value - least) >> shift) + 1]++;
    for (size_t i = 0; i < (size_t)1 << bits; i++)
        ends[i + 1] += ends[i];
    for (size_t i = 0; i < count; i++)
        other[ends[(entries[i].value - least) >> shift]++] = entries[i];
    for (size_t i = 0, begin = 0; i < (size_t)1 << bits; begin = ends[i++]) {
        if (ends[i] - begin > RADIX_LEAST)
            radix_sort(other + begin, entries + begin, ends[i] - begin);
        else if (ends[i] - begin > 1)
            quick_sort(other + begin, ends[i] - begin);
    }
    return other;
}

static struct bag_entry *sort_group(struct bag_entry *entries, struct bag_entry *other, size_t count)
{
    if (count > BUCKETS_LEAST && count < UINT32_MAX)
        return bucket_sort(entries, other, count);
    quick_sort(entries, count);
    return entries;
}

/* Puts equal values of a sorted group together; returns how many are left. */
static size_t press_group(const struct bag_plan *plan, const struct bag_entry *entries, size_t count,
                          struct bag_entry *out)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        struct bag_entry entry = entries[i];

        if (left && out[left - 1].value == entry.value && plan->kind >= BAG_SET)
            continue;
        if (left && out[left - 1].value == entry.value && out[left - 1].count <= UINT32_MAX - entry.count) {
            out[left - 1].count += entry.count;
            continue;
        }
        if (plan->kind == BAG_SKETCH && left == SKETCH_SIZE)
            break;
        out[left++] = entry;
    }
    return left;
}

static void sort_by_group(struct bag *bag, struct bag_entry *sorted, uint32_t groups)
{
    uint32_t *first = bag->first;

    memset(first, 0, (groups + 1) * sizeof *first);
    for (size_t i = 0; i < bag->count; i++)
        first[bag->entries[i].group]++;
    for (uint32_t group = 0, sum = 0; group <= groups; group++) {
        uint32_t count = first[group];

        first[group] = sum;
        sum += count;
    }
    for (size_t i = 0; i < bag->count; i++)
        sorted[first[bag->entries[i].group]++] = bag->entries[i];
    memmove(first + 1, first, groups * sizeof *first);
    first[0] = 0;
}

void table_sort_bag(struct table *table, uint32_t number)
{
    struct bag *bag = &table->bags[number];
    const struct bag_plan *plan = &table->plan->bags[number];
    struct bag_entry *sorted = memory_resize(NULL, bag->count * sizeof *sorted);
    size_t left = 0;

    bag->first = memory_resize(bag->first, ((size_t)table->count + 1) * sizeof *bag->first);
    sort_by_group(bag, sorted, table->count);
    for (uint32_t group = 0; group < table->count; group++) {
        uint32_t begin = bag->first[group], end = bag->first[group + 1];
        const struct bag_entry *entries;

        entries = sort_group(sorted + begin, bag->entries + begin, end - begin);
        bag->first[group] = (uint32_t)left;
        left += press_group(plan, entries, end - begin, sorted + left);
    }
    bag->first[table->count] = (uint32_t)left;
    free(bag->entries);
    bag->entries = sorted;
    bag->room = bag->count;
    bag->count = bag->pressed = left;
}

void table_put(struct table *table, uint32_t number, struct bag_entry entry)
{
    struct bag *bag = &table->bags[number];

    if (bag->count == bag->room) {
        if (bag->count >= FIRST_PRESS && bag->count >= 2 * bag->pressed)
            table_sort_bag(table, number);
        if (2 * bag->count >= bag->room) {
            bag->room = bag->room ? 2 * bag->room : 1024;
            bag->entries = memory_resize(bag->entries, bag->room * sizeof *bag->entries);
        }
    }
    bag->entries[bag->count++] = entry;
}
