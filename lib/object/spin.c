/* SPDX-License-Identifier: BSD-3-Clause */
/* What waits teach; see the header. */
#include "object/spin.h"

#include <string.h>

#include "base/clock.h"

#define MISSES       4u
#define ASLEEP_WAITS 32u /* from one long look to the next; twice and four times that after backing off */
#define LONG_LOOKS   32u /* the other side has a long look of its own within that many of its waits */
#define MOST_BACKOFF 2u
#define REST_NS      50u /* of a processor's pauses, which take 10 ns on one and 50 on another */
_Static_assert(MISSES + (ASLEEP_WAITS << MOST_BACKOFF) <= UINT8_MAX, "misses are counted in a byte");

static uint32_t word_of(struct spin_hint hint)
{
    uint32_t word;

    _Static_assert(sizeof word == sizeof hint, "a hint is a word");
    memcpy(&word, &hint, sizeof word);
    return word;
}

struct spin_hint spin_hint_of(const struct object_wait *wait)
{
    uint32_t word = atomic_load_explicit(&wait->spin_hint, memory_order_relaxed);
    struct spin_hint hint;

    memcpy(&hint, &word, sizeof hint);
    return hint;
}

/* How many misses there are at the next long look. */
static unsigned next_long_look(struct spin_hint hint)
{
    return MISSES + (ASLEEP_WAITS << hint.back_off);
}

uint64_t spin_time_ns(struct spin_hint hint, bool has_woken)
{
    if (hint.long_looks || hint.misses >= next_long_look(hint))
        return SPIN_LONG_NS;
    if (hint.misses >= MISSES)
        return 0;
    return has_woken ? SPIN_WAKE_NS : SPIN_SHORT_NS;
}

static struct spin_hint fall_asleep(struct spin_hint hint)
{
    hint.misses = MISSES;
    hint.long_looks = 0;
    if (hint.back_off < MOST_BACKOFF)
        hint.back_off++;
    return hint;
}

static struct spin_hint after_hit(struct spin_hint hint, uint64_t took_ns)
{
    if (took_ns <= SPIN_SHORT_NS)
        return (struct spin_hint){.rests = hint.rests};
    if (!hint.long_looks || took_ns <= SPIN_WAKE_NS)
        hint.long_looks = LONG_LOOKS;
    else if (!--hint.long_looks) {
        hint.long_looks = 1;
        return fall_asleep(hint);
    }
    return hint;
}

static struct spin_hint after_miss(struct spin_hint hint)
{
    if (hint.long_looks || hint.misses >= next_long_look(hint))
        return fall_asleep(hint);
    hint.misses++;
    return hint;
}

uint64_t spin_rest(uint64_t from_ns)
{
    uint64_t now_ns;

    do
        spin_pause();
    while ((now_ns = clock_now_ns()) < from_ns + REST_NS);
    return now_ns;
}

void spin_learn(struct object_wait *wait, struct spin_hint hint, bool is_found, uint64_t took_ns)
{
    struct spin_hint next = is_found ? after_hit(hint, took_ns) : after_miss(hint);

    if (word_of(next) != atomic_load_explicit(&wait->spin_hint, memory_order_relaxed))
        atomic_store_explicit(&wait->spin_hint, word_of(next), memory_order_relaxed);
}
