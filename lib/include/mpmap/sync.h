/* SPDX-License-Identifier: BSD-3-Clause */
/** @file sync.h  Locks, semaphores, conditions, events and barriers, for all processes on all nodes.
 *
 * Each lives at the node where it was made, its *home*, and works from every node. Any process may call all of
 * these functions; "the caller" is the calling thread. A process that is killed at any instruction has done what
 * it was doing, or has not; the others continue. A wait costs no CPU. A timeout is in seconds: 0 is one try,
 * MPM_FOREVER no limit; MPM_ETIMEDOUT is never early.
 *
 * Statuses that all of them may return, beside those in their own texts: MPM_EINVAL if the handle is not one of
 * the kind, or a place for a result is NULL; MPM_ESTALE if the object was destroyed, also while the caller waits;
 * MPM_ESTATE without a run; MPM_ENODELOST if a node was lost; MPM_ENOMEM in a thread of a process if the node's arena
 * has room for no more threads (a larger MPMAP_ARENA has). Those that wait: MPM_ENOMEM if there is no memory to
 * wait with; with a time limit MPM_EINTERRUPTED, see mpm_interrupt_waits().
 *
 * @section limits Time limits and other nodes
 * A time limit is the caller's, here and in queue.h, pipe.h, process.h and wait.h. The node of the object says
 * when the time is up. If it says nothing, because it is stopped or its network is slow, the call returns all the
 * same: 0.5 s after its limit, or after 1 s if the limit is 0, since an answer from another node takes a moment;
 * and later by a second for each 20 MB of messages, or of room for one. It then returns the status for a time that
 * is up, and mpm_error() names the node.
 *
 * What was asked for is taken back: a lock or a permit that comes later is given back, a message that was got or
 * received is the first again, and a barrier breaks. It is as if the call had come too late, before anything that
 * the caller asks for afterwards. (What is put or sent may already be on its way: see there.) Calls without a time
 * limit wait for the node, as those with MPM_FOREVER do.
 *
 * A thread that waits is not woken by a signal: its handler runs, and the wait continues, unless the handler calls
 * mpm_interrupt_waits(). Then every call with a time limit returns MPM_EINTERRUPTED if it has to wait. */
#ifndef MPMAP_SYNC_H
#define MPMAP_SYNC_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"
#include "handle.h"
#include "process.h"

MPM_BEGIN

