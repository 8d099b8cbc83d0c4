/* SPDX-License-Identifier: BSD-3-Clause */
/* Forked children of a test. They leave by _exit, so that nothing of the test's is flushed or freed twice. */
#include "child.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define PATIENCE_NS UINT64_C(100000000000)

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

void *child_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                        0);

    if (memory == MAP_FAILED)
        give_up("memory for a test");
    return memory;
}

void child_memory_free(void *memory, size_t size)
{
    munmap(memory, size);
}

pid_t child_start(child_body *body, void *argument)
{
    pid_t parent = getpid(), child = fork();

    if (child < 0)
        give_up("a child of a test");
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(getppid() == parent && body(argument) ? 0 : 1);
}

int child_wait(pid_t child)
{
    int wait_status;

    if (waitpid(child, &wait_status, 0) != child)
        give_up("waiting for a child of a test");
    return wait_status;
}

void child_kill(pid_t child)
{
    kill(child, SIGKILL);
    child_wait(child);
}

bool child_succeeds(child_body *body, void *argument)
{
    int wait_status = child_wait(child_start(body, argument));

    if (WIFSIGNALED(wait_status))
        fprintf(stderr, "the child was killed by signal %d\n", WTERMSIG(wait_status));
    else if (WEXITSTATUS(wait_status))
        fprintf(stderr, "the child exited with status %d\n", WEXITSTATUS(wait_status));
    return wait_status == 0;
}

bool child_was_killed(int wait_status)
{
    return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
}

bool child_reached(const _Atomic unsigned *word, unsigned least)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (atomic_load(word) < least) {
        if (clock_now_ns() > end_ns)
            return false;
        sched_yield();
    }
    return true;
}
