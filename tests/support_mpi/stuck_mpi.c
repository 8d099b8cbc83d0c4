/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands between a program and MPI (LD_PRELOAD): once the file that MPMAP_TEST_STUCK names is there, the next look of
 * rank MPMAP_TEST_STUCK_RANK for a message does not return any more. For stuck_mpi.sh. */
#include <mpi.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_stuck(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *wanted = getenv("MPMAP_TEST_STUCK_RANK"),
               *path = getenv("MPMAP_TEST_STUCK");

    return rank && wanted && path && !strcmp(rank, wanted) && !access(path, F_OK);
}

int MPI_Improbe(int source, int tag, MPI_Comm comm, int *there, MPI_Message *message, MPI_Status *status)
{
    while (is_stuck())
        pause();
    return PMPI_Improbe(source, tag, comm, there, message, status);
}
