/* SPDX-License-Identifier: BSD-3-Clause */
/* A word in shared memory that processes wait on: spin a little, then sleep in the kernel.
 *
 * Who writes what: whoever changes something that others may wait for changes it first, and rings then.
 * Ringing moves `value` on and calls the kernel only if `sleepers` is not 0. Who waits looks at `value`
 * first, then at what it waits for, and sleeps only while `value` still is what it saw: the kernel compares
 * again after `sleepers` was raised, so no ring is missed. A waiter that is killed leaves `sleepers` too
 * high: that costs a system call a ring, and nothing else. A ringer that is killed between the change and
 * the ring leaves sleepers asleep: whoever reaps it rings in its place. For shm/ and the layers above it. */
#ifndef SHM_EVENTCOUNT_H
#define SHM_EVENTCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct eventcount {
    _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
};

/* A moment of spinning: the other thread of the core goes ahead. */
static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* What the word is now: look at it before looking at what is waited for. */
static inline uint32_t eventcount_prepare(struct eventcount *word)
{
    /* Pairs with the increments of the notifiers, which are fences. */
    return atomic_load_explicit(&word->value, memory_order_acquire);
}

/* Waits until the word is not `seen` any more: at most `spin_ns` of spinning, then asleep until `deadline_ns`
 * (of clock.h; CLOCK_FOREVER is allowed). false if the time came first. A signal does not end it. */
bool eventcount_wait(struct eventcount *word, uint32_t seen, uint64_t spin_ns, uint64_t deadline_ns);

/* Moves the word on, and wakes all who sleep on it. Whether any were woken. */
bool eventcount_notify(struct eventcount *word);

/* The same, but wakes one of them only: any of them will do, and does what there is to do. Whether one was woken. */
bool eventcount_notify_one(struct eventcount *word);

/* Spins for a while: whether the word is not `seen` any more. */
bool eventcount_spin(struct eventcount *word, uint32_t seen, uint64_t spin_ns);

/* The two halves of a ring, for whoever knows that somebody looks on who will do what there is to do, and wakes the
 * sleepers if that does not come true. */
void eventcount_advance(struct eventcount *word);
/* Wakes so many of those who sleep on it. */
void eventcount_wake(struct eventcount *word, uint32_t most);

/* How many sleep, or are about to look a last time before they do. */
static inline uint32_t eventcount_sleepers(struct eventcount *word)
{
    return atomic_load(&word->sleepers);
}

/* Moves the word on by a signal handler's hands, with nobody to wake but the interrupted process itself. */
static inline void eventcount_notify_from_handler(struct eventcount *word)
{
    /* Pairs with eventcount_prepare(). */
    atomic_fetch_add_explicit(&word->value, 1, memory_order_release);
}

#endif
