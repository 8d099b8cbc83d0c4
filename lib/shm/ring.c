/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings. A segment is a block of the arena with records one behind the other: a size, then so many bytes.
 *
 * Each side writes its own struct ring_side only. What it does is committed by one store (release) of
 * `committed`, which holds the number of messages so far, and which of the two places is true: the place
 * behind the last message is written into the other one before. So a putter
 *   - makes a segment, if the last one is full: its block carries the ring's owner from the start, an END
 *     record is written where the last segment ends, and the new one is linked behind it;
 *   - writes records, where no getter looks before the commit;
 *   - writes the other place, and commits.
 * A getter copies the payload out, writes the other place, commits, and frees the segments that it has left.
 * The getter reads links and END records only in front of committed messages, so it sees them whole.
 *
 * Death of a putter before the commit: the messages never were, and the next putter writes over them; a
 * segment may be left over, linked or not. Death of a getter before the commit: the message is the first
 * still. After it: segments that were left may not be freed. In each case the next holder of that lock is
 * told, and ring_sweep frees what is left over: it cuts the chain behind the putters' place, has each segment
 * of the chain owned by the other one of the ring's two owner numbers, frees what still has the old one, and
 * then stores the new one (commit). It writes nothing that a second sweep would not write again, so it may
 * die anywhere.
 *
 * A large message has a segment to itself (`alone`), and the segment for the next one is linked behind it
 * before the commit, so that the getter can free the large one as it takes the message.
 *
 * Such a segment may change hands with its message. Who puts one has made it as its own; it becomes the ring's before
 * it is linked, and is in the chain with the commit: a death in between leaves it to the sweep, as any other segment of
 * a put that was not committed, and a death before that to the reaper of the dead. Who takes one commits the get first,
 * and makes it its own then, where else it would free it; a death in between leaves it to the sweep, as after any get.
 *
 * A getter that gives a message back writes it into what was read of the segment already, right in front of the
 * first message; or, where that is too short, at the end of a new segment that leads to the getters' one, whose `first`
 * says before where it is to be gone on with; a block that has changed hands is such a segment again. Then it writes
 * the other place, and commits, as for a get, with a message less. If it dies before that, a segment is left over, and
 * `first` says what is true.
 *
 * `seen` is a cache: a value of the past, and so are all values of the other side's counter. A message that was given
 * back may make the ring longer than its maximum, by the messages that were put since. */
#include "shm/ring.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "shm/kill_point.h"
#include "shm/ring_inside.h"

#define HEADER_SIZE ((uint64_t)ARENA_ALIGNMENT) /* the arena's, of a block */
#define SEGMENT_MIN ((uint64_t)1024 - HEADER_SIZE)
#define SIZE_LIMIT  ((size_t)1 << 48)

struct segment {
    uint64_t next;
    uint64_t end; /* offset of the first byte behind it */
    uint64_t alone;
    uint64_t first; /* offset of the record that is to be got first, if it does not follow this; or 0 */
};

#define ALONE_AT (RING_BLOCK_AT - sizeof(struct ring_record)) /* where the record of a long message starts */
_Static_assert(ALONE_AT >= sizeof(struct segment), "it stands behind the segment's own part");

void ring_create(struct ring *ring, uint32_t owner, uint64_t maxsize)
{
    memset(ring, 0, sizeof *ring);
    ring->owner = owner;
    ring->maxsize = maxsize;
}

static struct segment *segment_at(struct arena *arena, uint64_t offset)
{
    return arena_at(arena, offset);
}

static uint64_t *link_behind(struct ring *ring, struct arena *arena, uint64_t segment)
{
    return segment ? &segment_at(arena, segment)->next : &ring->first;
}

static struct ring_place place_in(struct arena *arena, uint64_t segment)
{
    uint64_t first = segment_at(arena, segment)->first;

    return (struct ring_place){segment, first ? first : segment + sizeof(struct segment),
                               segment_at(arena, segment)->end};
}

/* Putting. */

static int make_segment(struct ring *ring, struct arena *arena, uint64_t size, bool alone, uint64_t *made)
{
    struct segment *segment;
    int status;

    if ((status = arena_alloc(arena, size, ring->owner, made)))
        return status;
    KILL_POINT();
    segment = segment_at(arena, *made);
    *segment = (struct segment){.end = *made + size, .alone = alone, .first = alone ? *made + ALONE_AT : 0};
    return MPM_OK;
}

