/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at processes, waiting for their ends, and listing children. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "mpmap/process.h"

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "node/lost_node.h"
#include "object/call.h"
#include "object/object.h"
#include "process/process_parts.h"
#include "shm/kill_point.h"

#define FEW_CHILDREN 16u /* that another node is asked for at first */

/* CALL_MUST_WAIT until it was forked. */
static int look_local(const mpm_handle *handle, struct process_look *look)
{
    struct process_record *record;
    uint64_t word, before;
    int status;

    if ((status = process_find_record(handle, &record, &word)))
        return status;
    do {
        before = process_read_about(record, &look->about);
        look->state = process_state_of(before);
        look->pid = (int32_t)(uint32_t)atomic_load(&record->pid);
        look->wait_status = record->wait_status;
        look->fork_errno = record->fork_errno;
        look->is_users = record->flags & PROCESS_IS_USERS;
        atomic_thread_fence(memory_order_acquire); /* pairs with that in fill_record(), forkserver/record.c */
        if ((status = process_find_record(handle, &record, &word)))
            return status;
    } while (word != before);
    look->limits = look->fork_errno ? fork_limits_here() : (struct fork_limits){0};
    return look->state == PROCESS_WANTED ? CALL_MUST_WAIT : MPM_OK;
}

/* CALL_MUST_WAIT until it has ended. */
static int look_at_end(const mpm_handle *handle, struct process_look *look)
{
    int status = look_local(handle, look);

    return !status && look->state != PROCESS_ENDED ? CALL_MUST_WAIT : status;
}

int process_look_at_end(const mpm_handle *handle)
{
    struct process_look look;

    return look_at_end(handle, &look);
}

int process_try_look(struct object *unused, const mpm_handle *handle, struct invocation *invocation)
{
    (void)unused;
    return look_local(handle, invocation->out);
}

/* What there is to know of a process, once it was forked. */
int process_look(const mpm_handle *handle, struct process_look *look)
{
    struct invocation invocation = {.method = &process_methods[PROCESS_LOOK], .out = look};

    if (context_role() == ROLE_NONE)
        return context_no_run(NULL);
    return invoke(handle, &invocation, MPM_FOREVER);
}

/* Children of a process that run here: their handles. */
int process_try_children(struct object *unused, const mpm_handle *node, struct invocation *invocation)
{
    const mpm_handle *parent = invocation->in;
    struct process_record *record;

    (void)unused;
    (void)node;
    for (uint32_t number = 0; (record = process_find(context_arena(), number)); number++) {
        struct process_about about;
        uint64_t word = atomic_load(&record->word);
        mpm_handle handle;
        int status;

        if (!process_is_live(word) || !process_is_live(word = process_read_about(record, &about)) ||
            !(record->flags & PROCESS_IS_USERS) || !process_is_same(&about.parent, parent))
            continue;
        handle = process_handle_of(number, word);
        if ((status = invocation_add(invocation, &handle, sizeof handle)))
            return status;
    }
    return MPM_OK;
}

/* How it ended. */

int process_try_join(struct object *unused, const mpm_handle *handle, struct invocation *invocation)
{
    (void)unused;
    return look_at_end(handle, invocation->out);
}

int process_late_join(struct object *unused, const mpm_handle *handle, struct invocation *invocation)
{
    struct process_look look;
    int status = look_local(handle, &look);

    (void)unused;
    if (status && status != CALL_MUST_WAIT)
        return status;
    return error_set(MPM_ETIMEDOUT, "process %s is still running after %g s", look.about.name,
                     invocation->timeout_s > 0 ? invocation->timeout_s : 0.0);
}

/* Waits for the end; how it was. */
static int join(const char *call, const mpm_handle *handle, double timeout_s, struct process_look *look)
{
    mpm_handle own = process_own_handle();
    struct invocation invocation = {.method = &process_methods[PROCESS_JOIN], .out = look};

    if (context_role() == ROLE_NONE)
        return context_no_run(call);
    if (handle->kind && process_is_same(handle, &own))
        return error_set(MPM_EINVAL, "%s: a process cannot wait for itself", call);
    return invoke(handle, &invocation, timeout_s);
}

