/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of a queue's ring when a process is killed at any point of put, get or sweep.
 *
 * This program has its own build of shm/, with kill points in it. Each operation is run in a child that dies
 * at its first kill point, in another one that dies at its second, and so on until one gets through. After
 * each death the ring holds what it held before the operation or after it (of a batch that was put, any
 * number from the front), the next put and get go on, and no memory of the arena is lost. Whoever sweeps is
 * killed at each of its own kill points, too. Messages are numbered, and their numbers say what is in them.
 */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "child.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "shm/ring.h"
#include "shm/robust_mutex.h"
#include "suite.h"

#define SIZE        ((size_t)4 << 20)
#define LONGEST     20000u
#define BATCH       40u
#define RING_OWNER  64u
#define WORKER      7u   /* in the arena: whoever has a block in hand */
#define PREFILL     200u /* messages that some operations find */
#define RANDOM_RUNS 300

unsigned long kill_point_count, kill_point_target;

static unsigned long points, sweep_points;

/* What a queue is made of, in shared memory. */
struct shared {
    struct ring ring;
    struct robust_mutex getters, putters;
    struct arena *arena;
    size_t used; /* in the arena, before the ring had anything */
};

struct operation {
    const char *name;
    unsigned prefill, drain; /* messages that are put, and got, before */
    void (*run)(struct shared *shared);
    unsigned puts, gets; /* what it does when it gets through */
};

static size_t size_of(uint64_t number)
{
    return number % 8 == 5 ? LONGEST : number % 8 == 3 ? 500 : 8 + number % 5;
}

static void fill(char *message, uint64_t number, size_t size)
{
    memcpy(message, &number, sizeof number);
    for (size_t i = sizeof number; i < size; i++)
        message[i] = (char)(number + i);
}

/* The number of a message that is whole, or UINT64_MAX. */
static uint64_t number_of(const char *message, size_t size)
{
    uint64_t number = UINT64_MAX;

    if (size < sizeof number)
        return UINT64_MAX;
    memcpy(&number, message, sizeof number);
    for (size_t i = sizeof number; i < size; i++) {
        if (message[i] != (char)(number + i))
            return UINT64_MAX;
    }
    return number;
}

/* Locks as a queue has them: whoever comes after a dead one sweeps before anything else. */

static void unlock(struct robust_mutex *mutex)
{
    KILL_POINT();
    robust_mutex_unlock(mutex);
    KILL_POINT();
}

static void sweep_after_death(struct shared *shared)
{
    bool getter_died = robust_mutex_lock(&shared->getters);
    bool putter_died = robust_mutex_lock(&shared->putters);

    KILL_POINT();
    if (getter_died || putter_died)
        ring_sweep(&shared->ring, shared->arena);
    KILL_POINT();
    arena_free_owned(shared->arena, WORKER); /* as the reaper does */
    KILL_POINT();
    if (putter_died)
        robust_mutex_repaired(&shared->putters);
    unlock(&shared->putters);
    if (getter_died)
        robust_mutex_repaired(&shared->getters);
    unlock(&shared->getters);
}

static bool put_one(struct shared *shared, uint64_t number)
{
    static char message[LONGEST];
    size_t put = 0;

    fill(message, number, size_of(number));
    if (robust_mutex_lock(&shared->putters))
        abort();
    if (ring_put(&shared->ring, shared->arena, &(struct ring_messages){message, size_of(number), 1}, &put))
        put = 0;
    unlock(&shared->putters);
    return put == 1;
}

/* The number of the first message, which is taken; UINT64_MAX if there is none, or it is not whole. */
static uint64_t get_one(struct shared *shared)
{
    static char message[LONGEST];
    enum ring_result result;
    size_t size = 0;

    if (robust_mutex_lock(&shared->getters))
        abort();
    result = ring_get(&shared->ring, shared->arena, message, sizeof message, &size);
    unlock(&shared->getters);
    return result == RING_DONE ? number_of(message, size) : UINT64_MAX;
}

/* Operations. */

static void put_next(struct shared *shared)
{
    if (!put_one(shared, ring_put_count(&shared->ring)))
        abort();
}

static void put_batch(struct shared *shared)
{
    char messages[BATCH][100];
    size_t put = 0;

    for (unsigned i = 0; i < BATCH; i++)
        fill(messages[i], ring_put_count(&shared->ring) + i, sizeof messages[i]);
    if (robust_mutex_lock(&shared->putters))
        abort();
    if (ring_put(&shared->ring, shared->arena, &(struct ring_messages){messages, sizeof messages[0], BATCH},
                 &put) ||
        put != BATCH)
        abort();
    unlock(&shared->putters);
}

static void get_next(struct shared *shared)
{
    if (get_one(shared) == UINT64_MAX)
        abort();
}

