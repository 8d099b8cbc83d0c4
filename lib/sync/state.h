/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a lock, semaphore, condition, event or barrier, and how it is changed: in two copies, one of
 * which is true.
 *
 * A step is a function of a state, its waiters, the caller and what it asks for; it knows nothing of
 * processes that die, of memory that is shared, or of other nodes. It is run on the copy that is not true,
 * under the object record's mutex, and its change is committed by one store: see state.c. For sync/ only. */
#ifndef SYNC_STATE_H
#define SYNC_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "mpmap/handle.h"

#include "object/object.h"
#include "object/thread_ref.h"

/* What one copy says; which fields a kind uses, and for what, stands in its file. */
struct state {
    struct thread_ref owner; /* who has the lock; `number` 0: nobody */
    uint64_t table; /* block in the arena where the waiters stand; 0: in the object record, behind the copy */
    uint32_t room;  /* waiters that there is room for */
    uint32_t count; /* waiters */
    uint32_t
        side; /* which of the object record's two owner numbers the table has: goes on with every new table */
    uint32_t flags;
    uint32_t value;    /* permits, parties, whether it is set */
    uint32_t limit;    /* constant: the most permits */
    uint32_t depth;    /* how often the owner has it */
    uint32_t turn;     /* acquisitions past the oldest waiter; of an event how often it was set */
    uint64_t argument; /* block in the arena, constant: what a barrier's action is */
    mpm_handle lock; /* constant: of a condition its lock, of a lock the object that it belongs to, or none */
};

/* A thread that waits, or has something to be told. */
struct waiter {
    struct thread_ref thread_ref;
    uint32_t what;
    uint32_t value;
};

/* What somebody asks for, and what it is told. */
struct state_request {
    struct thread_ref caller;
    mpm_handle lock;
    uint64_t number;
    uint32_t may_wait; /* it will come again if it must wait */
    uint32_t reserved;
};

struct state_reply {
    uint64_t number;
    struct thread_ref died; /* of MPM_EOWNERDIED: who had the lock */
    /* From a step only, who takes them further: malloc'ed, the receiver's; NULL: none. */
    void *bytes;
    size_t size;
};
#define STATE_REPLY_SIZE offsetof(struct state_reply, bytes)

/* The copy that a step may change, and what it says of that. */
struct draft {
    struct state *state;
    struct waiter *waiters; /* the oldest first */
    const struct thread_ref *caller;
    bool is_changed; /* commit it */
    bool tells;      /* somebody who waits may go on now */
};

/* 0, a status with its sentence (which may be a change all the same), CALL_MUST_WAIT, or STATE_NEEDS_ROOM.
 * `request` may be changed for the next try at home. */
typedef int state_step(struct draft *draft, struct state_request *request, struct state_reply *reply);

/* Of a step whose state_add() gave NULL: it is run again with room for a waiter more. */
#define STATE_NEEDS_ROOM 2

/* Among the flags: the object is at its end. Kinds have the lower bits. */
#define STATE_ENDED 0x80000000u
/* And: it is a lock or a semaphore that may have a quick way (quick.h). */
#define STATE_MAY_BE_QUICK 0x40000000u

/* Makes the state of a reserved object record: what its kind wants in it. A block `argument` is the caller's own
 * before, and the object's then. */
void state_create(struct object *object, const struct state *initial);

/* Runs a step, and tells those who wait. `commit`: out, if the step was run, the state's number of commits;
 * or NULL. What the step gives; MPM_ESTALE, MPM_ENOMEM. */
int state_apply(struct object *object, const mpm_handle *handle, state_step *step,
                struct state_request *request, struct state_reply *reply, uint64_t *commit);

/* Ends the object, frees what hangs from it, and wakes who waits. `last`: out, what its state was; or NULL.
 * MPM_ESTALE. */
int state_destroy(struct object *object, const mpm_handle *handle, struct state *last);

/* What a look without the lock sees: a number that is another one after each commit, with STATE_HAS_VALUE among
 * its bits if `value` is not 0. It may mean another object. */
#define STATE_HAS_VALUE UINT64_C(2)
uint64_t state_commit(const struct object *object);
const mpm_handle *state_lock(const struct object *object);

/* For steps. The caller's waiter or NULL; adds the caller as the youngest waiter (NULL: no room); removes. */
struct waiter *state_find(const struct draft *draft);
struct waiter *state_add(struct draft *draft, uint32_t what, uint32_t value);
void state_remove(struct draft *draft, struct waiter *waiter);

/* Marks a dead process of another node: the `marks` of kinds. */
void state_mark_dead(struct object *object, const struct thread_ref_death *death);

#endif
