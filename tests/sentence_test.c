/* SPDX-License-Identifier: BSD-3-Clause */
/* Every failing call leaves a sentence of its own, which names the thing, and the value if there is one: on objects at
 * home, and on those of the last node. A row is a call, its status, and words that the sentence must have. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <mpmap.h>

#include "base/error.h"
#include "support/everywhere.h"
#include "support/gate.h"
#include "support/predicate.h"
#include "support/shared_file.h"
#include "support/suite.h"

#define SHORT_S 0.01

/* One of each kind, held, empty or full. */
struct things {
    mpm_queue empty, full, closed, stale;
    mpm_lock held, orphan, stale_lock;
    mpm_rlock held_rlock;
    mpm_semaphore none, bounded;
    mpm_condition condition;
    mpm_event event;
    mpm_barrier barrier, broken;
    mpm_value value, stale_value;
    mpm_array array;
    mpm_bytes bytes;
    mpm_connection near, far, closed_near, closed_far, receives, sends;
    mpm_process self;
};

static struct shared {
    struct things things;
    _Atomic int is_made, may_end;
} * shared;

static void say(const char *call, const char *why)
{
    fprintf(stderr, "%s: %s: \"%s\"\n", call, why, mpm_error());
    CU_FAIL("a sentence is missing, or says something else");
}

/* `words` are parted by |. */
static void check(const char *call, int status, int expected, const char *words)
{
    char all[200], *rest = all, *word;

    snprintf(all, sizeof all, "%s", words);
    if (status != expected)
        say(call, mpm_status_name(status));
    else if (!mpm_error()[0] || strstr(mpm_error(), "old news") || strstr(mpm_error(), "(null)"))
        say(call, "it has none");
    while ((word = strsep(&rest, "|"))) {
        if (!strstr(mpm_error(), word))
            say(call, word);
    }
}

#define FAILS(status, words, call)                   \
    do {                                             \
        (void)error_set(0, "old news of %s", #call); \
        check(#call, call, status, words);           \
    } while (0)

/* In a process of the objects' node, which is there until the end. */

static int hold_and_die(const void *args, size_t size)
{
    (void)size;
    EXPECT(!mpm_lock_acquire(*(const mpm_lock *)args, 0));
    raise(SIGKILL);
    return 1;
}

static void make_queues(struct things *things)
{
    mpm_process dead;

    EXPECT(!mpm_queue_create(NULL, &things->empty) && !mpm_queue_create(NULL, &things->closed));
    EXPECT(!mpm_queue_create(&(mpm_queue_options){.maxsize = 1}, &things->full));
    EXPECT(!mpm_queue_put(things->full, "four", 4, 0) && !mpm_queue_close(things->closed));
    EXPECT(!mpm_queue_create(NULL, &things->stale) && !mpm_queue_destroy(things->stale));
    EXPECT(!mpm_lock_create(&things->held) && !mpm_lock_acquire(things->held, 0));
    EXPECT(!mpm_rlock_create(&things->held_rlock) && !mpm_rlock_acquire(things->held_rlock, 0));
    EXPECT(!mpm_lock_create(&things->stale_lock) && !mpm_lock_destroy(things->stale_lock));
    EXPECT(!mpm_lock_create(&things->orphan));
    dead = start_on(mpm_node_id(), hold_and_die, &things->orphan, sizeof things->orphan);
    EXPECT(!mpm_process_join(dead, MPM_FOREVER)); /* it is not closed: its name is still known */
}

static void make_others(struct things *things)
{
    EXPECT(!mpm_semaphore_create(0, &things->none) && !mpm_bounded_semaphore_create(3, &things->bounded));
    EXPECT(!mpm_condition_create(&things->condition) && !mpm_event_create(&things->event));
    EXPECT(!mpm_barrier_create(2, NULL, &things->barrier) && !mpm_barrier_create(2, NULL, &things->broken));
    EXPECT(!mpm_barrier_abort(things->broken));
    EXPECT(!mpm_value_create(MPM_I32, NULL, &things->value) && !mpm_value_lock(things->value, 0));
    EXPECT(!mpm_value_create(MPM_I32, NULL, &things->stale_value) && !mpm_value_destroy(things->stale_value));
    EXPECT(!mpm_array_create(MPM_I32, 3, NULL, &things->array) && !mpm_array_lock(things->array, 0));
    EXPECT(!mpm_bytes_create(4, NULL, &things->bytes) && !mpm_bytes_lock(things->bytes, 0));
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &things->near, &things->far));
    EXPECT(!mpm_pipe_create(MPM_DUPLEX, &things->closed_near, &things->closed_far));
    EXPECT(!mpm_connection_close(things->closed_near));
    EXPECT(!mpm_pipe_create(MPM_ONEWAY, &things->receives, &things->sends));
    EXPECT(!mpm_current_process(&things->self));
    EXPECT(mpm_finalize() == MPM_ESTATE && error_has("only main may end the run"));
}

