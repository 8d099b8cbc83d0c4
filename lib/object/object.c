/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects: see the header for who writes what. Object records come in segments that are made as they are needed and
 * stay. */
#include "object/object.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/thread_role.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "shm/kill_point.h"

#define SEGMENT_RECORDS 32u
#define MAX_SEGMENTS    31744u
#define MAX_RECORDS     (SEGMENT_RECORDS * MAX_SEGMENTS)
_Static_assert(OBJECT_FIRST_OWNER + OBJECT_OWNERS * MAX_RECORDS <= ARENA_MAX_OWNER + 1,
               "each object record has owner numbers of its own");

#define IDENTITY_FREE        UINT64_C(0)
#define IDENTITY_RESERVED(p) (UINT64_C(0xffff) | (uint64_t)(p) << 16) /* of a kind that there is not */

#define IDENTITY_RETIRED IDENTITY_RESERVED(UINT32_MAX)

static const char *const kind_names[] = {"object",  "node", "process",        "value",     "array",
                                         "queue",   "lock", "semaphore",      "condition", "event",
                                         "barrier", "pipe", "value of bytes", "result"};

/* In the arena, by ARENA_ROOT_OBJECTS: made by the leader before the node's fork servers are forked. */
struct object_table {
    _Atomic uint64_t segment[MAX_SEGMENTS]; /* offsets of SEGMENT_RECORDS object records each */
    _Atomic uint32_t hint; /* object records below this place are taken, as far as anybody knows */
    uint32_t generation;   /* that an object record begins with: constant */
};

static const struct topology no_topology;
struct object_recent object_recent = {.topology = &no_topology};

void object_forget_recent(void)
{
    atomic_store(&object_recent.topology, &no_topology);
    for (unsigned i = 0; i < OBJECT_RECENT; i++)
        atomic_store(&object_recent.object[i], NULL);
}

static __attribute__((tls_model("initial-exec"))) _Thread_local bool has_woken;

bool object_has_woken(void)
{
    bool woken = has_woken;

    has_woken = false;
    return woken;
}

void object_wake_sleepers(struct object_wait *wait)
{
    if (eventcount_notify(&wait->word))
        has_woken = true;
}

static struct object_table *table_of(struct arena *arena)
{
    return arena_root(arena, ARENA_ROOT_OBJECTS);
}

/* Handles of an earlier run are stale in a later one. */
int object_table_create(struct arena *arena)
{
    int status = arena_make_root(arena, ARENA_ROOT_OBJECTS, sizeof(struct object_table));

    if (!status)
        table_of(arena)->generation = context_first_generation();
    return status;
}

static struct object *record_at(struct arena *arena, uint64_t place)
{
    /* Pairs with the exchange by which a segment is added. */
    uint64_t segment = atomic_load_explicit(&table_of(arena)->segment[place / SEGMENT_RECORDS],
                                            memory_order_acquire);

    return segment ? (struct object *)arena_at(arena, segment) + place % SEGMENT_RECORDS : NULL;
}

/* Makes segment `number` unless somebody has. */
static int make_segment(struct arena *arena, uint32_t number)
{
    struct object_table *table = table_of(arena);
    uint64_t none = 0, offset;
    struct object *records;
    int status;

    if (atomic_load(&table->segment[number]))
        return MPM_OK;
    if ((status = arena_alloc(arena, SEGMENT_RECORDS * sizeof *records, process_own_number(), &offset)))
        return status;
    records = memset(arena_at(arena, offset), 0, SEGMENT_RECORDS * sizeof *records);
    for (uint32_t i = 0; i < SEGMENT_RECORDS; i++) {
        records[i].place = number * SEGMENT_RECORDS + i;
        records[i].generation = table->generation;
        robust_mutex_create(&records[i].mutex);
        robust_mutex_create(&records[i].second_mutex);
    }
    if (!atomic_compare_exchange_strong(&table->segment[number], &none, offset))
        arena_free(arena, offset);
    else
        arena_give(arena, offset);
    return MPM_OK;
}

static void lock(struct robust_mutex *mutex)
{
    if (robust_mutex_lock(mutex))
        robust_mutex_repaired(mutex); /* what a dead one has left in the object record is freed here */
}

