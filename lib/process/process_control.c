/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to a process from outside: signals, and closing what is known of it. */
#include <signal.h>
#include <string.h>

#include "mpmap/process.h"

#include "base/error.h"
#include "forkserver/forkserver.h"
#include "node/context.h"
#include "object/object.h"
#include "process/process_parts.h"

/* Signals. */

int process_try_signal(struct object *unused, const mpm_handle *handle, struct invocation *invocation)
{
    const int32_t *signal_number = invocation->in;
    struct process_record *record;
    uint64_t word;
    int status;

    (void)unused;
    if ((status = process_find_record(handle, &record, &word)))
        return status;
    if (process_is_live(word))
        process_signal(context_arena(), (uint32_t)handle->place, handle->generation, *signal_number);
    return MPM_OK;
}

bool process_signal_makes_sense(const mpm_handle *handle, const struct invocation *invocation)
{
    const int32_t *signal_number = invocation->in;

    (void)handle;
    return *signal_number >= 1 && *signal_number <= 31;
}

static int send_signal(const mpm_handle *handle, int32_t signal_number)
{
    struct invocation invocation = {.method = &process_methods[PROCESS_SIGNAL], .in = &signal_number};

    if (context_role() == ROLE_NONE)
        return context_no_run(NULL);
    return invoke(handle, &invocation, MPM_FOREVER);
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

int process_try_close(struct object *unused, const mpm_handle *handle, struct invocation *invocation)
{
    struct process_record *record;
    struct process_about about;
    uint64_t word;
    int status;

    (void)unused;
    (void)invocation;
    if ((status = process_find_record(handle, &record, &word)))
        return status;
    process_read_about(record, &about);
    if (process_close(context_arena(), record, handle->generation))
        return MPM_OK;
    if ((status = process_find_record(handle, &record, &word)))
        return status; /* somebody else was faster */
    return error_set(MPM_EBUSY, "process %s is still running: join it before you close it", about.name);
}

int mpm_process_close(mpm_process process)
{
    struct invocation invocation = {.method = &process_methods[PROCESS_CLOSE]};

    if (context_role() == ROLE_NONE)
        return context_no_run("mpm_process_close");
    return invoke(&process.handle, &invocation, MPM_FOREVER);
}
