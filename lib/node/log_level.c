/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said on stderr: a level that the processes of a node share, and that main tells all nodes. */
#include <string.h>

#include "mpmap/runtime.h"

#include "base/error.h"
#include "base/log.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/log_level.h"
#include "node/message.h"

int mpm_log_to_stderr(enum mpm_log_level level)
{
    uint32_t message = level;
    int status = MPM_OK;

    if (message > MPM_LOG_DEBUG)
        return error_set(MPM_EINVAL, "mpm_log_to_stderr: level is %u: it must be 0 (off) to 3 (debug)",
                         message);
    log_set_level(level);
    for (unsigned node = 1; context_role() == ROLE_MAIN && !status && node < mpm_node_count(); node++)
        status = courier_post_one(node, MESSAGE_LOG_LEVEL, &message, sizeof message);
    return status;
}

static bool on_log_level(unsigned node, const void *payload, size_t size)
{
    uint32_t level;

    if (node || size != sizeof level)
        return false;
    memcpy(&level, payload, sizeof level);
    log_set_level((enum mpm_log_level)level);
    return true;
}

void log_level_announce(void)
{
    courier_handle(MESSAGE_LOG_LEVEL, on_log_level);
}