/* As the last one was, and twice that if the getters lag behind by more than half of it. */
static uint64_t next_size(struct ring *ring, struct arena *arena, uint64_t last, uint64_t record)
{
    const struct segment *segment = last ? segment_at(arena, last) : NULL;
    uint64_t size = SEGMENT_MIN, backlog = ring_put_count(ring) - ring_got_count(ring);

    if (segment && !segment->alone)
        size = segment->end - last;
    if (backlog > size / record / 2)
        size = size * 2 + HEADER_SIZE;
    if (size < record * 4 + sizeof(struct segment))
        size = record * 4 + sizeof(struct segment);
    return size < RING_SEGMENT_MAX ? size : RING_SEGMENT_MAX;
}

/* Makes the segment that a message is to stand in, and the one behind it for one that stands alone. */
static int make_segments(struct ring *ring, struct arena *arena, uint64_t last, uint64_t size, uint64_t *made)
{
    uint64_t record = ring_record_size(size), behind;
    int status;

    if (size <= RING_SHORT)
        return make_segment(ring, arena, next_size(ring, arena, last, record), false, made);
    if ((status = make_segment(ring, arena, ALONE_AT + record, true, made)))
        return status;
    if ((status = make_segment(ring, arena, SEGMENT_MIN, false, &behind))) {
        arena_free(arena, *made);
        return status;
    }
    segment_at(arena, *made)->next = behind;
    return MPM_OK;
}

/* Goes on to a new segment. What is linked here is in front of the commit. */
static int enter_new_segment(struct ring *ring, struct arena *arena, uint64_t size, struct ring_place *place)
{
    uint64_t last = place->segment, made;
    int status;

    if ((status = make_segments(ring, arena, last, size, &made)))
        return status;
    if (place->record < place->end)
        ((struct ring_record *)arena_at(arena, place->record))->size = RING_END;
    KILL_POINT();
    *link_behind(ring, arena, last) = made;
    KILL_POINT();
    *place = place_in(arena, made);
    return MPM_OK;
}

/* Puts what fits into one segment: one message at least. */
static int put_piece(struct ring *ring, struct arena *arena, const struct ring_messages *messages,
                     uint64_t *put)
{
    struct ring_place place = ring_own_place(&ring->put);
    const char *bytes = messages->bytes;
    uint64_t done = 0, size = messages->size;
    int status;

    if (!ring_fits(&place, size) && (status = enter_new_segment(ring, arena, size, &place)))
        return status;
    do {
        ring_write(arena, &place, bytes + done * size, size);
        done++;
    } while (done < messages->count && ring_fits(&place, size));
    if (size > RING_SHORT)
        place = place_in(arena, segment_at(arena, place.segment)->next);
    ring_commit(&ring->put, place, done);
    *put = done;
    return MPM_OK;
}

/* How many of `count` messages there is room for. */
static uint64_t room_for(struct ring *ring, uint64_t count)
{
    uint64_t put = ring_own_word(&ring->put) >> 1, room = 0;

    if (!ring->maxsize)
        return count;
    if (put - ring->put.seen >= ring->maxsize || ring->maxsize - (put - ring->put.seen) < count)
        ring->put.seen = ring_got_count(ring);
    if (put - ring->put.seen < ring->maxsize)
        room = ring->maxsize - (put - ring->put.seen);
    return room < count ? room : count;
}

int ring_put(struct ring *ring, struct arena *arena, const struct ring_messages *messages, size_t *put)
{
    size_t size = messages->size, count = messages->count;
    uint64_t done = 0, piece, room;
    int status = MPM_OK;

    if (size > SIZE_LIMIT)
        return error_set(MPM_ENOMEM, "a message of %zu bytes is larger than any arena", size);
    if (count == 1 && ring_put_at_once(ring, arena, messages->bytes, size)) {
        *put = 1;
        return MPM_OK;
    }
    while (done < count && (room = room_for(ring, count - done))) {
        struct ring_messages rest = {(const char *)messages->bytes + done * size, size, room};

        if ((status = put_piece(ring, arena, &rest, &piece)))
            break;
        done += piece;
    }
    *put = done;
    return done ? MPM_OK : status;
}

/* Blocks that change hands. */

int ring_block_make(struct arena *arena, size_t size, uint32_t owner, struct ring_block *made)
{
    uint64_t block;
    int status;

    if (size > SIZE_LIMIT)
        return error_set(MPM_ENOMEM, "a message of %zu bytes is larger than any arena", size);
    if ((status = arena_alloc(arena, ALONE_AT + ring_record_size(size), owner, &block)))
        return status;
    *made = (struct ring_block){block, block + RING_BLOCK_AT, size};
    return MPM_OK;
}

