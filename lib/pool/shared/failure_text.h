/* SPDX-License-Identifier: BSD-3-Clause */
/* What mpm_fail() has said, as it stands in notes of failures (board.h) and in mailboxes. A short text is in its place;
 * a long one is in a block of the arena, and `text` then has the beginning of it.
 *
 * Who writes what, in which order, and what is true if the writer dies at each step:
 *
 * Worker: (1) allocates a block, which is owned by its own process, (2) writes the text into it, and in front of that
 * which block the place had last, (3) stores in `linking` of its record which place it is going to link it to, (4)
 * stores the block's offset in `blocks`, which commits, (5) passes the block to the pool's number, (6) stores 0 in
 * `linking`, (7) sets `is_long`. Whoever has the place reads it only when the note is ready, or the mailbox has its
 * reply. If it dies before 4, the block is its own, and is freed with all that the process has left. From 4 on it is
 * freed with the place.
 *
 * Fork server, when a worker has died, and before it frees what that has left: passes the block at the place that
 * `linking` names to the pool's number, and stores 0 there. So what is linked is never freed with the process, whether
 * that had come to 5 or not. Both may be done twice: the place, and all that it links, stay until the worker's record
 * names no lease, and its call has a reply.
 *
 * A place may be written once more: a worker that comes after a dead one has the same reserved note, or the same call.
 * So each block has the one before it behind it, and nothing has to be freed by a worker.
 *
 * Node pool, when nobody writes there any more: frees the blocks, and stores 0. If it dies in that, it is a process
 * whose pool is freed by its number, blocks included; or the run ends.
 *
 * For pool/. */
#ifndef POOL_SHARED_FAILURE_TEXT_H
#define POOL_SHARED_FAILURE_TEXT_H

#include <stdatomic.h>
#include <stdint.h>

#include "pool/shared/failure_list.h"
#include "shm/arena.h"

struct failure_text {
    _Atomic uint64_t blocks; /* offset of the last text_block; 0: none */
    uint32_t is_long;        /* the text is in that one */
    char text[FAILURE_SHORT_SIZE];
};

struct text_block {
    uint64_t next; /* the block that the place had before; or 0 */
    char text[];
};

/* All of it; "" if nothing was said. Valid until the place is freed. */
static inline const char *failure_text_of(const struct arena *arena, const struct failure_text *said)
{
    return said->is_long ? ((const struct text_block *)arena_at(arena, atomic_load(&said->blocks)))->text
                         : said->text;
}

static inline void failure_text_free(struct arena *arena, struct failure_text *said)
{
    uint64_t next;

    for (uint64_t offset = atomic_load(&said->blocks); offset; offset = next) {
        next = ((const struct text_block *)arena_at(arena, offset))->next;
        arena_free(arena, offset);
    }
    atomic_store(&said->blocks, 0);
}

#endif
