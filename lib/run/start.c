/* SPDX-License-Identifier: BSD-3-Clause */
/* The run: mpm_init and mpm_finalize, in main and in the ranks that serve.
 *
 * Starting is the same on all ranks: transport, arena, canary, host, courier. After each step that can fail
 * on one rank only, all agree, so that a failure is everybody's: main returns it, the others leave in good
 * order. The transport is the starting thread's until the courier begins, after the last agreement, and is closed
 * when the courier has ended. Ending begins in main: it tells the leaders, whose couriers tell their hosts; each rank
 * sleeps in waitpid for its host, wakes when it has ended, and closes the transport together with the others.
 *
 * Whatever step of the start fails, undo_start() undoes what there is: it looks at what this rank has (a courier, a
 * host, a watcher, an arena), not at how far it came. A process may be in several runs, one after the other. What a
 * layer keeps in static memory is made anew by its announce function, or by who makes the arena; what is derived from
 * the arena's memory and kept by threads goes with the run's number.
 *
 * A host that dies before the end costs the slots of its rank, no more: that rank ends what the host has left, and
 * sleeps on (host_stand_in). See loss.h.
 *
 * A node that is silent for node_timeout is lost (net/heartbeat.h), and the run ends without any more MPI, which might wait
 * for that node for ever: main's calls fail, mpm_finalize tells the nodes that are still there, and everybody ends its
 * own processes and its launcher. A node that has lost main does so by itself. `is_lost` says so to all ranks of a
 * node: it is written by its leader's courier, before hosts are told to end. In a run without a loss the
 * other ranks go to MPI's end when their leader's courier is through with its part: it writes `is_closing` then.
 *
 * The node area in the arena: `broken` goes 0, 1 (somebody writes the sentence), 2 (it can be read), by
 * compare and swap. Whoever dies at 1 is a rank, and the run ends with it. */
#include "node/context.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpmap/runtime.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "host/host.h"
#include "net/courier.h"
#include "net/launcher_end.h"
#include "net/memory.h"
#include "net/transport.h"
#include "node/arena_size.h"
#include "node/function.h"
#include "node/loss.h"
#include "object/call.h"
#include "object/object.h"
#include "object/post.h"
#include "process/process.h"

#define CANARY           0x63616e617279u
#define MAX_LAYERS       32
#define WORKER_TIMEOUT_S 30u
#define NODE_TIMEOUT_S   15.0
#define EXIT_NS          UINT64_C(2000000000) /* how long exit() waits for calls of other threads */
#define LINGER_NS \
    UINT64_C(1000000000) /* how long other ranks stay after a loss: at their exit mpirun ends main */
#define GUARD_LOOKS 20u

struct node_area {
    struct wait_word bell;
    _Atomic uint32_t canary;
    _Atomic uint32_t log_level;  /* enum mpm_log_level */
    _Atomic uint32_t broken;     /* 0, 1: being written, 2: what follows can be read */
    _Atomic uint32_t is_lost;    /* 1: the run ends without MPI */
    _Atomic uint32_t is_closing; /* 1: the leader's courier has ended */
    int32_t broken_status;
    char broken_sentence[MESSAGE_TEXT_SIZE];
};

static struct {
    pid_t pid; /* of the rank; a forked process has another */
    _Atomic bool runs;
    bool is_main;
    uint32_t number; /* of the process's runs, from 1 */
    bool has_host, has_watcher;
    bool ends_at_exit; /* for good, once it is true */
    const struct transport *transport;
    struct topology topology;
    struct config config;
    struct arena *arena;
    struct node_area *area;
    uint64_t *arena_sizes; /* by rank */
    pthread_t watcher;
    void (*end[MAX_LAYERS])(void);
    unsigned end_count;
    void (*announce[MAX_LAYERS])(void);
    unsigned announce_count;
    const struct runtime_duties *duties;
    bool break_is_posted;
    _Atomic bool ending;      /* mpm_finalize() has begun: nothing new is begun */
    _Atomic bool exiting;     /* exit() has been called without mpm_finalize() */
    _Atomic unsigned inside;  /* calls between runtime_enter and runtime_leave */
    struct wait_word someone; /* has left */
    struct wait_word closed;  /* MPI has ended */
    _Atomic bool has_closed;
} run;

