/* SPDX-License-Identifier: BSD-3-Clause */
/* At most two thirds of the entries are taken, so a search is short. */
#include "set.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"

static struct set_entry *find_entry(const struct set *set, uint64_t fingerprint)
{
    size_t at = fingerprint & (set->room - 1);

    while (set->entries[at].fingerprint && set->entries[at].fingerprint != fingerprint)
        at = (at + 1) & (set->room - 1);
    return &set->entries[at];
}

static void grow(struct set *set)
{
    struct set old = *set;

    set->room = old.room ? old.room * 2 : 256;
    set->entries = must_realloc(NULL, set->room * sizeof *set->entries);
    memset(set->entries, 0, set->room * sizeof *set->entries);
    for (size_t i = 0; i < old.room; i++) {
        if (old.entries[i].fingerprint)
            *find_entry(set, old.entries[i].fingerprint) = old.entries[i];
    }
    free(old.entries);
}

uint64_t *set_add(struct set *set, uint64_t fingerprint, uint64_t number, bool *is_new)
{
    struct set_entry *entry;

    if (set->count * 3 >= set->room * 2)
        grow(set);
    entry = find_entry(set, fingerprint);
    if ((*is_new = !entry->fingerprint)) {
        *entry = (struct set_entry){fingerprint, number};
        set->count++;
    }
    return &entry->number;
}

uint64_t *set_find(const struct set *set, uint64_t fingerprint)
{
    struct set_entry *entry = set->room ? find_entry(set, fingerprint) : NULL;

    return entry && entry->fingerprint ? &entry->number : NULL;
}

void set_clear(struct set *set)
{
    if (set->count && set->room > 4096) {
        set_free(set);
    } else if (set->count) {
        memset(set->entries, 0, set->room * sizeof *set->entries);
        set->count = 0;
    }
}

void set_free(struct set *set)
{
    free(set->entries);
    *set = (struct set){0};
}
