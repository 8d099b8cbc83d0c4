/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. A child inherits what was registered, as it inherits the state. */
#include "base/asymmetric_fence.h"

#include <assert.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

_Atomic int asymmetric_fence_state;

static bool ask_kernel(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

void asymmetric_fence_heavy(void)
{
    bool is_done;

    if (atomic_load(&asymmetric_fence_state) == FENCES_ARE_EQUAL) {
        atomic_thread_fence(memory_order_seq_cst);
        return;
    }
    is_done = ask_kernel(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    assert(is_done); /* the process is registered for it */
    (void)is_done;
}

bool asymmetric_fence_prepare(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static bool is_refused;

    pthread_mutex_lock(&mutex);
    if (!asymmetric_fence_is_cheap() && !is_refused) {
        if (ask_kernel(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
            ask_kernel(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
            atomic_store(&asymmetric_fence_state, HEAVY_FENCE_IS_READY);
            asymmetric_fence_heavy();
            atomic_store(&asymmetric_fence_state, LIGHT_FENCE_IS_CHEAP);
        }
        is_refused = !asymmetric_fence_is_cheap();
    }
    pthread_mutex_unlock(&mutex);
    return asymmetric_fence_is_cheap();
}
