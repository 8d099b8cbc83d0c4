/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots in a heap, by when they are free; items that a death has set free in another, by when that was. */
#include "simulate_greedy.h"

#include <math.h>
#include <stdlib.h>

struct at {
    double time_s;
    uint64_t what; /* a slot's node, or an item */
};

/* The first one stands at the top. */
struct heap {
    struct at *entries;
    uint64_t count;
};

struct greedy {
    const struct simulate_work *work;
    const struct simulate_life *lives; /* of each node */
    double noticed_s;
    struct heap slots, lost;
    uint64_t next; /* items below have been taken once */
};

static void sink(struct heap *heap, struct at entry)
{
    uint64_t at = 0, child;

    for (; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->entries[child + 1].time_s < heap->entries[child].time_s)
            child++;
        if (entry.time_s <= heap->entries[child].time_s)
            break;
        heap->entries[at] = heap->entries[child];
    }
    heap->entries[at] = entry;
}

static void push(struct heap *heap, struct at entry)
{
    uint64_t at = heap->count++;

    for (; at && entry.time_s < heap->entries[(at - 1) / 2].time_s; at = (at - 1) / 2)
        heap->entries[at] = heap->entries[(at - 1) / 2];
    heap->entries[at] = entry;
}

static struct at pop(struct heap *heap)
{
    struct at first = heap->entries[0];

    if (--heap->count)
        sink(heap, heap->entries[heap->count]);
    return first;
}

/* The item that the slot which is free first takes, and when it does. false: there is none. */
static bool take_item(struct greedy *greedy, double free_s, struct at *taken)
{
    bool is_left = greedy->next < greedy->work->items;

    if (greedy->lost.count && (!is_left || greedy->lost.entries[0].time_s <= free_s)) {
        *taken = pop(&greedy->lost);
        taken->time_s = fmax(taken->time_s, free_s);
        return true;
    }
    if (!is_left)
        return false;
    *taken = (struct at){free_s, greedy->next++};
    return true;
}

/* An item that is lost counts when it is done again. */
static double run(struct greedy *greedy)
{
    double end_s = 0;

    while (greedy->slots.count) {
        struct at slot = greedy->slots.entries[0], item;
        const struct simulate_life *node = &greedy->lives[slot.what];
        double done_s;

        if (slot.time_s >= node->death_s) {
            pop(&greedy->slots);
            continue;
        }
        if (!take_item(greedy, slot.time_s, &item))
            break;
        done_s = item.time_s + simulate_item_cost(greedy->work, item.what) / node->speed;
        if (done_s > node->death_s) {
            bool is_begun = item.time_s < node->death_s;

            push(&greedy->lost,
                 (struct at){is_begun ? node->death_s + greedy->noticed_s : item.time_s, item.what});
            pop(&greedy->slots);
            continue;
        }
        end_s = fmax(end_s, done_s);
        sink(&greedy->slots, (struct at){done_s, slot.what});
    }
    return end_s;
}

double simulate_greedy_s(const struct simulate_work *work, const struct simulate_life *lives,
                         unsigned node_count, unsigned slots, double noticed_s)
{
    uint64_t slot_count = (uint64_t)node_count * slots;
    struct greedy greedy = {.work = work, .lives = lives, .noticed_s = noticed_s};
    double end_s = NAN;

    greedy.slots.entries = calloc(slot_count, sizeof *greedy.slots.entries);
    greedy.lost.entries = calloc(slot_count, sizeof *greedy.lost.entries);
    if (greedy.slots.entries && greedy.lost.entries) {
        for (uint64_t i = 0; i < slot_count; i++)
            push(&greedy.slots, (struct at){lives[i / slots].start_s, i / slots});
        end_s = run(&greedy);
    }
    free(greedy.slots.entries);
    free(greedy.lost.entries);
    return end_s;
}
