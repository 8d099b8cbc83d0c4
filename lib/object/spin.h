/* SPDX-License-Identifier: BSD-3-Clause */
/* How long who waits for an object goes on looking before it sleeps: what earlier waits at the same place have taught.
 *
 * A look costs a processor, and a sleep costs a wake-up, some microseconds of two. So whoever waits looks for about as
 * long as a wake-up takes, which is never much worse than to know. After a few waits that have ended asleep all the
 * same it looks no more: the other side does not run, or has long work to do.
 *
 * But two that take turns, and have slept once, would sleep ever after: each answers only when it has been woken, and
 * that takes longer than the other one looks. So now and then one wait looks on for longer than the other one needs to
 * be woken and to do its part. If that finds something, the next ones look as long, until the other side has come to do
 * so as well, and both find what they wait for at once, or sooner than a wake-up would have taken; or until they have
 * tried often enough. So two that copy a long message at each turn look on for one another.
 *
 *   SHORT --MISSES misses--> ASLEEP --every so many waits, one long look that finds--> LONG --+
 *     ^                        ^                                                       | ^    | found within WAKE_NS
 *     |                        +-- LONG_LOOKS of them that took longer, or a miss -----+ +----+
 *     +------------------------------ found within SHORT_NS ---------------------------+
 *
 * Whoever has just woken another thread waits most likely for what that one does next, which takes a wake-up at least:
 * a short look is in vain then, and where the kernel has put the other one on this CPU it even keeps it from running.
 * So in SHORT it looks on for WAKE_NS, which keeps one that was held up for once from making both sleep in turn, and
 * in ASLEEP not at all.
 *
 * Waits that may find many things at once, as those of a queue for messages, look on for SHORT_NS in ASLEEP, too, where
 * nobody was woken.
 *
 * All of it is a hint in one word, which whoever waits loads and stores: a lost store costs a look or a sleep. For
 * object/ and sync/. */
#ifndef OBJECT_SPIN_H
#define OBJECT_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "object/object.h"

#define SPIN_SHORT_NS 5000u   /* of a wake-up on the same CPU */
#define SPIN_WAKE_NS  30000u  /* of one on another CPU */
#define SPIN_LONG_NS  100000u /* of one, and what is done then */

/* What the word of an object_wait says; all 0 at first. */
struct spin_hint {
    uint8_t rests; /* before the first look; of waits that may find more than they need: see invoke.c */
    uint8_t
        misses; /* waits in a row that have ended asleep; from SPIN_MISSES on ASLEEP, and counted from there */
    uint8_t long_looks; /* that are left; 0: not LONG */
    uint8_t back_off;   /* how often a long look has led to nothing: ASLEEP is longer then */
};

struct spin_hint spin_hint_of(const struct object_wait *wait);
/* How long the next wait looks on: 0 or one of the times above. `has_woken`: who waits has just woken somebody. */
uint64_t spin_time_ns(struct spin_hint hint, bool has_woken);
/* It has found what it waited for after so long, or has not. Stored only if that changes the hint, whose line the
 * others have, too. `hint`: as it was before the wait, but for its rests. */
void spin_learn(struct object_wait *wait, struct spin_hint hint, bool is_found, uint64_t took_ns);

/* Between two looks at what somebody is about to change: who looks more often takes its lines away from whoever is at
 * it, between the look and the change. `from_ns`: the last look. What time it is then. */
uint64_t spin_rest(uint64_t from_ns);

#endif
