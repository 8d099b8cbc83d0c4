/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in a table of lives; see life.c for who writes what. Tests look into it, too. For shm/life.c. */
#ifndef SHM_LIFE_INSIDE_H
#define SHM_LIFE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define LIFE_LAST_GENERATION (UINT32_MAX - 1) /* that a place is taken with */
#define LIFE_MAX_SEGMENTS    16u

struct place {
    pthread_mutex_t held;
    _Atomic uint32_t generation;
    _Atomic uint32_t state;
};

struct life_table {
    uint32_t first;        /* places of the first segment: constant */
    _Atomic uint32_t turn; /* where the search for a place begins: a hint */
    _Atomic uint64_t
        segment[LIFE_MAX_SEGMENTS]; /* those behind the first, by offset from the table; 0: not there yet */
    struct place place[];
};

#endif
