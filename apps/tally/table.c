/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_SLOTS 4096
#define MANY        65536 /* groups */
#define LARGE_PAGE  2097152
#define LARGE       (2 * LARGE_PAGE) /* memory that is worth large pages: it is read here and there */
#define AHEAD       8                /* groups for which memory is fetched in advance */

static void advise_large(void *memory, size_t size)
{
    madvise((void *)(((uintptr_t)memory + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1)), size - LARGE_PAGE,
            MADV_HUGEPAGE);
}

static void *no_memory(size_t size)
{
    fprintf(stderr, "mpmap-tally: no memory for %zu bytes\n", size);
    exit(EXIT_FAILURE);
}

void *memory_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size ? size : 1);

    if (resized && size >= LARGE)
        advise_large(resized, size);
    return resized ? resized : no_memory(size);
}

/* What is large is a mapping of its own: as it grows its pages are moved, and nothing is copied. */
static void *memory_grow(void *memory, size_t size, size_t more)
{
    void *grown;

    if (more < LARGE)
        return memory_resize(memory, more);
    grown = size < LARGE
                ? mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                : mremap(memory, size, more, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED)
        return no_memory(more);
    if (size < LARGE && size)
        memcpy(grown, memory, size);
    if (size < LARGE)
        free(memory);
    madvise(grown, more, MADV_HUGEPAGE); /* all of it: a part alone could not be moved with the rest */
    return grown;
}

static void memory_release(void *memory, size_t size)
{
    if (size < LARGE)
        free(memory);
    else
        munmap(memory, size);
}

/* Of large ones, the kernel's own are taken: zeros need not be written once more. */
static void *memory_zeros(size_t size)
{
    char *memory;

    if (size < LARGE)
        return memset(memory_resize(NULL, size), 0, size);
    if (!(memory = calloc(1, size)))
        return no_memory(size);
    advise_large(memory, size);
    return memory;
}

void table_open(struct table *table, const struct plan *plan)
{
    memset(table, 0, sizeof *table);
    table->plan = plan;
    table->mask = FIRST_SLOTS - 1;
    table->slots = memory_resize(NULL, FIRST_SLOTS * sizeof *table->slots);
    table_clear(table);
}

void table_clear(struct table *table)
{
    memset(table->slots, 0, (table->mask + 1) * sizeof *table->slots);
    table->count = 0;
    table->key_size = 0;
    table->wide_count = 0;
    for (uint32_t i = 0; i < table->plan->bag_count; i++)
        table->bags[i].count = table->bags[i].pressed = 0;
}

void table_close(struct table *table)
{
    free(table->slots);
    memory_release(table->records, (size_t)table->room * table->plan->record_size);
    memory_release(table->keys, table->key_room);
    free(table->wides);
    for (uint32_t i = 0; i < table->plan->bag_count; i++) {
        free(table->bags[i].entries);
        free(table->bags[i].first);
    }
}

const char *table_key(const struct table *table, const struct record *record)
{
    return record->key_length <= SHORT_KEY ? (const char *)record->key
                                           : table->keys + (size_t)record->key_offset * 8;
}

/* The slots are four times as many, so that few keys have to look further than at the first one. Where there are many,
 * they are filled to two thirds, and become twice as many: to look further costs less there than more memory does. */
static void grow_slots(struct table *table)
{
    uint64_t count = (table->mask < MANY ? 4 : 2) * (table->mask + 1);

    free(table->slots);
    table->slots = memory_zeros(count * sizeof *table->slots);
    table->mask = count - 1;
    for (uint32_t group = 0; group < table->count; group++) {
        uint64_t hash = table_record(table, group)->hash, at = hash & table->mask;

        while (table->slots[at])
            at = (at + 1) & table->mask;
        table->slots[at] = (hash >> 32 << 32) | (group + 1);
    }
}

