/* SPDX-License-Identifier: BSD-3-Clause */
/* A task that prints, for dataset_errors.sh: its result is the number of its row. */
#include <mpmap.h>
#include <stdio.h>

MPM_API const mpm_task_description talk_description = {.result = "f64", .row = "f32"};

MPM_API int talk(mpm_call *call, const void *item, void *result)
{
    (void)item;
    printf("row %zu\n", mpm_call_index(call));
    fprintf(stderr, "row %zu\n", mpm_call_index(call));
    *(double *)result = (double)mpm_call_index(call);
    return 0;
}
