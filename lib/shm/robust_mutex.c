/* SPDX-License-Identifier: BSD-3-Clause */
/* The robust mutex: pthread's own, process-shared and robust. The kernel hands it on when its holder dies;
 * its list of held mutexes is per thread and uses the thread's own addresses, so it may stand at different
 * addresses in different processes. */
#include "shm/robust_mutex.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>

#include "base/clock.h"
#include "base/error.h"

#define LOOK_AGAIN_NS 10000000u

int robust_mutex_create(struct robust_mutex *mutex)
{
    pthread_mutexattr_t attributes;
    int failed;

    if ((failed = pthread_mutexattr_init(&attributes)))
        goto fail;
    if (!(failed = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED)) &&
        !(failed = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST)))
        failed = pthread_mutex_init(&mutex->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    if (!failed)
        return MPM_OK;
fail:
    errno = failed;
    return error_set_errno(MPM_ESYSTEM, "a mutex between processes cannot be made");
}

/* Nobody sleeps here for ever: if a waiter is killed after it was woken, and somebody else takes the mutex
 * before the kernel looks, the word no longer says that there are other waiters, and nobody wakes them. */
#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer of gcc 12 knows nothing of clocklock, and nothing of dead owners in timedlock. */
static int lock_slowly(pthread_mutex_t *mutex)
{
    int failed;

    while ((failed = pthread_mutex_trylock(mutex)) == EBUSY)
        sched_yield();
    return failed;
}
#else
static int lock_slowly(pthread_mutex_t *mutex)
{
    int failed;

    do {
        uint64_t until_ns = clock_now_ns() + LOOK_AGAIN_NS;
        struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                                 .tv_nsec = (long)(until_ns % 1000000000u)};

        failed = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
    } while (failed == ETIMEDOUT);
    return failed;
}
#endif

bool robust_mutex_lock(struct robust_mutex *mutex)
{
    int failed = pthread_mutex_trylock(&mutex->mutex);

    if (failed == EBUSY)
        failed = lock_slowly(&mutex->mutex);
    assert(!failed || failed == EOWNERDEAD);
    return failed == EOWNERDEAD;
}

void robust_mutex_repaired(struct robust_mutex *mutex)
{
    int failed = pthread_mutex_consistent(&mutex->mutex);

    assert(!failed);
    (void)failed;
}

void robust_mutex_unlock(struct robust_mutex *mutex)
{
    int failed = pthread_mutex_unlock(&mutex->mutex);

    assert(!failed);
    (void)failed;
}
