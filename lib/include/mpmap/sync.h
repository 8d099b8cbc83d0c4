/* SPDX-License-Identifier: BSD-3-Clause */
/** @file sync.h  Locks, semaphores, conditions, events and barriers, for all processes on all nodes.
 *
 * Each lives at the node where it was made, and works from every node. A process that is killed at any
 * instruction has done what it was at, or has not; the others go on. A wait costs no CPU. A timeout is
 * seconds; 0 is one try, MPM_FOREVER is no limit; MPM_ETIMEDOUT is never early. "The caller" is the calling
 * thread. Any process may call all of these.
 *
 * @section limits Time limits and other nodes
 * A time limit is the caller's, here and in queue.h, pipe.h, process.h and wait.h. The node of the object says when the
 * time is up. If it says nothing, because it is stopped or its wire is slow, the call returns all the same: 0.5 s after
 * its limit, or after 1 s if the limit is 0, since an answer from another node takes a moment; and later by a second
 * for each 20 MB of messages, or of room for one. It returns what it returns for a time that is up, and mpm_error()
 * names the node. What was asked for is taken back: a lock or a permit that comes later is given back, a message that
 * was got or received is the first again, and a barrier breaks. It is as if the call had come too late, before anything
 * that the caller asks for afterwards. (What is put or sent may be on its way already: see there.)
 * Calls without a time limit wait for the node, as those with MPM_FOREVER do. A thread that waits is not woken by a
 * signal: its handler runs, and the wait goes on, unless the handler calls mpm_interrupt_waits() (wait.h). Then every call
 * with a time limit returns MPM_EINTERRUPTED if it has to wait. */
#ifndef MPMAP_SYNC_H
#define MPMAP_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"
#include "process.h"

MPM_BEGIN

/** A lock. */
typedef struct mpm_lock {
    mpm_handle handle;
} mpm_lock;

/** A lock that its owner may take again; it counts. */
typedef struct mpm_rlock {
    mpm_handle handle;
} mpm_rlock;

/** Permits that are acquired and released. */
typedef struct mpm_semaphore {
    mpm_handle handle;
} mpm_semaphore;

/** Something to be notified of, and the lock that goes with it. */
typedef struct mpm_condition {
    mpm_handle handle;
    mpm_handle lock; /**< at the same node */
} mpm_condition;

/** Something that is set or not. */
typedef struct mpm_event {
    mpm_handle handle;
} mpm_event;

/** Where a number of parties meet. */
typedef struct mpm_barrier {
    mpm_handle handle;
} mpm_barrier;

/* Creating: at the caller's node, unless it is said otherwise. MPM_EINVAL if the place for the result is
 * NULL, MPM_ENOMEM, MPM_ESTATE without a run.
 * Destroying: handles are stale from here on, and whoever waits gets MPM_ESTALE.
 * All others: MPM_EINVAL for a handle that is none, MPM_ESTALE for one of what was destroyed, MPM_ENOMEM if
 * there is no memory to wait, MPM_ENODELOST. */

/** Makes a lock, free. */
MPM_API MPM_CHECKED int mpm_lock_create(mpm_lock *lock);
/** Ends it, whoever has it. */
MPM_API MPM_CHECKED int mpm_lock_destroy(mpm_lock lock);
/** Takes the lock. Who comes may overtake those who wait, but the lock goes at most 64 times past the one that has
 * waited longest, wherever that is; then it is that one's. So nobody is shut out. Turns are not equal in number: whoever
 * is at another node needs two messages to and fro for a turn, and those at home have the lock as often as they ask
 * before it waits again.
 * @return MPM_ETIMEDOUT; MPM_EOWNERDIED: the process that had it has ended, and *the caller has it now*:
 * what it guards may be half done. */
MPM_API MPM_CHECKED int mpm_lock_acquire(mpm_lock lock, double timeout_s);
/** Releases it: any process may. MPM_EINVAL if it is free. */
MPM_API MPM_CHECKED int mpm_lock_release(mpm_lock lock);