bool runtime_is_nobody;

static _Thread_local unsigned inside_here;      /* this thread's part of `inside` */
static _Thread_local const char *thread_called; /* what it calls of the program; NULL: it is the program's */

void runtime_add_layer(void (*announce)(void))
{
    assert(run.announce_count < MAX_LAYERS);
    run.announce[run.announce_count++] = announce;
}

void runtime_add_duties(const struct runtime_duties *duties)
{
    assert(!run.duties);
    run.duties = duties;
}

void runtime_at_end(void (*end)(void))
{
    for (unsigned i = 0; i < run.end_count; i++) {
        if (run.end[i] == end)
            return;
    }
    assert(run.end_count < MAX_LAYERS);
    run.end[run.end_count++] = end;
}

enum role runtime_role(void)
{
    if (!run.runs)
        return ROLE_NONE;
    if (getpid() != run.pid)
        return ROLE_FORKED;
    return run.is_main ? ROLE_MAIN : ROLE_RANK;
}

const struct topology *runtime_topology(void)
{
    return &run.topology;
}

uint32_t runtime_number(void)
{
    return run.number;
}

uint32_t runtime_first_generation(void)
{
    return (run.number - 1) % 128 << 24;
}

struct arena *runtime_arena(void)
{
    return run.arena;
}

unsigned runtime_worker_timeout_s(void)
{
    return run.config.worker_timeout_s;
}

struct wait_word *runtime_bell(void)
{
    return &run.area->bell;
}

static const struct rank_info *own_rank(void)
{
    return &run.topology.ranks[run.topology.rank];
}

static const char *own_name(void)
{
    static char name[96];

    snprintf(name, sizeof name, "rank %u on %s", run.topology.rank,
             run.topology.nodes[run.topology.node].name);
    return name;
}

/* Children that the program forks itself, in any process of the run. */

int runtime_no_run(const char *call)
{
    const char *why = runtime_is_nobody
                          ? "the program has forked this process itself, so it has no part in the run: "
                            "mpm_process_start starts one that has"
                          : "there is no run: call mpm_init first";

    return call ? error_set(MPM_ESTATE, "%s: %s", call, why) : error_set(MPM_ESTATE, "%s", why);
}

int runtime_check_somebody(const char *call)
{
    return runtime_is_nobody ? runtime_no_run(call) : MPM_OK;
}

/* What it has printed is to be seen; exit handlers are its parent's. */
_Noreturn void runtime_end_nobody(int code)
{
    fflush(NULL);
    _exit(code & 0xff);
}

/* As after mpm_finalize. Its parent's number is no other's, so whatever it held by that would never be free. */
static void become_nobody(void)
{
    if (!run.runs || host_forks())
        return;
    runtime_is_nobody = true;
    run.runs = false;
    run.topology.rank_count = run.topology.node_count = 0; /* its arrays stay what they are: the parent's */
}

static __attribute__((constructor)) void at_fork(void)
{
    int failed = pthread_atfork(NULL, NULL, become_nobody);

    assert(!failed);
    (void)failed;
}

/* Trouble. */

void runtime_break(int status, const char *sentence)
{
    uint32_t whole = 0;

    if (!atomic_compare_exchange_strong(&run.area->broken, &whole, 1))
        return;
    run.area->broken_status = status;
    snprintf(run.area->broken_sentence, sizeof run.area->broken_sentence, "%s", sentence);
    atomic_store(&run.area->broken, 2);
    wait_ring(&run.area->bell);
}

int runtime_check_whole(void)
{
    if (runtime_is_nobody)
        return runtime_no_run(NULL);
    if (atomic_load(&run.area->broken) < 2)
        return MPM_OK;
    return error_set(run.area->broken_status, "%s", run.area->broken_sentence);
}

