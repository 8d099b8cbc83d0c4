/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects: what handles name. An object lives in an object record of its home's arena.
 *
 * Object records are all of one size, and object record memory is never used for anything else, so whoever has a
 * handle, however old, may lock the object record and look whether its object is still the one that is meant. What does
 * not fit into an object record hangs from it, and is looked at under the object record's lock only, or freed when
 * nobody can use it any more.
 *
 * Who writes what: an object record's `identity` is FREE, or the number of the process that is making an object there,
 * or kind, home and generation of the object. Making one takes the object record by compare-and-swap (if the maker
 * dies, its reaper sets it free), fills it in, and stores the identity (release), which commits. Destroying
 * stores FREE under the object record's locks, and then frees what hung there. A object record whose generations are
 * used up, after 2^32 - 1 objects, stays reserved by a number that no process has.
 *
 * Blocks of the arena that hang from an object record are owned by the object record's own numbers (object_owner), and
 * `unclean` is set before the first one is there without an object, or stays when the object ends: by who makes and by
 * who destroys, who takes it back when all is in its place. If one of them dies in between, whoever reserves
 * the object record next waits for its locks, and frees what still has the numbers.
 *
 * The identity, and who makes each step:
 *
 *   FREE ----> RESERVED by a process ----> an object ----> FREE
 *
 *   FREE -> RESERVED        object_reserve()
 *   RESERVED -> an object   object_commit()
 *   RESERVED -> FREE        object_cancel(); object_free_reserved(), if the process has died
 *   RESERVED -> retired     is_used_up(), in object_reserve(): for ever
 *   an object -> FREE       object_end()
 *
 * `unclean`: 0 --> 1 object_set_unclean(); 1 --> 0 object_set_clean(), by who was at work or by clean(), in
 * object_reserve(). For object/ and the layers above it.
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mpmap/handle.h"

#include "net/topology.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "shm/robust_mutex.h"
#include "shm/eventcount.h"

enum object_kind {
    OBJECT_NONE,
    OBJECT_NODE, /* a node itself: calls on it need no object record */
    OBJECT_PROCESS,
    OBJECT_VALUE,
    OBJECT_ARRAY,
    OBJECT_QUEUE,
    OBJECT_LOCK,
    OBJECT_SEMAPHORE,
    OBJECT_CONDITION,
    OBJECT_EVENT,
    OBJECT_BARRIER,
    OBJECT_PIPE,
    OBJECT_BYTES,
    OBJECT_RESULT, /* of a pool: memory of one process, with handles that are good there only */
};

#define OBJECT_BODY_SIZE 448
#define OBJECT_OWNERS    4u

/* What processes of the node wait on for something of an object. It stays with the object record, like its locks,
 * since who waits may do so a little longer than the object is there. Who waits sets `wanted` before it looks
 * for the last time, and sleeps on `word` then. Who has made a change takes `wanted` back, and rings the
 * word; if it dies before, its reaper rings. */
struct object_wait {
    struct eventcount word;
    _Atomic uint32_t wanted;    /* 1 if somebody may wait */
    _Atomic uint32_t spin_hint; /* of those who wait, for those who will: see spin.h */
};

#define OBJECT_WAITS 3

#define OBJECT_SIDES 4 /* at which its users exclude each other: the kind's own */
#define FAIRNESS_ONE_WAITING \
    (UINT64_C(1) << 32) /* in `turn` of a side: a caller of another node that waits. See object/fairness.h */

#define OBJECT_NOT_DELEGATED_AGAIN (UINT64_C(1) << 63) /* in `delegated`: the object is about to end */

