/* SPDX-License-Identifier: BSD-3-Clause */
/* What the calling thread is in a run, so that a function which only one kind of thread may call asserts it:
 * assert(thread_is(THREAD_COURIER)). Each kind says so where it begins; a thread that says nothing is the program's. A
 * child of fork() is what the thread was that forked it, until it says otherwise.
 *
 * What is not asserted so:
 * - "in main": that is a process, with any of its threads. assert(context_role() == ROLE_MAIN), node/context.h.
 * - "before the courier starts", "before it forks", "once": a time. The tables of run/layers.c keep the order, and
 *   arena_make_root() asserts that a root is made once.
 * - "under its lock", "one thread at a time": a lock's or a caller's affair; the same thread may or may not have it.
 * - what an item, an add or a put goes through: it says who may call in its header only.
 *
 * For all of lib/. */
#ifndef BASE_THREAD_ROLE_H
#define BASE_THREAD_ROLE_H

#include <stdbool.h>

enum thread_role {
    THREAD_OF_PROGRAM =
        1, /* any other: main's, another rank's, a process's, and those that call the program's functions */
    THREAD_COURIER = 2, /* of a leader: from courier_main() on */
    THREAD_FORKSERVER =
        4, /* a fork server's, from forkserver_main() on; of a rank that stands in for it: meanwhile */
    THREAD_WORKER = 8,  /* a pool's worker's, from worker_main() on; a task's own threads are the program's */
    THREAD_DRIVER = 16, /* it drives the asynchronous maps of a process, from driver_main() on */
};

void thread_become(enum thread_role role);
/* Whether the calling thread is one of these: an enum thread_role, or several of them by |. */
bool thread_is(unsigned roles);

#endif