bool runtime_is_driver(void)
{
    enum role role = runtime_role();

    return role == ROLE_MAIN || (role == ROLE_FORKED && process_is_users());
}

int runtime_check_not_ending(const char *call)
{
    if (!atomic_load(&run.ending))
        return MPM_OK;
    return error_set(MPM_ESTATE, "%s: mpm_finalize has begun: nothing new can be begun", call);
}

bool runtime_takes_work(void)
{
    return run.runs && !atomic_load(&run.ending) && atomic_load(&run.area->broken) < 2;
}

int runtime_check_driver(const char *call)
{
    int status;

    if (runtime_is_driver())
        return (status = runtime_check_not_ending(call)) ? status : runtime_check_whole();
    if (runtime_role() == ROLE_NONE)
        return runtime_no_run(call);
    return error_set(MPM_ESTATE, "%s: main and processes can call it, but not a pool's worker", call);
}

/* The other threads of a program that exits are never heard of again. */
static void stay_if_exiting(void)
{
    while (atomic_load(&run.exiting) && !inside_here)
        pause();
}

void runtime_enter(void)
{
    atomic_fetch_add(&run.inside, 1);
    if (inside_here++ || !atomic_load(&run.exiting))
        return;
    inside_here--;
    atomic_fetch_sub(&run.inside, 1);
    stay_if_exiting();
}

void runtime_leave(void)
{
    inside_here--;
    atomic_fetch_sub(&run.inside, 1);
    wait_ring(&run.someone);
    stay_if_exiting();
}

void runtime_thread_calls(const char *what)
{
    thread_called = what;
}

static bool on_node_failed(unsigned node, const void *payload, size_t size)
{
    struct message_trouble trouble;

    (void)node;
    if (size != sizeof trouble)
        return false;
    memcpy(&trouble, payload, sizeof trouble);
    trouble.text[sizeof trouble.text - 1] = 0;
    if (trouble.status == MPM_ENODELOST)
        atomic_store(&run.area->is_lost, 1);
    runtime_break((int)trouble.status, trouble.text);
    return true;
}

/* All processes of this node but its ranks. */
static void end_processes(void)
{
    host_end_all(run.arena);
    wait_ring(&run.area->bell);
}

static bool on_end(unsigned node, const void *payload, size_t size)
{
    const struct message_end *message = payload;

    if (node || size != sizeof *message)
        return false;
    if (message->is_lost)
        atomic_store(&run.area->is_lost, 1);
    end_processes();
    return true;
}

/* How long a node may be silent: 0 is without end. */
static double node_timeout_s(void)
{
    double timeout_s = run.topology.ranks[0].card.node_timeout_s;

    return timeout_s >= 1e9 ? 0 : timeout_s;
}

static void describe_silence(unsigned node, char *text, size_t size)
{
    const struct node *nodes = run.topology.nodes;

    if (node == run.topology.node)
        snprintf(text, size, "the nodes have not agreed on the end of the run for %g s", node_timeout_s());
    else if (node == 0 || run.is_main)
        snprintf(text, size, "node %s has not answered for %g s", nodes[node].name, node_timeout_s());
    else
        snprintf(text, size, "node %s has not answered node %s for %g s", nodes[node].name,
                 nodes[run.topology.node].name, node_timeout_s());
}

/* In the courier. Main's calls say it, and main is told by whoever it hears; where it is lost itself, the log says it, and
 * nobody else will end what runs here. */
static void on_node_lost(unsigned node)
{
    char sentence[MESSAGE_TEXT_SIZE];

    describe_silence(node, sentence, sizeof sentence);
    atomic_store(&run.area->is_lost, 1);
    runtime_break(MPM_ENODELOST, sentence);
    if (run.is_main || (node && node != run.topology.node))
        return;
    log_write(MPM_LOG_ERROR, "%s: the run ends here", sentence);
    end_processes();
}

