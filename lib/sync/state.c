/* SPDX-License-Identifier: BSD-3-Clause */
/* States in two copies. Who writes what, all of it under the object record's mutex:
 *
 * The object record's body holds two copies of the state, and `commit`, whose last bit says which of them is true, the
 * bit above it whether the true one's `value` is another than 0, and the others how many commits there were.
 * An operation
 *   - takes the mutex,
 *   - copies the true copy, waiters included, over the other one,
 *   - runs its step on that, which nobody else looks at,
 *   - stores the next commit (release): from here on it has happened,
 *   - releases the mutex, and rings for those who wait. Whoever dies before the store has changed nothing
 *     that is true; whoever dies behind it has done all of it but the ring, which comes from its reaper. So
 *     there is nothing to repair for who gets the mutex from a dead holder.
 *
 * Waiters stand in the object record as long as they are few; then in a block with room for two copies of them. A
 * larger block is allocated under that one of the object record's two owner numbers which the table in use does not
 * have; the copies move there by an operation like any other (its commit makes the new block the true one),
 * and the old block is freed. Who dies in between leaves a block with the number that is not in use:
 * whoever gets the mutex from it frees all blocks of that number.
 *
 * An object ends by an operation, too, after which it has no waiters, no table, and STATE_ENDED among its
 * flags. Then the table is freed, and the block `argument`, which has an owner number of its own, and the
 * object ends. Whoever gets the mutex from one that died there does what is left of that, by the numbers. If
 * the maker of an object dies after its block has that number and before the object is there, the block is
 * freed when another one is made in the object record.
 *
 * The state of a lock or a semaphore may be out of date while its quick way is open: see quick.h. It is made true
 * before anybody looks at it under the mutex.
 *
 * Without the mutex anybody may read `commit`, and `lock`, which is constant, and nothing else: they stay in
 * the object record. */
#include "sync/state.h"

#include <assert.h>
#include <stddef.h>

#include "mpmap/status.h"

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "shm/kill_point.h"
#include "sync/quick.h"

#define BLOCK_OWNER  2u /* the object record's number of the block `argument`, behind those of tables */
#define FEW_WAITERS  4u /* that stand in the object record */
#define FIRST_ROOM   16u
#define MOST_WAITERS 0x1000000u
#define ONE_COMMIT   4u
#define WAIT_CHANGE  0 /* the one of the object's waits that these kinds use */

struct copy {
    struct state state;
    struct waiter few[FEW_WAITERS];
};

struct body {
    _Atomic uint64_t commit;
    mpm_handle lock; /* what the states say, too */
    struct copy copy[2];
};
_Static_assert(sizeof(struct body) <= OBJECT_BODY_SIZE, "two copies of a state fit into an object record");

static struct body *body_of(struct object *object)
{
    return (struct body *)object->body;
}

static uint32_t owner_of(const struct object *object, uint32_t side)
{
    return object_owner(object, side % 2);
}

/* The waiters of copy `which` of a state. */
static struct waiter *waiters_of(struct body *body, const struct state *state, uint64_t which)
{
    struct waiter *table;

    if (!state->table)
        return body->copy[which].few;
    table = arena_at(context_arena(), state->table);
    return which ? table + state->room : table;
}

static uint32_t block_owner_of(const struct object *object)
{
    return object_owner(object, BLOCK_OWNER);
}

void state_create(struct object *object, const struct state *initial)
{
    struct state *state = &body_of(object)->copy[0].state;

    *state = *initial;
    quick_set_slow(object);
    object->quick_most = initial->limit < QUICK_MOST_PERMITS ? initial->limit : QUICK_MOST_PERMITS;
    state->room = FEW_WAITERS;
    body_of(object)->lock = initial->lock;
    atomic_store_explicit(&body_of(object)->commit, initial->value ? STATE_HAS_VALUE : 0,
                          memory_order_relaxed);
    if (!initial->argument)
        return;
    arena_free_owned(context_arena(), block_owner_of(object));
    arena_pass(context_arena(), initial->argument, block_owner_of(object));
}

uint64_t state_commit(const struct object *object)
{
    const struct body *body = (const struct body *)object->body;

    /* Pairs with commit_draft(). */
    return atomic_load_explicit(&body->commit, memory_order_acquire);
}

const mpm_handle *state_lock(const struct object *object)
{
    return &((const struct body *)object->body)->lock;
}

/* The true copy: under the mutex. */
static const struct state *true_state(const struct object *object)
{
    const struct body *body = (const struct body *)object->body;

    return &body->copy[state_commit(object) % 2].state;
}

