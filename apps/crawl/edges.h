/* SPDX-License-Identifier: BSD-3-Clause */
/* All links between pages of a crawl, from the files of links of its fetchers. */
#ifndef MPMAP_CRAWL_EDGES_H
#define MPMAP_CRAWL_EDGES_H

#include <stddef.h>
#include <stdint.h>

#include "frontier.h"

struct edge {
    uint64_t from, to; /* fingerprints */
};

struct edges {
    struct edge *edges;
    size_t count;
};

/* Reads them. Returns 0, or 1 after saying what is wrong. */
int edges_read(const char *folder, const struct frontier *frontier, struct edges *edges);
void edges_sort_by_source(struct edges *edges);
/* The links of a page, once they are sorted. */
const struct edge *edges_of_source(const struct edges *edges, uint64_t from, size_t *count);
void edges_free(struct edges *edges);

#endif
