/* SPDX-License-Identifier: BSD-3-Clause */
/* A file is read up to where main knows that its pages are done. */
#include "edges.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "journal.h"
#include "support/command.h"

static int read_file(const char *path, size_t count, struct edges *edges)
{
    FILE *file = fopen(path, "rb");
    size_t got;

    if (!file)
        return failure("'%s' cannot be opened: %s", path, strerror(errno));
    edges->edges = must_realloc(edges->edges, (edges->count + count) * sizeof *edges->edges);
    got = fread(edges->edges + edges->count, sizeof *edges->edges, count, file);
    fclose(file);
    if (got != count)
        return failure("'%s' has %zu links, but the journal knows of %zu", path, got, count);
    edges->count += count;
    return 0;
}

int edges_read(const char *folder, const struct frontier *frontier, struct edges *edges)
{
    size_t count;
    struct file_ends *ends = files_ends(frontier, &count);
    int status = 0;

    *edges = (struct edges){NULL, 0};
    for (size_t i = 0; i < count && !status; i++) {
        struct buffer name = {0};

        buffer_print(&name, "links-%zu.bin", i);
        if (ends[i].edges)
            status = read_file(journal_path(folder, name.bytes), ends[i].edges / sizeof(struct edge), edges);
        buffer_free(&name);
    }
    free(ends);
    return status;
}

static int compare_sources(const void *a, const void *b)
{
    const struct edge *left = a, *right = b;

    return (left->from > right->from) - (left->from < right->from);
}

void edges_sort_by_source(struct edges *edges)
{
    if (edges->count)
        qsort(edges->edges, edges->count, sizeof *edges->edges, compare_sources);
}

const struct edge *edges_of_source(const struct edges *edges, uint64_t from, size_t *count)
{
    size_t low = 0, high = edges->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (edges->edges[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < edges->count && edges->edges[high].from == from; high++)
        ;
    *count = high - low;
    return edges->edges + low;
}

void edges_free(struct edges *edges)
{
    free(edges->edges);
    *edges = (struct edges){NULL, 0};
}
