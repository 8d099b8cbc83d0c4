/* SPDX-License-Identifier: BSD-3-Clause */
/* Four processes add to one shared integer. In Python, where `+=` is two steps and additions get lost:
 *
 *     import multiprocessing
 *
 *     def increment(shared_value):
 *         for _ in range(100000):
 *             shared_value.value += 1
 *
 *     if __name__ == "__main__":
 *         shared_value = multiprocessing.Value('i', 0)  # Shared integer value
 *
 *         processes = []
 *         for _ in range(4):
 *             p = multiprocessing.Process(target=increment, args=(shared_value,))
 *             processes.append(p)
 *             p.start()
 *
 *         for p in processes:
 *             p.join()
 *
 *         print(f"Final value: {shared_value.value}")
 *
 * Here an addition is one step, and the value ends at 400000. Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int increment(const void *args, size_t size)
{
    const mpm_value *shared_value = args;

    (void)size;
    for (int i = 0; i < 100000; i++)
        if (mpm_value_add_i64(*shared_value, 1))
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
