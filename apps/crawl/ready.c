/* SPDX-License-Identifier: BSD-3-Clause */
/* A binary heap; each host knows its place in it. */
#include "ready.h"

#include <stdlib.h>

static double key(const struct frontier *frontier, uint32_t host)
{
    return frontier->hosts[host].next_s;
}

static void place(struct ready *ready, struct frontier *frontier, size_t at, uint32_t host)
{
    ready->hosts[at] = host;
    frontier->hosts[host].heap_at = at;
}

static size_t rise(struct ready *ready, struct frontier *frontier, size_t at, uint32_t host)
{
    while (at && key(frontier, ready->hosts[(at - 1) / 2]) > key(frontier, host)) {
        place(ready, frontier, at, ready->hosts[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(ready, frontier, at, host);
    return at;
}

static void sink(struct ready *ready, struct frontier *frontier, size_t at, uint32_t host)
{
    for (size_t child; (child = 2 * at + 1) < ready->count; at = child) {
        if (child + 1 < ready->count &&
            key(frontier, ready->hosts[child + 1]) < key(frontier, ready->hosts[child]))
            child++;
        if (key(frontier, ready->hosts[child]) >= key(frontier, host))
            break;
        place(ready, frontier, at, ready->hosts[child]);
    }
    place(ready, frontier, at, host);
}

void ready_put(struct ready *ready, struct frontier *frontier, uint32_t host)
{
    size_t at = frontier->hosts[host].heap_at;

    if (at == SIZE_MAX) {
        if (ready->count == ready->room) {
            ready->room = ready->room ? ready->room * 2 : 16;
            ready->hosts = must_realloc(ready->hosts, ready->room * sizeof *ready->hosts);
        }
        at = ready->count++;
    }
    sink(ready, frontier, rise(ready, frontier, at, host), host);
}

uint32_t ready_first(const struct ready *ready)
{
    return ready->count ? ready->hosts[0] : NO_PAGE;
}

void ready_pop(struct ready *ready, struct frontier *frontier)
{
    uint32_t last = ready->hosts[--ready->count];

    frontier->hosts[ready->hosts[0]].heap_at = SIZE_MAX;
    if (ready->count)
        sink(ready, frontier, 0, last);
}

void ready_stall(struct ready *ready, struct frontier *frontier, uint32_t host)
{
    if (frontier->hosts[host].is_stalled)
        return;
    if (ready->stalled_count == ready->stalled_room) {
        ready->stalled_room = ready->stalled_room ? ready->stalled_room * 2 : 16;
        ready->stalled = must_realloc(ready->stalled, ready->stalled_room * sizeof *ready->stalled);
    }
    ready->stalled[ready->stalled_count++] = host;
    frontier->hosts[host].is_stalled = true;
}

void ready_unstall(struct ready *ready, struct frontier *frontier)
{
    for (size_t i = 0; i < ready->stalled_count; i++) {
        frontier->hosts[ready->stalled[i]].is_stalled = false;
        ready_put(ready, frontier, ready->stalled[i]);
    }
    ready->stalled_count = 0;
}

void ready_free(struct ready *ready)
{
    free(ready->hosts);
    free(ready->stalled);
}
