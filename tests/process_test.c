/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes, as a user's program has them, at home and over virtual nodes. What they tell the test stands in
 * a file that all ranks map before mpm_init, so that all processes inherit it. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/clock.h"
#include "node/context.h"
#include "process/process_parts.h"
#include "shm/eventcount.h"
#include "support/child.h"
#include "support/predicate.h"
#include "support/suite.h"

#define PATIENCE_S 100.0
#define CROWD      AMOUNT(200, 30)

/* What all processes see. */
struct shared {
    struct eventcount gate;   /* processes that wait go on when it has moved on */
    _Atomic unsigned arrived; /* how many have come to where the test wants them */
    mpm_process handles[4];   /* what a process says of itself and of others */
    char name[64];
    int pid;
    int status;
    unsigned node;
};

static struct shared *shared;

/* All ranks of a run have one parent: the launcher, or whoever started the test. */
static bool share(char *path, size_t size)
{
    const char *folder = getenv("TMPDIR");
    int file;

    snprintf(path, size, "%s/mpmap_process_test.%d", folder ? folder : "/tmp", (int)getppid());
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *shared))
        return false;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return shared != MAP_FAILED;
}

static void forget(void)
{
    memset((void *)shared, 0, sizeof *shared);
}

static mpm_process start_on(unsigned node, mpm_target *target, const void *args, size_t size)
{
    mpm_process process = {{0}};
    int status = mpm_process_start(target, args, size, &(mpm_process_options){.place = MPM_ON_NODE(node)},
                                   &process);

    if (status)
        mpm_report_error();
    CU_ASSERT_EQUAL_FATAL(status, MPM_OK);
    return process;
}

/* Waits for its end; its exit code. The process is closed. */
static int end_of(mpm_process process)
{
    int code = INT_MIN;

    CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_exitcode(process, &code), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_close(process), MPM_OK);
    return code;
}

static bool is_same(mpm_process one, mpm_process other)
{
    return !memcmp(&one, &other, sizeof one);
}

/* What processes run. */

static int return_number(const void *args, size_t size)
{
    int number;

    if (size != sizeof number)
        return 99;
    memcpy(&number, args, size);
    return number;
}

static int wait_at_gate(const void *args, size_t size)
{
    (void)args;
    (void)size;
    atomic_fetch_add(&shared->arrived, 1);
    eventcount_wait(&shared->gate, 0, 0, CLOCK_FOREVER);
    return 5;
}

static void open_gate(void)
{
    eventcount_notify(&shared->gate);
}

static void *leave_by_mpm_exit(void *unused)
{
    (void)unused;
    mpm_exit(263);
}

enum way { BY_MPM_EXIT, BY_THREAD, BY_EXIT, BY_SEGV, BY_ABORT };

static int leave(const void *args, size_t size)
{
    const enum way *way = args;
    pthread_t thread;

    (void)size;
    switch (*way) {
    case BY_MPM_EXIT:
        mpm_exit(7);
    case BY_THREAD:
        pthread_create(&thread, NULL, leave_by_mpm_exit, NULL);
        pthread_join(thread, NULL);
        break;
    case BY_EXIT:
        exit(9);
    case BY_SEGV:
        raise(SIGSEGV);
        break;
    case BY_ABORT:
        abort();
    }
    return 0;
}

/* Tests. */

static void the_exit_code_is_the_low_byte_of_what_is_returned(void)
{
    for (int number = -2; number < 260; number += AMOUNT(1, 20)) {
        mpm_process process;

        CU_ASSERT_EQUAL_FATAL(mpm_process_start(return_number, &number, sizeof number, NULL, &process),
                              MPM_OK);
        CU_ASSERT_EQUAL(end_of(process), number & 0xff);
    }
}

static void a_process_may_leave_from_anywhere(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        enum way way = BY_MPM_EXIT;

        CU_ASSERT_EQUAL(end_of(start_on(node, leave, &way, sizeof way)), 7);
        way = BY_THREAD;
        CU_ASSERT_EQUAL(end_of(start_on(node, leave, &way, sizeof way)), 7);
        way = BY_EXIT;
        CU_ASSERT_EQUAL(end_of(start_on(node, leave, &way, sizeof way)), 9);
    }
}

static void the_exit_code_of_a_crash_is_minus_the_signal(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        enum way way = BY_SEGV;

        CU_ASSERT_EQUAL(end_of(start_on(node, leave, &way, sizeof way)), -SIGSEGV);
        way = BY_ABORT;
        CU_ASSERT_EQUAL(end_of(start_on(node, leave, &way, sizeof way)), -SIGABRT);
    }
}

