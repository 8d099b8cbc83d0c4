/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at processes, waiting for their ends, and listing children. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "mpmap/process.h"

#include "base/clock.h"
#include "base/error.h"
#include "host/host.h"
#include "node/context.h"
#include "object/call.h"
#include "object/object.h"
#include "process/process_parts.h"
#include "shm/interrupt.h"
#include "shm/kill_point.h"

#define FEW_CHILDREN 16u /* that another node is asked for at first */

/* CALL_MUST_WAIT until it was forked. */
static int look_here(const mpm_handle *handle, struct process_look *look)
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
        atomic_thread_fence(memory_order_acquire);
        if ((status = process_find_record(handle, &record, &word)))
            return status;
    } while (word != before);
    look->limits = look->fork_errno ? fork_limits_here() : (struct fork_limits){0};
    return look->state == PROCESS_WANTED ? CALL_MUST_WAIT : MPM_OK;
}

/* CALL_MUST_WAIT until it has ended. */
static int look_at_end(const mpm_handle *handle, struct process_look *look)
{
    int status = look_here(handle, look);

    return !status && look->state != PROCESS_ENDED ? CALL_MUST_WAIT : status;
}

typedef int look_when(const mpm_handle *handle, struct process_look *look);

/* The end of a process is what the program waits for; that it was forked is not. */
static int sleep_here(struct process_record *record, const mpm_handle *handle, look_when *look_until,
                      double timeout_s, struct process_look *look)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s), now_ns;
    bool is_interruptible = look_until == look_at_end;
    int status;

    for (;;) {
        uint32_t seen = wait_look(&record->changed);

        DELAY_POINT();
        if ((status = look_until(handle, look)) != CALL_MUST_WAIT || (status = runtime_check_whole()))
            return status;
        if ((now_ns = clock_now_ns()) >= deadline_ns)
            return error_set(MPM_ETIMEDOUT, "process %s still runs after %g s", look->about.name,
                             timeout_s > 0 ? timeout_s : 0.0);
        (is_interruptible ? wait_change_or_interrupt : wait_change)(
            &record->changed, seen, 0,
            deadline_ns - now_ns < RUNTIME_CHECK_NS ? deadline_ns : now_ns + RUNTIME_CHECK_NS);
        if (is_interruptible && interrupt_is_pending())
            return interrupt_take(look->about.name);
    }
}

/* Waits until a look at a process of this node can be had. */
static int wait_here(const mpm_handle *handle, look_when *look_until, double timeout_s,
                     struct process_look *look)
{
    struct process_record *record;
    uint64_t word;
    int status;

    runtime_enter();
    if (!(status = process_find_record(handle, &record, &word)))
        status = sleep_here(record, handle, look_until, timeout_s, look);
    runtime_leave();
    return status;
}

int process_look_at_end(const mpm_handle *handle)
{
    struct process_look look;

    return look_at_end(handle, &look);
}

static int reply_look(int status, const struct process_look *look, struct call_reply *reply)
{
    return status ? status : call_reply_add(reply, look, sizeof *look);
}

/* What there is to know of a process, once it was forked. */
int process_look(const mpm_handle *handle, struct process_look *look)
{
    if (runtime_role() == ROLE_NONE)
        return runtime_no_run(NULL);
    if (object_is_home(handle) || handle->kind != OBJECT_PROCESS)
        return wait_here(handle, look_here, MPM_FOREVER, look);
    return call_remote(handle, VERB_PROCESS_LOOK, NULL, 0, MPM_FOREVER, look, sizeof *look, NULL);
}

/* Children of a process that run here: adds their handles. */
static int list_children(const mpm_handle *parent, struct call_reply *list)
{
    struct process_record *record;

    for (uint32_t number = 0; (record = process_find(runtime_arena(), number)); number++) {
        struct process_about about;
        uint64_t word = atomic_load(&record->word);
        mpm_handle handle;
        int status;

        if (!process_is_live(word) || !process_is_live(word = process_read_about(record, &about)) ||
            !(record->flags & PROCESS_IS_USERS) || !process_is_same(&about.parent, parent))
            continue;
        handle = process_handle_of(number, word);
        if ((status = call_reply_add(list, &handle, sizeof handle)))
            return status;
    }
    return MPM_OK;
}

