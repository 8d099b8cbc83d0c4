/* SPDX-License-Identifier: BSD-3-Clause */
/* What was given; see the header. */
#include "object/call_given.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread_role.h"
#include "node/context.h"

/* The last reply to a request of another node. */
struct answered {
    uint32_t serial; /* of the call; 0: none yet */
    struct given *given;
};

/* By node, then by request. */
static struct {
    struct answered *request;
    uint32_t count;
} * answers;
static unsigned reply_nodes;

/* NULL if there is no memory, which costs the caller its way back, and nobody else anything. */
static struct answered *reply_of(unsigned node, uint32_t request)
{
    struct answered *grown;
    uint32_t count;

    if (!answers && !(answers = calloc(context_topology()->node_count, sizeof *answers)))
        return NULL;
    reply_nodes = context_topology()->node_count;
    if (request < answers[node].count)
        return &answers[node].request[request];
    count = request + 1 + request / 2;
    if (!(grown = realloc(answers[node].request, count * sizeof *grown)))
        return NULL;
    memset(grown + answers[node].count, 0, (count - answers[node].count) * sizeof *grown);
    answers[node].request = grown;
    answers[node].count = count;
    return &grown[request];
}

struct reply_bytes *reply_bytes_share(const struct invocation *invocation)
{
    struct reply_bytes *shared = malloc(sizeof *shared);

    if (shared)
        *shared = (struct reply_bytes){1, *invocation};
    return shared;
}

void reply_bytes_release(void *shared)
{
    struct reply_bytes *reply = shared;

    if (--reply->users)
        return;
    invocation_free_more(&reply->invocation);
    free(reply);
}

/* Whoever is to free `more`. */
static struct invocation *owner_of_more(struct given *given)
{
    return given->shared ? &given->shared->invocation : &given->invocation;
}

void given_offer_block(struct given *given)
{
    struct ring_block *block = &owner_of_more(given)->more_block;
    bool is_under_way = given->shared && given->shared->users > 1;

    given->invocation.block = block->block && !is_under_way ? block : NULL;
}

void given_note_block(struct given *given)
{
    if (given->invocation.block && !given->invocation.block->block)
        owner_of_more(given)->more = given->invocation.more = NULL;
    given->invocation.block = NULL;
}

static struct given *make_given(const struct message_call *call, struct invocation *invocation,
                                struct reply_bytes *shared)
{
    const struct method *method = invocation->method;
    struct given *given = malloc(sizeof *given);

    if (!given)
        return NULL;
    given->next = NULL;
    given->call = *call;
    given->invocation = *invocation;
    given->invocation.in = memcpy(given->in, invocation->in, method->in_size);
    given->invocation.out = memcpy(given->out, invocation->out, method->out_size);
    given->invocation.tail = NULL;
    given->invocation.tail_size = 0;
    given->invocation.block = NULL;
    invocation->more = NULL;
    invocation->more_block = (struct ring_block){0};
    if ((given->shared = shared))
        shared->users++;
    return given;
}

void given_note(unsigned node, const struct message_call *call, struct invocation *invocation,
                struct reply_bytes *shared)
{
    struct answered *answered = reply_of(node, call->request);

    assert(thread_is(THREAD_COURIER));
    if (answered)
        *answered = (struct answered){call->serial,
                                      invocation->gives ? make_given(call, invocation, shared) : NULL};
}

bool given_take(unsigned node, const struct message_call *call, struct given **given)
{
    struct answered *answered = reply_of(node, call->request);
    bool was_answered = answered && answered->serial == call->serial;

    assert(thread_is(THREAD_COURIER));
    *given = was_answered ? answered->given : NULL;
    if (was_answered)
        answered->given = NULL;
    return was_answered;
}

struct given *given_arrived(unsigned node, uint32_t request, uint32_t serial)
{
    struct answered *answered = reply_of(node, request);
    struct given *given = answered && (!serial || answered->serial == serial) ? answered->given : NULL;

    assert(thread_is(THREAD_COURIER));
    if (given)
        answered->given = NULL;
    return given;
}

void given_free(struct given *given)
{
    if (given && given->shared)
        reply_bytes_release(given->shared);
    else if (given)
        invocation_free_more(&given->invocation);
    free(given);
}

void given_forget_node(unsigned node)
{
    assert(thread_is(THREAD_COURIER));
    if (!answers)
        return;
    for (uint32_t i = 0; i < answers[node].count; i++)
        given_free(answers[node].request[i].given);
    free(answers[node].request);
    memset(&answers[node], 0, sizeof *answers);
}

void given_forget_all(void)
{
    for (unsigned node = 0; answers && node < reply_nodes; node++) {
        for (uint32_t i = 0; i < answers[node].count; i++)
            given_free(answers[node].request[i].given);
        free(answers[node].request);
    }
    free(answers);
    answers = NULL;
}
