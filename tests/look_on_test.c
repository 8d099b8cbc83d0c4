/* SPDX-License-Identifier: BSD-3-Clause */
/* How long couriers look on: two of them in simulated time, between which a process's calls go to and fro, without a
 * clock, a wire or anybody who waits. */
#include <CUnit/CUnit.h>

#include "net/look_on.h"
#include "suite.h"

#define WIRE_NS 15000u  /* a message on its way */
#define NAP_NS  130000u /* a nap, as long as it takes to begin and to end one on an idle machine */
#define WAKE_NS 50000u  /* from a doorbell until a courier that naps is awake */
#define CALLS   1000u
#define LEARNT  300u /* calls after which there is nothing to be learnt any more */

/* A courier between two events. */
struct side {
    struct look_on look;
    uint64_t event_ns;  /* the last one */
    uint64_t looked_ns; /* in all: by a long look, or a short one */
    unsigned long naps;
};

static void begin(struct side *side, uint64_t now_ns)
{
    look_on_begin(&side->look, true);
    side->event_ns = now_ns;
}

/* Something comes at that time: when it sees it, if it naps until its nap is over, or until it was woken. */
static uint64_t see(struct side *side, uint64_t comes_ns, bool is_woken)
{
    uint64_t look_ns = look_on_time_ns(&side->look, false), quiet_ns = comes_ns - side->event_ns;
    uint64_t seen_ns = comes_ns;

    if (quiet_ns <= look_ns) {
        look_on_found(&side->look, quiet_ns);
        side->looked_ns += quiet_ns;
    } else {
        look_on_missed(&side->look);
        side->looked_ns += look_ns;
        side->naps++;
        seen_ns = is_woken ? comes_ns + WAKE_NS : comes_ns + NAP_NS - (quiet_ns - look_ns) % NAP_NS;
    }
    begin(side, seen_ns);
    return seen_ns;
}

/* One call: the caller's courier is told of it, the home replies, the caller's courier brings it. When that is. */
static uint64_t call(struct side *caller, struct side *home, uint64_t now_ns)
{
    uint64_t sent_ns = see(caller, now_ns, true), served_ns = see(home, sent_ns + WIRE_NS, false);

    return see(caller, served_ns + WIRE_NS, false);
}

/* Calls, each so long after the reply to the last one. How many naps there were when there was nothing to be learnt
 * any more. */
static unsigned long naps_of_calls(struct side *caller, struct side *home, uint64_t apart_ns,
                                   uint64_t *now_ns)
{
    unsigned long before = 0;

    for (unsigned i = 0; i < CALLS; i++) {
        if (i == LEARNT)
            before = caller->naps + home->naps;
        *now_ns = call(caller, home, *now_ns + apart_ns);
    }
    return caller->naps + home->naps - before;
}

static void two_that_nap_come_to_look_on(void)
{
    static const uint64_t apart_ns[] = {2000, 10000, 30000, 60000, 90000};

    for (unsigned i = 0; i < sizeof apart_ns / sizeof *apart_ns; i++) {
        struct side caller = {.naps = 0}, home = {.naps = 0};
        uint64_t now_ns = 1000000000;

        begin(&caller, 0);
        begin(&home, 0);
        CU_ASSERT_EQUAL(naps_of_calls(&caller, &home, apart_ns[i], &now_ns), 0);
    }
}

/* And after a silence, in which both have unlearnt it. */
static void they_come_to_it_again(void)
{
    struct side caller = {.naps = 0}, home = {.naps = 0};
    uint64_t now_ns = 1000000000;

    begin(&caller, 0);
    begin(&home, 0);
    (void)naps_of_calls(&caller, &home, 10000, &now_ns);
    CU_ASSERT(naps_of_calls(&caller, &home, 3000000, &now_ns) > CALLS);
    CU_ASSERT_EQUAL(naps_of_calls(&caller, &home, 10000, &now_ns), 0);
}

/* What the home looks for in vain is a small part of the time. */
static void what_comes_rarely_is_hardly_looked_for(void)
{
    struct side caller = {.naps = 0}, home = {.naps = 0};
    uint64_t now_ns = 1000000000, began_ns = now_ns;

    begin(&caller, now_ns);
    begin(&home, now_ns);
    (void)naps_of_calls(&caller, &home, 2000000, &now_ns);
    CU_ASSERT(home.looked_ns < (now_ns - began_ns) / 50);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"two_that_nap_come_to_look_on", two_that_nap_come_to_look_on},
        {"they_come_to_it_again", they_come_to_it_again},
        {"what_comes_rarely_is_hardly_looked_for", what_comes_rarely_is_hardly_looked_for},
    };

    return suite_run("look_on", tests, sizeof tests / sizeof *tests);
}