/* In another leader's courier: tells main, once, that this node has lost a part. */
static bool post_break(void)
{
    struct message_trouble trouble = {0};

    if (run.is_main || run.break_is_posted || !runtime_check_whole())
        return false;
    run.break_is_posted = true;
    trouble.status = run.area->broken_status;
    memcpy(trouble.text, run.area->broken_sentence, sizeof trouble.text);
    return !courier_post_one(0, MESSAGE_NODE_FAILED, &trouble, sizeof trouble);
}

/* The host. */

bool runtime_rank_is_lost(unsigned rank)
{
    return loss_is(rank);
}

/* Sleeps until the end of the run: in waitpid for the rank's host, or, if that dies before, in its place. It is
 * said at once, by whoever sees it, since no call may fail for it. */
static void watch_host(void)
{
    if (host_wait(run.arena, own_rank()->rank_in_node))
        return;
    loss_say();
    wait_ring(&run.area->bell);
    host_stand_in(run.arena);
}

static void *watcher_main(void *unused)
{
    (void)unused;
    watch_host();
    return NULL;
}

/* Starting. */

static unsigned arenas_on_machine(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < run.topology.node_count; i++)
        count += run.topology.ranks[run.topology.nodes[i].leader].machine == own_rank()->machine;
    return count;
}

/* What a leader is told is not more than there can be: its processes would be killed as the arena fills. */
static int check_arena_size(void)
{
    if (!run.config.arena_size || own_rank()->rank_in_node)
        return MPM_OK;
    return arena_size_check(run.config.arena_size, arenas_on_machine(),
                            arena_group_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
}

static size_t arena_size(void)
{
    if (run.config.arena_size)
        return run.config.arena_size;
    return arena_size_default(arenas_on_machine(), run.topology.nodes[run.topology.node].ranks > 1);
}

static int make_node_area(void)
{
    int status;

    if ((status = arena_make_root(run.arena, ARENA_ROOT_NODE, sizeof(struct node_area))) ||
        (status = object_table_create(run.arena)) || (status = call_table_create(run.arena)) ||
        (status = post_table_create(run.arena, run.topology.node_count)) ||
        (status = process_table_create(run.arena, run.topology.node_count)) ||
        (status = run.duties->create(run.arena)))
        return status;
    return host_area_create(run.arena, run.topology.nodes[run.topology.node].ranks,
                            runtime_first_generation());
}

/* The leader makes the arena, then the others find it there. */
static int make_arena(void)
{
    size_t size = arena_size();
    void *memory = NULL;
    int status;

    if ((status = run.transport->memory(&run.topology, size, &memory)))
        return status;
    if (own_rank()->rank_in_node == 0 && !(status = arena_format(memory, size, &run.arena)))
        status = make_node_area();
    if ((status = run.transport->agree(status)))
        return status;
    if ((status = run.transport->agree(arena_attach(memory, &run.arena))))
        return status;
    run.area = arena_root(run.arena, ARENA_ROOT_NODE);
    object_forget_recent();
    log_share(&run.area->log_level);
    if (!(run.arena_sizes = calloc(run.topology.rank_count, sizeof *run.arena_sizes)))
        status = error_set(MPM_ENOMEM, "no memory for the arenas of %u ranks", run.topology.rank_count);
    else
        status = loss_table_create();
    if ((status = run.transport->agree(status)))
        return status;
    return run.transport->gather(size, run.arena_sizes);
}

/* Proves that a forked child writes into the very same memory. */
static int try_canary(void)
{
    pid_t child;

    atomic_store(&run.area->canary, 0);
    if ((child = fork()) == 0) {
        atomic_store(&run.area->canary, CANARY & UINT32_MAX);
        _exit(0);
    }
    if (child < 0)
        return error_set_errno(MPM_ESYSTEM, "a process cannot be forked");
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ; /* a program that ignores SIGCHLD gets ECHILD, when the child has ended */
    if (atomic_load(&run.area->canary) != (CANARY & UINT32_MAX))
        return error_set(MPM_ESYSTEM, "a forked process does not share the arena's memory with its rank");
    return MPM_OK;
}

/* In the host. */
static void on_process_death(uint32_t number)
{
    object_free_reserved(run.arena, number);
    call_owner_died(run.arena, number);
    post_owner_died(run.arena);
    process_died(number);
    run.duties->process_died(number);
}

static void on_process_change(uint32_t process, bool has_ended)
{
    if (has_ended)
        run.duties->process_ended();
    process_changed(process, has_ended);
}

static void on_host_loss(void)
{
    run.duties->process_ended();
    process_host_lost();
}

static int start_host(void)
{
    int status = host_start(run.arena, own_rank()->rank_in_node);

    run.has_host = !status;
    return status;
}

static int start_processes(void)
{
    int status = own_rank()->rank_in_node ? MPM_OK : try_canary();

    if ((status = run.transport->agree(status)))
        return status;
    host_at_death(on_process_death);
    host_at_change(on_process_change);
    host_at_loss(on_host_loss);
    return run.transport->agree(start_host());
}

static int start_courier(void)
{
    int status;

    if (own_rank()->rank_in_node)
        return MPM_OK;
    courier_forget();
    courier_handle(MESSAGE_NODE_FAILED, on_node_failed);
    courier_handle(MESSAGE_END, on_end);
    courier_watch((uint64_t)(node_timeout_s() * 1e9), on_node_lost);
    courier_add_work(post_break);
    loss_announce();
    post_announce();
    call_announce();
    for (unsigned i = 0; i < run.announce_count; i++)
        run.announce[i]();
    if ((status = runtime_check_whole()))
        return status; /* one of them had no memory */
    return courier_start(run.transport, &run.topology, &run.area->bell);
}

/* Signals are the program's: none is handled in this thread. */
static int start_thread(pthread_t *thread, void *(*body)(void *))
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, body, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? error_set(MPM_ESYSTEM, "a thread cannot be started: %s", strerror(failed)) : MPM_OK;
}

