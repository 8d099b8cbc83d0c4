/* SPDX-License-Identifier: BSD-3-Clause */
/* The lease state machine: who gets which items of a map, and when they are taken back.
 *
 * Where an index is. It is free (in one of the ranges of `free`), in one lease of one node, or done. Only
 * three moves exist, each made whole within one call: take_range (free to lease, by grant), finish (lease to
 * done, by lease_done), and put_back (lease to free, by lease_returned and lease_node_lost). Calls that can
 * need memory get it before the first move, so a failed call has moved nothing. A lease ends at one place,
 * drop_lease. Done indexes leave no trace but their number and a sum of marks, by which
 * lease_table_is_sound() proves that all ranges together tile [0, count) exactly.
 *
 * A lease goes GRANTING (its grant waits to be taken by lease_next_action) -> RUNNING (the node has it), and
 * back and forth RUNNING -> RECALLING (the recall waits to be taken) -> RECALLED (the node will reply, or
 * be done) -> RUNNING. Only RUNNING, RECALLING and RECALLED leases can be done, only RECALLED ones returned.
 * Leases with an action to take stand in one list, so an action ends with its lease.
 *
 * Who may call. Whoever drives the table, one thread at a time: main's courier in a run. After each event it
 * takes actions until there are none. A table that is never asked for its actions stays sound, and waits.
 *
 * How much. A node has one lease to work on and one to go on with, more only where those that are claimed to
 * the end wait for items that take long. A lease keeps its node busy for a target time at the speed that was
 * measured. Leases grow from a few items a slot, at most by GROWTH each, and have at most half of the node's
 * share of what is free, so that all nodes come to the end together; at least one item a slot, and some
 * time's worth, so that the last ones are no flood of messages. The target is longer where main has many
 * nodes, and where the wire is slow: the quickest lease of a node took from grant to done what the wire
 * takes, and little else. (If leases were shorter than that, the speed measured would be the wire's, and
 * leases would stay short.)
 *
 * The tail. When nothing is free, nodes that want more are hungry, and every node has an estimated time of
 * finishing. The node that would finish last gives back the newest of its leases that may have untouched
 * items, if it is so far behind the hungriest, or surely has so much untouched, that this is worth the
 * messages; failing that, the node that is most overdue does, which time shows, and no event
 * (lease_look_again). What comes back serves the hungry, idle ones first, then the earliest to finish, the
 * one that gave it among them. A node has one recall at a time (but in a drain, when
 * all of them are recalled at once). A lease that gave nothing back is claimed, and
 * is left alone from then on.
 *
 * Every event costs O(depth + log nodes), but for memmove() when ranges come back (16 bytes a free range),
 * and for the first time that a node is hungry, when the heaps are made. */
#include "pool/driver/lease.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Unknown speed: so many items a slot, more where main has so many nodes that it takes long to come back to one. */
#define FIRST_ITEMS_A_SLOT 2.0
/* A lease has at most so many times the items of the node's largest one; more where leases are to become longer. */
#define GROWTH 4.0
/* A lease has at most the node's share of what is free, divided by this. */
#define SHARE_DIVISOR 2.0
/* The target time has so many short times: below one, a lease or a recall is not worth its messages. */
#define SHORTS_A_TARGET 16.0
/* A lease lasts at least so long for every node: messages of 1 µs keep main busy for a twentieth of its time. */
#define MAIN_SHARE_S 40e-6
/* A lease lasts at least so many times what the wire takes: some of it is work, after all. */
#define WIRE_FACTOR 3.0
/* Where costs are known, a lease of more than an item a slot costs at most the node's share of all, divided by this:
 * what waits behind it waits for a small part of the map. */
#define COST_DIVISOR 32.0
/* So many leases a node has that are not claimed to the end: one to work on and one to go on with. */
#define UNASKED 2
/* And a lone node, which has nobody to leave anything to. */
#define UNASKED_ALONE 4

struct range {
    uint64_t first;
    uint64_t count;
};

enum lease_stage { STAGE_ENDED, STAGE_GRANTING, STAGE_RUNNING, STAGE_RECALLING, STAGE_RECALLED };

struct lease {
    struct lease *before, *after; /* in the list of actions, if GRANTING or RECALLING */
    struct range range;
    double granted_s;
    uint64_t serial; /* the higher the newer; its low half is the number */
    unsigned node;
    enum lease_stage stage;
    bool claimed; /* wholly, as far as is known */
};

/* Heaps of nodes by the time at which they finish; in that of the hungry the idle ones come first. */
enum order { HUNGRIEST, LATEST, EARLIEST, ORDER_COUNT };

struct heap {
    unsigned *nodes;
    unsigned count;
};

struct node {
    struct lease *leases; /* depth of them, in no order; NULL before it joins and when it is lost */
    unsigned slots, held;
    unsigned recalls; /* leases of it that are RECALLING or RECALLED: 0 or 1 */
    bool lost;
    bool is_idle;     /* some of its slots may be: it had no untouched lease when the heaps were last told */
    uint64_t items;   /* in its leases */
    uint64_t largest; /* the most items that a lease of it has had */
    double wire_s;    /* the least time that a lease of it has taken from its grant until it was done */
    double since_s;   /* when it joined, or was last done with a lease */
    double finish_s;  /* when it will have done what it holds, by estimate */
    double measured_items, measured_s;
    unsigned place[ORDER_COUNT]; /* in each heap, from 1; 0: not there */
};

