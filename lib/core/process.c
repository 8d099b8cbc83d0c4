/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes. A handle names a process record of its node (place and generation): see host/host.h for who
 * writes what there. A record stays after the end of its process until it is closed, by one compare-and-swap
 * of its word, so a handle is good or stale at any moment, and nothing else is to be freed then.
 *
 * What a process is to run stands in a block, its spec: a block of the starter's, then the record's, freed by
 * the host that reaps the process. Whoever dies while it starts a process leaves either nothing or a process.
 *
 * `about` of a record is written before the record is wanted, and constant then but for `leaves`, which the
 * process itself sets before it starts a daemon, or becomes a party of an object. The host that reaps it has
 * its daemons killed on this node, and wakes who may wait for the dead party; for other nodes it puts the
 * record's number into `bereaved` and rings the bell. The courier tells the
 * other nodes up to which generation the record's processes are dead. A start that was on its way is there
 * before that message is, because the courier posts both; one that was not posted yet never will be. */
#include "core/process.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "mpmap/process.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "core/call.h"
#include "core/function.h"
#include "core/object.h"
#include "core/party.h"
#include "core/runtime.h"
#include "host/host.h"
#include "net/courier.h"
#include "shm/index_set.h"
#include "shm/kill_point.h"

#define NAME_SIZE 64
#define CHECK_NS  1000000000u /* how often a waiting caller looks whether the run is whole */

enum leaving { LEAVES_DAEMONS = 1, LEAVES_PARTY = 2 };

/* What a process's record says of it. */
struct about {
    mpm_handle parent; /* zero if that is main */
    uint32_t is_daemon;
    _Atomic uint32_t leaves; /* what others must be told of when it dies: enum leaving */
    char name[NAME_SIZE];
};
_Static_assert(sizeof(struct about) <= PROCESS_ABOUT_SIZE, "a record must have room for it");

/* What a process is to run: in the arena. */
struct spec {
    struct function target;
    char identity[NAME_SIZE]; /* "1:2" is the second child of main's first; a prefix of its children's */
    uint64_t size;
    _Alignas(16) char args[];
};

/* Who asks for a process; its args follow where it is a message. */
struct start {
    struct about about;
    struct function target;
    char identity[NAME_SIZE];
};

/* A node's, in its arena: made by the leader before hosts are forked. */
struct process_table {
    struct index_set bereaved;  /* records whose dead may have daemons on other nodes: for the courier */
    _Atomic uint64_t started;   /* processes that were asked for at this node */
    _Atomic uint32_t has_asked; /* a process of this node has asked for one, here or elsewhere */
    _Atomic uint32_t asked[];   /* by node: how many processes of this node have asked for there */
};

static struct process_table *table_of(struct arena *arena)
{
    return arena_at(arena, arena_root(arena, ARENA_ROOT_PROCESSES));
}

int process_table_create(struct arena *arena, unsigned node_count)
{
    size_t size = sizeof(struct process_table) + node_count * sizeof(uint32_t);
    uint64_t offset;
    int status;

    if ((status = arena_alloc(arena, size, ARENA_NO_OWNER, &offset)))
        return status;
    memset(arena_at(arena, offset), 0, size);
    arena_set_root(arena, ARENA_ROOT_PROCESSES, offset);
    return MPM_OK;
}

/* The calling process, if it was started as one. */
static struct {
    mpm_process current;
    char identity[NAME_SIZE];
    _Atomic unsigned children;
} self;

/* Records. */

/* What a record says at one moment: its word. */
static uint64_t read_about(struct process_record *record, struct about *about)
{
    uint64_t word;

    do {
        word = atomic_load(&record->word);
        memcpy(about, record->about, sizeof *about);
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load(&record->word) != word);
    return word;
}

static _Atomic uint32_t *leaves_of(struct process_record *record)
{
    return &((struct about *)(void *)record->about)->leaves;
}

void process_note_party(struct process_record *record)
{
    if (!(atomic_load_explicit(leaves_of(record), memory_order_relaxed) & LEAVES_PARTY))
        atomic_fetch_or(leaves_of(record), LEAVES_PARTY);
}

