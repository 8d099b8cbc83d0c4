/* SPDX-License-Identifier: BSD-3-Clause */
/* The links of all pages of the earlier crawl are read from its files of links, and sorted by the page that has
 * them. */
#include "since.h"

#include <stdlib.h>
#include <string.h>

#include "edges.h"
#include "journal.h"

struct since {
    struct frontier frontier;
    struct edges edges;
};

struct since *since_open(const char *folder, const struct settings *settings)
{
    struct since *since = must_realloc(NULL, sizeof *since);

    *since = (struct since){.edges = {0}};
    frontier_open(&since->frontier, settings, 1);
    if (!journal_read(folder, &since->frontier) && !edges_read(folder, &since->frontier, &since->edges)) {
        edges_sort_by_source(&since->edges);
        return since;
    }
    since_close(since);
    return NULL;
}

bool since_facts(const struct since *since, uint64_t fingerprint, struct facts *facts)
{
    const uint64_t *number = set_find(&since->frontier.seen, fingerprint);

    if (!number || since->frontier.pages[*number].state != PAGE_DONE)
        return false;
    frontier_facts(&since->frontier.pages[*number], facts);
    return facts->outcome == OUTCOME_ANSWERED && (facts->status == 200 || facts->status == 304) &&
           !*facts->error;
}

void since_links(const struct since *since, uint64_t fingerprint,
                 void (*found)(const struct page *page, void *argument), void *argument)
{
    size_t count;
    const struct edge *edge = edges_of_source(&since->edges, fingerprint, &count);

    for (; count; count--, edge++) {
        const uint64_t *number = set_find(&since->frontier.seen, edge->to);

        if (number)
            found(&since->frontier.pages[*number], argument);
    }
}

void since_close(struct since *since)
{
    if (!since)
        return;
    frontier_free(&since->frontier);
    edges_free(&since->edges);
    free(since);
}
