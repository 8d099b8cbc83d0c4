/* SPDX-License-Identifier: BSD-3-Clause */
/* The claim table over a folder that is not real: it answers as late as it is told, loses replies, and kills or stops
 * whoever asks. Runs are threads, of which one goes on at a time, in the order of a clock that is not real either: so a
 * test of two minutes and a thousand runs takes a second, and is the same each time. After each operation all items
 * that are not done must be in some claim. Then the folder that is real. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "claim/claim.h"
#include "claim/claim_files.h"
#include "suite.h"

#define NAME_SIZE  160
#define STACK_SIZE ((size_t)256 << 10)
#define SECOND     1000000000u
#define NEVER      UINT64_MAX
#define MOST_S     4096 /* of a world's life, for counts by second */

/* ---- A world: a folder, a clock, and runs ---- */

struct file {
    uint64_t hash;
    char name[NAME_SIZE];
};

struct world;

struct run {
    struct world *world;
    pthread_t thread;
    sem_t turn;
    uint64_t wakes_ns; /* NEVER: it has ended */
    struct claim_table *table;
    uint64_t id, arrives_ns, leaves_ns;                       /* it leaves by itself; 0: at the end */
    uint64_t clock_offset_ns;                                 /* clocks differ */
    uint64_t ops, dies_at_op, stops_at_op, loses_reply_at_op; /* 0: never */
    uint64_t dies_at_ns, stop_ns;
    double item_s, silent_s;
    uint64_t items; /* that it has worked on */
    bool is_dead, has_finished, has_left;
    int failed; /* an errno that it did not expect */
};

struct world {
    struct file *files;
    size_t file_count, file_size;
    uint64_t now_ns, latency_ns, count, done_count, finished_ns;
    unsigned char *done;
    struct run *runs;
    size_t run_count;
    sem_t over;
    bool is_finished, is_checked, loses_items;
    uint64_t ops, ops_in_second[MOST_S];
    unsigned finishes, broken;
};

static uint64_t hash_of(const char *name)
{
    uint64_t hash = 14695981039346656037u;

    while (*name)
        hash = (hash ^ (unsigned char)*name++) * 1099511628211u;
    return hash;
}

static struct file *find_file(struct world *world, const char *name)
{
    uint64_t hash = hash_of(name);

    for (size_t i = 0; i < world->file_count; i++) {
        if (world->files[i].hash == hash && !strcmp(world->files[i].name, name))
            return &world->files[i];
    }
    return NULL;
}

static void name_file(struct file *file, const char *name)
{
    file->hash = hash_of(name);
    snprintf(file->name, sizeof file->name, "%s", name);
}

static void add_file(struct world *world, const char *name)
{
    if (world->file_count == world->file_size) {
        world->file_size = world->file_size ? world->file_size * 2 : 256;
        world->files = realloc(world->files, world->file_size * sizeof *world->files);
        CU_ASSERT_PTR_NOT_NULL_FATAL(world->files);
    }
    name_file(&world->files[world->file_count++], name);
}

/* Every item that is not done is in a claim. */
static void check_items(struct world *world)
{
    unsigned char *claimed = calloc(world->count + 1, 1);

    for (size_t i = 0; i < world->file_count; i++) {
        struct claim claim;
        uint64_t owner;

        if (claim_parse_range(world->files[i].name, &claim, &owner) && claim.end <= world->count)
            memset(claimed + claim.first, 1, claim.end - claim.first);
    }
    for (uint64_t item = 0; item < world->count; item++)
        world->broken += !world->done[item] && !claimed[item];
    free(claimed);
}

/* ---- Turns: one run at a time ---- */

static void wake_next(struct world *world)
{
    struct run *next = NULL;

    for (size_t i = 0; i < world->run_count; i++) {
        struct run *run = &world->runs[i];

        if (run->wakes_ns != NEVER && (!next || run->wakes_ns < next->wakes_ns))
            next = run;
    }
    if (!next) {
        sem_post(&world->over);
        return;
    }
    if (next->wakes_ns > world->now_ns)
        world->now_ns = next->wakes_ns;
    sem_post(&next->turn);
}

static void wait_turn(struct run *run)
{
    while (sem_wait(&run->turn))
        ;
}

static void sleep_until(struct run *run, uint64_t at_ns)
{
    run->wakes_ns = at_ns;
    wake_next(run->world);
    wait_turn(run);
}

