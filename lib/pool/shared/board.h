/* SPDX-License-Identifier: BSD-3-Clause */
/* The board: what a pool has in the arena of one node. Its workers claim chunks from the leases that are on
 * it; who holds the leases (main, or a process, at home, main's node agent elsewhere) publishes them, withdraws them
 * when all of their items have been claimed, and collects them when no worker is in them any more.
 *
 * Who writes what, in which order, and what is true if the writer dies at each step:
 *
 * Holder. Writes a lease block whole, raises `entry_end` above the entry that it takes, then stores its offset there
 * (release), then rings `work`: from then on workers may enter. A worker that reads an older end has not seen the ring,
 * and looks again. To withdraw it it stores 0 there. It collects when no worker record names the lease: a worker
 * stores the name first and then looks whether the entry still holds it, the node pool empties the entry first and
 * then looks at the names, both sequentially consistent, so one of them sees the other. If a node pool dies that is a
 * rank, the run ends; what becomes of a process's pool is told in pool_registry.c.
 *
 * Worker, for each chunk: (1) adds to `next` of the lease: the chunk is its own; for each item in it: (2) stores the
 * item's number in `item` of its record, (3) runs the task, which writes the result to its place, and if it failed
 * notes that, (4) sets the item's bit in its own `done` bits of the lease (release). Step 4 commits. No word that it
 * writes in (2) and (4) is written by anybody else, nor any line of those words, but that a lease of few items has its
 * bits in the line of `next`. If it dies before 4, at whatever instruction, also between 1 and 2, the item has no bit:
 * once the lease is quiet, what has no bit from any worker was lost with one, and is published again. So no claim has
 * to be recorded, and a claim is one fetch_add. Notes of failures are claimed by a fetch_add on `note_count`; a note
 * counts only if it is marked `ready` and its item's bit is set by the worker that wrote it; before items are published
 * again the node pool forgets the others, so that there is room for as many as items. Where a lease may have more
 * failures than notes, each worker has one in reserve for its first failure that finds none left. So the first item of
 * all that fails has its text: it is the first failure of its worker. What a long text takes beside its note:
 * failure_text.h.
 *
 * Pages, of results of any length. A worker (1) allocates a page, which is owned by the job's own number, (2) links it
 * to the last one that it has linked to the lease, (3) stores it as the last one (release), (4) writes results into it,
 * (5) stores a reference to each in the lease's results, before its bit. The node pool frees the pages with the lease.
 * If the worker dies between 1 and 3 the page is freed with the job, by its owner's number; later, with the lease.
 *
 * Leaves, of a reduction. An item of JOB_REDUCE is a leaf of many parts, and a worker's `item` says which part of which
 * leaf it is in: leaf * parts + part. The leaf is what has a bit: a worker that dies in a part leaves its whole leaf
 * undone, with a state that is half made, and whoever runs it again begins it from its initial state, so nothing of the
 * dead worker's is in the result. The crash is counted for the part; one that has used up its attempts is noted in the
 * leaf's record by the node pool, while the lease is quiet, and no worker runs it any more. Notes of parts that failed
 * by their own word count if the leaf's bit is set by the worker that wrote them, as those of items do.
 *
 * Fork server, when a worker has died: (1) if the record names a lease and an item without a bit, notes the crash in
 * the lease: claims an entry by a fetch_add on `crash_count`, and fills it in, `ready` last, (2) clears the name
 * (release), so that the lease can become quiet, (3) stores STARTING or GONE, and rings the doorbell, (4) forks another
 * worker for the same record, or stores ENDED in the process's, after which it does not touch the board any more. If it
 * dies anywhere in this, its rank does it all once more, and forks nothing: each step may be done twice. A crash of
 * that generation of the worker that is `ready` is not noted again, a claimed entry that is not counts for nothing.
 * Workers that died with their fork server are innocent. A board whose workers are all GONE is without workers: nothing
 * is ever claimed there again, so its node pool gives back what it holds. Only the node pool sets the processes'
 * records free, when it frees the board: so nobody takes one for another pool's.
 *
 * A lack. Where another worker for a record cannot be forked now, or was killed as it started, as for want of memory,
 * its fork server counts in `lacking_ns` how long that has been so since the last one that was ready (lack.h), stores
 * LACKING, and rings the doorbell, each time that it has tried (forkserver.c says when). The pool goes on with those that
 * there are. A fork server that finds all workers lacking or GONE, and the last of them so for `worker_timeout_s`,
 * stores `lack`: from then on nobody is forked for the board, and each fork server stores GONE for its own, so the
 * board is without workers. A record whose workers have never been ready does not wait: the pool cannot be opened. Who
 * closes stores `closing` first and then looks who is LACKING, the fork server stores LACKING first and then looks at
 * `closing`: so one of them sees the other, and the fork server is rung for, or says GONE by itself.
 *
 * Leaving. A worker that leaves a lease rings the doorbell, since its holder may wait for that to be quiet; of a short
 * map (`rings_last`; node_short.c) only the last one does. Its fork server rings for one that dies, and rings `work` as
 * well: the dead one may have been the only one that was woken.
 *
 * Watching. A worker that enters a lease, or a single call, moves `entered` on, so (entered, item) names a run of an
 * item once and for all. The node pool looks at it now and then, and writes nothing that the worker reads: an item
 * costs nothing more. How much memory a worker has the kernel tells. To kill a worker the node pool reads the
 * generation of its process, looks whether it still is in that run (a fork server that has reaped it clears `item`
 * before the generation goes on), writes `kill_order` (the generation last, one thread at a time), and asks the fork
 * server for the signal. The fork server blames the item only if it is the one that has passed a limit: a worker that
 * had gone on to another, or that was killed because its map ended, is innocent.
 * The state and the generation name a run of the initializer or finalizer in the same way: KILL_ORDER_IN_SETUP says
 * that it was late. Whoever has left that state meanwhile is innocent of any item.
 *
 * Refusing. A worker that cannot do a job because it lacks memory or descriptors to find the task or open the items
 * notes when that began, pauses, and ends in good order: what it lacks, another one may have, or may be there again.
 * Only where that goes on is the job lost. What it had claimed has no bits. What stands in the job of that are hints
 * only.
 *
 * Ending. A worker that has had as many items as it may have leaves its lease, and ends with state
 * WORKER_RETIRING. One whose initializer fails fills in its `start_note`, and names itself in `failed` if nobody is
 * named there; if it dies before that, it is one of those that die as they start, and the next one takes the note
 * back. The fork server that does not start another worker for a record because too many have died names it in `failed`
 * before it stores GONE. So whoever reads first that workers are GONE, and then that none is named, knows that they
 * have ended in good order, or with their fork server; and what the one that is named has left says why: it is not
 * started again.
 *
 * A worker's record (enum worker_state), and who makes each step:
 *
 *   STARTING ----> INITIALIZING ----> READY ----> RETIRING
 *      |                ^
 *      '---> LACKING ---'
 *
 *   STARTING, LACKING -> INITIALIZING   worker_main(): the worker, as the next two
 *   INITIALIZING -> READY               worker_main()
 *   READY -> RETIRING                   finalize()
 *   any -> STARTING, any -> GONE        worker_ended(), in the fork server or its rank: the worker has died
 *   STARTING -> LACKING                 worker_lacks(), the same: another one cannot be had now
 *   STARTING, LACKING -> GONE           worker_lacks(): it is not waited for any longer
 *   STARTING -> GONE                    the node pool, where there is no fork server to order it from (node_pool.c)
 *
 * The rounds of a lease, by its node pool:
 *
 *   published ----> withdrawn ----> quiet ----> done
 *       ^                             |
 *       '--------- next round --------'
 *
 *   made -> published       node_lease_put_on_board(): it has an entry, or waits for one, which leave_entry() gives it
 *   published -> withdrawn  node_lease_withdraw(), by node_lease_look(): all is claimed; by node_job_stop()
 *   withdrawn -> quiet      the workers leave it: node_lease_is_quiet()
 *   quiet -> published      end_round(): items have no bit, since a worker has died in them; only they are claimed
 *   quiet -> done           end_round(): LEASE_IS_DONE, or LEASE_IS_LOST
 *
 * For pool/. */