/* A object record. `body` is the kind's own: see the file of the kind. */
struct object {
    _Atomic uint64_t identity;
    uint32_t place;      /* the object record's number: constant */
    uint32_t generation; /* of the last object here; its maker's */
    /* How many wait for this object on the node's doorbell: calls from other nodes, which the courier counts, and
     * mpm_wait_any. Whoever changes the object looks here after the change, and rings the doorbell if it is not
     * 0. One that is killed while it waits leaves it too high: that costs rings, and nothing else. */
    _Atomic uint32_t remote_waiting;
    _Atomic uint32_t unclean; /* blocks of the object record may be there though no object has them */
    struct object_wait wait[OBJECT_WAITS]; /* the kind's own */
    /* Nodes that may have a delegation for it, by their numbers: the courier's. See object/post.h. */
    _Atomic uint64_t delegated;
    _Atomic uint64_t turn[OBJECT_SIDES]; /* of callers of other nodes */
    /* Of a lock or a semaphore that nobody waits for, and of an event: see sync/quick.h and sync/event.c. 0 in all other
     * object records. */
    _Atomic uint64_t quick;
    uint32_t quick_most; /* of a semaphore: constant */
    _Alignas(64) struct robust_mutex mutex;
    _Alignas(64) struct robust_mutex second_mutex; /* for kinds that need two; taken after `mutex` */
    _Alignas(64) char body[OBJECT_BODY_SIZE];
};

/* Makes the table of object records in a new arena. By the leader, once. MPM_ENOMEM. */
int object_table_create(struct arena *arena);

/* Takes an object record at this node, with a zeroed body. MPM_ENOMEM. The object is nobody's to see until
 * object_commit. */
int object_reserve(struct object **object);
/* Makes it an object of this kind; its handle. */
mpm_handle object_commit(struct object *object, enum object_kind kind);
/* The handle that object_commit() is going to give. */
mpm_handle object_next_handle(const struct object *object, enum object_kind kind);
/* Takes a reserved object record back. */
void object_cancel(struct object *object);

/* The highest byte of a handle's `place` is the kind's own, who takes it away before it looks for the object;
 * the number of the object record stands below. */
#define OBJECT_PLACE_BITS 56

static inline uint64_t object_place(const mpm_handle *handle)
{
    return handle->place & ((UINT64_C(1) << OBJECT_PLACE_BITS) - 1);
}

/* By which an object record says which object stands there: all of the handle but the place, in one word. */
static inline uint64_t object_identity(const mpm_handle *handle)
{
    uint64_t identity;

    _Static_assert(offsetof(mpm_handle, place) == sizeof identity, "kind, home and generation are a word");
    memcpy(&identity, handle, sizeof identity);
    return identity;
}

/* The kind of the object that stands in an object record now; another number if there is none. */
static inline enum object_kind object_kind_in(const struct object *object)
{
    /* Pairs with object_commit(). */
    uint64_t identity = atomic_load_explicit(&object->identity, memory_order_acquire);
    mpm_handle handle;

    memcpy(&handle, &identity, sizeof identity);
    return (enum object_kind)handle.kind;
}

/* Whether both name the same object. */
static inline bool object_is_same(const mpm_handle *one, const mpm_handle *other)
{
    return object_identity(one) == object_identity(other) && one->place == other->place;
}

/* Whether the object is still there. */
static inline bool object_is(const struct object *object, const mpm_handle *handle)
{
    /* Pairs with object_commit(). */
    return atomic_load_explicit(&object->identity, memory_order_acquire) == object_identity(handle);
}

/* Object records that this process has found lately, by the last digits of their places: hints, as an object record
 * knows its own place. Object records stay where they are, so a hint is good until the end of the run, when `topology`
 * is empty.
 */
#define OBJECT_RECENT 16u
struct object_recent {
    const struct topology *_Atomic topology; /* the run's, or an empty one before the first hint */
    struct object *_Atomic object[OBJECT_RECENT];
};
extern struct object_recent object_recent;
/* In a rank, where an earlier run may have left some, before it forks. */
void object_forget_recent(void);

/* The object record that was found lately, if one was whose place ends in the same digits. */
static inline struct object *object_recent_at(uint64_t place)
{
    const struct topology *topology = atomic_load_explicit(&object_recent.topology, memory_order_relaxed);

    if (!topology->node_count)
        return NULL;
    return atomic_load_explicit(&object_recent.object[place % OBJECT_RECENT], memory_order_relaxed);
}

