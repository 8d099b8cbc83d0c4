/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages in place; see the header. Nothing is shared: a block is one process's until it is a queue's or a request's,
 * and each way from one to the other is told there (shm/ring.c, object/call.c). */
#include "sync/message.h"

#include "mpmap/status.h"

#include "base/error.h"
#include "base/log.h"
#include "forkserver/forkserver.h"
#include "node/context.h"

int message_check_place(const char *call, const mpm_message *message)
{
    if (context_role() == ROLE_NONE)
        return context_no_run(call);
    return message ? MPM_OK : error_set(MPM_EINVAL, "%s: the pointer for the message is NULL", call);
}

int message_make_block(size_t size, struct ring_block *block)
{
    return ring_block_make(context_arena(), size, process_own_number(), block);
}

mpm_message message_of(const struct ring_block *block)
{
    return (mpm_message){arena_at(context_arena(), block->at), block->size};
}

int message_find_block(const char *call, const mpm_message *message, struct ring_block *block)
{
    uint64_t at;
    size_t room;

    if (context_role() == ROLE_NONE)
        return context_no_run(call);
    if (!message || !message->bytes)
        return error_set(MPM_EINVAL, "%s: there is no message: %s", call,
                         message ? "it was never made, or was put or destroyed"
                                 : "the pointer to it is NULL");
    at = arena_offset(context_arena(), message->bytes);
    room = arena_room(context_arena(), at - RING_BLOCK_AT, process_own_number());
    if (room < RING_BLOCK_AT)
        return error_set(MPM_EINVAL,
                         "%s: the bytes are not those of a message that mpm_message_create() or "
                         "mpm_queue_get_message() has given to this process, and that is its own still",
                         call);
    if (message->size > room - RING_BLOCK_AT)
        return error_set(MPM_EINVAL, "%s: the message says that it has %zu bytes, but there is room for %zu",
                         call, message->size, room - RING_BLOCK_AT);
    *block = (struct ring_block){at - RING_BLOCK_AT, at, message->size};
    return MPM_OK;
}

int mpm_message_create(size_t size, mpm_message *message)
{
    struct ring_block block;
    int status;

    if (!(status = message_check_place("mpm_message_create", message)) &&
        !(status = message_make_block(size, &block)))
        *message = message_of(&block);
    return status;
}

void mpm_message_destroy(mpm_message *message)
{
    struct ring_block block;

    if (!message || !message->bytes)
        return;
    if (message_find_block("mpm_message_destroy", message, &block))
        log_write(MPM_LOG_ERROR, "%s", mpm_error());
    else
        arena_free(context_arena(), block.block);
    *message = (mpm_message){0};
}