/* In an object record that the caller has reserved. Who destroys an object has the locks until all is free. */
static void clean(struct object *object)
{
    lock(&object->mutex);
    lock(&object->second_mutex);
    for (unsigned i = 0; i < OBJECT_OWNERS && atomic_load(&object->unclean); i++) {
        arena_free_owned(context_arena(), object_owner(object, i));
        KILL_POINT();
    }
    object_set_clean(object);
    robust_mutex_unlock(&object->second_mutex);
    robust_mutex_unlock(&object->mutex);
}

/* Those of the object that was here before. */
static void forget_bypasses(struct object *object)
{
    for (unsigned side = 0; side < OBJECT_SIDES; side++)
        atomic_fetch_and(&object->turn[side], ~(FAIRNESS_ONE_WAITING - 1));
}

/* A object record that the caller has reserved. After the last generation there would be the first one again, and a
 * stale handle would name another object: such an object record is nobody's for ever. */
static bool is_used_up(struct object *object)
{
    if (object->generation != UINT32_MAX)
        return false;
    atomic_store(&object->identity, IDENTITY_RETIRED);
    return true;
}

int object_reserve(struct object **reserved)
{
    struct arena *arena = context_arena();
    struct object_table *table = table_of(arena);
    uint32_t from = atomic_load_explicit(&table->hint, memory_order_relaxed);

    for (uint32_t i = 0; i < MAX_RECORDS; i++) {
        uint32_t place = (from + i) % MAX_RECORDS;
        uint64_t free_identity = IDENTITY_FREE;
        struct object *object;
        int status;

        if ((status = make_segment(arena, place / SEGMENT_RECORDS)))
            return status;
        object = record_at(arena, place);
        if (atomic_load_explicit(&object->identity, memory_order_relaxed) != IDENTITY_FREE ||
            !atomic_compare_exchange_strong(&object->identity, &free_identity,
                                            IDENTITY_RESERVED(process_own_number())))
            continue;
        if (is_used_up(object))
            continue;
        /* Unless one has become free below in the meantime. */
        atomic_compare_exchange_strong(&table->hint, &from, place + 1);
        KILL_POINT();
        if (atomic_load(&object->unclean))
            clean(object);
        memset(object->body, 0, sizeof object->body);
        atomic_store_explicit(&object->delegated, 0, memory_order_relaxed);
        forget_bypasses(object);
        *reserved = object;
        return MPM_OK;
    }
    return error_set(MPM_ENOMEM, "a node can have at most %u objects", MAX_RECORDS);
}

mpm_handle object_next_handle(const struct object *object, enum object_kind kind)
{
    return (mpm_handle){.kind = (uint16_t)kind,
                        .home = (uint16_t)context_topology()->node,
                        .generation = object->generation + 1,
                        .place = object->place};
}

mpm_handle object_commit(struct object *object, enum object_kind kind)
{
    mpm_handle handle = object_next_handle(object, kind);

    object->generation = handle.generation;
    /* Pairs with object_is() and object_kind_in(). */
    atomic_store_explicit(&object->identity, object_identity(&handle), memory_order_release);
    return handle;
}

/* The next object is to stand in the lowest free object record, so that there are never many more object records than
 * objects. Whoever dies before that leaves the object record to whoever comes past it. */
static void lower_hint(struct object_table *table, uint32_t place)
{
    uint32_t hint = atomic_load(&table->hint);

    while (place < hint && !atomic_compare_exchange_weak(&table->hint, &hint, place))
        ;
}

void object_cancel(struct object *object)
{
    /* Pairs with the exchange by which the next one reserves the record. */
    atomic_store_explicit(&object->identity, IDENTITY_FREE, memory_order_release);
    lower_hint(table_of(context_arena()), object->place);
}

const char *object_kind_name(enum object_kind kind)
{
    return kind_names[kind < sizeof kind_names / sizeof *kind_names ? kind : 0];
}

/* What a program has a handle of: of a pipe these are its ends. */
static const char *handle_name(enum object_kind kind)
{
    return kind == OBJECT_PIPE ? "connection" : object_kind_name(kind);
}

