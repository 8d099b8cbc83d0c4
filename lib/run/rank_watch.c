/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranks of one node that look after each other, where the launcher lets survivors live: elsewhere it ends all of them
 * with one. A node is lost when one of its ranks dies, since what that rank's processes had begun would never end. So
 * the leader sees the deaths of the others, and they see the leader's; whoever sees one ends the node. A rank that is
 * not the leader and dies together with the leader is nobody's worry any more.
 *
 * One thread a rank sleeps on the pidfds of those that it watches, and on one more by which it is ended. A rank whose
 * number means nothing here (it is in another name space, or the kernel has no pidfds) is not watched. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "forkserver/own_thread.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "run/steps.h"
#include "run/trouble.h"

static struct {
    bool runs;
    pthread_t thread;
    unsigned count;      /* of the next two */
    struct pollfd *file; /* the last one ends the thread */
    unsigned *rank;
} watch;

/* Whether it is a rank, and of this name space: it runs what this one runs. */
static bool is_visible(unsigned rank)
{
    char path[64], program[256] = "", own[256] = "";

    snprintf(path, sizeof path, "/proc/%d/exe", (int)context.topology.ranks[rank].card.pid);
    return readlink(path, program, sizeof program - 1) > 0 &&
           readlink("/proc/self/exe", own, sizeof own - 1) > 0 && !strcmp(program, own);
}

static void add(unsigned rank)
{
    pid_t pid = (pid_t)context.topology.ranks[rank].card.pid;
    int file = is_visible(rank) ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    if (file < 0)
        return;
    watch.rank[watch.count] = rank;
    watch.file[watch.count++] = (struct pollfd){.fd = file, .events = POLLIN};
}

static void *watch_main(void *unused)
{
    (void)unused;
    for (;;) {
        if (poll(watch.file, watch.count + 1, -1) < 0)
            continue; /* interrupted by a debugger */
        if (watch.file[watch.count].revents || forkserver_is_ending(context.arena))
            return NULL;
        for (unsigned i = 0; i < watch.count; i++) {
            if (watch.file[i].revents) {
                trouble_rank_died(watch.rank[i]);
                return NULL;
            }
        }
    }
}

static void free_watch(void)
{
    for (unsigned i = 0; watch.file && i < watch.count; i++)
        close(watch.file[i].fd);
    if (watch.file && watch.file[watch.count].fd >= 0)
        close(watch.file[watch.count].fd);
    free(watch.file);
    free(watch.rank);
    watch.file = NULL;
    watch.rank = NULL;
    watch.count = 0;
}

/* The leader, or, in the leader, all others. */
static void add_all(void)
{
    const struct topology *topology = &context.topology;
    unsigned leader = topology->nodes[topology->node].leader;

    if (topology->rank != leader)
        add(leader);
    for (unsigned i = 1; topology->rank == leader && i < topology->nodes[topology->node].ranks; i++)
        add(topology_rank_of(topology, topology->node, i));
}

int run_watch_ranks(void)
{
    unsigned ranks = context.topology.nodes[context.topology.node].ranks;
    int status;

    if (!context.outlives_nodes || ranks < 2)
        return MPM_OK;
    watch.file = calloc(ranks + 1, sizeof *watch.file);
    watch.rank = calloc(ranks, sizeof *watch.rank);
    if (!watch.file || !watch.rank) {
        free(watch.file);
        free(watch.rank);
        watch.file = NULL;
        watch.rank = NULL;
        return error_set(MPM_ENOMEM, "no memory to watch %u ranks", ranks);
    }
    add_all();
    watch.file[watch.count] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
    if (watch.file[watch.count].fd < 0)
        status = error_set_errno(MPM_ESYSTEM, "cannot make an eventfd");
    else
        status = own_thread_start(&watch.thread, watch_main, NULL);
    if (status)
        free_watch();
    watch.runs = !status;
    return status;
}

void run_unwatch_ranks(void)
{
    uint64_t one = 1;

    if (!watch.runs)
        return;
    watch.runs = false;
    if (write(watch.file[watch.count].fd, &one, sizeof one) == sizeof one)
        pthread_join(watch.thread, NULL);
    free_watch();
}
