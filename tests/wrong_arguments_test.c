/* SPDX-License-Identifier: BSD-3-Clause */
/* Every public function with each of its arguments wrong in turn, from wherever it may be called: main, processes and
 * pool workers of every node, a callback, a child that main has forked, and outside of a run. None may crash or wait
 * without end; whatever fails must say why in a sentence of its own. The calls are made from the headers
 * (wrong_arguments.py). */
#include <CUnit/CUnit.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mpmap.h>

#include "suite.h"

#define PATIENCE_S 300

/* What the calls use where an argument is to be right. Pointers are NULL where the process has none. */
struct fixture {
    mpm_process process;
    mpm_connection connection, other_end;
    mpm_queue queue;
    mpm_lock lock;
    mpm_rlock rlock;
    mpm_semaphore semaphore;
    mpm_condition condition;
    mpm_event event;
    mpm_barrier barrier;
    mpm_value value;
    mpm_array array;
    mpm_bytes bytes;
    mpm_shape shape;
    mpm_pool *pool;
    mpm_result *result;
    mpm_stream *stream;
};

struct wrong_call {
    const char *what;
    int (*call)(void);
    int has_status, must_fail;
};

enum way { NONE, OTHER, STALE, WILD, FAR };

static struct fixture fixture;
static char scratch[1 << 16] __attribute__((aligned(64)));
static const void *volatile used;
static char now_at[256]; /* what a crash is of */

static void use(const void *result)
{
    used = result;
}

static int task(mpm_call *call, const void *item, void *result)
{
    (void)call, (void)item, (void)result;
    return 0;
}

static int target(const void *args, size_t size)
{
    (void)args, (void)size;
    return 0;
}

static int generator(void *argument, void *item)
{
    (void)argument, (void)item;
    return 0;
}

static int predicate(void *argument)
{
    (void)argument;
    return 1;
}

static int tell(const mpm_dataset_entry *entry, void *argument)
{
    (void)entry, (void)argument;
    return 0;
}

/* A handle that is wrong for objects of the kind that `right` is of. */
static mpm_handle wrong_handle(mpm_handle right, mpm_handle other, enum way way)
{
    switch (way) {
    case NONE:
        return (mpm_handle){0};
    case OTHER:
        return other;
    case STALE:
        right.generation += 1000;
        return right;
    case WILD:
        memset(&right, 0xff, sizeof right);
        return right;
    default:
        right.home = 9999;
        return right;
    }
}

#define WRONG_HANDLE(name, other)                                                                    \
    static mpm_##name wrong_##name(enum way way)                                                     \
    {                                                                                                \
        return (mpm_##name){.handle = wrong_handle(fixture.name.handle, fixture.other.handle, way)}; \
    }
WRONG_HANDLE(process, queue)
WRONG_HANDLE(connection, queue)
WRONG_HANDLE(queue, lock)
WRONG_HANDLE(lock, rlock)
WRONG_HANDLE(rlock, lock)
WRONG_HANDLE(semaphore, lock)
WRONG_HANDLE(condition, lock)
WRONG_HANDLE(event, barrier)
WRONG_HANDLE(barrier, event)
WRONG_HANDLE(value, array)
WRONG_HANDLE(array, value)
WRONG_HANDLE(bytes, array)

#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "wrong_arguments_calls.h"

/* Has this thread's last error say something else than any of the calls. */
static void set_mark(void)
{
    mpm_shape shape;

    if (!mpm_shape_parse("mark", &shape) || !strstr(mpm_error(), "mark"))
        abort();
}

static bool sentence_is_good(void)
{
    return strlen(mpm_error()) > 8 && !strstr(mpm_error(), "(null)") && !strstr(mpm_error(), "\"mark\"");
}

/* A time limit that is not a number is what the sentence is about, where all the rest is right. */
static bool is_about_nan(const struct wrong_call *wrong, const char *where, int status)
{
    return strcmp(where, "main") != 0 || !strstr(wrong->what, "(double timeout_s) nan") ||
           (status == MPM_EINVAL && strstr(mpm_error(), "the timeout is") && strstr(mpm_error(), "nan"));
}

/* Returns whether it went as it should. */
static bool try_call(const struct wrong_call *wrong, const char *where)
{
    int status;

    snprintf(now_at, sizeof now_at, "%s: %s\n", where, wrong->what);
    memset(scratch, 0, sizeof scratch);
    set_mark();
    status = wrong->call();
    if (wrong->must_fail && status >= 0)
        fprintf(stderr, "%s: %s: accepted with %d\n", where, wrong->what, status);
    else if (wrong->has_status && status < 0 && (!sentence_is_good() || !is_about_nan(wrong, where, status)))
        fprintf(stderr, "%s: %s: %s, with the sentence \"%s\"\n", where, wrong->what, mpm_status_name(status),
                mpm_error());
    else
        return true;
    return false;
}

static void say_where(int signal_number)
{
    if (write(STDERR_FILENO, now_at, strlen(now_at)) > 0)
        signal(signal_number, SIG_DFL);
}

static void watch_for_crashes(void)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGALRM, SIGFPE};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = say_where, .sa_flags = SA_RESETHAND}, NULL);
}

/* All of them; returns how many went wrong, 250 at most. */
static int try_all(const char *where)
{
    int bad = 0;

    for (size_t i = 0; i < sizeof wrong_calls / sizeof *wrong_calls; i++)
        bad += !try_call(&wrong_calls[i], where);
    return bad < 250 ? bad : 250;
}

static int in_a_process(const void *args, size_t size)
{
    int bad;

    (void)size;
    memcpy(&fixture, args, sizeof fixture);
    watch_for_crashes();
    alarm(PATIENCE_S);
    bad = try_all("process");
    alarm(0);
    return bad;
}

