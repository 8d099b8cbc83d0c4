/* SPDX-License-Identifier: BSD-3-Clause */
/* A mutex between processes that a killed holder does not keep: the next one gets it, and is told.
 *
 * For short critical sections of the arena's own structures, whose changes are committed by one store each:
 * what a dead holder had not committed never happened, what it had committed may leave derived data behind,
 * and who is told must make that anew before it calls robust_mutex_repaired(). */
#ifndef SHM_ROBUST_MUTEX_H
#define SHM_ROBUST_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

struct robust_mutex {
    pthread_mutex_t mutex;
};

/* 0, or MPM_ESYSTEM. Once, before anybody else sees it. */
int robust_mutex_create(struct robust_mutex *mutex);

/* Locks it. true if the last holder died inside: repair what it guards, then robust_mutex_repaired(). */
bool robust_mutex_lock(struct robust_mutex *mutex);
void robust_mutex_repaired(struct robust_mutex *mutex);
void robust_mutex_unlock(struct robust_mutex *mutex);

#endif