/* Whether it is there and has not ended. */
static bool is_live(uint64_t word)
{
    return process_state_of(word) == PROCESS_WANTED || process_state_of(word) == PROCESS_RUNNING;
}

static mpm_handle handle_of(uint32_t number, uint64_t word)
{
    return (mpm_handle){.kind = OBJECT_PROCESS,
                        .home = (uint16_t)runtime_topology()->node,
                        .generation = process_generation_of(word),
                        .place = number};
}

static bool is_same(const mpm_handle *one, const mpm_handle *other)
{
    return one->kind == other->kind && one->home == other->home && one->generation == other->generation &&
           one->place == other->place;
}

/* The record of the calling process: a process or a pool's worker; NULL in main. */
static struct process_record *own_record(void)
{
    uint32_t number = process_own_number();

    return number && runtime_role() == ROLE_FORKED ? process_find(runtime_arena(), number - 1) : NULL;
}

static mpm_handle own_handle(void)
{
    struct process_record *record = own_record();

    return record ? handle_of(process_own_number() - 1, atomic_load(&record->word)) : (mpm_handle){0};
}

/* The record that a handle of this node names, and its word. MPM_EINVAL, MPM_ESTALE. */
static int find_record(const mpm_handle *handle, struct process_record **record, uint64_t *word)
{
    struct process_record *found = handle->place <= UINT32_MAX
                                       ? process_find(runtime_arena(), (uint32_t)handle->place)
                                       : NULL;

    if (handle->kind != OBJECT_PROCESS || !handle->generation || !found)
        return error_set(MPM_EINVAL, "this is no handle of a process");
    *word = atomic_load(&found->word);
    if (process_generation_of(*word) != handle->generation || process_state_of(*word) == PROCESS_FREE)
        return error_set(MPM_ESTALE, "process %llu of node %u was closed", (unsigned long long)handle->place,
                         handle->home);
    *record = found;
    return MPM_OK;
}

/* The new process. */

static int process_main(struct process_record *record)
{
    const struct spec *spec = arena_at(runtime_arena(), record->argument);
    function_pointer *target;
    struct party own;

    self.current.handle = own_handle();
    memcpy(self.identity, spec->identity, sizeof self.identity);
    atomic_store(&self.children, 0);
    if (party_is_in_args(spec->args, spec->size)) {
        own = party_own();
        party_take_args(spec->args, spec->size, &own);
    }
    if (function_find(&spec->target, &target)) {
        log_write(LOG_ERROR, "a process cannot begin: %s", mpm_error());
        return EXIT_FAILURE;
    }
    return ((mpm_target *)target)(spec->size ? spec->args : NULL, spec->size) & 0xff;
}

void mpm_exit(int code)
{
    exit(code & 0xff);
}

/* Starting. */

/* The rank of this node that has the fewest processes for its slots. */
static unsigned choose_rank(void)
{
    const struct topology *topology = runtime_topology();
    double least = 0;
    unsigned best = 0;

    for (unsigned i = 0; i < topology->nodes[topology->node].ranks; i++) {
        unsigned slots = topology->ranks[topology_rank_of(topology, topology->node, i)].slots;
        double load = (double)(host_load(runtime_arena(), i) + 1) / slots;

        if (i == 0 || load < least) {
            least = load;
            best = i;
        }
    }
    return best;
}

/* The node from which this one has asked for the fewest processes for its slots; the own one first. */
static unsigned choose_node(void)
{
    const struct topology *topology = runtime_topology();
    const struct process_table *table = table_of(runtime_arena());
    double least = 0;
    unsigned best = topology->node;

    for (unsigned i = 0; i < topology->node_count; i++) {
        unsigned node = (topology->node + i) % topology->node_count;
        double load = (double)(atomic_load(&table->asked[node]) + 1) / topology->nodes[node].slots;

        if (i == 0 || load < least) {
            least = load;
            best = node;
        }
    }
    return best;
}