/** A lock: one holder at a time. */
typedef struct mpm_lock {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_lock;

/** A lock that its holder may take again; it must be released as often. */
typedef struct mpm_rlock {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_rlock;

/** A number of permits that are taken and given. */
typedef struct mpm_semaphore {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_semaphore;

/** A condition that processes wait for, and the lock that goes with it. */
typedef struct mpm_condition {
    mpm_handle handle; /**< names it in every process on every node */
    mpm_handle lock;   /**< its lock, at the same node */
} mpm_condition;

/** An event: it is set, or not. */
typedef struct mpm_event {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_event;

/** A barrier: a number of parties meet at it. */
typedef struct mpm_barrier {
    mpm_handle handle; /**< names it in every process on every node */
} mpm_barrier;

/** Makes a lock at the caller's node. It is free. Does not block.
 * @param lock  out: the lock
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_lock_create(mpm_lock *lock);

/** Destroys a lock, whoever has it. From then on its handles give MPM_ESTALE, also to processes that wait for it.
 * @param lock  the lock
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_lock_destroy(mpm_lock lock);

/** Takes a lock. Whoever comes may overtake those that wait, but the lock passes the one that has waited longest at
 * most 64 times, wherever that is; then it is next. So nobody is shut out. Turns are not equal in number: a
 * process of another node needs two messages there and back for a turn, and those at home have the lock as often
 * as they ask before it waits again.
 * @param lock       the lock
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT; MPM_EOWNERDIED: the process that had it has ended, and *the caller has it now*: what
 *         it guards may be half changed; MPM_ENOMEM; MPM_EINTERRUPTED; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_lock_acquire(mpm_lock lock, double timeout_s);

/** Releases a lock. Any process may, not only the one that has taken it. Does not wait for others.
 * @param lock  the lock
 * @return 0; MPM_EINVAL, also if the lock is free; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_lock_release(mpm_lock lock);

/** What a lock is doing at one moment. */
typedef struct mpm_lock_state {
    bool is_held;     /**< somebody has it */
    bool has_died;    /**< its holder has ended: the next one that acquires it gets MPM_EOWNERDIED */
    unsigned depth;   /**< how often its holder has it; 0 if it is free */
    unsigned waiting; /**< how many wait for it */
    mpm_process_info
        holder; /**< who has it; zero if it is free; pid 0 and name "" of a process that was closed */
} mpm_lock_state;

/** Tells who has a lock, and how many wait for it, for debugging. It may have changed when the call returns. Never
 * waits for the lock.
 * @param lock   the lock
 * @param state  out: what it is doing
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_lock_inspect(mpm_lock lock, mpm_lock_state *state);

/** Makes a lock that counts at the caller's node. It is free. Does not block.
 * @param lock  out: the lock
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_rlock_create(mpm_rlock *lock);

/** Destroys a lock that counts, whoever has it. From then on its handles give MPM_ESTALE, also to processes that
 * wait for it.
 * @param lock  the lock
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_rlock_destroy(mpm_rlock lock);

/** Takes a lock that counts; if the caller has it, once more. Otherwise as mpm_lock_acquire().
 * @param lock       the lock
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT; MPM_EOWNERDIED: the process that had it has ended, and *the caller has it now*:
 *         what it guards may be half changed; MPM_ENOMEM;
 *         MPM_EINTERRUPTED; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_rlock_acquire(mpm_rlock lock, double timeout_s);

/** Releases a lock that counts once; it is free when it was released as often as it was taken.
 * @param lock  the lock
 * @return 0; MPM_EINVAL, also if the caller does not have it; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_rlock_release(mpm_rlock lock);

/** Does the same for a lock that counts.
 * @param lock   the lock
 * @param state  out: what it is doing
 * @return as mpm_lock_inspect(). */
MPM_API MPM_CHECKED int mpm_rlock_inspect(mpm_rlock lock, mpm_lock_state *state);

/** Makes a semaphore at the caller's node. Does not block.
 * @param value      its permits at first, at most 2^31 - 1
 * @param semaphore  out: the semaphore
 * @return 0; MPM_EINVAL, also for more permits; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_semaphore_create(unsigned value, mpm_semaphore *semaphore);

/** Makes a semaphore that may never have more permits than at first, at the caller's node. Does not block.
 * @param value      its permits at first, at most 2^31 - 1
 * @param semaphore  out: the semaphore
 * @return 0; MPM_EINVAL, also for more permits; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_bounded_semaphore_create(unsigned value, mpm_semaphore *semaphore);

/** Destroys a semaphore. From then on its handles give MPM_ESTALE, also to processes that wait for a permit.
 * @param semaphore  the semaphore
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_semaphore_destroy(mpm_semaphore semaphore);

/** Takes a permit. Nobody owns a permit: those that a process has taken are not given back when it dies. Turns are
 * as for mpm_lock_acquire().
 * @param semaphore  the semaphore
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT; MPM_ENOMEM; MPM_EINTERRUPTED; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_semaphore_acquire(mpm_semaphore semaphore, double timeout_s);

/** Gives a permit. Any process may, also without having taken one. Does not wait for others.
 * @param semaphore  the semaphore
 * @return 0; MPM_EINVAL, also if there may be no more permits; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_semaphore_release(mpm_semaphore semaphore);

/** Counts the free permits at this moment.
 * @param semaphore  the semaphore
 * @param value      out: how many
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_semaphore_value(mpm_semaphore semaphore, unsigned *value);

/** What mpm_condition_wait_for() waits for.
 * @param argument  what mpm_condition_wait_for() was given
 * @return not 0 when it is so. */
typedef int mpm_predicate(void *argument);

/** Makes a condition with a lock of its own, which counts, at the caller's node. Does not block.
 * @param condition  out: the condition
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_condition_create(mpm_condition *condition);

/** Makes a condition with a given lock, at that lock's node. Several conditions may share a lock; the caller
 * destroys it, after them.
 * @param lock       the lock
 * @param condition  out: the condition
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTALE if the lock was destroyed; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_create_with_lock(mpm_lock lock, mpm_condition *condition);

/** Makes a condition with a given lock that counts, at that lock's node. Several conditions may share a lock; the
 * caller destroys it, after them.
 * @param lock       the lock
 * @param condition  out: the condition
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTALE if the lock was destroyed; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_create_with_rlock(mpm_rlock lock, mpm_condition *condition);

/** Destroys a condition, with its lock if that is its own. From then on its handles give MPM_ESTALE, also to
 * processes that wait.
 * @param condition  the condition
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_destroy(mpm_condition condition);

/** Takes the condition's lock, as mpm_lock_acquire() or mpm_rlock_acquire().
 * @param condition  the condition
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT; MPM_EOWNERDIED; MPM_ENOMEM; MPM_EINTERRUPTED; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_acquire(mpm_condition condition, double timeout_s);

/** Releases the condition's lock, as mpm_lock_release() or mpm_rlock_release().
 * @param condition  the condition
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_release(mpm_condition condition);

/** Releases the lock, however often the caller has it, waits to be notified, and takes the lock as often again. For
 * the lock it may have to wait longer than timeout_s: until it is released, and until its node answers. Whatever
 * it returns except MPM_ENODELOST, the caller has the lock afterwards if that was not destroyed: once, if the
 * condition was.
 * @param condition  the condition
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_EINVAL, also if the caller does not have the lock; MPM_ETIMEDOUT; MPM_EOWNERDIED, notified or
 *         not: a process has died with the lock meanwhile; MPM_ENOMEM; MPM_ESTALE; MPM_ESTATE; MPM_EINTERRUPTED;
 *         MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_wait(mpm_condition condition, double timeout_s);

/** Waits until predicate(argument) is so. It is called in the calling thread, with the lock: at first, and after each
 * notification.
 * @param condition  the condition
 * @param predicate  what to wait for
 * @param argument   given to it
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return as mpm_condition_wait(). */
MPM_API MPM_CHECKED int mpm_condition_wait_for(mpm_condition condition, mpm_predicate *predicate,
                                               void *argument, double timeout_s);

/** Notifies those that have waited longest. If one of them dies before it has the lock, the next one is notified
 * instead.
 * @param condition  the condition
 * @param count      how many to notify; if fewer wait, all of them
 * @return 0; MPM_EINVAL, also if the caller does not have the lock; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_notify(mpm_condition condition, unsigned count);

/** Notifies all that wait.
 * @param condition  the condition
 * @return 0; MPM_EINVAL, also if the caller does not have the lock; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_condition_notify_all(mpm_condition condition);

/** Makes an event at the caller's node. It is not set. Does not block.
 * @param event  out: the event
 * @return 0; MPM_EINVAL; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_event_create(mpm_event *event);

/** Destroys an event. From then on its handles give MPM_ESTALE, also to processes that wait for it.
 * @param event  the event
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_event_destroy(mpm_event event);

/** Sets an event. All that wait for it continue, even if it is cleared at once.
 * @param event  the event
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_event_set(mpm_event event);

/** Clears an event: it is not set any more.
 * @param event  the event
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_event_clear(mpm_event event);

/** Tells whether an event is set at this moment.
 * @param event   the event
 * @param is_set  out: whether it is
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_event_is_set(mpm_event event, bool *is_set);

/** Waits until an event is set.
 * @param event      the event
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @return 0; MPM_ETIMEDOUT; MPM_ENOMEM; MPM_EINTERRUPTED; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_event_wait(mpm_event event, double timeout_s);

#define MPM_BARRIER_MAX_PARTIES 1000000 /**< the most parties that a barrier may have */
#define MPM_ACTION_MAX_SIZE     1000000 /**< the most bytes of args that a barrier's action may have */

/** Options of mpm_barrier_create(); zero is the default. */
typedef struct mpm_barrier_options {
    /** Run by one of the parties, the last to come, before all continue: a function as a process's target is. If it
     * returns anything but 0, or its process dies, the barrier breaks. NULL: nothing is run. */
    mpm_target *action;
    const void *args; /**< `size` bytes for the action; they are copied */
    size_t size;      /**< how many, at most MPM_ACTION_MAX_SIZE */
} mpm_barrier_options;

/** Makes a barrier at the caller's node. Does not block.
 * @param parties  how many meet there, 1 to MPM_BARRIER_MAX_PARTIES
 * @param options  or NULL: defaults
 * @param barrier  out: the barrier
 * @return 0; MPM_EINVAL, also for another number of parties, and for an action that is not a function of the
 *         program; MPM_ENOMEM; MPM_ESTATE without a run. */
MPM_API MPM_CHECKED int mpm_barrier_create(unsigned parties, const mpm_barrier_options *options,
                                           mpm_barrier *barrier);

/** Destroys a barrier. From then on its handles give MPM_ESTALE, also to processes that wait at it.
 * @param barrier  the barrier
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_destroy(mpm_barrier barrier);

/** Waits until all parties are there. If the barrier breaks, it stays broken until mpm_barrier_reset().
 * @param barrier    the barrier
 * @param timeout_s  seconds to wait at most, or MPM_FOREVER; 0: do not wait
 * @param index      out: a number below the number of parties, another one for each; 0 for the last to come; or
 *                   NULL
 * @return 0; MPM_ETIMEDOUT if they were not there in time, which breaks the barrier (the time of an action does
 *         not count: if the time is up while it runs, the call waits for its end); MPM_EBROKEN if it is broken or
 *         breaks meanwhile: the time of another party was up, one has died while it waited, the action has failed,
 *         or somebody has called mpm_barrier_abort() or mpm_barrier_reset(); MPM_ENOMEM; MPM_EINTERRUPTED, which
 *         breaks it, too; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_wait(mpm_barrier barrier, double timeout_s, unsigned *index);

/** Breaks a barrier: those that wait there, and come there, get MPM_EBROKEN.
 * @param barrier  the barrier
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_abort(mpm_barrier barrier);

/** Makes a barrier whole again, with nobody at it: those that wait there get MPM_EBROKEN.
 * @param barrier  the barrier
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_reset(mpm_barrier barrier);

/** Tells how many parties a barrier is for.
 * @param barrier  the barrier
 * @param parties  out: how many
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_parties(mpm_barrier barrier, unsigned *parties);

/** Counts the parties that wait at a barrier at this moment.
 * @param barrier  the barrier
 * @param count    out: how many
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_waiting(mpm_barrier barrier, unsigned *count);

/** Tells whether a barrier is broken.
 * @param barrier    the barrier
 * @param is_broken  out: whether it is
 * @return 0; MPM_EINVAL; MPM_ESTALE; MPM_ESTATE; MPM_ENODELOST. */
MPM_API MPM_CHECKED int mpm_barrier_is_broken(mpm_barrier barrier, bool *is_broken);

MPM_END

#endif
