/* SPDX-License-Identifier: BSD-3-Clause */
/* Mailboxes: single calls from a pool's driver to a worker of its own node, without a lease. They stand on the board.
 *
 * Who writes what, in which order, and what is true if the writer dies at each step:
 *
 * Main: (1) takes a mailbox by compare-and-swap, FREE to FILLING, (2) writes the request, clears the reply, and stores
 * WANTED, (3) sets the mailbox's bit in the board's `calls`, and rings for one worker, (4) waits for the reply, reads
 * it, and stores FREE. It takes a request back by compare-and-swap, WANTED to FILLING: nobody wants it any more, or a
 * worker of another node is to have it. If main dies, the run ends.
 *
 * Worker: (1) takes the bit of the oldest call that it sees out of `calls`, (2) takes the mailbox by compare-and-swap,
 * WANTED to TAKEN with its own number, and looks then whether the board is held (pool_registry.c): if so, it stores
 * WANTED and sets the bit again, (3) runs the task, (4) writes code, text and result, and stores the reply, which
 * commits, (5) rings. Whose bit is gone is not lost: whenever a worker has died, its fork server sets the bits of all
 * mailboxes that are WANTED.
 *
 * Fork server, when it has reaped a worker, for each mailbox that is TAKEN with its number: if it has no reply, and is
 * TAKEN so even after that was seen (else main has had the reply, and the mailbox is another call's by now), it counts
 * the attempt, unless the node pool had the worker killed for something else, and then answers that the worker has died
 * (if that was the last attempt, or the caller has given up), or stores WANTED again; in any case it rings. It says
 * first that it has counted this death (`counted`), so that its rank, which does it again if the fork server dies
 * anywhere in this, does not count it twice: an attempt in which the fork server died, too, may go uncounted.
 *
 * The states, and who makes each step:
 *
 *   FREE ----> FILLING <----> WANTED <----> TAKEN + worker ----> FREE
 *
 *   FREE -> FILLING           take_mailbox(): the driver
 *   FILLING -> WANTED         node_pool_make_call(), the same
 *   WANTED -> FILLING         take_back(), the same: nobody wants it any more, or another node's worker is to have it
 *   WANTED -> TAKEN           take_call(): the worker
 *   TAKEN -> WANTED           put_back(), the same: the board is held; settle_call(), in the fork server: it has died
 *   TAKEN -> FREE             free_mailbox(), the driver: there is a reply
 *   FILLING -> FREE           free_mailbox(): there is no room, or it was taken back
 *   WANTED, TAKEN -> FREE     free_mailbox(), without a reply: no worker is left, or the run is broken
 *
 * The reply goes from NO_REPLY to IS_DONE (answer of the worker) or HAS_DIED (settle_call()), while the mailbox is
 * TAKEN, and back in fill_mailbox().
 *
 * Request and reply have a line each, so a call moves three lines there and back with the one that is rung.
 * For pool/. */
#ifndef POOL_SHARED_MAILBOX_H
#define POOL_SHARED_MAILBOX_H

#include <stdatomic.h>
#include <stdint.h>

#include "node/function.h"
#include "pool/shared/failure_text.h"
#include "shm/eventcount.h"

#define BOARD_MAILBOXES 63u /* bits of a word, one of which is BOARD_HELD */
#define MAILBOX_TINY    32u
#define MAILBOX_ROOM    512u

enum mailbox_state {
    MAILBOX_FREE,
    MAILBOX_FILLING,
    MAILBOX_WANTED,
    MAILBOX_TAKEN /* + the worker's number */
};

enum mailbox_reply {
    MAILBOX_NO_REPLY,
    MAILBOX_IS_DONE, /* the task has returned `code` */
    MAILBOX_HAS_DIED /* its worker has: see `crash` */
};

struct mailbox {
    /* The request. */
    _Alignas(64) _Atomic uint64_t state;
    uint64_t task_id; /* of `task`, so that it need not be compared: unique in the run */
    uint32_t item_size, result_size;
    uint64_t block; /* offset of what neither fits into tiny nor into room: item, then result */
    _Alignas(32) char tiny_item[MAILBOX_TINY];
    /* The reply. */
    _Alignas(64) _Atomic uint32_t reply;
    int32_t code;
    struct eventcount answered;
    _Alignas(32) char tiny_result[MAILBOX_TINY];
    /* Seldom. */
    _Alignas(64) char item[MAILBOX_ROOM];
    char result[MAILBOX_ROOM];
    struct function task;
    _Atomic uint64_t ticket; /* main's: the lower the older the call; read where several are wanted */
    _Atomic uint64_t bytes_sent, bytes_received; /* main's: in all its calls */
    _Atomic uint32_t is_given_up;                /* main's: nobody waits for it any more */
    uint32_t attempts;   /* the fork server's, as is the next, and main's before WANTED */
    uint64_t counted;    /* the last death: its worker, and the generation above */
    int32_t wait_status; /* the fork server's, as is the next: of the last death */
    uint32_t limit;    /* the fork server's: enum item_limit, that its worker was killed for the last time */
    uint32_t is_alone; /* the fork server's, before WANTED, and main's: it is to run alone on the node */
    struct failure_text said; /* the worker's; main's when there is a reply: what mpm_fail() said */
};

/* Where the item and the result of a call stand; `arena` is where offsets count from. */
static inline char *mailbox_item(struct mailbox *mailbox, void *arena)
{
    if (mailbox->item_size <= MAILBOX_TINY)
        return mailbox->tiny_item;
    return mailbox->item_size <= MAILBOX_ROOM ? mailbox->item : (char *)arena + mailbox->block;
}

/* What of a block is the item's. */
static inline uint64_t mailbox_item_part(uint32_t item_size)
{
    return item_size <= MAILBOX_ROOM ? 0 : ((uint64_t)item_size + 63) / 64 * 64;
}

static inline char *mailbox_result(struct mailbox *mailbox, void *arena)
{
    if (mailbox->result_size <= MAILBOX_TINY)
        return mailbox->tiny_result;
    return mailbox->result_size <= MAILBOX_ROOM
               ? mailbox->result
               : (char *)arena + mailbox->block + mailbox_item_part(mailbox->item_size);
}

#endif
