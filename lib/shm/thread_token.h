/* SPDX-License-Identifier: BSD-3-Clause */
/* Lives: which threads, of the processes that share memory, are still there.
 *
 * A thread token is a number that no two threads ever have, so it may stand in shared memory for the thread that
 * holds something there; anybody can ask whether it is over. A thread gets one when it first needs it, and
 * the kernel ends it with the thread, however that ends. A process that uses a table itself, and has not
 * inherited it by fork, is a lasting one: whoever shares the memory ends with it, so all of its threads have
 * one thread token, which is never over. Who writes what: see thread_token.c. For shm/ and forkserver/record.c. */
#ifndef SHM_THREAD_TOKEN_H
#define SHM_THREAD_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread_token_table;

/* Bits that no thread token has: whoever keeps one in a word may use them. */
#define THREAD_TOKEN_UNUSED_BITS UINT64_C(0x80000000)

/* How many bytes a table for so many threads takes. */
size_t thread_token_table_size(unsigned threads);
/* Makes a table in zeroed memory of that size, aligned as a pointer. */
void thread_token_table_create(struct thread_token_table *table, unsigned threads);
/* Adds a segment to a table (thread_token_add_segment); false if there is no memory for it, or it cannot grow any
 * more. Any process. */
typedef bool thread_token_grow(struct thread_token_table *table);
/* From now on this is the table of the calling process, which is a lasting one, and of those that it forks.
 * It must stay where it is in each forked process that has a thread token in it. `grow` may be NULL: then it does not
 * grow. */
void thread_token_table_use(struct thread_token_table *table, thread_token_grow *grow);

#define THREAD_TOKEN_MOST_PLACES (1u << 17) /* a table does not grow beyond */

/* For thread_token_grow, one at a time. How many bytes the next segment takes; 0 if the table cannot grow any more. */
size_t thread_token_next_segment_size(struct thread_token_table *table);
/* Adds it, in zeroed memory of that size, near the table in all processes; for good. */
void thread_token_add_segment(struct thread_token_table *table, void *zeroed);
/* What was added, from 0; NULL if it was not. */
void *thread_token_segment(struct thread_token_table *table, unsigned number);

/* How many threads of forked processes can have one at once in the table of the calling process, as it is now. */
unsigned thread_token_room(void);
/* Has it grow until it has room for so many; false if it cannot. */
bool thread_token_make_room(unsigned threads);

/* The calling thread's; 0 before it has one. */
extern __attribute__((tls_model("initial-exec"))) _Thread_local uint64_t own_thread_token;

/* Gives the calling thread one. Waits, and says so in the log, if there are as many threads as the table has room for
 * and it cannot grow. */
uint64_t thread_token_begin(void);
/* The same, but waits for a second at most. MPM_ENOMEM. */
int thread_token_begin_in_time(void);

/* Sees to it that the calling thread has one, wherever a call can fail: behind it nothing waits for a place.
 * MPM_ENOMEM. */
static inline int thread_token_ensure(void)
{
    return __builtin_expect(own_thread_token != 0, 1) ? 0 : thread_token_begin_in_time();
}

/* The thread token of the calling thread. */
static inline uint64_t thread_token_own(void)
{
    uint64_t thread_token = own_thread_token;

    return __builtin_expect(thread_token != 0, 1) ? thread_token : thread_token_begin();
}

/* Whether a thread of another thread token is no more. false may be said a little too long. */
bool thread_token_is_over(uint64_t thread_token);

#endif
