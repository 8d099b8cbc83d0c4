/* SPDX-License-Identifier: BSD-3-Clause */
/* Main's pools and maps, and the courier's way to them. A message for a map or a pool that has ended is no error: it
 * may have been on its way. */
#include "pool/driver/pool_state.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread_role.h"
#include "net/courier.h"
#include "node/context.h"
#include "node/lost_node.h"

#define POOLS_KEPT 256u /* pools that are closed before the first of them is used for another one */

static struct {
    pthread_mutex_t mutex;
    struct mpm_pool *pools;
    struct mpm_pool *first_closed, **last_closed; /* oldest first */
    unsigned closed;
    struct inbox *inboxes;
    _Atomic uint64_t last_id;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .last_closed = &state.first_closed};

static _Thread_local struct pool_use *uses; /* the maps that this thread is in, the innermost first */

uint64_t pool_state_new_id(void)
{
    return atomic_fetch_add_explicit(&state.last_id, 1, memory_order_relaxed) + 1;
}

void pool_state_add(struct mpm_pool *pool)
{
    pthread_mutex_lock(&state.mutex);
    pool->next = state.pools;
    state.pools = pool;
    pthread_mutex_unlock(&state.mutex);
}

void pool_state_remove(struct mpm_pool *pool)
{
    pthread_mutex_lock(&state.mutex);
    for (struct mpm_pool **at = &state.pools; *at; at = &(*at)->next) {
        if (*at == pool) {
            *at = pool->next;
            break;
        }
    }
    pthread_mutex_unlock(&state.mutex);
}

/* NULL as long as few were closed. */
static struct mpm_pool *take_closed(void)
{
    struct mpm_pool *pool = NULL;

    pthread_mutex_lock(&state.mutex);
    if (state.closed >= POOLS_KEPT) {
        pool = state.first_closed;
        state.first_closed = pool->next;
        state.closed--;
    }
    pthread_mutex_unlock(&state.mutex);
    return pool;
}

/* Late calls may count themselves in an old one at any time. */
struct mpm_pool *pool_state_new(unsigned node_count)
{
    struct pool_node *nodes = calloc(node_count, sizeof *nodes);
    struct mpm_pool *pool = nodes ? take_closed() : NULL;

    if (pool) {
        memset((char *)pool + offsetof(struct mpm_pool, next), 0,
               sizeof *pool - offsetof(struct mpm_pool, next));
        atomic_fetch_sub(&pool->users, POOL_ENDS - 1);
    } else if (nodes && (pool = calloc(1, sizeof *pool))) {
        atomic_store(&pool->users, 1);
    } else {
        free(nodes);
        error_set(MPM_ENOMEM, "no memory for a pool");
        return NULL;
    }
    pool->node = nodes;
    pool->node_count = node_count;
    return pool;
}

static void free_node(struct pool_node *node)
{
    free(node->stats);
    free(node->word.why_failed);
    free(node->word.why_lost);
}

void pool_state_free(struct mpm_pool *pool)
{
    for (unsigned node = 0; node < pool->node_count; node++)
        free_node(&pool->node[node]);
    free(pool->node);
    pthread_mutex_lock(&state.mutex);
    pool->node = NULL;
    pool->node_count = pool->worker_count = 0;
    pool->next = NULL;
    *state.last_closed = pool;
    state.last_closed = &pool->next;
    state.closed++;
    pthread_mutex_unlock(&state.mutex);
}

struct mpm_pool *pool_state_begin_any_end(bool *any)
{
    struct mpm_pool *pool;

    pthread_mutex_lock(&state.mutex);
    *any = state.pools;
    for (pool = state.pools; pool && !pool_begin_end(pool); pool = pool->next)
        ;
    pthread_mutex_unlock(&state.mutex);
    return pool;
}

/* Removal takes the mutex, so the pool's node pool is there. */
bool pool_state_terminate(struct mpm_pool *pool)
{
    struct mpm_pool *listed;

    pthread_mutex_lock(&state.mutex);
    for (listed = state.pools; listed && listed != pool; listed = listed->next)
        ;
    if (listed) {
        atomic_store(&pool->terminating, true);
        if (pool->home)
            node_pool_wake_callers(pool->home);
    }
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(context_doorbell());
    return listed;
}

int pool_say_failed(const struct pool_word *word)
{
    return error_set(word->status, "%s", word->why_failed ? word->why_failed : mpm_status_name(word->status));
}