/* Frees what a dead one has left: blocks with a number that no table in use has. */
static void sweep(struct object *object)
{
    const struct state *state = true_state(object);

    arena_free_owned(context_arena(), owner_of(object, state->side + 1));
    if (!state->table)
        arena_free_owned(context_arena(), owner_of(object, state->side));
}

/* Frees the block of an object that has ended, and ends it. */
static void finish(struct object *object)
{
    if (true_state(object)->argument)
        arena_free_owned(context_arena(), block_owner_of(object));
    KILL_POINT();
    object_end(object);
    KILL_POINT();
}

/* After the death of who had the mutex, whatever object it has used. */
static void repair(struct object *object)
{
    enum object_kind kind = object_kind_in(object);

    KILL_POINT();
    if (kind >= OBJECT_LOCK && kind <= OBJECT_BARRIER) {
        sweep(object);
        KILL_POINT();
        if (true_state(object)->flags & STATE_ENDED)
            finish(object);
    }
    KILL_POINT();
    robust_mutex_repaired(&object->mutex);
}

/* The true copy, copied over the other one. */
static inline void make_draft(struct body *body, const struct thread_ref *caller, struct draft *draft)
{
    uint64_t now = atomic_load_explicit(&body->commit, memory_order_relaxed) % 2;
    const struct state *state = &body->copy[now].state;

    draft->state = &body->copy[!now].state;
    draft->caller = caller;
    draft->is_changed = draft->tells = false;
    *draft->state = *state;
    draft->waiters = waiters_of(body, state, !now);
    if (state->count)
        memcpy(draft->waiters, waiters_of(body, state, now), state->count * sizeof *draft->waiters);
    KILL_POINT();
}

static void commit_draft(struct body *body)
{
    uint64_t commit = atomic_load_explicit(&body->commit, memory_order_relaxed), which = !(commit % 2);
    uint64_t has_value = body->copy[which].state.value ? STATE_HAS_VALUE : 0;

    KILL_POINT();
    /* Pairs with state_commit(). */
    atomic_store_explicit(&body->commit, (commit / ONE_COMMIT + 1) * ONE_COMMIT + has_value + which,
                          memory_order_release);
    KILL_POINT();
}

/* If the quick way of a lock or a semaphore is open, the state says from here on what that one has said. Who has a lock
 * in the quick way has it once, and nobody waits. */
static void make_state_true(struct object *object, enum object_kind kind)
{
    uint64_t word = quick_stop(object);
    struct draft draft;

    if (word == QUICK_SLOW)
        return;
    make_draft(body_of(object), NULL, &draft);
    if (kind == OBJECT_LOCK) {
        draft.state->owner = quick_owner(word);
        draft.state->depth = draft.state->owner.number != 0;
        draft.state->value = !draft.state->depth;
    } else
        draft.state->value = quick_permits(word);
    commit_draft(body_of(object));
    quick_set_slow(object);
}

/* Before the mutex is released: opens the quick way if nobody waits. */
static void open_quick_way(struct object *object, enum object_kind kind)
{
    const struct state *state = true_state(object);

    if (!(state->flags & STATE_MAY_BE_QUICK) || state->count)
        return;
    if (kind == OBJECT_SEMAPHORE)
        quick_start_permits(object, state->value);
    else if (state->value || state->depth == 1)
        quick_start(object, &state->owner);
}

static bool has_quick_way(enum object_kind kind)
{
    return kind == OBJECT_LOCK || kind == OBJECT_SEMAPHORE;
}

/* Takes the mutex. MPM_ESTALE or MPM_ENOMEM without it. */
static int lock(struct object *object, const mpm_handle *handle)
{
    int status = thread_token_ensure();

    if (status)
        return status;
    if (robust_mutex_lock(&object->mutex))
        repair(object);
    KILL_POINT();
    if (object_is(object, handle)) {
        if (has_quick_way(handle->kind))
            make_state_true(object, handle->kind);
        return MPM_OK;
    }
    robust_mutex_unlock(&object->mutex);
    return object_stale(handle);
}

/* A table with more room. MPM_ENOMEM. */
static int grow(struct object *object)
{
    struct body *body = body_of(object);
    struct draft draft;
    struct state *state;
    uint64_t old, table;
    uint32_t room;
    int status;

    make_draft(body, NULL, &draft);
    state = draft.state;
    old = state->table;
    room = old ? 2 * state->room : FIRST_ROOM;
    if (room > MOST_WAITERS)
        return error_set(MPM_ENOMEM, "more than %u threads wait for one object", MOST_WAITERS);
    if ((status = arena_alloc(context_arena(), 2 * (size_t)room * sizeof(struct waiter),
                              owner_of(object, state->side + 1), &table)))
        return status;
    KILL_POINT();
    state->table = table;
    state->room = room;
    state->side++;
    memcpy(waiters_of(body, state, state == &body->copy[1].state), draft.waiters,
           state->count * sizeof *draft.waiters);
    commit_draft(body);
    arena_free(context_arena(), old);
    return MPM_OK;
}