static void sleep_s(struct run *run, double seconds)
{
    sleep_until(run, run->world->now_ns + (uint64_t)(seconds * SECOND));
}

/* ---- Operations ---- */

/* Before one is carried out. 0, or what a dead run or a folder that is gone has of it. */
static int begin_op(struct run *run)
{
    struct world *world = run->world;

    run->ops++;
    if (run->ops == run->dies_at_op || (run->dies_at_ns && world->now_ns >= run->dies_at_ns))
        run->is_dead = true;
    if (run->is_dead)
        return EIO;
    if (run->ops == run->stops_at_op)
        sleep_until(run, world->now_ns + run->stop_ns);
    sleep_until(run, world->now_ns + world->latency_ns);
    world->ops++;
    if (world->now_ns / SECOND < MOST_S)
        world->ops_in_second[world->now_ns / SECOND]++;
    return world->is_finished ? ENOENT : 0;
}

/* Only what is not the same twice can have another result when it is sent once more. */
static int end_op(struct run *run, bool may_lose_reply)
{
    if (run->world->is_checked && !run->world->is_finished)
        check_items(run->world);
    return may_lose_reply && run->ops == run->loses_reply_at_op ? ENOENT : 0;
}

/* One file in sixteen of those that were renamed since is missed: as many as a real folder never misses. */
static int list(void *argument, void (*entry)(const char *name, void *to), void *to)
{
    struct run *run = argument;
    struct world *world = run->world;
    int failed = begin_op(run);

    if (failed)
        return failed;
    for (size_t i = 0; i < world->file_count; i++) {
        if (i % 256 == 255) { /* the next answer */
            sleep_until(run, world->now_ns + world->latency_ns);
            world->ops_in_second[world->now_ns / SECOND % MOST_S]++;
            world->ops++;
        }
        if (i < world->file_count && !(world->loses_items && (world->ops + i) % 16 == 0))
            entry(world->files[i].name, to);
    }
    return 0;
}

static int create(void *argument, const char *name, const char *text)
{
    struct run *run = argument;
    int failed = begin_op(run);

    (void)text;
    if (!failed && !find_file(run->world, name))
        add_file(run->world, name);
    return failed ? failed : end_op(run, false);
}

static int rename_from(void *argument, const char *from, const char *to)
{
    struct run *run = argument;
    int failed = begin_op(run);
    struct file *file = failed ? NULL : find_file(run->world, from), *old;

    if (failed || !file)
        return failed ? failed : ENOENT;
    if ((old = find_file(run->world, to)) && old != file) {
        *old = run->world->files[--run->world->file_count];
        file = find_file(run->world, from);
    }
    name_file(file, to);
    return end_op(run, true);
}

static int remove_name(void *argument, const char *name)
{
    struct run *run = argument;
    int failed = begin_op(run);
    struct file *file = failed ? NULL : find_file(run->world, name);

    if (failed || !file)
        return failed ? failed : ENOENT;
    *file = run->world->files[--run->world->file_count];
    return end_op(run, true);
}

static uint64_t now_ns(void *argument)
{
    struct run *run = argument;

    return run->world->now_ns + run->clock_offset_ns;
}

/* ---- What a run does ---- */

static bool expect(struct run *run, int failed)
{
    if (!failed)
        return true;
    if (!run->is_dead && !run->world->is_finished)
        run->failed = failed;
    return false;
}

/* Whether it goes on. */
static bool work_on(struct run *run, const struct claim *claim)
{
    struct world *world = run->world;

    for (uint64_t item = claim->first; item < claim->end; item++) {
        if (world->done[item])
            continue;
        if (claim_beat_s(run->table) <= 0 && !expect(run, claim_beat(run->table)))
            return false;
        sleep_s(run, run->item_s);
        if (run->dies_at_ns && world->now_ns >= run->dies_at_ns) {
            run->is_dead = true;
            return false;
        }
        run->items++;
        world->done_count += !world->done[item];
        world->done[item] = 1;
    }
    return expect(run, claim_end(run->table, claim));
}