struct pool_word pool_state_of(const struct mpm_pool *pool, unsigned node)
{
    struct pool_word copy;

    pthread_mutex_lock(&state.mutex);
    copy = pool->node[node].word;
    pthread_mutex_unlock(&state.mutex);
    return copy;
}

/* Under the mutex. */
static void lose_on_node(struct mpm_pool *pool, unsigned node)
{
    struct pool_word *word = &pool->node[node].word;

    lost_node_say(node);
    word->state = POOL_NODE_CLOSED;
    word->is_lost = true;
    if (!word->why_lost)
        word->why_lost = strdup(mpm_error());
}

/* A node is noted as lost before its pools are gone over: either sees the other. */
void pool_state_opens(struct mpm_pool *pool, unsigned node)
{
    pthread_mutex_lock(&state.mutex);
    pool->node[node].word.state = POOL_NODE_OPENING;
    if (lost_node_is(node))
        lose_on_node(pool, node);
    pthread_mutex_unlock(&state.mutex);
}

void pool_state_lose_node(unsigned node)
{
    assert(thread_is(THREAD_COURIER));
    pthread_mutex_lock(&state.mutex);
    for (struct mpm_pool *pool = state.pools; pool; pool = pool->next) {
        if (node < pool->node_count && pool->node[node].word.state != POOL_NODE_UNUSED)
            lose_on_node(pool, node);
    }
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(context_doorbell());
}

/* The gate. */

/* Counts a call. MPM_ESTATE, and it is not counted, if the gate is closed. */
static int enter(const char *call, struct mpm_pool *pool)
{
    if (!pool)
        return error_set(MPM_EINVAL, "%s: the pool is NULL", call);
    if (!(atomic_fetch_add(&pool->users, 1) & POOL_ENDS))
        return MPM_OK;
    pool_leave(pool);
    return error_set(MPM_ESTATE, "%s: the pool is closed or closing: nothing new can be started in it", call);
}

int pool_enter_call(const char *call, struct mpm_pool *pool)
{
    int status;

    context_enter();
    if (!(status = context_check_driver(call)) && !(status = enter(call, pool)))
        return MPM_OK;
    context_leave();
    return status;
}

int pool_enter_short_call(const char *call, struct mpm_pool *pool)
{
    context_enter();
    if (context_takes_work() && !enter(call, pool))
        return MPM_OK;
    context_leave();
    return pool_enter_call(call, pool);
}

bool pool_enter_if_open(struct mpm_pool *pool)
{
    context_enter();
    if (context_takes_work()) {
        if (!(atomic_fetch_add(&pool->users, 1) & POOL_ENDS))
            return true;
        pool_leave(pool);
    }
    context_leave();
    return false;
}

void pool_leave_call(struct mpm_pool *pool)
{
    pool_leave(pool);
    context_leave();
}

void pool_hold(struct mpm_pool *pool)
{
    atomic_fetch_add(&pool->users, 1);
}

void pool_leave(struct mpm_pool *pool)
{
    if (atomic_fetch_sub(&pool->users, 1) & POOL_ENDS)
        eventcount_notify(context_doorbell());
}

bool pool_ends(const struct mpm_pool *pool)
{
    return atomic_load(&pool->users) & POOL_ENDS;
}

bool pool_take_end(struct mpm_pool *pool)
{
    return atomic_fetch_and(&pool->users, ~POOL_IS_LEFT) & POOL_IS_LEFT;
}

bool pool_begin_end(struct mpm_pool *pool)
{
    return !(atomic_fetch_or(&pool->users, POOL_ENDS) & POOL_ENDS) || pool_take_end(pool);
}

/* The end of the run may be waiting for one that it can carry out. */
void pool_leave_end(struct mpm_pool *pool)
{
    atomic_fetch_or(&pool->users, POOL_IS_LEFT);
    eventcount_notify(context_doorbell());
}

bool pool_begin_shutdown(struct mpm_pool *pool)
{
    uint32_t users = atomic_fetch_add(&pool->users, 1) + 1;

    while (!(users & POOL_ENDS)) {
        if (atomic_compare_exchange_weak(&pool->users, &users, users | POOL_ENDS | POOL_IS_LEFT))
            return true;
    }
    if (users & POOL_IS_LEFT)
        return true;
    pool_leave(pool);
    return false;
}