static uint32_t keep_long_key(struct table *table, const struct key *key)
{
    size_t offset = table->key_size, size = ((size_t)key->length + 7) & ~(size_t)7;

    if (offset + size > table->key_room) {
        size_t room = table->key_room;

        table->key_room = 2 * (offset + size) + 4096;
        table->keys = memory_grow(table->keys, room, table->key_room);
    }
    memcpy(table->keys + offset, key->bytes, key->length);
    memset(table->keys + offset + key->length, 0, size - key->length);
    table->key_size += size;
    if (offset / 8 > UINT32_MAX || table->count == UINT32_MAX - 1) {
        fprintf(stderr, "mpmap-tally: there are too many groups\n");
        exit(EXIT_FAILURE);
    }
    return (uint32_t)(offset / 8);
}

static uint32_t add_group(struct table *table, const struct key *key)
{
    struct record *record;

    if (table->count == table->room) {
        size_t size = (size_t)table->room * table->plan->record_size, more;

        table->room = table->room ? 2 * table->room : 256;
        more = (size_t)table->room * table->plan->record_size;
        table->records = memory_grow(table->records, size, more);
    }
    record = table_record(table, table->count);
    record->hash = key->hash;
    memcpy(record->key, key->head, sizeof record->key);
    record->key_length = key->length;
    record->key_offset = key->length > SHORT_KEY ? keep_long_key(table, key) : 0;
    record_init(table->plan, record);
    return table->count++;
}

static bool is_key(const struct table *table, const struct record *record, const struct key *key)
{
    return record->hash == key->hash && record->key_length == key->length && record->key[0] == key->head[0] &&
           record->key[1] == key->head[1] &&
           (key->length <= SHORT_KEY || !memcmp(table_key(table, record), key->bytes, key->length));
}

uint32_t table_find_slowly(struct table *table, const struct key *key)
{
    uint64_t at = key->hash & table->mask, slot;

    for (; (slot = table->slots[at]); at = (at + 1) & table->mask) {
        if (slot >> 32 == key->hash >> 32 && is_key(table, table_record(table, (uint32_t)slot - 1), key))
            return (uint32_t)slot - 1;
    }
    table->slots[at] = (key->hash >> 32 << 32) | (table->count + 1);
    if ((table->mask < 4 * MANY - 1 ? 4 : 3) * (uint64_t)table->count > 2 * table->mask) {
        uint32_t group = add_group(table, key);

        grow_slots(table);
        return group;
    }
    return add_group(table, key);
}

struct wide *table_wide(struct table *table, struct moments_rest *rest)
{
    if (!rest->wide) {
        if (table->wide_count == table->wide_room) {
            table->wide_room = table->wide_room ? 2 * table->wide_room : 64;
            table->wides = memory_resize(table->wides, table->wide_room * sizeof *table->wides);
        }
        wide_init(&table->wides[table->wide_count]);
        rest->wide = ++table->wide_count;
    }
    return &table->wides[rest->wide - 1];
}

/* A group is written as a struct group_head, the key, what the record has behind its head, and of each bag the
 * count of values, whether each came just once, the values, and if not how often each came. What stands at the end
 * of records, and the wide parts, is there only if there is something in it. All is aligned to 8 bytes. */
struct group_head {
    uint32_t key_length;
    uint32_t has_rest;
    uint64_t rows;
};

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t bag_size(const struct bag *bag, uint32_t group, bool *is_plain)
{
    size_t count = bag->first[group + 1] - bag->first[group];

    *is_plain = true;
    for (uint32_t i = bag->first[group]; i < bag->first[group + 1] && *is_plain; i++)
        *is_plain = bag->entries[i].count == 1;
    return 8 + count * 8 + (*is_plain ? 0 : (count * 4 + 7) / 8 * 8);
}

static bool has_rest(const struct table *table, struct record *record)
{
    const struct plan *plan = table->plan;
    const uint64_t *at = record_at(record, plan->rest_offset), *end = record_at(record, plan->record_size);

    while (at < end && !*at)
        at++;
    return at < end;
}

