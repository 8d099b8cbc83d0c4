/* SPDX-License-Identifier: BSD-3-Clause */
/* The mean of each row of numbers: the smallest plugin that does something. Rows may have any shape. */
#include <mpmap.h>

const mpm_task_description mean_description = {.result = "f64", .row = "f32", .help = "mean of a row of f32"};

int mean(mpm_call *call, const void *item, void *result)
{
    size_t count = mpm_call_item_size(call) / sizeof(float);
    const float *numbers = item;
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    *(double *)result = sum / (double)count;
    return 0;
}