static int in_a_worker(mpm_call *call, const void *item, void *result)
{
    int bad;

    memcpy(&fixture, item, sizeof fixture);
    watch_for_crashes();
    alarm(PATIENCE_S);
    bad = try_all("worker");
    alarm(0);
    *(int *)result = bad;
    return bad ? mpm_fail(call, "%d calls went wrong", bad) : 0;
}

struct callback_trial {
    mpm_event has_ended;
    int bad;
};

static void in_a_callback(mpm_result *result, void *argument)
{
    struct callback_trial *trial = argument;

    (void)result;
    trial->bad = try_all("callback");
    CU_ASSERT(!mpm_event_set(trial->has_ended));
}

static void make_objects(void)
{
    CU_ASSERT_FATAL(!mpm_process_start(target, NULL, 0, NULL, &fixture.process) &&
                    !mpm_pipe_create(MPM_DUPLEX, &fixture.connection, &fixture.other_end) &&
                    !mpm_queue_create(NULL, &fixture.queue) && !mpm_lock_create(&fixture.lock) &&
                    !mpm_rlock_create(&fixture.rlock) && !mpm_semaphore_create(1, &fixture.semaphore) &&
                    !mpm_condition_create(&fixture.condition) && !mpm_event_create(&fixture.event) &&
                    !mpm_barrier_create(3, NULL, &fixture.barrier) &&
                    !mpm_value_create(MPM_I32, NULL, &fixture.value) &&
                    !mpm_array_create(MPM_I32, 8, NULL, &fixture.array) &&
                    !mpm_bytes_create(8, NULL, &fixture.bytes) && !mpm_shape_parse("f64", &fixture.shape));
}

static void use_a_pool(void)
{
    CU_ASSERT_FATAL(!mpm_pool_open(&(mpm_pool_options){.workers = mpm_node_count()}, &fixture.pool) &&
                    !mpm_pool_apply_async(fixture.pool, task, NULL, 0, 0, NULL, &fixture.result) &&
                    !mpm_result_wait(fixture.result, PATIENCE_S) &&
                    !mpm_pool_imap(fixture.pool, task, generator, NULL, 0, 0, NULL, &fixture.stream));
}

/* The same, without what is main's own. */
static struct fixture for_others(void)
{
    struct fixture copy = fixture;

    copy.pool = NULL;
    copy.result = NULL;
    copy.stream = NULL;
    return copy;
}

static void no_argument_is_wrong_without_a_word_in_main(void)
{
    make_objects();
    use_a_pool();
    CU_ASSERT_EQUAL(try_all("main"), 0);
}

static void nor_in_processes_of_any_node(void)
{
    struct fixture copy = for_others();

    for (unsigned node = 0; node < mpm_node_count(); node++) {
        mpm_process process;
        int exitcode = -1;

        CU_ASSERT_FATAL(!mpm_process_start(in_a_process, &copy, sizeof copy,
                                           &(mpm_process_options){.place = MPM_ON_NODE(node)}, &process));
        CU_ASSERT(!mpm_process_join(process, MPM_FOREVER) && !mpm_process_exitcode(process, &exitcode));
        CU_ASSERT_EQUAL(exitcode, 0);
    }
}

static void nor_in_workers(void)
{
    struct fixture items[4];
    int bad[4] = {0};

    for (unsigned i = 0; i < 4; i++)
        items[i] = for_others();
    CU_ASSERT(!mpm_pool_map(fixture.pool, in_a_worker, items, 4, sizeof *items, sizeof *bad, NULL, bad));
}

static void nor_in_a_callback(void)
{
    struct callback_trial trial = {.bad = -1};
    mpm_callbacks callbacks = {.done = in_a_callback, .argument = &trial};
    mpm_result *result;

    CU_ASSERT_FATAL(!mpm_event_create(&trial.has_ended) &&
                    !mpm_pool_apply_async(fixture.pool, task, NULL, 0, 0, &callbacks, &result));
    CU_ASSERT(!mpm_event_wait(trial.has_ended, MPM_FOREVER));
    mpm_result_destroy(result);
    CU_ASSERT_EQUAL(trial.bad, 0);
}

static void nor_in_a_child_that_main_forks(void)
{
    int how = -1;
    pid_t child = fork();

    if (child == 0) {
        fixture = for_others();
        alarm(PATIENCE_S);
        _exit(try_all("forked child"));
    }
    CU_ASSERT_FATAL(child > 0 && waitpid(child, &how, 0) == child);
    CU_ASSERT(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void nor_outside_of_a_run(void)
{
    mpm_stream_close(fixture.stream);
    mpm_result_destroy(fixture.result);
    fixture = for_others();
    CU_ASSERT(!mpm_finalize());
    CU_ASSERT_EQUAL(try_all("after the run"), 0);
}

int main(int argc, char **argv)
{
    static const struct suite_test tests[] = {
        {"no_argument_is_wrong_without_a_word_in_main", no_argument_is_wrong_without_a_word_in_main},
        {"nor_in_processes_of_any_node", nor_in_processes_of_any_node},
        {"nor_in_workers", nor_in_workers},
        {"nor_in_a_child_that_main_forks", nor_in_a_child_that_main_forks},
        {"nor_in_a_callback", nor_in_a_callback},
        {"nor_outside_of_a_run", nor_outside_of_a_run},
    };

    watch_for_crashes();
    fixture.shape = (mpm_shape){.type = MPM_F64};
    if (try_all("before the run"))
        return EXIT_FAILURE;
    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();
    alarm(PATIENCE_S);
    return suite_run("wrong_arguments", tests, sizeof tests / sizeof *tests);
}