struct lease_table {
    uint64_t count, done;
    uint64_t done_marks;
    struct lease_limits limits;
    lease_fit *fit; /* or NULL */
    void *fit_argument;
    lease_cost *cost; /* or NULL */
    const void *cost_argument;
    double whole_cost;
    double now;

    struct node *nodes;
    unsigned node_count;
    unsigned expected; /* neither joined nor lost */
    unsigned alive;    /* joined and not lost */
    uint64_t slots;    /* of those */
    double measured_speed;
    uint64_t measured_slots;

    struct range *free; /* from the highest to the lowest, no two of them touching */
    size_t free_count, free_room;
    uint64_t free_items;

    struct lease *oldest_action, *newest_action;
    uint64_t next_serial;

    bool tail;        /* some node has been hungry: from then on the heaps are kept */
    bool is_draining; /* nothing is granted any more, so no node is hungry */
    unsigned recalls;
    struct heap heaps[ORDER_COUNT];
};

/* ---- Free ranges ---- */

static bool free_reserve(struct lease_table *table, size_t more)
{
    size_t need = table->free_count + more;
    if (need <= table->free_room)
        return true;
    size_t room = need + need / 2 + 8;
    struct range *grown = realloc(table->free, room * sizeof *grown);
    if (!grown)
        return false;
    table->free = grown;
    table->free_room = room;
    return true;
}

