/* SPDX-License-Identifier: BSD-3-Clause */
/* A table from fingerprints of URLs to numbers, with open addressing: about 24 bytes a URL. */
#ifndef MPMAP_CRAWL_SET_H
#define MPMAP_CRAWL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is an empty one. */
struct set {
    struct set_entry {
        uint64_t fingerprint; /* 0: free */
        uint64_t number;
    } * entries;
    size_t count;
    size_t room; /* a power of two, or 0 */
};

/* Puts a number at a fingerprint that has none. Returns where the number is that it has by then; `is_new` says
 * whether it is that one. The place is valid until the next call. */
uint64_t *set_add(struct set *set, uint64_t fingerprint, uint64_t number, bool *is_new);
/* Where the number is; NULL if there is none. */
uint64_t *set_find(const struct set *set, uint64_t fingerprint);
void set_clear(struct set *set);
void set_free(struct set *set);

#endif