/* Under the mutex. */
static int run(struct object *object, state_step *step, struct state_request *request,
               struct state_reply *reply, bool *tells)
{
    struct draft draft;
    int status, room_status = MPM_OK;

    for (;;) {
        make_draft(body_of(object), &request->caller, &draft);
        if ((status = step(&draft, request, reply)) != STATE_NEEDS_ROOM)
            break;
        if ((room_status = grow(object)))
            return room_status;
    }
    if (draft.is_changed)
        commit_draft(body_of(object));
    *tells = draft.is_changed && draft.tells;
    return status;
}

int state_apply(struct object *object, const mpm_handle *handle, state_step *step,
                struct state_request *request, struct state_reply *reply, uint64_t *commit)
{
    bool tells = false;
    int status;

    if ((status = lock(object, handle)))
        return status;
    status = run(object, step, request, reply, &tells);
    if (commit)
        *commit = state_commit(object);
    KILL_POINT();
    if (has_quick_way(handle->kind))
        open_quick_way(object, handle->kind);
    robust_mutex_unlock(&object->mutex);
    KILL_POINT();
    if (tells) {
        object_fence_after_unlock();
        object_tell(object, WAIT_CHANGE);
        KILL_POINT();
    }
    return status;
}

int state_destroy(struct object *object, const mpm_handle *handle, struct state *last)
{
    struct draft draft;
    uint64_t table;
    int status;

    if ((status = lock(object, handle)))
        return status;
    make_draft(body_of(object), NULL, &draft);
    table = draft.state->table;
    if (last)
        *last = *draft.state;
    draft.state->table = 0;
    draft.state->room = FEW_WAITERS;
    draft.state->count = 0;
    draft.state->flags |= STATE_ENDED;
    commit_draft(body_of(object));
    arena_free(context_arena(), table);
    KILL_POINT();
    finish(object);
    robust_mutex_unlock(&object->mutex);
    eventcount_notify(&object->wait[WAIT_CHANGE].word);
    return MPM_OK;
}

/* Steps. */

struct waiter *state_find(const struct draft *draft)
{
    for (uint32_t i = 0; i < draft->state->count; i++) {
        if (thread_ref_is_same_thread(&draft->waiters[i].thread_ref, draft->caller))
            return &draft->waiters[i];
    }
    return NULL;
}

struct waiter *state_add(struct draft *draft, uint32_t what, uint32_t value)
{
    struct waiter *waiter;

    if (draft->state->count == draft->state->room)
        return NULL;
    waiter = &draft->waiters[draft->state->count++];
    *waiter = (struct waiter){.thread_ref = *draft->caller, .what = what, .value = value};
    draft->is_changed = true;
    return waiter;
}

void state_remove(struct draft *draft, struct waiter *waiter)
{
    uint32_t place = (uint32_t)(waiter - draft->waiters);

    memmove(waiter, waiter + 1, (--draft->state->count - place) * sizeof *waiter);
    draft->is_changed = true;
}

/* The caller is the one that has died, or the last one that has. */
static int mark_dead(struct draft *draft, struct state_request *request, struct state_reply *reply)
{
    const struct thread_ref_death death = {draft->caller->node, draft->caller->number,
                                           draft->caller->generation};

    (void)request;
    (void)reply;
    draft->is_changed = thread_ref_mark_dead(&draft->state->owner, &death);
    for (uint32_t i = 0; i < draft->state->count; i++)
        draft->is_changed |= thread_ref_mark_dead(&draft->waiters[i].thread_ref, &death);
    draft->tells = draft->is_changed;
    return MPM_OK;
}

/* The word moves on even if nobody sleeps: somebody may be between its last try and its sleep, and a state whose
 * owner is dead looks like any that is held. */
void state_mark_dead(struct object *object, const struct thread_ref_death *death)
{
    uint64_t identity = atomic_load(&object->identity);
    mpm_handle handle = {.place = object->place};
    struct state_request request = {
        .caller = {.node = death->node, .number = death->number, .generation = death->generation}};

    memcpy(&handle, &identity, sizeof identity);
    if (handle.kind < OBJECT_LOCK || handle.kind > OBJECT_BARRIER)
        return;
    (void)!state_apply(object, &handle, mark_dead, &request, NULL, NULL);
    eventcount_notify(&object->wait[WAIT_CHANGE].word);
}