/** What a lock is at, at one moment. */
typedef struct mpm_lock_state {
    bool is_held;
    bool has_died;           /**< its holder has ended: the next one that acquires it gets MPM_EOWNERDIED */
    unsigned depth;          /**< how often its holder has it; 0 if it is free */
    unsigned waiting;        /**< how many wait for it */
    mpm_process_info holder; /**< zero if it is free; pid 0 and name "" of a process that was closed */
} mpm_lock_state;

/** Tells who has the lock, and how many wait: for debugging. It may be another one by the time that the call returns.
 * Never waits for the lock. MPM_EINVAL also if the place for the result is NULL. */
MPM_API MPM_CHECKED int mpm_lock_inspect(mpm_lock lock, mpm_lock_state *state);

/** As of mpm_lock; but who has it may take it again, and must release it as often. */
MPM_API MPM_CHECKED int mpm_rlock_create(mpm_rlock *lock);
MPM_API MPM_CHECKED int mpm_rlock_destroy(mpm_rlock lock);
MPM_API MPM_CHECKED int mpm_rlock_acquire(mpm_rlock lock, double timeout_s);
/** MPM_EINVAL unless the caller has it. */
MPM_API MPM_CHECKED int mpm_rlock_release(mpm_rlock lock);

/** As mpm_lock_inspect(). */
MPM_API MPM_CHECKED int mpm_rlock_inspect(mpm_rlock lock, mpm_lock_state *state);

/** Makes a semaphore with `value` permits, at most 2^31 - 1. */
MPM_API MPM_CHECKED int mpm_semaphore_create(unsigned value, mpm_semaphore *semaphore);
/** The same; but there may never be more than `value`. */
MPM_API MPM_CHECKED int mpm_bounded_semaphore_create(unsigned value, mpm_semaphore *semaphore);
MPM_API MPM_CHECKED int mpm_semaphore_destroy(mpm_semaphore semaphore);
/** Takes a permit. Nobody owns one: those that a process has taken are not given back when it dies. Turns
 * are as of mpm_lock_acquire. MPM_ETIMEDOUT. */
MPM_API MPM_CHECKED int mpm_semaphore_acquire(mpm_semaphore semaphore, double timeout_s);
/** Gives a permit: any process may, also without having taken one. MPM_EINVAL if there may be no more. */
MPM_API MPM_CHECKED int mpm_semaphore_release(mpm_semaphore semaphore);
/** Free permits now. */
MPM_API MPM_CHECKED int mpm_semaphore_value(mpm_semaphore semaphore, unsigned *value);

/** What mpm_condition_wait_for waits for: not 0 when it is so. */
typedef int mpm_predicate(void *argument);

/** Makes a condition with a lock of its own, that counts. */
MPM_API MPM_CHECKED int mpm_condition_create(mpm_condition *condition);
/** Makes one over a lock that there is, at that lock's node; several may share a lock, which stays the
 * caller's to destroy, after them. Also MPM_ESTALE. */
MPM_API MPM_CHECKED int mpm_condition_create_with_lock(mpm_lock lock, mpm_condition *condition);
MPM_API MPM_CHECKED int mpm_condition_create_with_rlock(mpm_rlock lock, mpm_condition *condition);
MPM_API MPM_CHECKED int mpm_condition_destroy(mpm_condition condition);
/** Takes and releases the condition's lock. */
MPM_API MPM_CHECKED int mpm_condition_acquire(mpm_condition condition, double timeout_s);
MPM_API MPM_CHECKED int mpm_condition_release(mpm_condition condition);
/** Releases the lock, however often the caller has it, waits until it is notified, and takes the lock as
 * often again, for which it may have to wait longer than timeout_s: until it is released, and until the lock's node answers.
 * Whatever it returns but MPM_ENODELOST,
 * the caller has the lock, if that was not destroyed: once, if the condition was.
 * @return MPM_EINVAL if the caller does not have the lock; MPM_ETIMEDOUT; MPM_EOWNERDIED, notified or not:
 * a process has died with the lock meanwhile. */