/* At once after the start, too: a signal is not lost, wherever in its beginning the process is. */
static void terminate_kill_and_interrupt_end_it(void)
{
    forget();
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        for (int i = 0; i < AMOUNT(20, 2); i++) {
            mpm_process process = start_on(node, wait_at_gate, NULL, 0);

            CU_ASSERT_EQUAL(mpm_process_terminate(process), MPM_OK);
            CU_ASSERT_EQUAL(end_of(process), -SIGTERM);
            process = start_on(node, wait_at_gate, NULL, 0);
            CU_ASSERT_EQUAL(mpm_process_interrupt(process), MPM_OK);
            CU_ASSERT_EQUAL(end_of(process), -SIGINT);
            process = start_on(node, wait_at_gate, NULL, 0);
            CU_ASSERT_EQUAL(mpm_process_kill(process), MPM_OK);
            CU_ASSERT_EQUAL(end_of(process), -SIGKILL);
        }
    }
}

static void signals_leave_an_ended_process_alone(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        int number = 3;
        mpm_process process = start_on(node, return_number, &number, sizeof number);

        CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_kill(process), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_terminate(process), MPM_OK);
        CU_ASSERT_EQUAL(end_of(process), 3);
    }
}

static void check_late_join(mpm_process process, double timeout_s)
{
    double began_s = clock_now_s(), least_s = timeout_s > 0 ? timeout_s : 0;

    CU_ASSERT_EQUAL(mpm_process_join(process, timeout_s), MPM_ETIMEDOUT);
    CU_ASSERT(clock_now_s() - began_s >= least_s);
    CU_ASSERT(clock_now_s() - began_s < least_s + 60);
}

static void join_is_never_early_and_may_be_repeated(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;
        int code = 1234;

        forget();
        process = start_on(node, wait_at_gate, NULL, 0);
        check_late_join(process, 0);
        check_late_join(process, -1);
        check_late_join(process, 0.15);
        CU_ASSERT(error_has("is still running"));
        CU_ASSERT_EQUAL(process_is_alive(process), 1);
        CU_ASSERT_EQUAL(mpm_process_exitcode(process, &code), MPM_EBUSY);
        CU_ASSERT_EQUAL(code, 1234);
        CU_ASSERT_EQUAL(mpm_process_close(process), MPM_EBUSY);
        open_gate();
        CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_join(process, 0), MPM_OK);
        CU_ASSERT_EQUAL(process_is_alive(process), 0);
        CU_ASSERT_EQUAL(end_of(process), 5);
    }
}

static int join_another(const void *args, size_t size)
{
    mpm_process other;
    int code;

    if (size != sizeof other)
        return 97;
    memcpy(&other, args, sizeof other);
    atomic_fetch_add(&shared->arrived, 1);
    if (mpm_process_join(other, PATIENCE_S) || mpm_process_exitcode(other, &code))
        return 98;
    return code + 10;
}

static void any_process_may_join(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        unsigned next = (node + 1) % mpm_node_count();
        mpm_process awaited, joiners[2];

        forget();
        awaited = start_on(node, wait_at_gate, NULL, 0);
        joiners[0] = start_on(node, join_another, &awaited, sizeof awaited);
        joiners[1] = start_on(next, join_another, &awaited, sizeof awaited);
        CU_ASSERT(child_reached(&shared->arrived, 3));
        CU_ASSERT_EQUAL(process_is_alive(joiners[0]), 1);
        open_gate();
        CU_ASSERT_EQUAL(end_of(joiners[0]), 15);
        CU_ASSERT_EQUAL(end_of(joiners[1]), 15);
        CU_ASSERT_EQUAL(end_of(awaited), 5);
    }
}

static int join_itself(const void *args, size_t size)
{
    mpm_process self;

    (void)args;
    (void)size;
    return mpm_current_process(&self) || mpm_process_join(self, 0) != MPM_EINVAL;
}

static void a_process_cannot_join_itself(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++)
        CU_ASSERT_EQUAL(end_of(start_on(node, join_itself, NULL, 0)), 0);
}

#define LARGE (1u << 20)

static int check_large(const void *args, size_t size)
{
    const unsigned char *bytes = args;

    if (size != LARGE || (uintptr_t)args % 16)
        return 1;
    for (size_t i = 0; i < LARGE; i++) {
        if (bytes[i] != (unsigned char)(i * 2654435761u >> 24))
            return 2;
    }
    return 0;
}

static int check_none(const void *args, size_t size)
{
    return args || size;
}

static void args_are_copied_large_ones_and_none(void)
{
    unsigned char *bytes = malloc(LARGE);

    CU_ASSERT_FATAL(bytes != NULL);
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;

        for (size_t i = 0; i < LARGE; i++)
            bytes[i] = (unsigned char)(i * 2654435761u >> 24);
        process = start_on(node, check_large, bytes, LARGE);
        memset(bytes, 0xee, LARGE);
        CU_ASSERT_EQUAL(end_of(process), 0);
        CU_ASSERT_EQUAL(end_of(start_on(node, check_none, NULL, 0)), 0);
        CU_ASSERT_EQUAL(end_of(start_on(node, check_none, bytes, 0)), 0);
    }
    free(bytes);
}

