/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for several objects at once. Objects of the caller's node are looked at in place, and waited for on
 * the node's doorbell. For each other node there is one call, which waits there until any object of that node is
 * ready; its reply rings the caller's doorbell.
 *
 * First everything is looked at once, on all nodes, so that an object that is always ready never hides one of
 * another node. Only if nothing is ready do calls wait; the first reply ends the wait, and the other calls
 * are abandoned.
 *
 * Who writes what: nothing but `remote_waiting` of objects (see object/object.h) and slots of calls (see
 * object/call.c). A caller that is killed leaves the first too high; its calls are abandoned by its reaper. */
#include "object/wait_any.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpmap/wait.h"

#include "base/clock.h"
#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"
#include "shm/eventcount.h"

static int (*look_of(unsigned kind))(const mpm_handle *handle)
{
    return kind_of(kind) ? kind_of(kind)->looks : NULL;
}

/* The handles of one other node. */
struct part {
    size_t first, count; /* in `handles` of the others */
    struct call call;
    bool is_under_way;
    bool is_silent; /* it has not answered in time */
};

/* One mpm_wait_any. */
struct waiting {
    const mpm_handle *handles;
    size_t count;
    bool *is_ready;      /* by place in `handles` */
    mpm_handle *others;  /* handles of other nodes, node by node */
    size_t *places;      /* of those in `handles` */
    unsigned char *told; /* a reply: a byte for each of them */
    struct part *parts;
    size_t part_count;
};

/* Preparing. */

static int check_handles(const mpm_handle *handles, size_t count)
{
    int status;

    for (size_t i = 0; i < count; i++) {
        if (!look_of(handles[i].kind))
            return error_set(
                MPM_EINVAL,
                "mpm_wait_any: handles[%zu] is not a handle of a process, a connection, a queue or an event",
                i);
        if (handles[i].home >= context_topology()->node_count)
            return error_set(MPM_EINVAL, "mpm_wait_any: handles[%zu] is not a handle: there is no node %u", i,
                             handles[i].home);
        if (kind_of(handles[i].kind)->admits && (status = kind_of(handles[i].kind)->admits(&handles[i])))
            return status;
    }
    return MPM_OK;
}

static int check(const mpm_handle *handles, size_t count, const size_t *ready, const size_t *ready_count)
{
    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_wait_any");
    if (!count)
        return error_set(MPM_EINVAL, "mpm_wait_any: count is 0: give at least one handle");
    if (!handles || !ready || !ready_count)
        return error_set(MPM_EINVAL, "mpm_wait_any: the pointer for the %s is NULL",
                         !handles ? "handles"
                         : !ready ? "ready ones"
                                  : "number of ready handles");
    return check_handles(handles, count);
}

/* Adds the handles of the node of handles[from] from there on, unless that node has its part already. */
static void add_part(struct waiting *waiting, size_t from, size_t *other_count)
{
    struct part *part = &waiting->parts[waiting->part_count];

    for (size_t i = 0; i < waiting->part_count; i++) {
        if (waiting->others[waiting->parts[i].first].home == waiting->handles[from].home)
            return;
    }
    *part = (struct part){.first = *other_count};
    for (size_t i = from; i < waiting->count; i++) {
        if (waiting->handles[i].home != waiting->handles[from].home)
            continue;
        waiting->others[part->first + part->count] = waiting->handles[i];
        waiting->places[part->first + part->count++] = i;
    }
    *other_count += part->count;
    waiting->part_count++;
}

static int prepare(struct waiting *waiting)
{
    size_t other_count = 0;

    waiting->is_ready = calloc(waiting->count, sizeof *waiting->is_ready);
    waiting->others = calloc(waiting->count, sizeof *waiting->others);
    waiting->places = calloc(waiting->count, sizeof *waiting->places);
    waiting->told = calloc(waiting->count, sizeof *waiting->told);
    waiting->parts = calloc(waiting->count, sizeof *waiting->parts);
    if (!waiting->is_ready || !waiting->others || !waiting->places || !waiting->told || !waiting->parts)
        return error_set(MPM_ENOMEM, "mpm_wait_any: no memory for %zu handles", waiting->count);
    for (size_t i = 0; i < waiting->count; i++) {
        if (!object_is_home(&waiting->handles[i]))
            add_part(waiting, i, &other_count);
    }
    return MPM_OK;
}