#ifndef POOL_SHARED_BOARD_H
#define POOL_SHARED_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/shared/failure_text.h"
#include "pool/shared/mailbox.h"
#include "pool/shared/job_spec.h"
#include "pool/shared/pool_spec.h"
#include "shm/arena.h"
#include "shm/eventcount.h"

#define BOARD_ENTRIES 32u
#define BOARD_HELD \
    (UINT64_C(1) << BOARD_MAILBOXES) /* in `calls`: workers begin nothing, for one of the node is alone */
#define NO_ITEM             UINT64_MAX
#define NO_CPU              UINT32_MAX
#define KILL_ORDER_IN_SETUP (UINT64_MAX - 1)    /* no item: its initializer or its finalizer was late */
#define LEASE_FROZEN        (UINT64_C(1) << 62) /* `next` of a lease that gives out nothing any more */
#define LEASE_MAX_TOLD      1024u /* failures of a batch that a lease lists; of more it has the number */
#define LEASE_MAX_NOTES     256u  /* notes of failures that a lease keeps the text of */
#define LEASE_MAX_CRASH     64u
#define LEASE_SHORT_LIST    64u
#define LEASE_FEW_ITEMS     64u
#define LEASE_FEW_WORKERS   6u
#define MAX_EARLY_DEATHS    3u /* workers that may die one after the other before they could start */

