/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the calling process is: main, a process, or a pool's worker. It looks at its own record. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpmap/process.h"

#include "base/error.h"
#include "host/host.h"
#include "node/context.h"
#include "process/process_parts.h"

_Static_assert(sizeof((mpm_process_info){.pid = 0}.name) == PROCESS_NAME_SIZE, "there is room for a name");

static void name_it(mpm_process_info *info, enum mpm_process_kind kind, const char *name)
{
    info->kind = kind;
    snprintf(info->name, sizeof info->name, "%s", name);
}

int mpm_process_self(mpm_process_info *self)
{
    struct process_record *record;
    struct process_about about;
    int status;

    if ((status = process_check_place("mpm_process_self", self)) ||
        (status = runtime_check_somebody("mpm_process_self")))
        return status;
    if (runtime_role() == ROLE_NONE)
        return runtime_no_run("mpm_process_self");
    *self = (mpm_process_info){.node = runtime_topology()->node, .pid = (int)getpid()};
    if (!(record = process_own_record())) {
        name_it(self, MPM_KIND_MAIN, "main");
    } else if (!(record->flags & PROCESS_IS_USERS)) {
        name_it(self, MPM_KIND_WORKER, "worker");
    } else {
        process_read_about(record, &about);
        name_it(self, MPM_KIND_PROCESS, about.name);
        self->process.handle = process_own_handle();
    }
    return MPM_OK;
}