MPM_API MPM_CHECKED int mpm_condition_wait(mpm_condition condition, double timeout_s);
/** Waits until predicate(argument) is so, which it asks in the calling thread, with the lock. MPM_ETIMEDOUT,
 * and as mpm_condition_wait. */
MPM_API MPM_CHECKED int mpm_condition_wait_for(mpm_condition condition, mpm_predicate *predicate,
                                               void *argument, double timeout_s);
/** Notifies the `count` oldest waiters, or as many as there are. If one of them dies before it has the lock,
 * the next one is notified instead. MPM_EINVAL if the caller does not have the lock. */
MPM_API MPM_CHECKED int mpm_condition_notify(mpm_condition condition, unsigned count);
MPM_API MPM_CHECKED int mpm_condition_notify_all(mpm_condition condition);

/** Makes an event that is not set. */
MPM_API MPM_CHECKED int mpm_event_create(mpm_event *event);
MPM_API MPM_CHECKED int mpm_event_destroy(mpm_event event);
/** Sets it; whoever waits goes on, even if it is cleared at once. */
MPM_API MPM_CHECKED int mpm_event_set(mpm_event event);
MPM_API MPM_CHECKED int mpm_event_clear(mpm_event event);
/** Whether it is set.
 * @param is_set  out */
MPM_API MPM_CHECKED int mpm_event_is_set(mpm_event event, bool *is_set);
/** Waits until it is set. MPM_ETIMEDOUT. */
MPM_API MPM_CHECKED int mpm_event_wait(mpm_event event, double timeout_s);

#define MPM_BARRIER_MAX_PARTIES 1000000
#define MPM_ACTION_MAX_SIZE     1000000

/** Options of mpm_barrier_create; zero is the default. */
typedef struct mpm_barrier_options {
    /** What one of the parties, the last to come, runs before all go on: a function as a process's target
     * is. If it returns something else than 0, or its process dies, the barrier breaks. NULL: nothing. */
    mpm_target *action;
    const void *args; /**< `size` bytes for it, at most MPM_ACTION_MAX_SIZE; they are copied */
    size_t size;
} mpm_barrier_options;

/** Makes a barrier for 1 to MPM_BARRIER_MAX_PARTIES parties. MPM_EINVAL for others, and for an action that
 * is no function. */
MPM_API MPM_CHECKED int mpm_barrier_create(unsigned parties, const mpm_barrier_options *options,
                                           mpm_barrier *barrier);
MPM_API MPM_CHECKED int mpm_barrier_destroy(mpm_barrier barrier);
/** Waits until all parties are there.
 * @param index  out: a number below the parties, another one for each; 0 for the last to come; NULL if
 * nobody wants to know
 * @return MPM_ETIMEDOUT if they were not there in time, which breaks the barrier (an action's time does not count:
 * whose time is up while it runs waits for its end); MPM_EBROKEN if it is
 * broken or breaks meanwhile: another party's time was up, or it has died while it waited, the action has
 * failed, or somebody has called mpm_barrier_abort or mpm_barrier_reset. It stays broken until
 * mpm_barrier_reset. */
MPM_API MPM_CHECKED int mpm_barrier_wait(mpm_barrier barrier, double timeout_s, unsigned *index);
/** Breaks it. */
MPM_API MPM_CHECKED int mpm_barrier_abort(mpm_barrier barrier);
/** Makes it as new; who waits gets MPM_EBROKEN. */
MPM_API MPM_CHECKED int mpm_barrier_reset(mpm_barrier barrier);
/** How many parties it is for. */
MPM_API MPM_CHECKED int mpm_barrier_parties(mpm_barrier barrier, unsigned *parties);
/** How many wait now. */
MPM_API MPM_CHECKED int mpm_barrier_waiting(mpm_barrier barrier, unsigned *count);
/** Whether it is broken.
 * @param is_broken  out */
MPM_API MPM_CHECKED int mpm_barrier_is_broken(mpm_barrier barrier, bool *is_broken);

MPM_END

#endif
