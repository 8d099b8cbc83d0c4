/* SPDX-License-Identifier: BSD-3-Clause */
#include "forkserver/own_thread.h"

#include <signal.h>

#include "base/error.h"
#include "forkserver/forkserver.h"

int own_thread_start(pthread_t *thread, void *(*body)(void *argument), void *argument)
{
    sigset_t all, before;
    char why[160];
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? error_set(MPM_ESYSTEM, "cannot start a thread: %s",
                              describe_thread_errno(failed, why, sizeof why))
                  : MPM_OK;
}