enum worker_state {
    WORKER_STARTING,
    WORKER_INITIALIZING,
    WORKER_READY,
    WORKER_RETIRING, /* it ends in good order */
    WORKER_LACKING,  /* it cannot be forked now, and its fork server tries again */
    WORKER_GONE,     /* and will not come back */
};

/* A worker that the node pool has had killed. */
struct kill_order {
    uint64_t entered,
        item;       /* the run of the item that is to be blamed; NO_ITEM: none is; or KILL_ORDER_IN_SETUP */
    uint32_t limit; /* enum item_limit: that it has passed */
    _Atomic uint64_t generation; /* of its process, and 1 more; 0: nobody is doomed */
};

/* How an item failed, or a whole job, or a worker's start: what mpm_fail() said. */
struct note {
    _Atomic uint32_t ready;
    uint32_t worker;
    uint64_t item; /* within the lease; of no meaning for others */
    int32_t code;  /* that the task returned; the status of the job's failure */
    struct failure_text said;
};

/* How a worker has ended in its finalizer. One that was killed by SIGKILL is not blamed: its pool was terminated, or its
 * node was out of memory. */
enum bad_end {
    BAD_END_NONE,
    BAD_END_LATE,    /* it was killed because that took too long */
    BAD_END_CRASHED, /* by another signal, or with an exit code */
};

