/* SPDX-License-Identifier: BSD-3-Clause */
/* A thousand processes that are killed at random instants while they put, get, add and lock: what they leave
 * is a true history. What each has begun and has done stands in a file that all ranks map before mpm_init,
 * so that it outlives them, and is right whatever the library does.
 *
 * MPMAP_TEST_DEATHS is how many are killed (without it 1000 on one node, and 200 across nodes), MPMAP_TEST_SEED
 * chooses the instants. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "node/context.h"
#include "shm/arena.h"
#include "support/suite.h"

#define VICTIMS      6u /* at a time */
#define TOKENS       (UINT32_C(1) << 27)
#define LONGEST_NS   3000000u /* that a victim lives after the last one died */
#define MOST_WAITING 64u
#define PATIENCE_S   60

struct history {
    _Atomic uint32_t next;    /* token */
    _Atomic uint32_t is_over; /* victims are to end by themselves */
    _Atomic uint64_t adds_begun, adds_done;
    _Atomic uint64_t turns_begun, turns_done; /* with the lock */
    uint64_t first, second;                   /* written with the lock only, one after the other */
    _Atomic unsigned char put[TOKENS], got[TOKENS];
};

static struct history *history;

/* All ranks of a run have one parent: the launcher, or whoever started the test. */
static bool share_history(char *path, size_t size)
{
    const char *folder = getenv("TMPDIR");
    int file;

    snprintf(path, size, "%s/mpmap_history_test.%d", folder ? folder : "/tmp", (int)getppid());
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *history))
        return false;
    history = mmap(NULL, sizeof *history, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return history != MAP_FAILED;
}

/* What the victims use: made by main. */
struct things {
    mpm_queue queue;
    mpm_value sum;
    mpm_array sums;
    mpm_lock lock;
};

static unsigned draw(unsigned below)
{
    static uint64_t chance;

    if (!chance) {
        const char *seed = getenv("MPMAP_TEST_SEED");

        chance = seed ? strtoull(seed, NULL, 10) * 2 + 1 : 1;
    }
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((chance >> 33) % below);
}

/* The victims. */

static int exchange_token(const struct things *things)
{
    uint32_t token = atomic_fetch_add(&history->next, 1), got;

    if (token >= TOKENS || mpm_queue_put(things->queue, &token, sizeof token, PATIENCE_S))
        return 1;
    atomic_store(&history->put[token], 1);
    if (mpm_queue_get(things->queue, PATIENCE_S, &got, sizeof got, NULL) || got >= TOKENS)
        return 1;
    atomic_fetch_add(&history->got[got], 1);
    return 0;
}

static int add(const struct things *things)
{
    uint64_t one = 1;

    atomic_fetch_add(&history->adds_begun, 1);
    if (mpm_value_add(things->sum, &one) || mpm_array_add(things->sums, 2, &one))
        return 1;
    atomic_fetch_add(&history->adds_done, 1);
    return 0;
}

/* Two stores that belong together; who comes after a dead holder finds them apart, and mends that. */
static int take_a_turn(const struct things *things)
{
    int status;

    atomic_fetch_add(&history->turns_begun, 1);
    if ((status = mpm_lock_acquire(things->lock, PATIENCE_S)) && status != MPM_EOWNERDIED)
        return 1;
    if (status == MPM_EOWNERDIED)
        history->first = history->second;
    else if (history->first != history->second)
        return 2;
    history->first++;
    atomic_signal_fence(memory_order_seq_cst);
    history->second++;
    if (mpm_lock_release(things->lock))
        return 3;
    atomic_fetch_add(&history->turns_done, 1);
    return 0;
}

static int be_a_victim(const void *args, size_t size)
{
    int wrong = 0;

    (void)size;
    while (!wrong && !atomic_load(&history->is_over)) {
        wrong = exchange_token(args);
        wrong = wrong ? wrong : add(args);
        wrong = wrong ? wrong : take_a_turn(args);
    }
    if (wrong)
        fprintf(stderr, "a victim failed (%d): %s\n", wrong, mpm_error());
    return wrong;
}

/* Main. */

static unsigned wanted_deaths(void)
{
    const char *told = getenv("MPMAP_TEST_DEATHS");

    if (told)
        return (unsigned)strtoul(told, NULL, 10);
    return mpm_node_count() == 1 ? 1000 : 200;
}

static void start_victim(const struct things *things, unsigned number, mpm_process *victim)
{
    mpm_process_options options = {.place = MPM_ON_NODE(number % mpm_node_count())};

    if (mpm_process_start(be_a_victim, things, sizeof *things, &options, victim)) {
        fprintf(stderr, "no victim: %s\n", mpm_error());
        CU_FAIL("a victim cannot be started");
    }
}

