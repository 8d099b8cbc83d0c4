/* SPDX-License-Identifier: BSD-3-Clause */
/* mpmap bench sync: locks beside a robust mutex of pthread and beside a bare spin lock, alone and between
 * two processes; turns that two processes take by semaphores and by events beside those that they take by
 * spinning and by futexes; how soon a sleeper is awake; and Python's Lock. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mpmap.h>

#include "bench.h"

#define LOOKS           1000 /* at a bare word before others may run */
#define WAKE_UPS        101
#define SLEEP_NS        2000000 /* how long a sleeper is left alone before it is woken */
#define DEFAULT_SECONDS 0.2

static const char help[] = "usage: mpmap bench sync [--json] [--seconds S]\n"
                           "\n"
                           "Acquiring and releasing, taking turns, and waking up, on this node.\n"
                           "\n"
                           "  --seconds S   length of each of the 7 repetitions of a figure (0.2)\n"
                           "  --json        prints a JSON array\n"
                           "  --help        prints this\n";

/* Shared with forked children. */
struct bare {
    pthread_mutex_t mutex;
    _Alignas(64) _Atomic int spin;
    _Alignas(64) _Atomic uint32_t turn;
};

/* What a case is about: `act` is one piece of work of the party 0 or 1. */
struct work {
    int (*act)(const struct work *work, uint32_t party);
    struct bare *bare;
    mpm_lock lock;
    mpm_semaphore semaphores[2];
    mpm_event events[2];
    uint64_t count;
};

static int use_mutex(const struct work *work, uint32_t party)
{
    (void)party;
    return pthread_mutex_lock(&work->bare->mutex) || pthread_mutex_unlock(&work->bare->mutex);
}

static int use_spin_lock(const struct work *work, uint32_t party)
{
    (void)party;
    for (int looks = 1; atomic_exchange_explicit(&work->bare->spin, 1, memory_order_acquire); looks++) {
        if (looks % LOOKS == 0)
            sched_yield();
    }
    atomic_store_explicit(&work->bare->spin, 0, memory_order_release);
    return 0;
}

static int use_lock(const struct work *work, uint32_t party)
{
    int status = mpm_lock_acquire(work->lock, MPM_FOREVER);

    (void)party;
    return status ? status : mpm_lock_release(work->lock);
}

static int take_turn_spinning(const struct work *work, uint32_t party)
{
    for (int looks = 1; atomic_load_explicit(&work->bare->turn, memory_order_acquire) % 2 != party; looks++) {
        if (looks % LOOKS == 0)
            sched_yield();
    }
    atomic_fetch_add_explicit(&work->bare->turn, 1, memory_order_release);
    return 0;
}

static int take_turn_by_futex(const struct work *work, uint32_t party)
{
    uint32_t turn;

    while ((turn = atomic_load(&work->bare->turn)) % 2 != party)
        syscall(SYS_futex, &work->bare->turn, FUTEX_WAIT, turn, NULL, NULL, 0);
    atomic_fetch_add(&work->bare->turn, 1);
    syscall(SYS_futex, &work->bare->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return 0;
}

static int take_turn_by_semaphore(const struct work *work, uint32_t party)
{
    int status = mpm_semaphore_acquire(work->semaphores[party], MPM_FOREVER);

    return status ? status : mpm_semaphore_release(work->semaphores[!party]);
}

static int take_turn_by_event(const struct work *work, uint32_t party)
{
    int status = mpm_event_wait(work->events[party], MPM_FOREVER);

    if (status || (status = mpm_event_clear(work->events[party])))
        return status;
    return mpm_event_set(work->events[!party]);
}

static int act_often(const struct work *work, uint32_t party, uint64_t count)
{
    int status = 0;

    for (uint64_t i = 0; !status && i < count; i++)
        status = work->act(work, party);
    return status;
}

static int run_alone(const void *argument, uint64_t count)
{
    return act_often(argument, 0, count);
}

/* Party 1 of bare work, which is a fork. */
static int run_bare_pair(const void *argument, uint64_t count)
{
    const struct work *work = argument;
    pid_t child = fork();
    int status;

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(act_often(work, 1, count) ? 1 : 0);
    }
    if (child < 0)
        return MPM_ESYSTEM;
    status = act_often(work, 0, count);
    waitpid(child, NULL, 0);
    return status;
}

static int play_other(const void *args, size_t size)
{
    const struct work *work = args;

    (void)size;
    return act_often(work, 1, work->count) ? 1 : 0;
}

