/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking; see the header. Nothing stands here that is shared: states are in state.c.
 *
 * A verb that may wait leaves its caller among the state's waiters. When its time is up, its caller asks to
 * leave; for a caller of another node the home does, which knows it first. If it dies before, its waiter is a dead
 * party's, which every kind passes over.
 *
 * What is undone for a caller of another node that has taken its call back (object/call.h):
 *   acquire of a lock       it is released, once; who got it from a dead owner leaves it to a dead owner
 *   acquire of a semaphore  the permit is given back
 *   wait at a barrier       the barrier breaks, as it does for each whose time is up, and was met or not
 *   wait for an event       nothing: it has only looked
 * and each of them leaves the waiters. A wait for a condition is not taken back: without the lock, which is at the same
 * node, its caller could not go on. */
#include "sync/ask.h"

#include <stdlib.h>
#include <string.h>

#include "mpmap/status.h"
#include "mpmap/wait.h"

#include "base/error.h"
#include "node/context.h"
#include "object/call.h"
#include "shm/interrupt.h"
#include "sync/layer.h"

#define FIRST_BYTES ((size_t)1 << 12) /* of an answer from another node at the first time of asking */

static const struct ask *verbs[ASK_VERBS];

static int try_once(struct object *object, const mpm_handle *handle, void *argument)
{
    struct asking *asking = argument;

    if (asking->ask->try)
        return asking->ask->try(object, handle, asking);
    return state_apply(object, handle, asking->ask->step, &asking->request, &asking->answer, &asking->commit);
}

/* What is true stays true until somebody commits; a death is noticed by the try before the sleep. */
static bool is_ready(const struct object *object, const void *argument)
{
    const struct asking *asking = argument;
    uint64_t commit = state_commit(object);

    return commit != asking->commit && (!asking->ask->needs_permit || (commit & STATE_HAS_VALUE));
}

static int ask_here(const mpm_handle *handle, struct asking *asking, double timeout_s)
{
    const struct ask *what = asking->ask;
    const struct operation operation = {.kind = what->kind,
                                        .try = try_once,
                                        .is_ready = is_ready,
                                        .late_status = MPM_ETIMEDOUT,
                                        .late_sentence = what->late_sentence,
                                        .is_interruptible = what->is_timed || what->is_interruptible};

    if (what->kind == OBJECT_NODE)
        return what->try(NULL, handle, asking);
    return operation_run(&operation, handle, asking, timeout_s);
}

/* Calls from other nodes. The reply is the answer's number, then its bytes. */

_Static_assert(sizeof(struct request) <= CALL_HEAD_SIZE, "what is asked for is known when it is undone");

static int read_call(const void *in, size_t in_size, struct asking *asking)
{
    *asking = (struct asking){.ask = NULL};
    if (in_size == sizeof asking->request)
        memcpy(&asking->request, in, in_size);
    if (in_size != sizeof asking->request || asking->request.verb >= ASK_VERBS ||
        !(asking->ask = verbs[asking->request.verb]))
        return error_set(MPM_EPROTOCOL, "a call on a %zu byte request makes no sense", in_size);
    return MPM_OK;
}

/* What a try gave. */
static int reply_answer(int status, const struct asking *asking, struct call_reply *reply)
{
    _Static_assert(sizeof asking->answer.died == sizeof reply->note, "who has died is noted");

    reply->gives = asking->ask->undo && (!status || status == MPM_EOWNERDIED);
    memcpy(reply->note, &asking->answer.died, sizeof reply->note);
    if (!status)
        status = call_reply_add(reply, &asking->answer.number, sizeof asking->answer.number);
    if (!status && asking->answer.size)
        status = call_reply_add(reply, asking->answer.bytes, asking->answer.size);
    free(asking->answer.bytes);
    return status;
}

static int on_ask(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct object *object = NULL;
    struct asking asking;
    int status;

    if ((status = read_call(in, in_size, &asking)))
        return status;
    if (asking.ask->kind == OBJECT_NODE)
        status = asking.ask->try(NULL, handle, &asking);
    else if (!(status = object_find(handle, asking.ask->kind, &object)))
        status = try_once(object, handle, &asking);
    return reply_answer(status, &asking, reply);
}

/* Its time is up. */
static int on_late(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *reply)
{
    struct object *object = NULL;
    struct asking asking;
    int status;

    if ((status = read_call(in, in_size, &asking)))
        return status;
    if (!asking.ask->leave)
        return error_set(MPM_ETIMEDOUT, "%s", asking.ask->late_sentence);
    if ((status = object_find(handle, asking.ask->kind, &object)))
        return status;
    status = state_apply(object, handle, asking.ask->leave->step, &asking.request, &asking.answer, NULL);
    if (status == CALL_MUST_WAIT) {
        asking.answer.number = ASK_IS_TO_LEAVE;
        status = MPM_OK;
    }
    return reply_answer(status, &asking, reply);
}

static int undo(const mpm_handle *handle, const void *in, size_t in_size, struct call_reply *given)
{
    struct asking asking;
    struct object *object;

    if (read_call(in, in_size, &asking) || !asking.ask->undo ||
        object_find(handle, asking.ask->kind, &object))
        return MPM_OK;
    asking.request.number = given != NULL;
    if (given)
        memcpy(&asking.answer.died, given->note, sizeof asking.answer.died);
    (void)!state_apply(object, handle, asking.ask->undo, &asking.request, &asking.answer, NULL);
    return MPM_OK;
}