int object_is_not(const mpm_handle *handle, enum object_kind kind)
{
    static const mpm_handle zero;
    const char *name = handle_name(kind), *has = handle_name((enum object_kind)handle->kind);

    if (!memcmp(handle, &zero, sizeof zero))
        return error_set(MPM_EINVAL, "the handle is zero, as it is before there is %s %s", ARTICLE(name),
                         name);
    if (handle->kind != kind && has != kind_names[0])
        return error_set(MPM_EINVAL, "this is the handle of %s %s, not of %s %s", ARTICLE(has), has,
                         ARTICLE(name), name);
    return error_set(MPM_EINVAL, "this is not the handle of %s %s", ARTICLE(name), name);
}

int object_stale(const mpm_handle *handle)
{
    return error_set(MPM_ESTALE, "the %s was destroyed", kind_names[handle->kind]);
}

int object_find(const mpm_handle *handle, enum object_kind kind, struct object **found)
{
    struct object *object;

    if (handle->kind != kind || handle->place >= MAX_RECORDS || !handle->generation ||
        !(object = record_at(context_arena(), handle->place)))
        return object_is_not(handle, kind);
    if (!object_is(object, handle))
        return object_stale(handle);
    atomic_store_explicit(&object_recent.topology, context_topology(), memory_order_relaxed);
    atomic_store_explicit(&object_recent.object[handle->place % OBJECT_RECENT], object, memory_order_relaxed);
    *found = object;
    return MPM_OK;
}

/* Who begins to wait counts itself and looks at the identity then: one of the two sees the other. */
void object_end(struct object *object)
{
    object_cancel(object);
    /* Pairs with the fence in object_note_waiting(): without, a call from another node is parked at an object that is
     * gone, and nobody rings for it. */
    atomic_thread_fence(memory_order_seq_cst);
    object_changed(object);
}

struct object *object_record(const mpm_handle *handle)
{
    uint64_t place = object_place(handle);

    if (handle->kind <= OBJECT_PROCESS || place >= MAX_RECORDS)
        return NULL;
    return record_at(context_arena(), place);
}

void object_note_waiting(const mpm_handle *handle, int change)
{
    struct object *object = object_record(handle);

    if (!object)
        return;
    atomic_fetch_add(&object->remote_waiting, (uint32_t)change);
    /* Pairs with the fence between each change and its object_changed(): object_fence_after_unlock(), object_end(),
     * tell_all() of pipe.c, or the atomic operation that is the change. Without, who changes the object finds that
     * nobody waits, who waits finds no change, and the doorbell is not rung. */
    atomic_thread_fence(memory_order_seq_cst);
}

void object_ring_doorbell(void)
{
    eventcount_notify(context_doorbell());
}

bool object_is_home(const mpm_handle *handle)
{
    const struct topology *topology = context_topology();

    return handle->home == topology->node && topology->node_count;
}

void object_walk(struct arena *arena, void (*visit)(struct object *object, void *argument), void *argument)
{
    struct object_table *table = table_of(arena);

    for (uint32_t i = 0; i < MAX_SEGMENTS && atomic_load(&table->segment[i]); i++) {
        for (uint32_t j = 0; j < SEGMENT_RECORDS; j++)
            visit(record_at(arena, i * SEGMENT_RECORDS + j), argument);
    }
}

struct reserver {
    struct object_table *table;
    uint32_t process;
};

static void free_reserved(struct object *object, void *argument)
{
    const struct reserver *dead = argument;
    uint64_t reserved = IDENTITY_RESERVED(dead->process);

    if (atomic_compare_exchange_strong(&object->identity, &reserved, IDENTITY_FREE))
        lower_hint(dead->table, object->place);
    /* Even if nobody sleeps: somebody may be about to, and the dead one has taken `wanted` back perhaps. */
    for (unsigned i = 0; i < OBJECT_WAITS; i++)
        eventcount_notify(&object->wait[i].word);
}

void object_free_reserved(struct arena *arena, uint32_t process)
{
    struct reserver dead = {table_of(arena), process};

    assert(thread_is(THREAD_FORKSERVER));
    for (uint32_t i = 0; i < MAX_SEGMENTS && atomic_load(&dead.table->segment[i]); i++)
        arena_give(arena, atomic_load(&dead.table->segment[i])); /* if it died before it could */
    object_walk(arena, free_reserved, &dead);
}