static int make_and_stay(const void *args, size_t size)
{
    (void)args;
    (void)size;
    make_queues(&shared->things);
    make_others(&shared->things);
    atomic_store(&shared->is_made, 1);
    EXPECT(gate_reached(&shared->may_end, 1));
    return everywhere_end();
}

/* In main. */

static void queues(const struct things *t)
{
    mpm_queue none = {{0}};
    char two[2], four[4];
    size_t number;

    FAILS(MPM_EEMPTY, "the queue was empty", mpm_queue_get(t->empty, 0, four, 4, NULL));
    FAILS(MPM_EEMPTY, "the queue was empty", mpm_queue_get(t->empty, SHORT_S, four, 4, NULL));
    FAILS(MPM_EEMPTY, "the queue was empty", mpm_queue_get_many(t->empty, 1, 2, SHORT_S, two, &number));
    FAILS(MPM_ETOOSMALL, "message has 4 bytes|the buffer has 2", mpm_queue_get(t->full, 0, two, 2, NULL));
    FAILS(MPM_ETOOSMALL, "message has 4 bytes|not 2", mpm_queue_get_many(t->full, 2, 1, 0, two, &number));
    FAILS(MPM_EFULL, "the queue was full", mpm_queue_put(t->full, "four", 4, 0));
    FAILS(MPM_EFULL, "the queue was full", mpm_queue_put(t->full, "four", 4, SHORT_S));
    FAILS(MPM_EFULL, "the queue was full", mpm_queue_put_many(t->full, "four", 2, 2, SHORT_S, &number));
    FAILS(MPM_EINVAL, "task_done|0 messages", mpm_queue_task_done(t->full));
    FAILS(MPM_ETIMEDOUT, "of the queue|: 1 left, 1 of them not got yet", mpm_queue_join(t->full, 0));
    FAILS(MPM_ETIMEDOUT, "of the queue|: 1 left, 1 of them not got yet", mpm_queue_join(t->full, SHORT_S));
    FAILS(MPM_ECLOSED, "the queue is closed", mpm_queue_put(t->closed, "four", 4, 0));
    FAILS(MPM_ECLOSED, "the queue is closed", mpm_queue_get(t->closed, SHORT_S, four, 4, NULL));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_queue_put(t->stale, "four", 4, 0));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_queue_get(t->stale, 0, four, 4, NULL));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_queue_size(t->stale, &number));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_queue_close(t->stale));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_queue_destroy(t->stale));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_queue_join(t->stale, 0));
    FAILS(MPM_EINVAL, "queue", mpm_queue_put(none, "four", 4, 0));
    FAILS(MPM_EINVAL, "queue", mpm_queue_get(none, 0, four, 4, NULL));
    FAILS(MPM_EINVAL, "mpm_queue_get|4", mpm_queue_get(t->full, 0, NULL, 4, NULL));
    FAILS(MPM_EINVAL, "4 bytes", mpm_queue_put(t->full, NULL, 4, 0));
    FAILS(MPM_EINVAL, "mpm_queue_size", mpm_queue_size(t->full, NULL));
    FAILS(MPM_EINVAL, "mpm_queue_create", mpm_queue_create(NULL, NULL));
}

