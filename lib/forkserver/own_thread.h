/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of the library's own. For net/, data/join.c, pool/driver/ and run/. */
#ifndef FORKSERVER_OWN_THREAD_H
#define FORKSERVER_OWN_THREAD_H

#include <pthread.h>

/* Starts a thread that runs body(argument). Signals are the program's: none is handled there. 0; MPM_ESYSTEM, with the
 * limits that may be reached: those of processes and of memory. */
int own_thread_start(pthread_t *thread, void *(*body)(void *argument), void *argument);

#endif