/* The end: adds what is missing, or ends the world. */
static bool finish(struct run *run, const struct claim *claim)
{
    struct world *world = run->world;
    bool is_whole = true;

    for (uint64_t item = 0; item < world->count; item++) {
        if (world->done[item])
            continue;
        is_whole = false;
        if (!expect(run, claim_add(run->table, item, item + 1)))
            return false;
    }
    if (!is_whole)
        return expect(run, claim_give_back(run->table, claim));
    if (!begin_op(run) && !world->is_finished) {
        world->is_finished = run->has_finished = true;
        world->finishes++;
        world->finished_ns = world->now_ns;
    }
    return false;
}

static bool step(struct run *run, double *busy_s)
{
    uint64_t before = run->world->now_ns;
    struct claim claim;
    bool taken, goes_on;

    if (!expect(run, claim_look(run->table)) || !expect(run, claim_take(run->table, &claim, &taken)))
        return false;
    if (!taken) {
        sleep_s(run, claim_pause_s(run->table));
        return true;
    }
    before = run->world->now_ns;
    goes_on = claim.is_end ? finish(run, &claim) : work_on(run, &claim);
    *busy_s += (double)(run->world->now_ns - before) / SECOND;
    claim_note(run->table, run->items, 0, *busy_s);
    return goes_on;
}

static void live(struct run *run)
{
    const struct claim_files files = {run, list, create, rename_from, remove_name, now_ns};
    const struct claim_options options = {
        .count = run->world->count, .id = run->id, .workers = 2, .silent_s = run->silent_s, .text = ""};
    double busy_s = 0;

    if (!expect(run, claim_open(&options, &files, &run->table)))
        return;
    while (step(run, &busy_s) && !(run->leaves_ns && run->world->now_ns >= run->leaves_ns)) {
        double wait_s = claim_wait_s(run->table);
        if (wait_s > 0)
            sleep_s(run, wait_s);
    }
    run->has_left = true;
    claim_close(run->table);
}

static void *run_main(void *argument)
{
    struct run *run = argument;

    wait_turn(run);
    live(run);
    run->wakes_ns = NEVER;
    wake_next(run->world);
    return NULL;
}

/* The folder of a new table, which is whole from its first moment on. */
static int create_first(void *argument, const char *name, const char *text)
{
    (void)text;
    add_file(argument, name);
    return 0;
}

static void make_world(struct world *world, uint64_t count, size_t runs, double latency_s)
{
    const struct claim_files files = {.argument = world, .create = create_first};

    *world = (struct world){.count = count, .latency_ns = (uint64_t)(latency_s * SECOND), .run_count = runs};
    world->done = calloc(count + 1, 1);
    world->runs = calloc(runs, sizeof *world->runs);
    CU_ASSERT_FATAL(world->done && world->runs);
    CU_ASSERT_EQUAL(claim_fill(&files, count), 0);
    for (size_t i = 0; i < runs; i++)
        world->runs[i] = (struct run){.world = world,
                                      .id = (i + 1) * 0x9e3779b97f4a7c15u,
                                      .clock_offset_ns = i * 77 * SECOND,
                                      .item_s = 0.01,
                                      .silent_s = 6};
}

static void start(struct run *run)
{
    pthread_attr_t attributes;

    run->wakes_ns = run->arrives_ns;
    sem_init(&run->turn, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&run->thread, &attributes, run_main, run), 0);
    pthread_attr_destroy(&attributes);
}

static void run_world(struct world *world)
{
    sem_init(&world->over, 0, 0);
    for (size_t i = 0; i < world->run_count; i++)
        start(&world->runs[i]);
    wake_next(world);
    while (sem_wait(&world->over))
        ;
    for (size_t i = 0; i < world->run_count; i++) {
        pthread_join(world->runs[i].thread, NULL);
        sem_destroy(&world->runs[i].turn);
    }
    sem_destroy(&world->over);
}

static uint64_t items_run(const struct world *world)
{
    uint64_t items = 0;

    for (size_t i = 0; i < world->run_count; i++)
        items += world->runs[i].items;
    return items;
}

/* All is done, nobody was told of what it did not expect, and no item was in no claim. */
static void check_end(const struct world *world)
{
    CU_ASSERT_TRUE(world->is_finished);
    CU_ASSERT_EQUAL(world->finishes, 1);
    CU_ASSERT_EQUAL(world->done_count, world->count);
    CU_ASSERT_EQUAL(world->broken, 0);
    for (size_t i = 0; i < world->run_count; i++)
        CU_ASSERT_EQUAL(world->runs[i].failed, 0);
}

