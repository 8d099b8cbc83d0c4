/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory that a run shares, as this process has mapped it. There is one such mapping at a time. It belongs to the
 * thread that starts and ends runs. */
#include "net/shared_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/log.h"

static struct {
    void *memory; /* NULL: none */
    size_t size;
} mapped;

int memory_map(size_t size, void **memory)
{
    void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (made == MAP_FAILED)
        return error_set_errno(MPM_ENOMEM, "cannot map an arena of %zu bytes", size);
    memory_leave_out_of_dumps(made, size);
    *memory = made;
    return MPM_OK;
}

void memory_leave_out_of_dumps(void *memory, size_t size)
{
    if (madvise(memory, size, MADV_DONTDUMP))
        log_write(MPM_LOG_DEBUG, "core dumps will include the arena: madvise failed: %s", strerror(errno));
}

void memory_keep(void *memory, size_t size)
{
    mapped.memory = memory;
    mapped.size = size;
}

void memory_release(void)
{
    if (mapped.memory)
        munmap(mapped.memory, mapped.size);
    mapped.memory = NULL;
}

/* The new mapping takes the place of the old one in one step. Where it cannot be had, the old one stays. */
bool memory_empty(void)
{
    void *memory = mapped.memory;

    return memory && mmap(memory, mapped.size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == memory;
}
