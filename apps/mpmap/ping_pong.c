/* SPDX-License-Identifier: BSD-3-Clause */
/* Two bare processes that answer each other; see the header. */
#include "ping_pong.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_LOOKS 20000u

struct table {
    _Alignas(64) _Atomic uint32_t ball;
    _Alignas(64) _Atomic uint32_t answer;
};

/* One that spins lets others run after a while: its partner may have no processor. */
static void wait_on(_Atomic uint32_t *word, uint32_t old, bool sleeps)
{
    for (unsigned looks = 1; atomic_load_explicit(word, memory_order_acquire) == old; looks++) {
        if (!sleeps && looks % MOST_LOOKS == 0)
            sched_yield();
        if (sleeps)
            syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
    }
}

static void change(_Atomic uint32_t *word, uint32_t value, bool sleeps)
{
    atomic_store_explicit(word, value, memory_order_release);
    if (sleeps)
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

struct table *table_open(bool sleeps, pid_t *partner)
{
    struct table *table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                               0);

    if (table == MAP_FAILED)
        return NULL;
    if ((*partner = fork()) == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (uint32_t ball = 0;; ball++) {
            wait_on(&table->ball, ball, sleeps);
            change(&table->answer, ball + 1, sleeps);
        }
    }
    return table;
}

void table_close(struct table *table, pid_t partner)
{
    kill(partner, SIGKILL);
    waitpid(partner, NULL, 0);
    munmap(table, sizeof *table);
}

void table_play(struct table *table, bool sleeps)
{
    uint32_t ball = atomic_load(&table->ball);

    change(&table->ball, ball + 1, sleeps);
    wait_on(&table->answer, ball, sleeps);
}

void pin_to_cpu(pid_t pid, int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(pid, sizeof set, &set);
}