/* Goes on to the block, which is the ring's from here on. */
static int enter_block(struct ring *ring, struct arena *arena, const struct ring_block *block,
                       struct ring_place *place)
{
    uint64_t record = block->block + ALONE_AT, behind;
    int status;

    if ((status = make_segment(ring, arena, SEGMENT_MIN, false, &behind)))
        return status;
    KILL_POINT();
    *segment_at(arena, block->block) = (struct segment){behind, record + ring_record_size(block->size), true,
                                                        record};
    ((struct ring_record *)arena_at(arena, record))->size = block->size;
    KILL_POINT();
    arena_pass(arena, block->block, ring->owner);
    KILL_POINT();
    if (place->record < place->end)
        ((struct ring_record *)arena_at(arena, place->record))->size = RING_END;
    KILL_POINT();
    *link_behind(ring, arena, place->segment) = block->block;
    KILL_POINT();
    *place = place_in(arena, behind);
    return MPM_OK;
}

int ring_put_block(struct ring *ring, struct arena *arena, struct ring_block *block, size_t *put)
{
    struct ring_place place = ring_own_place(&ring->put);
    int status;

    assert(ring_is_long(block->size) && block->at == block->block + RING_BLOCK_AT);
    *put = 0;
    if (!room_for(ring, 1))
        return MPM_OK;
    if ((status = enter_block(ring, arena, block, &place)))
        return status;
    ring_commit(&ring->put, place, 1);
    *block = (struct ring_block){0};
    *put = 1;
    return MPM_OK;
}

/* Getting. */

/* How many messages are there: at least one if there is any, and not always all. */
static inline uint64_t messages_in(struct ring *ring, uint64_t wanted)
{
    uint64_t got = ring_own_word(&ring->got) >> 1;

    if (ring->got.seen - got < wanted)
        ring->got.seen = ring_put_count(ring);
    return ring->got.seen - got;
}

/* The record at a place; the place goes on to it if that is in the next segment. There must be a message. */
static inline const struct ring_record *first_record(struct ring *ring, struct arena *arena,
                                                     struct ring_place *place)
{
    while (place->record == place->end ||
           ((const struct ring_record *)arena_at(arena, place->record))->size == RING_END)
        *place = place_in(arena, *link_behind(ring, arena, place->segment));
    return arena_at(arena, place->record);
}

static __attribute__((noinline)) void free_segments(struct arena *arena, uint64_t from, uint64_t to)
{
    while (from && from != to) {
        uint64_t next = segment_at(arena, from)->next;

        arena_free(arena, from);
        KILL_POINT();
        from = next;
    }
}

/* Commits that messages were got up to `place`, behind one of `size` bytes. */
static inline void leave(struct ring *ring, struct arena *arena, struct ring_place place, uint64_t size,
                         uint64_t messages)
{
    uint64_t from = ring_own_place(&ring->got).segment;

    if (size > RING_SHORT)
        place = place_in(arena, segment_at(arena, place.segment)->next);
    ring_commit(&ring->got, place, messages);
    if (from != place.segment)
        free_segments(arena, from ? from : ring->first, place.segment);
}

enum ring_result ring_get(struct ring *ring, struct arena *arena, void *message, size_t room, size_t *size)
{
    struct ring_place place = ring_own_place(&ring->got);
    const struct ring_record *record;
    uint64_t length;

    if (ring_get_at_once(ring, arena, message, room, size))
        return RING_DONE;
    if (!messages_in(ring, 1))
        return RING_EMPTY;
    record = first_record(ring, arena, &place);
    length = record->size;
    if (length > room) {
        *size = length;
        return RING_TOO_SMALL;
    }
    ring_copy(message, record->bytes, length);
    place.record += ring_record_size(length);
    KILL_POINT();
    leave(ring, arena, place, length, 1);
    *size = length;
    return RING_DONE;
}

