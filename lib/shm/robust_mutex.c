/* SPDX-License-Identifier: BSD-3-Clause */
/* The robust mutex: one word, `holder`, that says who is inside.
 *
 * Who writes what: who enters takes the word from 0 to its own thread token by compare-and-swap, and who leaves
 * stores 0 (release). Nobody is ever inside whose thread token does not stand there, so a holder that dies, wherever,
 * leaves its thread token in the word. Who waits looks whether that thread token is over, and takes the word from it by
 * compare-and-swap to its own thread token, with DAMAGED: no two threads have one thread token, so one of those who see
 * the death gets in. It takes DAMAGED away when it has repaired; if it dies first, the next one is told again, and
 * so it is if it dies later, which is once too often and does no harm.
 *
 * Nobody is woken: sections are some tens of nanoseconds long, and whoever waits longer than a few of them
 * waits for a holder that does not run. It lets others run then, and sleeps longer and longer, so that a
 * holder that was stopped costs next to nothing. */
#include "shm/robust_mutex.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "shm/kill_point.h"
#include "shm/eventcount.h"

#define MAX_PAUSES   64u
#define SPINS        16u /* looks that are some pauses apart */
#define YIELDS       64u /* looks that let others run */
#define FIRST_NAP_NS 50000
#define LAST_NAP_NS  2000000

void robust_mutex_create(struct robust_mutex *mutex)
{
    atomic_store(&mutex->holder, 0);
}

/* Between one look and the next. */
static void pause_after(unsigned looks)
{
    struct timespec nap = {.tv_nsec = FIRST_NAP_NS};

    if (looks < SPINS) {
        for (unsigned i = 0; i < MAX_PAUSES && i < 1u << looks; i++)
            spin_pause();
        return;
    }
    if (looks < SPINS + YIELDS) {
        sched_yield();
        return;
    }
    for (unsigned i = SPINS + YIELDS; i < looks && nap.tv_nsec < LAST_NAP_NS; i++)
        nap.tv_nsec *= 2;
    nanosleep(&nap, NULL);
}

bool robust_mutex_lock_slowly(struct robust_mutex *mutex, uint64_t own)
{
    int saved_errno = errno;
    bool is_dead = false;

    for (unsigned looks = 0;; looks++) {
        uint64_t holder = atomic_load_explicit(&mutex->holder, memory_order_relaxed);

        if (holder && looks >= SPINS)
            is_dead = thread_token_is_over(holder & ~ROBUST_MUTEX_DAMAGED);
        /* Pairs with robust_mutex_unlock(). What a dead holder has written is seen by thread_token_is_over(). */
        if ((!holder || is_dead) && atomic_compare_exchange_strong_explicit(
                                        &mutex->holder, &holder, is_dead ? own | ROBUST_MUTEX_DAMAGED : own,
                                        memory_order_acquire, memory_order_relaxed))
            break;
        is_dead = false;
        pause_after(looks);
    }
    KILL_POINT();
    errno = saved_errno;
    return is_dead;
}

void robust_mutex_repaired(struct robust_mutex *mutex)
{
    /* Pairs with the acquires of those who get the lock. */
    atomic_store_explicit(&mutex->holder, thread_token_own(), memory_order_release);
}
