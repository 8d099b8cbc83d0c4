/* SPDX-License-Identifier: BSD-3-Clause */
/* How large an arena to make where nobody says. For core/ only. */
#ifndef CORE_ARENA_SIZE_H
#define CORE_ARENA_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes for each of `arenas` arenas of this machine: a quarter of what memory is free, and half of what
 * /dev/shm has free if the arena will stand there, shared among them; never under ARENA_MIN_SIZE. */
size_t arena_size_default(unsigned arenas, bool in_dev_shm);

#endif
