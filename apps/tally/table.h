/* SPDX-License-Identifier: BSD-3-Clause */
/* The groups of a block of rows, or of all of them: records found by their keys, and the bags of values that
 * quantiles and counts of distinct values need. A table goes from a worker to main as plain bytes, cut into
 * PARTITIONS by the hash of the keys, so that several threads can merge tables, each its partitions.
 *
 * Memory that cannot be had ends the process with a line that says so: in a worker that costs the block. */
#ifndef TALLY_TABLE_H
#define TALLY_TABLE_H

#include "plan.h"
#include "record.h"

#define PARTITION_BITS 6
#define PARTITIONS     (1 << PARTITION_BITS)
#define SKETCH_SIZE    4096 /* fingerprints that an approximate count keeps */

struct key {
    uint64_t hash;
    uint64_t head[2]; /* its first 16 bytes, with zeros behind them */
    uint32_t length;
    const char *bytes; /* of a long one */
};

/* A value of a group: for numbers, bits that compare as the numbers do. */
struct bag_entry {
    uint64_t value;
    uint32_t group;
    uint32_t count;
};

struct bag {
    struct bag_entry *entries;
    size_t count, room;
    size_t pressed;  /* count after it was last pressed */
    uint32_t *first; /* once it is sorted: of each group its first entry, and the end of the last one */
};

struct table {
    const struct plan *plan;
    uint64_t *slots; /* upper half of the hash, and index + 1; 0: free */
    uint64_t mask;
    char *records;
    uint32_t count, room;
    char *keys; /* the long ones */
    size_t key_size, key_room;
    struct wide *wides;
    uint64_t wide_count, wide_room;
    struct bag bags[MOST_MEASURES];
};

/* realloc() that cannot fail. */
void *memory_resize(void *memory, size_t size);

void table_open(struct table *table, const struct plan *plan);
void table_clear(struct table *table);
void table_close(struct table *table);

/* The group of a key that is not where it was looked for first, or is new. */
uint32_t table_find_slowly(struct table *table, const struct key *key);

static inline struct record *table_record(const struct table *table, uint32_t group)
{
    return (struct record *)(void *)(table->records + (size_t)group * table->plan->record_size);
}

static inline uint32_t table_find(struct table *table, const struct key *key)
{
    uint64_t slot = table->slots[key->hash & table->mask];
    const struct record *record;

    if (slot >> 32 == key->hash >> 32 && slot && key->length <= SHORT_KEY) {
        record = table_record(table, (uint32_t)slot - 1);
        if (record->key[0] == key->head[0] && record->key[1] == key->head[1] &&
            record->key_length == key->length)
            return (uint32_t)slot - 1;
    }
    return table_find_slowly(table, key);
}

const char *table_key(const struct table *table, const struct record *record);

/* The wide part of the moments, made if there is none. */
struct wide *table_wide(struct table *table, struct moments_rest *rest);

static inline const struct wide *table_wide_of(const struct table *table, const struct moments_rest *rest)
{
    return rest->wide ? &table->wides[rest->wide - 1] : NULL;
}

void table_put(struct table *table, uint32_t bag, struct bag_entry entry);

/* Sorts a bag by group and value, equal ones put together; sets its `first`. */
void table_sort_bag(struct table *table, uint32_t bag);

/* Bytes of the table, and where its partitions begin in them; its bags are sorted for it. */
size_t table_measure(struct table *table, uint64_t begins[PARTITIONS + 1]);
void table_write(const struct table *table, const uint64_t begins[PARTITIONS + 1], char *bytes);

/* Adds the groups of one partition, `size` bytes as table_write() made them. */
void table_merge(struct table *table, const char *bytes, size_t size);

#endif
