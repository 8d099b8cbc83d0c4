/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin for scripts that count how often rows are run: it adds a byte to the file calls of the current folder, takes
 * some milliseconds, as many as NOTING_MS says, and gives numbers that depend on all of the row. After NOTING_HOLDS
 * calls, if that is set, each waits for the file go_on. The row of the number NOTING_FAILS fails. */
#include <mpmap.h>
#include <stdlib.h>
#include <time.h>

#include "../support/noted.h"

const mpm_task_description note_description = {.result = "f64[8]", .row = "f32"};

int note(mpm_call *call, const void *item, void *result)
{
    const float *number = item;
    const char *ms = getenv("NOTING_MS"), *fails = getenv("NOTING_FAILS");
    double *numbers = result;

    if (!noted_as(call, ".", getenv("NOTING_HOLDS")))
        return 1;
    if (fails && (double)*number == atof(fails))
        return mpm_fail(call, "it was told to fail");
    for (int i = 0; i < 8; i++)
        numbers[i] = *number * (i + 1) / 3;
    nanosleep(&(struct timespec){.tv_nsec = (ms ? atol(ms) : 2) * 1000000}, NULL);
    return 0;
}
