/* SPDX-License-Identifier: BSD-3-Clause */
/* What is true of the arena when a process is killed at any point of any operation.
 *
 * This program has its own build of shm/, with kill points in it. Each operation is run in a child that dies
 * at its first kill point, in another one that dies at its second, and so on until one gets through; after
 * each death the arena must be sound, what the dead one had must come back, what others have must be
 * untouched, and what is in use must be what it was before the operation or after it, nothing between.
 * Whoever repairs the arena is killed at each of its own kill points, too. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "child.h"
#include "shm/arena.h"
#include "shm/kill_point.h"
#include "suite.h"

#define SIZE        ((size_t)3 << 20)
#define BLOCKS      8
#define NONE        BLOCKS
#define BLOCK_SIZE  ((size_t)1000)
#define DEAD        5u /* number of the process that dies */
#define OTHER       6u
#define RANDOM_RUNS 400

unsigned long kill_point_count, kill_point_target;

static unsigned long points, repair_points;

/* An arena in which an operation finds what it needs. */
struct scene {
    struct arena *arena;
    uint64_t block[BLOCKS]; /* 0: free */
    unsigned victim;        /* the block that the operation is about, or NONE */
    unsigned seed;
};

struct operation {
    const char *name;
    void (*prepare)(struct scene *scene);
    void (*run)(struct scene *scene);
    unsigned victim;
};

static void fill(const struct scene *scene, unsigned i)
{
    memset(arena_at(scene->arena, scene->block[i]), (int)(i + 1), BLOCK_SIZE);
}

static void get(struct scene *scene, unsigned i, uint32_t owner)
{
    if (arena_alloc(scene->arena, BLOCK_SIZE, owner, &scene->block[i]))
        abort();
    fill(scene, i);
}

static void let_go(struct scene *scene, unsigned i)
{
    arena_free(scene->arena, scene->block[i]);
    scene->block[i] = 0;
}

static struct scene scene_create(const struct operation *operation)
{
    struct scene scene = {.victim = operation->victim, .seed = 1};

    kill_point_target = 0;
    if (arena_format(child_memory(SIZE), SIZE, &scene.arena))
        abort();
    operation->prepare(&scene);
    return scene;
}

/* Operations, and what stands there before them. */

static void nothing(struct scene *scene)
{
    (void)scene;
}

static void row(struct scene *scene)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        get(scene, i, OTHER);
}

static void row_with_hole(struct scene *scene)
{
    row(scene);
    let_go(scene, 3);
}

static void row_with_holes(struct scene *scene)
{
    row(scene);
    let_go(scene, 1);
    let_go(scene, 3);
    let_go(scene, 5);
}

static void row_with_large_hole(struct scene *scene)
{
    row(scene);
    let_go(scene, 2);
    let_go(scene, 3);
    let_go(scene, 4);
}

static void row_with_free_end(struct scene *scene)
{
    row(scene);
    let_go(scene, BLOCKS - 1);
}

static void block_of_dead(struct scene *scene)
{
    row_with_hole(scene);
    get(scene, 3, DEAD);
}

static void several_of_dead(struct scene *scene)
{
    row(scene);
    for (unsigned i = 1; i < BLOCKS; i += 2)
        let_go(scene, i);
    for (unsigned i = 1; i < BLOCKS; i += 2)
        get(scene, i, DEAD);
}

static void take(struct scene *scene, size_t size)
{
    uint64_t offset;

    if (arena_alloc(scene->arena, size, DEAD, &offset))
        abort();
    memset(arena_at(scene->arena, offset), 0xdd, size);
}

static void take_block(struct scene *scene)
{
    take(scene, BLOCK_SIZE);
}

static void take_nearly_a_block(struct scene *scene)
{
    take(scene, BLOCK_SIZE - ARENA_ALIGNMENT);
}

static void take_little(struct scene *scene)
{
    take(scene, 100);
}

static void take_much(struct scene *scene)
{
    take(scene, (size_t)3 << 19);
}

static void give(struct scene *scene)
{
    arena_give(scene->arena, scene->block[scene->victim]);
}

static void release(struct scene *scene)
{
    arena_free(scene->arena, scene->block[scene->victim]);
}

