/* SPDX-License-Identifier: BSD-3-Clause */
/* Holders of the ends of pipes; see the header. */
#include "sync/holders.h"

#include "mpmap/status.h"

#include "shm/kill_point.h"

#define FIRST_ROOM 3u

struct holders {
    uint32_t count, room;
    struct party party[];
};

static struct holders *holders_at(struct arena *arena, uint64_t list)
{
    return arena_at(arena, list);
}

static uint32_t count_of(struct arena *arena, uint64_t list)
{
    return list ? holders_at(arena, list)->count : 0;
}

bool holders_have(struct arena *arena, uint64_t list, const struct party *party)
{
    for (uint32_t i = 0; i < count_of(arena, list); i++) {
        if (party_is_same_process(&holders_at(arena, list)->party[i], party))
            return true;
    }
    return false;
}

static uint32_t count_living(struct arena *arena, uint64_t list)
{
    uint32_t living = 0;

    for (uint32_t i = 0; i < count_of(arena, list); i++)
        living += !party_is_dead(&holders_at(arena, list)->party[i]);
    return living;
}

/* A block with those that live and one more. One may die in the meantime: it is left out, or not. */
static int make(struct arena *arena, uint64_t old, uint32_t owner, const struct party *party, uint64_t *made)
{
    uint32_t living = count_living(arena, old), room = living < FIRST_ROOM ? FIRST_ROOM : 2 * living;
    struct holders *holders;
    int status;

    if ((status = arena_alloc(arena, sizeof *holders + room * sizeof *party, owner, made)))
        return status;
    KILL_POINT();
    holders = holders_at(arena, *made);
    holders->count = 0;
    holders->room = room;
    for (uint32_t i = 0; i < count_of(arena, old); i++) {
        if (!party_is_dead(&holders_at(arena, old)->party[i]))
            holders->party[holders->count++] = holders_at(arena, old)->party[i];
    }
    holders->party[holders->count++] = *party;
    return MPM_OK;
}

int holders_add(struct arena *arena, uint64_t *list, uint32_t owner, const struct party *party)
{
    uint64_t old = *list, made;
    int status;

    if (old && holders_at(arena, old)->count < holders_at(arena, old)->room) {
        holders_at(arena, old)->party[holders_at(arena, old)->count] = *party;
        KILL_POINT();
        holders_at(arena, old)->count++;
        return MPM_OK;
    }
    if ((status = make(arena, old, owner, party, &made)))
        return status;
    KILL_POINT();
    *list = made;
    KILL_POINT();
    arena_free(arena, old);
    return MPM_OK;
}

void holders_mark(struct arena *arena, uint64_t list, const struct party_death *death)
{
    for (uint32_t i = 0; i < count_of(arena, list); i++)
        party_mark_dead(&holders_at(arena, list)->party[i], death);
}

bool holders_are_gone(struct arena *arena, uint64_t list)
{
    for (uint32_t i = 0; i < count_of(arena, list); i++) {
        if (!party_is_dead(&holders_at(arena, list)->party[i]))
            return false;
    }
    return list;
}