bool pool_wait_for_users(struct mpm_pool *pool, uint64_t deadline_ns)
{
    for (bool in_time = true;;) {
        uint32_t seen = eventcount_prepare(context_doorbell());

        if (atomic_load(&pool->users) == POOL_ENDS)
            return true;
        if (!in_time)
            return false;
        in_time = eventcount_wait(context_doorbell(), seen, 0, deadline_ns) || clock_now_ns() < deadline_ns;
    }
}

void pool_use_begins(struct pool_use *use, const struct mpm_pool *pool)
{
    *use = (struct pool_use){uses, pool};
    uses = use;
}

void pool_use_ends(const struct pool_use *use)
{
    uses = use->outer;
}

bool pool_is_used_here(const struct mpm_pool *pool)
{
    const struct pool_use *use = uses;

    while (use && use->pool != pool)
        use = use->outer;
    return use;
}

bool pool_works_on(const struct mpm_pool *pool, unsigned node)
{
    if (!pool->node[node].workers)
        return false;
    if (node == context_topology()->node)
        return pool->home && !node_pool_has_no_workers(pool->home);
    return !pool_state_of(pool, node).is_lost;
}

/* Why: what a node says that has lost its last worker. */
static int say_no_workers(const struct mpm_pool *pool)
{
    char why[MESSAGE_TEXT_SIZE];

    if (pool->home) {
        node_pool_say_no_workers(pool->home);
        snprintf(why, sizeof why, "%s", mpm_error());
        return error_set(MPM_EWORKER, "the pool has no workers left: %s", why);
    }
    for (unsigned node = 0; node < pool->node_count; node++) {
        struct pool_word there = pool_state_of(pool, node);

        if (there.is_lost)
            return error_set(MPM_EWORKER, "the pool has no workers left: %s",
                             there.why_lost ? there.why_lost : mpm_status_name(MPM_EFORKSERVER));
    }
    return error_set(MPM_EWORKER,
                     "the pool has no workers left: the fork server processes of all %u have died",
                     pool->worker_count);
}

unsigned pool_count_workers(const struct mpm_pool *pool)
{
    unsigned count = 0;

    if (pool->home && node_pool_has_failed(pool->home))
        return 0;
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (pool_state_of(pool, node).status)
            return 0;
        if (pool_works_on(pool, node))
            count += pool->node[node].workers;
    }
    return count;
}

int pool_check_workers(const struct mpm_pool *pool)
{
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (pool_works_on(pool, node))
            return MPM_OK;
    }
    return say_no_workers(pool);
}

int pool_check(const struct mpm_pool *pool)
{
    int status;

    if (atomic_load(&pool->terminating))
        return error_set(MPM_ECANCELED, "the pool was terminated");
    if ((status = context_check_whole()) || (pool->home && (status = node_pool_check(pool->home)) < 0))
        return status;
    for (unsigned node = 0; node < pool->node_count; node++) {
        struct pool_word there = pool_state_of(pool, node);

        if (there.status)
            return pool_say_failed(&there);
    }
    return pool_check_workers(pool);
}

/* Idle workers of other nodes: what was told before the first of the calls that wait now is of no use. */

void pool_call_waits(struct mpm_pool *pool)
{
    pthread_mutex_lock(&state.mutex);
    if (!pool->waiting++) {
        for (unsigned node = 0; node < pool->node_count; node++)
            pool->node[node].is_idle = false;
    }
    pthread_mutex_unlock(&state.mutex);
}

void pool_call_goes_on(struct mpm_pool *pool)
{
    pthread_mutex_lock(&state.mutex);
    pool->waiting--;
    pthread_mutex_unlock(&state.mutex);
}

void pool_stand_in_line(struct mpm_pool *pool, struct map_request *request, bool waits)
{
    request->is_in_line = waits &&
                          (request->node == MAP_ALL_NODES || request->node == context_topology()->node);
    if (request->is_in_line)
        atomic_fetch_add(&pool->in_line, 1);
}

void pool_leave_line(struct mpm_pool *pool, struct map_request *request)
{
    if (request->is_in_line)
        atomic_fetch_sub(&pool->in_line, 1);
    request->is_in_line = false;
}

static bool take_idle(struct mpm_pool *pool, unsigned node)
{
    bool was_idle;

    if (node == context_topology()->node)
        return pool->home && node_pool_has_idle(pool->home);
    pthread_mutex_lock(&state.mutex);
    was_idle = pool->node[node].is_idle && !pool->node[node].word.is_lost;
    pool->node[node].is_idle = false;
    pthread_mutex_unlock(&state.mutex);
    return was_idle;
}

