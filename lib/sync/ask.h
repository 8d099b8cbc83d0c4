/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking a lock, semaphore, condition, event or barrier for something, wherever it lives: at home a process
 * runs the step itself, from other nodes the home's courier does, with the caller's party. For sync/ only. */
#ifndef SYNC_ASK_H
#define SYNC_ASK_H

#include "object/operation.h"
#include "sync/state.h"

enum ask_verb {
    ASK_LOCK_ACQUIRE,
    ASK_LOCK_REGAIN,
    ASK_LOCK_RELEASE,
    ASK_LOCK_DEEPEN,
    ASK_LOCK_DESTROY,
    ASK_SEMAPHORE_ACQUIRE,
    ASK_SEMAPHORE_RELEASE,
    ASK_SEMAPHORE_LOOK,
    ASK_SEMAPHORE_DESTROY,
    ASK_CONDITION_CREATE,
    ASK_CONDITION_WAIT,
    ASK_CONDITION_LEAVE,
    ASK_CONDITION_NOTIFY,
    ASK_CONDITION_DESTROY,
    ASK_EVENT_SET,
    ASK_EVENT_CLEAR,
    ASK_EVENT_LOOK,
    ASK_EVENT_WAIT,
    ASK_EVENT_DESTROY,
    ASK_BARRIER_WAIT,
    ASK_BARRIER_LEAVE,
    ASK_BARRIER_ACTION,
    ASK_BARRIER_DONE,
    ASK_BARRIER_ABORT,
    ASK_BARRIER_RESET,
    ASK_BARRIER_LOOK,
    ASK_BARRIER_DESTROY,
    ASK_LOCK_LEAVE,
    ASK_SEMAPHORE_LEAVE,
    ASK_VERBS,
};

/* One try of a verb with an object of this node. As a step. */
struct asking;
typedef int ask_try(struct object *object, const mpm_handle *handle, struct asking *asking);

/* A verb of a kind. */
struct ask {
    enum ask_verb verb;
    enum object_kind kind;   /* OBJECT_NODE: the try gets no object */
    state_step *step;        /* or */
    ask_try *try;            /* what takes more than one step */
    bool needs_permit;       /* no try makes sense as long as `value` is 0 */
    bool always_waits;       /* for a moment at least, even with a timeout of 0 */
    bool is_timed;           /* its time limit is the caller's: see object/call.h; it can be interrupted */
    bool is_interruptible;   /* it can be, without that */
    const struct ask *leave; /* asked for when its time is up, if it has waited; may wait, and counts */
    /* Its caller, of another node, has taken it back: the request's number is 1 if it was given what it asked for, as
     * the answer says, and 0 if it was not, or was never tried. */
    state_step *undo;
    const char *late_sentence; /* of MPM_ETIMEDOUT */
};

/* The number of an answer to who asked from another node, and whose time is up, while it still has to wait for
 * `leave`: it is to ask for that, and waits as long as it takes. */
#define ASK_IS_TO_LEAVE UINT64_MAX

/* A verb that is being asked for, at the object's home. */
struct asking {
    const struct ask *ask;
    struct request request;
    struct answer answer;
    uint64_t commit; /* of the state at the last try */
};

/* Has couriers do these. In every leader, before its courier starts. */
void ask_register(const struct ask *const *asks, size_t count);

/* Asks. From another node a verb that `is_timed` returns within its limit: what it is given then is undone. `request`
 * and `answer` may be NULL; `answer->bytes` is the caller's to free. The verb's statuses; MPM_ETIMEDOUT,
 * MPM_EINTERRUPTED, MPM_EINVAL for
 * what is no handle, MPM_ESTALE, MPM_ENOMEM, MPM_ESTATE without a run, MPM_ENODELOST. */
int ask(const mpm_handle *handle, const struct ask *what, const struct request *request, double timeout_s,
        struct answer *answer);
/* What asks for nothing but the verb. */
int ask_plain(const mpm_handle *handle, const struct ask *what);
/* Asks for the number, and gives it; -1 and below are statuses. */
int ask_number(const mpm_handle *handle, const struct ask *what, uint64_t *number);

/* MPM_ESTATE unless there is a run, MPM_EINVAL if the place for the result is NULL: what all creators
 * check. */
int ask_check_create(const char *call, const void *place);
/* Makes an object of this node. MPM_ENOMEM. */
int ask_create(enum object_kind kind, const struct state *initial, mpm_handle *handle);

/* A try that ends an object. */
int ask_try_destroy(struct object *object, const mpm_handle *handle, struct asking *asking);

#endif
