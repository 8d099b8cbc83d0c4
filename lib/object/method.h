/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods: what can be done to objects of each kind, and the one way in which it is done.
 *
 * Each kind has a table of its methods, which is constant. A method says how many bytes go to the object and come
 * back, which function tries it, what it waits for, what is said when the time is up, and how it is undone for a caller
 * that has gone on meanwhile. invoke() does the rest: at the object's home it tries, and waits; from another node it
 * has the home's courier try (call.h), which checks what has come before any function of a kind sees it.
 *
 * What goes is a struct of a fixed size, `in`, and perhaps bytes behind it, `tail`; what comes is a struct, `out`, and
 * perhaps `more` bytes. At home all four are the caller's own memory. `out` comes with a failure, too. For object/ and
 * the layers above it. */
#ifndef OBJECT_METHOD_H
#define OBJECT_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpmap/handle.h"
#include "mpmap/status.h"

#include "base/error.h"
#include "object/object.h"
#include "object/thread_ref.h"
#include "object/fairness.h"
#include "shm/ring.h"

/* A try that cannot be done now, but perhaps later. Not a status that leaves the library. */
#define CALL_MUST_WAIT 1

#define METHODS_PER_KIND 16u

/* The longest `in` and `out`, and the longest of a method that is undone. */
#define METHOD_IN_LIMIT    ((size_t)2048)
#define METHOD_OUT_LIMIT   ((size_t)256)
#define METHOD_GIVEN_LIMIT ((size_t)64)

struct method;

/* One use of a method. What is not set is zero. */
struct invocation {
    const struct method *method;
    void *in; /* may be changed by a try, for the next one at home */
    const void *tail;
    size_t tail_size;
    const void *second; /* what follows the tail, if that is in two parts: in the courier it is in one */
    size_t second_size;
    void *out;
    void *more;     /* room for what follows `out`: see invocation_make_room() */
    size_t room;    /* bytes there */
    size_t size;    /* bytes that have followed; only the first `room` of them are there */
    size_t reserve; /* from another node: room that is to be found before the call; 0: for all of `room` */
    enum turn turn; /* of a method with sides; zero at home */
    double timeout_s;
    uint64_t seen;  /* by the last try: for `is_ready` */
    bool is_served; /* by the home's courier, for a caller of another node */
    bool gives;     /* there is something to be undone, whatever the status: set by a try in the courier */
    bool asks;      /* to be told when the reply has arrived, however short it is: the same */
    /* Of long messages, which change hands in the block of the arena in which they stand. In the courier, and of a
     * caller who has its message in place (sync/message.h): */
    struct ring_block *block; /* the tail's, or NULL; who takes it leaves none. In `undo`: that of `more` */
    struct ring_block more_block; /* that of `more`, if a try has got it so; it is this process's */
    bool in_place;                /* what follows `out` is to come so; at home only if it is long */
};

/* One try. 0 or a status with its sentence, or CALL_MUST_WAIT. `object` is NULL for nodes and processes. In the courier
 * it must not block but for short locks. */
typedef int method_try(struct object *object, const mpm_handle *handle, struct invocation *invocation);

struct method {
    enum object_kind kind;
    uint32_t verb;    /* among those of the kind */
    const char *name; /* in sentences: "put" */

    uint32_t in_size;
    uint32_t tail_unit; /* bytes behind `in` are a multiple of that many; 0: there are none */
    uint32_t out_size;
    bool has_more; /* bytes may follow `out` */
    /* Whether what has come agrees with itself, where sizes do not say it all; NULL: always. */
    bool (*makes_sense)(const mpm_handle *handle, const struct invocation *invocation);

    /* NULL: as object_find() does it. */
    int (*find)(const mpm_handle *handle, enum object_kind kind, struct object **object);
    method_try *try;
    method_try *serve; /* in place of `try`, for callers of other nodes; or NULL */
    /* Whether a long tail is one message, which `try` takes by its block; NULL: it never is. `in` may be nonsense. */
    bool (*takes_block)(const void *in, size_t tail_size);

    /* Waiting at home: on one of the object's waits, which whoever makes it ready rings; */
    unsigned wait;
    unsigned (*wait_of)(const struct invocation *invocation); /* where it is not always the same one; */
    /* whether a try makes sense: it looks without a lock, and may be wrong for a moment; */
    bool (*is_ready)(const struct object *object, const struct invocation *invocation);
    /* how much of what it waits for there is, if one try may leave some of it for the next one; else NULL; */
    uint64_t (*amount)(const struct object *object);
    /* of nodes and processes: what is rung; NULL if the handle names nothing; */
    struct eventcount *(*sleeps_on)(const mpm_handle *handle);
    /* or left to the courier, as if the caller was at another node. */
    bool by_courier;

    /* Taking turns with callers of other nodes: the side of the object. NULL: there are no turns. */
    unsigned (*side)(const struct invocation *invocation);
    bool
        awaits_tail; /* the tail is handles of objects: whoever changes one of them is to ring the doorbell */

    bool is_timed; /* from another node the time limit is the caller's: see call.h; it can be interrupted */
    bool is_interruptible; /* it can be, without that: mpm_interrupt_waits() */
    int late_status;
    const char *late_sentence;
    method_try *late; /* in place of the two: what is done when the time is up. Never CALL_MUST_WAIT */

