/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a courier looks on after an event before it naps: a nap is longer than most replies take, and nobody is
 * woken out of it by a message.
 *
 * After any event it looks for LOOK_SHORT_NS. While bytes are under way to it or from it, for LOOK_BUSY_NS. While calls
 * on objects go to and fro the next one often comes as soon as somebody has been woken by the last one: if it came
 * within LOOK_LONG_NS lately, the courier looks for as long, and every LOOK_TRIAL-th time in any case, since two
 * couriers that nap both would never learn that there is something to be gained. So what it looks in vain is bounded:
 * LOOK_LONG_LOOKS long looks after each that has paid, and one in LOOK_TRIAL of all.
 *
 * A trial must find the reply of a courier that naps, or nothing is learnt from it: LOOK_LONG_NS is longer than a nap
 * and what that takes to end. And the trials must come to every kind of event: after one kind, say when a call was
 * sent, there is something to be gained, and after the other, when its reply has come, perhaps not. As such events take
 * turns, LOOK_TRIAL is a prime.
 *
 * A pure state machine, driven by simulated time in tests. For net/courier.c. */
#ifndef NET_LOOK_ON_H
#define NET_LOOK_ON_H

#include <stdbool.h>
#include <stdint.h>

#define LOOK_SHORT_NS   20000u
#define LOOK_BUSY_NS    200000u
#define LOOK_LONG_NS    200000u
#define LOOK_LONG_LOOKS 4u
#define LOOK_TRIAL      17u

/* All 0 at first. */
struct look_on {
    uint32_t long_looks; /* that are left before it gives up */
    uint32_t looks;      /* so far, when none were left: for the trials */
    bool is_long;        /* the look that it is at */
};

/* An event has come: it begins to look. `is_lively`: calls go to and fro. */
void look_on_begin(struct look_on *look, bool is_lively);
/* How long it is to look, from then on. */
uint64_t look_on_time_ns(const struct look_on *look, bool is_busy);
/* The next event has come, so long after the last one. */
void look_on_found(struct look_on *look, uint64_t took_ns);
/* The look has ended without one. Once for each. */
void look_on_missed(struct look_on *look);

#endif