static int make_spec(const struct start *start, const void *args, size_t size, uint64_t *offset)
{
    struct spec *spec;
    int status;

    if (size > SIZE_MAX - sizeof *spec)
        return error_set(MPM_ENOMEM, "no arena can hold args of %zu bytes", size);
    if ((status = arena_alloc(runtime_arena(), sizeof *spec + size, process_own_number(), offset)))
        return status;
    spec = arena_at(runtime_arena(), *offset);
    spec->target = start->target;
    memcpy(spec->identity, start->identity, sizeof spec->identity);
    spec->size = size;
    if (size)
        memcpy(spec->args, args, size);
    return MPM_OK;
}

/* At this node. It does not wait for the fork. */
static int start_here(const struct start *start, const void *args, size_t size, mpm_handle *handle)
{
    struct process_order order = {.entry = process_main,
                                  .flags = PROCESS_OWNS_ARGUMENT | PROCESS_IS_USERS,
                                  .about = &start->about,
                                  .about_size = sizeof start->about};
    uint32_t number = 0, generation = 0;
    int status;

    if ((status = make_spec(start, args, size, &order.argument)))
        return status;
    atomic_fetch_add(&table_of(runtime_arena())->started, 1);
    if ((status = host_order(runtime_arena(), choose_rank(), &order, &number, &generation))) {
        arena_free(runtime_arena(), order.argument);
        return status;
    }
    *handle = handle_of(number, (uint64_t)generation << 32);
    return MPM_OK;
}

static int start_there(unsigned node, const struct start *start, const void *args, size_t size,
                       mpm_handle *handle)
{
    mpm_handle there = call_node(node);
    char *message;
    int status;

    if (size > SIZE_MAX - sizeof *start || !(message = malloc(sizeof *start + size)))
        return error_set(MPM_ENOMEM, "no memory to send args of %zu bytes to node %u", size, node);
    memcpy(message, start, sizeof *start);
    if (size)
        memcpy(message + sizeof *start, args, size);
    status = call_remote(&there, VERB_PROCESS_START, message, sizeof *start + size, MPM_FOREVER, handle,
                         sizeof *handle, NULL);
    free(message);
    return status;
}

static int try_start(const mpm_handle *node, const void *in, size_t in_size, struct call_reply *reply)
{
    struct start start;
    mpm_handle handle;
    int status;

    (void)node;
    if (in_size < sizeof start)
        return error_set(MPM_EINVAL, "a start of %zu bytes makes no sense", in_size);
    memcpy(&start, in, sizeof start);
    if ((status = start_here(&start, (const char *)in + sizeof start, in_size - sizeof start, &handle)))
        return status;
    return call_reply_add(reply, &handle, sizeof handle);
}

/* Looking. */

struct look {
    enum process_state state;
    int32_t pid, wait_status, fork_errno;
    struct about about;
};

/* CALL_MUST_WAIT until it was forked. */
static int look_here(const mpm_handle *handle, struct look *look)
{
    struct process_record *record;
    uint64_t word, before;
    int status;

    if ((status = find_record(handle, &record, &word)))
        return status;
    do {
        before = read_about(record, &look->about);
        look->state = process_state_of(before);
        look->pid = atomic_load(&record->pid);
        look->wait_status = record->wait_status;
        look->fork_errno = record->fork_errno;
        atomic_thread_fence(memory_order_acquire);
        if ((status = find_record(handle, &record, &word)))
            return status;
    } while (word != before);
    return look->state == PROCESS_WANTED ? CALL_MUST_WAIT : MPM_OK;
}

/* CALL_MUST_WAIT until it has ended. */
static int look_at_end(const mpm_handle *handle, struct look *look)
{
    int status = look_here(handle, look);

    return !status && look->state != PROCESS_ENDED ? CALL_MUST_WAIT : status;
}

/* Waits until a look at a process of this node can be had. */
static int wait_here(const mpm_handle *handle, int (*look_when)(const mpm_handle *, struct look *),
                     double timeout_s, struct look *look)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s), now_ns;
    struct process_record *record;
    uint64_t word;
    int status;

    if ((status = find_record(handle, &record, &word)))
        return status;
    for (;;) {
        uint32_t seen = wait_look(&record->changed);

        if ((status = look_when(handle, look)) != CALL_MUST_WAIT || (status = runtime_check_whole()))
            return status;
        if ((now_ns = clock_now_ns()) >= deadline_ns)
            return error_set(MPM_ETIMEDOUT, "process %s still runs after %g s", look->about.name,
                             timeout_s > 0 ? timeout_s : 0.0);
        wait_change(&record->changed, seen, 0,
                    deadline_ns - now_ns < CHECK_NS ? deadline_ns : now_ns + CHECK_NS);
    }
}

