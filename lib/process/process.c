/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes. A handle names a process record of its node (place and generation): see forkserver/forkserver.h for who
 * writes what there. A record stays after the end of its process until it is closed, by one compare-and-swap
 * of its word, so a handle is good or stale at any moment, and nothing else is to be freed then.
 *
 * What a process is to run stands in a block, its spec: a block of the starter's, then the record's, freed by
 * the fork server that reaps the process. Whoever dies while it starts a process leaves either nothing or a process.
 *
 * `about` of a record is written before the record is wanted, and constant then but for `leaves`, which the
 * process itself sets before it starts a daemon; before it becomes a thread reference of an object it sets
 * `is_thread_ref`. The fork server that reaps it has its daemons killed on this node, and wakes who may wait for the
 * dead thread reference; for other nodes it puts the record's number into `dead_parents` and rings the doorbell. A fork
 * server that dies between a death and the end of that leaves it to its rank, which tells of all that are dead once
 * more (process_forkserver_lost). The courier tells the other nodes up to which generation the record's processes are
 * dead. A start that was on its way is there before that message is, because the courier posts both; one that
 * was not posted yet never will be. */
#include "process/process.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmap/process.h"

#include "base/error.h"
#include "base/log.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "node/function.h"
#include "object/call.h"
#include "object/object.h"
#include "object/thread_ref_process.h"
#include "process/process_parts.h"
#include "shm/kill_point.h"

/* What a process is to run: in the arena. */
struct spec {
    struct function target;
    char identity
        [PROCESS_NAME_SIZE]; /* "1:2" is the second child of main's first; a prefix of its children's */
    uint64_t size;
    _Alignas(16) char args[];
};

/* The calling process, if it was started as one. */
static struct {
    mpm_process current;
    char identity[PROCESS_NAME_SIZE];
    _Atomic unsigned children;
} self;

/* The new process. */

static int process_main(struct process_record *record)
{
    const struct spec *spec = arena_at(context_arena(), record->argument);
    function_pointer *target;
    struct thread_ref own;
    int code;

    self.current.handle = process_own_handle();
    memcpy(self.identity, spec->identity, sizeof self.identity);
    atomic_store(&self.children, 0);
    if (thread_ref_is_in_args(spec->args, spec->size)) {
        own = thread_ref_own();
        thread_ref_take_args(spec->args, spec->size, &own);
    }
    if (function_find(&spec->target, &target)) {
        log_write(MPM_LOG_ERROR, "a process cannot start: %s", mpm_error());
        return EXIT_FAILURE;
    }
    log_write(MPM_LOG_INFO, "process %s starts: pid %d", process_name_in(record), (int)getpid());
    code = ((mpm_target *)target)(spec->size ? spec->args : NULL, spec->size);
    context_back_from_program(code);
    return code & 0xff;
}

void mpm_exit(int code)
{
    exit(code & 0xff);
}

/* Starting. */

/* The rank of this node that has the fewest processes for its slots, of those whose fork servers there still are.
 * MPM_EFORKSERVER. */
static int choose_rank(unsigned *rank)
{
    const struct topology *topology = context_topology();
    const struct node *node = &topology->nodes[topology->node];
    bool has_one = false;
    double least = 0;

    for (unsigned i = 0; i < node->ranks; i++) {
        unsigned slots = topology->ranks[topology_rank_of(topology, topology->node, i)].slots;
        double load = (double)(forkserver_load(context_arena(), i) + 1) / slots;

        if (forkserver_is_lost(context_arena(), i) || (has_one && load >= least))
            continue;
        has_one = true;
        least = load;
        *rank = i;
    }
    return has_one ? MPM_OK
                   : error_set(MPM_EFORKSERVER,
                               "node %s cannot start a process: all of its fork server processes have died",
                               node->name);
}

/* The node from which this one has asked for the fewest processes for its slots; the own one first. */
static unsigned choose_node(void)
{
    const struct topology *topology = context_topology();
    const struct process_table *table = process_table_of(context_arena());
    double least = 0;
    unsigned best = topology->node;

    for (unsigned i = 0; i < topology->node_count; i++) {
        unsigned node = (topology->node + i) % topology->node_count;
        double load = (double)(atomic_load(&table->asked[node]) + 1) / topology->nodes[node].slots;

        if (i == 0 || (load < least && !lost_node_is(node))) {
            least = load;
            best = node;
        }
    }
    return best;
}

