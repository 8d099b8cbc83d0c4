/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls in the old way, for kinds that have no table of methods yet: all that goes and comes is bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "object/call.h"

#define OLD_VERBS CALL_VERBS

static struct old {
    call_try *try;
    call_side *side;
    struct call_ends ends;
    struct method method;
} olds[OLD_VERBS];

const struct method *call_old_method(uint32_t verb)
{
    return verb < OLD_VERBS && olds[verb].try ? &olds[verb].method : NULL;
}

static int run(call_try *try, const mpm_handle *handle, struct invocation *invocation)
{
    struct call_reply reply = {.bytes = NULL};
    int status = try(handle, invocation->tail, invocation->tail_size, &reply);

    invocation->more = reply.bytes;
    invocation->size = reply.size;
    invocation->gives = reply.gives;
    invocation->asks = reply.asks;
    if (status == CALL_MUST_WAIT) {
        free(reply.bytes);
        invocation->more = NULL;
    }
    return status;
}

static enum turn now;

enum turn call_turn(void)
{
    return now;
}

static int serve(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    (void)object;
    now = invocation->turn;
    return run(olds[invocation->method->verb].try, handle, invocation);
}

static int late(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct old *old = &olds[invocation->method->verb];

    (void)object;
    if (old->ends.late)
        return run(old->ends.late, handle, invocation);
    return error_set(old->method.late_status, "%s", old->method.late_sentence);
}

static int undo(const mpm_handle *handle, struct invocation *invocation, bool was_given)
{
    struct call_reply reply = {.bytes = invocation->more, .size = invocation->size};

    return olds[invocation->method->verb].ends.undo(handle, invocation->tail, invocation->tail_size,
                                                    was_given ? &reply : NULL);
}

static void arrived(const struct invocation *invocation)
{
    olds[invocation->method->verb].ends.arrived(invocation->tail, invocation->tail_size);
}

static unsigned side(const struct invocation *invocation)
{
    return olds[invocation->method->verb].side(invocation->tail, invocation->tail_size);
}

void call_register(enum call_verb verb, call_try *try, int late_status, const char *late_sentence)
{
    olds[verb] = (struct old){.try = try,
                              .method = {.verb = verb,
                                         .name = "call",
                                         .tail_unit = 1,
                                         .has_more = true,
                                         .try = serve,
                                         .late = late,
                                         .awaits_tail = verb == VERB_WAIT_ANY,
                                         .late_status = late_status,
                                         .late_sentence = late_sentence}};
}

void call_register_ends(enum call_verb verb, const struct call_ends *ends)
{
    olds[verb].ends = *ends;
    olds[verb].method.undo = ends->undo ? undo : NULL;
    olds[verb].method.arrived = ends->arrived ? arrived : NULL;
}

void call_register_turns(enum call_verb verb, call_side *turns)
{
    olds[verb].side = turns;
    olds[verb].method.side = side;
}

int call_reply_add(struct call_reply *reply, const void *bytes, size_t size)
{
    void *grown = realloc(reply->bytes, reply->size + size + 1);

    if (!grown)
        return error_set(MPM_ENOMEM, "no memory for a reply of %zu bytes", reply->size + size);
    reply->bytes = grown;
    if (size)
        memcpy((char *)grown + reply->size, bytes, size);
    reply->size += size;
    return MPM_OK;
}

/* The old way: all of it is bytes. */
static int call_bytes(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
                      double timeout_s, void *out, size_t room, size_t *out_size, bool is_timed)
{
    struct method method = {
        .verb = verb, .has_more = true, .is_timed = is_timed, .late_status = CALL_NO_ANSWER};
    struct invocation invocation = {
        .method = &method, .tail = in, .tail_size = in_size, .more = out, .room = room};
    int status = call_run(handle, &invocation, timeout_s);

    if (out_size)
        *out_size = invocation.size;
    return status;
}

int call_remote(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
                double timeout_s, void *out, size_t room, size_t *out_size)
{
    return call_bytes(handle, verb, in, in_size, timeout_s, out, room, out_size, false);
}

int call_timed(const mpm_handle *handle, enum call_verb verb, const void *in, size_t in_size,
               double timeout_s, void *out, size_t room, size_t *out_size)
{
    return call_bytes(handle, verb, in, in_size, timeout_s, out, room, out_size, true);
}