static void finalize_at_exit(void);

static int end_at_exit(void)
{
    if (!run.ends_at_exit && atexit(finalize_at_exit))
        return error_set(MPM_ENOMEM, "no memory for a function that exit() is to call");
    run.ends_at_exit = true;
    return MPM_OK;
}

/* The last steps: what main has beside a courier. */
static int start_threads(void)
{
    int status = start_courier();

    if (status || !run.is_main)
        return status;
    if ((status = start_thread(&run.watcher, watcher_main)))
        return status;
    run.has_watcher = true;
    return end_at_exit();
}

/* All of the start that every rank takes part in, after the transport is open. */
static int start_together(void)
{
    int status;

    if ((status = topology_check_build(&run.topology)) || (status = make_arena()) ||
        (status = start_processes()))
        return status;
    if ((status = run.transport->agree(start_threads())))
        return status;
    transport_give_up();
    courier_begin();
    return MPM_OK;
}

/* Ends the hosts of the node, and waits for the own one, as all ranks of the node do. */
static void end_hosts(void)
{
    if (!run.has_host)
        return;
    end_processes();
    if (run.has_watcher)
        pthread_join(run.watcher, NULL);
    else
        watch_host();
    run.has_host = run.has_watcher = false;
}

/* After a loss, in place of close_transport(). */
static void leave_transport(void)
{
    launcher_end_after_rank();
}

/* Ends the rank if MPI does not end, since a node was lost at that very moment. It counts the time in which it was awake,
 * as couriers do. */
static void *guard_main(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < GUARD_LOOKS; i++) {
        uint64_t slice_ns = (uint64_t)(node_timeout_s() * 1e9) / GUARD_LOOKS;
        uint32_t seen = wait_look(&run.closed);

        if (atomic_load(&run.has_closed) || wait_change(&run.closed, seen, 0, clock_now_ns() + slice_ns))
            return NULL;
    }
    log_write(MPM_LOG_ERROR, "MPI has not ended for %g s: a node is lost", node_timeout_s());
    launcher_end_after_rank();
    _exit(EXIT_FAILURE);
}