struct worker_record {
    /* The worker's own line: written a hundred million times a second. */
    _Alignas(64) _Atomic uint64_t item; /* within the lease, or NO_ITEM */
    _Atomic uint64_t lease;             /* the lease that it is in: offset, or 0 */
    _Atomic uint64_t entered;           /* how often workers of this record have entered a lease */
    _Atomic uint32_t state;             /* enum worker_state */
    uint32_t early_deaths;              /* the fork server's: deaths in a row before it was ready */
    int32_t last_status;                /* the fork server's: of the last death, as waitpid gives it */
    uint32_t last_state;                /* the fork server's: in which state it died */
    uint32_t
        last_was_late; /* the fork server's: it was killed in an initializer or finalizer that was late */
    _Atomic uint32_t bad_end; /* the fork server's: enum bad_end, of the first of its workers that has one */
    _Atomic uint64_t busy_ns; /* time in leases, without this one; the fork server adds that of a dead one */
    _Atomic uint64_t busy_since_ns; /* when it entered its lease; 0: it is in none */
    /* Another line: processors fetch lines in pairs. */
    _Alignas(
        64) uint32_t process; /* the node pool's: number of its process record, and 1 more; 0: none was had */
    struct kill_order kill_order; /* the node pool's; the fork server clears it */
    _Atomic uint32_t
        waits_for_node; /* the worker's: it is in a lease or a call, but runs nothing until it has the node */
    uint32_t memory_at_start; /* the worker's: pages of its own as it was ready */
    _Atomic uint32_t
        cpu;            /* the worker's: where it looks on, or works after that; NO_CPU: it sleeps. A hint */
    uint32_t was_ready; /* the worker's: workers of this record have begun their work */
    _Atomic uint64_t
        lacking_ns; /* the fork server's, while none can be had; the worker's, as it is ready: 0 */
    uint64_t lacking_looked_ns; /* the fork server's: when it has counted that last */
    _Atomic uint64_t linking;   /* the worker's, and the fork server's when it has died: see failure_text.h */
    /* The worker's; the fork server clears it: the item that a batch makes ready, and 1 more, before it begins it, such
     * as by reading it; 0: none. No limit counts, but a death is its. */
    _Atomic uint64_t made_ready;
    /* The worker's; the fork server clears it: `item` is the first of several that one call of a task has. It is set
     * before that item is stored. Who dies then is blamed on none; the items are listed for another round, in which
     * they come one by one, so each death is blamed on one there. */
    _Atomic uint32_t in_block;
    struct note start_note; /* the worker's: why its initializer failed */
};

struct board {
    struct pool_spec spec; /* constant, as are the next two */
    uint64_t argument;     /* offset of the initializer's argument, or 0 */
    uint32_t owner;  /* by which the pool owns its memory in the arena, this too; constant, as is the next */
    uint32_t driver; /* number of the process that holds the leases */
    _Atomic uint64_t next; /* the pool registry's: offset of another board, or 0 */
    bool is_orphan;        /* its driver is dead: the pool registry's */
    uint32_t worker_count;
    /* The node pool's: workers from here on look on before they sleep. See short_plan.h. */
    _Atomic uint32_t first_looker;
    _Atomic uint32_t driver_cpu; /* the node pool's: where the last short map was published; a hint */
    _Atomic uint32_t closing;
    _Atomic uint32_t failed; /* a worker that cannot be had, which must be told, and 1 more; or 0 */
    _Atomic int32_t lack;    /* fork servers': the errno for which no worker can be forked any more; or 0 */
    uint64_t doorbell;       /* offset of the eventcount of who holds the leases */
    _Alignas(64) _Atomic uint64_t
        last_place; /* the node pool's: of a lease in line. Workers do not look at it */
    /* What is rung, and the entries that whoever is rung looks at first, are in one line: it crosses once. */
    _Alignas(64) struct eventcount work;   /* rung when there is something to do, and at the end */
    _Atomic uint32_t entry_end;            /* the node pool's: no entry from here on has a lease */
    _Atomic uint64_t calls;                /* mailboxes that may be wanted; BOARD_HELD */
    _Atomic uint64_t entry[BOARD_ENTRIES]; /* leases, by offset */
    struct mailbox mailbox[BOARD_MAILBOXES];
    struct worker_record worker[];
};

/* One map, on one node. It outlives its leases. */
struct job_block {
    struct job_spec spec;
    /* The first worker that finds that the job cannot be done claims the note by an exchange on `is_lost`,
     * and then fills it in. If it dies before the note is ready, the job is lost all the same. */
    _Atomic uint32_t is_lost;
    _Atomic uint32_t refusals;
    _Atomic uint64_t refused_since_ns,
        refused_ns;             /* workers': when they began to refuse the job, and did so last; or 0 */
    uint32_t blob_owner;        /* of the pages of JOB_BLOBS; 0 for others */
    uint64_t text_room;         /* bytes that long texts of its failures may have */
    _Atomic uint64_t text_used; /* workers': that they have had, or have wanted */
    /* Workers': how long the longest claim has taken. Of two that find a longer one at the same time either may
     * stay. */
    _Atomic uint64_t longest_claim_ns;
    struct note loss;
    _Alignas(64) char context[];
};

