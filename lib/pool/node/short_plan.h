/* SPDX-License-Identifier: BSD-3-Clause */
/* Who looks on for a short map, and for how long: decisions only, from what the last maps of the pool have taught. No
 * clock and no memory shared: node_short.c and a test drive this very code.
 *
 * To wake a sleeper costs microseconds, and tens of them if it is to run on another CPU of a virtual machine, so nobody
 * sleeps who is needed again soon. But a CPU has room for one that looks on. There are as many CPUs as workers,
 * mostly, and the driver comes on top. So a pool is
 *
 *   NARROW  its maps are done by fewer workers than there are CPUs. The driver has a CPU, and looks on there; one
 *           worker sleeps.
 *   WIDE    a map wants them all, but not for so long that a wake-up costs little beside it. All workers look on. The
 *           driver looks on, too, but lets others run before each look, and is let to run by a worker of its CPU that
 *           has nothing to do: neither costs a wake-up.
 *
 *   NARROW --a map that is worth all CPUs--> WIDE --SHORT_KEEP_WIDE maps that are not--> NARROW
 *
 * The driver lets others run in a NARROW pool, too, if whoever should look on runs on its own CPU: the kernel sees two
 * that want to run, and moves one of them. In a WIDE pool without a worker on its CPU two of them share another one:
 * then it sleeps, and the kernel sees a CPU that is free.
 *
 * It looks on as long as the map should take, and a little longer. If the end has not come by then, somebody has no
 * CPU, and most likely a stranger has it: then the driver sleeps at once, as who is woken may run before a
 * stranger's time is over, while a CPU that was given away comes back after that. It does so for some maps, and more
 * of them each time that it was wrong again. Only many looks that were right in a row make them fewer.
 *
 * All of it is a guess, and costs time only where it is wrong; who wakes whom then is said in node_short.c. Fields are
 * atomic because several threads may run maps of one pool; of two that write one either may stay.
 * For pool/node/. */
#ifndef POOL_NODE_SHORT_PLAN_H
#define POOL_NODE_SHORT_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SHORT_TASKS     8u
#define SHORT_WORTH_NS  8000u  /* what takes longer is worth another worker */
#define SHORT_MARGIN_NS 10000u /* how much longer than it should take the driver looks on */
#define SHORT_MOST_NS \
    200000u /* for what takes longer than that it does not: a wake-up costs little beside it */
#define SHORT_KEEP_WIDE 8u
#define SHORT_WIRE_NS \
    200000u /* what takes a map over nodes longer than one at home: a message there and back, with wake-ups */
#define SHORT_MAKES_ROOM \
    256u /* maps for which the driver sleeps so that the kernel sees a CPU that is free; */
#define SHORT_CROWDING 4096u /* of so many that begin alike, as the kernel may have other work for it */
#define SHORT_ASIDE \
    1u /* maps for which it does not look on after the first miss; twice as many after the next */
#define SHORT_MOST_LEVEL 10u
#define SHORT_HITS       64u /* in a row, that make them half as many again */

/* What is known of a task: what its last two maps of so many items took all workers together. */
struct short_task {
    _Atomic uint64_t name; /* of the task, and the number of items; 0: none */
    _Atomic uint64_t work_ns, before_ns;
};

/* All 0 at first. */
struct short_past {
    struct short_task task[SHORT_TASKS];
    _Atomic uint32_t wide; /* maps until it is NARROW again */
    _Atomic uint32_t
        crowding;           /* maps in a row with workers that share a CPU, and the driver on another one */
    _Atomic uint32_t aside; /* maps that are left for which the driver does not look on */
    _Atomic uint32_t level; /* how often they have doubled */
    _Atomic uint32_t hits;  /* looks in a row that saw the end */
};

/* What there is as a map begins. */
struct short_scene {
    uint64_t task_id, count;
    uint32_t cpus, workers;
    uint32_t lookers; /* workers that look on; */
    uint32_t beside;  /* and those of them that run on the driver's CPU */
};

struct short_plan {
    uint32_t wakes;        /* so many of those who sleep */
    uint32_t first_looker; /* workers from here on look on before they sleep */
    uint64_t wait_ns;      /* after so long whoever sleeps is woken, if there is something to claim */
    uint64_t look_ns;      /* how long the driver looks on; 0: it sleeps at once */
    bool yields;           /* it lets others run meanwhile */
};

struct short_plan short_plan_make(struct short_past *past, const struct short_scene *scene);
/* Whether a map is done by the workers of its own node, though there are so many elsewhere: if each item has one here,
 * or if it is known, and others would save less time than messages take. */
bool short_plan_stays(struct short_past *past, const struct short_scene *scene, uint32_t elsewhere);
/* Whether the end came while the driver looked on. */
void short_plan_learn_look(struct short_past *past, bool is_seen);
/* What the map took all workers together. */
void short_plan_learn_work(struct short_past *past, uint64_t task_id, uint64_t count, uint64_t work_ns);

#endif
