/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena's allocator: blocks that tile the memory, with boundary tags and free lists by size.
 *
 * The truth is the tiling: from `first` to `top` each block starts with a header whose `word` holds its
 * size, whether it is in use, and by whom, all in 64 bits. Every operation commits by one store of one word:
 *   - taking the front of a free block: the header of the rest is written first, inside the free block where
 *     nobody looks; the store of the front's word makes the two of one;
 *   - new memory at the end: populated and its header written beyond `top`; the store of `top` commits;
 *   - giving, freeing: the store of the word; merging with a free neighbour: the store of the left one's
 * word. All else (free lists, tags that tell the left neighbour's size) is derived. All of it is written
 * under one robust mutex; when its holder dies, at whatever store, the next one finds a true tiling, and
 * makes the derived data anew in one walk. A block that a dead process had committed but not given carries
 * its owner's number, by which the reaper frees it.
 *
 * Most of the dead own nothing, and a walk over a million blocks takes some 30 ms: `owned` counts the blocks of those
 * who own for a moment, by the last digits of their numbers, so that a reaper need not look where there is nothing. It
 * goes up before the word that gives a block an owner is stored, and down behind the one that takes it away, so it
 * may be too high for ever where somebody died in between, and never too low.
 *
 * The table of thread tokens grows under a mutex of its own, `growth`. A new segment is a block of
 * THREAD_TOKENS_OWNER's until one store makes it part of the table, and is given then. Whoever grows next gives what is
 * part of it, and frees what else THREAD_TOKENS_OWNER has, so a death leaves nothing, and nothing is freed that the
 * table has. */
#include "shm/arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "shm/kill_point.h"
#include "shm/thread_token.h"
#include "shm/robust_mutex.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define ARENA_MAGIC         0x616d70616d61726eull
#define UNIT                ((uint64_t)ARENA_ALIGNMENT) /* sizes are counted in units; a header is one */
#define POPULATE_STEP       ((uint64_t)1 << 20)
#define BINS                40
#define FIRST_THREAD_TOKENS 256u /* the table of thread tokens grows from there */
#define THREAD_TOKENS_OWNER \
    (ARENA_FIRST_LASTING_OWNER - 1) /* of a segment of it that is just made: no process's number */
#define COUNTS 256u

/* The word: size in units, then owner, then the lowest bit: in use. */
#define WORD(units, owner, used) ((uint64_t)(units) << 23 | (uint64_t)(owner) << 1 | (used))
#define WORD_UNITS(word)         ((word) >> 23)
#define WORD_OWNER(word)         ((uint32_t)((word) >> 1) & ARENA_MAX_OWNER)
#define WORD_USED(word)          ((word)&1)

struct block {
    _Atomic uint64_t word;   /* the truth */
    uint64_t left_units;     /* derived: size of the block to the left; 0 for the first */
    uint64_t next, previous; /* derived: neighbours in the free list, by offset */
    uint64_t padding[4];
};
_Static_assert(sizeof(struct block) == ARENA_ALIGNMENT, "a header is one unit");

struct arena {
    uint64_t magic;
    uint64_t size;  /* bytes */
    uint64_t first; /* where the tiling starts: behind this and the table of thread tokens */
    _Atomic uint64_t root[ARENA_ROOTS];
    _Alignas(64) struct robust_mutex mutex;
    struct robust_mutex growth;        /* of the table of thread tokens */
    _Alignas(64) _Atomic uint64_t top; /* the tiling's end */
    uint64_t last;                     /* derived: the block before top, 0 if there is none */
    uint64_t populated;                /* bytes from the start that memory has been taken for */
    uint64_t bin[BINS];                /* derived: free blocks of 2^i units and more, below 2^(i+1) */
    _Atomic uint32_t owned[COUNTS];    /* blocks of those who own for a moment; or more */
};

static struct block *block_at(const struct arena *arena, uint64_t offset)
{
    return arena_at(arena, offset);
}

static uint64_t load_word(const struct block *block)
{
    return atomic_load_explicit(&block->word, memory_order_relaxed);
}

static void commit_word(struct block *block, uint64_t word)
{
    KILL_POINT();
    /* Pairs with the acquire of whoever gets the lock next, also if this process dies here. */
    atomic_store_explicit(&block->word, word, memory_order_release);
    KILL_POINT();
}

static bool is_counted(uint32_t owner)
{
    return owner != ARENA_NO_OWNER && owner < ARENA_FIRST_LASTING_OWNER;
}

/* Before an owner has one more block, or behind its having one less, by `change`. */
static void count_owned(struct arena *arena, uint32_t owner, int change)
{
    if (is_counted(owner))
        atomic_fetch_add(&arena->owned[owner % COUNTS], (uint32_t)change);
}

static uint64_t load_top(const struct arena *arena)
{
    return atomic_load_explicit(&arena->top, memory_order_relaxed);
}

/* Memory: taken before it is used. */

/* Before Linux 5.14, or where a sandbox forbids madvise to say so: the kernel itself writes zeros there, and tells
 * where it cannot. */
static int populate_by_read(void *start, size_t size)
{
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;

    if (zeros < 0)
        return -1;
    for (size_t done = 0; done < size && got > 0; done += (size_t)got)
        got = read(zeros, (char *)start + done, size - done);
    close(zeros);
    return got > 0 ? 0 : -1;
}

static int populate_range(void *start, size_t size)
{
    if (!madvise(start, size, MADV_POPULATE_WRITE))
        return 0;
    if (errno == ENOMEM || errno == EFAULT)
        return -1;
    return populate_by_read(start, size);
}

/* Makes sure that bytes up to `end` can be written. Only memory that nobody has used is touched. */
static int populate(struct arena *arena, uint64_t end)
{
    uint64_t from = arena->populated, to;

    if (end <= from)
        return MPM_OK;
    to = (end + POPULATE_STEP - 1) / POPULATE_STEP * POPULATE_STEP;
    if (to > arena->size)
        to = arena->size;
    if (populate_range((char *)arena + from, to - from))
        return error_set(MPM_ENOMEM,
                         "the arena of %llu bytes cannot grow past %llu: the machine has no more memory "
                         "(or its /dev/shm is full)",
                         (unsigned long long)arena->size, (unsigned long long)from);
    KILL_POINT();
    arena->populated = to;
    return MPM_OK;
}

/* Free lists: derived data. */

static unsigned bin_of(uint64_t units)
{
    unsigned bin = 63u - (unsigned)__builtin_clzll(units);

    return bin < BINS ? bin : BINS - 1;
}

static void list_push(struct arena *arena, struct block *block)
{
    uint64_t *head = &arena->bin[bin_of(WORD_UNITS(load_word(block)))], offset = arena_offset(arena, block);

    block->previous = 0;
    block->next = *head;
    KILL_POINT();
    if (*head)
        block_at(arena, *head)->previous = offset;
    KILL_POINT();
    *head = offset;
    KILL_POINT();
}

static void list_remove(struct arena *arena, struct block *block)
{
    if (block->next)
        block_at(arena, block->next)->previous = block->previous;
    KILL_POINT();
    if (block->previous)
        block_at(arena, block->previous)->next = block->next;
    else
        arena->bin[bin_of(WORD_UNITS(load_word(block)))] = block->next;
}

/* The block to the right, or NULL at the end. */
static struct block *right_of(const struct arena *arena, const struct block *block)
{
    uint64_t offset = arena_offset(arena, block) + WORD_UNITS(load_word(block)) * UNIT;

    return offset < load_top(arena) ? block_at(arena, offset) : NULL;
}

/* Tells the right neighbour, or the arena, how long this block is. */
static void tag_right(struct arena *arena, struct block *block)
{
    struct block *right = right_of(arena, block);

    if (right)
        right->left_units = WORD_UNITS(load_word(block));
    else
        arena->last = arena_offset(arena, block);
    KILL_POINT();
}

/* Makes all derived data anew from the tiling, and merges free neighbours on the way. */
static void rebuild(struct arena *arena)
{
    struct block *left = NULL;
    uint64_t top = load_top(arena);

    memset(arena->bin, 0, sizeof arena->bin);
    KILL_POINT();
    arena->last = 0;
    for (uint64_t at = arena->first; at < top;) {
        struct block *block = block_at(arena, at);
        uint64_t word = load_word(block), units = WORD_UNITS(word);

        if (left && !WORD_USED(word) && !WORD_USED(load_word(left))) {
            commit_word(left, WORD(WORD_UNITS(load_word(left)) + units, ARENA_NO_OWNER, 0));
        } else {
            block->left_units = left ? WORD_UNITS(load_word(left)) : 0;
            if (left && !WORD_USED(load_word(left)))
                list_push(arena, left);
            left = block;
        }
        at += units * UNIT;
    }
    if (left && !WORD_USED(load_word(left)))
        list_push(arena, left);
    if (left)
        arena->last = arena_offset(arena, left);
}

static void lock(struct arena *arena)
{
    if (robust_mutex_lock(&arena->mutex)) {
        KILL_POINT();
        rebuild(arena);
        KILL_POINT();
        robust_mutex_repaired(&arena->mutex);
    }
    KILL_POINT();
}

static void unlock(struct arena *arena)
{
    KILL_POINT();
    robust_mutex_unlock(&arena->mutex);
    KILL_POINT();
}

/* Allocation. */

/* A free block of `units` or more: the first that fits of the own bin, else any of a larger one. */
static struct block *find_free(struct arena *arena, uint64_t units)
{
    unsigned bin = bin_of(units);

    for (uint64_t at = arena->bin[bin]; at; at = block_at(arena, at)->next) {
        if (WORD_UNITS(load_word(block_at(arena, at))) >= units)
            return block_at(arena, at);
    }
    while (++bin < BINS) {
        if (arena->bin[bin])
            return block_at(arena, arena->bin[bin]);
    }
    return NULL;
}

/* Takes the front of a free block and leaves the rest free. */
static void take(struct arena *arena, struct block *block, uint64_t units, uint32_t owner)
{
    uint64_t rest = WORD_UNITS(load_word(block)) - units;
    struct block *remainder = NULL;

    list_remove(arena, block);
    if (rest >= 2) {
        remainder = block_at(arena, arena_offset(arena, block) + units * UNIT);
        atomic_store_explicit(&remainder->word, WORD(rest, ARENA_NO_OWNER, 0), memory_order_relaxed);
    } else {
        units += rest;
    }
    commit_word(block, WORD(units, owner, 1));
    tag_right(arena, block);
    if (remainder) {
        tag_right(arena, remainder);
        list_push(arena, remainder);
    }
}

/* Puts a block of `units`, with this word, at the end of the tiling. MPM_ENOMEM. */
static int append(struct arena *arena, uint64_t units, uint64_t word)
{
    uint64_t top = load_top(arena);
    struct block *block = block_at(arena, top);

    if (units > (arena->size - top) / UNIT)
        return error_set(MPM_ENOMEM, "the arena of %llu bytes is full: set a larger MPMAP_ARENA",
                         (unsigned long long)arena->size);
    if (populate(arena, top + units * UNIT))
        return MPM_ENOMEM;
    block->left_units = arena->last ? WORD_UNITS(load_word(block_at(arena, arena->last))) : 0;
    commit_word(block, word);
    /* Pairs with the acquire of whoever gets the lock next, also if this process dies here. */
    atomic_store_explicit(&arena->top, top + units * UNIT, memory_order_release);
    KILL_POINT();
    arena->last = top;
    KILL_POINT();
    return MPM_OK;
}

/* A new block at the end of the tiling; if the last one is free, it is the new one's front. NULL if the arena
 * ends before. */
static struct block *extend(struct arena *arena, uint64_t units, uint32_t owner)
{
    struct block *last = arena->last ? block_at(arena, arena->last) : NULL;
    uint64_t missing;

    if (!last || WORD_USED(load_word(last)))
        return append(arena, units, WORD(units, owner, 1)) ? NULL : block_at(arena, arena->last);
    missing = units - WORD_UNITS(load_word(last));
    if (append(arena, missing, WORD(missing, ARENA_NO_OWNER, 0)))
        return NULL;
    list_remove(arena, last);
    commit_word(last, WORD(units, owner, 1));
    arena->last = arena_offset(arena, last);
    return last;
}

int arena_alloc(struct arena *arena, size_t size, uint32_t owner, uint64_t *offset)
{
    uint64_t units = 1 + (size ? ((uint64_t)size + UNIT - 1) / UNIT : 1);
    struct block *block;
    int status;

    assert(owner <= ARENA_MAX_OWNER);
    if ((status = thread_token_ensure()))
        return status;
    if (size > arena->size)
        return error_set(MPM_ENOMEM, "%zu bytes do not fit into the arena of %llu: set a larger MPMAP_ARENA",
                         size, (unsigned long long)arena->size);
    count_owned(arena, owner, 1);
    lock(arena);
    if ((block = find_free(arena, units)))
        take(arena, block, units, owner);
    else
        block = extend(arena, units, owner);
    unlock(arena);
    if (!block) {
        count_owned(arena, owner, -1);
        return MPM_ENOMEM;
    }
    *offset = arena_offset(arena, block) + UNIT;
    return MPM_OK;
}

void arena_give(struct arena *arena, uint64_t offset)
{
    arena_pass(arena, offset, ARENA_NO_OWNER);
}

void arena_pass(struct arena *arena, uint64_t offset, uint32_t owner)
{
    struct block *block = block_at(arena, offset - UNIT);
    uint64_t before = load_word(block);

    assert(owner <= ARENA_MAX_OWNER);
    count_owned(arena, owner, 1);
    commit_word(block, WORD(WORD_UNITS(before), owner, 1));
    count_owned(arena, WORD_OWNER(before), -1);
}

/* Frees a block and merges it with free neighbours. Under the lock. */
static void release(struct arena *arena, struct block *block)
{
    uint64_t before = load_word(block);
    struct block *right, *left;

    commit_word(block, WORD(WORD_UNITS(before), ARENA_NO_OWNER, 0));
    count_owned(arena, WORD_OWNER(before), -1);
    if ((right = right_of(arena, block)) && !WORD_USED(load_word(right))) {
        list_remove(arena, right);
        commit_word(block,
                    WORD(WORD_UNITS(load_word(block)) + WORD_UNITS(load_word(right)), ARENA_NO_OWNER, 0));
    }
    if (block->left_units) {
        left = block_at(arena, arena_offset(arena, block) - block->left_units * UNIT);
        if (!WORD_USED(load_word(left))) {
            list_remove(arena, left);
            commit_word(left,
                        WORD(WORD_UNITS(load_word(left)) + WORD_UNITS(load_word(block)), ARENA_NO_OWNER, 0));
            block = left;
        }
    }
    tag_right(arena, block);
    list_push(arena, block);
}

/* Whether a block in use starts there, as far as its surroundings can tell. Under the lock. */
static bool is_block(const struct arena *arena, uint64_t offset)
{
    uint64_t at = offset - UNIT, end, top = load_top(arena), word;

    if (offset % UNIT || offset < arena->first + UNIT || offset >= top)
        return false;
    word = load_word(block_at(arena, at));
    end = at + WORD_UNITS(word) * UNIT;
    if (!WORD_USED(word) || end <= offset || end > top)
        return false;
    return end == top ? arena->last == at : block_at(arena, end)->left_units == WORD_UNITS(word);
}

void arena_free(struct arena *arena, uint64_t offset)
{
    int saved_errno = errno;
    bool known;

    if (!offset)
        return;
    lock(arena);
    if ((known = is_block(arena, offset)))
        release(arena, block_at(arena, offset - UNIT));
    unlock(arena);
    if (!known)
        log_write(MPM_LOG_ERROR, "freed offset %llu of the arena, where no block in use starts",
                  (unsigned long long)offset);
    errno = saved_errno;
}

size_t arena_room(struct arena *arena, uint64_t offset, uint32_t owner)
{
    uint64_t word = 0;

    lock(arena);
    if (is_block(arena, offset))
        word = load_word(block_at(arena, offset - UNIT));
    unlock(arena);
    return word && WORD_OWNER(word) == owner ? (WORD_UNITS(word) - 1) * UNIT : 0;
}

size_t arena_free_owned(struct arena *arena, uint32_t owner)
{
    size_t freed = 0;

    if (is_counted(owner) && !atomic_load(&arena->owned[owner % COUNTS]))
        return 0;
    lock(arena);
    for (uint64_t at = arena->first; at < load_top(arena);) {
        struct block *block = block_at(arena, at);
        uint64_t word = load_word(block);

        at += WORD_UNITS(word) * UNIT;
        if (WORD_USED(word) && WORD_OWNER(word) == owner) {
            release(arena, block);
            freed++;
        }
    }
    unlock(arena);
    return freed;
}

/* The whole. */

static struct thread_token_table *thread_tokens_of(struct arena *arena)
{
    return (struct thread_token_table *)(arena + 1);
}

static uint64_t lives_segment(struct arena *arena, unsigned number)
{
    void *segment = thread_token_segment(thread_tokens_of(arena), number);

    return segment ? arena_offset(arena, segment) : 0;
}

/* What one who died in growing has left: what is part of the table is nobody's, the rest is freed. */
static void finish_growth(struct arena *arena)
{
    uint64_t segment;

    for (unsigned i = 0; (segment = lives_segment(arena, i)); i++)
        arena_give(arena, segment);
    arena_free_owned(arena, THREAD_TOKENS_OWNER);
}

/* Under `growth`. A segment is THREAD_TOKENS_OWNER's until the store that makes it part of the table, and given
 * then. */
static bool add_lives(struct arena *arena, unsigned seen)
{
    size_t size = thread_token_next_segment_size(thread_tokens_of(arena));
    uint64_t offset;

    if (thread_token_room() > seen)
        return true;
    finish_growth(arena);
    if (!size || arena_alloc(arena, size, THREAD_TOKENS_OWNER, &offset))
        return false;
    KILL_POINT();
    thread_token_add_segment(thread_tokens_of(arena), memset(arena_at(arena, offset), 0, size));
    arena_give(arena, offset);
    return true;
}

static bool grow_lives(struct thread_token_table *table)
{
    struct arena *arena = (struct arena *)table - 1;
    unsigned seen = thread_token_room();
    bool has_grown;

    robust_mutex_lock(&arena->growth);
    has_grown = add_lives(arena, seen);
    robust_mutex_repaired(&arena->growth);
    robust_mutex_unlock(&arena->growth);
    return has_grown;
}

int arena_format(void *memory, size_t size, struct arena **arena)
{
    struct arena *made = memory;

    if (size < ARENA_MIN_SIZE)
        return error_set(MPM_EINVAL, "an arena of %zu bytes is too small: it needs at least %u", size,
                         ARENA_MIN_SIZE);
    if (populate_range(memory, POPULATE_STEP))
        return error_set_errno(MPM_ENOMEM,
                               "cannot get memory for the first %2$llu bytes of the arena of %1$zu", size,
                               (unsigned long long)POPULATE_STEP);
    made->size = size / UNIT * UNIT;
    made->populated = POPULATE_STEP;
    made->first = (sizeof *made + thread_token_table_size(FIRST_THREAD_TOKENS) + UNIT - 1) / UNIT * UNIT;
    atomic_store(&made->top, made->first);
    thread_token_table_create(thread_tokens_of(made), FIRST_THREAD_TOKENS);
    thread_token_table_use(thread_tokens_of(made), grow_lives);
    robust_mutex_create(&made->mutex);
    robust_mutex_create(&made->growth);
    made->magic = ARENA_MAGIC;
    *arena = made;
    return MPM_OK;
}

int arena_attach(void *memory, struct arena **arena)
{
    struct arena *there = memory;

    if (there->magic != ARENA_MAGIC)
        return error_set(MPM_ESTATE, "the memory that this node's ranks share does not hold an arena");
    thread_token_table_use(thread_tokens_of(there), grow_lives);
    *arena = there;
    return MPM_OK;
}

int arena_make_root(struct arena *arena, enum arena_root root, size_t size)
{
    uint64_t offset;
    int status;

    if ((status = arena_alloc(arena, size, ARENA_NO_OWNER, &offset)))
        return status;
    memset(arena_at(arena, offset), 0, size);
    /* Pairs with arena_root(). */
    atomic_store_explicit(&arena->root[root], offset, memory_order_release);
    return MPM_OK;
}

void *arena_root(const struct arena *arena, enum arena_root root)
{
    /* Pairs with arena_make_root(). */
    return arena_at(arena, atomic_load_explicit(&arena->root[root], memory_order_acquire));
}

void arena_usage(struct arena *arena, struct arena_usage *usage)
{
    struct arena_usage now = {.size = arena->size};

    lock(arena);
    for (uint64_t at = arena->first; at < load_top(arena);) {
        uint64_t word = load_word(block_at(arena, at));

        if (WORD_USED(word)) {
            now.used += WORD_UNITS(word) * UNIT;
            now.used_blocks++;
        } else {
            now.free_blocks++;
        }
        at += WORD_UNITS(word) * UNIT;
    }
    now.touched = arena->populated;
    unlock(arena);
    *usage = now;
}

static int false_block(uint64_t at, const char *what)
{
    return error_set(MPM_ESTATE, "the block at %llu %s", (unsigned long long)at, what);
}

/* Checks the tiling, and counts the free blocks. */
static int check_tiling(const struct arena *arena, size_t *free_blocks)
{
    uint64_t top = load_top(arena), left = 0, left_units = 0;
    bool left_is_free = false;

    for (uint64_t at = arena->first; at < top; at += left_units * UNIT) {
        const struct block *block = block_at(arena, at);
        uint64_t word = load_word(block);

        if (!WORD_UNITS(word) || at + WORD_UNITS(word) * UNIT > top)
            return false_block(at, "has an impossible size");
        if (block->left_units != left_units)
            return false_block(at, "has a wrong tag");
        if (left_is_free && !WORD_USED(word))
            return false_block(at, "is free and not merged with the free one to its left");
        left = at;
        left_units = WORD_UNITS(word);
        left_is_free = !WORD_USED(word);
        *free_blocks += left_is_free;
    }
    return arena->last == left ? MPM_OK : false_block(arena->last, "is recorded as the last one, but is not");
}

/* Checks that a list holds free blocks of its sizes, linked both ways, and takes them off the count. */
static int check_list(const struct arena *arena, unsigned bin, size_t *unlisted)
{
    uint64_t previous = 0;

    for (uint64_t at = arena->bin[bin]; at; previous = at, at = block_at(arena, at)->next) {
        uint64_t word = load_word(block_at(arena, at));

        if (WORD_USED(word) || bin_of(WORD_UNITS(word)) != bin)
            return false_block(at, "is in the wrong free list");
        if (block_at(arena, at)->previous != previous)
            return false_block(at, "does not point back at its neighbour in its list");
        if (!(*unlisted)--)
            return false_block(at, "is listed twice, or is not free");
    }
    return MPM_OK;
}

static int check_locked(const struct arena *arena)
{
    size_t unlisted = 0;
    int status = check_tiling(arena, &unlisted);

    for (unsigned bin = 0; !status && bin < BINS; bin++)
        status = check_list(arena, bin, &unlisted);
    if (!status && unlisted)
        status = error_set(MPM_ESTATE, "%zu free blocks are in no list", unlisted);
    return status;
}

int arena_check(struct arena *arena)
{
    int status;

    lock(arena);
    status = check_locked(arena);
    unlock(arena);
    return status;
}