static int reply_look(int status, const struct look *look, struct call_reply *reply)
{
    return status ? status : call_reply_add(reply, look, sizeof *look);
}

/* What there is to know of a process, once it was forked. */
static int look_at(const mpm_handle *handle, struct look *look)
{
    if (runtime_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "there is no run: call mpm_init first");
    if (object_is_home(handle) || handle->kind != OBJECT_PROCESS)
        return wait_here(handle, look_here, MPM_FOREVER, look);
    return call_remote(handle, VERB_PROCESS_LOOK, NULL, 0, MPM_FOREVER, look, sizeof *look, NULL);
}

/* Children of a process that run here: adds their handles. */
static int list_children(const mpm_handle *parent, struct call_reply *list)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(runtime_arena(), number)); number++) {
        struct about about;
        uint64_t word = atomic_load(&record->word);
        mpm_handle handle;
        int status;

        if (!is_live(word) || !is_live(word = read_about(record, &about)) ||
            !(record->flags & PROCESS_IS_USERS) || !is_same(&about.parent, parent))
            continue;
        handle = handle_of(number, word);
        if ((status = call_reply_add(list, &handle, sizeof handle)))
            return status;
    }
    return MPM_OK;
}

/* Of a process: itself; of a node: children there of the process in the message. */
static int try_look(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct look look;
    mpm_handle parent;

    if (handle->kind != OBJECT_NODE)
        return reply_look(look_here(handle, &look), &look, reply);
    if (in_size != sizeof parent)
        return error_set(MPM_EINVAL, "a look of %zu bytes makes no sense", in_size);
    memcpy(&parent, in, sizeof parent);
    return list_children(&parent, reply);
}

/* Starting, the caller's side. */

static void count_child(char *identity)
{
    unsigned number = atomic_fetch_add(&self.children, 1) + 1;

    if (!self.identity[0] || (size_t)snprintf(identity, NAME_SIZE, "%.47s:%u", self.identity, number) >= 54)
        snprintf(identity, NAME_SIZE, "%u", number);
}

static int check_start(const void *args, size_t size, const mpm_process_options *options)
{
    if (runtime_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "mpm_process_start: there is no run: call mpm_init first");
    if (!args && size)
        return error_set(MPM_EINVAL, "mpm_process_start: args of %zu bytes cannot be at NULL", size);
    if (options->place > runtime_topology()->node_count)
        return error_set(MPM_EINVAL, "mpm_process_start: there is no node %u: the run has %u",
                         options->place - 1, runtime_topology()->node_count);
    if (options->name && strlen(options->name) >= NAME_SIZE)
        return error_set(MPM_EINVAL, "mpm_process_start: the name %s is longer than %d bytes", options->name,
                         NAME_SIZE - 1);
    return runtime_check_whole();
}

static void fill_start(const mpm_process_options *options, struct start *start)
{
    struct process_record *record = own_record();

    count_child(start->identity);
    if (options->name)
        snprintf(start->about.name, NAME_SIZE, "%s", options->name);
    else
        snprintf(start->about.name, NAME_SIZE, "Process-%.54s", start->identity);
    start->about.parent = own_handle();
    start->about.is_daemon = options->daemon != 0;
    if (options->daemon && record)
        atomic_fetch_or(leaves_of(record), LEAVES_DAEMONS);
    KILL_POINT();
}

/* Waits for the fork. */
static int see_it_run(const mpm_handle *handle)
{
    struct look look;
    int status;

    if ((status = look_at(handle, &look)) || !look.fork_errno)
        return status;
    if ((status = mpm_process_close((mpm_process){*handle})))
        return status;
    return error_set(MPM_ESYSTEM, "process %s cannot be forked: %s", look.about.name,
                     strerror(look.fork_errno));
}

/* Notes the new process in objects whose handles it has got. If it has died before that, and its home has
 * told others before that, it is noted as dead. */
