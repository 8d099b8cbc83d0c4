/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of failed items, with their texts: as a node pool and a map gather them, as they travel, and as the user gets
 * them. A list is two arrays that grow: of failures, which say where in the other one their texts begin, and of these.
 * So it travels as it is, and no failure owns anything. For pool/. */
#ifndef POOL_SHARED_FAILURE_LIST_H
#define POOL_SHARED_FAILURE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/pool.h"

#define FAILURE_SHORT_SIZE   192u /* of a text that needs no room of its own, with its null byte */
#define FAILURE_LONGEST      ((size_t)64 << 10)   /* bytes of a text, without that */
#define FAILURE_LONG_OF_MAP  (UINT64_C(16) << 20) /* bytes of the long texts that a map keeps */
#define FAILURE_BUDGET_MARK  "… [cut: the map has no more room for texts]"
#define FAILURE_NO_ROOM_MARK "… [cut: the arena is full]"

/* Plain bytes, which travel. */
struct failure_entry {
    uint64_t index;
    uint32_t cause;
    int32_t code;
    uint32_t attempts, node;
    uint64_t text; /* where it begins in the texts */
};

/* All 0 is an empty one. */
struct failure_list {
    struct failure_entry *entries;
    size_t count, capacity;
    char *texts;
    size_t text_size, text_capacity;
    uint64_t long_size;  /* bytes of its long texts */
    uint64_t long_limit; /* once it has so many, the texts of more are cut; 0: any number */
};

static inline mpm_failure failure_of_entry(const struct failure_entry *entry, const char *texts)
{
    return (mpm_failure){.index = entry->index,
                         .cause = (enum mpm_cause)entry->cause,
                         .code = entry->code,
                         .attempts = entry->attempts,
                         .node = entry->node,
                         .text = texts + entry->text};
}

/* Adds a copy of the failure and of its text. false without memory. */
bool failure_list_add(struct failure_list *list, const mpm_failure *failure);
/* Puts them into rising order of their items. */
void failure_list_sort(struct failure_list *list);
/* What the user gets: failures and texts in one block, which is freed by free(); NULL if there are none. The list is
 * empty then. false without memory. */
bool failure_list_give(struct failure_list *list, mpm_failure **failures);
/* Forgets them all. */
void failure_list_free(struct failure_list *list);
/* Whether texts of so many bytes have all those of the entries. */
bool failure_entries_are_sound(const struct failure_entry *entries, size_t count, const char *texts,
                               size_t text_size);

#endif
