/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds and their methods, and what is checked of a call before anything is done; see the header. The table is written
 * before a process of the node is forked, and read by all of them. */
#include "object/method.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "node/context.h"

#define KINDS     32u
#define VERB_BITS 8u

static const struct kind *kinds[KINDS];
static const struct method *methods[KINDS][METHODS_PER_KIND];

static void add_method(const struct method *method)
{
    assert(method->kind < KINDS && method->verb < METHODS_PER_KIND && method->try);
    assert(method->in_size <= METHOD_IN_LIMIT && method->out_size <= METHOD_OUT_LIMIT);
    assert(!method->gives || method->undo);
    assert(!method->undo ||
           (method->in_size <= METHOD_GIVEN_LIMIT && method->out_size <= METHOD_GIVEN_LIMIT));
    assert(!methods[method->kind][method->verb] || methods[method->kind][method->verb] == method);
    methods[method->kind][method->verb] = method;
}

void kind_register(const struct kind *const *added, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!kinds[added[i]->kind])
            kinds[added[i]->kind] = added[i];
        for (size_t j = 0; j < added[i]->count; j++)
            add_method(&added[i]->methods[j]);
    }
}

const struct kind *kind_of(unsigned kind)
{
    return kind < KINDS ? kinds[kind] : NULL;
}

uint32_t method_code(const struct method *method)
{
    return (uint32_t)method->kind << VERB_BITS | method->verb;
}

const struct method *method_of(uint32_t code)
{
    uint32_t kind = code >> VERB_BITS, verb = code & ((1u << VERB_BITS) - 1);

    return kind < KINDS && verb < METHODS_PER_KIND ? methods[kind][verb] : NULL;
}

/* What is wrong with it, if anything is. */

static int say_unknown(uint32_t code)
{
    const char *kind = object_kind_name((enum object_kind)(code >> VERB_BITS));

    return error_set(MPM_EPROTOCOL, "there is no call %u on %s %s", code & ((1u << VERB_BITS) - 1),
                     ARTICLE(kind), kind);
}

static int check_handle(const struct method *method, const mpm_handle *handle)
{
    const char *has = object_kind_name((enum object_kind)handle->kind);
    const char *wants = object_kind_name(method->kind);

    if (handle->kind == method->kind)
        return MPM_OK;
    return error_set(MPM_EPROTOCOL, "\"%s\" is a call on %s %s, and has come for %s %s", method->name,
                     ARTICLE(wants), wants, ARTICLE(has), has);
}

static int check_size(const struct method *method, size_t size)
{
    const char *kind = object_kind_name(method->kind);
    size_t tail = size - method->in_size;

    if (size >= method->in_size && (method->tail_unit ? tail % method->tail_unit == 0 : !tail))
        return MPM_OK;
    if (method->tail_unit > 1)
        return error_set(MPM_EPROTOCOL, "\"%s\" of %s %s takes %u bytes and a multiple of %u, not %zu",
                         method->name, ARTICLE(kind), kind, method->in_size, method->tail_unit, size);
    return error_set(MPM_EPROTOCOL, "\"%s\" of %s %s takes %u bytes%s, not %zu", method->name, ARTICLE(kind),
                     kind, method->in_size, method->tail_unit ? " or more" : "", size);
}

static int say_contradiction(const struct method *method, size_t size)
{
    const char *kind = object_kind_name(method->kind);

    return error_set(MPM_EPROTOCOL, "\"%s\" of %s %s, with %zu bytes, is inconsistent", method->name,
                     ARTICLE(kind), kind, size);
}

int method_decode(uint32_t code, const mpm_handle *handle, const struct method_bytes *come,
                  struct invocation *invocation, void *copy)
{
    const struct method *method = method_of(code);
    struct invocation decoded = {.method = method, .in = copy};
    size_t size = come->size + come->tail_size;
    int status;

    if (!method)
        return say_unknown(code);
    if ((status = check_handle(method, handle)) || (status = check_size(method, size)))
        return status;
    assert(!come->tail || come->size == method->in_size);
    memcpy(copy, come->bytes, method->in_size);
    decoded.tail = come->tail ? come->tail : (const char *)come->bytes + method->in_size;
    decoded.tail_size = size - method->in_size;
    if (method->makes_sense && !method->makes_sense(handle, &decoded))
        return say_contradiction(method, size);
    *invocation = decoded;
    return MPM_OK;
}

int method_say_late(struct object *object, const mpm_handle *handle, struct invocation *invocation)
{
    const struct method *method = invocation->method;

    return method->late ? method->late(object, handle, invocation)
                        : error_set(method->late_status, "%s", method->late_sentence);
}

/* Replies. */

int invocation_make_room(struct invocation *invocation, size_t size)
{
    void *grown;

    if (!invocation->is_served || size <= invocation->room)
        return MPM_OK;
    if (!(grown = realloc(invocation->more, size)))
        return error_set(MPM_ENOMEM, "no memory for a reply of %zu bytes", size);
    memory_expect_all(grown, size);
    invocation->more = grown;
    invocation->room = size;
    return MPM_OK;
}

void invocation_free_more(struct invocation *invocation)
{
    if (invocation->more_block.block)
        arena_free(context_arena(), invocation->more_block.block);
    else
        free(invocation->more);
    invocation->more = NULL;
    invocation->more_block = (struct ring_block){0};
}

void invocation_give_block(struct invocation *invocation, const struct ring_block *block)
{
    assert(invocation->is_served);
    invocation_free_more(invocation);
    invocation->more_block = *block;
    invocation->more = arena_at(context_arena(), block->at);
    invocation->room = invocation->size = block->size;
}

int invocation_add(struct invocation *invocation, const void *bytes, size_t size)
{
    size_t at = invocation->size, room;
    int status;

    if ((status = invocation_make_room(invocation, at + size)))
        return status;
    room = at < invocation->room ? invocation->room - at : 0;
    if (size && room)
        memcpy((char *)invocation->more + at, bytes, size < room ? size : room);
    invocation->size += size;
    return MPM_OK;
}