struct crash {
    uint64_t item;
    int32_t wait_status;
    uint32_t limit; /* enum item_limit: that it was killed for */
    uint32_t worker, generation;
    _Atomic uint32_t ready;
};

/* A leaf of a reduction: the worker that runs it writes `failed`, before its bit; the node pool the rest, while the
 * lease is quiet. In the lease it has leaf_record_size() bytes. */
struct leaf_record {
    uint64_t failed;  /* parts of it, by what their task has returned */
    uint64_t skipped; /* parts that have used up their attempts */
    uint64_t skip[];  /* a bit a part: those */
};

static inline uint64_t leaf_record_size(uint64_t parts)
{
    return (sizeof(struct leaf_record) + (parts + 63) / 64 * 8 + 63) / 64 * 64;
}

struct lease_block {
    _Alignas(64) _Atomic uint64_t next; /* the claim counter */
    _Atomic uint64_t
        serial; /* the lower the earlier it is to be served: see node_lease.c. Constant, as is the rest
                                up to what is written seldom, but for the next, while it is published */
    /* `done`, a word a worker, where both are few, and claimed one by one: it crosses with the counter. */
    _Atomic uint64_t few_done[LEASE_FEW_WORKERS];
    _Alignas(64) uint64_t job; /* offset of its job_block */
    uint64_t first;            /* index in the map of the lease's item 0 */
    uint64_t size;             /* items when it was made: how long the arrays are */
    uint64_t count;            /* items to claim: positions in `order`, or items if there is none */
    uint64_t order;            /* offset of uint32_t a position, or 0 */
    uint64_t items, results;   /* offsets */
    uint64_t done, failed;     /* offsets of `words` uint64_t for each worker */
    uint64_t words;
    uint64_t parts;        /* of an item: what a worker record's `item` counts */
    uint64_t leaf_records; /* offset of a leaf_record an item; of JOB_REDUCE only */
    uint64_t
        pages; /* offset of an offset for each worker: of the last page that it has published; of JOB_BLOBS only */
    uint32_t chunk;    /* overrides the job's if not 0 */
    uint32_t is_alone; /* each of its items is run while no other worker of the node runs any */
    uint32_t worker_count;
    uint32_t is_in_line; /* it is the first of a job that single calls must not pass */
    uint32_t rings_last; /* the doorbell is rung by the last worker that leaves it, not by each */
    /* Written seldom. */
    _Alignas(64) _Atomic uint32_t note_count; /* claimed, also above the maximum */
    _Atomic uint32_t crash_count;             /* claimed, also above the maximum */
    uint64_t notes; /* offset of `note_room` notes, then of `note_reserve`, one a worker */
    uint32_t note_room, note_reserve;
    uint32_t short_list[LEASE_SHORT_LIST]; /* an order for which there was no room elsewhere */
    struct crash crash[LEASE_MAX_CRASH];
};

/* The done or failed bits of one worker. */
static inline _Atomic uint64_t *lease_bits(struct arena *arena, const struct lease_block *lease,
                                           uint64_t array, uint32_t worker)
{
    return (_Atomic uint64_t *)arena_at(arena, array) + worker * lease->words;
}

static inline bool lease_bit(const _Atomic uint64_t *bits, uint64_t item)
{
    /* Pairs with set_done() and lease_set_bit(). */
    return atomic_load_explicit(&bits[item / 64], memory_order_acquire) >> item % 64 & 1;
}

static inline struct leaf_record *lease_leaf(struct arena *arena, const struct lease_block *lease,
                                             uint64_t leaf)
{
    return (struct leaf_record *)((char *)arena_at(arena, lease->leaf_records) +
                                  leaf * leaf_record_size(lease->parts));
}

/* Sets a bit in words that nobody else writes. */
static inline void lease_set_bit(_Atomic uint64_t *bits, uint64_t item)
{
    _Atomic uint64_t *word = &bits[item / 64];

    /* Pairs with lease_bit(). */
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) | UINT64_C(1) << item % 64,
                          memory_order_release);
}

#endif