static void pipes(const struct things *t)
{
    mpm_connection none = {{0}}, end;
    char four[4];

    FAILS(MPM_ETIMEDOUT, "message", mpm_connection_recv(t->far, 0, four, 4, NULL));
    FAILS(MPM_ETIMEDOUT, "message", mpm_connection_recv(t->far, SHORT_S, four, 4, NULL));
    FAILS(MPM_EPIPE, "the other end of the pipe", mpm_connection_send(t->closed_far, "four", 4, 0));
    FAILS(MPM_EEOF, "the other end of the pipe", mpm_connection_recv(t->closed_far, 0, four, 4, NULL));
    FAILS(MPM_ECLOSED, "this end of the pipe is closed", mpm_connection_send(t->closed_near, "f", 1, 0));
    FAILS(MPM_ECLOSED, "this end of the pipe is closed",
          mpm_connection_recv(t->closed_near, 0, four, 4, NULL));
    FAILS(MPM_ECLOSED, "this end of the pipe is closed", connection_poll(t->closed_near, 0));
    FAILS(MPM_EINVAL, "oneway pipe", mpm_connection_send(t->receives, "four", 4, 0));
    FAILS(MPM_EINVAL, "oneway pipe", mpm_connection_recv(t->sends, 0, four, 4, NULL));
    FAILS(MPM_EINVAL, "oneway pipe", connection_poll(t->sends, 0));
    CU_ASSERT(!mpm_connection_send(t->far, "four", 4, 1));
    FAILS(MPM_ETOOSMALL, "message has 4 bytes|the buffer has 2",
          mpm_connection_recv(t->near, 1, four, 2, NULL));
    FAILS(MPM_EINVAL, "connection", mpm_connection_send(none, "four", 4, 0));
    FAILS(MPM_EINVAL, "connection", mpm_connection_close(none));
    FAILS(MPM_EINVAL, "mpm_connection_send|4", mpm_connection_send(t->far, NULL, 4, 0));
    FAILS(MPM_EINVAL, "mpm_connection_recv|4", mpm_connection_recv(t->far, 0, NULL, 4, NULL));
    FAILS(MPM_EINVAL, "mpm_pipe_create|7", mpm_pipe_create((enum mpm_pipe_direction)7, &end, &end));
    FAILS(MPM_EINVAL, "mpm_pipe_create|second", mpm_pipe_create(MPM_DUPLEX, &end, NULL));
}

static void *hold(void *lock)
{
    EXPECT(!mpm_rlock_acquire(*(const mpm_rlock *)lock, 0));
    return NULL;
}

/* What no sentence had a word for. */
static void locks_of_main(void)
{
    mpm_rlock lock;
    pthread_t thread;

    CU_ASSERT_FATAL(!mpm_rlock_create(&lock) && !pthread_create(&thread, NULL, hold, &lock));
    pthread_join(thread, NULL);
    FAILS(MPM_EINVAL, "the lock: another thread of the process does", mpm_rlock_release(lock));
    CU_ASSERT(!mpm_rlock_destroy(lock));
}

static void locks(const struct things *t)
{
    mpm_lock none = {{0}};
    mpm_lock free_lock;

    FAILS(MPM_ETIMEDOUT, "the lock was held", mpm_lock_acquire(t->held, 0));
    FAILS(MPM_ETIMEDOUT, "the lock was held", mpm_lock_acquire(t->held, SHORT_S));
    FAILS(MPM_ETIMEDOUT, "the lock was held", mpm_rlock_acquire(t->held_rlock, SHORT_S));
    FAILS(MPM_EINVAL, "the lock: process Process-|of node", mpm_rlock_release(t->held_rlock));
    FAILS(MPM_EOWNERDIED, "process Process-|of node|died holding the lock",
          mpm_lock_acquire(t->orphan, SHORT_S));
    CU_ASSERT(!mpm_lock_release(t->orphan));
    FAILS(MPM_EINVAL, "the lock is free", mpm_lock_release(t->orphan));
    FAILS(MPM_ESTALE, "the lock was destroyed", mpm_lock_acquire(t->stale_lock, SHORT_S));
    FAILS(MPM_ESTALE, "the lock was destroyed", mpm_lock_release(t->stale_lock));
    FAILS(MPM_ESTALE, "the lock was destroyed", mpm_lock_destroy(t->stale_lock));
    FAILS(MPM_EINVAL, "lock", mpm_lock_acquire(none, 0));
    FAILS(MPM_EINVAL, "mpm_lock_create", mpm_lock_create(NULL));
    FAILS(MPM_EINVAL, "mpm_rlock_create", mpm_rlock_create(NULL));
    FAILS(MPM_ETIMEDOUT, "the lock was held", mpm_value_lock(t->value, SHORT_S));
    FAILS(MPM_ETIMEDOUT, "the lock was held", mpm_array_lock(t->array, SHORT_S));
    FAILS(MPM_ETIMEDOUT, "the lock was held", mpm_bytes_lock(t->bytes, SHORT_S));
    FAILS(MPM_EINVAL, "the lock: process Process-", mpm_value_unlock(t->value));
    CU_ASSERT(!mpm_lock_create(&free_lock) && !mpm_lock_destroy(free_lock));
}

static int never(void *unused)
{
    (void)unused;
    return 0;
}