/* Without memory for a guard there is none. */
static void close_transport(void)
{
    bool is_guarded = run.topology.node_count > 1 && node_timeout_s() > 0;
    pthread_t guard;

    atomic_store(&run.has_closed, false);
    is_guarded = is_guarded && !start_thread(&guard, guard_main);
    run.transport->close();
    atomic_store(&run.has_closed, true);
    wait_ring(&run.closed);
    if (is_guarded)
        pthread_join(guard, NULL);
}

/* The transport, which is the caller's, and all that was known of the run. Together with all other ranks, unless a node
 * is lost; whether the program goes on here then. */
static bool take_down(bool is_lost)
{
    bool goes_on = run.is_main || run.transport->goes_on();

    run.runs = false;
    host_leave();
    log_share(NULL);
    if (is_lost)
        leave_transport();
    else
        close_transport();
    transport_give_up();
    topology_free(&run.topology);
    free(run.arena_sizes);
    run.arena_sizes = NULL;
    loss_table_free();
    run.end_count = 0;
    run.break_is_posted = false;
    return goes_on;
}

static void release_arena(void)
{
    memory_release();
    run.arena = NULL;
    run.area = NULL;
}

/* Main may have threads in calls still. They find an end, and nothing else. */
static void empty_arena(void)
{
    if (memory_empty())
        runtime_break(MPM_ESTATE, "the run has ended");
}

/* What failed on one rank has failed on all. Main reports it. */
static int undo_start(int status)
{
    courier_cancel();
    end_hosts();
    if (!take_down(false))
        exit(EXIT_SUCCESS);
    release_arena();
    if (!run.is_main)
        error_leave_report();
    return status;
}

/* A rank that is no leader goes to MPI's end when its leader does. */
static void end_courier(void)
{
    struct wait_word *bell = &run.area->bell;

    if (own_rank()->rank_in_node == 0) {
        courier_stop();
        atomic_store(&run.area->is_closing, 1);
        wait_ring(bell);
    }
    while (!atomic_load(&run.area->is_closing) && !atomic_load(&run.area->is_lost)) {
        uint32_t seen = wait_look(bell);

        if (!atomic_load(&run.area->is_closing) && !atomic_load(&run.area->is_lost))
            wait_change(bell, seen, 0, CLOCK_FOREVER);
    }
}

/* Another rank's whole life in the run. */
static int serve(void)
{
    struct wait_word *bell = &run.area->bell;

    watch_host();
    while (!host_is_ending(run.arena)) {
        uint32_t seen = wait_look(bell);

        if (!host_is_ending(run.arena))
            wait_change(bell, seen, 0, CLOCK_FOREVER);
    }
    run.has_host = false;
    end_courier();
    if (atomic_load(&run.area->is_lost)) {
        leave_transport();
        wait_change(&run.closed, wait_look(&run.closed), 0, clock_now_ns() + LINGER_NS);
        _exit(EXIT_FAILURE); /* MPI is of no more use here, not even to a program that has started it */
    }
    transport_take();
    if (!take_down(false))
        exit(EXIT_SUCCESS);
    release_arena();
    return error_set(
        MPM_SERVED,
        "this rank has served a run, which has ended: MPM_SERVED is no failure, and the program goes on");
}

/* Sees that no other thread is in the run when that is taken down. One that sits in a function of the
 * program, which its map calls for progress, is not waited for without end. */
static void send_others_out(const char *sentence)
{
    uint64_t deadline_ns = clock_now_ns() + EXIT_NS;
    bool in_time = true;

    if (atomic_load(&run.inside) == inside_here)
        return;
    runtime_break(MPM_ESTATE, sentence);
    while (in_time) {
        uint32_t seen = wait_look(&run.someone);

        if (atomic_load(&run.inside) == inside_here)
            return;
        in_time = wait_change(&run.someone, seen, 0, deadline_ns);
    }
}

static int end_run(void);

