/* SPDX-License-Identifier: BSD-3-Clause */
/* What ends with whom, and the end of the run: daemons end with their parents, on whatever node, and main
 * waits for all others before it finalizes. Who writes what: see process/process.c. */
#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread_role.h"
#include "forkserver/forkserver.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "object/call.h"
#include "object/object.h"
#include "object/thread_ref_process.h"
#include "process/message.h"
#include "process/process.h"
#include "process/process_parts.h"
#include "shm/index_set.h"

/* What ends with whom. */

/* Kills the daemons here of the dead of that record, up to this generation. */
static void kill_orphans(unsigned home, uint32_t place, uint32_t generation)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        uint64_t word = atomic_load(&record->word);
        struct process_about about;

        if (process_is_live(word) && process_is_live(word = process_read_about(record, &about)) &&
            about.is_daemon && about.parent.kind == OBJECT_PROCESS && about.parent.home == home &&
            about.parent.place == place && about.parent.generation <= generation)
            process_signal(context_arena(), number, process_generation_of(word), SIGKILL);
    }
}

/* The same of all that a lost node has started here. */
static void kill_orphans_of_node(unsigned home)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        uint64_t word = atomic_load(&record->word);
        struct process_about about;

        if (process_is_live(word) && process_is_live(word = process_read_about(record, &about)) &&
            about.is_daemon && about.parent.kind == OBJECT_PROCESS && about.parent.home == home)
            process_signal(context_arena(), number, process_generation_of(word), SIGKILL);
    }
}

/* The last generation of a record that is dead. */
static uint32_t dead_generation(uint32_t number)
{
    uint64_t word = atomic_load(&process_at(context_arena(), number)->word);
    enum process_state state = process_state_of(word);

    return process_generation_of(word) - (state != PROCESS_ENDED && state != PROCESS_FREE);
}

/* The fork server's: between the death and the word of the record it is kept in mind here. */
static uint32_t dead_leaves;

void process_died(uint32_t number)
{
    struct process_record *record = process_at(context_arena(), number - 1);
    char how[120];

    assert(thread_is(THREAD_FORKSERVER));
    dead_leaves = atomic_exchange(process_leaves_of(record), 0);
    if (atomic_exchange(&record->is_thread_ref, 0))
        dead_leaves |= PROCESS_LEAVES_THREAD_REF;
    if ((record->flags & PROCESS_IS_USERS) && log_get_level() >= MPM_LOG_INFO)
        log_write(MPM_LOG_INFO, "process %s %s", process_name_in(record),
                  describe_wait_status(record->wait_status, how, sizeof how));
}

void process_changed(uint32_t process, bool has_ended)
{
    assert(!has_ended || thread_is(THREAD_FORKSERVER));
    if (has_ended && dead_leaves) {
        if (dead_leaves & PROCESS_LEAVES_DAEMONS)
            kill_orphans(context_topology()->node, process, dead_generation(process));
        if (dead_leaves & PROCESS_LEAVES_THREAD_REF)
            thread_ref_died_local();
        if (context_topology()->node_count > 1)
            index_set_add(&process_table_of(context_arena())->dead_parents, process);
        dead_leaves = 0;
    }
    eventcount_notify(context_doorbell());
}

/* Kills the daemons here whose parent was of this node, and is dead. */
static void kill_all_orphans(void)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        uint64_t word = atomic_load(&record->word);
        struct process_about about;

        if (process_is_live(word) && process_is_live(word = process_read_about(record, &about)) &&
            about.is_daemon && about.parent.kind == OBJECT_PROCESS &&
            about.parent.home == context_topology()->node &&
            about.parent.generation <= dead_generation((uint32_t)about.parent.place))
            process_signal(context_arena(), number, process_generation_of(word), SIGKILL);
    }
}

void process_forkserver_lost(void)
{
    struct process_record *record;

    assert(thread_is(THREAD_FORKSERVER));
    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        eventcount_notify(&record->changed);
        if (context_topology()->node_count > 1 && process_generation_of(atomic_load(&record->word)))
            index_set_add(&process_table_of(context_arena())->dead_parents, number);
    }
    kill_all_orphans();
    thread_ref_died_local();
    eventcount_notify(context_doorbell());
}

/* In the courier: tells the other nodes of a dead one that has left something, behind all that it has asked
 * for: its calls were abandoned before. */
static void tell_death(uint32_t number)
{
    struct message_process_ended message = {.place = number, .generation = dead_generation(number)};

    call_send_news();
    for (unsigned node = 0; node < context_topology()->node_count; node++) {
        if (node != context_topology()->node &&
            courier_post_one(node, MESSAGE_PROCESS_ENDED, &message, sizeof message))
            context_break(MPM_ENOMEM, mpm_error());
    }
}

