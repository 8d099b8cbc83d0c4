/* SPDX-License-Identifier: BSD-3-Clause */
/* The tasks of the bench: the sum of a row of 256 f32, and a copy of it. The loop beside mpmap calls them, too, so they
 * do without the library. */
#include <mpmap.h>
#include <string.h>

#define COLUMNS 256

const mpm_task_description sum_description = {.result = "f64", .row = "f32[256]", .help = "sum of a row"};
const mpm_task_description copy_description = {
    .result = "f32[256]", .row = "f32[256]", .help = "the row itself"};

/* Eight sums at once: the compiler makes vectors of them. */
int sum(mpm_call *call, const void *item, void *result)
{
    const float *numbers = item;
    float part[8] = {0};
    double all = 0;

    (void)call;
    for (int i = 0; i < COLUMNS; i += 8)
        for (int k = 0; k < 8; k++)
            part[k] += numbers[i + k];
    for (int k = 0; k < 8; k++)
        all += (double)part[k];
    *(double *)result = all;
    return 0;
}

int copy(mpm_call *call, const void *item, void *result)
{
    (void)call;
    memcpy(result, item, COLUMNS * sizeof(float));
    return 0;
}
