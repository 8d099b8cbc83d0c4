/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands between a program and MPI (LD_PRELOAD), and ends it if MPI is given two things that may make it talk to the
 * same node, and has not looked for news eight times in between (let_settle() in net/mpi_transport.c says why). As MPI
 * lets it look, which is when main looks for a message and there is none, is counted; and so is what it is given: every
 * thousandth is a line in the file that MPMAP_TEST_TALKS names. For stuck_mpi.sh. */
#include <mpi.h>

#include "tell.h"

#define LOOKS      8
#define MOST_NODES 16
#define A_LINE     1000

static unsigned long looks = LOOKS, talks, talked[MOST_NODES];
static int source_of_last; /* what was found */

static void talk_to(int node)
{
    if (looks - talked[node] < LOOKS) {
        dprintf(STDERR_FILENO, "settled_mpi: MPI may talk to node %d after %lu looks\n", node,
                looks - talked[node]);
        _exit(EXIT_FAILURE);
    }
    talked[node] = looks;
    if (++talks % A_LINE == 0)
        tell("MPMAP_TEST_TALKS", "", talks, " talks");
}

int MPI_Improbe(int source, int tag, MPI_Comm comm, int *there, MPI_Message *message, MPI_Status *status)
{
    int failed = PMPI_Improbe(source, tag, comm, there, message, status);

    if (*there)
        source_of_last = status->MPI_SOURCE;
    else
        looks++;
    return failed;
}

int MPI_Imrecv(void *bytes, int count, MPI_Datatype type, MPI_Message *message, MPI_Request *request)
{
    talk_to(source_of_last);
    return PMPI_Imrecv(bytes, count, type, message, request);
}

int MPI_Irecv(void *bytes, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    talk_to(source);
    return PMPI_Irecv(bytes, count, type, source, tag, comm, request);
}

int MPI_Isend(const void *bytes, int count, MPI_Datatype type, int target, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    talk_to(target);
    return PMPI_Isend(bytes, count, type, target, tag, comm, request);
}