static void ask_for_idle(struct mpm_pool *pool, unsigned node)
{
    const struct message_pool message = {.pool = pool->spec.id};
    bool was_asked;

    if (node == context_topology()->node || !pool->node[node].workers)
        return;
    pthread_mutex_lock(&state.mutex);
    was_asked = pool->node[node].is_asked;
    pool->node[node].is_asked = true;
    pthread_mutex_unlock(&state.mutex);
    if (!was_asked && courier_post_one(node, MESSAGE_IDLE_ASKED, &message, sizeof message))
        context_break(MPM_ENOMEM, mpm_error());
}

bool pool_find_idle(struct mpm_pool *pool, unsigned but, unsigned *found)
{
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (node != but && take_idle(pool, node)) {
            *found = node;
            return true;
        }
    }
    for (unsigned node = 0; node < pool->node_count; node++) {
        if (node != but)
            ask_for_idle(pool, node);
    }
    return false;
}

bool pool_state_stats(const struct mpm_pool *pool, unsigned node, uint64_t question, struct node_stats *stats,
                      size_t size)
{
    const struct node_stats *told;
    bool is_told;

    pthread_mutex_lock(&state.mutex);
    told = pool->node[node].stats;
    if ((is_told = told && told->question >= question)) {
        size_t told_size = sizeof *told + told->workers * sizeof *told->worker;

        memset(stats, 0, size);
        memcpy(stats, told, told_size < size ? told_size : size);
    }
    pthread_mutex_unlock(&state.mutex);
    return is_told;
}

void inbox_open(struct inbox *inbox, uint64_t job)
{
    pthread_mutex_lock(&state.mutex);
    inbox->job = job;
    inbox->first = NULL;
    inbox->end = &inbox->first;
    inbox->next = state.inboxes;
    state.inboxes = inbox;
    pthread_mutex_unlock(&state.mutex);
}

struct letter *inbox_take(struct inbox *inbox)
{
    struct letter *letters;

    pthread_mutex_lock(&state.mutex);
    letters = inbox->first;
    inbox->first = NULL;
    inbox->end = &inbox->first;
    pthread_mutex_unlock(&state.mutex);
    return letters;
}

void inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&state.mutex);
    for (struct inbox **at = &state.inboxes; *at; at = &(*at)->next) {
        if (*at == inbox) {
            *at = inbox->next;
            break;
        }
    }
    pthread_mutex_unlock(&state.mutex);
    for (struct letter *letter = inbox->first, *next; letter; letter = next) {
        next = letter->next;
        free(letter);
    }
}

/* In the courier's thread. */

static bool put_letter(uint32_t kind, uint64_t job, unsigned node, const void *payload, size_t size)
{
    struct letter *letter = malloc(sizeof *letter + size);
    struct inbox *inbox;

    if (!letter)
        return false;
    *letter = (struct letter){.kind = kind, .node = node, .size = size};
    memcpy(letter->payload, payload, size);
    pthread_mutex_lock(&state.mutex);
    for (inbox = state.inboxes; inbox && inbox->job != job; inbox = inbox->next)
        ;
    if (inbox) {
        *inbox->end = letter;
        inbox->end = &letter->next;
    }
    pthread_mutex_unlock(&state.mutex);
    if (!inbox)
        free(letter);
    eventcount_notify(context_doorbell());
    return true;
}

static bool on_results(unsigned node, const void *payload, size_t size)
{
    const struct message_results *message = payload;

    return size >= sizeof *message && put_letter(MESSAGE_RESULTS, message->lease.job, node, payload, size);
}

static bool on_returned(unsigned node, const void *payload, size_t size)
{
    const struct message_lease *message = payload;

    return size == sizeof *message && put_letter(MESSAGE_RETURNED, message->job, node, payload, size);
}

static bool on_claimed(unsigned node, const void *payload, size_t size)
{
    const struct message_lease *message = payload;

    return size == sizeof *message && put_letter(MESSAGE_CLAIMED, message->job, node, payload, size);
}

static bool on_job_failed(unsigned node, const void *payload, size_t size)
{
    const struct message_trouble *message = payload;

    return message_is_trouble(message, size) &&
           put_letter(MESSAGE_JOB_FAILED, message->job, node, payload, size);
}

static bool on_job_closed(unsigned node, const void *payload, size_t size)
{
    const struct message_job *message = payload;

    return size == sizeof *message && put_letter(MESSAGE_JOB_CLOSED, message->job, node, payload, size);
}

