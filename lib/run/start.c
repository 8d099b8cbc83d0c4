/* SPDX-License-Identifier: BSD-3-Clause */
/* The start of a run: mpm_init.
 *
 * Starting is the same on all ranks: transport, arena, canary, host, courier. After each step that can fail
 * on one rank only, all agree, so that a failure is everybody's: main returns it, the others leave in good
 * order. The transport is the starting thread's until the courier begins, after the last agreement, and is closed
 * when the courier has ended.
 *
 * Whatever step of the start fails, run_undo_start() undoes what there is: it looks at what this rank has (a courier, a
 * fork server, a watcher, an arena), not at how far it came. A process may be in several runs, one after the other.
 * What a layer keeps in static memory is made again by its announce function, or by whoever makes the arena; what is
 * derived from the arena's memory and kept by threads goes with the run's number. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpmap/runtime.h"

#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "forkserver/forkserver.h"
#include "net/courier.h"
#include "node/arena_size.h"
#include "node/context.h"
#include "node/context_inside.h"
#include "node/function.h"
#include "run/layers.h"
#include "run/messages.h"
#include "run/steps.h"
#include "run/trouble.h"

#define WORKER_TIMEOUT_S 30u
#define NODE_TIMEOUT_S   15.0

static const char *own_name(void)
{
    static char name[96];

    snprintf(name, sizeof name, "rank %u on %s", context.topology.rank,
             context.topology.nodes[context.topology.node].name);
    return name;
}

/* What is opened next would get the number of a standard file that is closed, and all that is printed: a result,
 * or what MPI says to its launcher. Where there is no /dev/null, it is so. */
static void replace_closed_standard_files(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return;
    }
}

/* Options, and what the environment says otherwise. */
static int configure(const mpm_options *options)
{
    if (options) {
        context.config.arena_size = options->arena_size;
        context.config.ranks_per_node = options->ranks_per_node;
        context.config.node_timeout_s = options->node_timeout_s;
    }
    if (context.config.arena_size && context.config.arena_size < ARENA_MIN_SIZE)
        return error_set(MPM_EINVAL, "an arena of %zu bytes is too small: it needs at least %u",
                         context.config.arena_size, ARENA_MIN_SIZE);
    if (context.config.node_timeout_s && !(context.config.node_timeout_s >= CONFIG_LEAST_TIMEOUT_S))
        return error_set(MPM_EINVAL,
                         "node_timeout_s is %g: it must be at least %g seconds, MPM_FOREVER, or 0 for %g",
                         context.config.node_timeout_s, CONFIG_LEAST_TIMEOUT_S, NODE_TIMEOUT_S);
    return config_read(&context.config);
}

/* What a rank can know by itself. */
static int prepare(const mpm_options *options, struct rank_card *card)
{
    int status;

    context.config = (struct config){.log_level = (int)log_get_level(), .worker_timeout_s = WORKER_TIMEOUT_S};
    if ((status = rank_card_fill(card)) || (status = configure(options)))
        return status;
    card->ranks_per_node = context.config.ranks_per_node;
    card->slots = context.config.slots;
    card->node_timeout_s = context.config.node_timeout_s > 0 ? context.config.node_timeout_s : NODE_TIMEOUT_S;
    return MPM_OK;
}

/* Ranks of a program that has started MPI come when they like; once they have met they are on their way together. */
static int meet(const struct rank_card *card)
{
    bool come_alone = context.transport->goes_on();
    int status;

    if (!come_alone)
        run_guard_start(card->node_timeout_s);
    if ((status = context.transport->open(card, &context.topology)))
        run_unguard();
    else if (come_alone && context.transport != &transport_solo)
        run_guard_start(card->node_timeout_s);
    return status;
}

static int open_transport(struct rank_card *card, const void *communicator)
{
    int status;

    if ((status = transport_choose(communicator, &context.transport)))
        return status;
    function_look_at_program();
    if (context.transport != &transport_solo)
        card->build = function_program_build();
    transport_take();
    context.outlives_nodes = false;
    if ((status = context.transport->start(card->machine, communicator, &context.is_main)) ||
        (status = meet(card)))
        transport_give_up();
    return status;
}