static size_t group_size(const struct table *table, uint32_t group)
{
    const struct plan *plan = table->plan;
    struct record *record = table_record(table, group);
    size_t size = sizeof(struct group_head) + padded(record->key_length) + plan->rest_offset - sizeof *record;
    bool is_plain;

    if (has_rest(table, record))
        size += plan->record_size - plan->rest_offset;
    for (uint32_t i = 0; table->wide_count && i < plan->used_count; i++) {
        if (plan->used[i].offset && record_rest(record, &plan->used[i])->wide)
            size += sizeof(struct wide);
    }
    for (uint32_t i = 0; i < plan->bag_count; i++)
        size += bag_size(&table->bags[i], group, &is_plain);
    return size;
}

/* A partition is the count of its groups, their hashes, and the groups. */
size_t table_measure(struct table *table, uint64_t begins[PARTITIONS + 1])
{
    uint64_t sizes[PARTITIONS], sum = 0;

    for (uint32_t i = 0; i < table->plan->bag_count; i++)
        table_sort_bag(table, i);
    for (int i = 0; i < PARTITIONS; i++)
        sizes[i] = 8;
    for (uint32_t group = 0; group < table->count; group++)
        sizes[table_record(table, group)->hash >> (64 - PARTITION_BITS)] += 8 + group_size(table, group);
    for (int i = 0; i < PARTITIONS; i++) {
        begins[i] = sum;
        sum += sizes[i];
    }
    begins[PARTITIONS] = sum;
    return sum;
}

static char *write_bag(const struct bag *bag, uint32_t group, char *at)
{
    const struct bag_entry *entries = bag->entries + bag->first[group];
    uint32_t count = bag->first[group + 1] - bag->first[group];
    bool is_plain;
    size_t size = bag_size(bag, group, &is_plain);
    uint32_t head[2] = {count, is_plain}, *counts = (uint32_t *)(void *)(at + 8 + (size_t)count * 8);
    uint64_t *values = (uint64_t *)(void *)(at + 8);

    memcpy(at, head, sizeof head);
    for (uint32_t i = 0; i < count; i++)
        values[i] = entries[i].value;
    for (uint32_t i = 0; i < count && !is_plain; i++)
        counts[i] = entries[i].count;
    if (!is_plain && count % 2)
        counts[count] = 0;
    return at + size;
}

static char *write_group(const struct table *table, uint32_t group, char *at)
{
    const struct plan *plan = table->plan;
    struct record *record = table_record(table, group);
    const struct group_head head = {record->key_length, has_rest(table, record), record->rows};
    size_t size = (head.has_rest ? plan->record_size : plan->rest_offset) - sizeof *record;

    memcpy(at, &head, sizeof head);
    at += sizeof head;
    memcpy(at, table_key(table, record), padded(head.key_length));
    at += padded(head.key_length);
    memcpy(at, record + 1, size);
    at += size;
    for (uint32_t i = 0; table->wide_count && i < plan->used_count; i++) {
        const struct moments_rest *rest = record_rest(record, &plan->used[i]);

        if (!plan->used[i].offset || !rest->wide)
            continue;
        memcpy(at, table_wide_of(table, rest), sizeof(struct wide));
        at += sizeof(struct wide);
    }
    for (uint32_t i = 0; i < plan->bag_count; i++)
        at = write_bag(&table->bags[i], group, at);
    return at;
}

void table_write(const struct table *table, const uint64_t begins[PARTITIONS + 1], char *bytes)
{
    uint64_t counts[PARTITIONS] = {0};
    char *hashes[PARTITIONS], *at[PARTITIONS];

    for (uint32_t group = 0; group < table->count; group++)
        counts[table_record(table, group)->hash >> (64 - PARTITION_BITS)]++;
    for (int i = 0; i < PARTITIONS; i++) {
        memcpy(bytes + begins[i], &counts[i], 8);
        hashes[i] = bytes + begins[i] + 8;
        at[i] = hashes[i] + 8 * counts[i];
    }
    for (uint32_t group = 0; group < table->count; group++) {
        uint64_t hash = table_record(table, group)->hash, part = hash >> (64 - PARTITION_BITS);

        memcpy(hashes[part], &hash, 8);
        hashes[part] += 8;
        at[part] = write_group(table, group, at[part]);
    }
}

