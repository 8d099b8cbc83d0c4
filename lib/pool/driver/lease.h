/* SPDX-License-Identifier: BSD-3-Clause */
/* Which node gets which items of a map, and when they are taken back: decisions only.
 *
 * A pure state machine. Events go in by the calls below, actions come out of lease_next_action(). It has no
 * clock (events carry `now`, seconds that never run backwards), sends nothing and shares no memory, so that
 * a run, a simulator and a property test all drive this very code. One thread at a time.
 *
 * Invariant after every call: each index of [0, count) is in exactly one place: not granted yet, in one
 * lease of one node, or done.
 *
 * A lease (enum lease_stage in lease.c), and the function that makes each step:
 *
 *               grant()           lease_next_action()         recall_one(), lease_drain()
 *   free items --------> GRANTING ------------------> RUNNING ---------------------------> RECALLING
 *                                                        ^                                    |
 *                                                        | lease_returned()                   | lease_next_action()
 *                                                        '------------- RECALLED <------------'
 *
 *   RUNNING, RECALLING, RECALLED --> ended   lease_done(): its items are done
 *   RECALLED --> ended                       lease_returned() that keeps nothing: its items are free
 *   GRANTING --> ended                       lease_drain(): its items are free
 *   any --> ended                            lease_node_lost(): its items are free
 *
 * For pool/ and the simulator. */
#ifndef POOL_DRIVER_LEASE_H
#define POOL_DRIVER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lease_table;

struct lease_limits {
    uint64_t max_items; /* the most items in one lease (bytes bound it, said in items); > 0 */
    unsigned depth;     /* the most leases that a node holds at once; >= 2 lets it prefetch, and some more let
                         * it go on while the last items of old leases take long. Each costs memory a node */
    double target_s;    /* how long a lease should keep its node busy in the middle of a map */
};

enum lease_action_kind {
    LEASE_GRANT,  /* give the node items [first, first + count) as `lease` */
    LEASE_RECALL, /* ask the node to give back the untouched tail of `lease`: it answers lease_returned() */
};

struct lease_action {
    enum lease_action_kind kind;
    unsigned node;
    uint32_t lease; /* number of the lease, unique in the table while the lease lives and long after */
    uint64_t first;
    uint64_t count;
};

/* What a node is doing, for reports and tests. */
struct lease_node_state {
    bool lost;
    unsigned slots;
    unsigned held;      /* leases that it holds */
    uint64_t items;     /* items in them */
    double items_per_s; /* measured; 0 if not yet */
};

/* Makes a table for `count` items and room for `node_count` nodes, none of which has joined.
 * 0, or MPM_ENOMEM, or MPM_EINVAL. */
int lease_table_create(uint64_t count, unsigned node_count, const struct lease_limits *limits,
                       struct lease_table **table);
/* How many of the items [first, first + count) may be in one lease from `first` on. */
typedef uint64_t lease_fit(void *argument, uint64_t first, uint64_t count);
/* Bounds leases by more than their number of items; before any node joins. `fit` says at least 1, and must not call the
 * table. */
void lease_table_bound(struct lease_table *table, lease_fit *fit, void *argument);
/* What an item costs, in any unit. */
typedef double lease_cost(const void *argument, uint64_t item);
/* The items stand in the order of their costs, the most costly first; before any node joins. Leases are bounded by
 * them, so that no costly item waits at one node while another has cheaper ones. */
void lease_table_know_costs(struct lease_table *table, lease_cost *cost, const void *argument);
void lease_table_destroy(struct lease_table *table); /* NULL is fine */

/* Events. Those that can need memory return 0 or MPM_ENOMEM (nothing has changed then); an event that cannot
 * be (an unknown lease, a lease of another node, `kept` above its count, a lost node that speaks) returns
 * MPM_EPROTOCOL and changes nothing. */
int lease_node_joined(struct lease_table *table, unsigned node, unsigned slots, double now);
/* All items of the lease are claimed, by slots of the node that may work on them for long, and so are those of
 * older ones. Main tops up then, as after lease_done(): a node need not tell of leases that are done soon after,
 * but one that does not tell at all is out of work while the last items of its leases take long. */
int lease_claimed(struct lease_table *table, unsigned node, uint32_t lease, double now);
/* The node has nothing to do. It need not say so, since the table knows; but time may have passed, and this looks
 * anew whether a recall is worth it. */
int lease_asked(struct lease_table *table, unsigned node, double now);
/* All items of the lease (that were not returned) are done. Leases of a node may be done in any order, but it
 * should claim from the oldest first: older ones than one that is done count as claimed to the end. */
int lease_done(struct lease_table *table, unsigned node, uint32_t lease, double now);
/* The reply to a recall: the node keeps the first `kept` items, which are those that it has claimed; the rest
 * is not granted any more. If `kept` is 0 the lease has ended. A lease that was done while the recall travelled gets no
 * reply. */
int lease_returned(struct lease_table *table, unsigned node, uint32_t lease, uint64_t kept, double now);
/* The node is gone: what it had goes back. It may not join again. */
int lease_node_lost(struct lease_table *table, unsigned node, double now);

/* Nothing is granted any more: grants that nobody has taken are free again, and each node is asked for what it has not
 * begun of its leases. Events go on as before. Once. 0, or MPM_ENOMEM (nothing has changed then). */
int lease_drain(struct lease_table *table, double now);
/* It was drained, and no node holds anything any more: what is not done is free. */
bool lease_is_drained(const struct lease_table *table);

/* When a recall will be worth it that is not yet, if no event comes before: while items take very long there is none,
 * and a node may have nothing to do meanwhile. Then lease_look_again() sees to it; earlier it does nothing. INFINITY if
 * there will be none. */
double lease_look_again_s(const struct lease_table *table);
void lease_look_again(struct lease_table *table, double now);

/* The next thing to do, oldest first; false if there is nothing. */
bool lease_next_action(struct lease_table *table, struct lease_action *action);

/* Every item is done. */
bool lease_all_done(const struct lease_table *table);
/* Items done. */
uint64_t lease_items_done(const struct lease_table *table);
void lease_node_look(const struct lease_table *table, unsigned node, struct lease_node_state *state);

/* Checks the invariant at a cost of O(leases): for tests and the simulator. */
bool lease_table_is_sound(const struct lease_table *table);

#endif