static void free_world(struct world *world)
{
    free(world->done);
    free(world->runs);
    free(world->files);
}

/* ---- Plain situations ---- */

static void names_are_read_as_they_are_written(void)
{
    struct claim claim;
    struct claim_run run;
    uint64_t owner;

    CU_ASSERT_TRUE(claim_parse_range("claim-5-17-ab12", &claim, &owner));
    CU_ASSERT_TRUE(claim.first == 5 && claim.end == 17 && owner == 0xab12);
    CU_ASSERT_TRUE(claim_parse_range("claim-0-1-0", &claim, &owner));
    CU_ASSERT_EQUAL(owner, 0);
    CU_ASSERT_TRUE(claim_parse_run("run-ff-3-20-1-1500", &run));
    CU_ASSERT_TRUE(run.id == 0xff && run.beat == 3 && run.done == 20 && run.failed == 1 && run.ms == 1500);
    for (const char *const *wrong =
             (const char *[]){"claim-5-5-0", "claim-9-5-0", "claim-5-17", "claim--1-4-0", "claim-1-2-0x",
                              "claim-1-2-3-4", "claim-", "rows", NULL};
         *wrong; wrong++)
        CU_ASSERT_FALSE(claim_parse_range(*wrong, &claim, &owner));
    CU_ASSERT_FALSE(claim_parse_run("run-ff-3-20-1", &run));
    CU_ASSERT_FALSE(claim_parse_run("claim-5-17-ab12", &run));
}

static void some_runs_do_each_item_once(void)
{
    static const uint64_t counts[] = {0, 1, 2, 63, 64, 65, 5000};

    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (size_t runs = 1; runs <= 5; runs += 2) {
            struct world world;

            make_world(&world, counts[c], runs, 0.001);
            world.is_checked = counts[c] <= 65;
            run_world(&world);
            check_end(&world);
            CU_ASSERT_EQUAL(items_run(&world), counts[c]);
            free_world(&world);
        }
    }
}

static void who_comes_late_gets_a_share(void)
{
    struct world world;

    make_world(&world, 4000, 2, 0.001);
    world.runs[1].arrives_ns = 10 * (uint64_t)SECOND; /* of 40 s for one */
    run_world(&world);
    check_end(&world);
    CU_ASSERT_TRUE(world.runs[1].items > 1300);
    CU_ASSERT_EQUAL(items_run(&world), 4000);
    free_world(&world);
}

static void who_leaves_gives_back_what_it_has(void)
{
    struct world world;

    make_world(&world, 1000, 2, 0.001);
    world.runs[0].leaves_ns = 2 * (uint64_t)SECOND;
    run_world(&world);
    check_end(&world);
    CU_ASSERT_TRUE(world.runs[0].has_left);
    CU_ASSERT_EQUAL(items_run(&world), 1000);
    free_world(&world);
}

/* ---- Deaths and stops ---- */

/* Runs 0 and 1 on a small table: `prepare` gives run 0 its trouble at operation `op`. False if it had fewer
 * operations. */
static bool survive(uint64_t op, void (*prepare)(struct run *run, uint64_t op), uint64_t *twice)
{
    struct world world;
    bool reached;

    make_world(&world, 300, 2, 0.005);
    world.is_checked = true;
    world.runs[1].arrives_ns = SECOND / 3;
    prepare(&world.runs[0], op);
    run_world(&world);
    reached = world.runs[0].ops >= op;
    check_end(&world);
    *twice = items_run(&world) - world.count;
    free_world(&world);
    return reached;
}

static void die_at(struct run *run, uint64_t op)
{
    run->dies_at_op = op;
}

static void stop_at(struct run *run, uint64_t op)
{
    run->stops_at_op = op;
    run->stop_ns = 30 * (uint64_t)SECOND;
}

static void lose_reply_at(struct run *run, uint64_t op)
{
    run->loses_reply_at_op = op;
}

static void search_operations(void (*prepare)(struct run *run, uint64_t op), uint64_t most_twice)
{
    uint64_t op = 1, twice;

    for (; survive(op, prepare, &twice); op++)
        CU_ASSERT_TRUE(twice <= most_twice);
    CU_ASSERT_TRUE(op > 20);
    printf("%" PRIu64 " operations ", op - 1);
}

static void a_death_before_each_operation_loses_nothing(void)
{
    search_operations(die_at, 0);
}