static const struct operation operations[] = {
    {"alloc in an empty arena", nothing, take_block, NONE},
    {"alloc behind the last block", row, take_block, NONE},
    {"alloc of memory that is not populated yet", row, take_much, NONE},
    {"alloc over a free last block", row_with_free_end, take_much, NONE},
    {"alloc that fits", row_with_hole, take_block, NONE},
    {"alloc from a list of several", row_with_holes, take_block, NONE},
    {"alloc of a part of a free block", row_with_large_hole, take_little, NONE},
    {"alloc of a part that leaves too little for a block", row_with_hole, take_nearly_a_block, NONE},
    {"give", block_of_dead, give, 3},
    {"free", row, release, 3},
    {"free of the first block", row, release, 0},
    {"free of the last block", row, release, BLOCKS - 1},
    {"free of the block before a free end", row_with_free_end, release, BLOCKS - 2},
    {"free with a free block to the left", row_with_hole, release, 4},
    {"free with a free block to the right", row_with_hole, release, 2},
    {"free with free blocks on both sides", row_with_holes, release, 4},
};

#define OPERATIONS (sizeof operations / sizeof *operations)

/* What must be true afterwards. */

static struct arena_usage usage_of(struct arena *arena)
{
    struct arena_usage usage;

    arena_usage(arena, &usage);
    return usage;
}

static bool is_same(struct arena_usage a, struct arena_usage b)
{
    return a.used == b.used && a.used_blocks == b.used_blocks;
}

/* What is in use when all is repaired and cleaned up, with the operation done or not even begun. */
static struct arena_usage usage_after(const struct operation *operation, bool done)
{
    struct scene scene = scene_create(operation);
    struct arena_usage usage;

    if (done)
        operation->run(&scene);
    arena_free_owned(scene.arena, DEAD);
    usage = usage_of(scene.arena);
    child_memory_free(scene.arena, SIZE);
    return usage;
}

static bool is_filled(const struct scene *scene, unsigned i)
{
    const unsigned char *bytes = arena_at(scene->arena, scene->block[i]);

    for (size_t k = 0; k < BLOCK_SIZE; k++) {
        if (bytes[k] != i + 1)
            return false;
    }
    return true;
}

/* Everything that is free can be had, written and given back. */
static bool can_be_filled(struct arena *arena)
{
    static uint64_t offsets[SIZE / 2048];
    struct arena_usage before = usage_of(arena);
    unsigned count = 0;

    while (count < SIZE / 2048 && !arena_alloc(arena, 2000, OTHER, &offsets[count]))
        memset(arena_at(arena, offsets[count++]), 0xcc, 2000);
    if (arena_check(arena) || usage_of(arena).used < SIZE - 65536)
        return false;
    while (count)
        arena_free(arena, offsets[--count]);
    return !arena_check(arena) && usage_of(arena).used == before.used;
}

static bool complain(const char *what, unsigned long target, const char *why)
{
    fprintf(stderr, "%s, killed at point %lu: %s\n", what, target, why);
    return false;
}

/* One search: an operation, who dies in it, and which outcomes are right. */
struct search {
    const struct operation *operation;
    struct arena_usage before, after;
};

/* Who dies. The scene is its own copy, the arena everybody's. */
struct death {
    struct scene *scene;
    void (*run)(struct scene *scene);
    unsigned long target;
};

static bool die_at_target(void *argument)
{
    const struct death *death = argument;

    kill_point_count = 0;
    kill_point_target = death->target;
    death->run(death->scene);
    return true;
}

/* true if it was killed, false if it got through. */
static bool kills(struct scene *scene, void (*run)(struct scene *), unsigned long target)
{
    int wait_status = child_wait(child_start(die_at_target, &(struct death){scene, run, target}));

    CU_ASSERT(wait_status == 0 || child_was_killed(wait_status));
    return wait_status != 0;
}

static bool is_right(const struct search *search, struct scene *scene, unsigned long target)
{
    const char *name = search->operation->name;
    struct arena_usage usage;

    if (arena_check(scene->arena))
        return complain(name, target, mpm_error());
    arena_free_owned(scene->arena, DEAD);
    if (arena_check(scene->arena))
        return complain(name, target, mpm_error());
    usage = usage_of(scene->arena);
    if (!is_same(usage, search->before) && !is_same(usage, search->after))
        return complain(name, target, "what is in use is neither what it was nor what it should become");
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (scene->block[i] && i != scene->victim && !is_filled(scene, i))
            return complain(name, target, "a block of another process has changed");
    }
    return can_be_filled(scene->arena) || complain(name, target, "not all that is free can be had");
}

