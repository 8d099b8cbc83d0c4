/* SPDX-License-Identifier: BSD-3-Clause */
/* Items and results of any length, in a worker. Results are written into pages, which the worker links to the lease;
 * board.h says in which order, and what its death at each step means. A result grows where it is, if it is the last one
 * on its page and there is room; else it moves to a new page. */
#include <string.h>

#include "base/error.h"
#include "node/context.h"
#include "pool/shared/blob.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

#define FIRST_PAGE   ((size_t)4 << 10)
#define LARGEST_PAGE ((size_t)256 << 10) /* but for results that are larger */

static struct {
    bool is_in_task;
    uint64_t entered;       /* in which run of a lease the page was hung: it is of no use in another */
    uint64_t page;          /* offset; 0: none */
    size_t size, used;      /* of the page, in bytes */
    size_t next_size;       /* of the next page */
    struct blob_ref result; /* of the item that runs */
} room;

static int add_page(size_t least)
{
    struct lease_block *lease = worker_self.lease;
    _Atomic uint64_t *pages = (_Atomic uint64_t *)arena_at(worker_self.arena, lease->pages) +
                              worker_self.number;
    size_t size = sizeof(struct blob_page) + least;
    struct blob_page *page;
    uint64_t offset;
    int status;

    if (size < room.next_size)
        size = room.next_size;
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if ((status = arena_alloc(worker_self.arena, size, worker_self.job->blob_owner, &offset)))
        return status;
    KILL_POINT();
    page = arena_at(worker_self.arena, offset);
    page->next = atomic_load_explicit(pages, memory_order_relaxed);
    KILL_POINT();
    /* Pairs with the loads of those who read, or free, the pages. */
    atomic_store_explicit(pages, offset, memory_order_release);
    KILL_POINT();
    room.page = offset;
    room.size = size;
    room.used = sizeof *page;
    room.next_size = room.next_size < LARGEST_PAGE ? room.next_size * 2 : LARGEST_PAGE;
    return MPM_OK;
}

/* Takes room for another place of the result, and copies what it has. */
static void *move_result(mpm_call *call, size_t size)
{
    struct blob_ref old = room.result;
    void *place;

    if (room.size - room.used < size + BLOB_ALIGNMENT && add_page(size + BLOB_ALIGNMENT)) {
        mpm_fail(call, "the arena has no room for a result of %zu bytes: set a larger MPMAP_ARENA", size);
        return NULL;
    }
    room.result = (struct blob_ref){room.page + room.used, size};
    room.used += blob_rounded(size);
    place = arena_at(worker_self.arena, room.result.offset);
    if (old.size)
        memcpy(place, arena_at(worker_self.arena, old.offset), old.size < size ? old.size : size);
    return place;
}

void *mpm_call_blob(mpm_call *call, size_t size)
{
    struct blob_ref *result = &room.result;
    void *place;

    if (!call)
        return NULL;
    if (!room.is_in_task || size > BLOB_MAX_SIZE) {
        mpm_fail(call,
                 room.is_in_task
                     ? "a result of %zu bytes is too large: at most 1 GiB is allowed"
                     : "a result of %zu bytes: only tasks of mpm_pool_map_blobs may allocate results",
                 size);
        return NULL;
    }
    if (result->offset && size <= room.page + room.size - result->offset) {
        result->size = size;
        room.used = result->offset + blob_rounded(size) - room.page;
        place = arena_at(worker_self.arena, result->offset);
    } else if (!(place = move_result(call, size))) {
        return NULL;
    }
    call->result_size = size;
    return place;
}

static void run_item(uint64_t item, const struct blob_ref *refs, struct blob_ref *results)
{
    size_t used = room.used;
    uint64_t page = room.page;
    int code;

    atomic_store_explicit(&worker_self.record->item, item, memory_order_relaxed);
    KILL_POINT();
    worker_self.call.index = worker_self.lease->first + worker_self.job->spec.first_index + item;
    worker_self.call.item_size = refs[item].size;
    worker_self.call.result_size = 0;
    room.result = (struct blob_ref){0};
    code = ((mpm_task *)worker_self.task)(&worker_self.call, (const char *)refs + refs[item].offset, NULL);
    context_back_from_program(code);
    if (code) {
        worker_item_has_failed(item, code);
        if (room.page == page)
            room.used = used;
        return;
    }
    worker_self.call.text[0] = 0; /* a room that it was refused did not matter */
    if (!room.result.offset)
        room.result.offset = worker_self.lease->results; /* of no bytes, but there */
    KILL_POINT();
    results[item] = room.result;
    KILL_POINT();
}

void worker_run_blobs(uint64_t from, uint64_t to)
{
    const struct lease_block *lease = worker_self.lease;
    const uint32_t *order = lease->order ? arena_at(worker_self.arena, lease->order) : NULL;
    const struct blob_ref *refs = arena_at(worker_self.arena, lease->items);
    struct blob_ref *results = arena_at(worker_self.arena, lease->results);
    uint64_t entered = atomic_load_explicit(&worker_self.record->entered, memory_order_relaxed);

    if (room.entered != entered) {
        room.entered = entered;
        room.page = room.size = room.used = 0;
        room.next_size = FIRST_PAGE;
    }
    room.is_in_task = true;
    for (uint64_t position = from; position < to; position++) {
        uint64_t item = order ? order[position] : position;

        run_item(item, refs, results);
        lease_set_bit(worker_self.done, item);
    }
    room.is_in_task = false;
}