static void note_in_objects(const mpm_handle *handle, const void *args, size_t size)
{
    struct party process = {
        .node = handle->home, .number = (uint32_t)handle->place + 1, .generation = handle->generation};
    struct look look;

    party_take_args(args, size, &process);
    if (!look_at(handle, &look) && look.state != PROCESS_ENDED)
        return;
    process.is_dead = 1;
    party_take_args(args, size, &process);
}

int mpm_process_start(mpm_target *target, const void *args, size_t size, const mpm_process_options *options,
                      mpm_process *process)
{
    mpm_process_options chosen = options ? *options : (mpm_process_options){0};
    struct start start = {0};
    mpm_handle handle;
    bool is_party;
    unsigned node;
    int status;

    if (!target || !process)
        return error_set(MPM_EINVAL, "mpm_process_start: the %s is NULL",
                         target ? "place for the process" : "target");
    if ((status = check_start(args, size, &chosen)) ||
        (status = function_name((function_pointer *)target, &start.target)))
        return status;
    node = chosen.place ? chosen.place - 1 : choose_node();
    fill_start(&chosen, &start);
    if ((is_party = party_is_in_args(args, size)))
        start.about.leaves = LEAVES_PARTY;
    atomic_fetch_add(&table_of(runtime_arena())->asked[node], 1);
    atomic_store(&table_of(runtime_arena())->has_asked, 1);
    if ((status = node == runtime_topology()->node ? start_here(&start, args, size, &handle)
                                                   : start_there(node, &start, args, size, &handle)) ||
        (status = see_it_run(&handle)))
        return status;
    if (is_party)
        note_in_objects(&handle, args, size);
    process->handle = handle;
    return MPM_OK;
}

/* How it ended. */

/* Of a node: whether nobody runs there for whom main must wait; then how many were started there, and what
 * its processes have asked for of each node. */
static int try_node_is_over(struct call_reply *reply)
{
    struct process_table *table = table_of(runtime_arena());
    uint64_t started = atomic_load(&table->started);
    struct process_record *record;
    int status;

    for (uint32_t number = 0; (record = process_find(runtime_arena(), number)); number++) {
        struct about about;

        if (is_live(atomic_load(&record->word)) && is_live(read_about(record, &about)) &&
            record->flags & PROCESS_IS_USERS && !about.is_daemon)
            return CALL_MUST_WAIT;
    }
    if ((status = call_reply_add(reply, &started, sizeof started)))
        return status;
    return call_reply_add(reply, table->asked, runtime_topology()->node_count * sizeof *table->asked);
}

static int try_join(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct look look;

    (void)in;
    (void)in_size;
    return handle->kind == OBJECT_NODE ? try_node_is_over(reply)
                                       : reply_look(look_at_end(handle, &look), &look, reply);
}

int mpm_process_join(mpm_process process, double timeout_s)
{
    struct look look;

    if (runtime_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "mpm_process_join: there is no run: call mpm_init first");
    if (process.handle.kind && is_same(&process.handle, &self.current.handle))
        return error_set(MPM_EINVAL, "mpm_process_join: a process cannot wait for itself");
    if (object_is_home(&process.handle) || process.handle.kind != OBJECT_PROCESS)
        return wait_here(&process.handle, look_at_end, timeout_s, &look);
    return call_remote(&process.handle, VERB_PROCESS_JOIN, NULL, 0, timeout_s, &look, sizeof look, NULL);
}

int mpm_process_exitcode(mpm_process process, int *exitcode)
{
    struct look look;
    int status;

    if ((status = look_at(&process.handle, &look)))
        return status;
    if (look.state != PROCESS_ENDED)
        return error_set(MPM_EBUSY, "process %s still runs: it has no exit code yet", look.about.name);
    *exitcode = WIFSIGNALED(look.wait_status) ? -WTERMSIG(look.wait_status) : WEXITSTATUS(look.wait_status);
    return MPM_OK;
}

int mpm_process_is_alive(mpm_process process)
{
    struct look look;
    int status = look_at(&process.handle, &look);

    return status ? status : look.state == PROCESS_RUNNING;
}