static const char *merge_bag(struct table *table, uint32_t number, uint32_t group, const char *at)
{
    uint32_t head[2];
    const uint64_t *values = (const uint64_t *)(const void *)(at + 8);
    const uint32_t *counts;

    memcpy(head, at, sizeof head);
    counts = (const uint32_t *)(const void *)(at + 8 + (size_t)head[0] * 8);
    for (uint32_t i = 0; i < head[0]; i++) {
        const struct bag_entry entry = {values[i], group, head[1] ? 1 : counts[i]};

        table_put(table, number, entry);
    }
    return at + 8 + (size_t)head[0] * 8 + (head[1] ? 0 : ((size_t)head[0] * 4 + 7) / 8 * 8);
}

/* The wide parts of a group, which stand behind its record. */
static const char *merge_wides(struct table *table, struct record *record, struct record *later,
                               const char *at)
{
    const struct plan *plan = table->plan;
    struct wide wide;

    for (uint32_t i = 0; i < plan->used_count; i++) {
        if (!plan->used[i].offset || !record_rest(later, &plan->used[i])->wide)
            continue;
        memcpy(&wide, at, sizeof wide);
        wide_merge(table_wide(table, record_rest(record, &plan->used[i])), &wide);
        at += sizeof wide;
    }
    return at;
}

static const char *merge_group(struct table *table, uint64_t hash, const char *at)
{
    const struct plan *plan = table->plan;
    const struct group_head *head = (const struct group_head *)(const void *)at;
    struct key key = {hash, {0, 0}, head->key_length, at + sizeof *head};
    struct record *later, *record;
    uint32_t group;

    memcpy(key.head, key.bytes, key.length < SHORT_KEY ? padded(key.length) : SHORT_KEY);
    at = key.bytes + padded(key.length);
    /* Where the record would begin: of its head nothing is read. */
    later = (struct record *)(uintptr_t)(at - sizeof *later);
    group = table_find(table, &key);
    record = table_record(table, group);
    record->rows += head->rows;
    record_merge(plan, record, later, head->has_rest);
    at += (head->has_rest ? plan->record_size : plan->rest_offset) - sizeof *later;
    if (head->has_rest)
        at = merge_wides(table, record, later, at);
    for (uint32_t i = 0; i < plan->bag_count; i++)
        at = merge_bag(table, i, group, at);
    return at;
}

/* What the groups ahead will look at is fetched meanwhile: their slots first, then their records. */
__attribute__((always_inline)) static inline void
fetch_ahead(const struct table *table, const uint64_t *hashes, uint64_t count, uint64_t at)
{
    if (at + 2 * AHEAD < count)
        __builtin_prefetch(&table->slots[hashes[at + 2 * AHEAD] & table->mask]);
    if (at + AHEAD < count) {
        uint64_t slot = table->slots[hashes[at + AHEAD] & table->mask];

        if (slot)
            __builtin_prefetch(table_record(table, (uint32_t)slot - 1));
    }
}

void table_merge(struct table *table, const char *bytes, size_t size)
{
    const uint64_t *hashes = (const uint64_t *)(const void *)(bytes + 8);
    uint64_t count;
    const char *at;

    if (size < 8)
        return;
    memcpy(&count, bytes, sizeof count);
    at = bytes + 8 + 8 * count;
    for (uint64_t i = 0; i < count; i++) {
        fetch_ahead(table, hashes, count, i);
        at = merge_group(table, hashes[i], at);
    }
}