/* Of a process: itself; of a node: children there of the process in the message. */
int process_try_look(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct process_look look;
    mpm_handle parent;

    if (handle->kind != OBJECT_NODE)
        return reply_look(look_here(handle, &look), &look, reply);
    if (in_size != sizeof parent)
        return error_set(MPM_EINVAL, "a look of %zu bytes makes no sense", in_size);
    memcpy(&parent, in, sizeof parent);
    return list_children(&parent, reply);
}

/* How it ended. */

int process_try_join(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct process_look look;

    (void)in;
    (void)in_size;
    return handle->kind == OBJECT_NODE ? process_try_node_is_over(reply)
                                       : reply_look(look_at_end(handle, &look), &look, reply);
}

/* In place of the late status: names the process. */
int process_try_late_join(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct process_look look;
    int status = look_here(handle, &look);

    (void)in;
    (void)in_size;
    (void)reply;
    if (status && status != CALL_MUST_WAIT)
        return status;
    return error_set(MPM_ETIMEDOUT, "process %s still runs", look.about.name);
}

/* Waits for the end; how it was. */
static int join(const char *call, const mpm_handle *handle, double timeout_s, struct process_look *look)
{
    mpm_handle own = process_own_handle();
    int status;

    if (runtime_role() == ROLE_NONE)
        return runtime_no_run(call);
    if (handle->kind && process_is_same(handle, &own))
        return error_set(MPM_EINVAL, "%s: a process cannot wait for itself", call);
    if (object_is_home(handle) || handle->kind != OBJECT_PROCESS)
        return wait_here(handle, look_at_end, timeout_s, look);
    status = call_timed(handle, VERB_PROCESS_JOIN, NULL, 0, timeout_s, look, sizeof *look, NULL);
    return status == CALL_NO_ANSWER ? MPM_ETIMEDOUT : status;
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
        return error_set(MPM_EBUSY, "process %s still runs: it has no exit code yet", look.about.name);
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

/* Asks for few first: a long list comes when its length is known, since a call has memory for what it asks for. */
static int ask_for_children(unsigned node, const mpm_handle *parent, mpm_process *processes, size_t room,
                            size_t *count)
{
    mpm_handle there = call_node(node);
    size_t asked = room < FEW_CHILDREN ? room : FEW_CHILDREN, size = 0;
    int status;

    while (!(status = call_remote(&there, VERB_PROCESS_LOOK, parent, sizeof *parent, MPM_FOREVER, processes,
                                  asked * sizeof *processes, &size)) &&
           (*count = size / sizeof *processes) > asked && asked < room)
        asked = *count < room ? *count : room;
    return status;
}

/* Adds those of one node. */
static int add_children_of_node(unsigned node, const mpm_handle *parent, mpm_process *processes, size_t room,
                                size_t *count)
{
    size_t left = *count < room ? room - *count : 0, found = 0;
    mpm_process *to = left ? processes + *count : NULL;
    struct call_reply list = {0};
    int status;

    if (node != runtime_topology()->node) {
        status = ask_for_children(node, parent, to, left, &found);
    } else {
        status = list_children(parent, &list);
        found = list.size / sizeof *processes;
        if (!status && found && left)
            memcpy(to, list.bytes, (found < left ? found : left) * sizeof *processes);
        free(list.bytes);
    }
    *count += found;
    return status;
}

int mpm_active_children(mpm_process *processes, size_t room, size_t *count)
{
    mpm_handle parent = process_own_handle();
    size_t found = 0;
    int status;

    if (runtime_role() == ROLE_NONE)
        return runtime_no_run("mpm_active_children");
    if ((room && !processes) || !count)
        return error_set(MPM_EINVAL, "mpm_active_children: the place for the %s is NULL",
                         count ? "processes" : "count");
    for (unsigned node = 0; node < runtime_topology()->node_count; node++) {
        if (!atomic_load(&process_table_of(runtime_arena())->asked[node]))
            continue; /* nobody here has ever started one there */
        if ((status = add_children_of_node(node, &parent, processes, room, &found)))
            return status;
    }
    *count = found;
    return MPM_OK;
}