enum ring_result ring_get_block(struct ring *ring, struct arena *arena, size_t least, size_t most,
                                uint32_t owner, struct ring_block *got)
{
    struct ring_place place = ring_own_place(&ring->got), behind;
    uint64_t from = place.segment ? place.segment : ring->first;
    const struct ring_record *record;

    if (!messages_in(ring, 1))
        return RING_EMPTY;
    record = first_record(ring, arena, &place);
    *got = (struct ring_block){place.segment, arena_offset(arena, record->bytes), record->size};
    if (!ring_is_long(got->size) || got->size < least || got->size > most)
        return RING_TOO_SMALL;
    behind = place_in(arena, segment_at(arena, got->block)->next);
    KILL_POINT();
    ring_commit(&ring->got, behind, 1);
    free_segments(arena, from, got->block);
    KILL_POINT();
    arena_pass(arena, got->block, owner);
    return RING_DONE;
}

/* The messages of one commit may stand in several segments. */
enum ring_result ring_get_many(struct ring *ring, struct arena *arena, void *messages,
                               struct ring_batch *batch)
{
    struct ring_place place = ring_own_place(&ring->got);
    uint64_t size = batch->size, there = messages_in(ring, batch->count), done = 0;

    if (!there)
        return RING_EMPTY;
    while (done < batch->count && done < there) {
        const struct ring_record *record = first_record(ring, arena, &place);

        if (!done)
            batch->first_size = record->size;
        if (record->size != size)
            break;
        ring_copy((char *)messages + done++ * size, record->bytes, size);
        place.record += ring_record_size(size);
    }
    KILL_POINT();
    if (done)
        leave(ring, arena, place, size, done);
    batch->got = done;
    return done ? RING_DONE : RING_TOO_SMALL;
}

/* Giving back. */

/* A place with room for a record right before the first message. */
static int place_before(struct ring *ring, struct arena *arena, uint64_t size, struct ring_place *place)
{
    uint64_t record = ring_record_size(size), length = SEGMENT_MIN, made;
    struct ring_place first = ring_own_place(&ring->got);
    int status;

    assert(first.segment); /* something was got */
    *place = first;
    if (size <= RING_SHORT && first.record - first.segment >= sizeof(struct segment) + record) {
        place->record -= record;
        return MPM_OK;
    }
    if (size > RING_SHORT)
        length = ALONE_AT + record;
    else if (length < sizeof(struct segment) + record)
        length = sizeof(struct segment) + record;
    if ((status = make_segment(ring, arena, length, size > RING_SHORT, &made)))
        return status;
    segment_at(arena, first.segment)->first = first.record;
    KILL_POINT();
    segment_at(arena, made)->next = first.segment;
    *place = place_in(arena, made);
    place->record = place->end - record;
    return MPM_OK;
}

int ring_give_back(struct ring *ring, struct arena *arena, const void *message, size_t size)
{
    struct ring_place place, behind;
    int status;

    if ((status = place_before(ring, arena, size, &place)))
        return status;
    behind = place;
    ring_write(arena, &behind, message, size);
    ring_commit(&ring->got, place, (uint64_t)-1);
    return MPM_OK;
}

void ring_give_back_block(struct ring *ring, struct arena *arena, struct ring_block *block)
{
    struct ring_place first = ring_own_place(&ring->got), place;

    assert(first.segment); /* something was got */
    place = (struct ring_place){block->block, block->at - sizeof(struct ring_record),
                                segment_at(arena, block->block)->end};
    KILL_POINT();
    arena_pass(arena, block->block, ring->owner);
    KILL_POINT();
    segment_at(arena, first.segment)->first = first.record;
    KILL_POINT();
    segment_at(arena, block->block)->next = first.segment;
    KILL_POINT();
    ring_commit(&ring->got, place, (uint64_t)-1);
    *block = (struct ring_block){0};
}

/* The whole. */

void ring_sweep(struct ring *ring, struct arena *arena)
{
    uint64_t first = ring_own_place(&ring->got).segment, last = ring_own_place(&ring->put).segment;
    uint32_t kept = ring->owner ^ 1;

    *link_behind(ring, arena, last) = 0;
    KILL_POINT();
    for (uint64_t at = first ? first : ring->first; at; at = segment_at(arena, at)->next) {
        arena_pass(arena, at, kept);
        KILL_POINT();
    }
    arena_free_owned(arena, ring->owner);
    KILL_POINT();
    ring->owner = kept;
}

void ring_free(struct ring *ring, struct arena *arena)
{
    uint64_t first = ring_own_place(&ring->got).segment;

    free_segments(arena, first ? first : ring->first, 0);
}

uint64_t ring_size(const struct ring *ring)
{
    uint64_t got, put;

    do {
        got = ring_got_count(ring);
        put = ring_put_count(ring);
    } while (got != ring_got_count(ring));
    return put - got;
}