static bool on_process_ended(unsigned node, const void *payload, size_t size)
{
    const struct message_process_ended *message = payload;
    struct thread_ref_death death;

    if (size != sizeof *message)
        return false;
    death = (struct thread_ref_death){(uint16_t)node, message->place + 1, message->generation};
    kill_orphans(node, message->place, message->generation);
    thread_ref_died_remote(&death);
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

/* What its processes have asked for of other nodes is not known: all are to be asked. */
void process_lose_node(unsigned node)
{
    const struct thread_ref_death death = {.node = (uint16_t)node};

    assert(thread_is(THREAD_COURIER));
    kill_orphans_of_node(node);
    thread_ref_died_remote(&death);
    for (unsigned other = 0; is_to_ask && other < context_topology()->node_count; other++)
        atomic_store(&is_to_ask[other], true);
}

static bool has_told; /* main of that; the courier's */

static bool process_work(void)
{
    struct process_table *table = process_table_of(context_arena());

    index_set_take_all(&table->dead_parents, tell_death);
    if (has_told || context_topology()->rank == 0 || !atomic_load(&table->has_asked))
        return false;
    has_told = true;
    if (courier_post_one(0, MESSAGE_PROCESS_ASKED, NULL, 0))
        context_break(MPM_ENOMEM, mpm_error());
    return true;
}

/* Of a node: whether nobody runs there for whom main must wait; then how many were started there, and behind that what
 * its processes have asked for of each node. */
int process_try_is_over(struct object *unused, const mpm_handle *node, struct invocation *invocation)
{
    struct process_table *table = process_table_of(context_arena());
    uint64_t *started = invocation->out;
    struct process_record *record;

    (void)unused;
    (void)node;
    *started = atomic_load(&table->started);
    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        struct process_about about;

        if (process_is_live(atomic_load(&record->word)) &&
            process_is_live(process_read_about(record, &about)) && record->flags & PROCESS_IS_USERS &&
            !about.is_daemon)
            return CALL_MUST_WAIT;
    }
    return invocation_add(invocation, table->asked, context_topology()->node_count * sizeof *table->asked);
}

/* Waits until nobody runs on a node. */
static int wait_for_node(unsigned node, uint64_t *started, uint32_t *asked, size_t size)
{
    mpm_handle there = call_node(node);
    struct invocation invocation = {
        .method = PROCESS_NODE_METHOD(NODE_IS_OVER), .out = started, .more = asked, .room = size};

    return invoke(&there, &invocation, MPM_FOREVER);
}

/* Waits once for each node that may have processes; `started`: out, a number that goes up with every start. `asked` has
 * room for a number a node. */
static int wait_for_nodes(uint32_t *asked, uint64_t *started)
{
    unsigned count = context_topology()->node_count;
    int status;

    *started = 0;
    for (unsigned node = 0; node < count; node++) {
        uint64_t started_there = 0;

        if (!atomic_load(&is_to_ask[node]) || lost_node_is(node))
            continue;
        if ((status = wait_for_node(node, &started_there, asked, count * sizeof *asked)) &&
            !(status == MPM_ENODELOST && lost_node_is(node)))
            return status;
        if (status)
            continue;
        *started += started_there;
        for (unsigned other = 0; other < count; other++) {
            if (asked[other])
                atomic_store(&is_to_ask[other], true);
            *started += asked[other];
        }
    }
    return MPM_OK;
}

/* A process may start another one on a node that was asked already. When all were asked twice, and none was
 * started anywhere in the meantime, none ran anywhere between the two. */
void process_wait_for_all(void)
{
    uint32_t *asked = calloc(context_topology()->node_count, sizeof *asked);
    uint64_t started = 0, before;

    assert(context_role() == ROLE_MAIN);
    if (!asked)
        return;
    atomic_store(&is_to_ask[context_topology()->node], true);
    do {
        before = started;
    } while (!wait_for_nodes(asked, &started) && started != before);
    free(asked);
}

void process_announce(void)
{
    courier_handle(MESSAGE_PROCESS_ENDED, on_process_ended);
    courier_handle(MESSAGE_PROCESS_ASKED, on_process_asked);
    courier_add_work(process_work);
    has_told = false;
    free(is_to_ask); /* of an earlier run */
    is_to_ask = NULL;
    if (context_topology()->rank)
        return;
    process_forget_children();
    if (!(is_to_ask = calloc(context_topology()->node_count, sizeof *is_to_ask)))
        context_break(MPM_ENOMEM, "no memory for the nodes that have processes");
}