static void two_hundred_run_at_once(void)
{
    static mpm_process crowd[CROWD], listed[CROWD];
    size_t found = 0;

    forget();
    for (int i = 0; i < CROWD; i++)
        CU_ASSERT_EQUAL_FATAL(mpm_process_start(wait_at_gate, NULL, 0, NULL, &crowd[i]), MPM_OK);
    CU_ASSERT(child_reached(&shared->arrived, CROWD));
    CU_ASSERT_EQUAL(mpm_active_children(listed, SIZE_MAX, &found), MPM_OK);
    CU_ASSERT_EQUAL(found, CROWD);
    for (int i = 0; i < CROWD; i++) {
        int known = 0;

        for (int j = 0; j < CROWD; j++)
            known += is_same(listed[i], crowd[j]);
        CU_ASSERT_EQUAL(known, 1);
    }
    open_gate();
    for (int i = 0; i < CROWD; i++)
        CU_ASSERT_EQUAL(end_of(crowd[i]), 5);
}

/* Whether no other node was asked for less, for its slots, than that one before it was asked for its last process. */
static bool was_asked_for_least(unsigned chosen)
{
    const struct process_table *table = process_table_of(context_arena());
    const struct node *nodes = context_topology()->nodes;

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        if (node != chosen &&
            table->asked[chosen] * nodes[node].slots > (table->asked[node] + 1) * nodes[chosen].slots)
            return false;
    }
    return true;
}

static void processes_are_spread_over_nodes_by_their_slots(void)
{
    unsigned nodes = mpm_node_count(), by_node[64] = {0}, slots = mpm_slot_count();
    mpm_process process;

    for (unsigned i = 0; i < 4 * slots; i++) {
        CU_ASSERT_EQUAL_FATAL(mpm_process_start(check_none, NULL, 0, NULL, &process), MPM_OK);
        by_node[mpm_process_node(process)]++;
        CU_ASSERT(was_asked_for_least(mpm_process_node(process)));
        CU_ASSERT_EQUAL(end_of(process), 0);
    }
    for (unsigned node = 0; nodes <= 64 && node < nodes; node++)
        CU_ASSERT(by_node[node] > 0 || nodes > 4 * slots);
}

/* Says who it is. */
static int introduce_itself(const void *args, size_t size)
{
    (void)args;
    (void)size;
    shared->pid = (int)getpid();
    shared->node = mpm_node_id();
    if (mpm_current_process(&shared->handles[0]) ||
        mpm_process_name(shared->handles[0], shared->name, sizeof shared->name))
        return 1;
    shared->status = mpm_parent_process(&shared->handles[1]);
    return 0;
}

static int have_a_child_introduce_itself(const void *args, size_t size)
{
    mpm_process child;
    int code;

    (void)size;
    if (mpm_process_start(introduce_itself, NULL, 0, args, &child) || mpm_process_join(child, PATIENCE_S) ||
        mpm_process_exitcode(child, &code) || mpm_process_close(child))
        return 1;
    return code;
}

static void a_process_knows_its_node_its_pid_and_itself(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;
        int pid = 0;

        forget();
        process = start_on(node, introduce_itself, NULL, 0);
        CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_pid(process, &pid), MPM_OK);
        CU_ASSERT_EQUAL(pid, shared->pid);
        CU_ASSERT_EQUAL(shared->node, node);
        CU_ASSERT_EQUAL(mpm_process_node(process), node);
        CU_ASSERT(is_same(process, shared->handles[0]));
        CU_ASSERT_EQUAL(shared->status, MPM_ESTATE);
        CU_ASSERT_EQUAL(end_of(process), 0);
    }
    CU_ASSERT_EQUAL(mpm_current_process(&shared->handles[0]), MPM_ESTATE);
    CU_ASSERT_EQUAL(mpm_parent_process(&shared->handles[0]), MPM_ESTATE);
}

/* The same in main, a process and a worker. */

static bool is_self(enum mpm_process_kind kind, const char *name)
{
    mpm_process_info self = {.node = UINT32_MAX};

    return !mpm_process_self(&self) && self.kind == kind && self.node == mpm_node_id() &&
           self.pid == (int)getpid() && !strcmp(self.name, name) &&
           !self.process.handle.kind == (kind != MPM_KIND_PROCESS);
}

static int check_self(const void *args, size_t size)
{
    mpm_process_info self;
    mpm_process current;

    (void)args;
    (void)size;
    return !is_self(MPM_KIND_PROCESS, "Tom") || mpm_process_self(&self) || mpm_current_process(&current) ||
           !is_same(self.process, current);
}