static void repair(struct scene *scene)
{
    arena_free_owned(scene->arena, DEAD);
}

/* Kills the one who comes after the dead one at each of its points, and so on with a fresh scene each. */
static bool repairers_may_die(const struct search *search, unsigned long target)
{
    bool killed = true, right = true;

    for (unsigned long point = 1; killed && right; point++) {
        struct scene scene = scene_create(search->operation);

        kills(&scene, search->operation->run, target);
        killed = kills(&scene, repair, point);
        right = is_right(search, &scene, target);
        repair_points += killed;
        child_memory_free(scene.arena, SIZE);
    }
    return right;
}

static unsigned long search_points(const struct search *search)
{
    bool killed = true, right = true;
    unsigned long target = 0;

    while (killed && right) {
        struct scene scene = scene_create(search->operation);

        killed = kills(&scene, search->operation->run, ++target);
        right = is_right(search, &scene, target);
        child_memory_free(scene.arena, SIZE);
        right = right && (!killed || repairers_may_die(search, target));
    }
    CU_ASSERT(right);
    return target - 1;
}

static void every_point_of_every_operation_may_be_the_last(void)
{
    for (size_t i = 0; i < OPERATIONS; i++) {
        struct search search = {.operation = &operations[i]};
        unsigned long found;

        search.before = usage_after(search.operation, false);
        search.after = usage_after(search.operation, true);
        found = search_points(&search);
        CU_ASSERT(found >= 2);
        points += found;
    }
    printf("%lu points searched in %zu operations, and %lu of those who repaired … ", points, OPERATIONS,
           repair_points);
}

/* free_owned of several blocks commits once a block: what is in use may be anything between. */
static void the_reaper_may_die_at_any_point(void)
{
    static const struct operation reap = {"the reaper", several_of_dead, repair, NONE};
    struct arena_usage after = usage_after(&reap, true);
    bool killed = true;

    for (unsigned long target = 1; killed; target++) {
        struct scene scene = scene_create(&reap);

        killed = kills(&scene, repair, target);
        CU_ASSERT_EQUAL(arena_check(scene.arena), MPM_OK);
        arena_free_owned(scene.arena, DEAD);
        CU_ASSERT(is_same(usage_of(scene.arena), after));
        CU_ASSERT(can_be_filled(scene.arena));
        child_memory_free(scene.arena, SIZE);
        points += killed;
    }
    CU_ASSERT(points > 10);
}

/* Anything in any order, with blocks of all sizes. */
static void work(struct scene *scene)
{
    uint64_t own[16] = {0};

    for (unsigned step = 0; step < 300; step++) {
        unsigned i = (unsigned)rand_r(&scene->seed) % 16;
        size_t size = (size_t)rand_r(&scene->seed) % (rand_r(&scene->seed) % 8 ? 1000 : 200000);

        if (own[i]) {
            arena_free(scene->arena, own[i]);
            own[i] = 0;
        } else if (!arena_alloc(scene->arena, size, DEAD, &own[i])) {
            memset(arena_at(scene->arena, own[i]), 0xdd, size);
        }
    }
}

static void random_work_may_end_anywhere(void)
{
    static const struct operation random_work = {"random work", row_with_holes, work, NONE};
    struct search search = {.operation = &random_work};
    unsigned killed = 0, seed = 1;

    search.before = search.after = usage_after(&random_work, false);
    for (unsigned run = 0; run < RANDOM_RUNS; run++) {
        struct scene scene = scene_create(&random_work);
        unsigned long target = 1 + (unsigned)rand_r(&seed) % 5000;

        scene.seed = run + 1;
        killed += kills(&scene, work, target);
        CU_ASSERT(is_right(&search, &scene, target));
        child_memory_free(scene.arena, SIZE);
    }
    CU_ASSERT(killed > RANDOM_RUNS / 4);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"every_point_of_every_operation_may_be_the_last", every_point_of_every_operation_may_be_the_last},
        {"the_reaper_may_die_at_any_point", the_reaper_may_die_at_any_point},
        {"random_work_may_end_anywhere", random_work_may_end_anywhere},
    };

    return suite_run("kill_point", tests, sizeof tests / sizeof *tests);
}
