/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_sleepy.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "ping_pong.h"

#define ROUNDS 301

static int tell_pid(mpm_call *call, const void *item, void *result)
{
    (void)call;
    (void)item;
    *(pid_t *)result = getpid();
    return 0;
}

/* Both in turn, each after a nap. */
static int play_in_turn(mpm_pool *pool, int (*play)(mpm_pool *), struct table *table, double *ours,
                        double *theirs)
{
    const struct timespec nap = {.tv_nsec = PING_PONG_NAP_NS};
    int status = 0;

    for (int i = 0; !status && i < ROUNDS; i++) {
        double begun_s;

        nanosleep(&nap, NULL);
        begun_s = bench_now_s();
        table_play(table, true);
        theirs[i] = bench_now_s() - begun_s;
        nanosleep(&nap, NULL);
        begun_s = bench_now_s();
        status = play(pool);
        ours[i] = bench_now_s() - begun_s;
    }
    return status;
}

/* This process stays on one CPU, the partner and the worker on one: left to itself the kernel sends one of them to
 * sleep where the caller is and the other one elsewhere, and what is compared then is CPUs that wake up. */
static int measure(mpm_pool *pool, const struct bench_sleepy *what, const int cpus[2],
                   struct bench_figure *figure)
{
    static double ours[ROUNDS], theirs[ROUNDS];
    pid_t partner, worker;
    struct table *table = table_open(true, &partner);
    int status;

    if (!table)
        return MPM_ESYSTEM;
    if (!(status = mpm_pool_apply(pool, tell_pid, NULL, 0, sizeof worker, &worker))) {
        pin_to_cpu(0, cpus[0]);
        pin_to_cpu(partner, cpus[1]);
        pin_to_cpu(worker, cpus[1]);
        status = play_in_turn(pool, what->play, table, ours, theirs);
    }
    table_close(table, partner);
    if (status)
        return status;
    figure->value = bench_median(ours, ROUNDS);
    figure->limit = bench_median(theirs, ROUNDS);
    figure->limit_name = "futex ping-pong";
    figure->unit = what->is_rate ? "/s" : "s";
    if (what->is_rate) {
        figure->value = 1 / figure->value;
        figure->limit = 1 / figure->limit;
    }
    return 0;
}

/* Of the CPUs that this process may use. */
static void find_cpus(const cpu_set_t *may_use, int *first, int *last)
{
    *first = *last = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, may_use))
            continue;
        *first = *first < 0 ? cpu : *first;
        *last = cpu;
    }
}

int bench_sleepy(mpm_pool *pool, const struct bench_sleepy *what, struct bench_figure figures[2])
{
    int first, last, status = 0;
    cpu_set_t may_use;

    if (sched_getaffinity(0, sizeof may_use, &may_use))
        return MPM_ESYSTEM;
    find_cpus(&may_use, &first, &last);
    for (int i = 0; i < 2 && !status; i++) {
        figures[i].name = what->names[i];
        status = measure(pool, what, (int[]){first, i ? last : first}, &figures[i]);
    }
    sched_setaffinity(0, sizeof may_use, &may_use);
    return status;
}