static int check_worker(mpm_call *call, const void *item, void *result)
{
    (void)item;
    (void)result;
    return is_self(MPM_KIND_WORKER, "worker") ? 0 : mpm_fail(call, "it is somebody else");
}

static void whoever_asks_is_told_who_it_is(void)
{
    mpm_pool *pool;

    CU_ASSERT(is_self(MPM_KIND_MAIN, "main"));
    CU_ASSERT_EQUAL(mpm_process_self(NULL), MPM_EINVAL);
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process_options options = {.name = "Tom", .place = MPM_ON_NODE(node)};
        mpm_process process;
        int code = -1;

        CU_ASSERT_EQUAL_FATAL(mpm_process_start(check_self, NULL, 0, &options, &process), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_reap(process, PATIENCE_S, &code), MPM_OK);
        CU_ASSERT_EQUAL(code, 0);
    }
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(mpm_pool_map(pool, check_worker, "abcdefgh", 8, 1, 0, NULL, NULL), MPM_OK);
    mpm_pool_close(pool);
}

static int die_at_the_gate(const void *args, size_t size)
{
    (void)size;
    wait_at_gate(NULL, 0);
    raise(*(const int *)args);
    return 7;
}

static void one_call_joins_tells_the_exit_code_and_closes(void)
{
    static const struct {
        int signal, code;
    } ends[] = {{0, 7}, {SIGKILL, -SIGKILL}};

    for (unsigned i = 0; i < 2 * mpm_node_count(); i++) {
        mpm_process process;
        int code = -1;

        forget();
        process = start_on(i / 2, die_at_the_gate, &ends[i % 2].signal, sizeof(int));
        CU_ASSERT_EQUAL(mpm_process_reap(process, 0.01, &code), MPM_ETIMEDOUT);
        CU_ASSERT_EQUAL(code, -1);
        open_gate();
        CU_ASSERT_EQUAL(mpm_process_reap(process, PATIENCE_S, &code), MPM_OK);
        CU_ASSERT_EQUAL(code, ends[i % 2].code);
        CU_ASSERT_EQUAL(mpm_process_reap(process, 0, NULL), MPM_ESTALE);
    }
    CU_ASSERT_EQUAL(mpm_process_reap(start_on(0, check_none, NULL, 0), PATIENCE_S, NULL), MPM_OK);
}

static void names_are_counted_by_parent(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        unsigned next = (node + 1) % mpm_node_count(), number = 0;
        mpm_process_options options = {.place = MPM_ON_NODE(next)};
        mpm_process process;
        char name[64], wanted[80], cut[4];

        forget();
        process = start_on(node, have_a_child_introduce_itself, &options, sizeof options);
        CU_ASSERT_EQUAL(mpm_process_name(process, name, sizeof name), MPM_OK);
        CU_ASSERT_EQUAL(sscanf(name, "Process-%u", &number), 1);
        snprintf(wanted, sizeof wanted, "Process-%u", number);
        CU_ASSERT_STRING_EQUAL(name, wanted);
        CU_ASSERT_EQUAL(mpm_process_name(process, cut, sizeof cut), MPM_OK);
        CU_ASSERT_STRING_EQUAL(cut, "Pro");
        CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
        snprintf(wanted, sizeof wanted, "Process-%u:1", number);
        CU_ASSERT_STRING_EQUAL(shared->name, wanted);
        CU_ASSERT_EQUAL(shared->node, next);
        CU_ASSERT_EQUAL(shared->status, MPM_OK);
        CU_ASSERT(is_same(process, shared->handles[1]));
        CU_ASSERT_EQUAL(end_of(process), 0);
        CU_ASSERT_EQUAL_FATAL(mpm_process_start(check_none, NULL, 0, NULL, &process), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_name(process, name, sizeof name), MPM_OK);
        snprintf(wanted, sizeof wanted, "Process-%u", number + 1);
        CU_ASSERT_STRING_EQUAL(name, wanted);
        CU_ASSERT_EQUAL(end_of(process), 0);
    }
}

static void a_name_may_be_given(void)
{
    mpm_process_options options = {.name = "the one that we speak of; it may have sixty-three bytes at most"};
    mpm_process process;

    forget();
    CU_ASSERT_EQUAL_FATAL(mpm_process_start(introduce_itself, NULL, 0, &options, &process), MPM_OK);
    CU_ASSERT_EQUAL(end_of(process), 0);
    CU_ASSERT_STRING_EQUAL(shared->name, options.name);
}

/* Where the children of a process are to run, and how it ends. */
struct family {
    unsigned daemon_node, child_node;
    int ends_itself;
};