    /* In the courier. The caller has taken it back. If it `was_given`, `out` and `more` are as they were sent, and may
     * be changed; else it has not been tried, or had to wait, or has failed. CALL_MUST_WAIT: there is no memory for it
     * now, and it is called once more, later. */
    int (*undo)(const mpm_handle *handle, struct invocation *invocation, bool was_given);
    bool gives; /* what has succeeded is to be undone */
    /* What was given has arrived. */
    void (*arrived)(const struct invocation *invocation);

    const void *own; /* what its kind needs to know of it */
};

/* By a layer, before any process of a node is forked: what there is of a kind. What is said of a kind first counts.
 * The functions may be NULL. */
struct kind {
    enum object_kind kind;
    const struct method *methods;
    size_t count;
    /* For mpm_wait_any: 0 if an object of this node is ready, CALL_MUST_WAIT if it is not, or a status with its
     * sentence. It must not block but for short locks. Whoever makes an object ready calls object_changed(), or rings
     * the node's doorbell, afterwards. */
    int (*looks)(const mpm_handle *handle);
    /* Before that, in the process that waits: whether it may. MPM_EINVAL. NULL: everybody may. */
    int (*admits)(const mpm_handle *handle);
    /* One more or one less of the kind, by `change`, is waited for on the doorbell. NULL: as object_note_waiting(). */
    void (*waits)(int change);
    thread_ref_mark *marks; /* see thread_ref.h */
    thread_ref_take *takes;
    /* What was posted to an object (post.h) is carried out: `done` tells how many of `count`. CALL_MUST_WAIT if the
     * arena has no memory for the others now; any other status but 0 is our bug, and goes into the log. */
    int (*carries_out)(const mpm_handle *handle, const void *bytes, size_t size, size_t count, size_t *done);
};
void kind_register(const struct kind *const *kinds, size_t count);
/* NULL if nothing is known of it. */
const struct kind *kind_of(unsigned kind);

/* Those of nodes: of several layers. */
enum node_method { NODE_WAIT_ANY, NODE_START_PROCESS, NODE_CHILDREN, NODE_IS_OVER };

static inline bool method_is_interruptible(const struct method *method)
{
    return method->is_timed || method->is_interruptible;
}

/* What a method is called between nodes, and back: NULL if there is none. */
uint32_t method_code(const struct method *method);
const struct method *method_of(uint32_t code);

/* What has come for a method. */
struct method_bytes {
    const void *bytes; /* `in`, and the tail, */
    size_t size;
    const void *tail; /* unless that stands apart; or NULL */
    size_t tail_size;
};
/* Its `in` is copied to `copy`, which has METHOD_IN_LIMIT bytes. MPM_EPROTOCOL for what no caller would send. */
int method_decode(uint32_t code, const mpm_handle *handle, const struct method_bytes *come,
                  struct invocation *invocation, void *copy);

/* The object, the fast way first. MPM_EINVAL, MPM_ESTALE. */
static inline int method_find(const struct method *method, const mpm_handle *handle, struct object **object)
{
    if (method->find)
        return method->find(handle, method->kind, object);
    if (method->kind <= OBJECT_PROCESS) {
        *object = NULL;
        return MPM_OK;
    }
    if ((*object = object_find_recent(handle, method->kind)))
        return MPM_OK;
    return object_find(handle, method->kind, object);
}

/* The time is up. */
int method_say_late(struct object *object, const mpm_handle *handle, struct invocation *invocation);

/* In a try: room for `size` bytes in `more`. At home it is the caller's, and `room` may be less; in the courier it is
 * allocated. MPM_ENOMEM. */
int invocation_make_room(struct invocation *invocation, size_t size);
/* In the courier: frees it, or the block that it stands in. */
void invocation_free_more(struct invocation *invocation);
/* In a try in the courier: a message that was got in its block, which is the process's, is all of `more`. */
void invocation_give_block(struct invocation *invocation, const struct ring_block *block);
/* Room, and copies bytes there. */
int invocation_add(struct invocation *invocation, const void *bytes, size_t size);

/* At home, after a first try that must wait: waits, and tries again, until it is done or timeout_s have passed.
 * MPM_ENODELOST if the run breaks. Not in a courier. */
int invoke_wait(struct object *object, const mpm_handle *handle, struct invocation *invocation,
                double timeout_s);
/* From another node. */
int invoke_remote(const mpm_handle *handle, struct invocation *invocation, double timeout_s);

static inline int invoke_local(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    struct object *object;
    int status;

    if ((status = error_check_timeout(timeout_s)) ||
        (status = method_find(invocation->method, handle, &object)))
        return status;
    status = invocation->method->try(object, handle, invocation);
    return status == CALL_MUST_WAIT ? invoke_wait(object, handle, invocation, timeout_s) : status;
}

/* Does it, wherever the object is. The method's statuses; MPM_EINVAL for what is no handle of its kind, MPM_ESTALE,
 * MPM_ENOMEM, MPM_ESTATE without a run, MPM_ENODELOST. Not in a courier. */
static inline int invoke(const mpm_handle *handle, struct invocation *invocation, double timeout_s)
{
    return object_is_home(handle) ? invoke_local(handle, invocation, timeout_s)
                                  : invoke_remote(handle, invocation, timeout_s);
}

#endif