/* Where a range that begins at `first` belongs. */
static size_t free_search(const struct lease_table *table, uint64_t first)
{
    size_t low = 0, high = table->free_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->free[middle].first > first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void free_shift(struct lease_table *table, size_t from, size_t to)
{
    memmove(&table->free[to], &table->free[from], (table->free_count - from) * sizeof *table->free);
    table->free_count = table->free_count - from + to;
}

/* Lease to free. Room for one more range has been reserved. */
static void put_back(struct lease_table *table, struct range range)
{
    size_t at = free_search(table, range.first);
    struct range *above = at > 0 ? &table->free[at - 1] : NULL;
    struct range *below = at < table->free_count ? &table->free[at] : NULL;
    bool joins_above = above && range.first + range.count == above->first;
    bool joins_below = below && below->first + below->count == range.first;

    table->free_items += range.count;
    if (joins_above && joins_below) {
        above->first = below->first;
        above->count += range.count + below->count;
        free_shift(table, at + 1, at);
    } else if (joins_above) {
        above->first = range.first;
        above->count += range.count;
    } else if (joins_below) {
        below->count += range.count;
    } else {
        free_shift(table, at, at + 1);
        table->free[at] = range;
    }
}

/* Free to lease: at most `count` items from the lowest range. */
static struct range take_range(struct lease_table *table, uint64_t count)
{
    struct range *lowest = &table->free[table->free_count - 1];
    struct range taken = {lowest->first, count < lowest->count ? count : lowest->count};
    lowest->first += taken.count;
    lowest->count -= taken.count;
    if (lowest->count == 0)
        table->free_count--;
    table->free_items -= taken.count;
    return taken;
}

/* ---- Heaps ---- */

/* A node that has work left is not hungrier than an idle one, however long ago it should have been done with it. */
static bool goes_before(const struct lease_table *table, enum order order, unsigned a, unsigned b)
{
    const struct node *one = &table->nodes[a], *other = &table->nodes[b];
    if (order == HUNGRIEST && one->is_idle != other->is_idle)
        return one->is_idle;
    return order == LATEST ? one->finish_s > other->finish_s : one->finish_s < other->finish_s;
}

static void heap_put(struct lease_table *table, enum order order, unsigned place, unsigned node)
{
    table->heaps[order].nodes[place - 1] = node;
    table->nodes[node].place[order] = place;
}

static void heap_sift(struct lease_table *table, enum order order, unsigned place, unsigned node)
{
    const struct heap *heap = &table->heaps[order];
    while (place > 1 && goes_before(table, order, node, heap->nodes[place / 2 - 1])) {
        heap_put(table, order, place, heap->nodes[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        unsigned child = 2 * place;
        if (child > heap->count)
            break;
        if (child < heap->count && goes_before(table, order, heap->nodes[child], heap->nodes[child - 1]))
            child++;
        if (!goes_before(table, order, heap->nodes[child - 1], node))
            break;
        heap_put(table, order, place, heap->nodes[child - 1]);
        place = child;
    }
    heap_put(table, order, place, node);
}

/* Puts the node in, takes it out, or moves it after its time has changed. */
static void heap_keep(struct lease_table *table, enum order order, unsigned node, bool in)
{
    struct heap *heap = &table->heaps[order];
    unsigned place = table->nodes[node].place[order];
    if (in) {
        heap_sift(table, order, place ? place : ++heap->count, node);
    } else if (place) {
        unsigned last = heap->nodes[--heap->count];
        table->nodes[node].place[order] = 0;
        if (last != node)
            heap_sift(table, order, place, last);
    }
}

static struct node *heap_top(const struct lease_table *table, enum order order)
{
    const struct heap *heap = &table->heaps[order];
    return heap->count ? &table->nodes[heap->nodes[0]] : NULL;
}

/* ---- Actions ---- */

static void action_push(struct lease_table *table, struct lease *lease, enum lease_stage stage)
{
    lease->stage = stage;
    lease->before = table->newest_action;
    lease->after = NULL;
    if (table->newest_action)
        table->newest_action->after = lease;
    else
        table->oldest_action = lease;
    table->newest_action = lease;
}

static void action_unlink(struct lease_table *table, struct lease *lease)
{
    if (lease->before)
        lease->before->after = lease->after;
    else
        table->oldest_action = lease->after;
    if (lease->after)
        lease->after->before = lease->before;
    else
        table->newest_action = lease->before;
}

/* ---- Speeds and times ---- */

static void tick(struct lease_table *table, double now)
{
    if (now > table->now)
        table->now = now;
}

static unsigned node_index(const struct lease_table *table, const struct node *node)
{
    return (unsigned)(node - table->nodes);
}

/* What a slot does a second on average; 1 as long as nothing is known. */
static double slot_speed(const struct lease_table *table)
{
    return table->measured_slots ? fmax(table->measured_speed, 1e-9) / (double)table->measured_slots : 1.0;
}

static double measured_speed(const struct node *node)
{
    return node->measured_s > 0 ? node->measured_items / node->measured_s : 0.0;
}

static double likely_speed(const struct lease_table *table, const struct node *node)
{
    double speed = measured_speed(node);
    return speed > 0 ? speed : node->slots * slot_speed(table);
}

static double target_s(const struct lease_table *table)
{
    return fmax(table->limits.target_s, table->alive * MAIN_SHARE_S);
}

static double short_s(const struct lease_table *table)
{
    return target_s(table) / SHORTS_A_TARGET;
}

/* The node's part of the speed of all, counting those that are still expected as its equals. */
static double speed_share(const struct lease_table *table, const struct node *node)
{
    double slot = slot_speed(table);
    double all = (table->measured_slots ? table->measured_speed : 0.0) +
                 (double)(table->slots - table->measured_slots) * slot +
                 (double)table->expected * node->slots * slot;
    return fmin(1.0, likely_speed(table, node) / all);
}

/* Forgets the node's speed in the sums of the table, before it changes or the node goes. */
static void speed_withdraw(struct lease_table *table, const struct node *node)
{
    if (node->measured_s > 0) {
        table->measured_slots -= node->slots;
        table->measured_speed = table->measured_slots ? table->measured_speed - measured_speed(node) : 0.0;
    }
}

/* Takes in that `items` took until now. Sums that fade with the time measured give every second the same
 * weight: leases that end in pairs, or are short, do not throw the speed about. */
static void speed_measure(struct lease_table *table, struct node *node, uint64_t items, double span_s)
{
    double fade = target_s(table) / (target_s(table) + span_s);

    speed_withdraw(table, node);
    node->measured_items = node->measured_items * fade + (double)items;
    node->measured_s = node->measured_s * fade + fmax(span_s, 1e-9);
    table->measured_slots += node->slots;
    table->measured_speed += measured_speed(node);
}

/* ---- What a node holds ---- */

static struct lease *find_lease(const struct lease_table *table, const struct node *node, uint32_t number)
{
    for (unsigned i = 0; node->leases && i < table->limits.depth; i++) {
        struct lease *lease = &node->leases[i];
        if (lease->stage != STAGE_ENDED && (uint32_t)lease->serial == number)
            return lease;
    }
    return NULL;
}

static struct lease *unused_lease(const struct node *node)
{
    struct lease *lease = node->leases;
    while (lease->stage != STAGE_ENDED)
        lease++;
    return lease;
}

static struct lease *newest_lease(const struct lease_table *table, const struct node *node, bool recallable)
{
    struct lease *newest = NULL;
    for (unsigned i = 0; i < table->limits.depth; i++) {
        struct lease *lease = &node->leases[i];
        if (lease->stage == STAGE_ENDED || (recallable && (lease->stage != STAGE_RUNNING || lease->claimed)))
            continue;
        if (!newest || lease->serial > newest->serial)
            newest = lease;
    }
    return newest;
}

/* The leases of the node that may have items which nobody has claimed. */
struct untouched {
    unsigned leases;
    uint64_t items;
};

static struct untouched untouched(const struct lease_table *table, const struct node *node)
{
    struct untouched sum = {0, 0};
    for (unsigned i = 0; i < table->limits.depth; i++) {
        const struct lease *lease = &node->leases[i];
        if (lease->stage == STAGE_ENDED || lease->claimed)
            continue;
        sum.leases++;
        sum.items += lease->range.count;
    }
    return sum;
}

/* A node claims from its leases in their order: when one is done, older ones wait only for items that take
 * long. */
static void note_older_claimed(const struct lease_table *table, const struct node *node, uint64_t serial)
{
    for (unsigned i = 0; i < table->limits.depth; i++)
        if (node->leases[i].stage != STAGE_ENDED && node->leases[i].serial < serial)
            node->leases[i].claimed = true;
}

/* The one end of a lease. Its items have been moved, or are about to be. */
static void drop_lease(struct lease_table *table, struct lease *lease)
{
    struct node *node = &table->nodes[lease->node];
    if (lease->stage == STAGE_GRANTING || lease->stage == STAGE_RECALLING)
        action_unlink(table, lease);
    if (lease->stage == STAGE_RECALLING || lease->stage == STAGE_RECALLED) {
        node->recalls--;
        table->recalls--;
    }
    lease->stage = STAGE_ENDED;
    node->held--;
    node->items -= lease->range.count;
}

/* Brings the node's places in the heaps up to date, once there are any. A node that cannot be recalled from
 * now is in neither of the two heaps of those that can. */
static void note_change(struct lease_table *table, struct node *node)
{
    unsigned index = node_index(table, node);
    if (!table->tail)
        return;
    node->is_idle = node->leases && untouched(table, node).leases == 0;
    bool recallable = !node->lost && node->recalls == 0 && newest_lease(table, node, true);
    heap_keep(table, LATEST, index, recallable);
    heap_keep(table, EARLIEST, index, recallable);
    heap_keep(table, HUNGRIEST, index, node->place[HUNGRIEST] && !node->lost);
}

/* Guesses anew when nodes finish whose speed is not measured: they are taken for average ones. */
static void guess_again(struct lease_table *table)
{
    for (unsigned i = 0; i < table->node_count; i++) {
        struct node *node = &table->nodes[i];
        if (!node->leases)
            continue;
        if (node->measured_s == 0 && node->held)
            node->finish_s = node->since_s + (double)node->items / likely_speed(table, node);
        note_change(table, node);
    }
}

static void become_hungry(struct lease_table *table, struct node *node)
{
    if (table->is_draining)
        return;
    if (!table->tail) {
        table->tail = true;
        guess_again(table);
    }
    heap_keep(table, HUNGRIEST, node_index(table, node), true);
    note_change(table, node);
}

/* ---- Granting ---- */

static double first_items(const struct lease_table *table, const struct node *node)
{
    double round_s = (table->alive + table->expected) * MAIN_SHARE_S;

    return FIRST_ITEMS_A_SLOT * node->slots * fmax(1.0, round_s / table->limits.target_s);
}

/* The longer leases are to become, the faster they grow: it takes as many leases to get there, whatever the nodes. */
static double growth(const struct lease_table *table)
{
    return GROWTH * target_s(table) / table->limits.target_s;
}

static uint64_t lease_size(const struct lease_table *table, const struct node *node)
{
    double speed = measured_speed(node);
    double size = speed > 0 ? speed * fmax(target_s(table), WIRE_FACTOR * node->wire_s)
                            : first_items(table, node);

    if (table->node_count == 1)
        return table->limits.max_items;
    size = fmin(size, (double)table->free_items * speed_share(table, node) / SHARE_DIVISOR);
    size = fmax(size, speed * short_s(table));
    if (node->largest)
        size = fmin(size, growth(table) * (double)node->largest);
    size = fmax(size, node->slots);
    return size < (double)table->limits.max_items ? (uint64_t)size : table->limits.max_items;
}

/* How many items fit where costs are known. */
static uint64_t fit_costs(const struct lease_table *table, const struct node *node, uint64_t first,
                          uint64_t count)
{
    double most = table->whole_cost * speed_share(table, node) / COST_DIVISOR, sum = 0;
    uint64_t fits = 0;

    while (fits < count && (sum += table->cost(table->cost_argument, first + fits)) <= most)
        fits++;
    return fits > node->slots ? fits : node->slots < count ? node->slots : count;
}

static struct range take_lease(struct lease_table *table, const struct node *node)
{
    const struct range *lowest = &table->free[table->free_count - 1];
    uint64_t count = lease_size(table, node);
    if (count > lowest->count)
        count = lowest->count;
    if (table->cost)
        count = fit_costs(table, node, lowest->first, count);
    if (table->fit)
        count = table->fit(table->fit_argument, lowest->first, count);
    return take_range(table, count);
}

/* There is something free, and the node has room for a lease. */
static void grant(struct lease_table *table, struct node *node)
{
    struct lease *lease = unused_lease(node);
    *lease = (struct lease){
        .range = take_lease(table, node),
        .granted_s = table->now,
        .serial = table->next_serial++,
        .node = node_index(table, node),
    };
    action_push(table, lease, STAGE_GRANTING);
    node->held++;
    node->items += lease->range.count;
    if (lease->range.count > node->largest)
        node->largest = lease->range.count;
    node->finish_s = fmax(node->finish_s, table->now) +
                     (double)lease->range.count / likely_speed(table, node);
    if (table->tail)
        heap_keep(table, HUNGRIEST, lease->node, false);
    note_change(table, node);
}

static unsigned unasked(const struct lease_table *table)
{
    unsigned most = table->node_count == 1 ? UNASKED_ALONE : UNASKED;
    return most < table->limits.depth ? most : table->limits.depth;
}

static bool has_room(const struct lease_table *table, const struct node *node)
{
    return !table->is_draining && node->held < table->limits.depth &&
           untouched(table, node).leases < unasked(table);
}

static void fill_up(struct lease_table *table, struct node *node)
{
    while (table->free_items && has_room(table, node))
        grant(table, node);
    if (has_room(table, node))
        become_hungry(table, node);
}

/* ---- Recalling ---- */

/* The time below which more work for a node makes no difference: a round of items, or a short time. */
static double grain_s(const struct lease_table *table, const struct node *node)
{
    return fmax(short_s(table), node->slots / likely_speed(table, node));
}

/* Whether it is worth the messages to take from the victim what it has not touched. If it has not claimed all
 * of an older one, that is all of its newest lease, whatever the estimate says: enough for one that is idle. Where an
 * estimate has passed by far, the node is slower than it was: by how much, only it can tell. */
static bool is_worth_it(const struct lease_table *table, const struct node *victim,
                        const struct node *hungriest)
{
    double ahead_s = victim->finish_s - fmax(table->now, hungriest->finish_s);
    double late_s = table->now - victim->finish_s;

    if (victim == hungriest)
        return false;
    if (ahead_s > grain_s(table, victim))
        return true;
    if (hungriest->finish_s > table->now)
        return false;
    if (untouched(table, victim).leases > 1) {
        double items = (double)newest_lease(table, victim, true)->range.count;
        if (items / likely_speed(table, victim) > short_s(table))
            return true;
    }
    return late_s > grain_s(table, victim);
}

/* The node to recall from for the sake of the hungriest; NULL if that would gain nothing. */
static struct node *choose_victim(const struct lease_table *table)
{
    const struct node *hungriest = heap_top(table, HUNGRIEST);
    struct node *latest = heap_top(table, LATEST), *earliest = heap_top(table, EARLIEST);

    if (latest && is_worth_it(table, latest, hungriest))
        return latest;
    return earliest && is_worth_it(table, earliest, hungriest) ? earliest : NULL;
}

static bool recall_one(struct lease_table *table)
{
    struct node *victim = choose_victim(table);
    if (!victim)
        return false;
    action_push(table, newest_lease(table, victim, true), STAGE_RECALLING);
    victim->recalls++;
    table->recalls++;
    note_change(table, victim);
    return true;
}

/* The last step of every event: the hungry get what is free, or what others can spare. */
static void settle(struct lease_table *table)
{
    struct node *hungriest;
    while (table->free_items && (hungriest = heap_top(table, HUNGRIEST)))
        grant(table, hungriest);
    while (table->recalls < table->heaps[HUNGRIEST].count && recall_one(table))
        continue;
}

/* Whoever is overdue is the most overdue: the earliest. A short time more, so that no rounding matters. */
double lease_look_again_s(const struct lease_table *table)
{
    const struct node *hungriest = heap_top(table, HUNGRIEST), *earliest = heap_top(table, EARLIEST);

    if (!hungriest || !earliest || earliest == hungriest || table->recalls >= table->heaps[HUNGRIEST].count)
        return INFINITY;
    return fmax(earliest->finish_s + grain_s(table, earliest), hungriest->finish_s) + short_s(table);
}

void lease_look_again(struct lease_table *table, double now)
{
    if (now < lease_look_again_s(table))
        return;
    tick(table, now);
    settle(table);
}

/* ---- Marks ---- */

/* A number for each index, as good as random. Summed over the ends of ranges less their beginnings, the
 * marks of ranges that tile [0, count) leave mark(count) - mark(0), and others as good as never do. */
static uint64_t mark(uint64_t index)
{
    uint64_t x = index + UINT64_C(0x632be59bd9b4e019);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ (x >> 29)) * UINT64_C(0xa0761d6478bd642f);
    return x ^ (x >> 32);
}

static uint64_t range_marks(struct range range)
{
    return mark(range.first + range.count) - mark(range.first);
}

/* ---- Public: thread token ---- */

static bool table_allocate(struct lease_table *table)
{
    table->nodes = calloc(table->node_count, sizeof *table->nodes);
    if (!table->nodes || !free_reserve(table, 1))
        return false;
    for (int i = 0; i < ORDER_COUNT; i++) {
        table->heaps[i].nodes = calloc(table->node_count, sizeof *table->heaps[i].nodes);
        if (!table->heaps[i].nodes)
            return false;
    }
    return true;
}

int lease_table_create(uint64_t count, unsigned node_count, const struct lease_limits *limits,
                       struct lease_table **table)
{
    if (node_count == 0)
        return error_set(MPM_EINVAL, "a lease table for 0 nodes: it must have at least 1");
    if (limits->max_items == 0 || limits->depth == 0 || !(limits->target_s > 0) || isinf(limits->target_s))
        return error_set(MPM_EINVAL,
                         "lease limits of %llu items, depth %u, %g s: each must be above 0, and finite",
                         (unsigned long long)limits->max_items, limits->depth, limits->target_s);

    struct lease_table *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(MPM_ENOMEM, "no memory for a lease table");
    made->count = count;
    made->limits = *limits;
    made->now = -INFINITY;
    made->node_count = made->expected = node_count;
    made->next_serial = 1;
    if (!table_allocate(made)) {
        lease_table_destroy(made);
        return error_set(MPM_ENOMEM, "no memory for a lease table of %u nodes", node_count);
    }
    if (count)
        put_back(made, (struct range){0, count});
    *table = made;
    return MPM_OK;
}

void lease_table_bound(struct lease_table *table, lease_fit *fit, void *argument)
{
    table->fit = fit;
    table->fit_argument = argument;
}

void lease_table_know_costs(struct lease_table *table, lease_cost *cost, const void *argument)
{
    double sum = 0;

    for (uint64_t item = 0; item < table->count; item++)
        sum += cost(argument, item);
    if (table->node_count == 1 || !(sum > 0) || isinf(sum))
        return;
    table->cost = cost;
    table->cost_argument = argument;
    table->whole_cost = sum;
}

void lease_table_destroy(struct lease_table *table)
{
    if (!table)
        return;
    for (unsigned i = 0; table->nodes && i < table->node_count; i++)
        free(table->nodes[i].leases);
    for (int i = 0; i < ORDER_COUNT; i++)
        free(table->heaps[i].nodes);
    free(table->nodes);
    free(table->free);
    free(table);
}

/* ---- Public: events ---- */

/* The node that speaks; NULL with the error said if it can't. */
static struct node *speaker(const struct lease_table *table, unsigned index, const char *what)
{
    struct node *node = index < table->node_count ? &table->nodes[index] : NULL;
    if (!node)
        error_set(MPM_EPROTOCOL, "node %u %s, but there are only %u nodes", index, what, table->node_count);
    else if (node->lost)
        error_set(MPM_EPROTOCOL, "node %u %s, but it is lost", index, what);
    else if (!node->leases)
        error_set(MPM_EPROTOCOL, "node %u %s, but it has not joined", index, what);
    else
        return node;
    return NULL;
}

/* The first leases are small. A second one waits until those who have none yet can have one; and where costs are known,
 * until the first is claimed, as what others get first costs more. */
static void grant_first(struct lease_table *table, struct node *node)
{
    unsigned most = table->cost ? 1 : unasked(table);

    if (!table->free_items)
        become_hungry(table, node);
    while (table->free_items && !table->is_draining && node->held < most &&
           (node->held == 0 || table->free_items > (uint64_t)node->slots * table->expected))
        grant(table, node);
}

int lease_node_joined(struct lease_table *table, unsigned index, unsigned slots, double now)
{
    struct node *node = index < table->node_count ? &table->nodes[index] : NULL;
    if (!node || slots == 0 || node->lost || node->leases)
        return error_set(MPM_EPROTOCOL, "node %u of %u joins with %u slots, but %s", index, table->node_count,
                         slots,
                         !node        ? "there is no such node"
                         : slots == 0 ? "a node has at least one"
                         : node->lost ? "it is lost"
                                      : "it has joined before");
    struct lease *leases = calloc(table->limits.depth, sizeof *leases);
    if (!leases)
        return error_set(MPM_ENOMEM, "no memory for the leases of node %u", index);

    tick(table, now);
    node->leases = leases;
    node->slots = slots;
    node->wire_s = INFINITY;
    node->since_s = node->finish_s = table->now;
    table->expected--;
    table->alive++;
    table->slots += slots;
    grant_first(table, node);
    settle(table);
    return MPM_OK;
}

int lease_asked(struct lease_table *table, unsigned index, double now)
{
    struct node *node = speaker(table, index, "asks for a lease");
    if (!node)
        return MPM_EPROTOCOL;
    tick(table, now);
    fill_up(table, node);
    settle(table);
    return MPM_OK;
}

/* What the node has yet to do: what it has not touched, and at worst a lease that it has begun. */
static void note_progress(struct lease_table *table, struct node *node)
{
    node->finish_s = table->now + (double)untouched(table, node).items / likely_speed(table, node);
    note_change(table, node);
}

int lease_claimed(struct lease_table *table, unsigned index, uint32_t number, double now)
{
    struct node *node = speaker(table, index, "has claimed a lease");
    if (!node)
        return MPM_EPROTOCOL;
    struct lease *lease = find_lease(table, node, number);
    if (!lease || lease->stage == STAGE_GRANTING)
        return error_set(MPM_EPROTOCOL, "node %u has claimed lease %u, but does not hold it", index, number);
    tick(table, now);
    lease->claimed = true;
    note_older_claimed(table, node, lease->serial);
    note_progress(table, node);
    fill_up(table, node);
    settle(table);
    return MPM_OK;
}

static void finish(struct lease_table *table, struct node *node, struct lease *lease)
{
    bool first_measure = table->measured_slots == 0;
    node->wire_s = fmin(node->wire_s, table->now - lease->granted_s);
    speed_measure(table, node, lease->range.count, table->now - fmax(lease->granted_s, node->since_s));
    table->done += lease->range.count;
    table->done_marks += range_marks(lease->range);
    drop_lease(table, lease);
    note_older_claimed(table, node, lease->serial);
    node->since_s = table->now;
    note_progress(table, node);
    if (first_measure && table->tail)
        guess_again(table);
}

int lease_done(struct lease_table *table, unsigned index, uint32_t number, double now)
{
    struct node *node = speaker(table, index, "is done with a lease");
    if (!node)
        return MPM_EPROTOCOL;
    struct lease *lease = find_lease(table, node, number);
    if (!lease || lease->stage == STAGE_GRANTING)
        return error_set(MPM_EPROTOCOL, "node %u is done with lease %u, but does not hold it", index, number);
    tick(table, now);
    finish(table, node, lease);
    fill_up(table, node);
    settle(table);
    return MPM_OK;
}

/* Cuts the lease down to what the node has claimed, or ends it. Such a node will be out of work soon. */
static void cut_lease(struct lease_table *table, struct node *node, struct lease *lease, uint64_t kept)
{
    struct range tail = {lease->range.first + kept, lease->range.count - kept};
    lease->range.count = kept;
    lease->claimed = true;
    node->items -= tail.count;
    node->recalls--;
    table->recalls--;
    lease->stage = STAGE_RUNNING;
    if (kept == 0)
        drop_lease(table, lease);
    else
        note_older_claimed(table, node, lease->serial);
    if (tail.count == 0)
        return;
    put_back(table, tail);
    node->finish_s = fmax(table->now, node->finish_s - (double)tail.count / likely_speed(table, node));
    if (node->held == 0 || (kept && node->held < table->limits.depth))
        become_hungry(table, node);
}

int lease_returned(struct lease_table *table, unsigned index, uint32_t number, uint64_t kept, double now)
{
    struct node *node = speaker(table, index, "returns a lease");
    if (!node)
        return MPM_EPROTOCOL;
    struct lease *lease = find_lease(table, node, number);
    if (!lease || lease->stage != STAGE_RECALLED)
        return error_set(MPM_EPROTOCOL, "node %u returns lease %u, which is not recalled from it", index,
                         number);
    if (kept > lease->range.count)
        return error_set(MPM_EPROTOCOL, "node %u keeps %llu items of lease %u, which has only %llu", index,
                         (unsigned long long)kept, number, (unsigned long long)lease->range.count);
    if (!free_reserve(table, 1))
        return error_set(MPM_ENOMEM, "no memory for what node %u returns", index);
    tick(table, now);
    cut_lease(table, node, lease, kept);
    note_change(table, node);
    settle(table);
    return MPM_OK;
}

static void take_everything_back(struct lease_table *table, struct node *node)
{
    for (unsigned i = 0; i < table->limits.depth; i++) {
        struct lease *lease = &node->leases[i];
        if (lease->stage == STAGE_ENDED)
            continue;
        put_back(table, lease->range);
        drop_lease(table, lease);
    }
    free(node->leases);
    node->leases = NULL;
    speed_withdraw(table, node);
    table->slots -= node->slots;
    table->alive--;
}

int lease_node_lost(struct lease_table *table, unsigned index, double now)
{
    struct node *node = index < table->node_count ? &table->nodes[index] : NULL;
    if (!node || node->lost)
        return error_set(MPM_EPROTOCOL, "node %u of %u is lost, but %s", index, table->node_count,
                         node ? "it was lost before" : "there is no such node");
    if (!free_reserve(table, node->held))
        return error_set(MPM_ENOMEM, "no memory for what lost node %u has held", index);
    tick(table, now);
    node->lost = true;
    if (node->leases)
        take_everything_back(table, node);
    else
        table->expected--;
    note_change(table, node);
    settle(table);
    return MPM_OK;
}

/* A grant that nobody has taken yet is free again; what a node holds it is asked for, unless it was asked before, or
 * has claimed all of it. */
static void withdraw_leases(struct lease_table *table, struct node *node)
{
    for (unsigned i = 0; node->leases && i < table->limits.depth; i++) {
        struct lease *lease = &node->leases[i];
        if (lease->stage == STAGE_GRANTING) {
            put_back(table, lease->range);
            drop_lease(table, lease);
        } else if (lease->stage == STAGE_RUNNING && !lease->claimed) {
            action_push(table, lease, STAGE_RECALLING);
            node->recalls++;
            table->recalls++;
        }
    }
}

int lease_drain(struct lease_table *table, double now)
{
    unsigned held = 0;

    for (unsigned i = 0; i < table->node_count; i++)
        held += table->nodes[i].held;
    if (!free_reserve(table, held))
        return error_set(MPM_ENOMEM, "no memory for what %u leases give back", held);
    tick(table, now);
    table->is_draining = true;
    for (unsigned i = 0; i < table->node_count; i++) {
        heap_keep(table, HUNGRIEST, i, false);
        withdraw_leases(table, &table->nodes[i]);
        if (table->nodes[i].leases)
            note_change(table, &table->nodes[i]);
    }
    return MPM_OK;
}

bool lease_next_action(struct lease_table *table, struct lease_action *action)
{
    struct lease *lease = table->oldest_action;
    if (!lease)
        return false;
    bool granting = lease->stage == STAGE_GRANTING;
    action_unlink(table, lease);
    lease->stage = granting ? STAGE_RUNNING : STAGE_RECALLED;
    *action = (struct lease_action){
        .kind = granting ? LEASE_GRANT : LEASE_RECALL,
        .node = lease->node,
        .lease = (uint32_t)lease->serial,
        .first = lease->range.first,
        .count = lease->range.count,
    };
    note_change(table, &table->nodes[lease->node]);
    return true;
}

/* ---- Public: looking ---- */

bool lease_all_done(const struct lease_table *table)
{
    return table->done == table->count;
}

uint64_t lease_items_done(const struct lease_table *table)
{
    return table->done;
}

void lease_node_look(const struct lease_table *table, unsigned index, struct lease_node_state *state)
{
    const struct node *node = &table->nodes[index];
    *state = (struct lease_node_state){
        .lost = node->lost,
        .slots = node->slots,
        .held = node->held,
        .items = node->items,
        .items_per_s = measured_speed(node),
    };
}

bool lease_is_drained(const struct lease_table *table)
{
    unsigned held = 0;

    for (unsigned i = 0; i < table->node_count; i++)
        held += table->nodes[i].held;
    return table->is_draining && held == 0;
}

/* What the leases of all nodes add up to. */
struct census {
    uint64_t items, marks, slots, measured_slots;
    unsigned alive, expected, recalls, actions;
};

static bool lease_is_sound(const struct lease *lease, unsigned node, struct census *census)
{
    bool waits = lease->stage == STAGE_GRANTING || lease->stage == STAGE_RECALLING;
    census->items += lease->range.count;
    census->marks += range_marks(lease->range);
    census->actions += waits;
    census->recalls += lease->stage == STAGE_RECALLING || lease->stage == STAGE_RECALLED;
    return lease->node == node && lease->range.count > 0;
}

static bool node_is_sound(const struct lease_table *table, const struct node *node, struct census *census)
{
    struct census before = *census;
    unsigned held = 0;

    if (!node->leases) {
        census->expected += !node->lost;
        return node->held == 0 && node->items == 0 && node->place[HUNGRIEST] == 0 && node->place[LATEST] == 0;
    }
    census->alive++;
    census->slots += node->slots;
    census->measured_slots += node->measured_s > 0 ? node->slots : 0;
    for (unsigned i = 0; i < table->limits.depth; i++) {
        if (node->leases[i].stage == STAGE_ENDED)
            continue;
        held++;
        if (!lease_is_sound(&node->leases[i], node_index(table, node), census))
            return false;
    }
    bool recallable = table->tail && node->recalls == 0 && newest_lease(table, node, true);
    return held == node->held && node->items == census->items - before.items && !node->lost &&
           node->recalls == census->recalls - before.recalls && (node->recalls <= 1 || table->is_draining) &&
           recallable == (node->place[LATEST] != 0) && recallable == (node->place[EARLIEST] != 0) &&
           (node->held > 0 || node->place[HUNGRIEST] || !table->tail || table->is_draining) &&
           (node->held < table->limits.depth || !node->place[HUNGRIEST]);
}

static bool heap_is_sound(const struct lease_table *table, enum order order)
{
    const struct heap *heap = &table->heaps[order];
    for (unsigned place = 1; place <= heap->count; place++) {
        unsigned node = heap->nodes[place - 1];
        if (table->nodes[node].place[order] != place)
            return false;
        if (place > 1 && goes_before(table, order, node, heap->nodes[place / 2 - 1]))
            return false;
    }
    return true;
}

static bool free_is_sound(const struct lease_table *table, struct census *census)
{
    uint64_t items = 0, ceiling = table->count;
    for (size_t i = 0; i < table->free_count; i++) {
        const struct range *range = &table->free[i];
        if (range->count == 0 || range->first > ceiling || range->count > ceiling - range->first ||
            (i > 0 && range->first + range->count == ceiling))
            return false;
        ceiling = range->first;
        items += range->count;
        census->marks += range_marks(*range);
    }
    census->items += items;
    return items == table->free_items;
}

bool lease_table_is_sound(const struct lease_table *table)
{
    struct census census = {.items = table->done, .marks = table->done_marks};
    unsigned actions = 0;

    for (unsigned i = 0; i < table->node_count; i++)
        if (!node_is_sound(table, &table->nodes[i], &census))
            return false;
    for (const struct lease *lease = table->oldest_action; lease; lease = lease->after)
        actions++;
    for (int i = 0; i < ORDER_COUNT; i++)
        if (!heap_is_sound(table, (enum order)i))
            return false;
    return free_is_sound(table, &census) && census.items == table->count &&
           census.marks == mark(table->count) - mark(0) && census.alive == table->alive &&
           census.expected == table->expected && census.slots == table->slots &&
           census.measured_slots == table->measured_slots && census.recalls == table->recalls &&
           census.actions == actions && (table->free_items == 0 || table->heaps[HUNGRIEST].count == 0);
}