static void begin(void)
{
    context.outlives_nodes = context.topology.node_count > 1 && context.transport->outlives_ranks() &&
                             trouble_node_timeout_s() > 0;
    log_open((enum mpm_log_level)context.config.log_level, context.is_main ? "" : own_name());
    context.pid = getpid();
    context.number++;
    atomic_store(&context.ending, false);
    context.runs = true;
}

/* 1 where that cannot be known. */
static unsigned count_threads(void)
{
    DIR *threads = opendir("/proc/self/task");
    unsigned count = 0;

    if (!threads)
        return 1;
    for (struct dirent *thread; (thread = readdir(threads));)
        count += thread->d_name[0] != '.';
    closedir(threads);
    return count;
}

/* Fork servers, and so all processes, are copies of main that have one thread. MPI's own threads are no trouble: no
 * process calls MPI. */
static void warn_of_threads(unsigned threads)
{
    if (threads > 1)
        log_write(MPM_LOG_ERROR,
                  "%u other thread%s before mpm_init: workers and processes lack them, so code that "
                  "waits for one "
                  "of them hangs in a worker (OpenMP does if it was used before); call mpm_init first",
                  threads - 1, threads == 2 ? " was running" : "s were running");
}

static int start_courier(void)
{
    int status;

    if (context_own_rank()->rank_in_node)
        return MPM_OK;
    courier_forget();
    layers_announce();
    trouble_announce();
    if ((status = context_check_whole()))
        return status; /* one of them had no memory */
    return courier_start(context.transport, &context.topology, &context.area->doorbell, messages_rule_of);
}

/* The last steps: what main has beside a courier. */
static int start_threads(void)
{
    int status = start_courier();

    if (status || (status = run_watch_ranks()) || !context.is_main)
        return status;
    return (status = run_start_watcher()) ? status : run_end_at_exit();
}

/* All of the start that every rank takes part in, after the transport is open. */
static int start_together(int own_status)
{
    int status;

    if ((status = context.transport->agree(own_status)) ||
        (status = topology_check_build(&context.topology)) || (status = run_make_arena()) ||
        (status = run_start_forkserver()))
        return status;
    return context.transport->agree(start_threads());
}

/* From here on the transport is the courier's. */
static void hand_over_transport(void)
{
    transport_give_up();
    courier_begin();
    if (courier_runs())
        run_guard("a call of MPI has not returned", context.transport->calls);
}

/* Where something is wrong with one rank it goes on with what it has until all can agree, so that it is said once. */
static int start(const mpm_options *options)
{
    struct rank_card card;
    int own_status = prepare(options, &card), status;
    unsigned threads = transport_program_has_mpi() ? 1 : count_threads();

    if ((status = open_transport(&card, options ? options->communicator : NULL)))
        return status;
    begin();
    if (context.is_main)
        warn_of_threads(threads);
    if (!own_status)
        own_status = run_check_arena_size();
    status = start_together(own_status);
    run_unguard();
    if (status)
        return run_undo_start(status);
    hand_over_transport();
    if (options && options->drain_at_signals)
        run_take_drain_signals();
    if (!context.is_main)
        return run_serve();
    log_write(MPM_LOG_INFO, "nodes: %u, ranks: %u, slots: %u, MPI: %s", mpm_node_count(), mpm_rank_count(),
              mpm_slot_count(), mpm_mpi_version());
    return MPM_OK;
}

int mpm_init(int *argc, char ***argv, const mpm_options *options)
{
    (void)argc;
    (void)argv;
    if (context_is_nobody)
        return context_no_run("mpm_init");
    if (context.runs)
        return error_set(MPM_ESTATE, "mpm_init: the run has already begun");
    if (context.number && getpid() != context.pid && context.transport != &transport_solo)
        return error_set(MPM_ESTATE, "mpm_init: this process was forked by a rank, so it cannot use MPI: "
                                     "call mpm_init in the rank itself");
    run_release_arena(); /* of the run before */
    forkserver_note_ignored_signals();
    forkserver_note_drain_signals(options && options->drain_at_signals);
    replace_closed_standard_files();
    return start(options);
}
