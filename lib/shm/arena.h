/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena: memory that all processes of a node share, and an allocator inside it.
 *
 * It may stand at different addresses in different processes, so what stands in it refers to other parts by
 * offset from its start; offset 0 is none. Memory is populated before it is handed out: running out is
 * MPM_ENOMEM, never SIGBUS. For shm/ and the layers above it.
 *
 * Who writes what, in which order, and what is true when the writer dies: see arena.c. */
#ifndef SHM_ARENA_H
#define SHM_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena;

#define ARENA_ALIGNMENT 64         /* of every block */
#define ARENA_MIN_SIZE  (1u << 20) /* less makes no sense */
#define ARENA_NO_OWNER  0u         /* of a block that a structure has taken, or that the user holds */
#define ARENA_MAX_OWNER ((1u << 22) - 1)
/* Owners from here on are pools and objects, which own for as long as they are there. Those below are processes: what
 * they own they are just making or freeing. */
#define ARENA_FIRST_LASTING_OWNER 0x18000u

/* Where layers hang what they keep in the arena, by offset. */
enum arena_root {
    ARENA_ROOT_FORKSERVERS,
    ARENA_ROOT_NODE,
    ARENA_ROOT_OBJECTS,
    ARENA_ROOT_CALLS,
    ARENA_ROOT_PROCESSES,
    ARENA_ROOT_POSTS,
    ARENA_ROOT_POOLS,
    ARENA_ROOT_LOST_NODES,
    ARENA_ROOTS = 8
};

/* Formats zeroed memory of `size` bytes as an arena. By one process, before the others look. Its table of
 * lives is the process's from here on (shm/thread_token.h). MPM_EINVAL if it is too small, MPM_ENOMEM if its first
 * pages cannot be had. */
int arena_format(void *memory, size_t size, struct arena **arena);
/* The arena in memory that another process has formatted; the same of its thread tokens. MPM_ESTATE if none is
 * there. */
int arena_attach(void *memory, struct arena **arena);

/* A block of at least `size` bytes, not zeroed. Until arena_give() it is the process's with the number
 * `owner`, and arena_free_owned() frees it when that dies. MPM_ENOMEM. Blocks for the arena's lock. */
int arena_alloc(struct arena *arena, size_t size, uint32_t owner, uint64_t *offset);
/* A structure has taken the block: it is nobody's from here on. */
void arena_give(struct arena *arena, uint64_t offset);
/* The block is `owner`'s from here on. */
void arena_pass(struct arena *arena, uint64_t offset, uint32_t owner);
/* Frees a block; offset 0 is fine. Keeps errno. An offset that is no block in use is an error in the log. */
void arena_free(struct arena *arena, uint64_t offset);
/* How many bytes a block in use has, if one starts there, and is `owner`'s; else 0. */
size_t arena_room(struct arena *arena, uint64_t offset, uint32_t owner);
/* Frees all blocks of a dead process, or of a pool or an object. How many there were. It takes as long as the arena has
 * blocks, but for a process that owns none. */
size_t arena_free_owned(struct arena *arena, uint32_t owner);

static inline void *arena_at(const struct arena *arena, uint64_t offset)
{
    return (char *)(uintptr_t)arena + offset;
}

static inline uint64_t arena_offset(const struct arena *arena, const void *address)
{
    return (uint64_t)((const char *)address - (const char *)arena);
}

/* Hangs a zeroed block there. By one process, before others look. MPM_ENOMEM. */
int arena_make_root(struct arena *arena, enum arena_root root, size_t size);
/* What hangs there. */
void *arena_root(const struct arena *arena, enum arena_root root);

/* What the arena holds. */
struct arena_usage {
    size_t size;        /* bytes in all */
    size_t used;        /* bytes in blocks in use, their headers included */
    size_t used_blocks; /* blocks in use */
    size_t free_blocks; /* free blocks between them */
    size_t touched;     /* bytes that memory has been taken for */
};
void arena_usage(struct arena *arena, struct arena_usage *usage);

/* Walks all blocks and free lists and checks that they agree: for tests. 0, or MPM_ESTATE with what is wrong.
 */
int arena_check(struct arena *arena);

#endif