static int have_children(const void *args, size_t size)
{
    const struct family *family = args;
    mpm_process_options daemon = {.place = MPM_ON_NODE(family->daemon_node), .daemon = 1};
    mpm_process_options child = {.place = MPM_ON_NODE(family->child_node)};

    (void)size;
    if (mpm_process_start(wait_at_gate, NULL, 0, &daemon, &shared->handles[0]) ||
        mpm_process_start(wait_at_gate, NULL, 0, &child, &shared->handles[1]))
        return 1;
    if (!family->ends_itself) {
        atomic_fetch_add(&shared->arrived, 1);
        for (;;)
            pause();
    }
    return 0;
}

static void check_family(unsigned parent_node, const struct family *family)
{
    mpm_process parent;

    forget();
    parent = start_on(parent_node, have_children, family, sizeof *family);
    if (!family->ends_itself) {
        CU_ASSERT(child_reached(&shared->arrived, 3));
        CU_ASSERT_EQUAL(process_is_alive(shared->handles[0]), 1);
        CU_ASSERT_EQUAL(mpm_process_terminate(parent), MPM_OK);
    }
    CU_ASSERT_EQUAL(end_of(parent), family->ends_itself ? 0 : -SIGTERM);
    CU_ASSERT_EQUAL(end_of(shared->handles[0]), -SIGKILL);
    CU_ASSERT(child_reached(&shared->arrived, 1));
    CU_ASSERT_EQUAL(process_is_alive(shared->handles[1]), 1);
    open_gate();
    CU_ASSERT_EQUAL(end_of(shared->handles[1]), 5);
}

static void daemons_end_with_their_parent_and_others_do_not(void)
{
    unsigned nodes = mpm_node_count() < 3 ? mpm_node_count() : 3;

    for (unsigned parent = 0; parent < nodes; parent++) {
        for (unsigned child = 0; child < nodes; child++) {
            check_family(parent, &(struct family){.daemon_node = child, .child_node = child});
            check_family(parent,
                         &(struct family){.daemon_node = child, .child_node = parent, .ends_itself = 1});
        }
    }
}

static int count_own_children(const void *args, size_t size)
{
    mpm_process child, listed;
    size_t before = 9, during = 9;

    (void)args;
    (void)size;
    if (mpm_active_children(NULL, 0, &before) || before ||
        mpm_process_start(wait_at_gate, NULL, 0, NULL, &child) || mpm_active_children(&listed, 1, &during))
        return 1;
    if (during != 1 || !is_same(child, listed))
        return 2;
    return mpm_process_kill(child) || mpm_process_join(child, PATIENCE_S) || mpm_process_close(child);
}

static void active_children_are_the_callers_own_that_run(void)
{
    mpm_process children[8], listed[9];
    unsigned count = mpm_node_count() < 4 ? 2 * mpm_node_count() : 8;
    size_t found = 0;

    forget();
    CU_ASSERT_EQUAL(mpm_active_children(listed, 9, &found), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(found, 0);
    for (unsigned i = 0; i < count; i++)
        children[i] = start_on(i % mpm_node_count(), wait_at_gate, NULL, 0);
    for (unsigned node = 0; node < mpm_node_count(); node++)
        CU_ASSERT_EQUAL(end_of(start_on(node, count_own_children, NULL, 0)), 0);
    CU_ASSERT_EQUAL(mpm_active_children(listed, 9, &found), MPM_OK);
    CU_ASSERT_EQUAL(found, count);
    for (size_t i = 0, known = 0; i < found; i++, known = 0) {
        for (unsigned j = 0; j < count; j++)
            known += is_same(listed[i], children[j]);
        CU_ASSERT_EQUAL(known, 1);
    }
    memset(listed, 0, sizeof listed);
    CU_ASSERT_EQUAL(mpm_active_children(listed, 1, &found), MPM_OK);
    CU_ASSERT_EQUAL(found, count);
    CU_ASSERT_EQUAL(listed[1].handle.kind, 0);
    CU_ASSERT_EQUAL(mpm_process_kill(children[0]), MPM_OK);
    CU_ASSERT_EQUAL(mpm_process_join(children[0], PATIENCE_S), MPM_OK);
    CU_ASSERT_EQUAL(mpm_active_children(NULL, 0, &found), MPM_OK);
    CU_ASSERT_EQUAL(found, count - 1);
    CU_ASSERT_EQUAL(end_of(children[0]), -SIGKILL);
    open_gate();
    for (unsigned i = 1; i < count; i++)
        CU_ASSERT_EQUAL(end_of(children[i]), 5);
}

static void check_all_calls(mpm_process process, int wanted)
{
    char name[64];
    int number;

    CU_ASSERT_EQUAL(mpm_process_join(process, 0), wanted);
    CU_ASSERT_EQUAL(mpm_process_exitcode(process, &number), wanted);
    CU_ASSERT_EQUAL(process_is_alive(process), wanted);
    CU_ASSERT_EQUAL(mpm_process_pid(process, &number), wanted);
    CU_ASSERT_EQUAL(mpm_process_name(process, name, sizeof name), wanted);
    CU_ASSERT_EQUAL(mpm_process_terminate(process), wanted);
    CU_ASSERT_EQUAL(mpm_process_kill(process), wanted);
    CU_ASSERT_EQUAL(mpm_process_interrupt(process), wanted);
    CU_ASSERT_EQUAL(mpm_process_close(process), wanted);
}

/* The record is used again at once: the old handle does not reach the new process. */
static void a_closed_process_is_stale_for_ever(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process old, young;

        forget();
        old = start_on(node, check_none, NULL, 0);
        CU_ASSERT_EQUAL(end_of(old), 0);
        check_all_calls(old, MPM_ESTALE);
        young = start_on(node, wait_at_gate, NULL, 0);
        CU_ASSERT_EQUAL(young.handle.place, old.handle.place);
        check_all_calls(old, MPM_ESTALE);
        CU_ASSERT(error_has("was closed"));
        CU_ASSERT_EQUAL(process_is_alive(young), 1);
        open_gate();
        CU_ASSERT_EQUAL(end_of(young), 5);
    }
}

