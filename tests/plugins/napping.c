/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin for scripts that do things to a map while it runs: it sleeps for as many seconds as its item says, gives
 * them back, and says by a byte in the file began.FORK SERVER of the current folder that it has begun. */
#include <fcntl.h>
#include <mpmap.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

const mpm_task_description nap_description = {.result = "f32", .row = "f32"};

int nap(mpm_call *call, const void *item, void *result)
{
    const float *seconds = item;
    char forkserver[64] = "", path[80];
    int file;

    gethostname(forkserver, sizeof forkserver - 1);
    snprintf(path, sizeof path, "began.%s", forkserver);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0 || write(file, ".", 1) != 1)
        return mpm_fail(call, "%s cannot be written", path);
    close(file);
    nanosleep(&(struct timespec){.tv_sec = (time_t)*seconds,
                                 .tv_nsec = (long)((double)*seconds * 1e9) % 1000000000},
              NULL);
    *(float *)result = *seconds;
    return 0;
}