int mpm_process_pid(mpm_process process, int *pid)
{
    struct look look;
    int status;

    if (!(status = look_at(&process.handle, &look)))
        *pid = look.pid;
    return status;
}

int mpm_process_name(mpm_process process, char *name, size_t size)
{
    struct look look;
    int status;

    if (!(status = look_at(&process.handle, &look)))
        snprintf(name, size, "%s", look.about.name);
    return status;
}

unsigned mpm_process_node(mpm_process process)
{
    return process.handle.home;
}

/* Signals. */

static int signal_here(const mpm_handle *handle, int signal_number)
{
    struct process_record *record;
    uint64_t word;
    int status;

    if ((status = find_record(handle, &record, &word)))
        return status;
    if (is_live(word))
        process_signal(runtime_arena(), (uint32_t)handle->place, handle->generation, signal_number);
    return MPM_OK;
}

static int try_signal(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    int32_t signal_number;

    (void)reply;
    if (in_size != sizeof signal_number)
        return error_set(MPM_EINVAL, "a signal of %zu bytes makes no sense", in_size);
    memcpy(&signal_number, in, sizeof signal_number);
    if (signal_number < 1 || signal_number > 31)
        return error_set(MPM_EINVAL, "there is no signal %d", signal_number);
    return signal_here(handle, signal_number);
}

static int send_signal(const mpm_handle *handle, int32_t signal_number)
{
    if (runtime_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "there is no run: call mpm_init first");
    if (object_is_home(handle) || handle->kind != OBJECT_PROCESS)
        return signal_here(handle, signal_number);
    return call_remote(handle, VERB_PROCESS_SIGNAL, &signal_number, sizeof signal_number, MPM_FOREVER, NULL,
                       0, NULL);
}

int mpm_process_terminate(mpm_process process)
{
    return send_signal(&process.handle, SIGTERM);
}

int mpm_process_kill(mpm_process process)
{
    return send_signal(&process.handle, SIGKILL);
}

int mpm_process_interrupt(mpm_process process)
{
    return send_signal(&process.handle, SIGINT);
}

/* Closing. */

static int close_here(const mpm_handle *handle)
{
    struct process_record *record;
    uint64_t word;
    int status;

    if ((status = find_record(handle, &record, &word)))
        return status;
    if (process_close(record, handle->generation))
        return MPM_OK;
    if ((status = find_record(handle, &record, &word)))
        return status; /* somebody else was faster */
    return error_set(MPM_EBUSY, "process %llu of node %u still runs: join it before it is closed",
                     (unsigned long long)handle->place, handle->home);
}

static int try_close(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)in_size;
    (void)reply;
    return close_here(handle);
}

int mpm_process_close(mpm_process process)
{
    if (runtime_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "mpm_process_close: there is no run: call mpm_init first");
    if (object_is_home(&process.handle) || process.handle.kind != OBJECT_PROCESS)
        return close_here(&process.handle);
    return call_remote(&process.handle, VERB_PROCESS_CLOSE, NULL, 0, MPM_FOREVER, NULL, 0, NULL);
}

/* Relatives. */

int mpm_current_process(mpm_process *process)
{
    if (!self.current.handle.kind)
        return error_set(MPM_ESTATE, "mpm_current_process: the caller was not started as a process");
    *process = self.current;
    return MPM_OK;
}

int mpm_parent_process(mpm_process *process)
{
    struct process_record *record = own_record(), *parent;
    struct about about;

    if (!self.current.handle.kind)
        return error_set(MPM_ESTATE, "mpm_parent_process: the caller was not started as a process");
    read_about(record, &about);
    parent = about.parent.kind && object_is_home(&about.parent)
                 ? process_find(runtime_arena(), (uint32_t)about.parent.place)
                 : NULL;
    if (!about.parent.kind || (parent && !(parent->flags & PROCESS_IS_USERS)))
        return error_set(MPM_ESTATE,
                         "mpm_parent_process: the caller was started by main or by a pool's worker");
    process->handle = about.parent;
    return MPM_OK;
}