static void a_handle_that_is_none_is_refused(void)
{
    mpm_process process = {{0}};

    check_all_calls(process, MPM_EINVAL);
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        process = start_on(node, check_none, NULL, 0);
        CU_ASSERT_EQUAL(end_of(process), 0);
        process.handle.place = UINT64_C(1) << 40;
        check_all_calls(process, MPM_EINVAL);
        process.handle.place = 60000;
        check_all_calls(process, MPM_EINVAL);
    }
    process.handle.place = 0;
    process.handle.home = (uint16_t)mpm_node_count();
    check_all_calls(process, MPM_EINVAL);
}

static int ask_for_nothing(const void *args, size_t size)
{
    (void)args;
    (void)size;
    return mpm_current_process(NULL) != MPM_EINVAL || mpm_parent_process(NULL) != MPM_EINVAL;
}

static void a_result_without_a_place_is_refused(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process = start_on(node, ask_for_nothing, NULL, 0);

        CU_ASSERT_EQUAL(mpm_process_join(process, PATIENCE_S), MPM_OK);
        CU_ASSERT_EQUAL(mpm_process_exitcode(process, NULL), MPM_EINVAL);
        CU_ASSERT_EQUAL(mpm_process_pid(process, NULL), MPM_EINVAL);
        CU_ASSERT_EQUAL(mpm_process_name(process, NULL, 8), MPM_EINVAL);
        CU_ASSERT(error_has("mpm_process_name: the pointer for the result is NULL"));
        CU_ASSERT_EQUAL(mpm_process_name(process, NULL, 0), MPM_OK);
        CU_ASSERT_EQUAL(end_of(process), 0);
    }
}

static void nonsense_is_not_started(void)
{
    mpm_process process = {{.place = 77}};
    char name[65];

    memset(name, 'n', sizeof name);
    name[64] = 0;
    CU_ASSERT_EQUAL(mpm_process_start(NULL, NULL, 0, NULL, &process), MPM_EINVAL);
    CU_ASSERT(error_has("the target is NULL"));
    CU_ASSERT_EQUAL(mpm_process_start((mpm_target *)(void *)&shared, NULL, 0, NULL, &process), MPM_EINVAL);
    CU_ASSERT(error_has("is not a function"));
    CU_ASSERT_EQUAL(mpm_process_start(check_none, NULL, 3, NULL, &process), MPM_EINVAL);
    CU_ASSERT(error_has("args is NULL, but its size is 3 bytes"));
    CU_ASSERT_EQUAL(mpm_process_start(check_none, NULL, 0,
                                      &(mpm_process_options){.place = MPM_ON_NODE(mpm_node_count())},
                                      &process),
                    MPM_EINVAL);
    CU_ASSERT(error_has("there is no node"));
    CU_ASSERT_EQUAL(mpm_process_start(check_none, NULL, 0, &(mpm_process_options){.name = name}, &process),
                    MPM_EINVAL);
    CU_ASSERT(error_has("at most 63 bytes"));
    CU_ASSERT_EQUAL(mpm_process_start(check_none, NULL, 0, NULL, NULL), MPM_EINVAL);
    CU_ASSERT_EQUAL(process.handle.place, 77);
}