/* Of the program's exit, whatever run it is in then. Workers are killed, not waited for. */
static void finalize_at_exit(void)
{
    if (runtime_role() == ROLE_MAIN) {
        atomic_store(&run.exiting, true);
        atomic_store(&run.ending, true);
        send_others_out("the program has called exit()");
        inside_here++; /* this thread goes on, whatever it calls */
        (void)end_run();
    }
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
        run.config.arena_size = options->arena_size;
        run.config.ranks_per_node = options->ranks_per_node;
        run.config.node_timeout_s = options->node_timeout_s;
    }
    if (run.config.arena_size && run.config.arena_size < ARENA_MIN_SIZE)
        return error_set(MPM_EINVAL, "an arena of %zu bytes is too small: it needs at least %u",
                         run.config.arena_size, ARENA_MIN_SIZE);
    if (run.config.node_timeout_s && !(run.config.node_timeout_s >= CONFIG_LEAST_TIMEOUT_S))
        return error_set(MPM_EINVAL,
                         "node_timeout_s is %g: it must be seconds from %g on, MPM_FOREVER, or 0 for %g",
                         run.config.node_timeout_s, CONFIG_LEAST_TIMEOUT_S, NODE_TIMEOUT_S);
    return config_read(&run.config);
}

/* What a rank can know by itself. */
static int prepare(const mpm_options *options, struct rank_card *card)
{
    int status;

    run.config = (struct config){.log_level = (int)log_get_level(), .worker_timeout_s = WORKER_TIMEOUT_S};
    if ((status = rank_card_fill(card)) || (status = configure(options)))
        return status;
    card->ranks_per_node = run.config.ranks_per_node;
    card->slots = run.config.slots;
    card->node_timeout_s = run.config.node_timeout_s > 0 ? run.config.node_timeout_s : NODE_TIMEOUT_S;
    return MPM_OK;
}

static int open_transport(struct rank_card *card, const void *communicator)
{
    int status;

    if ((status = transport_choose(communicator, &run.transport)))
        return status;
    if (run.transport != &transport_solo)
        card->build = function_program_build();
    transport_take();
    if ((status = run.transport->open(card, communicator, &run.topology)))
        transport_give_up();
    return status;
}

