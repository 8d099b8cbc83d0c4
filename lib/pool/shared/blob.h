/* SPDX-License-Identifier: BSD-3-Clause */
/* Items and results of any length, as they stand in leases and travel. For pool/ only.
 *
 * A pack is what a lease's items stand in, and the results that another node sends: one reference for each, then the
 * bytes, which the references count from the beginning of the pack. A lease's results are references too, which count
 * from the beginning of the arena: to pages that the workers have linked to the lease (board.h). */
#ifndef POOL_SHARED_BLOB_H
#define POOL_SHARED_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/blobs.h"

#define BLOB_MAX_SIZE  ((size_t)1 << 30)
#define BLOB_ALIGNMENT ((size_t)16)

struct blob_ref {
    uint64_t offset; /* 0: there is none, because its item failed */
    uint64_t size;
};

/* What is linked to a lease. */
struct blob_page {
    uint64_t next; /* offset, or 0 */
    uint64_t padding;
};

static inline size_t blob_rounded(size_t size)
{
    return (size + BLOB_ALIGNMENT - 1) & ~(BLOB_ALIGNMENT - 1);
}

/* How many bytes the blobs take in a pack. */
size_t blob_pack_size(const mpm_blob *blobs, size_t count);
/* Fills a pack, which is aligned to 16. */
void blob_pack(void *pack, const mpm_blob *blobs, size_t count);
/* Whether it is a pack of so many blobs, and so large. */
bool blob_is_pack(const void *pack, size_t size, size_t count);
/* What is referred to from `base`. */
void blob_look(const void *base, const struct blob_ref *refs, size_t count, mpm_blob *blobs);

/* The results of a map, in main. */
struct blob_list;

/* NULL without memory. */
struct blob_list *blob_list_create(size_t count);
/* Copies what is referred to from `base`: the results of items [first, first + count). MPM_ENOMEM. */
int blob_list_keep(struct blob_list *list, uint64_t first, const void *base, const struct blob_ref *refs,
                   size_t count);
/* What the caller gets, who ends it with mpm_blobs_free(). */
mpm_blob *blob_list_results(struct blob_list *list);
/* NULL is fine. */
void blob_list_destroy(struct blob_list *list);

#endif