/* They would be more than a message can hold, whatever the arenas have. */
static void args_too_long_for_another_node_are_out_of_memory(void)
{
    unsigned last = mpm_node_count() - 1;
    size_t size = (size_t)2 << 30;
    char *args = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mpm_process process;

    CU_ASSERT_FATAL(args != MAP_FAILED);
    CU_ASSERT_EQUAL(mpm_process_start(check_none, args, size,
                                      &(mpm_process_options){.place = MPM_ON_NODE(last)}, &process),
                    MPM_ENOMEM);
    CU_ASSERT(error_has(last ? "too large for another node" : "do not fit into the arena"));
    munmap(args, size);
    CU_ASSERT_EQUAL(end_of(start_on(last, check_none, NULL, 0)), 0);
}

static void args_larger_than_the_arena_are_out_of_memory(void)
{
    size_t size = (size_t)512 << 20;
    char *args = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mpm_process process;

    CU_ASSERT_FATAL(args != MAP_FAILED);
    CU_ASSERT_EQUAL(
        mpm_process_start(check_none, args, size, &(mpm_process_options){.place = MPM_ON_NODE(0)}, &process),
        MPM_ENOMEM);
    munmap(args, size);
    CU_ASSERT_EQUAL(end_of(start_on(0, check_none, NULL, 0)), 0);
}

static void *kill_from_outside(void *argument)
{
    const int *pid = argument;

    if (!child_reached(&shared->arrived, 1))
        return NULL;
    kill(*pid, SIGKILL);
    return NULL;
}

static void a_death_wakes_who_waits_for_ever(void)
{
    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;
        pthread_t thread;
        int pid = 0;

        forget();
        process = start_on(node, wait_at_gate, NULL, 0);
        CU_ASSERT_EQUAL(mpm_process_pid(process, &pid), MPM_OK);
        CU_ASSERT_FATAL(pid > 1);
        pthread_create(&thread, NULL, kill_from_outside, &pid);
        CU_ASSERT_EQUAL(mpm_process_join(process, MPM_FOREVER), MPM_OK);
        pthread_join(thread, NULL);
        CU_ASSERT_EQUAL(end_of(process), -SIGKILL);
    }
}

/* Dies while it starts one process after the other, at any instruction. */
static int start_without_end(const void *args, size_t size)
{
    mpm_process_options options = {.place = *(const unsigned *)args, .daemon = 1};
    mpm_process process;

    (void)size;
    atomic_fetch_add(&shared->arrived, 1);
    for (;;) {
        if (mpm_process_start(check_none, args, sizeof options.place, &options, &process) ||
            mpm_process_join(process, PATIENCE_S) || mpm_process_close(process))
            return 1;
        atomic_fetch_add(&shared->arrived, 1);
    }
}

/* What the dead have left is taken away a little after their death. */
static bool arena_comes_back_to(size_t used_blocks)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    struct arena_usage now;

    for (;;) {
        arena_usage(context_arena(), &now);
        if (now.used_blocks == used_blocks)
            return true;
        if (clock_now_ns() > end_ns)
            return false;
        sched_yield();
    }
}

static void a_starter_may_be_killed_at_any_moment(void)
{
    unsigned nodes = mpm_node_count();
    struct arena_usage quiet;

    arena_usage(context_arena(), &quiet);
    for (unsigned i = 0; i < AMOUNT(60, 8); i++) {
        unsigned place = MPM_ON_NODE(i % nodes);
        mpm_process process;

        forget();
        process = start_on(i / nodes % nodes, start_without_end, &place, sizeof place);
        CU_ASSERT(child_reached(&shared->arrived, 2 + i % 7));
        CU_ASSERT_EQUAL(mpm_process_kill(process), MPM_OK);
        CU_ASSERT_EQUAL(end_of(process), -SIGKILL);
    }
    for (unsigned node = 0; node < nodes; node++)
        CU_ASSERT_EQUAL(end_of(start_on(node, check_none, NULL, 0)), 0);
    CU_ASSERT(arena_comes_back_to(quiet.used_blocks));
    CU_ASSERT_EQUAL(arena_check(context_arena()), MPM_OK);
}

/* The process that the fork server of this rank has forked in advance; 0 if there is none. */
static int find_spare(void)
{
    FILE *children = popen("for child in $(cat /proc/$PPID/task/*/children); do"
                           "  cat /proc/$child/task/*/children; done 2>/dev/null |"
                           " xargs -n 1 | while read -r pid; do"
                           "  grep -qsx mpmap-spare /proc/$pid/comm && echo $pid; done",
                           "r");
    int pid = 0;

    if (!children || fscanf(children, "%d", &pid) != 1)
        pid = 0;
    if (children)
        pclose(children);
    return pid;
}

/* One is made a little after the last one has become a process. */
static int wait_for_spare(void)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(PATIENCE_S * 1e9);
    int pid;

    while (!(pid = find_spare()) && clock_now_ns() < end_ns)
        sched_yield();
    return pid;
}