/* Under the mutex. The first that was said counts: others may be reading it. */
static void note_trouble(struct pool_word *word, int status, const char *text)
{
    char **why = status == MPM_EFORKSERVER ? &word->why_lost : &word->why_failed;

    if (status == MPM_EFORKSERVER)
        word->is_lost = true;
    else if (!word->status)
        word->status = status;
    if (!*why)
        *why = strdup(text);
}

static void set_node(uint64_t pool_id, unsigned node, enum pool_node_state reached, int status,
                     const char *text)
{
    pthread_mutex_lock(&state.mutex);
    for (struct mpm_pool *pool = state.pools; pool; pool = pool->next) {
        struct pool_word *word;

        if (pool->spec.id != pool_id || node >= pool->node_count)
            continue;
        word = &pool->node[node].word;
        word->state = reached;
        if (status)
            note_trouble(word, status, text);
    }
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(context_doorbell());
}

static bool on_pool_state(unsigned node, const void *payload, size_t size)
{
    const struct message_trouble *message = payload;

    if (!message_is_trouble(message, size))
        return false;
    set_node(message->pool, node, POOL_NODE_READY, (int)message->status, message->text);
    return true;
}

/* Removal takes the mutex, so the pool's node pool is there. */
static bool on_idle(unsigned node, const void *payload, size_t size)
{
    const struct message_pool *message = payload;

    if (size != sizeof *message)
        return false;
    pthread_mutex_lock(&state.mutex);
    for (struct mpm_pool *pool = state.pools; pool; pool = pool->next) {
        if (pool->spec.id != message->pool || node >= pool->node_count)
            continue;
        pool->node[node].is_asked = false;
        pool->node[node].is_idle = true;
        if (pool->home)
            node_pool_wake_callers(pool->home);
    }
    pthread_mutex_unlock(&state.mutex);
    eventcount_notify(context_doorbell());
    return true;
}

static void note_bad_ends(const struct message_pool *message, unsigned node)
{
    pthread_mutex_lock(&state.mutex);
    for (struct mpm_pool *pool = state.pools; pool; pool = pool->next) {
        if (pool->spec.id == message->pool && node < pool->node_count)
            pool->node[node].word.bad_ends = (struct bad_ends){(unsigned)message->late,
                                                               (unsigned)message->crashed};
    }
    pthread_mutex_unlock(&state.mutex);
}

static bool on_pool_closed(unsigned node, const void *payload, size_t size)
{
    const struct message_pool *message = payload;

    if (size != sizeof *message)
        return false;
    note_bad_ends(message, node);
    set_node(message->pool, node, POOL_NODE_CLOSED, MPM_OK, NULL);
    return true;
}

static struct node_stats *keep_stats(const struct node_stats *told, size_t size)
{
    struct node_stats *kept = malloc(size);

    if (kept)
        memcpy(kept, told, size);
    return kept;
}

static bool on_pool_stats(unsigned node, const void *payload, size_t size)
{
    const struct node_stats *told = payload;
    struct node_stats *kept;

    if (size < sizeof *told || (size - sizeof *told) / sizeof *told->worker != told->workers ||
        !(kept = keep_stats(told, size)))
        return false;
    pthread_mutex_lock(&state.mutex);
    for (struct mpm_pool *pool = state.pools; pool; pool = pool->next) {
        struct node_stats *old;

        if (pool->spec.id != told->pool || node >= pool->node_count)
            continue;
        old = pool->node[node].stats;
        pool->node[node].stats = kept;
        kept = old;
    }
    pthread_mutex_unlock(&state.mutex);
    free(kept);
    eventcount_notify(context_doorbell());
    return true;
}

void pool_state_announce(void)
{
    courier_handle(MESSAGE_POOL_STATS, on_pool_stats);
    courier_handle(MESSAGE_IDLE, on_idle);
    courier_handle(MESSAGE_RESULTS, on_results);
    courier_handle(MESSAGE_CLAIMED, on_claimed);
    courier_handle(MESSAGE_RETURNED, on_returned);
    courier_handle(MESSAGE_JOB_FAILED, on_job_failed);
    courier_handle(MESSAGE_JOB_CLOSED, on_job_closed);
    courier_handle(MESSAGE_POOL_STATE, on_pool_state);
    courier_handle(MESSAGE_POOL_CLOSED, on_pool_closed);
}
