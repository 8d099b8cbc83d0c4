/* SPDX-License-Identifier: BSD-3-Clause */
/* Holders of the ends of pipes; see the header. */
#include "sync/holders.h"

#include "mpmap/status.h"

#include "shm/kill_point.h"

#define FIRST_ROOM 3u

struct holder {
    struct thread_ref thread_ref;
    uint32_t has_let_go;
};

struct holders {
    uint32_t count, room;
    struct holder holder[];
};

static struct holders *holders_at(struct arena *arena, uint64_t list)
{
    return arena_at(arena, list);
}

static uint32_t count_of(struct arena *arena, uint64_t list)
{
    return list ? holders_at(arena, list)->count : 0;
}

static struct holder *holder_at(struct arena *arena, uint64_t list, uint32_t place)
{
    return &holders_at(arena, list)->holder[place];
}

/* NULL if it never was one. */
static struct holder *find(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref)
{
    for (uint32_t i = 0; i < count_of(arena, list); i++) {
        if (thread_ref_is_same_process(&holder_at(arena, list, i)->thread_ref, thread_ref))
            return holder_at(arena, list, i);
    }
    return NULL;
}

bool holders_have(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref)
{
    const struct holder *holder = find(arena, list, thread_ref);

    return holder && !holder->has_let_go;
}

bool holders_had(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref)
{
    return find(arena, list, thread_ref);
}

void holders_let_go(struct arena *arena, uint64_t list, const struct thread_ref *thread_ref)
{
    struct holder *holder = find(arena, list, thread_ref);

    if (holder)
        holder->has_let_go = 1;
}

static uint32_t count_living(struct arena *arena, uint64_t list)
{
    uint32_t living = 0;

    for (uint32_t i = 0; i < count_of(arena, list); i++)
        living += !thread_ref_is_dead(&holder_at(arena, list, i)->thread_ref);
    return living;
}

/* A block with those that live and one more. One may die in the meantime: it is left out, or not. */
static int make(struct arena *arena, uint64_t old, uint32_t owner, const struct thread_ref *thread_ref,
                uint64_t *made)
{
    uint32_t living = count_living(arena, old), room = living < FIRST_ROOM ? FIRST_ROOM : 2 * living;
    struct holders *holders;
    int status;

    if ((status = arena_alloc(arena, sizeof *holders + room * sizeof *holders->holder, owner, made)))
        return status;
    KILL_POINT();
    holders = holders_at(arena, *made);
    holders->count = 0;
    holders->room = room;
    for (uint32_t i = 0; i < count_of(arena, old); i++) {
        if (!thread_ref_is_dead(&holder_at(arena, old, i)->thread_ref))
            holders->holder[holders->count++] = *holder_at(arena, old, i);
    }
    holders->holder[holders->count++] = (struct holder){.thread_ref = *thread_ref};
    return MPM_OK;
}

int holders_add(struct arena *arena, uint64_t *list, uint32_t owner, const struct thread_ref *thread_ref)
{
    struct holder *before = find(arena, *list, thread_ref);
    uint64_t old = *list, made;
    int status;

    if (before) {
        before->has_let_go = 0;
        return MPM_OK;
    }
    if (old && holders_at(arena, old)->count < holders_at(arena, old)->room) {
        *holder_at(arena, old, holders_at(arena, old)->count) = (struct holder){.thread_ref = *thread_ref};
        KILL_POINT();
        holders_at(arena, old)->count++;
        return MPM_OK;
    }
    if ((status = make(arena, old, owner, thread_ref, &made)))
        return status;
    KILL_POINT();
    *list = made;
    KILL_POINT();
    arena_free(arena, old);
    return MPM_OK;
}

void holders_mark(struct arena *arena, uint64_t list, const struct thread_ref_death *death)
{
    for (uint32_t i = 0; i < count_of(arena, list); i++)
        thread_ref_mark_dead(&holder_at(arena, list, i)->thread_ref, death);
}

bool holders_are_gone(struct arena *arena, uint64_t list)
{
    for (uint32_t i = 0; i < count_of(arena, list); i++) {
        const struct holder *holder = holder_at(arena, list, i);

        if (!holder->has_let_go && !thread_ref_is_dead(&holder->thread_ref))
            return false;
    }
    return list;
}
