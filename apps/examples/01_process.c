/* SPDX-License-Identifier: BSD-3-Clause */
/* Two processes, and main, which waits for them. In Python:
 *
 *     import multiprocessing
 *     import time
 *
 *     def worker_function(name):
 *         print(f"Worker {name} started.")
 *         time.sleep(2)
 *         print(f"Worker {name} finished.")
 *
 *     if __name__ == "__main__":
 *         # Creating two processes
 *         process1 = multiprocessing.Process(target=worker_function, args=("A",))
 *         process2 = multiprocessing.Process(target=worker_function, args=("B",))
 *
 *         # Starting the processes
 *         process1.start()
 *         process2.start()
 *
 *         # Joining the processes (wait until they finish)
 *         process1.join()
 *         process2.join()
 *
 *         print("Both workers finished.")
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>
#include <unistd.h>

static int worker_function(const void *args, size_t size)
{
    const char *name = args;

    (void)size;
    printf("Worker %s started.\n", name);
    sleep(2);
    printf("Worker %s finished.\n", name);
    return 0;
}

int main(int argc, char **argv)
{
    mpm_process process1, process2;

    if (mpm_init(&argc, &argv, NULL))
        return mpm_report_error();

    /* Starting the processes. */
    if (mpm_process_start(worker_function, "A", sizeof "A", NULL, &process1) ||
        mpm_process_start(worker_function, "B", sizeof "B", NULL, &process2))
        return mpm_report_error();

    /* Joining the processes: waiting until they finish. */
    if (mpm_process_join(process1, MPM_FOREVER) || mpm_process_join(process2, MPM_FOREVER))
        return mpm_report_error();

    printf("Both workers finished.\n");
    return mpm_finalize();
}