int mpm_process_join(mpm_process process, double timeout_s)
{
    struct process_look look;

    return join("mpm_process_join", &process.handle, timeout_s, &look);
}

static int exit_code_of(const struct process_look *look)
{
    return WIFSIGNALED(look->wait_status) ? -WTERMSIG(look->wait_status) : WEXITSTATUS(look->wait_status);
}

/* Somebody else may be faster in closing it: it is closed, and how it ended is known. */
int mpm_process_reap(mpm_process process, double timeout_s, int *exitcode)
{
    struct process_look look;
    int status = join("mpm_process_reap", &process.handle, timeout_s, &look);

    if (status || ((status = mpm_process_close(process)) && status != MPM_ESTALE))
        return status;
    if (exitcode)
        *exitcode = exit_code_of(&look);
    return MPM_OK;
}

int mpm_process_exitcode(mpm_process process, int *exitcode)
{
    struct process_look look;
    int status;

    if ((status = process_check_place("mpm_process_exitcode", exitcode)) ||
        (status = process_look(&process.handle, &look)))
        return status;
    if (look.state != PROCESS_ENDED)
        return error_set(MPM_EBUSY, "process %s is still running: it has no exit code yet", look.about.name);
    *exitcode = exit_code_of(&look);
    return MPM_OK;
}

int mpm_process_is_alive(mpm_process process, bool *is_alive)
{
    struct process_look look;
    int status;

    if (!(status = process_check_place("mpm_process_is_alive", is_alive)) &&
        !(status = process_look(&process.handle, &look)))
        *is_alive = look.state == PROCESS_RUNNING;
    return status;
}

int mpm_process_pid(mpm_process process, int *pid)
{
    struct process_look look;
    int status;

    if (!(status = process_check_place("mpm_process_pid", pid)) &&
        !(status = process_look(&process.handle, &look)))
        *pid = look.pid;
    return status;
}

int mpm_process_name(mpm_process process, char *name, size_t size)
{
    struct process_look look;
    int status;

    if (size && (status = process_check_place("mpm_process_name", name)))
        return status;
    if (!(status = process_look(&process.handle, &look)))
        snprintf(name, size, "%s", look.about.name);
    return status;
}

unsigned mpm_process_node(mpm_process process)
{
    return process.handle.home;
}

/* Children. */

/* Adds those of one node. Another node is asked for few first: a long list comes when its length is known, since a call
 * has memory for what it asks for. */
static int add_children_of_node(unsigned node, const mpm_handle *parent, mpm_process *processes, size_t room,
                                size_t *count)
{
    size_t left = *count < room ? room - *count : 0, found = 0;
    size_t asked = node == context_topology()->node || left < FEW_CHILDREN ? left : FEW_CHILDREN;
    mpm_handle there = call_node(node), of = *parent;
    struct invocation invocation = {
        .method = PROCESS_NODE_METHOD(NODE_CHILDREN), .in = &of, .more = left ? processes + *count : NULL};
    int status;

    for (;; asked = found < left ? found : left) {
        invocation.size = 0;
        invocation.room = asked * sizeof *processes;
        status = invoke(&there, &invocation, MPM_FOREVER);
        found = invocation.size / sizeof *processes;
        if (status || found <= asked || asked == left)
            break;
    }
    *count += found;
    return status;
}

int mpm_active_children(mpm_process *processes, size_t room, size_t *count)
{
    mpm_handle parent = process_own_handle();
    size_t found = 0;
    int status;

    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_active_children");
    if ((room && !processes) || !count)
        return error_set(MPM_EINVAL, "mpm_active_children: the pointer for the %s is NULL",
                         count ? "processes" : "count");
    for (unsigned node = 0; node < context_topology()->node_count; node++) {
        if (!atomic_load(&process_table_of(context_arena())->asked[node]))
            continue; /* nobody here has ever started one there */
        if ((status = add_children_of_node(node, &parent, processes, room, &found)) &&
            !(status == MPM_ENODELOST && lost_node_is(node)))
            return status;
    }
    *count = found;
    return MPM_OK;
}
