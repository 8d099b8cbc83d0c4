/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to a process from outside: signals, and closing what is known of it. */
#include <signal.h>
#include <string.h>

#include "mpmap/process.h"

#include "base/error.h"
#include "host/host.h"
#include "node/context.h"
#include "object/call.h"
#include "object/object.h"
#include "process/process_parts.h"

/* Signals. */

static int signal_here(const mpm_handle *handle, int signal_number)
{
    struct process_record *record;
    uint64_t word;
    int status;

    if ((status = process_find_record(handle, &record, &word)))
        return status;
    if (process_is_live(word))
        process_signal(runtime_arena(), (uint32_t)handle->place, handle->generation, signal_number);
    return MPM_OK;
}

int process_try_signal(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
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
        return runtime_no_run(NULL);
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

    if ((status = process_find_record(handle, &record, &word)))
        return status;
    if (process_close(runtime_arena(), record, handle->generation))
        return MPM_OK;
    if ((status = process_find_record(handle, &record, &word)))
        return status; /* somebody else was faster */
    return error_set(MPM_EBUSY, "process %llu of node %u still runs: join it before it is closed",
                     (unsigned long long)handle->place, handle->home);
}

int process_try_close(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    (void)in;
    (void)in_size;
    (void)reply;
    return close_here(handle);
}

int mpm_process_close(mpm_process process)
{
    if (runtime_role() == ROLE_NONE)
        return runtime_no_run("mpm_process_close");
    if (object_is_home(&process.handle) || process.handle.kind != OBJECT_PROCESS)
        return close_here(&process.handle);
    return call_remote(&process.handle, VERB_PROCESS_CLOSE, NULL, 0, MPM_FOREVER, NULL, 0, NULL);
}