static void put_large(struct shared *shared)
{
    while (ring_put_count(&shared->ring) % 8 != 5)
        put_next(shared);
    put_next(shared);
}

static void get_much(struct shared *shared)
{
    for (unsigned i = 0; i < 20; i++)
        get_next(shared);
}

static void get_batch(struct shared *shared)
{
    char messages[BATCH][100];
    struct ring_batch batch = {sizeof messages[0], BATCH, 0, 0};

    if (robust_mutex_lock(&shared->getters))
        abort();
    if (ring_get_many(&shared->ring, shared->arena, messages, &batch) || batch.got != BATCH)
        abort();
    unlock(&shared->getters);
}

static void put_and_get(struct shared *shared)
{
    put_next(shared);
    get_next(shared);
}

/* A long one, in a block that it was written into before. */
static void put_block(struct shared *shared)
{
    uint64_t number = ring_put_count(&shared->ring);
    struct ring_block block;
    size_t put;

    if (ring_block_make(shared->arena, LONGEST, WORKER, &block))
        abort();
    fill(arena_at(shared->arena, block.at), number, LONGEST);
    if (robust_mutex_lock(&shared->putters))
        abort();
    if (ring_put_block(&shared->ring, shared->arena, &block, &put) || put != 1 || block.block)
        abort();
    unlock(&shared->putters);
}

/* The first one, with its block. */
static void get_block(struct shared *shared)
{
    uint64_t number = ring_got_count(&shared->ring);
    struct ring_block block;

    if (robust_mutex_lock(&shared->getters))
        abort();
    if (ring_get_block(&shared->ring, shared->arena, 0, LONGEST, WORKER, &block) != RING_DONE)
        abort();
    unlock(&shared->getters);
    if (number_of(arena_at(shared->arena, block.at), block.size) != number)
        abort();
    arena_free(shared->arena, block.block);
}

static void put_and_get_block(struct shared *shared)
{
    put_block(shared);
    get_block(shared);
}

static const struct operation operations[] = {
    {"put into an empty ring", 0, 0, put_next, 1, 0},
    {"put into a ring with messages", 3, 0, put_next, 1, 0},
    {"put behind a large one", 6, 0, put_next, 1, 0},
    {"put of small ones and a large one", 0, 0, put_large, 6, 0},
    {"put of a large one behind a large one that was got", 13, 13, put_next, 1, 0},
    {"put of a batch over several segments", 1, 0, put_batch, BATCH, 0},
    {"get of the only message", 1, 0, get_next, 0, 1},
    {"get of the first of many", PREFILL, 0, get_next, 0, 1},
    {"get over the end of segments", PREFILL, 0, get_much, 0, 20},
    {"get of a large one", 8, 5, get_next, 0, 1},
    {"put and get of one", 0, 0, put_and_get, 1, 1},
    {"put of a block behind small ones", 5, 0, put_block, 1, 0},
    {"put of a block behind a large one that was got", 13, 13, put_block, 1, 0},
    {"get of a block behind small ones that were got", 8, 5, get_block, 0, 1},
    {"put and get of a block", 5, 5, put_and_get_block, 1, 1},
};

#define OPERATIONS (sizeof operations / sizeof *operations)

/* Scenes. */

static struct arena_usage usage_of(struct arena *arena)
{
    struct arena_usage usage;

    arena_usage(arena, &usage);
    return usage;
}

static struct shared *scene_create(unsigned prefill, unsigned drain, uint64_t maxsize)
{
    struct shared *shared = child_memory(sizeof *shared);

    kill_point_target = 0;
    if (arena_format(child_memory(SIZE), SIZE, &shared->arena))
        abort();
    robust_mutex_create(&shared->getters);
    robust_mutex_create(&shared->putters);
    shared->used = usage_of(shared->arena).used;
    ring_create(&shared->ring, RING_OWNER, maxsize);
    for (unsigned i = 0; i < prefill; i++)
        put_next(shared);
    for (unsigned i = 0; i < drain; i++)
        get_next(shared);
    return shared;
}

static void scene_free(struct shared *shared)
{
    child_memory_free(shared->arena, SIZE);
    child_memory_free(shared, sizeof *shared);
}

/* Who dies. */
struct death {
    struct shared *shared;
    void (*run)(struct shared *shared);
    unsigned long target;
};

static bool die_at_target(void *argument)
{
    const struct death *death = argument;

    kill_point_count = 0;
    kill_point_target = death->target;
    death->run(death->shared);
    return true;
}

/* true if it was killed, false if it got through. */
static bool kills(struct shared *shared, void (*run)(struct shared *), unsigned long target)
{
    int wait_status = child_wait(child_start(die_at_target, &(struct death){shared, run, target}));

    CU_ASSERT(wait_status == 0 || child_was_killed(wait_status));
    return wait_status != 0;
}