static int make_spec(const struct process_start *start, const void *args, size_t size, uint64_t *offset)
{
    struct spec *spec;
    int status;

    if (size > SIZE_MAX - sizeof *spec)
        return error_set(MPM_ENOMEM, "args of %zu bytes are larger than any arena", size);
    if ((status = arena_alloc(context_arena(), sizeof *spec + size, process_own_number(), offset)))
        return status;
    spec = arena_at(context_arena(), *offset);
    spec->target = start->target;
    memcpy(spec->identity, start->identity, sizeof spec->identity);
    spec->size = size;
    if (size)
        memcpy(spec->args, args, size);
    return MPM_OK;
}

/* At this node. It does not wait for the fork. */
static int start_local(const struct process_start *start, const void *args, size_t size, mpm_handle *handle)
{
    struct process_order order = {.entry = process_main,
                                  .flags = PROCESS_OWNS_ARGUMENT | PROCESS_IS_USERS,
                                  .about = &start->about,
                                  .about_size = sizeof start->about};
    uint32_t number = 0, generation = 0;
    unsigned rank = 0;
    int status;

    if ((status = make_spec(start, args, size, &order.argument)))
        return status;
    atomic_fetch_add(&process_table_of(context_arena())->started, 1);
    while (!(status = choose_rank(&rank)) &&
           (status = forkserver_order(context_arena(), rank, &order, &number, &generation)) ==
               MPM_EFORKSERVER)
        ; /* that one was lost just now */
    if (status) {
        arena_free(context_arena(), order.argument);
        return status;
    }
    *handle = process_handle_of(number, (uint64_t)generation << 32);
    return MPM_OK;
}

int process_try_start(struct object *unused, const mpm_handle *node, struct invocation *invocation)
{
    (void)unused;
    (void)node;
    return start_local(invocation->in, invocation->tail, invocation->tail_size, invocation->out);
}

/* Starting, the caller's side. */

void process_forget_children(void)
{
    assert(context_role() == ROLE_MAIN);
    atomic_store(&self.children, 0);
}

static void count_child(char *identity)
{
    unsigned number = atomic_fetch_add(&self.children, 1) + 1;

    if (!self.identity[0] ||
        (size_t)snprintf(identity, PROCESS_NAME_SIZE, "%.47s:%u", self.identity, number) >= 54)
        snprintf(identity, PROCESS_NAME_SIZE, "%u", number);
}

static int check_start(const void *args, size_t size, const mpm_process_options *options)
{
    int status;

    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_process_start");
    if (!args && size)
        return error_set(MPM_EINVAL, "mpm_process_start: args is NULL, but its size is %zu bytes", size);
    if (options->place > context_topology()->node_count)
        return error_set(MPM_EINVAL, "mpm_process_start: there is no node %u: the run has %u",
                         options->place - 1, context_topology()->node_count);
    if (options->name && strlen(options->name) >= PROCESS_NAME_SIZE)
        return error_set(MPM_EINVAL,
                         "mpm_process_start: a name must have at most %d bytes, not the %zu of \"%s\"",
                         PROCESS_NAME_SIZE - 1, strlen(options->name), options->name);
    return (status = context_check_not_ending("mpm_process_start")) ? status : context_check_whole();
}

static void fill_start(const mpm_process_options *options, struct process_start *start)
{
    struct process_record *record = process_own_record();

    count_child(start->identity);
    if (options->name)
        snprintf(start->about.name, PROCESS_NAME_SIZE, "%s", options->name);
    else
        snprintf(start->about.name, PROCESS_NAME_SIZE, "Process-%.54s", start->identity);
    start->about.parent = process_own_handle();
    start->about.is_daemon = options->daemon != 0;
    if (options->daemon && record)
        atomic_fetch_or(process_leaves_of(record), PROCESS_LEAVES_DAEMONS);
    KILL_POINT();
}

static int start_on(unsigned node, struct process_start *start, const void *args, size_t size,
                    mpm_handle *handle)
{
    mpm_handle there = call_node(node);
    struct invocation invocation = {.method = PROCESS_NODE_METHOD(NODE_START_PROCESS),
                                    .in = start,
                                    .tail = args,
                                    .tail_size = size,
                                    .out = handle};

    atomic_fetch_add(&process_table_of(context_arena())->asked[node], 1);
    atomic_store(&process_table_of(context_arena())->has_asked, 1);
    return invoke(&there, &invocation, MPM_FOREVER);
}