static void release(struct waiting *waiting)
{
    free(waiting->is_ready);
    free(waiting->others);
    free(waiting->places);
    free(waiting->told);
    free(waiting->parts);
}

/* Looking. */

/* Those of this node: 0 if any is ready, CALL_MUST_WAIT if none is, or a status. */
static int look_local(struct waiting *waiting)
{
    int result = CALL_MUST_WAIT, status;

    for (size_t i = 0; i < waiting->count; i++) {
        if (!object_is_home(&waiting->handles[i]))
            continue;
        if (!(status = look_of(waiting->handles[i].kind)(&waiting->handles[i])))
            result = MPM_OK;
        else if (status != CALL_MUST_WAIT)
            return status;
        waiting->is_ready[i] = !status;
    }
    return result;
}

/* In the courier of another node: takes handles of objects there, and gives a byte for each, 1 if it is ready. */
static int try_wait_any(struct object *unused, const mpm_handle *node, struct invocation *invocation)
{
    int result = CALL_MUST_WAIT, status;
    mpm_handle handle;

    (void)unused;
    (void)node;
    for (size_t at = 0; at < invocation->tail_size; at += sizeof handle) {
        memcpy(&handle, (const char *)invocation->tail + at, sizeof handle);
        if (!look_of(handle.kind))
            return error_set(
                MPM_EINVAL,
                "objects of kind %u cannot be waited for: processes, connections, queues and events can",
                handle.kind);
        status = look_of(handle.kind)(&handle);
        if (status && status != CALL_MUST_WAIT)
            return status;
        if (!status)
            result = MPM_OK;
        if ((status = invocation_add(invocation, &(unsigned char){!status}, 1)))
            return status;
    }
    return result;
}

static bool has_handles(const mpm_handle *node, const struct invocation *invocation)
{
    (void)node;
    return invocation->tail_size;
}

static const struct method looking = {OBJECT_NODE,
                                      NODE_WAIT_ANY,
                                      "wait any",
                                      .tail_unit = sizeof(mpm_handle),
                                      .has_more = true,
                                      .makes_sense = has_handles,
                                      .try = try_wait_any,
                                      .awaits_tail = true,
                                      .late_status = MPM_ETIMEDOUT,
                                      .late_sentence = "none of the objects was ready within the timeout"};

/* Has all other nodes look: for timeout_s. */
static int ask(struct waiting *waiting, double timeout_s)
{
    int status = MPM_OK;

    for (size_t i = 0; i < waiting->part_count && !status; i++) {
        struct part *part = &waiting->parts[i];
        mpm_handle there = call_node(waiting->others[part->first].home);

        struct invocation invocation = {.method = &looking,
                                        .tail = &waiting->others[part->first],
                                        .tail_size = part->count * sizeof *waiting->others};

        status = call_begin(&there, &invocation, timeout_s, &part->call);
        part->is_under_way = !status;
        KILL_POINT();
    }
    return status;
}

/* Waits for the reply of a node until then: 0 if any is ready there, CALL_MUST_WAIT if none is or nobody says, or a
 * status. */
static int take_reply(struct waiting *waiting, struct part *part, uint64_t give_up_ns)
{
    struct invocation invocation = {.method = &looking, .more = waiting->told, .room = part->count};
    int status = call_finish(&part->call, give_up_ns, &invocation);

    part->is_under_way = false;
    part->is_silent = status == CALL_NO_REPLY;
    for (size_t i = 0; !status && i < part->count; i++)
        waiting->is_ready[waiting->places[part->first + i]] = waiting->told[i];
    return status == MPM_ETIMEDOUT || status == CALL_NO_REPLY ? CALL_MUST_WAIT : status;
}

/* Takes the replies that come until then; 0: those that are there. As take_reply. */
static int take_replies(struct waiting *waiting, uint64_t give_up_ns)
{
    int result = CALL_MUST_WAIT, status;

    for (size_t i = 0; i < waiting->part_count; i++) {
        struct part *part = &waiting->parts[i];

        if (!part->is_under_way || (!give_up_ns && !call_is_done(&part->call)))
            continue;
        if (!(status = take_reply(waiting, part, give_up_ns)))
            result = MPM_OK;
        else if (status != CALL_MUST_WAIT)
            return status;
    }
    return result;
}