void ask_announce(void)
{
    call_register(VERB_SYNC, on_ask, MPM_ETIMEDOUT, "the time is up");
    call_register_ends(VERB_SYNC, &(struct call_ends){.late = on_late, .undo = undo});
    for (enum object_kind kind = OBJECT_LOCK; kind <= OBJECT_BARRIER; kind++)
        party_register(kind, state_mark_dead);
}

void ask_register(const struct ask *const *asks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        verbs[asks[i]->verb] = asks[i];
}

/* Asks for an answer that has bytes, which is given as often as it is asked for: once more if it is long. */
static int ask_for_bytes(const mpm_handle *handle, const struct request *request, struct answer *answer)
{
    size_t number_size = sizeof answer->number, room = number_size + FIRST_BYTES, size = 0;
    char *reply = NULL, *grown;
    int status;

    for (;; room = size) {
        if (!(grown = realloc(reply, room))) {
            status = error_set(MPM_ENOMEM, "no memory for an answer of %zu bytes", room);
            break;
        }
        reply = grown;
        status = call_remote(handle, VERB_SYNC, request, sizeof *request, 0, reply, room, &size);
        if (status || size <= room)
            break;
    }
    if (status) {
        free(reply);
        return status;
    }
    memcpy(&answer->number, reply, number_size);
    answer->size = size - number_size;
    answer->bytes = memmove(reply, reply + number_size, answer->size);
    return MPM_OK;
}

static int ask_there(const mpm_handle *handle, struct asking *asking, double timeout_s)
{
    const struct request *request = &asking->request;
    struct answer *answer = &asking->answer;
    int status;

    if (asking->ask->verb == ASK_BARRIER_ACTION)
        return ask_for_bytes(handle, request, answer);
    if (!asking->ask->is_timed)
        return (asking->ask->is_interruptible ? call_waiting : call_remote)(
            handle, VERB_SYNC, request, sizeof *request, timeout_s, &answer->number, sizeof answer->number,
            NULL);
    status = call_timed(handle, VERB_SYNC, request, sizeof *request, timeout_s, &answer->number,
                        sizeof answer->number, NULL);
    if (!status && answer->number == ASK_IS_TO_LEAVE)
        return ask(handle, asking->ask->leave, request, MPM_FOREVER, answer);
    return status == CALL_NO_ANSWER ? MPM_ETIMEDOUT : status;
}

/* After a wait at home that was given up with `status`. */
static int leave_waiters(const mpm_handle *handle, const struct ask *what, const struct request *request,
                         int status, struct answer *answer)
{
    int left = ask(handle, what->leave, request, MPM_FOREVER, answer);

    if (status != MPM_EINTERRUPTED)
        return left;
    if (left == MPM_ETIMEDOUT)
        return interrupt_take(object_kind_name(what->kind));
    mpm_interrupt_waits(); /* it has come to its end all the same: the next wait is to be interrupted */
    return left;
}

/* The request is filled in where it stays: it is never copied at home. */
int ask(const mpm_handle *handle, const struct ask *what, const struct request *request, double timeout_s,
        struct answer *answer)
{
    struct asking asking;
    int status;

    if (!runtime_topology()->node_count)
        return runtime_no_run(NULL);
    asking.ask = what;
    asking.request.number = request ? request->number : 0;
    asking.request.lock = request ? request->lock : (mpm_handle){0};
    asking.request.caller = party_own();
    asking.request.may_wait = timeout_s > 0;
    asking.request.verb = what->verb;
    asking.answer = (struct answer){0};
    if (!object_is_home(handle))
        status = ask_there(handle, &asking, timeout_s);
    else if (((status = ask_here(handle, &asking, timeout_s)) == MPM_ETIMEDOUT ||
              status == MPM_EINTERRUPTED) &&
             what->leave && (timeout_s > 0 || what->always_waits))
        return leave_waiters(handle, what, request, status, answer);
    if (answer && !status)
        *answer = asking.answer;
    return status;
}

int ask_plain(const mpm_handle *handle, const struct ask *what)
{
    return ask(handle, what, NULL, 0, NULL);
}

int ask_number(const mpm_handle *handle, const struct ask *what, uint64_t *number)
{
    struct answer answer = {0};
    int status = ask(handle, what, NULL, 0, &answer);

    if (!status)
        *number = answer.number;
    return status;
}

int ask_check_create(const char *call, const void *place)
{
    if (runtime_role() == ROLE_NONE)
        return runtime_no_run(call);
    if (!place)
        return error_set(MPM_EINVAL, "%s: the place for the result is NULL", call);
    return MPM_OK;
}

int ask_create(enum object_kind kind, const struct state *initial, mpm_handle *handle)
{
    struct object *object;
    int status;

    if ((status = object_reserve(&object)))
        return status;
    state_create(object, initial);
    *handle = object_commit(object, kind);
    return MPM_OK;
}

int ask_try_destroy(struct object *object, const mpm_handle *handle, struct asking *asking)
{
    (void)asking;
    return state_destroy(object, handle, NULL);
}
