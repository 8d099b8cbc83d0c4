/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on objects that may have to wait, in a process of the object's home: one try; if it must wait,
 * look on for a little, then sleep on one of the object's waits until a change, and try again. The same try is
 * what the home's courier does for callers of other nodes (call.h). For object/ and the layers above it. */
#ifndef OBJECT_OPERATION_H
#define OBJECT_OPERATION_H

#include <stdbool.h>

#include "mpmap/handle.h"
#include "mpmap/status.h"

#include "object/call.h"
#include "object/object.h"
#include "object/turn.h"

struct operation {
    enum object_kind kind;
    /* 0, a status with its sentence, or CALL_MUST_WAIT. */
    int (*try)(struct object *object, const mpm_handle *handle, void *argument);
    /* Whether a try makes sense: it looks without a lock, and may be wrong for a moment. */
    bool (*is_ready)(const struct object *object, const void *argument);
    unsigned wait; /* of the object: rung by whoever makes it ready */
    int late_status;
    const char *late_sentence;
    /* How much of what it waits for there is, if one try may leave some of it for the next one; else NULL. */
    uint64_t (*amount)(const struct object *object);
    bool is_interruptible; /* a wait of the program's: mpm_interrupt_waits() ends it */
};

/* After a first try that must wait: waits, and tries again, until it is done or timeout_s have passed, which
 * gives late_status. MPM_EINTERRUPTED; MPM_ENODELOST if the run breaks. Not in a courier. */
int operation_wait(const struct operation *operation, struct object *object, const mpm_handle *handle,
                   void *argument, double timeout_s);

/* Finds an object of this node, the fast way first. MPM_EINVAL, MPM_ESTALE. */
static inline int operation_find(const struct operation *operation, const mpm_handle *handle,
                                 struct object **object)
{
    if ((*object = object_find_recent(handle, operation->kind)))
        return MPM_OK;
    return object_find(handle, operation->kind, object);
}

/* The whole, at home. */
static inline int operation_run(const struct operation *operation, const mpm_handle *handle, void *argument,
                                double timeout_s)
{
    struct object *object;
    int status;

    if ((status = operation_find(operation, handle, &object)))
        return status;
    status = operation->try(object, handle, argument);
    return status == CALL_MUST_WAIT ? operation_wait(operation, object, handle, argument, timeout_s) : status;
}

/* The same for one that takes turns (object/turn.h): `turn`, in the argument, is TURN_STANDS_BACK. Who may wait no
 * longer, or never could, stands back no longer. */
int operation_wait_in_turn(const struct operation *operation, struct object *object, const mpm_handle *handle,
                           void *argument, enum turn *turn, double timeout_s);

static inline int operation_run_in_turn(const struct operation *operation, const mpm_handle *handle,
                                        void *argument, enum turn *turn, double timeout_s)
{
    struct object *object;
    int status;

    if ((status = operation_find(operation, handle, &object)))
        return status;
    status = operation->try(object, handle, argument);
    return status == CALL_MUST_WAIT
               ? operation_wait_in_turn(operation, object, handle, argument, turn, timeout_s)
               : status;
}

/* Between a change that was made under a robust mutex, after its unlock, and the look whether anybody waits
 * for it: unlocking is a store that may still be on its way. */
static inline void operation_fence_after_unlock(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* Tells those who wait, here and on other nodes, of a change. After a full fence. */
static inline void operation_tell(struct object *object, unsigned wait)
{
    object_wake(&object->wait[wait]);
    object_changed(object);
}

#endif