static void begin(void)
{
    run.is_main = run.topology.rank == 0;
    log_open((enum mpm_log_level)run.config.log_level, run.is_main ? "" : own_name());
    run.pid = getpid();
    run.number++;
    atomic_store(&run.ending, false);
    run.runs = true;
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

/* Hosts, and so all processes, are copies of main that have one thread. MPI's own threads are no trouble: no process
 * calls MPI. */
static void warn_of_threads(unsigned threads)
{
    if (threads > 1)
        log_write(MPM_LOG_ERROR,
                  "%u other thread%s before mpm_init: workers and processes do not have them, so whatever "
                  "waits for one "
                  "of them hangs there (as OpenMP does that was used before); call mpm_init first",
                  threads - 1, threads == 2 ? " was there" : "s were there");
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
    if (run.is_main)
        warn_of_threads(threads);
    if (!own_status)
        own_status = check_arena_size();
    if ((status = run.transport->agree(own_status)) || (status = start_together()))
        return undo_start(status);
    if (!run.is_main)
        return serve();
    log_write(MPM_LOG_INFO, "nodes: %u, ranks: %u, slots: %u, MPI: %s", mpm_node_count(), mpm_rank_count(),
              mpm_slot_count(), mpm_mpi_version());
    return MPM_OK;
}

int mpm_init(int *argc, char ***argv, const mpm_options *options)
{
    (void)argc;
    (void)argv;
    if (runtime_is_nobody)
        return runtime_no_run("mpm_init");
    if (run.runs)
        return error_set(MPM_ESTATE, "mpm_init: the run has begun already");
    if (run.number && getpid() != run.pid && run.transport != &transport_solo)
        return error_set(MPM_ESTATE, "mpm_init: this process was forked by a rank: MPI is not its own");
    release_arena(); /* of the run before */
    host_note_ignored_signals();
    replace_closed_standard_files();
    return start(options);
}

/* Ending. */

/* What was begun comes to its end. From here on nothing new is begun, so that this ends. */
static void wait_for_work(void)
{
    runtime_enter();
    run.duties->run_ends();
    for (unsigned i = run.end_count; i > 0; i--)
        run.end[i - 1]();
    runtime_leave();
}

/* Tells the others, and waits for them unless a node is lost. */
static void end_together(void)
{
    struct message_end message = {.is_lost = atomic_load(&run.area->is_lost)};

    for (unsigned node = 1; node < run.topology.node_count; node++) {
        if (courier_post_one(node, MESSAGE_END, &message, sizeof message))
            courier_abort(EXIT_FAILURE);
    }
    if (message.is_lost)
        courier_abandon();
    end_courier();
}

static int end_run(void)
{
    int trouble;

    if (!atomic_load(&run.exiting))
        wait_for_work();
    trouble = runtime_check_whole();
    send_others_out("mpm_finalize has ended the run");
    end_together();
    if (!trouble)
        trouble = atomic_load(&run.area->is_lost) ? runtime_check_whole() : loss_check();
    end_hosts();
    transport_take();
    take_down(atomic_load(&run.area->is_lost));
    if (!atomic_load(&run.exiting))
        empty_arena();
    return trouble;
}

/* A thread that the run waits for cannot wait for the end of the run. */
int mpm_finalize(void)
{
    if (runtime_is_nobody)
        return runtime_no_run("mpm_finalize");
    if (runtime_role() != ROLE_MAIN)
        return error_set(MPM_ESTATE, "mpm_finalize: there is no run, or this is not main");
    if (thread_called || inside_here)
        return error_set(MPM_ESTATE, "mpm_finalize: %s cannot end the run, which waits for it",
                         thread_called ? thread_called : "a function that a call of mpmap has called");
    if (atomic_exchange(&run.ending, true))
        return error_set(MPM_ESTATE, "mpm_finalize: another thread is ending the run");
    return end_run();
}

/* What the run consists of. */

unsigned mpm_node_count(void)
{
    return run.runs ? run.topology.node_count : 0;
}

unsigned mpm_node_id(void)
{
    return run.runs ? run.topology.node : 0;
}

unsigned mpm_rank_count(void)
{
    return run.runs ? run.topology.rank_count : 0;
}

unsigned mpm_slot_count(void)
{
    unsigned slots = 0;

    for (unsigned i = 0; i < mpm_node_count(); i++)
        slots += run.topology.nodes[i].slots;
    return slots;
}

unsigned mpm_cpu_count(void)
{
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
}

const char *mpm_mpi_version(void)
{
    return run.runs ? run.transport->version() : "none";
}

int mpm_node_info_get(unsigned number, mpm_node_info *info)
{
    const struct node *node;
    mpm_node_info told = {0};

    if (number >= mpm_node_count())
        return error_set(MPM_EINVAL, "there is no node %u: the run has %u", number, mpm_node_count());
    if (!info)
        return error_set(MPM_EINVAL, "mpm_node_info_get: the place for the result is NULL");
    node = &run.topology.nodes[number];
    memcpy(told.name, node->name, sizeof told.name);
    told.ranks = node->ranks;
    told.slots = node->slots;
    told.slots_by = topology_slots_by(run.topology.ranks[node->leader].slots_by);
    told.arena_size = run.arena_sizes[node->leader];
    *info = told;
    return MPM_OK;
}

int mpm_alloc(size_t size, void **memory)
{
    uint64_t offset;
    int status;

    if (!run.runs)
        return runtime_no_run("mpm_alloc");
    if (!size || !memory)
        return error_set(MPM_EINVAL, "mpm_alloc: the %s",
                         size ? "place for the memory is NULL" : "size is 0");
    if ((status = arena_alloc(run.arena, size, ARENA_NO_OWNER, &offset)))
        return status;
    *memory = memset(arena_at(run.arena, offset), 0, size);
    return MPM_OK;
}

void mpm_free(void *memory)
{
    if (memory && run.runs)
        arena_free(run.arena, arena_offset(run.arena, memory));
}
