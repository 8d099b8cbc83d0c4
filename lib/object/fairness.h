/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns at the sides of an object: getting messages is a side, and putting them is one.
 *
 * Processes of the object's home are faster than any call of another node. While such calls wait at a side,
 * FAIRNESS_BYPASSES messages may go past the oldest one. Then what there is is that call's, and whoever of the home
 * may wait stands back, as if there was nothing, until the courier has done the call, or none waits any more.
 * Who may not wait goes past and is counted, because it must not be told that there is nothing. Calls that wait
 * at one side stand in a row, and one that comes then stands behind them. So the n-th of them is done after
 * n * FAIRNESS_BYPASSES messages of processes that may wait.
 *
 * Who writes what: `turn` of a side is one word. Its upper half is how many calls of other nodes wait, which
 * the courier changes by one atomic operation, without a lock that others might be faster at. Its lower half
 * is how many messages have gone past them since one of them was done, FAIRNESS_BYPASSES at most; it is written
 * under the lock of the side, atomically, too: added to by who has gone past, after its commit, and set to 0 by
 * the courier that has done a call. Whoever ends a turn sees that in the word as it was, and wakes those who
 * stood back. A process that dies before it has counted itself has gone past for nothing; the courier does not
 * die before the run. The word stays with the object record, because a call may wait a little longer than its object
 * is there. For object/ and the layers above it. */
#ifndef OBJECT_FAIRNESS_H
#define OBJECT_FAIRNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "object/object.h"

#define FAIRNESS_BYPASSES 64u

/* What somebody does at a side when there is something to be done there. */
enum turn {
    FAIRNESS_STANDS_BACK, /* may wait, at home: leaves it to a call of another node if it is that one's turn */
    FAIRNESS_PASSES,      /* may not wait, or no longer */
    FAIRNESS_IS_OWN,      /* the oldest call of another node that waits */
    FAIRNESS_IS_BEHIND,   /* a call of another node that finds others waiting: leaves it to them */
};

/* Whether calls of other nodes wait at a side: if not, there is nothing to be done about turns. */
static inline bool fairness_is_needed(const struct object *object, unsigned side)
{
    return __builtin_expect(
        atomic_load_explicit(&object->turn[side], memory_order_relaxed) >= FAIRNESS_ONE_WAITING, 0);
}

/* Whether it is the turn of a call of another node. */
static inline bool fairness_is_remote(const struct object *object, unsigned side)
{
    uint64_t word = atomic_load_explicit(&object->turn[side], memory_order_relaxed);

    return __builtin_expect(word >= FAIRNESS_ONE_WAITING, 0) && (uint32_t)word >= FAIRNESS_BYPASSES;
}

/* Calls wait at a side: whether this one is to leave what there is to them. Under its lock. */
bool fairness_stands_back(const struct object *object, unsigned side, enum turn turn);
/* Calls wait at a side, and so many messages were got, or put, there: under its lock. Whether others have stood
 * back until now: they are to be woken after the unlock. */
bool fairness_took(struct object *object, unsigned side, enum turn turn, uint64_t messages);
/* After the unlock: wakes who sleeps on a wait of the object if a turn has ended, and has the courier come at once
 * if the caller stands back for it. */
void fairness_tell(struct object *object, unsigned wait, bool turn_ends, bool stands_back);

/* One call more or less, by `change`, waits at a side: in the courier. It is the object record that counts, as in
 * object_note_waiting(). */
void fairness_note_waiting(const mpm_handle *handle, unsigned side, int change);

#endif