/* What must be true afterwards. */

static bool complain(const char *name, unsigned long target, const char *why)
{
    fprintf(stderr, "%s, killed at point %lu: %s\n", name, target, why);
    return false;
}

/* Each message is there, whole and in order, and the ring goes on behind them. */
static bool drains_in_order(struct shared *shared)
{
    uint64_t got = ring_got_count(&shared->ring), put = ring_put_count(&shared->ring);

    if (ring_size(&shared->ring) != put - got)
        return false;
    for (unsigned i = 0; i < 30; i++)
        put_next(shared);
    for (; got < put + 30; got++) {
        if (get_one(shared) != got)
            return false;
    }
    return ring_is_empty(&shared->ring) && get_one(shared) == UINT64_MAX;
}

static bool loses_no_memory(struct shared *shared)
{
    if (arena_check(shared->arena))
        return false;
    ring_free(&shared->ring, shared->arena);
    return usage_of(shared->arena).used == shared->used && !arena_check(shared->arena);
}

static bool is_right(const struct operation *operation, struct shared *shared, unsigned long target)
{
    uint64_t put = ring_put_count(&shared->ring) - operation->prefill;
    uint64_t got = ring_got_count(&shared->ring) - operation->drain;

    if (put > operation->puts || got > operation->gets)
        return complain(operation->name, target, "more was done than there was to do");
    sweep_after_death(shared);
    if (put != ring_put_count(&shared->ring) - operation->prefill ||
        got != ring_got_count(&shared->ring) - operation->drain)
        return complain(operation->name, target, "the sweep has changed what is in the ring");
    if (!drains_in_order(shared))
        return complain(operation->name, target, "messages are not what they were");
    return loses_no_memory(shared) || complain(operation->name, target, "memory was lost");
}

/* Kills the one who sweeps after the dead one at each of its points, with a fresh scene each. */
static bool sweepers_may_die(const struct operation *operation, unsigned long target)
{
    bool killed = true, right = true;

    for (unsigned long point = 1; killed && right; point++) {
        struct shared *shared = scene_create(operation->prefill, operation->drain, 0);

        kills(shared, operation->run, target);
        killed = kills(shared, sweep_after_death, point);
        right = is_right(operation, shared, target);
        sweep_points += killed;
        scene_free(shared);
    }
    return right;
}

static unsigned long search_points(const struct operation *operation)
{
    bool killed = true, right = true;
    unsigned long target = 0;

    while (killed && right) {
        struct shared *shared = scene_create(operation->prefill, operation->drain, 0);

        killed = kills(shared, operation->run, ++target);
        CU_ASSERT(killed || ring_put_count(&shared->ring) == operation->prefill + operation->puts);
        CU_ASSERT(killed || ring_got_count(&shared->ring) == operation->drain + operation->gets);
        right = is_right(operation, shared, target);
        scene_free(shared);
        /* Points of the same kind repeat: sweepers die after the first ones, and after some later ones. */
        if (right && killed && (target < 24 || target % 16 == 0))
            right = sweepers_may_die(operation, target);
    }
    CU_ASSERT(right);
    return target - 1;
}

static void every_point_of_put_and_get_may_be_the_last(void)
{
    for (size_t i = 0; i < OPERATIONS; i++) {
        unsigned long found = search_points(&operations[i]);

        CU_ASSERT(found >= 4);
        points += found;
    }
    CU_ASSERT(sweep_points > points);
    printf("%lu points searched in %zu operations, and %lu of those who swept … ", points, OPERATIONS,
           sweep_points);
}

static void a_batch_is_got_whole_or_not_at_all(void)
{
    bool killed = true;

    for (unsigned long target = 1; killed; target++) {
        struct shared *shared = scene_create(0, 0, 0);
        uint64_t got;

        put_batch(shared);
        killed = kills(shared, get_batch, target);
        got = ring_got_count(&shared->ring);
        CU_ASSERT(got == BATCH || (killed && got == 0));
        sweep_after_death(shared);
        CU_ASSERT(drains_in_order(shared));
        CU_ASSERT(loses_no_memory(shared));
        scene_free(shared);
    }
}

/* The last message that was got is the first one again. */
static void give_back_last(struct shared *shared)
{
    static char message[LONGEST];
    uint64_t number = ring_got_count(&shared->ring) - 1;

    fill(message, number, size_of(number));
    if (robust_mutex_lock(&shared->getters))
        abort();
    if (ring_give_back(&shared->ring, shared->arena, message, size_of(number)))
        abort();
    unlock(&shared->getters);
}

