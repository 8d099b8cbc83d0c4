/* SPDX-License-Identifier: BSD-3-Clause */
/* A user's program, built against an installed mpmap: maps a few numbers and checks the squares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpmap.h>

static int square_number(mpm_call *call, const void *item, void *result)
{
    const int *number = item;
    int *square = result;

    (void)call;
    *square = *number * *number;
    return 0;
}

static int check_squares(const int *numbers, const int *squares, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (squares[i] != numbers[i] * numbers[i]) {
            fprintf(stderr, "the square of %d came back as %d\n", numbers[i], squares[i]);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    int numbers[] = {1, 2, 3, 4, 5}, squares[5] = {0};
    mpm_pool *pool;

    if (strcmp(mpm_version(), MPM_VERSION) != 0) {
        fprintf(stderr, "compiled with mpmap %s, running with %s\n", MPM_VERSION, mpm_version());
        return EXIT_FAILURE;
    }
    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool))
        return mpm_report_error();
    if (mpm_pool_map(pool, square_number, numbers, 5, sizeof *numbers, sizeof *squares, NULL, squares))
        return mpm_report_error();
    mpm_pool_close(pool);
    if (mpm_finalize())
        return mpm_report_error();
    return check_squares(numbers, squares, 5);
}