static int run_pair(const void *argument, uint64_t count)
{
    struct work work = *(const struct work *)argument;
    mpm_process other;
    int status;

    work.count = count;
    if ((status = mpm_process_start(play_other, &work, sizeof work,
                                    &(mpm_process_options){.place = MPM_ON_NODE(0)}, &other)) ||
        (status = act_often(&work, 0, count)) || (status = mpm_process_join(other, MPM_FOREVER)))
        return status;
    return mpm_process_close(other);
}

static int make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;

    return pthread_mutexattr_init(&attributes) ||
                   pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) ||
                   pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) ||
                   pthread_mutex_init(mutex, &attributes)
               ? MPM_ESYSTEM
               : MPM_OK;
}

static int make_work(struct work *work)
{
    int status;

    work->bare = mmap(NULL, sizeof *work->bare, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (work->bare == MAP_FAILED)
        return MPM_ENOMEM;
    if ((status = make_mutex(&work->bare->mutex)) || (status = mpm_lock_create(&work->lock)))
        return status;
    for (unsigned i = 0; i < 2; i++) {
        if ((status = mpm_semaphore_create(!i, &work->semaphores[i])) ||
            (status = mpm_event_create(&work->events[i])))
            return status;
    }
    return mpm_event_set(work->events[0]);
}

/* Waking up: somebody sleeps in a wait, and says when it is awake. */

struct waking {
    mpm_event event;
    mpm_queue queue, told;
    mpm_lock lock;
    int what; /* 0: an event, 1: a queue, 2: a lock */
};

static int sleep_and_wake(const void *args, size_t size)
{
    const struct waking *waking = args;
    int status = 0;
    double now_s;

    (void)size;
    for (int i = 0; !status && i < WAKE_UPS; i++) {
        if (waking->what == 0)
            status = mpm_event_wait(waking->event, MPM_FOREVER);
        else if (waking->what == 1)
            status = mpm_queue_get(waking->queue, MPM_FOREVER, NULL, 0, NULL);
        else if (!(status = mpm_queue_get(waking->queue, MPM_FOREVER, NULL, 0, NULL)))
            status = mpm_lock_acquire(waking->lock, MPM_FOREVER);
        now_s = bench_now_s();
        if (!status && waking->what == 0)
            status = mpm_event_clear(waking->event);
        if (!status && waking->what == 2)
            status = mpm_lock_release(waking->lock);
        if (!status)
            status = mpm_queue_put(waking->told, &now_s, sizeof now_s, MPM_FOREVER);
    }
    return status ? 1 : 0;
}

static void be_still(void)
{
    nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
}

/* Wakes the sleeper once. `seconds`: out, from before the call to its being awake. */
static int wake_once(const struct waking *waking, double *seconds)
{
    double start_s, awake_s;
    int status;

    if (waking->what == 2 && ((status = mpm_lock_acquire(waking->lock, MPM_FOREVER)) ||
                              (status = mpm_queue_put(waking->queue, NULL, 0, MPM_FOREVER))))
        return status;
    be_still();
    start_s = bench_now_s();
    if (waking->what == 0)
        status = mpm_event_set(waking->event);
    else if (waking->what == 1)
        status = mpm_queue_put(waking->queue, NULL, 0, MPM_FOREVER);
    else
        status = mpm_lock_release(waking->lock);
    if (!status)
        status = mpm_queue_get(waking->told, MPM_FOREVER, &awake_s, sizeof awake_s, NULL);
    *seconds = awake_s - start_s;
    return status;
}

/* The median. */
static int measure_waking(int what, double *median_s)
{
    struct waking waking = {.what = what};
    double seconds[WAKE_UPS] = {0};
    mpm_process sleeper;
    int status;

    if ((status = mpm_event_create(&waking.event)) || (status = mpm_queue_create(NULL, &waking.queue)) ||
        (status = mpm_queue_create(NULL, &waking.told)) || (status = mpm_lock_create(&waking.lock)) ||
        (status = mpm_process_start(sleep_and_wake, &waking, sizeof waking,
                                    &(mpm_process_options){.place = MPM_ON_NODE(0)}, &sleeper)))
        return status;
    for (int i = 0; !status && i < WAKE_UPS; i++)
        status = wake_once(&waking, &seconds[i]);
    *median_s = bench_median(seconds, WAKE_UPS);
    return status ? status : mpm_process_join(sleeper, MPM_FOREVER);
}

struct last_words {
    mpm_queue go, told;
};

/* Says when it ends: after it was told to, and its starter has had time to fall asleep. */
static int end_after_a_while(const void *args, size_t size)
{
    const struct last_words *words = args;
    double now_s;

    (void)size;
    if (mpm_queue_get(words->go, MPM_FOREVER, NULL, 0, NULL))
        return 1;
    be_still();
    now_s = bench_now_s();
    return mpm_queue_put(words->told, &now_s, sizeof now_s, MPM_FOREVER) ? 1 : 0;
}

/* The end of a process as a thread hears of it that sleeps in poll on a pidfd of it. */
struct end {
    int process;
    double told_s;
};

static void *hear_of_end(void *argument)
{
    struct end *end = argument;
    struct pollfd polled = {.fd = end->process, .events = POLLIN};

    while (poll(&polled, 1, -1) < 0 && errno == EINTR)
        ;
    end->told_s = bench_now_s();
    return NULL;
}

/* Tells a process to end, and joins it; when that has returned, and when the kernel has told of the end. */
static int join_at_end(mpm_process process, mpm_queue go, double *awake_s, double *told_s)
{
    struct end end;
    pthread_t thread;
    int pid, status = mpm_process_pid(process, &pid);

    if (status)
        return status;
    if ((end.process = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
        return MPM_ESYSTEM;
    if (pthread_create(&thread, NULL, hear_of_end, &end)) {
        close(end.process);
        return MPM_ESYSTEM;
    }
    if (!(status = mpm_queue_put(go, NULL, 0, MPM_FOREVER)))
        status = mpm_process_join(process, MPM_FOREVER);
    *awake_s = bench_now_s();
    pthread_join(thread, NULL);
    close(end.process);
    *told_s = end.told_s;
    return status;
}

/* The same of a process that sleeps in a join: from the other one's last words on, which includes its exit, and from
 * its end on. */
static int measure_join(double *since_words_s, double *since_end_s)
{
    double since_words[WAKE_UPS] = {0}, since_end[WAKE_UPS] = {0};
    mpm_process process;
    struct last_words words;
    int status = mpm_queue_create(NULL, &words.told);

    if (!status)
        status = mpm_queue_create(NULL, &words.go);
    for (int i = 0; !status && i < WAKE_UPS; i++) {
        double awake_s = 0, words_s = 0, end_s = 0;

        if ((status = mpm_process_start(end_after_a_while, &words, sizeof words,
                                        &(mpm_process_options){.place = MPM_ON_NODE(0)}, &process)) ||
            (status = join_at_end(process, words.go, &awake_s, &end_s)))
            break;
        if (!(status = mpm_process_close(process)))
            status = mpm_queue_get(words.told, 0, &words_s, sizeof words_s, NULL);
        since_words[i] = awake_s - words_s;
        since_end[i] = awake_s > end_s ? awake_s - end_s : 0;
    }
    *since_words_s = bench_median(since_words, WAKE_UPS);
    *since_end_s = bench_median(since_end, WAKE_UPS);
    if (status || (status = mpm_queue_destroy(words.go)))
        return status;
    return mpm_queue_destroy(words.told);
}

/* The same of a bare process, which somebody sleeps in waitpid for. */
static int measure_bare_join(double *median_s)
{
    double seconds[WAKE_UPS] = {0};
    double *ended_s = mmap(NULL, sizeof *ended_s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (ended_s == MAP_FAILED)
        return MPM_ENOMEM;
    for (int i = 0; i < WAKE_UPS; i++) {
        pid_t child = fork();

        if (child == 0) {
            be_still();
            *ended_s = bench_now_s();
            _exit(0);
        }
        if (child < 0 || waitpid(child, NULL, 0) != child)
            return MPM_ESYSTEM;
        seconds[i] = bench_now_s() - *ended_s;
    }
    *median_s = bench_median(seconds, WAKE_UPS);
    return munmap(ended_s, sizeof *ended_s) ? MPM_ESYSTEM : 0;
}

static const char python_script[] = "lock = multiprocessing.Lock()\n"
                                    "def once(count=200000):\n"
                                    "    start = time.perf_counter()\n"
                                    "    for i in range(count):\n"
                                    "        lock.acquire()\n"
                                    "        lock.release()\n"
                                    "    return count / (time.perf_counter() - start)\n"
                                    "print(statistics.median(once() for _ in range(5)))\n";

enum {
    MUTEX,
    SPIN,
    LOCK,
    SPIN_PAIR,
    MUTEX_PAIR,
    LOCK_PAIR,
    SPIN_TURNS,
    FUTEX_TURNS,
    SEMAPHORE_TURNS,
    EVENT_TURNS,
    CASES
};

static int measure(double seconds, struct bench_figure *figures, size_t *count)
{
    static int (*const acts[CASES])(const struct work *, uint32_t) = {
        use_mutex, use_spin_lock,      use_lock,           use_spin_lock,          use_mutex,
        use_lock,  take_turn_spinning, take_turn_by_futex, take_turn_by_semaphore, take_turn_by_event};
    static int (*const runs[CASES])(const void *, uint64_t) = {
        run_alone, run_alone,     run_alone,     run_bare_pair, run_bare_pair,
        run_pair,  run_bare_pair, run_bare_pair, run_pair,      run_pair};
    static const struct {
        const char *name;
        int value, limit;
        const char *limit_name;
    } rows[] = {{"acquire + release, nobody else", LOCK, MUTEX, "a robust pthread mutex"},
                {"acquire + release, nobody else", LOCK, SPIN, "a bare spin lock"},
                {"acquire + release, two processes", LOCK_PAIR, MUTEX_PAIR, "a robust pthread mutex"},
                {"acquire + release, two processes", LOCK_PAIR, SPIN_PAIR, "a bare spin lock"},
                {"turns by semaphores", SEMAPHORE_TURNS, SPIN_TURNS, "spinning on a word"},
                {"turns by semaphores", SEMAPHORE_TURNS, FUTEX_TURNS, "futexes"},
                {"turns by events", EVENT_TURNS, SPIN_TURNS, "spinning on a word"},
                {"turns by events", EVENT_TURNS, FUTEX_TURNS, "futexes"}};
    struct work work = {.count = 0}, works[CASES];
    struct bench_case cases[CASES];
    int status;

    if ((status = make_work(&work)))
        return status;
    for (int i = 0; i < CASES; i++) {
        works[i] = work;
        works[i].act = acts[i];
        cases[i] = (struct bench_case){.run = runs[i], .argument = &works[i]};
    }
    if ((status = bench_measure(cases, CASES, seconds)))
        return status;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        figures[(*count)++] = (struct bench_figure){rows[i].name, bench_rate(&cases[rows[i].value]), "/s",
                                                    bench_rate(&cases[rows[i].limit]), rows[i].limit_name};
    return 0;
}

static int measure_all(double seconds, struct bench_figure *figures, size_t *count)
{
    static const char *const names[] = {"asleep in an event's wait until awake",
                                        "asleep in a queue's get until awake",
                                        "asleep in a lock's acquire until awake"};
    enum { WAKINGS = sizeof names / sizeof *names };
    struct bench_figure *of_join;
    int status = measure(seconds, figures, count);

    if (!status)
        *count = bench_add_python(figures, *count,
                                  (struct bench_figure){figures[0].name, figures[0].value, figures[0].unit, 0,
                                                        "Python multiprocessing.Lock"},
                                  python_script);
    for (int i = 0; !status && i < WAKINGS; i++, ++*count) {
        figures[*count] = (struct bench_figure){.name = names[i], .unit = "s"};
        status = measure_waking(i, &figures[*count].value);
    }
    if (status)
        return status;
    of_join = &figures[*count];
    *count += 2;
    of_join[0] = (struct bench_figure){.name = "asleep in a process's join until awake",
                                       .unit = "s",
                                       .limit_name = "a bare process and waitpid"};
    of_join[1] = (struct bench_figure){.name = "the same after a pidfd reported the end",
                                       .unit = "s",
                                       .limit = 100e-6,
                                       .limit_name = "the aim"};
    status = measure_join(&of_join[0].value, &of_join[1].value);
    return status ? status : measure_bare_join(&of_join[0].limit);
}

int bench_sync(int argc, char **argv)
{
    struct bench_options options = {.name = "bench sync", .help = help, .seconds = DEFAULT_SECONDS};
    struct bench_figure figures[16];
    size_t count = 0;
    int exit_status;

    if (!bench_parse(&options, argc, argv, &exit_status))
        return exit_status;
    if (measure_all(options.seconds, figures, &count))
        return mpm_report_error();
    bench_print(figures, count, options.json);
    return 0;
}
