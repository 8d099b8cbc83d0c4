/* SPDX-License-Identifier: BSD-3-Clause */
/* Count, mean, standard deviation, minimum and maximum of all numbers of a data set, for mpmap reduce. Rows may have
 * any shape. */
#include <math.h>
#include <mpmap.h>

struct summary {
    double count, mean, squares, least, most; /* squares: of the distances from the mean */
};

static void begin(void *state, const void *context)
{
    struct summary *summary = state;

    (void)context;
    summary->least = INFINITY;
    summary->most = -INFINITY;
}

static void combine(void *state, const void *later, const void *context)
{
    struct summary *one = state;
    const struct summary *other = later;
    double count = one->count + other->count, distance = other->mean - one->mean;

    (void)context;
    if (count == 0)
        return;
    one->squares += other->squares + distance * distance * one->count * other->count / count;
    one->mean += distance * other->count / count;
    one->count = count;
    one->least = fmin(one->least, other->least);
    one->most = fmax(one->most, other->most);
}

static void finish(void *state, const void *context)
{
    struct summary *summary = state;

    (void)context;
    summary->squares = sqrt(summary->squares / summary->count);
}

const mpm_task_description summary_description = {
    .result = "f64[5]", .row = "f64", .help = "count, mean, deviation, minimum, maximum"};
const mpm_reduction summary_reduction = {
    .combine = combine, .init = begin, .finalize = finish, .state_size = sizeof(struct summary)};

int summary(mpm_call *call, const void *item, void *state)
{
    size_t numbers = mpm_call_item_size(call) / sizeof(double);
    const double *number = item;

    for (size_t i = 0; i < numbers; i++)
        combine(state, &(struct summary){1, number[i], 0, number[i], number[i]}, NULL);
    return 0;
}
