/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the node's arena for the program itself. */
#include <string.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "node/context.h"
#include "node/context_inside.h"

int mpm_alloc(size_t size, void **memory)
{
    uint64_t offset;
    int status;

    if (!context.runs)
        return context_no_run("mpm_alloc");
    if (!size || !memory)
        return error_set(MPM_EINVAL, "mpm_alloc: the %s",
                         size ? "pointer for the memory is NULL" : "size is 0");
    if ((status = arena_alloc(context.arena, size, ARENA_NO_OWNER, &offset)))
        return status;
    *memory = memset(arena_at(context.arena, offset), 0, size);
    return MPM_OK;
}

void mpm_free(void *memory)
{
    if (memory && context.runs)
        arena_free(context.arena, arena_offset(context.arena, memory));
}