/* It cannot be there: what was started on a lost node is lost with it. */
static bool is_to_try_elsewhere(int status, unsigned node)
{
    return status == MPM_EFORKSERVER || (status == MPM_ENODELOST && lost_node_is(node));
}

/* On the node that is best, or the next one that still has a fork server. */
static int start_somewhere(struct process_start *start, const void *args, size_t size, mpm_handle *handle)
{
    unsigned best = choose_node(), count = context_topology()->node_count;
    int status = start_on(best, start, args, size, handle);

    for (unsigned i = 1; is_to_try_elsewhere(status, (best + i - 1) % count) && i < count; i++)
        status = start_on((best + i) % count, start, args, size, handle);
    return status;
}

/* Waits for the fork. */
static int see_it_run(const mpm_handle *handle)
{
    struct process_look look;
    char why[160];
    int status;

    if ((status = process_look(handle, &look)) || !look.fork_errno)
        return status;
    if ((status = mpm_process_close((mpm_process){*handle})))
        return status;
    return error_set(MPM_ESYSTEM, "cannot start process %s on node %u: %s", look.about.name, handle->home,
                     describe_fork_failure(look.fork_errno, &look.limits, why, sizeof why));
}

/* Notes the new process in objects whose handles it has got. If it has died before that, and its home has
 * told others before that, it is noted as dead. */
static void note_in_objects(const mpm_handle *handle, const void *args, size_t size)
{
    struct thread_ref process = {
        .node = handle->home, .number = (uint32_t)handle->place + 1, .generation = handle->generation};
    struct process_look look;

    thread_ref_take_args(args, size, &process);
    if (!process_look(handle, &look) && look.state != PROCESS_ENDED)
        return;
    process.is_dead = 1;
    thread_ref_take_args(args, size, &process);
}

int mpm_process_start(mpm_target *target, const void *args, size_t size, const mpm_process_options *options,
                      mpm_process *process)
{
    mpm_process_options chosen = options ? *options : (mpm_process_options){0};
    struct process_start start = {0};
    mpm_handle handle;
    bool is_thread_ref;
    int status;

    if (size > PTRDIFF_MAX)
        return error_set(MPM_ENOMEM, "mpm_process_start: args cannot have %zu bytes: no memory is that large",
                         size);
    if (!target || !process)
        return error_set(MPM_EINVAL, "mpm_process_start: the %s is NULL",
                         target ? "pointer for the process" : "target");
    if ((status = check_start(args, size, &chosen)) ||
        (status = function_name((function_pointer *)target, &start.target)))
        return status;
    fill_start(&chosen, &start);
    if ((is_thread_ref = thread_ref_is_in_args(args, size)))
        start.about.leaves = PROCESS_LEAVES_THREAD_REF;
    status = chosen.place ? start_on(chosen.place - 1, &start, args, size, &handle)
                          : start_somewhere(&start, args, size, &handle);
    if (status || (status = see_it_run(&handle)))
        return status;
    if (is_thread_ref)
        note_in_objects(&handle, args, size);
    process->handle = handle;
    return MPM_OK;
}

/* Who the caller is. */

int mpm_current_process(mpm_process *process)
{
    int status;

    if ((status = process_check_place("mpm_current_process", process)) ||
        (status = context_check_somebody("mpm_current_process")))
        return status;
    if (!self.current.handle.kind)
        return error_set(MPM_ESTATE, "mpm_current_process: the caller was not started as a process");
    *process = self.current;
    return MPM_OK;
}

int mpm_parent_process(mpm_process *process)
{
    struct process_record *record = process_own_record(), *parent;
    struct process_about about;
    int status;

    if ((status = process_check_place("mpm_parent_process", process)) ||
        (status = context_check_somebody("mpm_parent_process")))
        return status;
    if (!self.current.handle.kind)
        return error_set(MPM_ESTATE, "mpm_parent_process: the caller was not started as a process");
    process_read_about(record, &about);
    parent = about.parent.kind && object_is_home(&about.parent)
                 ? process_find(context_arena(), (uint32_t)about.parent.place)
                 : NULL;
    if (!about.parent.kind || (parent && !(parent->flags & PROCESS_IS_USERS)))
        return error_set(MPM_ESTATE,
                         "mpm_parent_process: the caller was started by main or by a pool's worker");
    process->handle = about.parent;
    return MPM_OK;
}
