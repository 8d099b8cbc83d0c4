/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in a table of thread tokens; see thread_token.c for who writes what. Tests look into it, too. For
 * shm/thread_token.c. */
#ifndef SHM_THREAD_TOKEN_INSIDE_H
#define SHM_THREAD_TOKEN_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define THREAD_TOKEN_LAST_GENERATION (UINT32_MAX - 1) /* that a place is taken with */
#define THREAD_TOKEN_MAX_SEGMENTS    16u

struct place {
    pthread_mutex_t held;
    _Atomic uint32_t generation;
    _Atomic uint32_t state;
};

struct thread_token_table {
    uint32_t first;        /* places of the first segment: constant */
    _Atomic uint32_t turn; /* where the search for a place begins: a hint */
    _Atomic uint64_t segment
        [THREAD_TOKEN_MAX_SEGMENTS]; /* those behind the first, by offset from the table; 0: not there yet */
    struct place place[];
};

#endif
