/* SPDX-License-Identifier: BSD-3-Clause */
/** @file reduce.h  Reductions: many items become one state, with the same bits whatever the workers and nodes. */
#ifndef MPMAP_REDUCE_H
#define MPMAP_REDUCE_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** Adds an item to a state, in a worker. A task as mpm_task is, with the state in place of the result.
 * @param call   the call, for mpm_fail(), mpm_call_index(), mpm_call_context() and the like
 * @param item   this item: `item_size` bytes, read only
 * @param state  `state_size` bytes, aligned to 64: what the items before it in its leaf have made of it
 * @return 0, or anything else if the item failed: see mpm_fail(). It must have left the state as it was then. */
typedef int mpm_accumulate(mpm_call *call, const void *item, void *state);

/** Adds a block of consecutive items to a state, for code that is faster with many at once. A block fails as a whole.
 * @param call   the call, for mpm_fail(), mpm_call_context() and the like; mpm_call_index() is that of the first item
 * @param items  `count` items of `item_size` bytes each, read only
 * @param count  how many: mpm_reduction.block, but for the last block of a leaf, which may be shorter
 * @param state  as for mpm_accumulate
 * @return 0, or anything else if the block failed. It must have left the state as it was then. */
typedef int mpm_accumulate_block(mpm_call *call, const void *items, size_t count, void *state);

/** Adds a state to another one, in the thread that reduces. It cannot fail, and must not crash: a program that does so
 * has ended. It may not call mpm_pool_close() or mpm_pool_terminate() of this pool, nor mpm_finalize().
 * @param state    of earlier items; out: of these and the later ones
 * @param later    of the items that follow them, read only
 * @param context  mpm_reduction.context */
typedef void mpm_combine(void *state, const void *later, const void *context);

/** Writes the state of no items at all. Called in workers, once a leaf, and for no items in the thread that reduces.
 * @param state    out: `state_size` bytes, which are 0, or mpm_reduction.initial, beforehand
 * @param context  the context, as mpm_call_context() has it */
typedef void mpm_init_state(void *state, const void *context);

/** Makes a result of the last state, where that stands. Called once, in the thread that reduces.
 * @param state    the state of all items; out: the result
 * @param context  mpm_reduction.context */
typedef void mpm_finalize_state(void *state, const void *context);

/** What a reduction does; zero is the default where one is named.
 *
 * The items are cut into leaves of `leaf` items each, from item 0 on; the last one may be shorter. In each leaf the
 * items are added in their order, from first to last, to a state of no items. Then states are combined in levels. Level
 * 0 has the states of the leaves. State i of a level is made of states 2 i and 2 i + 1 of the level below it, in that
 * order; where there is no 2 i + 1, it is state 2 i as it is. The last level has one state. So the number of items and
 * `leaf` alone say which operations are done on which operands: the result has the same bits whatever the workers,
 * nodes and machines (of one kind of processor and one build), whoever dies or is lost meanwhile, and however often.
 *
 * The state of no items must be neutral, as 0 is for a sum: each leaf begins with it. */
typedef struct mpm_reduction {
    mpm_accumulate *accumulate;             /**< adds one item; this one or the next, the other is NULL */
    mpm_accumulate_block *accumulate_block; /**< adds many */
    mpm_combine *combine;                   /**< adds a state to another one */
    mpm_init_state *init;                   /**< makes the state of no items; or NULL: `initial` is it */
    mpm_finalize_state *finalize;           /**< makes the result of the last state; or NULL: that is it */
    const void *
        initial; /**< `state_size` bytes, the state of no items; NULL: bytes of 0. It is copied to every node */
    size_t item_size; /**< bytes of an item; not for data sets, whose items are rows */
    size_t
        state_size; /**< bytes of a state, at most 256 MiB. Main takes some dozens of states a node at once */
    /** Items of a leaf, at most 67108864. 0: the least power of two that makes at most 4096 leaves of them all, but at
     * most 65536. A leaf should take some 10 µs or more, and much longer than to combine two states. */
    size_t leaf;
    size_t block;        /**< the most items in one call of `accumulate_block`; 0: 1024 */
    const void *context; /**< as in mpm_map_options */
    size_t context_size; /**< as in mpm_map_options */
    void (*progress)(const mpm_progress *now, void *argument); /**< as in mpm_map_options */
    void *progress_argument;                                   /**< handed to it */
    uint64_t
        max_failures; /**< when more items or blocks have failed, it ends with MPM_ECANCELED; 0: any number may */
    /** Out, or NULL: items that failed, or the first items of blocks that did, as in mpm_map_options. Where more than
     * some hundreds fail close together not all of them are in the list. */
    mpm_failure **failures;
    size_t *failure_count; /**< out, or NULL: how many are in the list */
} mpm_reduction;

/** Reduces `count` items to one state. An item that fails, by what `accumulate` returns, by a crash of its worker or by
 * a limit of the pool, after as many attempts as in a map, is left out, as if it were not in its leaf; the other items
 * stay in their leaves. A worker that dies costs the leaf that it was in, which is done again. For
 * mpm_pool_options.max_tasks_per_worker, and in statistics, a leaf is an item. Items that stand in memory of
 * mpm_alloc() are not copied on the caller's node. Blocks until all is done. The pool's driver only, any thread;
 * several at once are fine.
 * @param pool       the pool
 * @param reduction  what to do
 * @param items      `count` items of `item_size` bytes each
 * @param count      how many items; of none the result is the state of no items, finalized
 * @param state      out: `state_size` bytes
 * @return 0; MPM_ETASK if items failed: mpm_error() names the first and says how many; the state is that of the others;
 *         MPM_EINVAL for what cannot be; MPM_EWORKER also if workers die in a leaf, but in none of its items; else as
 *         mpm_pool_map(). The state is undefined but for 0 and MPM_ETASK. */
MPM_API MPM_CHECKED int mpm_pool_reduce(mpm_pool *pool, const mpm_reduction *reduction, const void *items,
                                        size_t count, void *state);

MPM_END

#endif