static void waits(const struct things *t)
{
    mpm_condition over;
    mpm_barrier barrier;
    mpm_semaphore semaphore;

    FAILS(MPM_ETIMEDOUT, "the semaphore", mpm_semaphore_acquire(t->none, 0));
    FAILS(MPM_ETIMEDOUT, "the semaphore", mpm_semaphore_acquire(t->none, SHORT_S));
    FAILS(MPM_EINVAL, "the semaphore already has 3", mpm_semaphore_release(t->bounded));
    FAILS(MPM_EINVAL, "mpm_semaphore_value", mpm_semaphore_value(t->none, NULL));
    FAILS(MPM_EINVAL, "mpm_semaphore_create|4000000000", mpm_semaphore_create(4000000000u, &semaphore));
    FAILS(MPM_EINVAL, "condition's lock", mpm_condition_wait(t->condition, SHORT_S));
    FAILS(MPM_EINVAL, "condition's lock", mpm_condition_notify(t->condition, 1));
    FAILS(MPM_EINVAL, "mpm_condition_wait_for", mpm_condition_wait_for(t->condition, NULL, NULL, SHORT_S));
    FAILS(MPM_EINVAL, "lock", mpm_condition_create_with_lock((mpm_lock){{0}}, &over));
    CU_ASSERT(!mpm_condition_acquire(t->condition, 1));
    FAILS(MPM_ETIMEDOUT, "the condition", mpm_condition_wait(t->condition, 0));
    FAILS(MPM_ETIMEDOUT, "the condition", mpm_condition_wait(t->condition, SHORT_S));
    FAILS(MPM_ETIMEDOUT, "0.01", mpm_condition_wait_for(t->condition, never, NULL, SHORT_S));
    CU_ASSERT(!mpm_condition_release(t->condition));
    FAILS(MPM_ETIMEDOUT, "the event", mpm_event_wait(t->event, 0));
    FAILS(MPM_ETIMEDOUT, "the event", mpm_event_wait(t->event, SHORT_S));
    FAILS(MPM_ETIMEDOUT, "barrier", mpm_barrier_wait(t->barrier, SHORT_S, NULL));
    FAILS(MPM_EBROKEN, "the barrier is broken", mpm_barrier_wait(t->barrier, SHORT_S, NULL));
    FAILS(MPM_EBROKEN, "the barrier is broken", mpm_barrier_wait(t->broken, 0, NULL));
    FAILS(MPM_EINVAL, "mpm_barrier_create|0 parties", mpm_barrier_create(0, NULL, &barrier));
    FAILS(MPM_EINVAL, "mpm_barrier_parties", mpm_barrier_parties(t->barrier, NULL));
    FAILS(MPM_EINVAL, "event", mpm_event_wait((mpm_event){{0}}, 0));
    FAILS(MPM_EINVAL, "barrier", mpm_barrier_wait((mpm_barrier){{0}}, 0, NULL));
    FAILS(MPM_EINVAL, "semaphore", mpm_semaphore_acquire((mpm_semaphore){{0}}, 0));
    FAILS(MPM_EINVAL, "condition", mpm_condition_notify((mpm_condition){{0}, {0}}, 1));
}

static void numbers(const struct things *t)
{
    mpm_value value;
    mpm_array array;
    int three[3];

    FAILS(MPM_ESTALE, "the value was destroyed", mpm_value_get(t->stale_value, three));
    FAILS(MPM_ESTALE, "the value was destroyed", mpm_value_add(t->stale_value, three));
    FAILS(MPM_ESTALE, "the value was destroyed", mpm_value_destroy(t->stale_value));
    FAILS(MPM_EINVAL, "value", mpm_value_get((mpm_value){{0}}, three));
    FAILS(MPM_EINVAL, "NULL", mpm_value_get(t->value, NULL));
    FAILS(MPM_EINVAL, "mpm_value_create", mpm_value_create(MPM_I32, NULL, NULL));
    FAILS(MPM_EINVAL, "mpm_value_create|99", mpm_value_create((mpm_type)99, NULL, &value));
    FAILS(MPM_EINVAL, "index 9|3 numbers", mpm_array_get(t->array, 9, three));
    FAILS(MPM_EINVAL, "index 3|3 numbers", mpm_array_add(t->array, 3, three));
    FAILS(MPM_EINVAL, "3 numbers", mpm_array_read(t->array, 1, 3, three));
    FAILS(MPM_EINVAL, "index 4|array has 3", mpm_array_write(t->array, 4, 1, three));
    FAILS(MPM_EINVAL, "array", mpm_array_get((mpm_array){{0}}, 0, three));
    FAILS(MPM_EINVAL, "NULL", mpm_array_get(t->array, 0, NULL));
    FAILS(MPM_EINVAL, "mpm_array_create", mpm_array_create(MPM_I32, 3, NULL, NULL));
    FAILS(MPM_EINVAL, "mpm_array_create|99", mpm_array_create((mpm_type)99, 3, NULL, &array));
    FAILS(MPM_EINVAL, "4 bytes, not 3", mpm_bytes_get(t->bytes, three, 3));
    FAILS(MPM_EINVAL, "4 bytes, not 5", mpm_bytes_set(t->bytes, three, 5));
    FAILS(MPM_EINVAL, "mpm_bytes_get", mpm_bytes_get(t->bytes, NULL, 4));
    FAILS(MPM_EINVAL, "mpm_bytes_create", mpm_bytes_create(4, NULL, NULL));
    FAILS(MPM_EINVAL, "value of bytes", mpm_bytes_get((mpm_bytes){{0}}, three, 4));
}

