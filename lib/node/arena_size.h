/* SPDX-License-Identifier: BSD-3-Clause */
/* How large an arena to make where nobody says. For node/ and run/. */
#ifndef NODE_ARENA_SIZE_H
#define NODE_ARENA_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes for each of `arenas` arenas of this machine: a quarter of what memory is free, and half of what
 * /dev/shm has free if the arena will stand there, shared among them; a quarter of what addresses a process may
 * have at most; never under ARENA_MIN_SIZE. */
size_t arena_size_default(unsigned arenas, bool in_dev_shm);

/* 0 if `arenas` arenas of so many bytes each are within `limit`, of arena_group_limit(); else MPM_ENOMEM with both, and
 * what would be right. */
int arena_size_check(size_t size, unsigned arenas, uint64_t limit);

/* The least limit in bytes that control groups set to the memory of a process: its own group, and those above
 * it. UINT64_MAX if there is none.
 * @param own_groups  a file like /proc/self/cgroup
 * @param groups      the folder that all groups stand in: /sys/fs/cgroup */
uint64_t arena_group_limit(const char *own_groups, const char *groups);

#endif