/* What object_find() finds, if the handle's home is this node (the identity says it), the object record was found
 * lately, and the object is there; else NULL. A few loads of lines that nobody writes. */
static inline struct object *object_find_recent(const mpm_handle *handle, enum object_kind kind)
{
    struct object *object = object_recent_at(handle->place);

    if (!object || handle->kind != kind || object->place != handle->place || !object_is(object, handle))
        return NULL;
    return object;
}

/* The object record that a handle of this node names. MPM_EINVAL for a handle that is none or of another kind,
 * MPM_ESTALE for one whose object is gone at this moment. */
int object_find(const mpm_handle *handle, enum object_kind kind, struct object **object);
/* Says that it is not there any more: MPM_ESTALE. */
int object_stale(const mpm_handle *handle);
/* Says that a handle is not one of this kind: MPM_EINVAL. */
int object_is_not(const mpm_handle *handle, enum object_kind kind);
/* What a kind is called in sentences, without an article; "object" if there is none. */
const char *object_kind_name(enum object_kind kind);
#define ARTICLE(name) (strchr("aeiou", (name)[0]) ? "an" : "a")
/* The object ends: under its locks. Handles are stale from here on. */
void object_end(struct object *object);

/* The object record that a handle of this node names, whatever stands there by now, and whatever the kind has put into
 * the handle's highest byte. NULL for a handle without an object record. */
struct object *object_record(const mpm_handle *handle);

/* One more or one less, by `change`, waits for this object of this node on the doorbell: it looks at the object
 * only after this. It is the object record that counts. Handles without an object record: nothing. */
void object_note_waiting(const mpm_handle *handle, int change);
/* Rings the node's doorbell if somebody waits for the object there. After a change, and a full fence. */
void object_ring_doorbell(void);
static inline void object_changed(struct object *object)
{
    DELAY_POINT();
    if (__builtin_expect(atomic_load(&object->remote_waiting), 0))
        object_ring_doorbell();
}

/* Whether the handle's home is the calling process's node. false without a run. */
bool object_is_home(const mpm_handle *handle);

/* Whether the calling thread has woken somebody who slept, since it was last asked. */
bool object_has_woken(void);

void object_wake_sleepers(struct object_wait *wait);

/* Wakes those who wait, if there are any. After a change that they may wait for, and a full fence. */
static inline void object_wake(struct object_wait *wait)
{
    DELAY_POINT();
    if (atomic_load_explicit(&wait->wanted, memory_order_relaxed) && atomic_exchange(&wait->wanted, 0))
        object_wake_sleepers(wait);
}

/* Between a change that was made under a robust mutex, after its unlock, and the look whether anybody waits
 * for it: unlocking is a store that may still be on its way. Pairs with the fences in sleep_until_ready(), invoke.c,
 * for `wanted`, and in object_note_waiting() for `remote_waiting`: without, a waiter is not woken. */
static inline void object_fence_after_unlock(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* Tells those who wait, here and on other nodes, of a change. After a full fence. */
static inline void object_tell(struct object *object, unsigned wait)
{
    object_wake(&object->wait[wait]);
    object_changed(object);
}

/* The numbers by which an object record owns blocks of the arena, above those of processes. */
#define OBJECT_FIRST_OWNER 0x20000u
static inline uint32_t object_owner(const struct object *object, unsigned which)
{
    return OBJECT_FIRST_OWNER + OBJECT_OWNERS * object->place + which;
}

/* Before blocks are made for an object that is reserved, and before object_end if it has any. */
static inline void object_set_unclean(struct object *object)
{
    atomic_store(&object->unclean, 1);
}

/* All blocks of the object record are its object's, or free. */
static inline void object_set_clean(struct object *object)
{
    atomic_store(&object->unclean, 0);
}

/* Calls `visit` for every object record, free ones too. */
void object_walk(struct arena *arena, void (*visit)(struct object *object, void *argument), void *argument);

/* Sets free what a dead process was making, and rings for it wherever it may have owed that. In the fork server. */
void object_free_reserved(struct arena *arena, uint32_t process);

#endif