static void processes(const struct things *t)
{
    mpm_process process = t->self, stale = t->self;
    size_t places[1], number;
    char name[8];

    stale.handle.generation += 100;
    FAILS(MPM_ETIMEDOUT, "process Process-", mpm_process_join(t->self, 0));
    FAILS(MPM_ETIMEDOUT, "process Process-", mpm_process_join(t->self, SHORT_S));
    FAILS(MPM_EBUSY, "process Process-", mpm_process_exitcode(t->self, &(int){0}));
    FAILS(MPM_EBUSY, "process Process-|join it", mpm_process_close(t->self));
    FAILS(MPM_EINVAL, "mpm_process_exitcode", mpm_process_exitcode(t->self, NULL));
    FAILS(MPM_EINVAL, "mpm_process_pid", mpm_process_pid(t->self, NULL));
    FAILS(MPM_EINVAL, "mpm_process_name", mpm_process_name(t->self, NULL, 8));
    FAILS(MPM_ESTALE, "process", mpm_process_join(stale, 0));
    FAILS(MPM_ESTALE, "process", mpm_process_kill(stale));
    FAILS(MPM_ESTALE, "process", mpm_process_name(stale, name, sizeof name));
    FAILS(MPM_EINVAL, "process", mpm_process_join((mpm_process){{0}}, 0));
    FAILS(MPM_EINVAL, "mpm_process_start", mpm_process_start(NULL, NULL, 0, NULL, &process));
    FAILS(MPM_EINVAL, "mpm_process_start|at most 63 bytes, not the 70 of \"1234567890",
          mpm_process_start(make_and_stay, NULL, 0,
                            &(mpm_process_options){.name = "1234567890123456789012345678901234567890"
                                                           "123456789012345678901234567890"},
                            &process));
    FAILS(MPM_EINVAL, "mpm_process_start|4", mpm_process_start(make_and_stay, NULL, 4, NULL, &process));
    FAILS(MPM_EINVAL, "mpm_process_start|77",
          mpm_process_start(make_and_stay, NULL, 0, &(mpm_process_options){.place = MPM_ON_NODE(77)},
                            &process));
    FAILS(MPM_ESTATE, "mpm_current_process", mpm_current_process(&process));
    FAILS(MPM_ESTATE, "mpm_parent_process", mpm_parent_process(&process));
    FAILS(MPM_EINVAL, "mpm_active_children", mpm_active_children(NULL, 1, &number));
    FAILS(MPM_ETIMEDOUT, "1 object", mpm_wait_any(&t->event.handle, 1, 0, places, &number));
    FAILS(MPM_ETIMEDOUT, "1 object|0.01", mpm_wait_any(&t->event.handle, 1, SHORT_S, places, &number));
    FAILS(MPM_EINVAL, "mpm_wait_any", mpm_wait_any(&t->event.handle, 0, 0, places, &number));
    FAILS(MPM_EINVAL, "mpm_wait_any", mpm_wait_any(NULL, 1, 0, places, &number));
    FAILS(MPM_EINVAL, "the handle of an event, not of a queue",
          mpm_put(((mpm_queue){t->event.handle}), &number));
    FAILS(MPM_EINVAL, "the handle is zero, as it is before there is an event",
          mpm_event_set((mpm_event){{0}}));
    FAILS(MPM_EINVAL, "mpm_wait_any|handles[0]", mpm_wait_any(&t->value.handle, 1, 0, places, &number));
    FAILS(MPM_ESTALE, "the queue was destroyed", mpm_wait_any(&t->stale.handle, 1, 0, places, &number));
}