static int end_of(mpm_process victim)
{
    int exitcode = INT_MAX;

    CU_ASSERT(!mpm_process_join(victim, PATIENCE_S));
    CU_ASSERT(!mpm_process_exitcode(victim, &exitcode));
    CU_ASSERT(!mpm_process_close(victim));
    return exitcode;
}

/* The instant is drawn. */
static void let_pass(void)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)draw(LONGEST_NS)}, NULL);
}

static unsigned kill_many(const struct things *things, unsigned deaths)
{
    mpm_process victims[VICTIMS];
    unsigned killed = 0;

    for (unsigned i = 0; i < VICTIMS; i++)
        start_victim(things, i, &victims[i]);
    for (unsigned i = 0; i < deaths; i++) {
        unsigned which = draw(VICTIMS);

        let_pass();
        CU_ASSERT(!mpm_process_kill(victims[which]));
        killed += end_of(victims[which]) == -SIGKILL;
        start_victim(things, i, &victims[which]);
    }
    atomic_store(&history->is_over, 1);
    for (unsigned i = 0; i < VICTIMS; i++)
        CU_ASSERT_EQUAL(end_of(victims[i]), 0);
    return killed;
}

/* A killed getter may take one message with it; a killed putter may or may not have put its own. */
static void tokens_are_true(const struct things *things, unsigned killed)
{
    size_t lost = 0, twice = 0, left = 0, size = 0;
    uint32_t token;

    CU_ASSERT(history->next <= TOKENS);
    CU_ASSERT(!mpm_queue_size(things->queue, &size));
    while (!mpm_queue_get(things->queue, 0, &token, sizeof token, NULL)) {
        left++;
        CU_ASSERT(token < history->next);
        atomic_fetch_add(&history->got[token % TOKENS], 1);
    }
    CU_ASSERT_EQUAL(left, size);
    for (uint32_t i = 0; i < history->next; i++) {
        lost += history->put[i] && !history->got[i];
        twice += history->got[i] > 1;
    }
    CU_ASSERT(lost <= killed);
    CU_ASSERT_EQUAL(twice, 0);
    printf("%u messages, %zu lost with %u getters that were killed ", history->next, lost, killed);
}

static void sums_are_true(const struct things *things)
{
    uint64_t sum = 0, element = 0;

    CU_ASSERT(!mpm_value_get(things->sum, &sum) && !mpm_array_get(things->sums, 2, &element));
    CU_ASSERT(history->adds_done <= element && element <= sum && sum <= history->adds_begun);
}

static void turns_are_true(const struct things *things)
{
    int status = mpm_lock_acquire(things->lock, PATIENCE_S);

    CU_ASSERT(!status || status == MPM_EOWNERDIED);
    CU_ASSERT(status == MPM_EOWNERDIED || history->first == history->second);
    CU_ASSERT(history->turns_done <= history->second && history->first <= history->turns_begun);
    CU_ASSERT(!mpm_lock_release(things->lock));
}

static struct arena_usage usage(void)
{
    struct arena_usage now;

    arena_usage(context_arena(), &now);
    return now;
}

/* Of the tokens, those that were drawn: the file has holes for the rest. */
static void forget(void)
{
    uint32_t count = history->next < TOKENS ? history->next : TOKENS;

    for (uint32_t i = 0; i < count; i++)
        history->put[i] = history->got[i] = 0;
    memset(history, 0, offsetof(struct history, put));
}

/* The first round makes what stays: cells, records, slots. */
static void a_round(unsigned deaths)
{
    struct things things;
    unsigned killed;

    forget();
    CU_ASSERT_FATAL(!mpm_queue_create(NULL, &things.queue));
    CU_ASSERT_FATAL(!mpm_value_create(MPM_U64, NULL, &things.sum));
    CU_ASSERT_FATAL(!mpm_array_create(MPM_U64, 3, NULL, &things.sums));
    CU_ASSERT_FATAL(!mpm_lock_create(&things.lock));
    killed = kill_many(&things, deaths);
    CU_ASSERT_EQUAL(killed, deaths);
    tokens_are_true(&things, killed);
    sums_are_true(&things);
    turns_are_true(&things);
    CU_ASSERT(!mpm_queue_destroy(things.queue) && !mpm_value_destroy(things.sum));
    CU_ASSERT(!mpm_array_destroy(things.sums) && !mpm_lock_destroy(things.lock));
}

static void killed_processes_leave_a_true_history_and_no_memory(void)
{
    struct arena_usage before;

    a_round(MOST_WAITING);
    before = usage();
    a_round(wanted_deaths());
    CU_ASSERT_EQUAL(usage().used, before.used);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"killed_processes_leave_a_true_history_and_no_memory",
         killed_processes_leave_a_true_history_and_no_memory},
    };
    char path[PATH_MAX];
    int status;

    if (!share_history(path, sizeof path)) {
        perror(path);
        return EXIT_FAILURE;
    }
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    unlink(path);
    status = suite_run("history", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