static void messages_that_are_given_back_are_the_first_again(void)
{
    struct shared *shared = scene_create(0, 0, 0);
    unsigned seed = 1;

    for (unsigned i = 0; i < 4000; i++) {
        uint64_t got = ring_got_count(&shared->ring), expected;

        switch (rand_r(&seed) % 8) {
        case 0:
        case 1:
        case 2:
            put_next(shared);
            break;
        case 3:
        case 4:
            expected = ring_is_empty(&shared->ring) ? UINT64_MAX : got;
            CU_ASSERT_EQUAL(get_one(shared), expected);
            break;
        default:
            for (uint64_t back = (uint64_t)rand_r(&seed) % 3; got && back; back--, got--)
                give_back_last(shared);
            break;
        }
    }
    CU_ASSERT(drains_in_order(shared));
    CU_ASSERT(loses_no_memory(shared));
    scene_free(shared);
}

static void give_two_back(struct shared *shared)
{
    give_back_last(shared);
    give_back_last(shared);
}

/* A long one that was got with its block. */
static void give_block_back(struct shared *shared)
{
    struct ring_block block;

    if (robust_mutex_lock(&shared->getters))
        abort();
    if (ring_get_block(&shared->ring, shared->arena, 0, LONGEST, WORKER, &block) != RING_DONE)
        abort();
    ring_give_back_block(&shared->ring, shared->arena, &block);
    if (block.block)
        abort();
    unlock(&shared->getters);
}

/* Twice, so that it leads to what was given back, too. */
static void who_gives_a_block_back_may_be_killed_anywhere(void)
{
    bool killed = true;

    for (unsigned long target = 1; killed; target++) {
        struct shared *shared = scene_create(60, 5, 0);
        uint64_t got;

        give_block_back(shared);
        give_back_last(shared);
        CU_ASSERT_EQUAL(get_one(shared), 4);
        killed = kills(shared, give_block_back, target);
        got = ring_got_count(&shared->ring);
        CU_ASSERT(got == 5 || (killed && got == 6));
        sweep_after_death(shared);
        CU_ASSERT(drains_in_order(shared));
        CU_ASSERT(loses_no_memory(shared));
        scene_free(shared);
    }
}

/* Behind so many messages the place before the first one is short, long, or another segment's. */
static void who_gives_back_may_be_killed_anywhere(void)
{
    for (unsigned drain = 2; drain < 40; drain += 3) {
        bool killed = true;

        for (unsigned long target = 1; killed; target++) {
            struct shared *shared = scene_create(60, drain, 0);

            killed = kills(shared, give_two_back, target);
            CU_ASSERT(ring_got_count(&shared->ring) >= drain - 2 && ring_got_count(&shared->ring) <= drain);
            sweep_after_death(shared);
            CU_ASSERT(drains_in_order(shared));
            CU_ASSERT(loses_no_memory(shared));
            scene_free(shared);
        }
    }
}

static void work(struct shared *shared)
{
    unsigned seed = (unsigned)ring_put_count(&shared->ring) * 7 + 1;

    for (unsigned i = 0; i < 400; i++) {
        if (rand_r(&seed) % 2 && !ring_is_full(&shared->ring))
            put_next(shared);
        else if (!ring_is_empty(&shared->ring))
            get_next(shared);
    }
}

/* Many deaths in one ring, one after the other. */
static void random_work_may_end_anywhere(void)
{
    struct shared *shared = scene_create(0, 0, 50);
    unsigned killed = 0, seed = 1;

    for (unsigned run = 0; run < RANDOM_RUNS; run++) {
        killed += kills(shared, work, 1 + (unsigned)rand_r(&seed) % 6000);
        sweep_after_death(shared);
        CU_ASSERT(ring_size(&shared->ring) <= 50);
        CU_ASSERT_EQUAL(arena_check(shared->arena), MPM_OK);
    }
    CU_ASSERT(killed > RANDOM_RUNS / 4);
    CU_ASSERT(ring_put_count(&shared->ring) > 1000);
    for (uint64_t got = ring_got_count(&shared->ring); !ring_is_empty(&shared->ring); got++)
        CU_ASSERT_EQUAL(get_one(shared), got);
    CU_ASSERT(loses_no_memory(shared));
    scene_free(shared);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"messages_that_are_given_back_are_the_first_again",
         messages_that_are_given_back_are_the_first_again},
        {"who_gives_back_may_be_killed_anywhere", who_gives_back_may_be_killed_anywhere},
        {"who_gives_a_block_back_may_be_killed_anywhere", who_gives_a_block_back_may_be_killed_anywhere},
        {"every_point_of_put_and_get_may_be_the_last", every_point_of_put_and_get_may_be_the_last},
        {"a_batch_is_got_whole_or_not_at_all", a_batch_is_got_whole_or_not_at_all},
        {"random_work_may_end_anywhere", random_work_may_end_anywhere},
    };

    return suite_run("queue_kill", tests, sizeof tests / sizeof *tests);
}