/* The pools' own calls. */

static int fail_seven(mpm_call *call, const void *item, void *result)
{
    (void)result;
    return *(const int *)item == 7 ? mpm_fail(call, "seven is too much") : 0;
}

/* Past a limit that only it knows. */
static int write_too_much(mpm_call *call, const void *item, void *result)
{
    FILE *file = tmpfile();

    (void)call;
    (void)item;
    (void)result;
    if (!file || setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100}) || ftruncate(fileno(file), 200))
        return 1;
    return 0;
}

static int refuse(mpm_call *call, const void *argument, size_t size, void **state)
{
    (void)argument;
    (void)size;
    (void)state;
    return mpm_fail(call, "the weather is bad");
}

static void results(mpm_pool *pool)
{
    static const int items[] = {1, 7};
    mpm_result *result = NULL;
    const void *there;

    FAILS(MPM_ETASK, "item 1|seven is too much", mpm_pool_map(pool, fail_seven, items, 2, 4, 0, NULL, NULL));
    FAILS(MPM_ETASK, "seven is too much", mpm_pool_apply(pool, fail_seven, &items[1], 4, 0, NULL));
    FAILS(MPM_ETASK, "killed by SIGXFSZ: a file passed its limit",
          mpm_pool_apply(pool, write_too_much, NULL, 0, 0, NULL));
    CU_ASSERT(!mpm_pool_map_async(pool, fail_seven, items, 2, 4, 0, NULL, NULL, NULL, &result));
    FAILS(MPM_ETASK, "item 1|seven is too much", mpm_result_get(result, 100, &there));
    mpm_result_destroy(result);
}

static void pools(void)
{
    mpm_pool *pool = NULL;
    static const int items[] = {1};

    FAILS(MPM_EINVAL, "mpm_pool_open", mpm_pool_open(NULL, NULL));
    FAILS(MPM_EINVAL, "mpm_pool_open|70000", mpm_pool_open(&(mpm_pool_options){.workers = 70000}, &pool));
    FAILS(MPM_EWORKER, "the weather is bad",
          mpm_pool_open(&(mpm_pool_options){.workers = 1, .initializer = refuse}, &pool));
    CU_ASSERT_FATAL(!mpm_pool_open(&(mpm_pool_options){.workers = mpm_node_count()}, &pool));
    FAILS(MPM_EINVAL, "NULL", mpm_pool_map(NULL, fail_seven, items, 1, 4, 0, NULL, NULL));
    FAILS(MPM_EINVAL, "task", mpm_pool_map(pool, NULL, items, 1, 4, 0, NULL, NULL));
    FAILS(MPM_EINVAL, "item", mpm_pool_map(pool, fail_seven, NULL, 1, 4, 0, NULL, NULL));
    FAILS(MPM_EINVAL, "task", mpm_pool_apply(pool, NULL, items, 4, 0, NULL));
    results(pool);
    mpm_pool_close(pool);
}

static void check_objects_of(unsigned node)
{
    mpm_process maker;

    memset(shared, 0, sizeof *shared);
    maker = start_on(node, make_and_stay, NULL, 0);
    CU_ASSERT_FATAL(gate_reached(&shared->is_made, 1));
    queues(&shared->things);
    pipes(&shared->things);
    locks(&shared->things);
    locks_of_main();
    waits(&shared->things);
    numbers(&shared->things);
    processes(&shared->things);
    atomic_store(&shared->may_end, 1);
    expect_end(maker, 0);
    everywhere_assert();
}

static void every_failure_at_home_has_its_sentence(void)
{
    check_objects_of(0);
}

static void every_failure_at_another_node_has_its_sentence(void)
{
    check_objects_of(mpm_node_count() - 1);
}

static void every_failure_of_a_pool_has_its_sentence(void)
{
    pools();
}

#define TEST(name)  \
    {               \
#name, name \
    }

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        TEST(every_failure_at_home_has_its_sentence),
        TEST(every_failure_at_another_node_has_its_sentence),
        TEST(every_failure_of_a_pool_has_its_sentence),
    };
    int status;

    shared = shared_file("sentence", sizeof *shared);
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    status = suite_run("sentence", tests, sizeof tests / sizeof *tests);
    return mpm_finalize() ? mpm_report_error() : status;
}