/* Adds those of one node. */
static int add_children_of_node(unsigned node, const mpm_handle *parent, mpm_process *processes, size_t room,
                                size_t *count)
{
    size_t left = *count < room ? room - *count : 0, size = 0;
    mpm_handle there = call_node(node);
    struct call_reply list = {0};
    int status;

    if (node != runtime_topology()->node) {
        status = call_remote(&there, VERB_PROCESS_LOOK, parent, sizeof *parent, MPM_FOREVER,
                             left ? processes + *count : NULL, left * sizeof *processes, &size);
    } else {
        status = list_children(parent, &list);
        size = list.size;
        if (!status && size && left)
            memcpy(processes + *count, list.bytes,
                   size < left * sizeof *processes ? size : left * sizeof *processes);
        free(list.bytes);
    }
    *count += size / sizeof *processes;
    return status;
}

int mpm_active_children(mpm_process *processes, size_t room, size_t *count)
{
    mpm_handle parent = own_handle();
    size_t found = 0;
    int status;

    if (runtime_role() == ROLE_NONE)
        return error_set(MPM_ESTATE, "mpm_active_children: there is no run: call mpm_init first");
    if ((room && !processes) || !count)
        return error_set(MPM_EINVAL, "mpm_active_children: the place for the %s is NULL",
                         count ? "processes" : "count");
    for (unsigned node = 0; node < runtime_topology()->node_count; node++) {
        if (!atomic_load(&table_of(runtime_arena())->asked[node]))
            continue; /* nobody here has ever started one there */
        if ((status = add_children_of_node(node, &parent, processes, room, &found)))
            return status;
    }
    *count = found;
    return MPM_OK;
}

/* What ends with whom. */

/* Kills the daemons here of the dead of that record, up to this generation. */
static void kill_orphans(unsigned home, uint32_t place, uint32_t generation)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(runtime_arena(), number)); number++) {
        uint64_t word = atomic_load(&record->word);
        struct about about;

        if (is_live(word) && is_live(word = read_about(record, &about)) && about.is_daemon &&
            about.parent.kind == OBJECT_PROCESS && about.parent.home == home && about.parent.place == place &&
            about.parent.generation <= generation)
            process_signal(runtime_arena(), number, process_generation_of(word), SIGKILL);
    }
}

/* The last generation of a record that is dead. */
static uint32_t dead_generation(uint32_t number)
{
    uint64_t word = atomic_load(&process_at(runtime_arena(), number)->word);
    enum process_state state = process_state_of(word);

    return process_generation_of(word) - (state != PROCESS_ENDED && state != PROCESS_FREE);
}

/* The host's: between the death and the word of the record it is kept in mind here. */
static uint32_t dead_leaves;

void process_died(uint32_t number)
{
    dead_leaves = atomic_exchange(leaves_of(process_at(runtime_arena(), number - 1)), 0);
}

void process_changed(uint32_t process, bool has_ended)
{
    if (has_ended && dead_leaves) {
        if (dead_leaves & LEAVES_DAEMONS)
            kill_orphans(runtime_topology()->node, process, dead_generation(process));
        if (dead_leaves & LEAVES_PARTY)
            party_died_here();
        if (runtime_topology()->node_count > 1)
            index_set_add(&table_of(runtime_arena())->bereaved, process);
        dead_leaves = 0;
    }
    wait_ring(runtime_bell());
}

/* In the courier: tells the other nodes of a dead one that has left something, behind all that it has asked
 * for: its calls were abandoned before. */
static void tell_death(uint32_t number)
{
    struct message_process_ended message = {.place = number, .generation = dead_generation(number)};

    call_send_news();
    for (unsigned node = 0; node < runtime_topology()->node_count; node++) {
        if (node != runtime_topology()->node &&
            courier_post_one(node, MESSAGE_PROCESS_ENDED, &message, sizeof message))
            runtime_break(MPM_ENOMEM, mpm_error());
    }
}

static bool on_process_ended(unsigned node, const void *payload, size_t size)
{
    const struct message_process_ended *message = payload;
    struct party_death death;

    if (size != sizeof *message)
        return false;
    death = (struct party_death){(uint16_t)node, message->place + 1, message->generation};
    kill_orphans(node, message->place, message->generation);
    party_died_elsewhere(&death);
    return true;
}

/* The end of the run. */

/* By node: main must ask it whether processes run there. Written by main's courier, and by main. */
static _Atomic bool *is_to_ask;

