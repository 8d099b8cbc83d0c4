/* SPDX-License-Identifier: BSD-3-Clause */
/* A phase of a program that starts MPI itself: rank 0 has the workers of all nodes, then all ranks have MPI again. In
 * Python, with mpi4py:
 *
 *     from mpi4py import MPI
 *     from mpi4py.futures import MPICommExecutor
 *
 *     def square(n):
 *         return n * n
 *
 *     if __name__ == "__main__":
 *         total = 0
 *         for phase in range(3):
 *             with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
 *                 if executor is not None:
 *                     total += sum(executor.map(square, [1, 2, 3, 4, 5]))
 *             total = MPI.COMM_WORLD.bcast(total)
 *         if MPI.COMM_WORLD.rank == 1:
 *             print("Sum of squares, known to rank 1:", total)
 *
 * Runs under mpirun or srun, with two ranks or more. */
#include <mpi.h>
#include <mpmap.h>
#include <stdio.h>

static int square(mpm_call *call, const void *item, void *result)
{
    (void)call;
    *(int *)result = *(const int *)item * *(const int *)item;
    return 0;
}

/* In rank 0, with the workers of all nodes. */
static int sum_squares(int *sum)
{
    int numbers[] = {1, 2, 3, 4, 5}, squares[5], status;
    mpm_pool *pool;

    if ((status = mpm_pool_open(NULL, &pool)) || (status = mpm_map(pool, square, numbers, 5, squares)))
        return status;
    for (int i = 0; i < 5; i++)
        *sum += squares[i];
    return mpm_finalize(); /* the other ranks go on */
}

int main(int argc, char **argv)
{
    int level, rank, sum = 0, status;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (int phase = 0; phase < 3; phase++) {
        if (!(status = mpm_init(&argc, &argv, NULL)))
            status = sum_squares(&sum);
        else if (status == MPM_SERVED)
            status = 0;
        if (status)
            MPI_Abort(MPI_COMM_WORLD, mpm_report_error());
        MPI_Bcast(&sum, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    if (rank == 1)
        printf("Sum of squares, known to rank 1: %d\n", sum);
    MPI_Finalize();
    return 0;
}