/* What it does after it was stopped, another one has taken over, or done: at most one item is in flight. */
static void a_stop_before_each_operation_does_no_harm(void)
{
    search_operations(stop_at, 1);
}

static void a_lost_reply_of_each_operation_does_no_harm(void)
{
    search_operations(lose_reply_at, 0);
}

/* A list that misses files does not lead to an end that is too early. */
static void lists_that_miss_files_do_no_harm(void)
{
    struct world world;

    make_world(&world, 2000, 4, 0.002);
    world.loses_items = world.is_checked = true;
    run_world(&world);
    check_end(&world);
    free_world(&world);
}

/* Nobody is taken for dead whose beats come, however long it works on one item. */
static void who_is_only_slow_keeps_its_claim(void)
{
    struct world world;

    make_world(&world, 8, 2, 0.005);
    world.runs[0].item_s = world.runs[1].item_s = 5.9; /* and it beats between items only, here */
    run_world(&world);
    check_end(&world);
    CU_ASSERT_EQUAL(items_run(&world), 8);
    free_world(&world);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

/* Each kind of trouble, at random, for all runs but the last, which only comes when the others have gone. */
static void trouble(struct run *run)
{
    uint64_t at = 1 + random_below(150);

    run->arrives_ns = random_below(8) * SECOND;
    switch (random_below(4)) {
    case 0:
        run->dies_at_op = at;
        break;
    case 1:
        run->stops_at_op = at;
        run->stop_ns = random_below(60) * SECOND;
        break;
    case 2:
        run->dies_at_ns = run->arrives_ns + 1 + random_below(10 * (uint64_t)SECOND);
        break;
    default:
        run->leaves_ns = run->arrives_ns + 1 + random_below(10 * (uint64_t)SECOND);
    }
}

static void random_troubles_lose_nothing(void)
{
    for (unsigned round = 0; round < 60; round++) {
        struct world world;

        make_world(&world, 1 + random_below(2500), 8, 0.001);
        world.loses_items = round % 3 == 0;
        for (size_t i = 0; i + 1 < world.run_count; i++)
            trouble(&world.runs[i]);
        world.runs[7].arrives_ns = random_below(20) * SECOND;
        run_world(&world);
        check_end(&world);
        free_world(&world);
    }
}

/* ---- Very many runs ---- */

static uint64_t most_ops_in_a_second(const struct world *world)
{
    uint64_t most = 0;

    for (size_t i = 0; i < MOST_S; i++)
        most = world->ops_in_second[i] > most ? world->ops_in_second[i] : most;
    return most;
}

/* A tenth of them die in the middle of it, so that claims are taken over. */
static void a_thousand_runs_ask_for_less_than_a_thousand_operations_a_second(void)
{
    const double item_s = 1, ideal_s = 240;
    const size_t runs = 1000;
    struct world world;
    double seconds;

    make_world(&world, (uint64_t)((double)runs * ideal_s / item_s), runs, 0.005);
    for (size_t i = 0; i < runs; i++) {
        world.runs[i].item_s = item_s;
        world.runs[i].silent_s = 60;
        world.runs[i].arrives_ns = i * 30 * SECOND / runs;
        world.runs[i].dies_at_ns = i % 10 ? 0 : (60 + i / 10) * (uint64_t)SECOND;
    }
    run_world(&world);
    check_end(&world);
    seconds = (double)world.finished_ns / SECOND;
    printf("%" PRIu64 " operations in %.0f s, at most %" PRIu64
           " in one; %.1f %% of the work was done twice ",
           world.ops, seconds, most_ops_in_a_second(&world),
           100.0 * (double)(items_run(&world) - world.count) / (double)world.count);
    CU_ASSERT_TRUE(most_ops_in_a_second(&world) < 1000);
    CU_ASSERT_TRUE(seconds < ideal_s * 1.5);
    free_world(&world);
}

/* Eight runs that come, leave and die: the work that they had time for, beside what was there to do. */
static void eight_runs_that_come_and_go_lose_little_time(void)
{
    struct world world;
    double time_s = 0, work_s;

    make_world(&world, 100000, 12, 0.001);
    for (size_t i = 0; i < world.run_count; i++) {
        struct run *run = &world.runs[i];

        run->arrives_ns = i < 8 ? i * SECOND / 2 : i * 9 * SECOND;
        run->leaves_ns = i >= 8 || i % 4 ? 0 : (20 + 10 * i) * (uint64_t)SECOND;
        run->dies_at_ns = i == 3 || i == 5 ? (30 + i) * (uint64_t)SECOND : 0;
    }
    run_world(&world);
    check_end(&world);
    for (size_t i = 0; i < world.run_count; i++) {
        const struct run *run = &world.runs[i];
        uint64_t to = run->leaves_ns ? run->leaves_ns : run->dies_at_ns ? run->dies_at_ns : world.finished_ns;

        time_s += (double)(to - run->arrives_ns) / SECOND;
    }
    work_s = (double)world.count * 0.01;
    printf("efficiency %.3f ", work_s / time_s);
    CU_ASSERT_TRUE(work_s / time_s > 0.95);
    free_world(&world);
}

/* ---- A real folder ---- */

static int fill_folder(int folder, void *count)
{
    const struct claim_files files = claim_files_of(&folder);

    return claim_fill(&files, *(uint64_t *)count);
}

static int fail_to_fill(int folder, void *unused)
{
    (void)folder, (void)unused;
    return ENOSPC;
}

static bool is_there(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

static void a_real_folder_serves_as_well(void)
{
    char base[] = "/tmp/claim_test.XXXXXX", path[128], left[160];
    uint64_t count = 10, owner_of_all = 7;
    struct claim_files files;
    struct claim_table *table;
    struct claim claim;
    int folder;
    bool taken = false;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(base));
    snprintf(path, sizeof path, "%s/t", base);
    snprintf(left, sizeof left, "%s.left", path);
    CU_ASSERT_EQUAL(claim_folder_make(path, fail_to_fill, NULL), ENOSPC);
    CU_ASSERT_FALSE(is_there(path));
    CU_ASSERT_EQUAL_FATAL(claim_folder_make(path, fill_folder, &count), 0);
    CU_ASSERT_EQUAL(claim_folder_make(path, fail_to_fill, NULL), 0); /* it is there */
    CU_ASSERT_EQUAL_FATAL(claim_folder_open(path, &folder), 0);
    files = claim_files_of(&folder);
    CU_ASSERT_EQUAL_FATAL(
        claim_open(&(struct claim_options){count, owner_of_all, 100, 60, "who"}, &files, &table), 0);
    for (uint64_t done = 0; done < count && !claim_look(table); done += claim.end - claim.first) {
        CU_ASSERT_EQUAL(claim_items_left(table), count - done);
        CU_ASSERT_TRUE_FATAL(!claim_take(table, &claim, &taken) && taken && !claim.is_end);
        CU_ASSERT_EQUAL(claim_end(table, &claim), 0);
    }
    CU_ASSERT_TRUE(!claim_look(table) && !claim_take(table, &claim, &taken) && taken && claim.is_end);
    CU_ASSERT_EQUAL(mkdir(left, 0777), 0);
    claim_folders_remove(path);
    CU_ASSERT_FALSE(is_there(path) || is_there(left));
    CU_ASSERT_EQUAL(claim_look(table), ENOENT);
    claim_close(table);
    close(folder);
    CU_ASSERT_EQUAL(rmdir(base), 0);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"names are read as they are written", names_are_read_as_they_are_written},
        {"some runs do each item once", some_runs_do_each_item_once},
        {"who comes late gets a share", who_comes_late_gets_a_share},
        {"who leaves gives back what it has", who_leaves_gives_back_what_it_has},
        {"a death before each operation loses nothing", a_death_before_each_operation_loses_nothing},
        {"a stop before each operation does no harm", a_stop_before_each_operation_does_no_harm},
        {"a lost reply of each operation does no harm", a_lost_reply_of_each_operation_does_no_harm},
        {"lists that miss files do no harm", lists_that_miss_files_do_no_harm},
        {"who is only slow keeps its claim", who_is_only_slow_keeps_its_claim},
        {"random troubles lose nothing", random_troubles_lose_nothing},
        {"a thousand runs ask for less than a thousand operations a second",
         a_thousand_runs_ask_for_less_than_a_thousand_operations_a_second},
        {"eight runs that come and go lose little time", eight_runs_that_come_and_go_lose_little_time},
        {"a real folder serves as well", a_real_folder_serves_as_well},
    };

    return suite_run("claim", tests, sizeof tests / sizeof *tests);
}