static bool on_process_asked(unsigned node, const void *payload, size_t size)
{
    (void)payload;
    if (size || !is_to_ask)
        return false;
    atomic_store(&is_to_ask[node], true);
    return true;
}

static bool process_work(void)
{
    static bool has_told;
    struct process_table *table = table_of(runtime_arena());

    index_set_take_all(&table->bereaved, tell_death);
    if (has_told || runtime_topology()->rank == 0 || !atomic_load(&table->has_asked))
        return false;
    has_told = true;
    if (courier_post_one(0, MESSAGE_PROCESS_ASKED, NULL, 0))
        runtime_break(MPM_ENOMEM, mpm_error());
    return true;
}

/* Waits until nobody runs on a node. */
static int wait_for_node(unsigned node, void *told, size_t size)
{
    mpm_handle there = call_node(node);
    int status;

    if (node != runtime_topology()->node)
        return call_remote(&there, VERB_PROCESS_JOIN, NULL, 0, MPM_FOREVER, told, size, NULL);
    for (;;) {
        uint32_t seen = wait_look(runtime_bell());
        struct call_reply reply = {0};

        status = try_node_is_over(&reply);
        if (!status)
            memcpy(told, reply.bytes, size);
        free(reply.bytes);
        if (status != CALL_MUST_WAIT || (status = runtime_check_whole()))
            return status;
        wait_change(runtime_bell(), seen, 0, CLOCK_FOREVER);
    }
}

/* Waits once for each node that may have processes; `started`: out, a number that goes up with every start.
 */
static int wait_for_nodes(char *told, size_t size, uint64_t *started)
{
    unsigned count = runtime_topology()->node_count;
    int status;

    *started = 0;
    for (unsigned node = 0; node < count; node++) {
        uint64_t started_there;

        if (!atomic_load(&is_to_ask[node]))
            continue;
        if ((status = wait_for_node(node, told, size)))
            return status;
        memcpy(&started_there, told, sizeof started_there);
        *started += started_there;
        for (unsigned other = 0; other < count; other++) {
            uint32_t asked;

            memcpy(&asked, told + sizeof started_there + other * sizeof asked, sizeof asked);
            if (asked)
                atomic_store(&is_to_ask[other], true);
            *started += asked;
        }
    }
    return MPM_OK;
}

/* A process may start another one on a node that was asked already. When all were asked twice, and none was
 * started anywhere in the meantime, none ran anywhere between the two. */
static void wait_for_all(void)
{
    unsigned count = runtime_topology()->node_count;
    size_t size = sizeof(uint64_t) + count * sizeof(uint32_t);
    uint64_t started = 0, before;
    char *told = malloc(size);

    if (!told)
        return;
    atomic_store(&is_to_ask[runtime_topology()->node], true);
    do {
        before = started;
    } while (!wait_for_nodes(told, size, &started) && started != before);
    free(told);
}

/* In every leader, before its courier starts. */
static void announce(void)
{
    call_register(VERB_PROCESS_START, try_start, MPM_ETIMEDOUT, "the process was not started in time");
    call_register(VERB_PROCESS_JOIN, try_join, MPM_ETIMEDOUT, "the process still runs");
    call_register(VERB_PROCESS_LOOK, try_look, MPM_ETIMEDOUT, "the process was not forked in time");
    call_register(VERB_PROCESS_SIGNAL, try_signal, MPM_ETIMEDOUT, "the signal was not sent in time");
    call_register(VERB_PROCESS_CLOSE, try_close, MPM_ETIMEDOUT, "the process was not closed in time");
    courier_handle(MESSAGE_PROCESS_ENDED, on_process_ended);
    courier_handle(MESSAGE_PROCESS_ASKED, on_process_asked);
    courier_add_work(process_work);
    if (runtime_topology()->rank)
        return;
    if ((is_to_ask = calloc(runtime_topology()->node_count, sizeof *is_to_ask)))
        runtime_at_end(wait_for_all);
    else
        runtime_break(MPM_ENOMEM, "no memory for the nodes that have processes");
}

static __attribute__((constructor)) void add_layer(void)
{
    runtime_add_layer(announce);
}
