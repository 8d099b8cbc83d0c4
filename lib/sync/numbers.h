/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers in an object: what values and arrays share. A value is one number in the body of an object record, alone on
 * its cache line, so that who updates it does not take away the lines by which others find it; an array is
 * numbers in a block of the arena that hangs from an object record. Who writes what: see numbers.c. For sync/. */
#ifndef SYNC_NUMBERS_H
#define SYNC_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"
#include "mpmap/type.h"

#include "object/object.h"
#include "sync/number.h"
#include "sync/own_lock.h"

/* What the body of the object record holds: constant, but for the number. */
struct numbers {
    struct own_lock own_lock; /* not constant: see own_lock.c */
    mpm_type type;
    uint64_t place; /* as its handles have it: the number of the object record, and the type */
    uint64_t length;
    uint64_t block;               /* where the numbers of an array stand, or 0, */
    int64_t distance;             /* and how far behind this struct the first one is, in every process */
    _Alignas(64) uint64_t number; /* of a value: its first bytes, if the type has fewer */
};

/* A handle of a value or an array tells its type in the highest byte of `place`: so whoever has it knows how
 * many bytes a number has, without asking its home. The object says it, too, and the home compares. */

/* MPM_NO_TYPE if it tells none. */
static inline mpm_type number_type_of(mpm_handle handle)
{
    uint64_t type = handle.place >> OBJECT_PLACE_BITS;

    return type <= MPM_F64 ? (mpm_type)type : MPM_NO_TYPE;
}

static inline uint64_t number_place(uint64_t place, mpm_type type)
{
    return place | (uint64_t)type << OBJECT_PLACE_BITS;
}

static inline mpm_handle number_handle(mpm_handle object, mpm_type type)
{
    object.place = number_place(object.place, type);
    return object;
}

/* The handle as object/object.h knows it. */
static inline mpm_handle number_object(mpm_handle handle)
{
    handle.place = object_place(&handle);
    return handle;
}

/* The number at `index`, below the length or one past the end of it, of numbers that are as long as those of `type`. */
static inline void *numbers_of_type_at(struct numbers *numbers, mpm_type type, uint64_t index)
{
    return (char *)numbers + numbers->distance + index * number_size(type);
}

static inline void *numbers_at(struct numbers *numbers, uint64_t index)
{
    return numbers_of_type_at(numbers, numbers->type, index);
}

/* Makes one, of the caller's node: OBJECT_VALUE with length 1, or OBJECT_ARRAY. MPM_EINVAL, MPM_ENOMEM, MPM_ESTATE. */
int numbers_create(enum object_kind kind, mpm_type type, size_t length, const void *initial,
                   mpm_handle *handle);
int numbers_destroy(mpm_handle handle, enum object_kind kind);

/* Their own lock. */
int numbers_lock(mpm_handle handle, enum object_kind kind, double timeout_s);
int numbers_unlock(mpm_handle handle, enum object_kind kind);

/* At home. MPM_EINVAL, MPM_ESTALE. */
int numbers_find(mpm_handle handle, enum object_kind kind, struct numbers **numbers);
/* Where they stand, at home. MPM_EINVAL elsewhere. */
int numbers_pointer(const char *call, mpm_handle handle, enum object_kind kind, void **pointer);
/* MPM_EINVAL unless it tells a type. */
int numbers_check_handle(mpm_handle handle, enum object_kind kind);

/* What is to become of a number. `operand`, `desired` and `before` may be NULL where the operation has none, or nobody
 * wants to know. */
struct number_change {
    enum number_op op;
    const void *operand, *desired;
    void *before; /* out */
};

/* Changes one wherever it is, and one that was found: see numbers_update(). */
int numbers_update_slowly(mpm_handle handle, enum object_kind kind, size_t index,
                          const struct number_change *change);
int numbers_update_found(struct numbers *numbers, size_t index, const struct number_change *change);

/* The numbers that a handle names, if they are at home, were found lately, and are still there; else NULL. */
static inline struct numbers *numbers_find_recent(mpm_handle handle, enum object_kind kind)
{
    struct object *object = object_recent_at(handle.place);
    struct numbers *here;

    if (!object || handle.kind != kind || !object_is(object, &handle))
        return NULL;
    here = (struct numbers *)object->body;
    return here->place == handle.place ? here : NULL;
}

/* Changes the number at an address. With a constant type it is a few instructions. */
static inline __attribute__((always_inline)) void numbers_update_at(void *address, mpm_type type,
                                                                    struct number_change change)
{
    uint64_t bits = number_update(change.op, type, address,
                                  change.operand ? number_bits(type, change.operand) : 0,
                                  change.desired ? number_bits(type, change.desired) : 0);

    if (change.before)
        number_put(type, bits, change.before);
}

/* Inlined is what is done most often: one instruction, on a number of 8 bytes that is at home and was found lately. How
 * often one number can be added to is told by how soon after one such instruction the next one may begin, which
 * is when all before it is done: so there is as little as can be before it. */
static inline __attribute__((always_inline)) int numbers_update(mpm_handle handle, enum object_kind kind,
                                                                size_t index, struct number_change change)
{
    struct numbers *here = numbers_find_recent(handle, kind);

    /* Only a copy has an address: `change` itself stays in registers. */
    if (!here || (kind == OBJECT_ARRAY && index >= here->length)) {
        struct number_change copy = change;

        return numbers_update_slowly(handle, kind, index, &copy);
    }
    if (!number_updates_as_i64(change.op, number_type_of(handle))) {
        struct number_change copy = change;

        return numbers_update_found(here, index, &copy);
    }
    numbers_update_at(kind == OBJECT_VALUE ? &here->number : numbers_of_type_at(here, MPM_I64, index),
                      MPM_I64, change);
    return 0;
}

/* The methods that both kinds have. */
enum { NUMBERS_UPDATE = OWN_LOCK_METHODS, NUMBERS_DESTROY, NUMBERS_METHODS };
extern const struct method value_methods[], array_methods[];
method_try numbers_try_update, numbers_serve_update, numbers_try_destroy, numbers_serve_destroy;
bool numbers_update_makes_sense(const mpm_handle *handle, const struct invocation *invocation);
int numbers_carry_out(const mpm_handle *handle, const void *bytes, size_t size, size_t count, size_t *done);
int numbers_find_object(const mpm_handle *handle, enum object_kind kind, struct object **object);

/* An update: it gives the bits before. Also what is posted. */
struct number_update {
    uint32_t op;        /* enum number_op */
    uint32_t no_result; /* 1: nobody wants to know what was before, so the next one may be posted */
    uint64_t index;
    uint64_t operand, desired;
};

#define NUMBERS_METHODS_OF(kind)                                       \
    OWN_LOCK_METHODS_OF(kind),                                         \
        [NUMBERS_UPDATE] = {(kind),                                    \
                            NUMBERS_UPDATE,                            \
                            "update",                                  \
                            .in_size = sizeof(struct number_update),   \
                            .out_size = sizeof(uint64_t),              \
                            .makes_sense = numbers_update_makes_sense, \
                            .find = numbers_find_object,               \
                            .try = numbers_try_update,                 \
                            .serve = numbers_serve_update},            \
        [NUMBERS_DESTROY] = {(kind),                                   \
                             NUMBERS_DESTROY,                          \
                             "destroy",                                \
                             .find = numbers_find_object,              \
                             .try = numbers_try_destroy,               \
                             .serve = numbers_serve_destroy,           \
                             .by_courier = true}

/* MPM_EINVAL: a pointer that `call` was given is NULL. */
int numbers_missing(const char *call);

#endif