static void abandon_calls(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->part_count; i++) {
        if (waiting->parts[i].is_under_way)
            call_abandon(&waiting->parts[i].call);
        waiting->parts[i].is_under_way = false;
    }
}

/* Of two looks: a failure, else 0 if either is, else CALL_MUST_WAIT. */
static int join_looks(int one, int other)
{
    if (one && one != CALL_MUST_WAIT)
        return one;
    return one == CALL_MUST_WAIT ? other : other == CALL_MUST_WAIT ? MPM_OK : other;
}

/* All nodes at once. What is at a node that does not reply for long is not ready, as far as anybody knows. */
static int look_once(struct waiting *waiting, double timeout_s)
{
    uint64_t until_ns = call_give_up_ns(timeout_s, 0), at_most_ns = call_give_up_ns(0, 0);
    int status = ask(waiting, 0);

    if (until_ns > at_most_ns)
        until_ns = at_most_ns;
    if (!status &&
        (status = join_looks(look_local(waiting), take_replies(waiting, until_ns))) == CALL_MUST_WAIT)
        return status;
    abandon_calls(waiting);
    return status;
}

/* Waiting. */

static void note_waiting(struct waiting *waiting, int change)
{
    for (size_t i = 0; i < waiting->count; i++) {
        const struct kind *kind = kind_of(waiting->handles[i].kind);

        if (kind->waits)
            kind->waits(change);
        else if (object_is_home(&waiting->handles[i]))
            object_note_waiting(&waiting->handles[i], change);
    }
}

static int sleep_until_any(struct waiting *waiting, uint64_t deadline_ns)
{
    for (;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());
        int status = join_looks(look_local(waiting), take_replies(waiting, 0));

        DELAY_POINT();
        if (status != CALL_MUST_WAIT || (status = context_check_whole()))
            return status;
        if (clock_now_ns() >= deadline_ns)
            return CALL_MUST_WAIT;
        wait_change_or_interrupt(context_doorbell(), seen, 0, deadline_ns);
        if (interrupt_is_pending())
            return interrupt_take("first of several objects");
    }
}

static int say_late(const struct waiting *waiting, double timeout_s)
{
    char silent[64] = "";

    for (size_t i = 0; i < waiting->part_count && !silent[0]; i++) {
        if (waiting->parts[i].is_silent)
            snprintf(silent, sizeof silent, "; node %u has not answered",
                     waiting->others[waiting->parts[i].first].home);
    }
    return error_set(MPM_ETIMEDOUT, "none of %zu objects was ready after %g s%s", waiting->count,
                     timeout_s > 0 ? timeout_s : 0.0, silent);
}

static int wait_for_any(struct waiting *waiting, double timeout_s)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    int status = look_once(waiting, timeout_s);

    if (status == CALL_MUST_WAIT && timeout_s > 0) {
        note_waiting(waiting, 1);
        KILL_POINT();
        if (!(status = ask(waiting, MPM_FOREVER)))
            status = sleep_until_any(waiting, deadline_ns);
        abandon_calls(waiting);
        note_waiting(waiting, -1);
        KILL_POINT();
    }
    return status == CALL_MUST_WAIT ? say_late(waiting, timeout_s) : status;
}

int mpm_wait_any(const mpm_handle *handles, size_t count, double timeout_s, size_t *ready,
                 size_t *ready_count)
{
    struct waiting waiting = {.handles = handles, .count = count};
    size_t found = 0;
    int status;

    if ((status = error_check_timeout(timeout_s)) || (status = check(handles, count, ready, ready_count)))
        return status;
    context_enter();
    if (!(status = prepare(&waiting)))
        status = wait_for_any(&waiting, timeout_s);
    context_leave();
    for (size_t i = 0; i < count && !status; i++) {
        if (waiting.is_ready[i])
            ready[found++] = i;
    }
    if (!status)
        *ready_count = found;
    release(&waiting);
    return status;
}

void wait_any_begin(void)
{
    static const struct kind kind = {.kind = OBJECT_NODE, .methods = &looking, .count = 1};
    static const struct kind *const kinds[] = {&kind};

    kind_register(kinds, 1);
}
