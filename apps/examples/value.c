/* SPDX-License-Identifier: BSD-3-Clause */
/* Four processes that add to one shared integer. Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int increment(const void *args, size_t size)
{
    const mpm_value *shared_value = args;
    int one = 1;

    (void)size;
    for (int i = 0; i < 100000; i++)
        if (mpm_value_add(*shared_value, &one))
            return mpm_report_error();
    return 0;
}

int main(int argc, char **argv)
{
    mpm_process processes[4];
    mpm_value shared_value;
    int value = 0;

    if (mpm_init(&argc, &argv, NULL) || mpm_value_create(MPM_I32, &value, &shared_value))
        return mpm_report_error();

    for (int i = 0; i < 4; i++)
        if (mpm_process_start(increment, &shared_value, sizeof shared_value, NULL, &processes[i]))
            return mpm_report_error();
    for (int i = 0; i < 4; i++)
        if (mpm_process_join(processes[i], MPM_FOREVER))
            return mpm_report_error();

    if (mpm_value_get(shared_value, &value))
        return mpm_report_error();
    printf("Final value: %d\n", value);
    return mpm_finalize();
}
