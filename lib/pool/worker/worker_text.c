/* SPDX-License-Identifier: BSD-3-Clause */
/* What tasks say of their failures: kept in the worker's own memory until the item has failed, then written where the
 * node pool reads it. failure_text.h says in which order, and what a death at each step means. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "forkserver/forkserver.h"
#include "pool/worker/worker_self.h"
#include "shm/kill_point.h"

/* A text of `length` bytes that is too long for its usual place. Without memory for it that has to do. */
static void keep_whole(mpm_call *call, const char *format, va_list arguments, size_t length)
{
    size_t size = (length < FAILURE_LONGEST ? length : FAILURE_LONGEST) + 1;

    free(call->long_text);
    if (!(call->long_text = malloc(size)))
        return;
    vsnprintf(call->long_text, size, format, arguments);
    if (length > FAILURE_LONGEST)
        text_cut(call->long_text, size, TEXT_CUT_MARK);
    call->long_size = size;
}

int mpm_fail(mpm_call *call, const char *format, ...)
{
    va_list arguments, again;
    int length;

    if (!call)
        return 1;
    if (!format)
        format = "the task gave no reason";
    call->long_size = 0;
    va_start(arguments, format);
    va_copy(again, arguments);
    length = vsnprintf(call->text, sizeof call->text, format, arguments);
    if (length >= (int)sizeof call->text) {
        keep_whole(call, format, again, (size_t)length);
        text_cut(call->text, sizeof call->text, TEXT_CUT_MARK);
    }
    va_end(again);
    va_end(arguments);
    return 1;
}

void worker_forget_text(void)
{
    struct mpm_call *call = &worker_self.call;

    call->text[0] = 0;
    call->long_size = 0;
    free(call->long_text);
    call->long_text = NULL;
}

/* What a map keeps of long texts is bounded on each node. */
static bool is_within_room(struct job_block *job, size_t size)
{
    return !job || atomic_fetch_add(&job->text_used, size) + size <= job->text_room;
}

/* false without room. What the task finds in mpm_error() stays. */
static bool take_block(size_t size, uint64_t *offset)
{
    char *before = strdup(mpm_error());
    bool has_room = !arena_alloc(worker_self.arena, sizeof(struct text_block) + size, process_own_number(),
                                 offset);

    if (!has_room && before)
        error_set(MPM_OK, "%s", before);
    free(before);
    return has_room;
}

/* NULL, or the mark of a text that has to be cut. */
static const char *link_long(struct failure_text *said, struct job_block *job)
{
    struct arena *arena = worker_self.arena;
    size_t size = worker_self.call.long_size;
    struct text_block *block;
    uint64_t offset;

    if (!is_within_room(job, size))
        return FAILURE_BUDGET_MARK;
    if (!take_block(size, &offset))
        return FAILURE_NO_ROOM_MARK;
    KILL_POINT();
    block = arena_at(arena, offset);
    block->next = atomic_load(&said->blocks);
    memcpy(block->text, worker_self.call.long_text, size);
    atomic_store(&worker_self.record->linking, arena_offset(arena, &said->blocks));
    KILL_POINT();
    atomic_store(&said->blocks, offset);
    KILL_POINT();
    arena_pass(arena, offset, worker_self.board->owner);
    KILL_POINT();
    atomic_store(&worker_self.record->linking, 0);
    KILL_POINT();
    said->is_long = 1;
    return NULL;
}

void worker_write_text(struct failure_text *said, struct job_block *job)
{
    const struct mpm_call *call = &worker_self.call;
    const char *mark = NULL;

    said->is_long = 0;
    memcpy(said->text, call->text, sizeof said->text);
    if (call->text[0] && call->long_size)
        mark = link_long(said, job);
    if (mark)
        text_copy(said->text, sizeof said->text, call->long_text, mark);
}