static void what_happens_to_a_spare_is_no_processs_matter(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    mpm_process process;
    int spare, pid = 0;

    forget();
    CU_ASSERT_EQUAL(end_of(start_on(0, check_none, NULL, 0)), 0);
    spare = wait_for_spare();
    CU_ASSERT_FATAL(spare > 1);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        kill(spare, ignored[i]);
    process = start_on(0, wait_at_gate, NULL, 0);
    CU_ASSERT_EQUAL(mpm_process_pid(process, &pid), MPM_OK);
    CU_ASSERT_EQUAL(pid, spare);
    CU_ASSERT(child_reached(&shared->arrived, 1));
    spare = wait_for_spare();
    CU_ASSERT_FATAL(spare > 1 && spare != pid);
    kill(spare, SIGKILL);
    CU_ASSERT_EQUAL(end_of(start_on(0, check_none, NULL, 0)), 0);
    open_gate();
    CU_ASSERT_EQUAL(end_of(process), 5);
}

static int start_in_a_task(mpm_call *call, const void *item, void *result)
{
    mpm_process process;

    if (mpm_process_start(return_number, item, sizeof(int), NULL, &process) ||
        mpm_process_join(process, PATIENCE_S) || mpm_process_exitcode(process, result) ||
        mpm_process_close(process))
        return mpm_fail(call, "%s", mpm_error());
    return mpm_current_process(&process) != MPM_ESTATE;
}

static void a_pools_worker_may_start_processes(void)
{
    int numbers[20], codes[20];
    mpm_pool *pool;

    for (int i = 0; i < 20; i++)
        numbers[i] = i + 100;
    CU_ASSERT_EQUAL_FATAL(mpm_pool_open(NULL, &pool), MPM_OK);
    CU_ASSERT_EQUAL(
        mpm_pool_map(pool, start_in_a_task, numbers, 20, sizeof *numbers, sizeof *codes, NULL, codes),
        MPM_OK);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(codes[i], numbers[i]);
    mpm_pool_close(pool);
}

static void processes_leave_no_arena_memory(void)
{
    struct arena_usage before, after;
    char *args = calloc(1, 100000);

    for (int round = 0; round < 2; round++) {
        arena_usage(context_arena(), &before);
        for (unsigned node = 0; node < mpm_node_count(); node++) {
            for (int i = 0; i < AMOUNT(20, 3); i++)
                CU_ASSERT_EQUAL(end_of(start_on(node, leave, args, 100000)), 7);
        }
        arena_usage(context_arena(), &after);
    }
    CU_ASSERT_EQUAL(after.used, before.used);
    CU_ASSERT_EQUAL(after.used_blocks, before.used_blocks);
    CU_ASSERT_EQUAL(arena_check(context_arena()), MPM_OK);
    free(args);
}

int main(int argc, char **argv)
{
#define TEST(name)  \
    {               \
#name, name \
    }
    static const struct suite_test tests[] = {
        TEST(the_exit_code_is_the_low_byte_of_what_is_returned),
        TEST(a_process_may_leave_from_anywhere),
        TEST(the_exit_code_of_a_crash_is_minus_the_signal),
        TEST(terminate_kill_and_interrupt_end_it),
        TEST(signals_leave_an_ended_process_alone),
        TEST(join_is_never_early_and_may_be_repeated),
        TEST(any_process_may_join),
        TEST(a_process_cannot_join_itself),
        TEST(args_are_copied_large_ones_and_none),
        TEST(two_hundred_run_at_once),
        TEST(processes_are_spread_over_nodes_by_their_slots),
        TEST(a_process_knows_its_node_its_pid_and_itself),
        TEST(whoever_asks_is_told_who_it_is),
        TEST(one_call_joins_tells_the_exit_code_and_closes),
        TEST(names_are_counted_by_parent),
        TEST(a_name_may_be_given),
        TEST(daemons_end_with_their_parent_and_others_do_not),
        TEST(active_children_are_the_callers_own_that_run),
        TEST(a_closed_process_is_stale_for_ever),
        TEST(a_handle_that_is_none_is_refused),
        TEST(a_result_without_a_place_is_refused),
        TEST(nonsense_is_not_started),
        TEST(args_larger_than_the_arena_are_out_of_memory),
        TEST(args_too_long_for_another_node_are_out_of_memory),
        TEST(a_death_wakes_who_waits_for_ever),
        TEST(a_starter_may_be_killed_at_any_moment),
        TEST(what_happens_to_a_spare_is_no_processs_matter),
        TEST(a_pools_worker_may_start_processes),
        TEST(processes_leave_no_arena_memory),
    };
    char path[PATH_MAX];
    int failed;

    setenv("MPMAP_ARENA", "256M", 0);
    if (!share(path, sizeof path) || mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    unlink(path);
    failed = suite_run("process", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : failed;
}
